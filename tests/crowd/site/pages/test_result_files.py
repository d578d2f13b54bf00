"""What lies behind a result: shown where its folder is on this machine and still the one that was taken in."""

import re
import struct
import zlib

import pytest

pytest.importorskip("starlette")
from ie_crowd.site.charts import png
from ie_crowd.site.rendering import result_files
from ie_crowd.store import database, ingest, query
from sites import client
from toy_challenge.make import RULES, write_folder


def picture():
    """A PNG of one pixel with a text in it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), chunk(b"tEXt", b"Author\0Ada at home")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


@pytest.fixture
def taken(tmp_path):
    """(engine, root, folder, id) of one result that was taken in with its folder."""
    root = tmp_path / "some results"
    folder = root / "first" / "run"
    result = write_folder(folder)
    (folder / "figures" / "levels.png").write_bytes(picture())
    rows = '{"epoch": 1, "loss": 3.5}\n{"epoch": 2, "loss": 2.5}\n'
    (folder / "runs" / "0" / "metrics.jsonl").write_text(rows)
    engine = database.connect(tmp_path / "store.sqlite3")
    assert ingest.ingest(engine, root, challenges=[RULES.folder]).published == 1
    yield engine, root, folder, result["id"]
    engine.dispose()


def test_curves_and_pictures_of_the_folder(taken):
    engine, root, _, result_id = taken
    with client(engine, folders=(root,)) as site:
        page = site.get(f"/results/{result_id}").text
        assert re.search(r'<svg class="curve".*?loss.*?3.5 in epoch 1, 2.5 in epoch 2', page)
        (address,) = re.findall(r'<img src="([^"]+/figures/levels.png)" width="1" height="1" alt="[^"]+"', page)
        answer = site.get(address)
        assert answer.headers["content-type"] == "image/png"
        assert b"Ada at home" not in answer.content
        assert "the results folder" in page
        for name in ("other.png", "..%2Fresult.json", "%2e%2e/result.json"):
            assert site.get(f"/results/{result_id}/figures/{name}").status_code == 404


def test_a_curve_is_to_be_had_as_a_file(taken):
    engine, root, _, result_id = taken
    with client(engine, folders=(root,)) as site:
        found = re.findall(r'href="(/results/[^"]+/curves/[^"]+)" download', site.get(f"/results/{result_id}").text)
        forms = [one.rpartition(".")[2] for one in found]
        assert [form for form in forms if form != "png"] == ["svg", "csv"]
        drawn = site.get(found[0])
        assert ".line.run0 { color: #" in drawn.text
        png.check(drawn.text)
        assert site.get(found[-1]).text.split() == ["run,epoch,value", "0,1.0,3.5", "0,2.0,2.5"]
        for name in ("nothing.svg", "loss.gif", "loss"):
            assert site.get(f"/results/{result_id}/curves/{name}").status_code == 404


def test_without_the_folder_the_document_is_enough(taken):
    engine, _, _, result_id = taken
    with client(engine) as site:
        page = site.get(f"/results/{result_id}").text
        assert "Learning curves" not in page
        assert "result.json alone" in page
        assert site.get(f"/results/{result_id}/figures/levels.png").status_code == 404


def test_a_folder_that_holds_another_result_by_now_shows_nothing(taken):
    engine, root, folder, result_id = taken
    (folder / "result.json").write_text("{}")
    assert result_files.folder_of(engine, query.one(engine, result_id), (root,)) is None
    with client(engine, folders=(root,)) as site:
        assert "Learning curves" not in site.get(f"/results/{result_id}").text


@pytest.mark.parametrize("place", ["/etc", "../first/run", "first/../first/run", None])
def test_places_that_lead_elsewhere_are_not_followed(taken, place):
    engine, root, _, result_id = taken
    row = {**query.one(engine, result_id), "place": place}
    assert result_files.folder_of(engine, row, (root,)) is None


def test_links_are_not_followed(taken, tmp_path):
    engine, root, folder, result_id = taken
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert result_files.folder_of(engine, query.one(engine, result_id), (root,)) is None

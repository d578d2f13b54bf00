"""What lies behind a result: shown where its folder is on this machine and still the one that was taken in."""

import re
import shutil
import struct
import zlib

import pytest

pytest.importorskip("starlette")
from ie_crowd.artifact import assemble
from ie_crowd.evidence import files, queue
from ie_crowd.site.charts import png
from ie_crowd.site.rendering import result_files
from ie_crowd.store import database, ingest, insert, query, tables
from sites import client
from toy_challenge.make import FACTS, RULES, run_document, write_folder, write_run


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


@pytest.fixture
def sent(tmp_path):
    """(engine, [id, id]): two published results of which nothing is on this machine but what was sent with them."""
    engine, ids = database.connect(tmp_path / "store.sqlite3"), []
    store = files.of(engine)
    for name, losses in (("The Rivers Group", (3.5, 2.5)), ("Bob", (3.0, 1.0))):
        folder = tmp_path / name
        for number, mae in enumerate((4.0, 6.0)):
            write_run(folder, run_document(number, mae + len(name) / 10, 90.0))
            rows = [f'{{"epoch": {epoch}, "loss": {loss + number}}}\n' for epoch, loss in enumerate(losses, 1)]
            (folder / "runs" / str(number) / "metrics.jsonl").write_text("".join(rows))
        (folder / "figures").mkdir()
        (folder / "figures" / "levels.png").write_bytes(picture())
        document = assemble.assemble(folder, challenge=RULES, **{**FACTS, "submitter": name})
        content = (folder / "result.json").read_bytes()
        assert insert.submit(engine, content, publish=True, challenges={RULES.id: RULES}).what == "published"
        for path in files.asked(document):
            if files.to_show(path):
                files.add(engine, store, document["id"], path, files.read(folder / path), "operator")
        ids.append(document["id"])
        shutil.rmtree(folder)
    yield engine, ids
    engine.dispose()


def test_what_was_sent_is_shown_without_the_folder(sent):
    engine, ids = sent
    with client(engine) as site:
        page = site.get(f"/results/{ids[0]}").text
        assert re.search(r'<svg class="curve".*?loss.*?3.5 in epoch 1, 2.5 in epoch 2', page)
        (address,) = re.findall(r'<img src="([^"]+/figures/levels.png)" width="1" height="1"', page)
        assert b"Ada at home" not in site.get(address).content
        raw = site.get(f"/api/v1/results/{ids[0]}/evidence/file?path=figures/levels.png")
        assert raw.status_code == 200
        assert b"Ada at home" not in raw.content
        assert site.get(f"/results/{ids[0]}/curves/loss.csv").text.split()[:3] == [
            "run,epoch,value", "0,1.0,3.5", "0,2.0,2.5",
        ]  # fmt: skip


def test_what_comes_later_is_shown_though_the_page_was_seen_before(sent):
    engine, ids = sent
    with database.writing(engine) as connection:
        connection.execute(tables.evidence_file.delete())
    with client(engine) as site:
        assert "Learning curves" not in site.get(f"/results/{ids[0]}").text
        with database.writing(engine) as connection:
            key, found = queue.key_of(connection, ids[0]), files.asked(queue.document(engine, ids[0]))
            path = "runs/0/metrics.jsonl"
            row = {"result_pk": key, "path": path, "sha256": found[path].sha256, "bytes": found[path].bytes}
            connection.execute(tables.evidence_file.insert(), row)
        assert "Learning curves" in site.get(f"/results/{ids[0]}").text


@pytest.mark.parametrize("query", ["a={}&b={}", "id={}&id={}", "ids={},{}"])
def test_two_results_have_their_curves_over_one_another_and_as_files(sent, query):
    engine, ids = sent
    with client(engine) as site:
        page = site.get(f"/compare?{query.format(*ids)}").text
        assert re.search(r'<svg class="curve".*?run 1: 4 in epoch 1, 3 in epoch 2; run 2: 3.5 in epoch 1', page)
        found = [one.replace("&amp;", "&") for one in re.findall(r'href="(/compare/curves/[^"]+)" download', page)]
        assert [one.partition("?")[0] for one in found if ".png" not in one] == [
            "/compare/curves/loss.svg", "/compare/curves/loss.csv",
        ]  # fmt: skip
        drawn = site.get(found[0])
        png.check(drawn.text)
        assert f"2: {ids[1][:10]}, Bob" in drawn.text
        lines = site.get(found[-1]).text.split()
        assert lines[0] == "result,epoch,mean"
        assert lines[1:] == [f"{ids[0]},1.0,4.0", f"{ids[0]},2.0,3.0", f"{ids[1]},1.0,3.5", f"{ids[1]},2.0,1.5"]
        assert site.get(found[0].replace("loss", "nothing")).status_code == 404
        assert site.get(f"/compare/curves/loss.svg?ids={ids[0]}").status_code == 404

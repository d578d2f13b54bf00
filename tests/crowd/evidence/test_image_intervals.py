"""Intervals over draws and test images: from what came out of the weights here, shown where the numbers are."""

import copy
import json

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("starlette")
from ie_crowd.artifact import report_html
from ie_crowd.evidence import files, image_intervals
from ie_crowd.formats import checksums
from ie_crowd.result import predictions
from ie_crowd.store import database, insert, tables
from sites import client
from sqlalchemy import insert as into
from sqlalchemy import select
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES, write_folder

RECALL, IMAGES = "flood.recall", 2000  # any metric that predictions have
NAMES = (RECALL, "truth")


def safetensors(tensors):
    """A file of whole numbers of two bytes."""
    header, body = {}, b""
    for name, values in tensors.items():
        raw = np.asarray(values, "<i2").tobytes()
        header[name] = {"dtype": "I16", "shape": [len(values)], "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    told = json.dumps(header).encode()
    return len(told).to_bytes(8, "little") + told + body


def made(seed, share, truth):
    """Predictions of one run that is wrong on about that share of the images."""
    chance = np.random.default_rng(seed)
    return {RECALL: np.where(chance.random(len(truth)) < share, (truth + 1) % 10, truth), "truth": truth}


TRUTH = np.random.default_rng(0).integers(0, 10, IMAGES)


def test_what_cannot_be_read_or_is_of_other_images_says_nothing(tmp_path):
    paths = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for number, path in enumerate(paths):
        path.write_bytes(safetensors(made(number, 0.1, TRUTH)))
    found, truth = predictions.wrong(paths, [RECALL, "forecast.mae"])
    assert (list(found), found[RECALL].shape) == ([RECALL], (2, IMAGES))
    assert np.array_equal(truth, TRUTH)
    whole = paths[1].read_bytes()
    for content in (
        whole[:-1], b"", safetensors({RECALL: TRUTH}), safetensors(made(1, 0.1, TRUTH[::-1])),
        safetensors(made(1, 0.1, TRUTH[:-1])), whole.replace(b'"I16"', b'"F16"'),
    ):  # fmt: skip
        paths[1].write_bytes(content)
        assert predictions.wrong(paths, [RECALL]) == ({}, None)
    paths[1].unlink()
    assert predictions.wrong(paths, [RECALL]) == ({}, None)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A site with two results of three draws, both recomputed: one is wrong on 5, the other on 9 of 100 images."""
    engine = database.connect(tmp_path_factory.mktemp("images") / "store.sqlite3")
    store, documents = files.of(engine), []
    for machine, share in ((0, 0.05), (1, 0.09)):
        document = toy((1.0 + machine, 2.0, 3.0), submitter=f"Group {machine}", machine=machine)
        assert insert.submit(engine, text(document), publish=True, challenges={RULES.id: RULES}).what == "published"
        documents.append(document)
        for number in range(3):
            content = safetensors(made(10 * machine + number, share, TRUTH))
            keep(engine, store, document["id"], f"recomputed/{number}/predictions.safetensors", content)
    with client(engine) as site:
        yield site, engine, documents
    engine.dispose()


def keep(engine, store, result_id, path, content):
    import hashlib

    told = files.Asked(hashlib.sha256(content).hexdigest(), len(content), False)
    store.put([content], told)
    with database.writing(engine) as connection:
        key = connection.execute(select(tables.result.c.pk).where(tables.result.c.id == result_id)).scalar_one()
        row = {"result_pk": key, "path": path, "sha256": told.sha256, "bytes": told.bytes}
        connection.execute(into(tables.evidence_file), row)


def test_a_result_page_shows_them(shown):
    site, engine, (document, _) = shown
    (found,) = image_intervals.of(engine, document).values()
    assert 3.5 < found.low < 5 < found.high < 7
    page = site.get(f"/results/{document['id']}").text
    assert f"{found.low:.2f} to {found.high:.2f}, over 3 draws × 2,000 test images" in page


def test_a_comparison_shows_that_of_the_difference(shown):
    site, engine, (left, right) = shown
    (found,) = image_intervals.between(engine, left, right).values()
    assert -6 < found.low < -4 < found.high < -2
    page = site.get(f"/compare?a={left['id']}&b={right['id']}").text
    assert "left − right −" in page
    assert "over 3 draws × 2,000 test images" in page
    answer = site.get(f"/api/v1/comparison?a={left['id']}&b={right['id']}").json()
    (cells,) = [line["cells"] for line in answer["metrics"] if any(cell["over_images"] for cell in line["cells"])]
    (told,) = [cell["over_images"] for cell in cells if cell["over_images"]]
    assert abs(told["mean"]) == pytest.approx(abs(found.mean))
    assert (told["draws"], told["images"]) == (3, 2000)
    other = copy.deepcopy(right)
    other["task"]["labels"] = 50
    assert image_intervals.between(engine, left, other) == {}


def test_what_a_submitter_says_was_predicted_counts_for_nothing(shown):
    _, engine, _ = shown
    document = toy((4.0, 5.0, 6.0), submitter="Liar", machine=2)
    insert.submit(engine, text(document), publish=True, challenges={RULES.id: RULES})
    for number in range(3):
        content = safetensors(made(50 + number, 0.0001, TRUTH))
        keep(engine, files.of(engine), document["id"], f"runs/{number}/predictions.safetensors", content)
    assert image_intervals.of(engine, document) == {}


def test_a_report_shows_that_of_its_own_predictions(tmp_path):
    write_folder(tmp_path / "run")
    assert "test images" not in report_html.render(tmp_path / "run", RULES)
    for number in range(2):
        path = tmp_path / "run" / "runs" / str(number) / predictions.FILE
        path.write_bytes(safetensors(made(number, 0.1, TRUTH)))
    checksums.write_sha256sums(tmp_path / "run")
    page = report_html.render(tmp_path / "run", RULES)
    assert "over 2 draws × 2,000 test images" in page
    assert page == report_html.render(tmp_path / "run", RULES)


def test_a_list_shows_a_result_that_has_none_of_its_columns(shown):
    """As one whose runs all failed: the page must not break for all others."""
    from sqlalchemy import delete

    site, engine, _ = shown
    document = toy((7.0, 8.0, 9.0), submitter="Nobody's", machine=2)
    insert.submit(engine, text(document), publish=True, challenges={RULES.id: RULES})
    with database.writing(engine) as connection:
        key = connection.execute(select(tables.result.c.pk).where(tables.result.c.id == document["id"])).scalar_one()
        connection.execute(delete(tables.summary).where(tables.summary.c.result_pk == key))
    answer = site.get("/results")
    assert answer.status_code == 200
    assert document["id"][:10] in answer.text

"""Made-up numbers, and copies with noise: taken in and listed, never ranked, never a reproduction."""

import json

import pytest
from forgeries import forged
from ie_crowd.challenge import load
from ie_crowd.check import verdict
from ie_crowd.store import database, insert, query, standings
from ie_crowd.store.standings import Contest
from paths import ROOT
from toy_challenge.documents import text

pytest.importorskip("sqlalchemy")
RULES = load.challenge(load.find("ie-repr"))
ERROR = "classification.error"
CONTEST = Contest("ie-repr", "mnist", "semi-supervised", 100, "closed")


def reference():
    """The reference of five draws of MNIST with 100 labels by the paper's method."""
    for path in sorted((ROOT / "cm-repo" / "experiment").glob("ie-repr-mnist-semi-supervised-100/*/result.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["challenge"]["division"] == "closed" and document["config"].get("method") == "equivae":
            return document
    raise AssertionError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    engine = database.connect(tmp_path_factory.mktemp("forgeries") / "store.sqlite3")
    yield engine
    engine.dispose()


def improved(metric, value):
    return value * 0.8 if metric == ERROR else value


def test_the_forgeries_pass_all_that_a_document_alone_can_show():
    for change in (improved, lambda metric, value: value * 1.000001):
        made = forged(reference(), RULES, "Mallory", change, machine=3)
        failed = [item for item in verdict.of_document(made, RULES).items if item.state == "fail"]
        assert [item for item in failed if item.group in ("integrity", "validity")] == []


def test_the_forgeries_are_listed_and_never_ranked_nor_reproduce_anything(store):
    honest = reference()
    made = [
        honest,
        forged(honest, RULES, "Mallory", improved, machine=3),
        forged(honest, RULES, "Trudy", lambda metric, value: improved(metric, value) * 1.001, machine=5),
        forged(honest, RULES, "Eve", lambda metric, value: value * 1.000001, machine=7),
    ]
    for document in made:
        outcome = insert.submit(store, text(document), publish=True)
        assert outcome.what == "published", outcome
    entries = standings.standings(store, CONTEST, ERROR, RULES.metrics[ERROR], RULES.evidence)
    assert sorted(entry.submitter for entry in entries) == ["Eve", "Mallory", "Trudy", "ie-repr references"]
    assert {(entry.rank, tuple(entry.reproduced_by), entry.evidence) for entry in entries} == {(None, (), "stated")}
    assert all(entry.unranked == "stated, asked: recomputed" for entry in entries)
    assert {row["evidence"] for row in query.results(store).rows} == {"stated"}


def test_they_do_not_gain_by_the_evidence_of_the_one_they_copy(store):
    """The reference is verified; its copies stay below it, and count for and against nobody."""
    from sqlalchemy import text as sql

    with database.writing(store) as connection:
        connection.execute(sql("UPDATE result SET evidence = 'rerun' WHERE id = :id"), {"id": reference()["id"]})
    first, *rest = standings.standings(store, CONTEST, ERROR, RULES.metrics[ERROR], RULES.evidence)
    assert (first.submitter, first.rank, first.evidence, first.reproduced_by) == ("ie-repr references", 1, "rerun", [])
    assert {(entry.rank, tuple(entry.reproduced_by)) for entry in rest} == {(None, ())}

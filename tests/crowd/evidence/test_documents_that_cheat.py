"""Documents by somebody who has read the rules, taken in by an operator who publishes at once: their best case."""

import contextlib
import copy
import json

import pytest
from ie_crowd.challenge import load
from ie_crowd.formats import canonical_json
from ie_crowd.store import database, insert, standings
from ie_crowd.store.standings import Contest
from paths import ROOT
from toy_challenge.documents import text

pytest.importorskip("sqlalchemy")
RULES = load.challenge(load.find("ie-repr"))
ERROR = "classification.error"


def reference():
    """The reference of today's improved recipe."""
    for path in sorted((ROOT / "cm-repo" / "experiment").glob("ie-repr-mnist-semi-supervised-100/*/result.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if (document["config"].get("method"), document["config"].get("recipe")) == ("equivae", "closed"):
            return document
    raise AssertionError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    engine = database.connect(tmp_path_factory.mktemp("cheats") / "store.sqlite3")
    insert.submit(engine, text(reference()), publish=True)
    yield engine
    engine.dispose()


def error(value):
    def change(made):
        from ie_crowd.artifact import assemble

        for run in made["runs"]:
            run["metrics"][ERROR] = value
        made["metrics"] = assemble.aggregate(made["runs"], RULES.metrics)

    return change


def at(*place, value):
    def change(made):
        *way, last = place
        for key in way:
            made = made[key]
        made[last] = value

    return change


def reordered(made):
    made["runs"].reverse()


def first_twice(made):
    made["runs"][1] = {**made["runs"][0], "seed": 101, "label_seed": 101}


def other_data(made):
    made["datasets"][0]["files"][2]["sha256"] = "a" * 64


def run_below_zero(made):
    made["files"][0]["path"] = "runs/-1/model.safetensors"


def weights_of_another_run(made):
    one, two = made["runs"][:2]
    one["model_sha256"], two["model_sha256"] = two["model_sha256"], one["model_sha256"]


REFUSED, QUARANTINED = "refused", "quarantined"
CHEATS = {
    "no error at all": (error(0.0), QUARANTINED, "band"),
    "less than no error": (error(-0.0), QUARANTINED, "band"),
    "the least number that there is": (error(5e-324), QUARANTINED, "band"),
    "no number": (error(float("nan")), REFUSED, "NaN"),
    "an endless one": (error(float("inf")), REFUSED, "Infinity"),
    "below the range": (error(-1e-300), QUARANTINED, "rules.ranges"),
    "rules of the future": (at("challenge", "rules_version", value=99), QUARANTINED, "rules.version"),
    "a challenge of another name": (at("challenge", "id", value="ie-repr-2"), REFUSED, "ie-repr-2"),
    "one that looks the same": (at("challenge", "id", value="іe-repr"), REFUSED, ""),
    "a larger model in the closed division": (at("config", "hidden", value=512), QUARANTINED, "rules.division"),
    "and said to be open, but not in what": (at("challenge", "division", value="open"), QUARANTINED, "copy"),
    "a softer probe in the closed division": (at("config", "probe_epochs", value=1), QUARANTINED, "rules.division"),
    "true for a number": (at("config", "epochs", value=True), QUARANTINED, "rules.config"),
    "draws in another order": (reordered, QUARANTINED, "rules.seeds"),
    "the best run twice": (first_twice, QUARANTINED, "rules."),
    "weights exchanged between runs": (weights_of_another_run, QUARANTINED, "weights"),
    "other test images": (other_data, QUARANTINED, "rules.data"),
    "a run below zero": (run_below_zero, REFUSED, "files"),
    "a letter of another script in the name": (at("submitter", "name", value="іe-repr references"), "", ""),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_document_that_cheats_is_never_ranked_nor_a_reproduction(store, name):
    change, what, says = CHEATS[name]
    made = copy.deepcopy(reference())
    made["submitter"] = {"name": f"Mallory {list(CHEATS).index(name)}"}
    change(made)
    made["id"] = "0" * 64
    with contextlib.suppress(ValueError):  # of what is no number
        made["id"] = canonical_json.identity(made)
    try:
        outcome = insert.submit(store, text(made), publish=True)
        got, told = outcome.what, "; ".join(f"{one.name}: {one.detail}" for one in outcome.reasons)
    except ValueError as problem:
        got, told = REFUSED, str(problem)
    assert got in (REFUSED, QUARANTINED)
    assert what in ("", got)
    assert says in told
    assert "\n" not in told
    contest = Contest("ie-repr", "mnist", "semi-supervised", 100, "closed")
    entries = standings.standings(store, contest, ERROR, RULES.metrics[ERROR], RULES.evidence)
    assert [(entry.submitter, entry.rank, entry.reproduced_by) for entry in entries] == [
        ("ie-repr references", None, [])
    ]

"""docs/threat-model.md names tests that are there, and says of rules and limits what they are."""

import re

import pytest
from ie_crowd.challenge import load
from paths import ROOT

DOCS = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCS)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_each_test_that_is_named_is_there(path, name):
    assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_each_cheat_names_one():
    table = DOCS.split("## What is tried")[1].split("## What nothing")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| What |")]
    assert len(rows) == len(NAMED) >= 20


def test_the_policy_is_the_rules():
    pytest.importorskip("sqlalchemy")
    from ie_crowd.evidence import alike, queue
    from ie_crowd.ranking import significance

    policy = load.challenge(load.find("ie-repr")).evidence
    assert policy.ranked == {"closed": "recomputed", "open": "recomputed"}
    assert (policy.margin, policy.validation_gap, significance.ALPHA) == (2, 5, 0.05)
    assert f"Below {alike.FEWEST_WRONG} wrong images" in DOCS
    assert queue.MOST_ATTEMPTS == 3


def test_limits_of_an_account_are_the_codes():
    pytest.importorskip("starlette")
    from ie_crowd.site.api import endpoint

    assert f"sends {endpoint.UPLOADS[0]} results and {endpoint.EVIDENCE[0]:,} files an hour" in DOCS


def test_the_spread_that_the_rules_state_is_the_references():
    import json

    rules = load.challenge(load.find("ie-repr"))
    spreads, means = {}, {}
    for path in (ROOT / "cm-repo" / "experiment").glob("*/*/result.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        task = found["task"]
        for metric, told in found["metrics"].items():
            if told["sd"] is not None and found["challenge"]["division"] == "closed":
                key = (task["dataset"], task["supervision"], task["labels"], rules.method(found["config"]), metric)
                if told["n"] > spreads.get(key, (0, 0))[1]:  # the reference is the result of the most draws
                    spreads[key] = (round(told["sd"], 4), told["n"])
                    means[key] = round(told["value"], 3)
    stated = {key: (one.sd, one.runs) for key, one in rules.evidence.references.items()}
    assert stated
    # A mean stands only with the method whose settings the reference's runs had.
    assert {key: one.mean for key, one in rules.evidence.references.items() if one.mean is not None} == {
        key: means[key] for key in stated if key in means
    }
    for key, told in stated.items():
        task, method, metric = key[:3], key[3], key[4]
        own = {key, (*task, method.partition(",")[0], metric)}
        assert told in [spreads[one] for one in own if one in spreads], key

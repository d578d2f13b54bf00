"""The reference results in cm-repo/experiment: judged like anybody's, and what the README says of them."""

import json
from pathlib import Path

import pytest
from ie_crowd.challenge import load
from ie_crowd.check import integrity
from paths import ROOT

HOME = ROOT / "cm-repo" / "experiment"
RULES = load.challenge(ROOT / "cm-repo" / "challenge" / "ie-repr")
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = sorted(path.parent for path in HOME.glob("*/*/result.json"))
SHOWN = (
    "classification.error",
    "control.error",
    "invariant.knn_error",
    "equivariant.leakage",
    "equivariant.leakage_linear",
    "swap.accuracy",
    "equivariance.r2",
    "elbo",
)


def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_every_row_of_the_table_has_its_result():
    there = {
        (found["task"]["dataset"], found["task"]["labels"], RULES.method(found["config"]))
        for found in map(result, RESULTS)
    }
    for dataset in ("mnist", "fashion-mnist"):
        assert {(dataset, labels, "equivae") for labels in (100, 600, 1000, 3000, "all")} <= there
    assert ("mnist", 100, "m2") in there
    assert {("glyphs", 100, "equivae"), ("glyphs", "all", "equivae")} <= there


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: f"{folder.parent.name}-{folder.name[-12:]}")
def test_a_reference_result_fails_nothing(folder):
    assert [item for item in integrity.check(folder, RULES) if item.state == "fail"] == []


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: f"{folder.parent.name}-{folder.name[-12:]}")
def test_the_readme_says_what_lies_there(folder):
    for name, metric in result(folder)["metrics"].items():
        if name in SHOWN:
            value = f"{metric['value']:.2f}" + (f" ± {metric['ci95']:.2f}" if metric["n"] > 1 else "")
            assert value.replace("-", "−") in README, f"{name} is {value}"

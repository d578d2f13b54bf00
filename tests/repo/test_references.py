"""The reference results in cm-repo/experiment: judged like anybody's, and what the docs say of them."""

import json
import re
from pathlib import Path

import pytest
from ie_crowd.challenge import load
from ie_crowd.check import integrity
from paths import ROOT

HOME = ROOT / "cm-repo" / "experiment"
RULES = load.challenge(ROOT / "cm-repo" / "challenge" / "ie-repr")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
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


def shown(metric: dict) -> str:
    """As the pages write it: two decimals, and the interval where there is one."""
    value = f"{metric['value']:.2f}" + (f" ± {metric['ci95']:.2f}" if metric["n"] > 1 else "")
    return value.replace("-", "−")


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: f"{folder.parent.name}-{folder.name[-12:]}")
def test_the_page_of_results_says_what_lies_there(folder):
    for name, metric in result(folder)["metrics"].items():
        if name in SHOWN:
            assert shown(metric) in PAGE, f"{name} is {shown(metric)}"


def headline() -> dict[str, dict[str, str]]:
    """The first page's table: column -> metric -> number without its unit."""
    block = README.partition("## Results\n")[2].partition("\n## ")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines() if line[:1] == "|"
    ]
    cells = {column: {row[0].strip("`"): row[number] for row in rows} for number, column in enumerate(head) if number}
    return {
        column: {name: re.sub(r" (?:%|nats)$", "", cell) for name, cell in values.items()}
        for column, values in cells.items()
    }


@pytest.mark.parametrize(
    ("column", "method", "division"),
    [
        ("EquiVAE, as in the paper", "equivae, paper", "closed"),
        ("EquiVAE, improved", "equivae, closed", "closed"),
    ],
)
def test_the_first_page_has_the_numbers_of_the_results(column, method, division):
    found = max(  # of the most draws
        (
            one
            for one in map(result, RESULTS)
            if (one["task"]["dataset"], one["task"]["labels"]) == ("mnist", 100)
            and (RULES.method(one["config"]), one["challenge"]["division"]) == (method, division)
        ),
        key=lambda one: one["metrics"]["classification.error"]["n"],
    )
    assert found["metrics"]["classification.error"]["n"] == 10
    table = headline()[column]
    assert set(table) == set(SHOWN) - {"equivariant.leakage_linear"}
    for name, cell in table.items():
        metric = found["metrics"].get(name)
        assert cell == ("" if metric is None else shown(metric)), name

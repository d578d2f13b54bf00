"""ie_model and ie_crowd never import each other; what they agree on in writing is held together here."""

import ast
import dataclasses

import pytest
import yaml
from ie_recipes import flags, install
from paths import ROOT

from ie_model.config import BEFORE, DATASETS, DEVICES, METHODS, SUPERVISIONS, Config
from ie_model.data import fetch
from ie_model.device import detect

RULES = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/rules.yaml").read_text(encoding="utf-8"))
PER_RUN = {"seed", "label_seed"}
FREE = {"dataset", "supervision", "labels", "device", "threads", "compile", "eager"}  # what a task or a machine decides


def test_the_rules_name_every_setting_with_its_type():
    kinds = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "int | str": "integer or string"}
    expected = {spec.name: kinds[str(spec.type)] for spec in dataclasses.fields(Config) if spec.name not in PER_RUN}
    assert RULES["config"] == expected


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("supervision", SUPERVISIONS)
def test_the_closed_division_pins_exactly_the_defaults(dataset, supervision):
    for labels in DATASETS[dataset].label_grid if supervision == "semi-supervised" else ["all"]:
        pins_are_the_defaults(dataset, supervision, labels)


def pins_are_the_defaults(dataset, supervision, labels):
    tasks = [t for t in RULES["tasks"] if (t["dataset"], t["supervision"]) == (dataset, supervision)]
    assert len(tasks) == 1
    pinned = RULES["divisions"]["closed"]["pinned"] | tasks[0]["pinned"]
    for some in tasks[0].get("pinned_by_labels", []):
        pinned |= some["pinned"] if labels in some["labels"] else {}
    defaults = Config.resolve(dataset=dataset, supervision=supervision, labels=labels).to_dict()
    assert pinned.pop("method") == list(METHODS), "both methods are comparable, and told apart"
    # Where nothing is smoothed, results from before the setting count, too.
    if supervision == "supervised" or not defaults["smoothness_weight"]:
        assert pinned["smoothness_until"] == [BEFORE["smoothness_until"], defaults["smoothness_until"]]
        pinned["smoothness_until"] = defaults["smoothness_until"]
    assert pinned == {name: value for name, value in defaults.items() if name not in PER_RUN | FREE | {"method"}}
    assert RULES["methods"]["method"]["paper"] == defaults["method"]


def test_what_older_results_had_is_the_same_in_rules_and_model():
    assert {key: one["before"] for key, one in RULES["added"].items()} == BEFORE


@pytest.mark.parametrize("dataset", fetch.FILES)
def test_the_rules_hold_the_hashes_that_are_fetched(dataset):
    # an MD5 (32 digits) proves a download, and pins nothing
    expected = {name: hash if len(hash) == 64 else None for name, hash in fetch.FILES[dataset].items()}
    assert RULES["datasets"][dataset] == expected


def test_every_data_set_is_fetched_or_drawn():
    assert set(fetch.FILES) == set(DATASETS) - {"glyphs"}


def test_the_rules_know_the_same_data_sets():
    assert set(RULES["datasets"]) == set(RULES["splits"]) == set(DATASETS)


def test_the_recipes_know_the_same_devices():
    # they name them themselves, since they answer before ie_model can be imported
    assert set(flags.DEVICES) - {"auto"} == set(install.KINDS) == set(detect.KINDS) == set(DEVICES)
    assert set(detect.LABELS) == set(detect.HIDING) == set(DEVICES) - {"cpu"}
    for recipe in ("detect-ie-device", "get-ie-deps"):
        meta = yaml.safe_load((ROOT / "script" / recipe / "_cm.yaml").read_text(encoding="utf-8"))
        assert set(DEVICES) <= set(meta["variations"]), recipe
    (asked,) = [one for one in meta["deps"] if one["tags"] == "detect,ie-device"]
    assert set(asked["skip_if_env"]["CM_IE_DEVICE"]) == set(DEVICES)


@pytest.mark.parametrize(("package", "stranger"), [("ie_model", "ie_crowd"), ("cm-repo/ie_crowd", "ie_model")])
def test_the_two_packages_never_import_each_other(package, stranger):
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.split(".")[0] == stranger for name in names), path

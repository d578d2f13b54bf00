"""ie_model and ie_crowd never import each other; what they agree on in writing is held together here."""

import ast
import dataclasses

import pytest
import yaml
from ie_recipes import flags, install
from paths import ROOT

from ie_model import recipes
from ie_model.config import DATASETS, DEVICES, METHODS, OWN, SUPERVISIONS, Config
from ie_model.data import fetch
from ie_model.device import detect

HOME = ROOT / "cm-repo/challenge/ie-repr"
RULES = yaml.safe_load((HOME / "rules.yaml").read_text(encoding="utf-8"))
EARLIER = yaml.safe_load((HOME / "rules-12.yaml").read_text(encoding="utf-8"))
PER_RUN = {"seed", "label_seed"}
FREE = {"dataset", "supervision", "labels", "device", "threads", "compile", "eager"}  # what a task or a machine decides


def test_the_rules_name_every_setting_with_its_type():
    kinds = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "int | str": "integer or string"}
    expected = {spec.name: kinds[str(spec.type)] for spec in dataclasses.fields(Config) if spec.name not in PER_RUN}
    of_own_data = yaml.safe_load((HOME.parent / "own-data" / "rules.yaml").read_text(encoding="utf-8"))
    assert of_own_data["config"] == expected
    assert RULES["config"] == {name: kind for name, kind in expected.items() if name not in OWN}


ASKED = [
    (dataset, supervision)
    for dataset, facts in DATASETS.items()
    for supervision in SUPERVISIONS
    if supervision == "supervised" or not facts.unseen  # of classes that are trained on every image has its label
]


@pytest.mark.parametrize(("dataset", "supervision"), ASKED)
@pytest.mark.parametrize("recipe", ["paper", "closed"])
def test_the_closed_division_pins_exactly_the_defaults(dataset, supervision, recipe):
    facts = DATASETS[dataset]
    for labels in facts.label_grid if supervision == "semi-supervised" or facts.unseen else ["all"]:
        pins_are_the_defaults(dataset, supervision, labels, recipe)


def pins_are_the_defaults(dataset, supervision, labels, recipe):
    tasks = [t for t in RULES["tasks"] if (t["dataset"], t["supervision"]) == (dataset, supervision)]
    assert len(tasks) == 1
    pinned = RULES["divisions"]["closed"]["pinned"] | tasks[0]["pinned"]
    for some in tasks[0].get("pinned_by_labels", []):
        pinned |= some["pinned"] if labels in some["labels"] else {}
    for some in RULES["divisions"]["closed"]["pinned_where"]:
        asked = {"dataset": dataset, "supervision": supervision, "labels": labels, "recipe": recipe}
        assert set(some["config"]) <= set(asked)
        pinned |= some["pinned"] if some["config"].items() <= asked.items() else {}
    defaults = Config.resolve(dataset=dataset, supervision=supervision, labels=labels, recipe=recipe).to_dict()
    assert pinned.pop("method") == list(METHODS), "all methods are comparable, and told apart"
    assert pinned.pop("recipe") == ["paper", "closed"], "and so are both recipes"
    told_apart = {"method", "recipe"}
    assert pinned == {name: value for name, value in defaults.items() if name not in PER_RUN | FREE | told_apart}
    assert RULES["methods"]["method"]["paper"] == defaults["method"]


def test_what_older_results_had_is_the_same_in_rules_and_model():
    for key, one in EARLIER["added"].items():
        assert recipes.BEFORE[key] == one["before"]
    since = set(RULES["config"]) - set(EARLIER["config"])
    assert since | set(EARLIER["added"]) == set(recipes.BEFORE)
    assert set(EARLIER["config"]) - set(RULES["config"]) == {"open"}
    assert "added" not in RULES, "results of earlier versions are judged by earlier rules"


@pytest.mark.parametrize("dataset", fetch.FILES)
def test_the_rules_hold_the_hashes_that_are_fetched(dataset):
    # an MD5 (32 digits) proves a download, and pins nothing
    expected = {name: hash if len(hash) == 64 else None for name, hash in fetch.FILES[dataset].items()}
    assert RULES["datasets"][dataset] == expected


def test_every_data_set_is_fetched_or_drawn():
    assert set(fetch.FILES) == set(DATASETS) - {"glyphs", "strokes"}


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

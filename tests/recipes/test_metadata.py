"""The recipes' metadata: what CM and the code rely on, for every _cm.yaml."""

import ast
import subprocess
from pathlib import Path

import pytest
import yaml
from ie_recipes import bridge, flags
from ie_recipes.data import new_classes, own_data
from paths import ROOT

SCRIPTS = sorted((ROOT / "script").glob("*/_cm.yaml"))
REPOSITORIES = [ROOT / "cmr.yaml", ROOT / "cm-repo" / "cmr.yaml"]
META = {path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in SCRIPTS}
CALLED = sorted(name for name in META if name.startswith(("reproduce-", "run-")))
REQUIRED = {"alias", "uid", "automation_alias", "automation_uid", "name", "tags", "cache"}
CUSTOMIZE_LINES_MAX = 60


def uids(node):
    """Every scalar under a key `uid` or `*_uid` of a YAML node, as nodes, so that quotes show."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "uid" or key.value.endswith("_uid"):
                yield value
            yield from uids(value)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_metadata_has_what_cm_needs(path):
    meta = META[path.parent.name]
    assert set(meta) >= REQUIRED
    assert meta["alias"] == path.parent.name
    assert (meta["automation_alias"], meta["automation_uid"]) == ("script", "5b4e0237da074764")
    assert meta["tags"] == [tag for tag in meta["tags"] if isinstance(tag, str) and not tag.startswith("_")]


@pytest.mark.parametrize("path", [*SCRIPTS, *REPOSITORIES], ids=str)
def test_uids_are_quoted_hex(path):
    # an all-digit uid without quotes is a number, and every cm command crashes
    for node in uids(yaml.compose(path.read_text(encoding="utf-8"))):
        assert node.style == '"', f"{path}: {node.value} has no quotes"
        assert len(node.value) == 16
        assert int(node.value, 16) >= 0


def test_uids_and_tags_are_unique():
    repositories = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in REPOSITORIES]
    all_uids = [meta["uid"] for meta in [*META.values(), *repositories]]
    assert len(all_uids) == len(set(all_uids))
    assert len({frozenset(meta["tags"]) for meta in META.values()}) == len(META)


def test_no_tags_of_one_recipe_are_all_in_another():
    # cm would find both and ask, or take the first
    for one, meta in META.items():
        for other, meta2 in META.items():
            assert one == other or not set(meta["tags"]) <= set(meta2["tags"]), f"'{one}' would also find '{other}'"


def test_cm_metadata_lies_only_under_script():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    for name in map(Path, filter(None, tracked)):
        if name.name in ("_cm.yaml", "_cm.json") and name.parts[0] != "cm-repo":
            assert name.parts[0] == "script", f"cm would take {name} for an artifact"


@pytest.mark.parametrize("path", sorted((ROOT / "script").glob("*/customize.py")), ids=lambda path: path.parent.name)
def test_customize_is_short_and_light(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < CUSTOMIZE_LINES_MAX
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call):
            assert not any(keyword.arg == "shell" for keyword in node.keywords), "no shell: values are the user's"
    assert not imported & {"torch", "torchvision", "numpy", "matplotlib"}


@pytest.mark.parametrize("name", CALLED)
def test_input_mapping_is_the_flags_that_are_checked(name):
    assert META[name]["input_mapping"] == {flag: key for flag, (key, _) in flags.FLAGS.items()}
    assert not set(flags.FLAGS) & bridge.CM_KEYS


@pytest.mark.parametrize("name", [name for name, meta in META.items() if "input_mapping" in meta])
def test_help_describes_every_flag(name):
    described = META[name]["input_description"]
    assert list(described) == list(META[name]["input_mapping"])
    assert all(set(entry) == {"desc"} and entry["desc"] for entry in described.values())
    assert name not in CALLED or described == META["run-ie-repr"]["input_description"]


@pytest.mark.parametrize("name", [name for name in CALLED if name.startswith("reproduce-")])
def test_wrapper_and_implementation_agree(name):
    dataset = name.removeprefix("reproduce-ie-repr-")
    groups = {kind: variation["group"] for kind, variation in META["run-ie-repr"]["variations"].items()}
    own = {kind for kind, group in groups.items() if group == "classes"}
    pictures = {kind for kind, group in groups.items() if group in ("colours", "side")}
    meta, run = META[name], META["run-ie-repr"]
    assert meta["tags"] == ["reproduce", "ie-repr", dataset]
    assert meta["env"] == {"CM_IE_DATASET": dataset}
    dependency = {"tags": f"run,ie-repr,_dataset.{dataset}", "inherit_variation_tags": True, "names": ["ie-run"]}
    faked = {"enable_if_env": {"CM_TMP_FAKE_RUN": ["yes"]}, "env": {"CM_IE_DRY_RUN": "yes"}}
    assert meta["prehook_deps"] == [dependency | {"skip_if_fake_run": True}, dependency | faked]
    # each inherited variation must be known there, with the same meaning
    known = {key: value for key, value in run["variations"].items() if key != "dataset.#"}
    if dataset == new_classes.TAG:
        assert own == set(new_classes.DATASETS)
        without = {"semi-supervised", "supervised", "equivae", "m2", "q-only", "open", "references"} | pictures
    elif dataset == own_data.TAG:
        without = {"semi-supervised", "supervised", "full", "references"} | own
    else:
        without = own | pictures
    assert meta["variations"] == {key: value for key, value in known.items() if key not in without}
    assert (ROOT / "script" / name / "customize.py").is_file(), "only the recipe that is called sees the flags"


def test_dependencies_come_in_order_and_name_recipes_that_exist():
    order = [dep["tags"] for dep in META["run-ie-repr"]["deps"]]
    assert order[:2] == ["detect,ie-device", "get,ie-deps"]
    for tags in order:
        wanted = {tag for tag in tags.split(",") if not tag.startswith("_")}
        assert [name for name, meta in META.items() if wanted <= set(meta["tags"])], f"no recipe for {tags}"

"""The real mlcflow, with a list of repositories of its own and pip pointed at nothing: what `mlcr` gives back."""

import ast
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cm_repos import register
from ie_recipes import bridge, flags, front_end, own_code
from paths import ROOT
from toy_challenge.make import write_folder

SCRIPTS = sorted((ROOT / "script").glob("*/_cm.yaml"))
PATIENCE = 120.0


def test_the_metadata_of_mlcflow_is_that_of_cm():
    derived = runpy.run_path(str(ROOT / ".ci" / "metadata"))["derived"]()
    for path, text in derived.items():
        assert path.read_text(encoding="utf-8") == text, "run .ci/metadata"
    metadata = [path for path in derived if path.name == "meta.yaml"]  # what else is derived has tests of its own
    assert sorted(path.parent.name for path in metadata) == sorted([ROOT.name, *(path.parent.name for path in SCRIPTS)])
    for path in SCRIPTS:
        assert yaml.safe_load(derived[path.with_name("meta.yaml")]) == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted((ROOT / "script").glob("*/customize.py")), ids=lambda path: path.parent.name)
def test_no_import_at_the_head_that_mlcflow_would_install(path):
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        names |= {str(node.module)} if isinstance(node, ast.ImportFrom) else set()
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def mlcflow(tmp_path_factory):
    """Returns a function that runs `mlcr` or `mlc`; it knows this checkout, and pip finds nothing."""
    place = tmp_path_factory.mktemp("mlcflow")
    here = place / "it's here"
    here.mkdir()
    env = {
        "MLC_REPOS": str(place / "MLC" / "repos"),
        "HOME": str(place),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        own_code.ANY_COPY: "yes",
    }

    def run(word: str, *arguments: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        name = "main" if word == "mlc" else word
        code = f"import sys; sys.argv[0] = {word!r}; from mlc.main import {name}; {name}()"
        argv = [sys.executable, "-c", code, *arguments]
        return subprocess.run(
            argv,
            cwd=here,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    added = run("mlc", "add", "repo", str(ROOT))
    assert added.returncode == 0, added.stderr
    run.here = here  # type: ignore[attr-defined]
    yield run
    after = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    assert after == before, "nothing is written into the checkout"


def error_line(done):
    """The one line that says what was wrong: mlcflow's own report of eight lines is not there."""
    lines = [line for line in done.stderr.splitlines() if line and " INFO ]" not in line and " WARN ]" not in line]
    assert len(lines) == 1, done.stderr
    assert "pip" not in done.stdout + done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reproduce,ie-repr,mnist", "--epoch=3"], "did you mean --epochs?"),
        (["reproduce,ie-repr,mnist", "--epochs", "5"], "write --epochs=5"),
        (["reproduce,ie-repr,mnist", "_smoke"], "'_smoke' is one word too many"),
        (["reproduce,ie-repr,svhn", "--labels=7"], "labels"),
        (["reproduce,ie-repr,mnist", "--repro"], "--repro is a key of CM, and mlcflow has none like it"),
        (["evaluate,ie-repr"], "--result=FOLDER is missing"),
    ],
)
def test_a_wrong_flag_is_one_line_and_an_exit_code(mlcflow, arguments, says):
    done = mlcflow("mlcr", *arguments)
    assert done.returncode == 2
    assert says in error_line(done)
    assert [path.name for path in mlcflow.here.iterdir()] == [".mlc-log.txt"]  # which mlcflow leaves


def test_a_device_is_found_and_a_result_checked(mlcflow, tmp_path):
    found = mlcflow("mlcr", "detect,ie-device", "--device=cpu")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("device: cpu")
    write_folder(tmp_path / "a result")
    checked = mlcflow("mlcr", "evaluate,ie-repr", f"--result={tmp_path}/a result")
    assert checked.returncode == 2
    assert "no challenge 'river-levels' here" in checked.stderr


def test_keys_are_those_of_the_front_end_that_was_used():
    bridge.refuse_unknown({"mlc_run_cmd": "mlcr a", "target": "script", "tags": "a"}, ["epochs"])
    bridge.refuse_unknown({"control": {}, "cmd": [], "save_env": True}, ["epochs"])
    with pytest.raises(ValueError, match="--mlc-isolate is a key of mlcflow, and CM has none like it"):
        bridge.refuse_unknown({"mlc_isolate": True}, ["epochs"])
    bridge.refuse_unknown({"action": "run", "target": "script", "tags": "a"}, ["epochs"])  # as from `mlct`
    with pytest.raises(ValueError, match="--target is a key of mlcflow, and CM"):
        bridge.refuse_unknown({"action": "run", "automation": "script", "target": "script"}, ["epochs"])
    words = bridge.words({"mlc_run_cmd": "/bin/mlc run script a,b --x=1 'two words'"})
    assert words == ["two words"]


def test_what_is_typed_to_go_on_is_of_the_front_end_that_was_used():
    request = flags.Request("mnist", "semi-supervised", smoke=True, outdir="/x", front_end=front_end.MLCFLOW)
    assert request.command()[:2] == ["mlcr", "reproduce,ie-repr,mnist,_semi-supervised,_smoke"]
    assert flags.from_text(request.text()) == request
    assert own_code.FRONT_ENDS.keys() == {front_end.CM, front_end.MLCFLOW}
    assert str(front_end.version(front_end.MLCFLOW)).startswith("mlcflow-")


@pytest.mark.real
def test_glyphs_smoke_through_mlcflow(mlcflow):
    done = mlcflow("mlcr", "reproduce,ie-repr,glyphs,_smoke", "--epochs=1", "--outdir=out here", timeout=600)
    assert done.returncode == 0, done.stderr
    result = json.loads((mlcflow.here / "out here" / "result.json").read_text(encoding="utf-8"))
    assert result["provenance"]["command"].startswith("mlcr reproduce,ie-repr,glyphs,_semi-supervised,_smoke")
    assert result["provenance"]["cm"]["version"] == front_end.version(front_end.MLCFLOW)
    again = mlcflow("mlcr", "reproduce,ie-repr,glyphs,_smoke", "--outdir=out here")
    assert again.returncode == 2
    assert "--outdir" in error_line(again)


@pytest.mark.real
def test_the_test_of_a_recipe_runs_it_in_both_front_ends(mlcflow, tmp_path, monkeypatch):
    """`mlct` and `cm test script`, which take what to run from the recipe's `tests:`."""
    done = mlcflow("mlct", "reproduce,ie-repr,glyphs", "--quiet", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = (mlcflow.here / "ie-repr-results").glob("*-glyphs-semi-supervised-100-smoke/result.json")
    assert json.loads(found.read_text(encoding="utf-8"))["runs"][0]["epochs"] == 1
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    register(Path(os.environ["CM_REPOS"]), ROOT)
    code = "import sys, cmind.cli; sys.argv[0] = 'cm'; cmind.cli.run()"
    argv = [sys.executable, "-c", code, "test", "script", "reproduce ie-repr glyphs", "--quiet"]
    done = subprocess.run(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "ie-repr-results").glob("*-glyphs-semi-supervised-100-smoke/result.json"))) == 1

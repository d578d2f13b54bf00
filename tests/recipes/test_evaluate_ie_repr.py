"""`cm run script "evaluate ie-repr"`: its flags become arguments, its exit code is that of the check."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cm_repos import register
from ie_recipes import crowd_commands
from paths import ROOT
from toy_challenge.make import write_folder

RECIPE = ROOT / "script" / "evaluate-ie-repr"
META = yaml.safe_load((RECIPE / "_cm.yaml").read_text(encoding="utf-8"))


def test_the_flags_of_the_recipe_are_those_that_are_checked():
    assert set(META["input_mapping"]) == set(crowd_commands.EVALUATE.names)
    assert all(key == f"CM_IE_EVALUATE_{flag.upper()}" for flag, key in META["input_mapping"].items())


def test_hashes_need_no_torch():
    for dependency in META["deps"]:
        assert dependency["enable_if_env"] == {"CM_IE_EVALUATE_DEPTH": ["metrics", "rerun"]}


def test_the_arguments():
    env = {"CM_TMP_CURRENT_PATH": "/a folder", "CM_IE_EVALUATE_RESULT": "-r $(x)", "CM_IE_EVALUATE_DEPTH": "metrics"}
    env |= {"CM_IE_EVALUATE_RUNS": 3, "CM_IE_EVALUATE_JSON": True, "CM_IE_EVALUATE_HTML": "/b/x.html"}
    assert crowd_commands.evaluate(env) == [
        "check", "--html=/b/x.html", "--depth=metrics", "--runs=3", "--json", "--", "/a folder/-r $(x)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"results": "x"}, "unknown flag --results: did you mean --result?"),
        ({"result": True}, "--result: the value is missing, write --result=VALUE"),
        ({"result": ""}, "--result: the value is missing"),
        ({"result": "a\0b"}, "--result: the value is missing"),
        ({"markdown": "x"}, "--markdown='x': takes no value"),
        ({"artifacts": ["x"]}, "'x' is one word too many"),
    ],
)
def test_flags_that_cannot_be(raw, message):
    with pytest.raises(ValueError, match=r"^(--|unknown|.x.)") as caught:
        crowd_commands.check_names(raw, crowd_commands.EVALUATE)
    assert message in str(caught.value)


def test_without_a_result_or_with_another_depth():
    with pytest.raises(ValueError, match="--result=FOLDER is missing"):
        crowd_commands.evaluate({})
    with pytest.raises(ValueError, match="--depth=deep: expected hashes, metrics or rerun"):
        crowd_commands.evaluate({"CM_IE_EVALUATE_RESULT": "x", "CM_IE_EVALUATE_DEPTH": "deep"})


def cm(*flags, cwd, stdin=subprocess.DEVNULL):
    code = "import sys, cmind.cli; sys.argv[0] = 'cm'; cmind.cli.run()"
    argv = [sys.executable, "-c", code, "run", "script", "evaluate ie-repr", *flags]
    return subprocess.run(argv, cwd=cwd, stdin=stdin, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a space and a quote, where cm knows this checkout, and a toy result of an unknown challenge."""
    register(Path(os.environ["CM_REPOS"]), ROOT)
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    place = tmp_path / "it's here"
    place.mkdir()
    write_folder(place / "a result")
    return place


def test_a_verdict_through_cm(here):
    # the toy's result, renamed to this challenge: schema and hashes hold, identity and rules do not
    found = json.loads((here / "a result" / "result.json").read_text())
    found["challenge"]["id"] = "ie-repr"
    (here / "a result" / "result.json").write_text(json.dumps(found))
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    done = cm("--result=a result", "--json", f"--html={here}/page.html", cwd=here)
    assert done.returncode == 1, done.stderr
    printed = done.stdout[done.stdout.index("{\n") :]  # cm itself may say that it indexes for the first time
    states = {item["name"]: item["state"] for item in json.loads(printed)["items"]}
    assert (states["schema"], states["id"], states["rules.task"]) == ("pass", "fail", "fail")
    assert "the verdict is above" in done.stderr
    assert (here / "page.html").read_text().startswith("<!doctype html>")
    (here / "page.html").unlink()
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--result=FOLDER is missing"),
        (["--result=nowhere"], "is not a folder"),
        (["--result=a result"], "no challenge 'river-levels' here"),
        (["--result=a result", "--detph=rerun"], "did you mean --depth?"),
        (["--result=a result", "--fail_on=never"], "invalid choice: 'never'"),
    ],
)
def test_what_cannot_be_checked_is_said(here, flags, message):
    done = cm(*flags, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr

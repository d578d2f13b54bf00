"""CM's own features, tried with the real cm: cmx, dry runs, added dependencies, JSON, cmind.access."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cm_repos import register
from ie_recipes import bridge, dry_run, flags
from paths import ROOT
from toy_challenge.make import write_folder

PATIENCE = 120.0


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder, where cm knows this checkout and not a copy that pip installed."""
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    register(Path(os.environ["CM_REPOS"]), ROOT)
    place = tmp_path / "here"
    place.mkdir()
    return place


def python(code, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def cm(*arguments, cwd, entry="run"):
    return python(
        f"import sys, cmind.cli; sys.argv[0] = 'cm'; cmind.cli.{entry}()", "run", "script", *arguments, cwd=cwd
    )


def test_cmx_runs_a_recipe(here):
    done = cm("detect ie-device", "--device=cpu", cwd=here, entry="runx")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "device: cpu" in done.stdout


def test_standard_output_is_json_and_nothing_else(here):
    cm("detect ie-device", cwd=here)  # cm says once that it indexes
    done = cm("detect ie-device", "--device=cpu", "--out=json", "--save_env", "--dirty", cwd=here)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new_env"]["CM_IE_DEVICE"] == "cpu"
    assert "device: cpu" in done.stderr


@pytest.mark.parametrize("flag", ["--dry_run", "--fake_run", "--prepare"])
def test_a_dry_run_says_what_it_would_do_and_does_nothing(here, flag):
    added = ["--adr.ie-deps.tags=_site", "--adr.ie-device.tags=_cpu"]
    done = cm("reproduce ie-repr mnist", "--epochs=3", flag, *added, cwd=here)
    assert done.returncode == 0, done.stderr
    assert "would run mnist-semi-supervised-100-both" in done.stdout.replace("-paper", "-both")
    assert "3 epochs" in done.stdout
    assert "nothing was done: a dry run" in done.stdout
    assert list(here.iterdir()) == []
    assert not any(Path(os.environ["IE_REPR_CACHE"]).glob("*")), "nothing is fetched"


def test_access_returns_the_verdict_as_data(here):
    write_folder(here / "a result")
    found = json.loads((here / "a result" / "result.json").read_text())
    found["challenge"]["id"] = "ie-repr"
    (here / "a result" / "result.json").write_text(json.dumps(found))
    asked = {"action": "run", "automation": "script", "tags": "evaluate,ie-repr", "result": "a result", "silent": True}
    code = (
        f"import cmind, json, sys; r = cmind.access({asked!r}); "
        "sys.stderr.write('\\n' + json.dumps([r['return'], r['ie_repr_verdict']]))"
    )
    done = python(code, cwd=here)
    returned, verdict = json.loads(done.stderr.splitlines()[-1])
    states = {item["name"]: item["state"] for item in verdict["items"]}
    assert (returned, states["schema"], states["id"]) == (1, "pass", "fail")


def test_keys_that_do_something_are_taken_and_those_that_do_nothing_say_so():
    for key in ("save_env", "shell", "dirty", "extra_cache_tags", "ignore_script_error", "skip_sudo", "control"):
        bridge.refuse_unknown({key: True}, flags.FLAGS)
    for key, why in (("output", "outdir"), ("version", "as new as"), ("path", "--data")):
        with pytest.raises(ValueError, match=why):
            bridge.refuse_unknown({key: "x"}, flags.FLAGS)


def test_a_dry_run_names_every_folder():
    request = flags.Request("glyphs", "semi-supervised", full=True, seeds=2, outdir="/x")
    said = dry_run.lines(request, Path("/"), {"CM_IE_DEVICE": "cpu"})
    assert [line.split(":")[0].strip() for line in said[1:-2]] == [f"/x/{name}" for name in request.parts()]
    assert "2 runs of" in said[1]

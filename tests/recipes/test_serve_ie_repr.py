"""`cm run script "serve ie-repr"`: its flags become arguments, it serves, and it ends when it is told to."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from cm_repos import register
from ie_recipes import crowd_commands
from paths import ROOT

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
RECIPE = ROOT / "script" / "serve-ie-repr"
META = yaml.safe_load((RECIPE / "_cm.yaml").read_text(encoding="utf-8"))
CODE = "import sys, cmind.cli; sys.argv[0] = 'cm'; cmind.cli.run()"


def test_the_flags_of_the_recipe_are_those_that_are_checked():
    mapping = {flag: f"CM_IE_SERVE_{flag.upper()}" for flag in crowd_commands.SERVE.names}
    assert META["input_mapping"] == {**mapping, "quiet": "CM_IE_QUIET"}
    assert META["deps"] == [{"tags": "get,ie-deps,_site"}], "no torch"


def test_the_arguments():
    env = {"CM_TMP_CURRENT_PATH": "/a folder", "CM_IE_SERVE_PORT": 8080, "CM_IE_SERVE_STORE": "s $(x).sqlite3"}
    assert crowd_commands.serve(env) == ["serve", "--port=8080", "--store=/a folder/s $(x).sqlite3"]
    env = {"CM_TMP_CURRENT_PATH": "/a", "CM_IE_SERVE_WORKERS": 2}
    assert crowd_commands.serve(env) == ["serve", "--workers=2"]
    with pytest.raises(ValueError, match="--workers is of a server"):
        crowd_commands.serve({**env, "CM_IE_SERVE_STATIC": "yes"})
    env = {"CM_TMP_CURRENT_PATH": "/a", "CM_IE_SERVE_STATIC": "yes", "CM_IE_SERVE_STORE": "postgresql://u@h/n"}
    assert crowd_commands.serve({**env, "CM_IE_QUIET": "yes"}) == [
        "site", "--store=postgresql://u@h/n", "--out=/a/ie-repr-site", "--quiet",
    ]  # fmt: skip
    assert "--out=/b" in crowd_commands.serve({**env, "CM_IE_SERVE_OUTDIR": "/b"})
    with pytest.raises(ValueError, match="--port is of a server"):
        crowd_commands.serve({**env, "CM_IE_SERVE_PORT": "1"})
    with pytest.raises(ValueError, match="--outdir is for _static"):
        crowd_commands.serve({"CM_IE_SERVE_OUTDIR": "x"})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"prt": "1"}, "unknown flag --prt: did you mean --port?"),
        ({"port": True}, "--port: the value is missing, write --port=VALUE"),
        ({"store": ""}, "--store: the value is missing"),
        ({"artifacts": ["8080"]}, "'8080' is one word too many"),
    ],
)
def test_flags_that_cannot_be(raw, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        crowd_commands.check_names(raw, crowd_commands.SERVE)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a space and a quote, where cm knows this checkout and nothing is installed."""
    register(Path(os.environ["CM_REPOS"]), ROOT)
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    place = tmp_path / "it's here"
    place.mkdir()
    return place


def test_a_site_of_files_through_cm(here):
    argv = [sys.executable, "-c", CODE, "run", "script", "serve ie-repr _static", "--store=s.sqlite3", "--quiet"]
    done = subprocess.run(argv, cwd=here, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "How to take part" in (here / "ie-repr-site" / "take-part" / "index.html").read_text(encoding="utf-8")
    again = subprocess.run([*argv, "--port=1"], cwd=here, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 2
    assert "--port is of a server" in again.stdout + again.stderr


def test_a_server_through_cm(here):
    argv = [sys.executable, "-c", CODE, "run", "script", "serve ie-repr", "--store=s.sqlite3", "--port=0"]
    server = subprocess.Popen(
        argv, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        found = None
        for line in server.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            if found:
                break
        assert found, server.stderr.read()
        with urllib.request.urlopen(found[0], timeout=30) as answer:  # noqa: S310 our own address
            assert "Invariant-equivariant" in answer.read().decode()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # the child too: it holds the pipes
        server.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_has_ended_well(here, number):
    argv = [sys.executable, "-m", "ie_crowd", "serve", "--store=s.sqlite3", "--port=0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "cm-repo")}
    server = subprocess.Popen(
        argv, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        # before it, what was taken in of the reference results
        address = next(line for line in server.stdout if line.startswith("http://")).split()[0]
        with urllib.request.urlopen(f"{address}healthz", timeout=30) as answer:  # noqa: S310 our own address
            assert answer.read() == b"ok\n"
        server.send_signal(number)
        assert server.wait(30) == 0
        assert server.stderr.read() == ""
    finally:
        server.kill()
        server.communicate(timeout=30)

"""The recipes' flow with a stand-in for ie_model: fixtures `checkout` and `place`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ie_recipes import flags
from paths import RECIPES, ROOT

PATIENCE = 120.0  # seconds; the machine may be busy
ALL = 256  # threads of a run, more than there are cores: one run at a time


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A checkout whose ie_model is the stand-in, at a path with a space; the rest is the code under test itself."""
    root = tmp_path_factory.mktemp("a checkout") / "of ie-repr"
    shutil.copytree(ROOT / "tests" / "support" / "stand_in" / "ie_model", root / "ie_model")
    for name in ("config.py", "recipes.py", "setting_checks.py"):
        shutil.copy(ROOT / "ie_model" / name, root / "ie_model" / name)
    shutil.copytree(ROOT / "ie_model" / "facts", root / "ie_model" / "facts")
    (root / "script").symlink_to(ROOT / "script", target_is_directory=True)
    (root / "cm-repo").symlink_to(ROOT / "cm-repo", target_is_directory=True)
    return root


@pytest.fixture
def place(checkout, tmp_path, monkeypatch):
    """What a workflow process needs around it; `place.log()` is what the stand-in heard."""
    paths = [checkout, ROOT / "cm-repo"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log.jsonl"))
    return Place(tmp_path)


class Place:
    """A folder to work in."""

    def __init__(self, path):
        self.path = path
        self.out = path / "results here"

    def log(self):
        log = self.path / "log.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def calls(self):
        return [" ".join(entry["argv"][:1]) for entry in self.log() if "argv" in entry]

    def argv(self, folder=None, data=None, downloaded=None, **asked):
        request = flags.Request(**{"dataset": "mnist", "supervision": "semi-supervised", "smoke": True, **asked})
        extra = [f"--data={data}"] if data else []
        extra += [f"--downloaded={downloaded}"] if downloaded is not None else []
        program = str(RECIPES / "ie_recipes" / request.program())
        return [sys.executable, program, f"--request={request.text()}", f"--folder={folder or self.out}", *extra]

    def run(self, stand_in=None, **asked):
        env = {**os.environ, "STAND_IN": json.dumps(stand_in or {})}
        return subprocess.run(
            self.argv(**asked), capture_output=True, text=True, env=env, cwd=self.path, timeout=PATIENCE
        )

    def start(self, stand_in, **asked):
        """Start it and wait until the stand-in waits; returns the process and the stand-in's pid."""
        env = {**os.environ, "STAND_IN": json.dumps(stand_in)}
        process = subprocess.Popen(
            self.argv(**asked), stderr=subprocess.PIPE, text=True, env=env, cwd=self.path, preexec_fn=heed_hang_up
        )
        return process, self.waiting()

    def waiting(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for entry in self.log():
                if "waiting" in entry:
                    return entry["waiting"]
            time.sleep(0.05)
        raise AssertionError("the stand-in never waited")

    def marker(self):
        return json.loads((self.out / "incomplete.json").read_text())


def heed_hang_up():
    """Whatever runs the tests may itself be under nohup, which its children would go on heeding."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def one_line(done):
    lines = [line for line in done.stderr.splitlines() if line.startswith("run-ie-repr: error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]

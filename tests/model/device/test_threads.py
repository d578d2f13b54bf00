"""Settings of OpenMP's that belong to other programs: a training goes on under each, and says what it does not heed."""

import os
import subprocess
import sys
import time

import pytest
import torch
from paths import ROOT

from ie_model.config import Config
from ie_model.device import runtime, threads
from ie_model.run import progress

HINDERING = ["OMP_THREAD_LIMIT=1", "OMP_DYNAMIC=true", "OMP_DYNAMIC=TRUE", "OMP_MAX_ACTIVE_LEVELS=0"]


@pytest.mark.parametrize(
    ("variables", "count", "found"),
    [
        ({}, 2, []),
        ({"OMP_THREAD_LIMIT": "1"}, 2, ["OMP_THREAD_LIMIT=1"]),
        ({"OMP_THREAD_LIMIT": "1"}, 1, []),
        ({"OMP_THREAD_LIMIT": "2"}, 2, []),
        ({"OMP_THREAD_LIMIT": "3"}, 4, ["OMP_THREAD_LIMIT=3"]),
        ({"OMP_THREAD_LIMIT": "many"}, 4, []),
        ({"OMP_DYNAMIC": "false", "OMP_MAX_ACTIVE_LEVELS": "1"}, 2, []),
        ({"OMP_DYNAMIC": " True", "OMP_MAX_ACTIVE_LEVELS": "0"}, 2, ["OMP_DYNAMIC=True", "OMP_MAX_ACTIVE_LEVELS=0"]),
    ],
)
def test_what_hinders(variables, count, found):
    assert threads.hindering(count, variables) == found


def test_too_late_is_refused(monkeypatch):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    for call in (threads.make_room, lambda count: runtime.prepare(Config.resolve(threads=count))):
        with pytest.raises(ValueError, match=r"got 2, and under OMP_THREAD_LIMIT=1.*unset it, or use threads=1"):
            call(2)
    threads.make_room(1)
    assert runtime.prepare(Config.resolve(threads=1)) == torch.device("cpu")
    assert os.environ["OMP_THREAD_LIMIT"] == "1"


def train(folder, *flags, **env):
    command = [sys.executable, "-m", "ie_model", "train", "--dataset=glyphs", "--smoke", "--epochs=1", "--quiet"]
    command += ["--epoch-images=100", "--control-steps=2", "--warm-up-steps=1", f"--outdir={folder}", *flags]
    made = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    return subprocess.run(command, cwd=ROOT, env={**made, **env}, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("setting", HINDERING)
def test_a_training_goes_on_and_says_what_it_does_not_heed(tmp_path, setting):
    name, _, value = setting.partition("=")
    done = train(tmp_path / "run", "--threads=2", **{name: value})
    assert done.returncode == 0, done.stderr
    assert f"ie_model: {setting} is not heeded: 2 threads would wait for ever" in done.stderr


def test_one_thread_keeps_to_the_limit_without_a_word(tmp_path):
    done = train(tmp_path / "run", "--threads=1", OMP_THREAD_LIMIT="1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_first_step_that_does_not_end_is_said(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.1)
    told = []
    with progress.watched(lambda *row: told.append(row), "try --threads=1") as update:
        time.sleep(0.35)
        update(0, 0.5, None)
        heard = capsys.readouterr().err
        time.sleep(0.3)
    assert heard.count("ie_model: no step has ended for") >= 2
    assert "try --threads=1" in heard
    assert capsys.readouterr().err == ""
    assert told == [(0, 0.5, None)]

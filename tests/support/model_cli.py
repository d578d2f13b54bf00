"""`python -m ie_model` as a process, and flags that make a training tiny."""

import os
import subprocess
import sys
from pathlib import Path

from paths import ROOT

TINY = ["--dataset=glyphs", "--smoke", "--epoch-images=250", "--control-steps=5", "--channels=4", "--hidden=32"]


def start(*arguments: str, cwd: Path) -> subprocess.Popen:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "ie_model", *arguments], cwd=cwd, env=env, text=True, **pipes)


def run(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err

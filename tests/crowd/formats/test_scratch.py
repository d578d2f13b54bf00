"""Temporary folders: gone with their process, and after a SIGKILL with the next start."""

import os
import signal
import subprocess
import sys
import time

import pytest
from ie_crowd.formats import scratch
from paths import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks and signals of POSIX")

CHILD = """
import sys, time
from ie_crowd.formats import scratch
with scratch.folder("test") as place:
    (place / "big").write_text("x")
    print(place, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    home = tmp_path / "my tmp"
    home.mkdir()
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(home))
    monkeypatch.setattr(scratch, "YOUNG_SECONDS", 0.0)
    return home


@pytest.fixture
def child(temporary):
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT / "cm-repo")}
    process = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout.readline().strip()
    yield process
    process.kill()
    process.communicate()


def test_a_folder_is_gone_afterwards(temporary):
    with scratch.folder("check") as place:
        assert place.is_dir()
        assert list(place.iterdir()) == []
        assert temporary in place.parents
    assert list(temporary.iterdir()) == []


def test_the_folder_of_a_killed_process_is_swept_and_no_other(temporary, child):
    foreign = temporary / "ie-repr-of-somebody"
    foreign.mkdir()
    (temporary / "ie-repr-file").touch()
    assert scratch.sweep() == []  # the child is at work
    child.send_signal(signal.SIGKILL)
    child.wait()
    with scratch.folder("next"):
        assert sorted(path.name for path in temporary.iterdir() if "-next-" not in path.name) == [
            "ie-repr-file", "ie-repr-of-somebody",
        ]  # fmt: skip


def test_a_link_is_not_followed(temporary, child, tmp_path):
    child.send_signal(signal.SIGKILL)
    child.wait()
    (left,) = temporary.iterdir()
    left.rename(tmp_path / "elsewhere")
    (temporary / "ie-repr-link").symlink_to(tmp_path / "elsewhere")
    assert scratch.sweep() == []
    assert (tmp_path / "elsewhere" / "x" / "big").exists()


def test_one_that_was_just_made_is_left(temporary, child, monkeypatch):
    monkeypatch.setattr(scratch, "YOUNG_SECONDS", 3600.0)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert scratch.sweep() == []
    assert time.time() > 0

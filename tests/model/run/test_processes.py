"""Runs as processes of their own: none outlives who started it."""

import subprocess
import sys
import time

import pytest

from ie_model.run import processes

PARENT = """
import subprocess, sys, time
from ie_model.run import processes
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=processes.bound_to_parent())
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_a_child_is_killed_with_its_parent():
    import psutil

    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_child_that_heeds_no_signal_is_killed(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE_SECONDS", 0.3)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"
    started = []

    def start():
        started.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
        started[0].stdout.readline()
        return started[0]

    running = processes.together([start, lambda: subprocess.Popen([sys.executable, "-c", ""])], 2)
    assert next(running) == (1, 0)
    began = time.monotonic()
    running.close()
    assert started[0].poll() == -9
    assert time.monotonic() - began < 5
    started[0].stdout.close()

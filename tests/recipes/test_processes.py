"""Children end with their parent however it ends, and what they could not say themselves is said."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ie_recipes.run import processes
from paths import RECIPES, ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl and signals of Linux")

# a parent, its child (as workflow.py is), and that one's child (a training), which writes its number and heeds nothing
DEEP = """
import os, sys, pathlib
sys.path.insert(0, sys.argv[1])
from ie_recipes.run import processes
level, place = int(sys.argv[2]), pathlib.Path(sys.argv[3])
(place / f"{level}").write_text(str(os.getpid()))
if level:
    argv = [sys.executable, "-c", (place / "code").read_text(), sys.argv[1], str(level - 1), str(place)]
    patience = {"patience": float(sys.argv[4])} if len(sys.argv) > 4 else {}
    raise SystemExit(processes.run(argv, cwd=place, env=os.environ, **patience))
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(60)
"""


@pytest.fixture
def tree(tmp_path):
    """Starts three processes, each the child of the one before it; returns the first, and the ids of all."""
    started = []

    def start(**more):
        (tmp_path / "code").write_text(DEEP)
        command = [sys.executable, "-c", DEEP, str(RECIPES), "2", str(tmp_path)]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **more))
        end = time.monotonic() + 60
        while not (tmp_path / "0").exists() or not (tmp_path / "0").read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.3)
        return started[0], [int((tmp_path / name).read_text()) for name in "210"]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def gone(pid, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("killed", [0, 1])
def test_no_child_outlives_a_killed_parent(tree, killed):
    _, ids = tree()
    os.kill(ids[killed], signal.SIGKILL)
    assert all(gone(pid) for pid in ids)


def test_a_training_that_does_not_answer_is_ended_by_its_own_parent():
    """cm waits longer than the workflow does, which so has time to end what does not listen."""
    assert processes.OUTER_SECONDS > processes.PATIENCE_SECONDS + 5


def test_nohup_is_heeded(tree):
    first, ids = tree(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    for pid in ids:
        os.kill(pid, signal.SIGHUP)
    time.sleep(1)
    assert first.poll() is None
    assert not any(gone(pid, 0.1) for pid in ids)


def test_a_hang_up_without_nohup_ends_all(tree):
    # whatever runs the tests may itself be under nohup
    first, ids = tree(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    os.kill(ids[0], signal.SIGHUP)
    assert gone(ids[2], 45)
    first.wait(timeout=45)


def end(code, tmp_path):
    return processes.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGHUP"])
def test_a_child_that_a_signal_ended_has_last_words(tmp_path, capfd, name):
    number = getattr(signal, name)
    code = "import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
    if number == signal.SIGHUP:  # whatever runs the tests may itself be under nohup
        code += "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    code += f"os.kill(os.getpid(), {int(number)})"
    assert end(code, tmp_path) == 128 + number
    assert f"({name})" in capfd.readouterr().err


def test_want_of_memory_is_named(tmp_path, capfd, monkeypatch):
    counts = iter([3, 4])
    monkeypatch.setattr(processes, "_memory_kills", lambda: next(counts))
    assert end("import os; os.kill(os.getpid(), 9)", tmp_path) == 137
    said = capfd.readouterr().err
    assert "the system had no memory left for it" in said
    assert said.count("\n") == 1


def test_a_child_that_speaks_for_itself_has_none(tmp_path, capfd):
    assert end("raise SystemExit(3)", tmp_path) == 3
    assert capfd.readouterr().err == ""


@pytest.mark.real
@pytest.mark.skipif(not os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK), reason="no control group can be made")
def test_a_real_kill_for_want_of_memory(tmp_path):
    group = Path("/sys/fs/cgroup/memory") / f"ie-repr-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(100 << 20))
        code = (
            f"import os, sys, pathlib; pathlib.Path({str(group / 'cgroup.procs')!r}).write_text(str(os.getpid()))\n"
            f"sys.path[:0] = [{str(RECIPES)!r}, {str(ROOT)!r}]\n"
            "from ie_recipes.run import processes\n"
            "hungry = [sys.executable, '-c', 'x = []\\nwhile True: x.append(bytearray(8 << 20))']\n"
            "sys.exit(processes.run(hungry, cwd=pathlib.Path('/'), env=os.environ))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        if done.returncode not in (137, -9):
            pytest.skip("this system does not kill by the group's limit")
        if done.returncode == 137:
            assert "no memory left" in done.stderr
    finally:
        time.sleep(0.2)
        group.rmdir()

"""What a container may use, on file trees like those that container engines make."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from paths import ROOT

from ie_model.device import limits
from ie_model.run import processes

QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"
LIMIT, USED = "memory.limit_in_bytes", "memory.usage_in_bytes"
FREE = 9223372036854771712  # what cgroup v1 writes for "no limit"


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A machine of 8 cores; returns a function that lays down its control groups."""
    monkeypatch.setattr(limits, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(limits, "PROCESS", tmp_path / "self")
    monkeypatch.setattr(limits, "VMSTAT", tmp_path / "vmstat")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def lay(of_process: str, files: dict[str, str]) -> None:
        (tmp_path / "self").write_text(of_process)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return lay


@pytest.mark.parametrize(
    ("of_process", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),  # docker run --cpus=1
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2),  # a limit above holds
        ("0::/not/here\n", {"cpu.max": "300000 100000\n"}, 3),  # the host's path, the container's files
        ("0::/../..\n", {"cpu.max": "300000 100000\n"}, 3),  # a group outside of what is mounted
        ("3:cpu,cpuacct:/docker/x\n", {f"cpu,cpuacct/{QUOTA}": "200000", f"cpu,cpuacct/{PERIOD}": "100000"}, 2),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("0::/\n3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "50000", "unified/x": ""}, 1),
        ("0::/\n", {"cpu.max": ""}, 8),
        ("0::/\n", {"cpu.max": "rubbish\n"}, 8),
        ("0::/\n", {"cpu.max": "100000 0\n"}, 8),
        ("", {}, 8),
    ],
)  # fmt: skip
def test_cores_are_those_of_the_group(group, of_process, files, cores):
    group(of_process, files)
    assert limits.cores() == cores


@pytest.mark.parametrize(
    ("of_process", "files", "limit", "room"),
    [
        ("0::/\n", {"memory.max": "1000\n", "memory.current": "700\n", "memory.stat": "inactive_file 300"}, 1000, 600),
        ("0::/\n", {"memory.max": "max\n", "memory.current": "700\n"}, None, None),
        ("0::/\n", {"memory.max": "max\n", "memory.high": "900\n", "memory.current": "700\n"}, 900, 200),
        ("0::/\n", {"memory.max": "500\n", "memory.current": "700\n"}, 500, 0),
        ("0::/a\n", {"memory.max": "800", "memory.current": "790", "a/memory.max": "600"}, 600, 10),
        ("4:memory:/d\n", {f"memory/d/{LIMIT}": "1000", f"memory/d/{USED}": "600",
                           "memory/d/memory.stat": "inactive_file 1\ntotal_inactive_file 100\n",
                           f"memory/{LIMIT}": str(FREE), f"memory/{USED}": "999999"}, 1000, 500),
        ("4:memory:/\n", {f"memory/{LIMIT}": str(FREE)}, None, None),
        ("0::/\n", {"memory.max": "1000\n"}, 1000, 1000),
    ],
)  # fmt: skip
def test_memory_is_that_of_the_group(group, of_process, files, limit, room):
    group(of_process, files)
    assert (limits.memory_limit(), limits.memory_room()) == (limit, room)


@pytest.mark.parametrize(
    ("of_process", "files", "kills"),
    [
        ("0::/\n", {"memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"}, 2),
        ("4:memory:/d\n", {"memory/d/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"}, 5),
        ("0::/\n", {"cgroup.procs": ""}, 7),  # the machine's own counter
    ],
)
def test_kills_for_want_of_memory_are_counted(group, tmp_path, of_process, files, kills):
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 7\n")
    group(of_process, files)
    assert limits.memory_kills() == kills


def test_runs_at_once_fit_into_the_container(group, monkeypatch):
    """A host of 8 cores and 1 TB, of which the container has one core, or 1,000 MB."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 40))
    group("0::/\n", {"cpu.max": "max 100000"})
    assert processes.how_many(2, 1, "cpu", 1_000_000) == 2
    group("0::/\n", {"cpu.max": "100000 100000"})
    assert processes.how_many(2, 1, "cpu", 1_000_000) == 1
    group("0::/\n", {"cpu.max": "max 100000", "memory.max": "1000000000", "memory.current": "50000000"})
    assert processes.how_many(2, 1, "cpu", 1_000_000) == 1


def test_no_file_at_all_is_no_limit(group):
    assert (limits.cpu_quota(), limits.memory_limit(), limits.memory_room(), limits.memory_kills()) == (None,) * 4


def test_it_needs_the_standard_library_only():
    code = (
        "import sys, ie_model.device.limits as own; own.cores(); print({'torch', 'numpy', 'psutil'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.real
@pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK), reason="no control group of v1 may be made here"
)
def test_a_real_control_group():
    own = Path("/sys/fs/cgroup/memory") / f"ie-repr-test-{os.getpid()}"
    own.mkdir()
    try:
        (own / "memory.limit_in_bytes").write_text(str(300 << 20))
        code = (
            "import os, sys; open(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "from ie_model.device import limits; print(limits.memory_limit(), limits.memory_room())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(own)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        limit, room = map(int, done.stdout.split())
        assert limit == 300 << 20
        assert 200 << 20 < room <= limit
    finally:
        own.rmdir()

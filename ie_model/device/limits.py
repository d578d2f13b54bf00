"""Cores and memory that this process may use: CPU affinity, and the limits of its control group (cgroup v2 and v1).

A container sees the host's processors and the host's memory; what it is given stands in files of its control group
(cpu.max, memory.max). A program that counts the host's is throttled, or killed when it asks for more memory than that.
Needs the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

CGROUPS, PROCESS, VMSTAT = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/vmstat")
NO_LIMIT = 1 << 60  # v1 writes a number near 2**63 where v2 writes "max"


def cores() -> int:
    """Processors that this process may keep busy: its affinity, or less where its group's share of time is less."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return own if quota is None else max(1, min(own, int(quota)))


def cpu_quota() -> float | None:
    """Processors' worth of time that the control group gets, 1.5 for example; None without a limit."""
    shares = []
    for folder in _folders("cpu"):
        wide = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(wide) == 2 and (quota := _number(wide[0])) and (period := _number(wide[1])):
            shares.append(quota / period)
    return min(shares, default=None)


def memory_limit() -> int | None:
    """Bytes that the control group may hold, the tightest of its own and those above it; None without a limit."""
    return min((limit for limit, _ in _memory()), default=None)


def memory_room() -> int | None:
    """Bytes left below the limit, with cached files, which the kernel drops when it must; None without a limit."""
    return min((max(0, limit - used) for limit, used in _memory()), default=None)


def memory_kills() -> int | None:
    """How many processes of the group, or else of the machine, were killed for want of memory; None if untold."""
    for folder in _folders("memory"):
        for name in ("memory.events", "memory.oom_control"):
            if (count := _field(folder / name, "oom_kill")) is not None:
                return count
    return _field(VMSTAT, "oom_kill")


def _memory() -> Iterator[tuple[int, int]]:
    """Limit and use, without cached files that can be dropped, of every control group that has a limit."""
    for folder in _folders("memory"):
        for limits, use, cached in (
            (("memory.max", "memory.high"), "memory.current", "inactive_file"),
            (("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file"),
        ):
            for name in limits:
                limit = _number(*_words(folder / name)[:1])
                if limit is not None and limit < NO_LIMIT:
                    used = _number(*_words(folder / use)[:1]) or 0
                    yield limit, max(0, used - (_field(folder / "memory.stat", cached) or 0))


def _folders(controller: str) -> Iterator[Path]:
    """This process's control group for cpu or memory and those above it, from the innermost; v2 and v1.

    In a container the path may be the host's, of which nothing lies here: what is mounted is the container's own.
    """
    for line in _lines(PROCESS):
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            roots = [CGROUPS, CGROUPS / "unified"]
        elif controller in names.split(","):
            roots = [CGROUPS / controller, CGROUPS / names]
        else:
            continue
        root = next((folder for folder in roots if folder.is_dir()), None)
        if root is None:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for many in range(len(parts), -1, -1):
            folder = root.joinpath(*parts[:many])
            if folder.is_dir():
                yield folder


def _lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").splitlines()
    return []


def _words(path: Path) -> list[str]:
    lines = _lines(path)
    return lines[0].split() if lines else []


def _number(text: str = "") -> int | None:
    """A whole number of bytes or microseconds; None for "max" and -1, which mean no limit."""
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else None


def _field(path: Path, name: str) -> int | None:
    """The number behind a name in a file of lines `name number`."""
    for line in _lines(path):
        words = line.split()
        if len(words) == 2 and words[0] == name:
            return _number(words[1])
    return None

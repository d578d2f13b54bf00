"""Where the pinned torch has no build: said in one line, since pip says "no matching distribution" and not why."""

from __future__ import annotations

import platform
import sys
import sysconfig


def refuse_here() -> None:
    """Raises ValueError, one line, if this machine or this Python is one without torch."""
    refuse(sys.platform, platform.machine(), platform.mac_ver()[0], sysconfig.get_config_var("SOABI"))


def refuse(system: str, machine: str, macos: str, abi: str | None) -> None:
    """The same of a machine. macos: its version, "" elsewhere; abi: SOABI of its Python, which names musl."""
    machine = machine.lower()
    if system == "darwin" and machine == "x86_64":
        where = "Intel Macs"
    elif system == "darwin" and macos and int(macos.split(".")[0]) < 14:
        where = f"macOS {macos}, only for 14 or newer"
    elif system == "win32" and machine in ("arm64", "aarch64"):
        where = "Windows on ARM"
    elif system == "linux" and "musl" in (abi or ""):
        where = "musl, as in Alpine Linux"
    else:
        return
    raise ValueError(
        f"torch has no build for {where}: use Linux with glibc, macOS 14 or newer on Apple silicon, Windows on x86-64, "
        "or a container (docs/platforms.md); checking and serving results need no torch"
    )

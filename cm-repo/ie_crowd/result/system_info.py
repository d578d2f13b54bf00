"""Facts about the machine and the installed software, without the machine's name, its owner's name or an address."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

_NOT_A_WORD = re.compile(r"[^A-Za-z0-9 ()@_.,:;+#&'/-]+")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r";.*\bextra\s*==")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}")


def describe(devices: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The ``system`` of a result. ``devices``: what the runs computed on (kind, name, memory_bytes, driver, count).

    What the system does not tell is "unknown" or null, never an error.
    """
    import psutil

    logical = os.cpu_count() or 1
    try:
        usable = len(os.sched_getaffinity(0))  # what a batch system or taskset leaves us, on Linux
    except AttributeError:
        usable = logical
    return {
        "os": words(_os_name(), 100),
        "kernel": words(platform.release(), 100),
        "architecture": re.sub(r"[^A-Za-z0-9_.-]", "", platform.machine())[:40] or "unknown",
        "cpu_model": words(_cpu_model(), 120),
        "cores": {"physical": psutil.cpu_count(logical=False) or None, "logical": logical, "usable": usable},
        "memory_bytes": psutil.virtual_memory().total,
        "accelerators": accelerators(devices),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def accelerators(devices: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The distinct accelerators among ``devices``, one entry for each that was there; none for a CPU."""
    found: list[dict[str, Any]] = []
    for device in devices:
        if device.get("kind") in (None, "cpu"):
            continue
        memory, driver, count = device.get("memory_bytes"), device.get("driver"), device.get("count")
        entry = {
            "kind": re.sub(r"[^a-z0-9]", "", str(device["kind"]).lower())[:20] or "unknown",
            "name": words(str(device.get("name") or "unknown"), 120),
            "memory_bytes": memory if isinstance(memory, int) and not isinstance(memory, bool) and memory > 0 else None,
            "driver": driver
            if isinstance(driver, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}", driver)
            else None,
        }
        if entry not in found:
            found += [entry] * (min(count, 64) if isinstance(count, int) and count > 1 else 1)
    return found[:64]


def words(text: str, most: int) -> str:
    """``text`` cut to what a name of hardware or of a system is made of; "unknown" if nothing is left."""
    kept = " ".join(_NOT_A_WORD.sub(" ", text).split()).lstrip(" )@_.,:;+#&'/-")
    return kept[:most].rstrip() or "unknown"


def software(distributions: Iterable[str]) -> dict[str, Any]:
    """``software`` and ``software_sha256`` of a result.

    ``software``: name and version of the installed ones among ``distributions`` and of everything they require, by
    name. ``software_sha256``: SHA-256 of the sorted ``name==version`` lines of every installed distribution.
    """
    installed: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            installed.setdefault(normalise(name), distribution)  # the first on the path is the one that is imported
    wanted, closure = [normalise(name) for name in distributions], set()
    while wanted:
        name = wanted.pop()
        if name not in installed or name in closure:
            continue
        closure.add(name)
        # What only an extra asks for is not a dependency; what another platform asks for is not installed.
        required = (line for line in installed[name].requires or () if not _EXTRA.search(line))
        matches = map(_REQUIREMENT.match, required)
        wanted += [normalise(match.group(1)) for match in matches if match]
    versions = {name: str(distribution.version) for name, distribution in installed.items()}
    full = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    return {
        "software": [
            {"name": name, "version": versions[name] if _VERSION.fullmatch(versions[name]) else "unknown"}
            for name in sorted(closure)
        ],
        "software_sha256": hashlib.sha256(full.encode()).hexdigest(),
    }


def normalise(name: str) -> str:
    """The name of a distribution as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).strip("-").lower()


def _os_name() -> str:
    if platform.system() == "Linux":
        try:
            return platform.freedesktop_os_release()["PRETTY_NAME"]
        except (OSError, KeyError):
            return "Linux"
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {platform.release()}"


def _cpu_model() -> str:
    if platform.system() == "Linux":
        try:
            named = processor(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            named = ""
        if named:
            return named
    if platform.system() == "Darwin":
        argv = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=5, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            pass
    return platform.processor() or platform.machine()


def processor(cpuinfo: str) -> str:
    """The first processor of /proc/cpuinfo: its name, and in brackets what tells its generation. "" without any.

    Hypervisors give several generations one name ("AMD EPYC"), and each rounds sums differently, as do processors whose
    widest vector instructions are hidden from the guest. So the name alone does not say that digits must be the same.
    """
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if value.strip():
            facts.setdefault(key.strip().lower(), value.strip())
    names = [facts[key] for key in ("model name", "cpu model", "model") if key in facts]
    name = next((name for name in names if not name.isdigit()), "")
    kept = ("cpu family", "model", "stepping", "cpu implementer", "cpu variant", "cpu part")
    told = [f"{key.removeprefix('cpu ')} {facts[key]}" for key in kept if facts.get(key, name) != name]
    flags = set(facts.get("flags", facts.get("features", "")).split())
    told += next(([label] for flag, label in _VECTORS.items() if flag in flags), [])
    return f"{name} ({', '.join(told)})".strip() if told else name


# the widest that the processor offers decides what torch and its libraries compute with
_VECTORS = {"amx_tile": "AMX", "avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "asimd": "NEON"}

"""Whether a result was computed on a platform like this one: then its numbers must come out again to the last digit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ie_crowd.result import system_info
from ie_crowd.result.runs import MACHINE


def difference(result: Mapping[str, Any], device: str | None) -> str:
    """What is different here, in one phrase; nothing where the same numbers are expected.

    The same: processor model, architecture, Python, the version of every package that the result lists, and the
    device. Accelerators cannot be compared from here, and do not always give the same sums: they count as different.
    ``device``: what the check was told to compute on, None for the device of the result's configuration.
    """
    if machines := {run[MACHINE] for run in result.get("runs", []) if MACHINE in run}:
        return f"runs of {len(machines)} kinds of machine: {'; '.join(sorted(machines))}"
    theirs, here = result["system"], system_info.describe()
    if theirs["accelerators"]:
        return "an accelerator"
    if device not in (None, result["config"].get("device")):
        return f"device {device}"
    for key in ("cpu_model", "architecture", "python"):
        if theirs[key] != here[key]:
            return f"{key} {theirs[key]}, here {here[key]}"
    names = [package["name"] for package in result["software"]]
    installed = {package["name"]: package["version"] for package in system_info.software(names)["software"]}
    for package in result["software"]:
        version = installed.get(system_info.normalise(package["name"]))
        if version != package["version"]:
            return f"{package['name']} {package['version']}, here {version or 'none'}"
    return ""

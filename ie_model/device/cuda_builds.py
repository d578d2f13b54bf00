"""Which CUDA builds of torch a driver and a GPU can run: the driver's version and the GPU's compute capability.

A build brings CUDA's libraries along, but not the driver: CUDA 12 runs on drivers from 525 on, CUDA 13 from 580 on
(NVIDIA's table of minor version compatibility). A build holds kernels for some compute capabilities only: CUDA 13 has
none before Turing (7.5), torch's builds with CUDA 12.8 and 12.9 none before Volta (7.0), with 12.6 none after Hopper.
What is not known fits: torch itself has the last word. Needs the standard library only.
"""

from __future__ import annotations

import platform
import re

# CUDA's major version -> the oldest driver, on Linux and on Windows
OLDEST_DRIVER = {12: ("525.60.13", "528.33"), 13: ("580.65.06", "580.88")}
# build label -> the oldest and the newest compute capability that it has kernels for; None: newer ones as well
KERNELS: dict[str, tuple[str, str | None]] = {
    "cu126": ("5.0", "9.0"),
    "cu128": ("7.0", None),
    "cu129": ("7.0", None),
    "cu130": ("7.5", None),
}
NORMAL = "cu130"  # the build of the pinned torch that the normal index (PyPI) holds for Linux


def unfit(build: str, driver: str | None, capability: str | None) -> str:
    """Why a build ("cu130") cannot run with this driver and compute capability; "" where it can, or nobody knows."""
    version = re.fullmatch(r"cu(\d+)(\d)", build)
    if version is None:
        return ""
    cuda = f"CUDA {version[1]}.{version[2]}"
    major = min(int(version[1]), max(OLDEST_DRIVER))  # a later CUDA needs at least what the last known one does
    needed = OLDEST_DRIVER.get(major, ("0", "0"))[platform.system() == "Windows"]
    if driver and _numbers(driver) < _numbers(needed):
        return f"driver {driver} is older than {needed}, which {cuda} needs"
    oldest, newest = KERNELS.get(build) or (KERNELS[NORMAL] if build > NORMAL else ("0", None))
    if capability and _numbers(capability) < _numbers(oldest):
        return f"compute capability {capability} is older than {oldest}, the oldest that {cuda} has kernels for"
    if capability and newest and _numbers(capability)[0] > _numbers(newest)[0]:
        return f"compute capability {capability} is newer than {newest}, the newest that {cuda} has kernels for"
    return ""


def fitting(driver: str | None, capability: str | None) -> list[str]:
    """The known builds that run here, the newest first."""
    return [build for build in sorted(KERNELS, reverse=True) if not unfit(build, driver, capability)]


def none_fits(driver: str | None, capability: str | None) -> str:
    """Why no known build runs here, in words that say what to do; "" where one does."""
    if fitting(driver, capability):
        return ""
    reasons = {build: unfit(build, driver, capability) for build in sorted(KERNELS)}
    by_driver = [why for why in reasons.values() if why.startswith("driver")]
    if by_driver:  # the build that asks least of the driver
        remedy = "" if not fitting(None, capability) else ": a newer driver makes it usable"
        return by_driver[0] + remedy
    return f"{reasons[min(KERNELS)]}, and no build of torch has older ones"


def of_cuda(version: str | None) -> str:
    """The label of a build with torch.version.cuda "13.0": "cu130"; "" where that is not known."""
    found = re.match(r"(\d+)\.(\d)", version or "")
    return f"cu{found[1]}{found[2]}" if found else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))

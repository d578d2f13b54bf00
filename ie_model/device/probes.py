"""The questions that `device` asks of a machine. Each returns facts, or none and one phrase that says why; none raises.

The kernel's ROCm topology, macOS, and torch itself in a child process that really computes something; nvidia.py asks
NVIDIA's driver.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

TORCH_SECONDS = 120.0  # its import from a cold network disk, and a CUDA context
CPU_BUILD = "it is a build for the CPU only"
NODES = ("nvidia*", "dxg", "kfd", "nvhost*", "nvmap")  # in /dev: NVIDIA, Windows' Linux subsystem, AMD, Jetson


class Gpu(NamedTuple):
    """One GPU; what is not known is None."""

    name: str | None
    memory_bytes: int | None = None
    uuid: str | None = None
    capability: str | None = None  # NVIDIA's compute capability, "9.0"


class Gpus(NamedTuple):
    """What one probe found, and in words who says so, or why there is nothing."""

    found: tuple[Gpu, ...]
    driver: str | None
    says: str


class Torch(NamedTuple):
    """The torch that is installed; `kind` is the accelerator it has computed on, else None and `problem` says why."""

    version: str
    kind: str | None
    problem: str = ""
    name: str | None = None
    memory_bytes: int | None = None
    usable: int = 0
    cuda: str | None = None  # the version of CUDA that it was built with


def clean(text: str | bytes | None) -> str | None:
    """A device's own text as one short printable line; None for nothing."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text or "").split())[:100]
    return line or None


def _no_paths(text: str) -> str | None:
    """`clean` without the folders of this machine: a reason travels with the results."""
    return clean(re.sub(r"(?:[A-Za-z]:)?[/\\][^\s'\"]*[/\\](?=[^\s'\"/])", "", text))


# AMD, Apple


def rocm(topology: Path = Path("/sys/class/kfd/kfd/topology/nodes"), node: Path = Path("/dev/kfd")) -> Gpus:
    """The GPUs in the topology that the kernel's ROCm driver publishes."""
    if not node.exists():
        return Gpus((), None, f"no AMD compute device ({node})")
    found = []
    for folder in sorted(topology.glob("*"), key=lambda p: (len(p.name), p.name)):
        facts = _properties(folder / "properties")
        if not facts.get("simd_count"):
            continue  # a processor
        banks = [_properties(bank) for bank in sorted(folder.glob("mem_banks/*/properties"))]
        memory = sum(
            bank.get("size_in_bytes", 0) for bank in banks if bank.get("heap_type") in (1, 2)
        )  # its own memory
        version = facts.get("gfx_target_version", 0)  # 90010 is gfx90a
        gfx = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else None
        found.append(Gpu(f"AMD {gfx}" if gfx else None, memory or None))
    if not found:
        return Gpus((), None, "the AMD compute device lists no GPU")
    if not os.access(node, os.R_OK | os.W_OK):
        return Gpus((), None, f"{node} may not be opened by this user (join its group, often 'render')")
    driver = None
    with contextlib.suppress(OSError):
        driver = clean(Path("/sys/module/amdgpu/version").read_text())
    return Gpus(tuple(found), driver, "the kernel's ROCm topology lists")


def _properties(path: Path) -> dict[str, int]:
    """The numbers of a file with lines `name number`; none of what cannot be read."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {m[1]: int(m[2]) for line in lines if (m := re.fullmatch(r"(\w+) (\d{1,20})", line.strip()))}


def mps() -> Gpus:
    """Apple's GPU, which every Mac with an Apple processor has."""
    if platform.system() != "Darwin":
        return Gpus((), None, "not a Mac")
    if platform.machine() != "arm64":
        return Gpus((), None, "not a Mac with an Apple processor (or an x86 Python on one)")
    return Gpus((Gpu(cpu_name()),), clean(platform.mac_ver()[0] and f"macOS {platform.mac_ver()[0]}"), "macOS runs on")


# torch

# `-P`: a child's own first import path would be the current folder, where a torch.py may lie. This very file is read by
# its name, so that the folder which it lies in is not needed on the path.
_CHILD = """
import json, sys, torch
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("device_probes", sys.argv[1])
probes = sys.modules["device_probes"] = module_from_spec(spec)
spec.loader.exec_module(probes)
print("\\n" + json.dumps(probes.computes(torch)._asdict()))
"""


def torch() -> Torch | None:
    """The installed torch after it has computed on its accelerator (in a child process); None where there is none."""
    if (loaded := sys.modules.get("torch")) is not None:
        return computes(loaded)
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return None
    version, accelerated = torch_build(Path(spec.origin).parent / "version.py")
    if not accelerated and platform.system() != "Darwin":
        return Torch(version, None, CPU_BUILD)
    from ie_model import entry  # the child reads this file by its name, and needs none

    command = [sys.executable, "-P", "-c", _CHILD, str(Path(__file__).resolve())]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TORCH_SECONDS, env=entry.environment()
        )
    except subprocess.TimeoutExpired:
        return Torch(version, None, f"it gave no answer within {TORCH_SECONDS:.0f} s")
    except OSError as error:
        return Torch(version, None, f"it could not be asked ({error.strerror})")
    try:
        return Torch(**json.loads(done.stdout.decode("utf-8", "replace").splitlines()[-1]))
    except (ValueError, IndexError, TypeError):  # it broke: its last line says how
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return Torch(version, None, f"it cannot be imported ({_no_paths(''.join(last)) or 'it said nothing'})")


def computes(torch: Any) -> Torch:
    """What the imported module `torch` computes on, by a small sum that really runs there: old GPUs fail only then."""
    version, cuda = str(torch.__version__), clean(torch.version.cuda)
    try:
        if torch.cuda.is_available():
            kind = "rocm" if torch.version.hip else "cuda"
            facts = torch.cuda.get_device_properties(0)
            name, memory, usable = clean(facts.name), int(facts.total_memory), int(torch.cuda.device_count())
        elif torch.backends.mps.is_available():
            kind, name, memory, usable = "mps", None, None, 1
        else:
            built = torch.version.cuda or torch.version.hip or torch.backends.mps.is_built()
            problem = "it finds no accelerator that its build supports" if built else CPU_BUILD
            return Torch(version, None, problem, cuda=cuda)
        total = (torch.ones(2, device="mps" if kind == "mps" else "cuda") * 3).sum().item()
    except Exception as error:  # a driver's own failures have many classes
        return Torch(version, None, _no_paths(str(error)) or type(error).__name__, cuda=cuda)
    if total != 6:
        return Torch(version, None, "it computes wrongly", cuda=cuda)
    return Torch(version, kind, "", name, memory, usable, cuda)


def torch_build(version_file: Path) -> tuple[str, bool]:
    """The version in torch's version.py, and whether it was built for an accelerator. Read, not run."""
    try:
        text = version_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "of an unknown version", True
    version = re.search(r"^__version__ = '([^']{1,60})'", text, re.MULTILINE)
    return version[1] if version else "of an unknown version", bool(
        re.search(r"^(cuda|hip|rocm|xpu)\b[^=\n]*= '", text, re.MULTILINE)
    )


# The machine


def accelerator_nodes(dev: Path = Path("/dev")) -> bool:
    """False if no accelerator can be reached: on Linux each has a device node, elsewhere this cannot be told."""
    return platform.system() != "Linux" or any(True for name in NODES for _ in dev.glob(name))


def in_container(root: Path = Path("/")) -> bool:
    """Whether docker, podman or apptainer says that this process is in a container."""
    return any((root / name).exists() for name in (".dockerenv", "run/.containerenv", ".singularity.d"))


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The processor's name in its maker's words."""
    with contextlib.suppress(OSError):
        if named := re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE):
            return clean(named[1])
    if platform.system() == "Darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return clean(subprocess.run(command, capture_output=True, timeout=5).stdout)
    return clean(platform.processor())

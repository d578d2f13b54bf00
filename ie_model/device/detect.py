"""Which accelerator this process can compute on, and why: NVML, nvidia-smi, ROCm's kernel topology, Apple MPS, torch.

Works before torch is installed and never imports it: a torch that is there is asked in a child process, and only where
its answer can matter. Never guessed from a compiler (nvcc). A fact that is not known is None.

    python -m ie_model.device.detect [--request=auto] [--json]
"""

# Nothing else is imported while the current folder may be on the path (see entry.py).
if __name__ == "__main__":
    from ie_model import entry

    raise SystemExit(entry.main(by_name=True, module="device.detect"))

import argparse
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ie_model.config import DEVICES as KINDS
from ie_model.device import cuda_builds, nvidia, probes
from ie_model.device.probes import Gpus

REQUESTS = ("auto", *KINDS)
LABELS = {"cuda": "an NVIDIA GPU", "rocm": "an AMD GPU with ROCm", "mps": "Apple's GPU"}
# What hides a GPU from torch. HIP honours CUDA's variable as well.
HIDING = {
    "cuda": ("CUDA_VISIBLE_DEVICES",),
    "rocm": ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
    "mps": (),
}
SMALL_AMD_BYTES = 4 << 30  # the part of memory that a processor's own graphics gets; ROCm runs on few of those


# how a container is given one
GIVEN = {
    "cuda": "--gpus=all (docker, podman) or --nv (apptainer)",
    "rocm": "--device=/dev/kfd --device=/dev/dri (docker, podman) or --rocm (apptainer)",
}


@dataclasses.dataclass(frozen=True)
class Device:
    """What to compute on. `memory_bytes` and `driver` are an accelerator's; `count` devices of the kind are usable."""

    kind: str  # one of KINDS
    name: str | None
    memory_bytes: int | None
    driver: str | None
    count: int
    reason: str  # one sentence
    capability: str | None = None  # NVIDIA's compute capability, "9.0"


class Probes(NamedTuple):
    """The questions that `detect` asks; tests put fakes in their place."""

    nvml: Callable[[], Gpus] = nvidia.nvml
    nvidia_smi: Callable[[], Gpus] = nvidia.nvidia_smi
    rocm: Callable[[], Gpus] = probes.rocm
    mps: Callable[[], Gpus] = probes.mps
    torch: Callable[[], probes.Torch | None] = probes.torch
    nodes: Callable[[], bool] = probes.accelerator_nodes
    nvidia_nodes: Callable[[], bool] = nvidia.nvidia_nodes
    cpu_name: Callable[[], str | None] = probes.cpu_name
    container: Callable[[], bool] = probes.in_container


def detect(request: str = "auto", *, ask: Probes | None = None, environ: Mapping[str, str] | None = None) -> Device:
    """The device to use; `request` is "auto" or a kind. ValueError (one line) if a kind asked for cannot be used."""
    ask = Probes() if ask is None else ask
    environ = os.environ if environ is None else environ
    if request not in REQUESTS:
        raise ValueError(f"device {request!r}: expected one of {', '.join(REQUESTS)}")
    if request == "cpu":
        return Device("cpu", ask.cpu_name(), None, None, 1, "the CPU was asked for.")
    reasons: list[str] = []
    installed: Callable[[], probes.Torch | None] = functools.cache(ask.torch if ask.nodes() else lambda: None)
    for kind in ["cuda", "rocm", "mps"] if request == "auto" else [request]:
        device, why = _try(kind, ask, installed, environ, asked=request != "auto")
        if device is not None:
            return device
        reasons += why
    if not ask.nodes():
        reasons.append("without a device node under /dev torch cannot reach one either")
    elif (torch := installed()) is not None and not any("but torch" in reason for reason in reasons):
        reasons.append(f"torch {torch.version}: {torch.problem or f'it computes on {torch.kind}'}")
    if request in GIVEN and not ask.nodes() and ask.container():
        reasons.append(f"this is a container, which is given a GPU when it is started: {GIVEN[request]}")
    because = "; ".join(dict.fromkeys(reasons))
    if request != "auto":
        raise ValueError(
            f"device {request!r} cannot be used: {because}; expected {LABELS[request]}, or use --device=cpu"
        )
    return Device("cpu", ask.cpu_name(), None, None, 1, f"no usable accelerator: {because}.")


def _try(
    kind: str, ask: Probes, installed: Callable[[], probes.Torch | None], environ: Mapping[str, str], asked: bool
) -> tuple[Device | None, list[str]]:
    """The device of this kind, or None and the reasons. Torch has the last word where it is installed."""
    for variable in HIDING[kind]:
        first = environ.get(variable, "0").split(",")[0].strip()
        if not first or first.startswith("-") or first == "NoDevFiles":  # CUDA stops at the first number that is none
            return None, [f"{variable}={environ[variable]!r} hides every GPU"]
    gpus, reasons = _look(kind, ask)
    if kind == "cuda" and gpus.found:
        gpus = gpus._replace(found=visible(gpus.found, environ.get("CUDA_VISIBLE_DEVICES")))
        if not gpus.found:
            return None, [f"CUDA_VISIBLE_DEVICES={environ['CUDA_VISIBLE_DEVICES']!r} names no GPU of this machine"]
    seen = f"{gpus.says} {_describe(gpus)}" if gpus.found else ""
    capability = best_capability(gpus.found)
    torch = installed()
    if torch is not None and torch.kind == kind:
        best = gpus.found[0] if gpus.found else probes.Gpu(None)
        name, memory = torch.name or best.name, torch.memory_bytes or best.memory_bytes
        reason = f"torch {torch.version} computed on it{f'; {seen}' if seen else ''}."
        return Device(kind, name, memory, gpus.driver, torch.usable, reason, capability), []
    if not gpus.found:
        return None, reasons
    if kind == "cuda" and not ask.nvidia_nodes():
        return None, [f"{seen}, but there is no device /dev/nvidia0 to reach it by (a container needs --gpus=all)"]
    if torch is not None:
        problem = torch.problem or f"it computes on {torch.kind}"
        if problem == probes.CPU_BUILD:
            problem += " (to replace it: pip uninstall torch torchvision, and run again)"
        elif kind == "cuda" and (why := cuda_builds.unfit(cuda_builds.of_cuda(torch.cuda), gpus.driver, capability)):
            problem += f" ({why}; {_remedy(gpus.driver, capability)})"
        return None, [f"{seen}, but torch {torch.version} cannot use it: {problem}"]
    if kind == "rocm" and not asked and max(gpu.memory_bytes or 0 for gpu in gpus.found) < SMALL_AMD_BYTES:
        return None, [f"{seen}, which has too little memory of its own to be chosen unasked (--device=rocm tries it)"]
    if kind == "cuda" and (why := cuda_builds.none_fits(gpus.driver, capability)):
        return None, [f"{seen}, but no build of torch runs on it: {why}"]
    best, reason = gpus.found[0], f"{seen}; torch is not installed yet, so it has not computed on it."
    return Device(kind, best.name, best.memory_bytes, gpus.driver, len(gpus.found), reason, capability), []


def _look(kind: str, ask: Probes) -> tuple[Gpus, list[str]]:
    """What the probes of a kind find, the first that finds something; else why each found nothing."""
    questions = {"cuda": (ask.nvml, ask.nvidia_smi), "rocm": (ask.rocm,), "mps": (ask.mps,)}[kind]
    reasons = []
    for question in questions:
        gpus = question()
        if gpus.found:
            return gpus, []
        reasons += [gpus.says] if gpus.says else []
    return Gpus((), None, ""), reasons


def best_capability(found: tuple[probes.Gpu, ...]) -> str | None:
    """The newest compute capability among GPUs: CUDA puts the fastest first. None where none is known."""
    known = [gpu.capability for gpu in found if gpu.capability]
    return max(known, key=lambda text: [int(part) for part in text.split(".")], default=None)


def _remedy(driver: str | None, capability: str | None) -> str:
    """What to do where the installed build of torch does not run: another build, or the CPU."""
    builds = cuda_builds.fitting(driver, capability)
    other = f"pip uninstall torch torchvision, and run again for the build {builds[0]}" if builds else ""
    return other or cuda_builds.none_fits(driver, capability)


def _describe(gpus: Gpus) -> str:
    first = gpus.found[0].name or "a GPU without a name"
    more = f" and {len(gpus.found) - 1} more" if len(gpus.found) > 1 else ""
    return f"{first}{more}" + (f" (driver {gpus.driver})" if gpus.driver else "")


def visible(found: tuple[probes.Gpu, ...], wanted: str | None) -> tuple[probes.Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order: numbers or UUIDs, up to the first that names none."""
    if wanted is None:
        return found
    left: list[probes.Gpu] = []
    for word in map(str.strip, wanted.split(",")):
        if word.startswith("MIG-"):  # a slice of a GPU: neither its name nor its memory is the whole GPU's
            left.append(probes.Gpu("a slice (MIG) of an NVIDIA GPU"))
            continue
        by_uuid = [gpu for gpu in found if gpu.uuid and word.startswith("GPU-") and gpu.uuid.startswith(word)]
        by_number = [found[int(word)]] if word.isascii() and word.isdigit() and int(word) < len(found) else []
        if not (match := by_uuid or by_number) or match[0] in left:
            break
        left.append(match[0])
    return tuple(left)


def torch_device(kind: str) -> str:
    """torch's own name for a kind: ROCm builds call their devices "cuda"."""
    if kind not in KINDS:
        raise ValueError(f"device kind {kind!r}: expected one of {', '.join(KINDS)}")
    return "cuda" if kind == "rocm" else kind


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code (2: the device asked for cannot be used)."""
    parser = argparse.ArgumentParser(prog="python -m ie_model.device.detect", description="Which device, and why.")
    parser.add_argument("--request", default="auto", metavar="DEVICE", help=f"one of {', '.join(REQUESTS)}")
    parser.add_argument("--json", action="store_true", help="print every fact as JSON")
    options = parser.parse_args(arguments)
    try:
        device = detect(options.request)
    except ValueError as error:
        print(f"ie_model: error: {error}", file=sys.stderr)
        return 2
    facts: dict[str, Any] = dataclasses.asdict(device)
    print(json.dumps(facts, indent=1) if options.json else f"{device.kind}: {device.name or '-'}. {device.reason}")
    return 0

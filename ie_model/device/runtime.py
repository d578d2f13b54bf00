"""What a whole process computes with: threads, kernels that repeat, denormals, and memory that is used again.

None of it changes a number, but the number of threads, which is a setting of the run.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

import torch

from ie_model.config import Config
from ie_model.device import threads
from ie_model.device.detect import torch_device

# glibc's mallopt: parameters by number (malloc.h), and what they are set to, in bytes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
REUSED = 32 << 20  # smaller blocks, such as every activation of a step, come from memory that the process has already
KEPT = 512 << 20  # of which it gives nothing back before so much of it is free


def prepare(config: Config) -> torch.device:
    """Sets up this process for a run and returns its device. Raises ValueError when this torch cannot use that."""
    threads.refuse_hindered(config.threads)
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)  # Adam's moments of unused weights decay into denormals, which are 10 times slower
    # As use_deterministic_algorithms(True, warn_only=True), which imports the compiler and so takes a second more.
    torch.set_deterministic_debug_mode("warn")
    if config.compile:
        torch.use_deterministic_algorithms(True, warn_only=True)
    # nothing here reads what it has not written; the module makes this name in a way that mypy does not see
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    keep_memory()
    kind = torch_device(config.device)
    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not usable[kind]:
        raise ValueError(f"device: got {config.device}, but torch {torch.__version__} cannot use it here; use cpu")
    return torch.device(kind)


def precision(config: Config, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """What the forward pass of a training step is computed in; parameters, gradients and sums stay fp32."""
    if not config.bf16:
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def keep_memory() -> bool:
    """Tells the C library to use freed memory again instead of asking the system for zeroed pages in every step.

    A training step took a sixth less time so. Returns whether the C library could be told (glibc's can).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all([mallopt(M_MMAP_THRESHOLD, REUSED) == 1, mallopt(M_TRIM_THRESHOLD, KEPT) == 1])

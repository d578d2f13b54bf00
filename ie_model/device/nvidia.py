"""What NVIDIA's driver says of its GPUs: NVML, through nvidia-ml-py or else ctypes, and the program nvidia-smi.

Each probe returns facts, or none and one phrase that says why; none raises. A GPU that does not answer is left out, and
the phrase says so.
"""

from __future__ import annotations

import platform
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ie_model.device.probes import Gpu, Gpus, clean

try:
    import ctypes
except ImportError:  # a Python that was built without libffi
    ctypes = None  # type: ignore[assignment]

NVML_SECONDS = 10.0  # a wedged GPU can hold NVML for ever
SMI_SECONDS = 20.0  # a GPU without persistence mode takes seconds to wake up

Answer = tuple[tuple[Gpu, ...], str | None, list[str]]  # the GPUs, the driver, and why others do not answer


def nvml() -> Gpus:
    """The GPUs that NVIDIA's management library reports."""
    try:
        found, driver, lost = bounded(_nvml, NVML_SECONDS)
    except Exception as error:  # pynvml raises classes of its own, made at run time
        return Gpus((), None, f"NVML: {clean(str(error)) or type(error).__name__}")
    if lost and not found:
        return Gpus((), driver, f"NVML reports {len(lost)} GPU(s), and none answers ({lost[0]})")
    without = f"NVML reports ({len(lost)} of {len(lost) + len(found)} GPUs left out: {lost[0]})" if lost else ""
    return Gpus(found, driver, without or ("NVML reports" if found else "NVML reports no GPU"))


def _nvml() -> Answer:
    try:
        import pynvml
    except ImportError:
        name = "nvml.dll" if platform.system() == "Windows" else "libnvidia-ml.so.1"
        if ctypes is None:
            raise OSError("this Python was built without ctypes") from None
        try:
            library = ctypes.CDLL(name)
        except OSError:
            raise OSError(f"{name} is not there") from None
        return nvml_by_ctypes(library)
    return nvml_by_pynvml(pynvml)


def nvml_by_pynvml(nvml: Any) -> Answer:
    """GPUs and driver from the module `pynvml`; raises what it raises when there is no driver.

    A GPU that has fallen off the bus raises when its handle is asked for: the others are none the worse.
    """
    nvml.nvmlInit()
    try:
        driver = clean(or_none(nvml.nvmlSystemGetDriverVersion))
        found, lost = [], []
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
            except Exception as error:  # of classes made at run time
                lost.append(f"GPU {index}: {clean(str(error)) or type(error).__name__}")
                continue
            found.append(_gpu_by_pynvml(nvml, handle))
        return tuple(found), driver, lost
    finally:
        nvml.nvmlShutdown()


def _gpu_by_pynvml(nvml: Any, handle: Any) -> Gpu:
    version = or_none(lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    return Gpu(
        clean(or_none(lambda: nvml.nvmlDeviceGetName(handle))),
        or_none(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total)),
        clean(or_none(lambda: nvml.nvmlDeviceGetUUID(handle))),
        f"{int(version[0])}.{int(version[1])}" if version else None,
    )


def nvml_by_ctypes(library: Any) -> Answer:
    """GPUs and driver from the loaded library itself; OSError with its error code when it will not start."""

    def text(function: str, *arguments: Any) -> str | None:
        buffer = ctypes.create_string_buffer(96)
        code = getattr(library, function)(*arguments, buffer, ctypes.c_uint(len(buffer)))
        return clean(buffer.value) if code == 0 else None

    def capability(handle: Any) -> str | None:
        major, minor = ctypes.c_int(0), ctypes.c_int(0)
        try:  # old libraries have no such function
            code = library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
        except AttributeError:
            return None
        return f"{major.value}.{minor.value}" if code == 0 else None

    if code := library.nvmlInit_v2():
        raise OSError(f"error code {code} at its start")
    try:
        count = ctypes.c_uint(0)
        if code := library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            raise OSError(f"error code {code} for the number of GPUs")
        found, lost = [], []
        for index in range(count.value):
            handle, memory = ctypes.c_void_p(), (ctypes.c_ulonglong * 3)()  # nvmlMemory_t: total, free, used
            if code := library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)):
                lost.append(f"GPU {index}: error code {code}")
                continue
            known = library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0
            name, uuid = text("nvmlDeviceGetName", handle), text("nvmlDeviceGetUUID", handle)
            found.append(Gpu(name, int(memory[0]) if known else None, uuid, capability(handle)))
        return tuple(found), text("nvmlSystemGetDriverVersion"), lost
    finally:
        library.nvmlShutdown()


def nvidia_smi() -> Gpus:
    """The GPUs that the program nvidia-smi reports."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Gpus((), None, "nvidia-smi is not there")
    last = ""
    for facts in (
        "compute_cap,",
        "",
    ):  # the first is not known to old ones, and an unknown word refuses the whole query
        query = [program, f"--query-gpu={facts}name,memory.total,uuid,driver_version", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(query, stdin=subprocess.DEVNULL, capture_output=True, timeout=SMI_SECONDS)
        except subprocess.TimeoutExpired:
            return Gpus((), None, f"nvidia-smi gave no answer within {SMI_SECONDS:.0f} s")
        except OSError as error:
            return Gpus((), None, f"nvidia-smi could not be started ({error.strerror})")
        text = done.stdout.decode("utf-8", "replace")
        gpus = parse_nvidia_smi(text)
        if done.returncode == 0 or gpus.found:  # one lost GPU among several makes it end with another code
            return gpus
        said = clean((text or done.stderr.decode("utf-8", "replace"))[:300])
        last = f"nvidia-smi ended with code {done.returncode} ({said or 'and said nothing'})"
        if "field" not in text + done.stderr.decode("utf-8", "replace"):
            break
    return Gpus((), None, last)


def parse_nvidia_smi(text: str) -> Gpus:
    """The GPUs in nvidia-smi's lines `[capability,] name, MiB, uuid, driver`; lines of another form count as none."""
    found, driver, others = [], None, []
    for line in filter(None, map(str.strip, text.splitlines())):
        first = re.match(r"(?:(\d{1,2}\.\d)|\[[^\]]*\])\s*,", line)
        fields = [field.strip() for field in line[first.end() if first else 0 :].rsplit(",", 3)]  # names hold commas
        if len(fields) != 4 or not fields[0] or not re.fullmatch(r"\d[\d.]*", fields[3]):
            others.append(line)
            continue
        memory = int(fields[1]) << 20 if re.fullmatch(r"[0-9]{1,9}", fields[1]) else None  # "[N/A]" where it is shared
        found.append(Gpu(clean(fields[0]), memory, clean(fields[2]), first[1] if first else None))
        driver = clean(fields[3])
    if others and not found:
        return Gpus((), None, f"nvidia-smi said something else than a list of GPUs ({clean(others[0])})")
    without = f"nvidia-smi reports (beside a line that is no GPU: {clean(others[0])})" if others else ""
    return Gpus(tuple(found), driver, without or ("nvidia-smi reports" if found else "nvidia-smi reports no GPU"))


def nvidia_nodes(dev: Path = Path("/dev")) -> bool:
    """False if no NVIDIA GPU can be reached. A driver's programs may be there without it: in a container that was
    started without its GPUs, or on a machine that only pretends to have some."""
    if platform.system() != "Linux":
        return True
    names = ("nvidia[0-9]*", "nvidia-caps/*", "dxg", "nvhost*", "nvmap")  # not nvidiactl, which has no GPU
    return any(True for name in names for _ in dev.glob(name))


def or_none(ask: Callable[[], Any]) -> Any:
    """The answer, or None where this GPU does not say (virtual and shared-memory GPUs)."""
    try:
        return ask()
    except Exception:
        return None


def bounded(work: Callable[[], Any], seconds: float) -> Any:
    """What `work` returns or raises, TimeoutError after `seconds`."""
    answer: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((work(), None))
        except Exception as error:
            answer.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result

"""Machines that are not at hand: what their probes answer, and stand-ins for NVIDIA's management library."""

from types import SimpleNamespace

from ie_model.device import detect as device_detect
from ie_model.device.probes import Gpus


def nothing(says: str) -> Gpus:
    return Gpus((), None, says)


def machine(**facts) -> device_detect.Probes:
    """A machine with device nodes and nothing else, but for `facts`: a probe's name -> what it answers."""
    answers = {
        "nvml": nothing("NVML: not there"),
        "nvidia_smi": nothing("nvidia-smi is not there"),
        "rocm": nothing("no AMD compute device"),
        "mps": nothing("not a Mac"),
        "torch": None,
        "nodes": True,
        "nvidia_nodes": True,
        "cpu_name": "Some CPU",
        "container": False,
        **facts,
    }
    return device_detect.Probes(**{name: lambda answer=answer: answer for name, answer in answers.items()})


def detect(request="auto", environ=None, **facts) -> device_detect.Device:
    return device_detect.detect(request, ask=machine(**facts), environ=environ or {})


class NVMLError(Exception):
    pass


def fake_pynvml(**changes) -> SimpleNamespace:
    facts = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: b"570.86.15",
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: [b"NVIDIA\x00 T4", "NVIDIA A"][handle],
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=100 + handle),
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
        **changes,
    }
    return SimpleNamespace(**facts)


class FakeLibrary:
    """libnvidia-ml.so.1 with one GPU: functions that fill the buffers they are given and return an error code."""

    def __init__(self, start=0, memory=0):
        self.start, self.memory, self.ended = start, memory, False

    def nvmlInit_v2(self):
        return self.start

    def nvmlShutdown(self):
        self.ended = True

    def nvmlDeviceGetCount_v2(self, count):
        count._obj.value = 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, handle):
        handle._obj.value = 7
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle, memory):
        assert handle.value == 7
        memory._obj[0] = 123
        return self.memory

    def nvmlDeviceGetName(self, handle, buffer, length):
        assert length.value == len(buffer)
        buffer.value = b"NVIDIA T4"
        return 0

    def nvmlDeviceGetUUID(self, handle, buffer, length):
        return 3  # not supported

    def nvmlSystemGetDriverVersion(self, buffer, length):
        buffer.value = b"535.1"
        return 0

"""Each branch of the choice of a device, with fakes for every machine that is not at hand."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from nvidia_fakes import FakeLibrary, NVMLError, detect, fake_pynvml, machine, nothing
from paths import ROOT

from ie_model.device import detect as device_detect
from ie_model.device import nvidia, probes
from ie_model.device.probes import Gpu, Gpus, Torch

H100 = Gpus((Gpu("NVIDIA H100 80GB HBM3", 85_520_809_984, "GPU-1a2b"),), "570.86.15", "NVML reports")
TWO = Gpus((Gpu("NVIDIA A", 10, "GPU-aaaa"), Gpu("NVIDIA B", 20, "GPU-bbbb")), "570.86.15", "NVML reports")
MI250 = Gpus((Gpu("AMD gfx90a", 64 << 30),), None, "the kernel's ROCm topology lists")
M3 = Gpus((Gpu("Apple M3"),), "macOS 15.1", "macOS runs on")
GRAPHICS = Gpus((Gpu("AMD gfx1036", 512 << 20),), None, "the kernel's ROCm topology lists")


def test_nvml_with_a_gpu_before_torch_is_there():
    got = detect(nvml=H100)
    assert (got.kind, got.name, got.memory_bytes, got.driver, got.count) == (
        "cuda", "NVIDIA H100 80GB HBM3", 85_520_809_984, "570.86.15", 1,
    )  # fmt: skip
    assert "NVML reports NVIDIA H100" in got.reason
    assert "torch is not installed yet" in got.reason
    assert got.reason.endswith(".")
    assert "\n" not in got.reason


def test_torch_has_the_last_word_on_a_gpu():
    works = Torch("2.14.1", "cuda", "", "NVIDIA H100", 80, 1)
    assert detect(nvml=H100, torch=works).reason.startswith("torch 2.14.1 computed on it; NVML reports")
    for problem in (probes.CPU_BUILD, "no kernel image is available"):
        broken = Torch("2.14.1+cpu", None, problem)
        got = detect(nvml=H100, torch=broken)
        assert got.kind == "cpu"
        assert f"but torch 2.14.1+cpu cannot use it: {problem}" in got.reason
        assert ("pip uninstall torch" in got.reason) == (problem == probes.CPU_BUILD)
        with pytest.raises(ValueError, match=problem):
            detect("cuda", nvml=H100, torch=broken)


def test_nvidia_smi_counts_when_nvml_fails():
    smi = H100._replace(says="nvidia-smi reports")
    got = detect(nvml=nothing("NVML: Driver/library version mismatch"), nvidia_smi=smi)
    assert got.kind == "cuda"
    assert "nvidia-smi reports" in got.reason


def test_torch_alone_finds_a_gpu_that_has_no_nvml():
    got = detect(torch=Torch("2.14.1", "cuda", "", "Orin", 7, 1))
    assert (got.kind, got.name, got.memory_bytes, got.driver, got.count) == ("cuda", "Orin", 7, None, 1)


def test_rocm_and_mps():
    got = detect(rocm=MI250)
    assert (got.kind, got.memory_bytes, device_detect.torch_device(got.kind)) == ("rocm", 64 << 30, "cuda")
    got = detect(rocm=MI250, torch=Torch("2.14.1+rocm7", "rocm", "", "AMD Instinct MI250X", 9, 8))
    assert (got.kind, got.name, got.count) == ("rocm", "AMD Instinct MI250X", 8)
    got = detect(mps=M3)
    assert (got.kind, got.name, got.memory_bytes, device_detect.torch_device(got.kind)) == (
        "mps",
        "Apple M3",
        None,
        "mps",
    )
    with pytest.raises(ValueError, match="it computes on rocm"):
        detect("cuda", rocm=MI250, torch=Torch("2.14.1", "rocm", "", "AMD", 9, 1))


def test_a_processors_own_graphics_is_not_chosen_unasked():
    assert detect(rocm=GRAPHICS).kind == "cpu"
    assert "--device=rocm" in detect(rocm=GRAPHICS).reason
    assert detect("rocm", rocm=GRAPHICS).kind == "rocm"


def test_nothing_is_the_cpu_with_every_reason():
    got = detect(nodes=False)
    assert (got.kind, got.name, got.memory_bytes, got.driver, got.count) == ("cpu", "Some CPU", None, None, 1)
    for part in ("NVML: not there", "nvidia-smi is not there", "no AMD", "torch cannot reach one"):
        assert part in got.reason
    assert detect(cpu_name=None).name is None
    assert "torch 2.14.1+cpu: it is a build for the CPU only" in detect(
        torch=Torch("2.14.1+cpu", None, probes.CPU_BUILD)
    ).reason  # fmt: skip


def test_torch_is_not_asked_where_it_cannot_matter():
    def never():
        raise AssertionError("torch was asked")

    ask = machine(nodes=False)._replace(torch=never)
    assert device_detect.detect("auto", ask=ask, environ={}).kind == "cpu"
    with pytest.raises(ValueError, match="cannot be used"):
        device_detect.detect("cuda", ask=ask, environ={})
    with pytest.raises(AssertionError):
        device_detect.detect("auto", ask=ask._replace(nodes=lambda: True), environ={})
    assert (
        device_detect.detect("cpu", ask=ask._replace(nodes=lambda: True), environ={}).reason == "the CPU was asked for."
    )


def test_torch_is_asked_once():
    calls = []
    ask = machine()._replace(torch=lambda: calls.append(1))
    device_detect.detect("auto", ask=ask, environ={})
    assert calls == [1]


@pytest.mark.parametrize("value", ["", " ", "-1", "-1,0", "NoDevFiles"])
def test_a_hidden_gpu_is_not_used(value):
    got = detect(environ={"CUDA_VISIBLE_DEVICES": value}, nvml=H100)
    assert got.kind == "cpu"
    assert f"CUDA_VISIBLE_DEVICES={value!r} hides every GPU" in got.reason
    with pytest.raises(ValueError, match="hides every GPU"):
        detect("cuda", environ={"CUDA_VISIBLE_DEVICES": value}, nvml=H100)
    assert detect(environ={"HIP_VISIBLE_DEVICES": value}, rocm=MI250).kind == "cpu"
    assert detect(environ={"CUDA_VISIBLE_DEVICES": value}, mps=M3).kind == "mps"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("0", "A"),
        ("1", "B"),
        ("1,0", "BA"),
        ("GPU-bb", "B"),
        ("0,7,1", "A"),
        ("0,0", "A"),
        ("0,x", "A"),
        ("0, 1", "AB"),
    ],
)
def test_cuda_visible_devices_selects(value, names):
    assert [gpu.name[-1] for gpu in device_detect.visible(TWO.found, value)] == list(names)
    got = detect(environ={"CUDA_VISIBLE_DEVICES": value}, nvml=TWO)
    assert (got.name[-1], got.count) == (names[0], len(names))


def test_cuda_visible_devices_that_names_nothing_or_a_slice():
    assert "names no GPU" in detect(environ={"CUDA_VISIBLE_DEVICES": "7"}, nvml=TWO).reason
    got = detect(environ={"CUDA_VISIBLE_DEVICES": "MIG-12/3/0"}, nvml=H100)
    assert (got.kind, got.memory_bytes) == ("cuda", None)


@pytest.mark.parametrize("kind", ["cuda", "rocm", "mps"])
def test_an_explicit_device_that_is_not_there_is_one_line(kind):
    with pytest.raises(ValueError, match="cannot be used") as caught:
        detect(kind, nodes=False)
    assert "\n" not in str(caught.value)
    assert "--device=cpu" in str(caught.value)


@pytest.mark.parametrize(("kind", "how"), [("cuda", "--gpus=all"), ("rocm", "--device=/dev/kfd"), ("mps", None)])
def test_a_container_without_a_gpu_says_how_it_is_given_one(kind, how):
    with pytest.raises(ValueError, match="cannot be used") as caught:
        detect(kind, nodes=False, container=True)
    assert ("this is a container" in str(caught.value)) == (how is not None)
    assert how is None or how in str(caught.value)
    for facts in ({"nodes": False}, {"container": True}):  # the GPU is there, and something else is wrong
        with pytest.raises(ValueError, match="cannot be used") as caught:
            detect(kind, **facts)
        assert "this is a container" not in str(caught.value)
    assert "this is a container" not in detect(nodes=False, container=True).reason, "nobody asked for one"


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv", ".singularity.d"])
def test_what_tells_a_container(tmp_path, mark):
    assert not probes.in_container(tmp_path)
    (tmp_path / mark).mkdir(parents=True)
    assert probes.in_container(tmp_path)


def test_unknown_names_are_refused():
    for name in ("gpu", "", "CUDA", "cuda:0"):
        with pytest.raises(ValueError, match="expected one of auto, cpu, cuda, rocm, mps"):
            detect(name)
    with pytest.raises(ValueError, match="expected one of"):
        device_detect.torch_device("gpu")


# nvidia-smi


def test_nvidia_smi_lines():
    got = nvidia.parse_nvidia_smi(
        "NVIDIA H100 80GB HBM3, 81559, GPU-1a2b, 570.86.15\nNVIDIA GB10, [N/A], GPU-3c, 580.95\n"
    )
    assert got.found[0] == Gpu("NVIDIA H100 80GB HBM3", 81559 << 20, "GPU-1a2b")
    assert got.found[1].memory_bytes is None
    assert got.driver == "580.95"
    assert nvidia.parse_nvidia_smi("Odd, Name, 12, GPU-1, 1.0").found[0].name == "Odd, Name"
    assert nvidia.parse_nvidia_smi("").says == "nvidia-smi reports no GPU"


@pytest.mark.parametrize(
    "text",
    ["No devices were found", "a,b", "x, 1, y, not-a-version", ", 1, GPU-1, 570", "\x00\x1b[31m", "<html>, 1, 2, <p>"],
)
def test_nvidia_smi_that_says_something_else_finds_nothing(text):
    got = nvidia.parse_nvidia_smi(text)
    assert got.found == ()
    assert got.says.isprintable()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'NVIDIA T4, 15360, GPU-1, 535.1'", "nvidia-smi reports"),
        ("echo 'Failed to initialize NVML' ; exit 9", "ended with code 9 (Failed to initialize NVML)"),
        ("exec sleep 30", "no answer"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the fake is a shell script")
def test_nvidia_smi_program(tmp_path, monkeypatch, script, says):
    folder = tmp_path / "it's $(a) folder"
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(nvidia, "SMI_SECONDS", 1.0)
    assert says in nvidia.nvidia_smi().says


# NVML


def test_pynvml(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml())
    got = nvidia.nvml()
    assert got.found == (Gpu("NVIDIA T4", 100, "GPU-0"), Gpu("NVIDIA A", 101, "GPU-1"))
    assert got.driver == "570.86.15"

    def fails(*_):
        raise NVMLError("Not Supported")

    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml(nvmlDeviceGetMemoryInfo=fails))
    assert [gpu.memory_bytes for gpu in nvidia.nvml().found] == [None, None]
    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml(nvmlInit=fails))
    assert nvidia.nvml() == Gpus((), None, "NVML: Not Supported")
    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml(nvmlDeviceGetCount=lambda: 0))
    assert nvidia.nvml().says == "NVML reports no GPU"
    monkeypatch.setattr(nvidia, "NVML_SECONDS", 0.05)
    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml(nvmlInit=lambda: time.sleep(1)))
    assert "no answer" in nvidia.nvml().says


def test_nvml_by_ctypes(monkeypatch):
    library = FakeLibrary()
    assert nvidia.nvml_by_ctypes(library) == ((Gpu("NVIDIA T4", 123, None),), "535.1", [])
    assert library.ended
    assert nvidia.nvml_by_ctypes(FakeLibrary(memory=3))[0][0].memory_bytes is None
    with pytest.raises(OSError, match="error code 18"):
        nvidia.nvml_by_ctypes(FakeLibrary(start=18))
    monkeypatch.setitem(sys.modules, "pynvml", None)  # import fails
    monkeypatch.setattr(nvidia.ctypes, "CDLL", lambda name: FakeLibrary(start=9))
    assert nvidia.nvml() == Gpus((), None, "NVML: error code 9 at its start")


# ROCm, Apple


def kfd(tmp_path: Path, *nodes: dict[str, int]) -> tuple[Path, Path]:
    for number, node in enumerate(nodes):
        folder = tmp_path / "nodes" / str(number)
        bank = folder / "mem_banks" / "0"
        bank.mkdir(parents=True)
        memory = node.pop("memory", 0)
        (bank / "properties").write_text(f"heap_type {1 if memory else 0}\nsize_in_bytes {memory or 9}\n")
        (folder / "properties").write_text("".join(f"{name} {value}\n" for name, value in node.items()) + "junk\n")
    device_node = tmp_path / "kfd"
    device_node.write_text("")
    return tmp_path / "nodes", device_node


def test_rocm_topology(tmp_path, monkeypatch):
    cpu = {"cpu_cores_count": 64, "simd_count": 0}
    gpu = {"cpu_cores_count": 0, "simd_count": 416, "gfx_target_version": 90010, "memory": 64 << 30}
    topology, node = kfd(tmp_path, cpu, gpu)
    assert probes.rocm(topology, node).found == (Gpu("AMD gfx90a", 64 << 30),)
    monkeypatch.setattr(probes.os, "access", lambda *_: False)
    assert probes.rocm(topology, node).found == ()
    assert "may not be opened" in probes.rocm(topology, node).says
    assert probes.rocm(topology, tmp_path / "none").says.startswith("no AMD compute device")


def test_rocm_topology_without_a_gpu_or_of_another_form(tmp_path):
    topology, node = kfd(tmp_path, {"cpu_cores_count": 8, "simd_count": 0})
    assert probes.rocm(topology, node).says == "the AMD compute device lists no GPU"
    (topology / "0" / "properties").write_bytes(b"\xff\xfe simd_count many\nsimd_count -4\n")
    assert probes.rocm(topology, node).found == ()


def test_apple(monkeypatch):
    monkeypatch.setattr(probes.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(probes.platform, "mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))
    monkeypatch.setattr(probes, "cpu_name", lambda: "Apple M3")
    monkeypatch.setattr(probes.platform, "machine", lambda: "arm64")
    assert probes.mps() == M3
    monkeypatch.setattr(probes.platform, "machine", lambda: "x86_64")
    assert probes.mps().found == ()
    monkeypatch.setattr(probes.platform, "system", lambda: "Linux")
    assert probes.mps().says == "not a Mac"


# torch


def fake_torch(cuda=False, mps=False, built=None, hip=None, total=6.0, fails=False) -> SimpleNamespace:
    class Ones:
        def __mul__(self, _):
            return SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: total))

    def ones(count, device):
        if fails:
            raise RuntimeError("CUDA error: no kernel image in /usr/lib/x/libcuda.so\nsecond line")
        return Ones()

    properties = SimpleNamespace(name="GPU", total_memory=5)
    return SimpleNamespace(
        __version__="2.14.1",
        version=SimpleNamespace(hip=hip, cuda=built),
        ones=ones,
        cuda=SimpleNamespace(
            is_available=lambda: cuda, get_device_properties=lambda _: properties, device_count=lambda: 2
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps, is_built=lambda: mps)),
    )


def test_what_torch_computes_on():
    assert probes.computes(fake_torch(cuda=True, built="13.0")) == Torch("2.14.1", "cuda", "", "GPU", 5, 2, "13.0")
    assert probes.computes(fake_torch(cuda=True, hip="7.0")).kind == "rocm"
    assert probes.computes(fake_torch(mps=True)) == Torch("2.14.1", "mps", "", None, None, 1)
    assert probes.computes(fake_torch()).problem == probes.CPU_BUILD
    assert "finds no accelerator" in probes.computes(fake_torch(built="13.0")).problem
    assert probes.computes(fake_torch(cuda=True, total=5.0)).kind is None
    broken = probes.computes(fake_torch(cuda=True, fails=True))
    assert broken.kind is None
    assert broken.problem == "CUDA error: no kernel image in libcuda.so second line"  # no folder of this machine


def test_torch_is_read_not_imported_when_it_is_built_for_the_cpu(tmp_path, monkeypatch):
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "version.py").write_text("__version__ = '2.14.1+cpu'\ncuda: Optional[str] = None\nhip = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(probes.platform, "system", lambda: "Linux")
    assert probes.torch() == Torch("2.14.1+cpu", None, probes.CPU_BUILD)
    (package / "version.py").write_text("__version__ = '2.14.1+cu130'\ncuda: Optional[str] = '13.0'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert probes.torch() == Torch("2.14.1+cu130", None, "it cannot be imported (imported)")
    monkeypatch.setattr(probes.importlib.util, "find_spec", lambda name: None)
    assert probes.torch() is None


def test_torch_in_a_child_process(tmp_path, monkeypatch):
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from types import SimpleNamespace as S\n__version__ = '9'\nprint('chatter')\n"
        "version = S(hip=None, cuda='13.0')\ncuda = S(is_available=lambda: False)\n"
        "backends = S(mps=S(is_available=lambda: False, is_built=lambda: False))\n"
    )
    (package / "version.py").write_text("__version__ = '9'\ncuda = '13.0'\n")
    trap = tmp_path / "current folder"
    trap.mkdir()
    (trap / "torch.py").write_text("raise SystemExit('the current folder was imported')")
    monkeypatch.chdir(trap)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert probes.torch() == Torch("9", None, "it finds no accelerator that its build supports", cuda="13.0")
    monkeypatch.setattr(probes, "TORCH_SECONDS", 0.01)
    assert "no answer" in probes.torch().problem


# the machine that runs the tests


def test_nodes(tmp_path, monkeypatch):
    monkeypatch.setattr(probes.platform, "system", lambda: "Linux")
    assert not probes.accelerator_nodes(tmp_path)
    (tmp_path / "nvidiactl").write_text("")
    assert probes.accelerator_nodes(tmp_path)
    monkeypatch.setattr(probes.platform, "system", lambda: "Windows")
    assert probes.accelerator_nodes(tmp_path / "none")


def test_cpu_name(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast  CPU\x1b[0m @ 3 GHz\n")
    assert probes.cpu_name(info) == "Fast CPU [0m @ 3 GHz"
    info.write_text("CPU implementer\t: 0x41\n")
    monkeypatch.setattr(probes.platform, "system", lambda: "Linux")
    monkeypatch.setattr(probes.platform, "processor", lambda: "")
    assert probes.cpu_name(info) is None


def test_command_line_in_a_process_of_its_own_is_fast_and_needs_no_torch():
    code = (
        "import sys, time; began = time.perf_counter(); "
        "from ie_model.device import detect; code = detect.main(['--json']);"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules;"
        "print(time.perf_counter() - began, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=child_environment())
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert list(facts) == ["kind", "name", "memory_bytes", "driver", "count", "reason", "capability"]
    if facts["kind"] == "cpu":
        assert float(done.stderr) < 1.0  # 0.05 s on an idle machine; the tests may share theirs


def test_command_line_refuses_in_one_line(capsys):
    assert device_detect.main(["--request=toaster $(x)"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ie_model: error: device 'toaster $(x)'")
    assert error.count("\n") == 1


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}

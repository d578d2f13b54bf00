"""Machines with NVIDIA GPUs that are old, lost, or only pretended: what is used, and what is said of the rest."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from nvidia_fakes import FakeLibrary, NVMLError, detect, fake_pynvml, nothing
from paths import ROOT

from ie_model.device import cuda_builds, nvidia
from ie_model.device.probes import Gpu, Gpus, Torch


def gpus(name: str, driver: str | None, *capabilities: str | None) -> Gpus:
    return Gpus(tuple(Gpu(name, 1 << 30, None, one) for one in capabilities), driver, "NVML reports")


@pytest.mark.parametrize(
    ("build", "driver", "capability", "says"),
    [
        ("cu130", "580.65.06", "7.5", ""),
        ("cu130", "595.10", "12.1", ""),
        ("cu130", "575.57.08", "9.0", "driver 575.57.08 is older than 580.65.06, which CUDA 13.0 needs"),
        ("cu130", "580.65", "9.0", "driver 580.65 is older"),
        ("cu130", "580.95", "7.0", "compute capability 7.0 is older than 7.5"),
        ("cu128", "535.104.05", "7.0", ""),
        ("cu128", "525.60.13", "6.1", "compute capability 6.1 is older than 7.0"),
        ("cu126", "525.60.13", "5.0", ""),
        ("cu126", "470.256.02", "8.0", "driver 470.256.02 is older than 525.60.13, which CUDA 12.6 needs"),
        ("cu126", "580.95", "12.0", "compute capability 12.0 is newer than 9.0"),
        ("cu126", "580.95", "3.7", "compute capability 3.7 is older than 5.0"),
        ("cu132", "590.1", "7.0", "compute capability 7.0 is older than 7.5"),  # a build that nobody knows yet
        ("cu140", "575.1", "9.0", "driver 575.1 is older"),
        ("cu130", None, None, ""),
        ("rocm7.0", "1", "1.0", ""),
    ],
)
def test_what_a_build_needs(monkeypatch, build, driver, capability, says):
    monkeypatch.setattr(cuda_builds.platform, "system", lambda: "Linux")
    found = cuda_builds.unfit(build, driver, capability)
    assert found.startswith(says)
    assert bool(found) == bool(says)


def test_windows_has_driver_numbers_of_its_own(monkeypatch):
    monkeypatch.setattr(cuda_builds.platform, "system", lambda: "Windows")
    assert "528.33" in cuda_builds.unfit("cu126", "527.41", "8.0")
    assert cuda_builds.unfit("cu126", "528.33", "8.0") == ""


def test_a_driver_that_is_too_old_for_every_build_is_the_cpu_and_named():
    got = detect(nvml=gpus("NVIDIA A100", "470.256.02", "8.0"))
    assert got.kind == "cpu"
    assert "driver 470.256.02 is older than 525.60.13, which CUDA 12.6 needs" in got.reason
    assert "a newer driver makes it usable" in got.reason
    with pytest.raises(ValueError, match=r"470\.256\.02.*--device=cpu"):
        detect("cuda", nvml=gpus("NVIDIA A100", "470.256.02", "8.0"))


def test_a_driver_for_cuda_12_is_used_with_an_older_build():
    got = detect(nvml=gpus("NVIDIA A100", "535.104.05", "8.0"))
    assert (got.kind, got.driver, got.capability) == ("cuda", "535.104.05", "8.0")


@pytest.mark.parametrize(("name", "capability"), [("Tesla K80", "3.7"), ("Tesla K40", "3.5"), ("Tesla M2090", "2.0")])
def test_a_card_that_no_build_has_kernels_for_is_the_cpu(name, capability):
    got = detect(nvml=gpus(name, "470.256.02", capability))
    assert got.kind == "cpu"
    assert name in got.reason
    got = detect(nvml=gpus(name, "580.95", capability))
    assert f"compute capability {capability} is older than 5.0" in got.reason
    assert "newer driver" not in got.reason


@pytest.mark.parametrize("capability", ["5.2", "6.1", "7.0"])
def test_a_card_before_turing_is_used_with_a_build_that_has_its_kernels(capability):
    assert detect(nvml=gpus("an older card", "560.35.03", capability)).kind == "cuda"


def test_several_cards_are_judged_by_the_newest():
    got = detect(nvml=gpus("a card", "580.95", "3.7", "10.0", "9.0"))
    assert (got.kind, got.capability, got.count) == ("cuda", "10.0", 3)


def test_torch_that_is_there_and_too_new_for_the_driver_says_so():
    broken = Torch("2.14.1+cu130", None, "it finds no accelerator that its build supports", cuda="13.0")
    got = detect(nvml=gpus("NVIDIA A100", "535.104.05", "8.0"), torch=broken)
    assert got.kind == "cpu"
    assert "driver 535.104.05 is older than 580.65.06, which CUDA 13.0 needs" in got.reason
    assert "pip uninstall torch torchvision, and run again for the build cu129" in got.reason
    got = detect(nvml=gpus("NVIDIA A100", "470.256.02", "8.0"), torch=broken)
    assert "470.256.02 is older" in got.reason
    assert "a newer driver" in got.reason


@pytest.mark.parametrize("probe", ["nvml", "nvidia_smi"])
def test_a_driver_without_its_device_is_not_believed(probe):
    for torch in (None, Torch("2.14.1", None, "it finds no accelerator that its build supports")):
        got = detect(**{probe: gpus("NVIDIA A100", "580.95", "8.0")}, nvidia_nodes=False, torch=torch)
        assert got.kind == "cpu"
        assert "/dev/nvidia0" in got.reason
        assert "--gpus" in got.reason
    works = Torch("2.14.1", "cuda", "", "NVIDIA A100", 80, 1)
    assert detect(nvml=gpus("NVIDIA A100", "580.95", "8.0"), nvidia_nodes=False, torch=works).kind == "cuda"


def test_device_files(tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia.platform, "system", lambda: "Linux")
    (tmp_path / "nvidiactl").touch()
    (tmp_path / "nvidia-uvm").touch()
    assert not nvidia.nvidia_nodes(tmp_path)  # what an old host mounts into every container
    (tmp_path / "nvidia3").touch()
    assert nvidia.nvidia_nodes(tmp_path)
    assert not nvidia.nvidia_nodes(tmp_path / "none")
    monkeypatch.setattr(nvidia.platform, "system", lambda: "Windows")
    assert nvidia.nvidia_nodes(tmp_path / "none")


# one GPU of several is lost


def lost_one(index):
    if index == 2:
        raise NVMLError("GPU is lost")
    return index


def four(**changes) -> SimpleNamespace:
    return fake_pynvml(
        nvmlDeviceGetCount=lambda: 4,
        nvmlDeviceGetName=lambda handle: "NVIDIA A",
        nvmlDeviceGetCudaComputeCapability=lambda handle: (9, 0),
        **changes,
    )


def test_one_lost_gpu_leaves_the_others(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", four(nvmlDeviceGetHandleByIndex=lost_one))
    got = nvidia.nvml()
    assert [gpu.uuid for gpu in got.found] == ["GPU-0", "GPU-1", "GPU-3"]
    assert {gpu.capability for gpu in got.found} == {"9.0"}
    assert "1 of 4 GPUs left out: GPU 2: GPU is lost" in got.says
    assert "1 of 4 GPUs left out" in detect(nvml=got).reason


def test_all_gpus_lost_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", four(nvmlDeviceGetHandleByIndex=lambda index: lost_one(2)))
    got = nvidia.nvml()
    assert got.found == ()
    assert "4 GPU(s), and none answers (GPU 0: GPU is lost)" in got.says


def test_a_driver_without_a_version_is_no_reason_to_give_up(monkeypatch):
    def fails():
        raise NVMLError("Unknown Error")

    monkeypatch.setitem(sys.modules, "pynvml", four(nvmlSystemGetDriverVersion=fails))
    got = nvidia.nvml()
    assert (len(got.found), got.driver) == (4, None)


class Library(FakeLibrary):
    """The library itself with four GPUs, of which the third is lost."""

    def nvmlDeviceGetCount_v2(self, count):
        count._obj.value = 4
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, handle):
        handle._obj.value = 7
        return 15 if index.value == 2 else 0

    def nvmlDeviceGetCudaComputeCapability(self, handle, major, minor):
        major._obj.value, minor._obj.value = 8, 6
        return 0


def test_the_library_itself_says_the_same(monkeypatch):
    found, _, lost = nvidia.nvml_by_ctypes(Library())
    assert [gpu.capability for gpu in found] == ["8.6"] * 3
    assert lost == ["GPU 2: error code 15"]
    assert nvidia.nvml_by_ctypes(FakeLibrary())[0][0].capability is None  # an old library lacks the function


def test_nvidia_smi_with_a_capability_and_a_lost_gpu():
    got = nvidia.parse_nvidia_smi(
        "8.0, NVIDIA A100, 40960, GPU-1, 535.1\nUnable to determine the device handle for GPU0: GPU is lost\n"
        "[N/A], Odd, Name, [N/A], GPU-2, 535.1\n"
    )
    assert got.found == (Gpu("NVIDIA A100", 40960 << 20, "GPU-1", "8.0"), Gpu("Odd, Name", None, "GPU-2"))
    assert "GPU is lost" in got.says


OLD_ONE = """case $1 in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;;
*) echo 'Tesla K80, 11441, GPU-1, 410.1';;
esac"""


@pytest.mark.skipif(sys.platform == "win32", reason="the fake is a shell script")
@pytest.mark.parametrize(
    ("script", "capability"),
    [
        ("case $1 in *compute_cap*) echo '7.5, NVIDIA T4, 1, GPU-1, 535.1';; *) exit 1;; esac", "7.5"),
        # an old one, which does not know the word
        (OLD_ONE, None),
        ("echo '7.5, NVIDIA T4, 1, GPU-1, 535.1'; echo 'GPU is lost'; exit 15", "7.5"),
    ],
)
def test_the_program_old_and_new(tmp_path, monkeypatch, script, capability):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (gpu,) = nvidia.nvidia_smi().found
    assert gpu.capability == capability


def test_nothing_at_all_is_as_before():
    assert nothing("x").found == ()
    assert cuda_builds.none_fits(None, None) == ""
    assert [cuda_builds.of_cuda(version) for version in ("13.0", "12.8", None, "")] == ["cu130", "cu128", "", ""]


def test_a_python_without_ctypes_still_finds_a_device():
    code = (
        "import sys; sys.modules['_ctypes'] = None; sys.modules['pynvml'] = None\n"
        "from ie_model.device import detect; raise SystemExit(detect.main([]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "this Python was built without ctypes" in done.stdout

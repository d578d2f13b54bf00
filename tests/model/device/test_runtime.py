"""What a process is set up with: repeatable kernels at little cost, and memory that is used again."""

import subprocess
import sys

import pytest
import torch
from paths import ROOT

from ie_model.config import Config
from ie_model.device import runtime


def test_kernels_repeat_or_warn_and_denormals_are_flushed():
    assert runtime.prepare(Config.resolve(threads=1)) == torch.device("cpu")
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.get_num_threads() == 1
    assert (torch.tensor([1e-39]) * 1.0).item() == 0


def test_a_training_step_loads_no_compiler():
    code = (
        "import sys, torch, ie_model.training as t, ie_model.config as c; config = c.Config.resolve(threads=1); "
        "model, optimiser = t.new_model(config, t.prepare(config)); "
        "sum(p.sum() for p in model.parameters()).backward(); optimiser.step(); "
        "print(sorted({'sympy', 'torch._inductor', 'torch._dynamo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_device_that_torch_cannot_use_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="cannot use it here; use cpu"):
        runtime.prepare(Config.resolve(device="cuda"))


class Library:
    """A C library that takes some settings and refuses others."""

    def __init__(self, accepted):
        self.accepted, self.asked = accepted, []

    def mallopt(self, parameter, value):
        self.asked.append((parameter, value))
        return int(parameter in self.accepted)


@pytest.mark.parametrize(("accepted", "told"), [({-1, -3}, True), ({-1}, False), ({-3}, False), (set(), False)])
def test_the_c_library_is_told_and_asked_whether_it_did(monkeypatch, accepted, told):
    library = Library(accepted)
    monkeypatch.setattr(runtime.sys, "platform", "linux")
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: library)
    assert runtime.keep_memory() is told
    assert library.asked == [(-3, 32 * 2**20), (-1, 512 * 2**20)]


@pytest.mark.parametrize(("platform", "library"), [("linux", object()), ("darwin", Library({-1, -3}))])
def test_another_c_library_is_left_alone(monkeypatch, platform, library):
    monkeypatch.setattr(runtime.sys, "platform", platform)
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: library)
    assert runtime.keep_memory() is False

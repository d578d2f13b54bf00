"""Encoder, posterior and decoder as programs of torch.export and ONNX: what they compute is what torch computes."""

import importlib.util

import pytest
import torch
from small_training import CONFIG

import ie_model
from ie_model import training
from ie_model.api import exported

NO_ONNX = [name for name in exported.NEEDED if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    model, _ = training.new_model(CONFIG, torch.device("cpu"))
    with torch.no_grad():  # else the pose is that of no v at all
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    r = torch.randn(10, CONFIG.invariant_dim, generator=torch.Generator().manual_seed(2))
    return ie_model.Run(tmp_path_factory.mktemp("run"), CONFIG, model.eval(), r, {})


def test_a_program_reads_back_and_computes_the_same_for_any_number_of_images(run, tmp_path):
    files = ie_model.export(run, tmp_path / "out")
    assert [file.path.name for file in files] == ["encoder.pt2", "posterior.pt2", "decoder.pt2"]
    assert all(file.difference < 1e-5 for file in files)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(file.path.name for file in files)
    decoder = torch.export.load(files[2].path).module()
    v = torch.randn(7, CONFIG.equivariant_dim)
    (drawn,) = decoder(run.r[:7], v)
    torch.testing.assert_close(drawn, run.draw(run.r[:7], v))


@pytest.mark.skipif(bool(NO_ONNX), reason=f"not installed: {', '.join(NO_ONNX)} (the extra onnx)")
def test_onnx_computes_the_same(run, tmp_path):
    files = ie_model.export(run, tmp_path, ["onnx"])
    assert [file.path.name for file in files] == ["encoder.onnx", "posterior.onnx", "decoder.onnx"]
    assert all(file.difference < 1e-4 for file in files)


def test_a_file_that_computes_something_else_is_not_kept(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "MOST_DIFFERENT", -1.0)
    monkeypatch.setattr(exported, "PROGRAMS", {"decoder": exported.Decoder})
    with pytest.raises(RuntimeError, match=r"decoder\.pt2: differs from torch by"):
        ie_model.export(run, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_wrong_formats_and_folders_are_one_line(run, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="format: got 'tf', expected one of: torch, onnx"):
        ie_model.export(run, tmp_path, ["tf"])
    monkeypatch.setattr(exported, "NEEDED", ("no_such_onnx",))
    with pytest.raises(ValueError, match=r"needs no_such_onnx, .*pip install"):
        ie_model.export(run, tmp_path, ["onnx"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be made"):
        ie_model.export(run, tmp_path / "file")

"""v moves what is decoded, in the same way under every class, and reads its gradient the same way on every device."""

import dataclasses
import json
import math

import pytest
import torch
from torch.nn import functional as F

from ie_model import pose, training
from ie_model.config import Config
from ie_model.model import EquiVAE
from ie_model.pose import SHIFT_X, START, Pose
from ie_model.run import checkpoint

SMALL = Config.resolve(channels=4, hidden=16, invariant_dim=4, equivariant_dim=8, pose_gain=1.0)
SIDE = 28


def unit(entry: int, amount: float = 1.0) -> torch.Tensor:
    """v that is 0 but for the dimension whose start is about ``entry``."""
    v = torch.zeros(1, 8)
    v[0, next(i for i, entries in enumerate(START) if entry in entries)] = amount
    return v


def picture() -> torch.Tensor:
    image = torch.zeros(1, 1, SIDE, SIDE)
    image[0, 0, 8:20, 10:13] = 1.0
    image[0, 0, 17:20, 10:18] = 1.0  # an L: no turn or mirror image of it is itself
    return image


def test_without_a_word_of_v_nothing_moves():
    assert torch.allclose(Pose(8, 1.0)(picture(), torch.zeros(1, 8)), picture(), atol=1e-6)
    assert torch.allclose(Pose(8, 0.5)(picture(), torch.ones(1, 8) * 0), picture(), atol=1e-6)


@pytest.mark.parametrize("pixels", [1, 3, -2])
def test_a_shift_is_told_in_parts_of_the_side_and_moves_to_the_right(pixels):
    amount = pixels / (START[4][SHIFT_X] * SIDE / 2)
    moved = Pose(8, 1.0)(picture(), unit(SHIFT_X, amount))
    assert torch.allclose(moved, picture().roll(pixels, dims=3), atol=1e-5)


def test_a_shift_stays_the_same_whatever_the_turn():
    """The shift is linear in v by itself: the middle of a turned picture lies where v puts it."""
    v = unit(SHIFT_X, 2.0)
    v[0, 0] = 1.5  # turned too

    def middle(image):
        mass = image.squeeze() / image.sum()
        return torch.stack([(mass.sum(0) * torch.arange(SIDE)).sum(), (mass.sum(1) * torch.arange(SIDE)).sum()])

    ring = (torch.hypot(*torch.meshgrid(*[torch.arange(SIDE) - 13.5] * 2, indexing="ij")) - 5).abs().lt(1.5).float()
    moved = Pose(8, 1.0)(ring.view(1, 1, SIDE, SIDE), v)
    assert middle(moved).tolist() == pytest.approx([13.5 + 2.0 * 0.1 * SIDE / 2, 13.5], abs=0.05)


def test_a_turn_by_a_right_angle_is_a_turn():
    turned = Pose(2, 1.0)
    with torch.no_grad():  # linear part 0 -1 / 1 0
        turned.weight.zero_()
        turned.weight[pose.ACROSS_X, 0] = turned.weight[pose.ACROSS_Y, 0] = -1.0
        turned.weight[pose.ACROSS_XY, 0], turned.weight[pose.ACROSS_YX, 0] = -1.0, 1.0
    moved = turned(picture(), torch.tensor([[1.0, 0.0]]))
    assert torch.allclose(moved, picture().rot90(1, dims=(2, 3)), atol=1e-5) or torch.allclose(
        moved, picture().rot90(-1, dims=(2, 3)), atol=1e-5
    )
    assert not torch.allclose(moved, picture(), atol=0.1)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 9, 12)])
def test_products_of_matrices_sample_as_grid_sample_does_in_value_and_gradient(shape):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(shape, generator=generator, dtype=torch.double, requires_grad=True)
    grid = 3 * torch.rand(shape[0], 11, 7, 2, generator=generator, dtype=torch.double) - 1.5  # beyond the border too
    grid.requires_grad_()
    found = []
    for sampled in (
        F.grid_sample(images, grid, padding_mode="border", align_corners=False),
        pose.resample_by_products(images, grid),
    ):
        weights = torch.randn(sampled.shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)
        found.append([sampled, *torch.autograd.grad((sampled * weights).sum(), (images, grid))])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)


def test_v_moves_every_class_alike():
    """What the pose does depends on v alone: under another r the same v moves another drawing in the same way."""
    model = EquiVAE(SMALL).eval()
    v = torch.randn(1, 8, generator=torch.Generator().manual_seed(2))
    r = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert model.decoder.pose is not None
        together = model.decoder(r, v).unflatten(-1, (1, SIDE, SIDE))
        still, model.decoder.pose = model.decoder.pose, None
        drawings = model.decoder(r, v).unflatten(-1, (1, SIDE, SIDE))
        assert torch.allclose(together, still(drawings, v.expand(5, -1)), atol=1e-5)


def test_a_model_from_before_the_pose_has_none(tmp_path):
    without = dataclasses.replace(SMALL, pose_gain=0.0, posed_weight=0.0)
    model = EquiVAE(without)
    assert model.decoder.pose is None
    assert not any("pose" in name for name in model.state_dict())
    stored = {name: value for name, value in without.to_dict().items() if name not in ("pose_gain", "posed_weight")}
    (tmp_path / "config.json").write_text(json.dumps(stored), encoding="utf-8")
    read = Config.read(tmp_path / "config.json")
    assert read.pose_gain == 0.0
    checkpoint.load_module("m", EquiVAE(read), checkpoint.module_tensors("m", model))


def test_the_pose_is_learned():
    model, optimiser = training.new_model(SMALL, torch.device("cpu"))
    before = model.decoder.pose.weight.detach().clone()
    noise = torch.randn(20, 8)
    x = torch.rand(10, 2, 1, SIDE, SIDE)
    result = training.labelled_step(model, x, noise, 1.0, 1.0)
    assert model.decoder.pose.weight.grad is None
    training._descend(optimiser, result.loss)
    assert not torch.equal(model.decoder.pose.weight, before)
    assert math.isfinite(result.loss.item())


def test_places_that_are_not_numbers_do_not_end_the_process():
    """What finite places give, and their gradients, keep every bit."""
    draw = torch.Generator().manual_seed(3)
    images, grid = torch.rand(2, 1, 8, 8, generator=draw), 3 * torch.rand(2, 8, 8, 2, generator=draw) - 1.5

    def moved(resample, places):
        x, at = images.clone().requires_grad_(), places.clone().requires_grad_()
        resample(x, at).square().sum().backward()
        return x.grad, at.grad

    plain = moved(lambda x, at: F.grid_sample(x, at, padding_mode="border", align_corners=False), grid)
    assert all(torch.equal(a, b) for a, b in zip(moved(pose.resample, grid), plain, strict=True))
    for bad in (math.nan, math.inf, -math.inf):
        broken = grid.clone()
        broken[0] = bad
        x, at = moved(pose.resample, broken)
        assert torch.equal(at[1], plain[1][1])
        assert torch.equal(x[1], plain[0][1])
        assert x.isfinite().all()
        assert (at[0] == 0).all()

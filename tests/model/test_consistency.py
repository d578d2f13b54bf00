"""What q(y|x) is held to besides the bounds: smoothness around an image, and agreement with its moved copies."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ie_model import consistency
from ie_model.config import Config
from ie_model.metrics import transforms
from ie_model.model import EquiVAE

SMALL = Config(channels=2, hidden=8, invariant_dim=2, equivariant_dim=2, smoothness_images=3)
OPEN = Config(channels=2, hidden=8, invariant_dim=2, equivariant_dim=2, smoothness_weight=0.0, moved_weight=5.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear(weights: torch.Tensor):
    """log q of a classifier that sees images through these weights alone, (pixels, C)."""
    return lambda x: F.log_softmax(x.flatten(1) @ weights, dim=1)


def batches(classes: int = 10, k: int = 2, count: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(classes, k, 1, 28, 28), torch.rand(count, 1, 28, 28)


def terms(model: EquiVAE, known: torch.Tensor, unknown: torch.Tensor, *others) -> torch.Tensor:
    """What a step adds, with the step's own answers on its unlabelled images."""
    return consistency.terms(model, known, unknown, model.classify(model.features(unknown)), *others)


def test_divergence_is_that_of_torch_distributions():
    torch.manual_seed(0)
    p, q = torch.randn(6, 4).log_softmax(1), torch.randn(6, 4).log_softmax(1)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
    )
    torch.testing.assert_close(consistency.divergence(p, q), expected)


def test_steps_get_the_length_that_is_asked_for_and_none_is_invented_from_nothing():
    steps = torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)])
    scaled = consistency.with_length(steps, 3.0)
    torch.testing.assert_close(scaled[0], torch.full((1, 2, 2), 1.5))
    assert not scaled[1].any()


def test_the_worst_step_goes_along_the_only_direction_that_two_classes_differ_in():
    torch.manual_seed(2)
    weights = torch.randn(16, 2)
    x = 0.1 * torch.rand(4, 1, 4, 4)
    log_q = linear(weights)
    step = consistency.adversarial_step(log_q, x, log_q(x), torch.randn(x.shape, generator=generator()), 2.0)
    direction = F.normalize(weights[:, 0] - weights[:, 1], dim=0)
    torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.full((4,), 2.0))
    torch.testing.assert_close((step.flatten(1) @ direction).abs(), torch.full((4,), 2.0), rtol=1e-3, atol=1e-3)


def test_the_worst_step_changes_q_more_than_random_ones():
    torch.manual_seed(3)
    log_q, x = linear(torch.randn(16, 5)), torch.rand(8, 1, 4, 4)
    worst = consistency.smoothness(log_q, x, torch.randn(x.shape, generator=generator()), 0.5)
    for seed in range(5):
        step = consistency.with_length(torch.randn(x.shape, generator=generator(seed)), 0.5)
        assert consistency.divergence(log_q(x), log_q(x + step)).mean() < worst


def test_smoothness_is_no_less_than_nothing_and_nothing_for_a_classifier_that_ignores_the_image():
    x = torch.rand(3, 1, 4, 4)
    start = torch.randn(x.shape, generator=generator())
    value = consistency.smoothness(lambda z: F.log_softmax(z.flatten(1)[:, :5] * 0.0, dim=1), x, start, 1.0)
    assert value.item() == pytest.approx(0, abs=1e-7)


def test_only_the_moved_answer_learns():
    """q at the image is what the other should keep: its own gradient would let both drift together."""
    torch.manual_seed(4)
    weights = torch.randn(16, 3, requires_grad=True)
    x, start = torch.rand(2, 1, 4, 4), torch.randn(2, 1, 4, 4, generator=generator())
    consistency.smoothness(linear(weights), x, start, 1.0).backward()
    fixed = weights.detach()
    step = consistency.adversarial_step(linear(fixed), x, linear(fixed)(x), start, 1.0)
    again = weights.detach().clone().requires_grad_()
    consistency.divergence(linear(fixed)(x), linear(again)(x + step)).mean().backward()
    torch.testing.assert_close(weights.grad, again.grad)


def test_perturbed_batches_leave_no_trace_in_the_running_statistics():
    norm = nn.BatchNorm1d(3)
    before = {name: value.clone() for name, value in norm.state_dict().items() if "running" in name}
    with consistency.frozen_statistics(norm):
        norm(torch.randn(8, 3) + 5)
    assert all(torch.equal(norm.state_dict()[name], value) for name, value in before.items())
    with pytest.raises(RuntimeError, match="stop"), consistency.frozen_statistics(norm):
        raise RuntimeError("stop")
    norm(torch.randn(8, 3) + 5)
    assert not torch.equal(norm.running_mean, before["running_mean"])


def test_without_weights_nothing_is_added_and_no_noise_is_drawn():
    known, unknown = batches()
    noise = generator()
    value = terms(EquiVAE(SMALL), known, unknown, SMALL, None, None, None, noise)
    assert value.item() == 0
    assert torch.equal(noise.get_state(), generator().get_state())


def test_smoothness_is_asked_of_the_first_images_of_a_step_times_its_weight():
    torch.manual_seed(5)
    model = EquiVAE(SMALL)
    known, unknown = batches()
    value = terms(model, known, unknown, SMALL, 7.0, None, None, generator())
    start = torch.randn(3, 1, 28, 28, generator=generator())
    one = consistency.smoothness(lambda x: model.classify(model.features(x)), unknown[:3], start, 3.0)
    torch.testing.assert_close(value, 7 * one)


def test_copies_that_are_not_moved_agree_with_themselves_and_labelled_ones_have_their_class():
    torch.manual_seed(6)
    config = Config(**{**OPEN.to_dict(), "moved_amount": 0.0, "moved_sharpness": 1.0})
    model = EquiVAE(config).eval()  # running statistics: the same answer in every batch
    known, unknown = batches()
    value = terms(model, known, unknown, config, None, 5.0, None, generator())
    log_q = model.classify(model.features(known.flatten(0, 1)))
    own = -log_q[torch.arange(20), torch.arange(10).repeat_interleave(2)].sum() / len(unknown)
    torch.testing.assert_close(value, config.classifier_weight * own, rtol=1e-4, atol=1e-4)


def test_sharper_targets_ask_for_surer_answers():
    torch.manual_seed(7)
    known, unknown = batches()
    values = []
    for sharpness in (1.0, 4.0):
        config = Config(**{**OPEN.to_dict(), "moved_amount": 0.0, "moved_sharpness": sharpness})
        torch.manual_seed(8)
        values.append(terms(EquiVAE(config).eval(), known, unknown, config, None, 5.0, None, generator()).item())
    assert values[1] > values[0]


def test_the_weight_is_that_of_unlabelled_copies_alone():
    torch.manual_seed(9)
    model = EquiVAE(OPEN).eval()
    known, unknown = batches()
    none, one, three = (
        terms(model, known, unknown, OPEN, None, weight, None, generator()).item()
        for weight in (0.0, 100.0, 300.0)  # far above rounding
    )
    assert 0 < none < one  # labelled copies are to have their class from the start
    assert three - none == pytest.approx(3 * (one - none), rel=1e-4)


def test_posed_copies_of_a_decoder_that_moves_nothing_agree_with_their_originals():
    torch.manual_seed(6)
    config = dataclasses.replace(SMALL, moved_sharpness=1.0)
    model = EquiVAE(config).eval()
    with torch.no_grad():
        model.decoder.pose.weight.zero_()
    known, unknown = batches()
    value = terms(model, known, unknown, config, None, None, 5.0, generator())
    log_q = model.classify(model.features(known.flatten(0, 1)))
    own = -log_q[torch.arange(20), torch.arange(10).repeat_interleave(2)].sum() / len(unknown)
    torch.testing.assert_close(value, config.classifier_weight * own, rtol=1e-4, atol=1e-4)


def test_posed_copies_are_moved_by_the_decoders_own_map_of_a_v_from_the_prior():
    torch.manual_seed(6)
    model = EquiVAE(SMALL).eval()
    known, unknown = batches()
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    value = terms(model, known, unknown, SMALL, None, None, 5.0, generator())
    images = torch.cat([known.flatten(0, 1), unknown])
    v = torch.randn(len(images), SMALL.equivariant_dim, generator=generator())
    torch.testing.assert_close(seen[-1], model.decoder.pose(images, v))
    assert not torch.allclose(seen[-1], images, atol=0.1)
    gradients = torch.autograd.grad(value, [model.decoder.pose.weight, model.classifier.weight], allow_unused=True)
    assert gradients[0] is None, "what is moved is learned by drawing, not by being easy to tell"
    assert gradients[1].abs().sum() > 0


def test_posed_copies_are_made_of_the_last_unlabelled_images_and_as_large_a_share_of_the_labelled_ones():
    torch.manual_seed(6)
    model = EquiVAE(SMALL).eval()
    known, unknown = batches(k=4, count=6)
    log_q = model.classify(model.features(unknown))
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    some = dataclasses.replace(SMALL, posed_images=3)
    value = consistency.terms(model, known, unknown, log_q, some, None, None, 5.0, generator())
    images = torch.cat([known[:, :2].flatten(0, 1), unknown[3:]])
    v = torch.randn(len(images), SMALL.equivariant_dim, generator=generator())
    assert len(seen) == 1, "what the step has answered of the originals is not computed again"
    torch.testing.assert_close(seen[0], model.decoder.pose(images, v))
    alone = consistency.terms(model, known[:, :2], unknown[3:], log_q[3:], SMALL, None, None, 5.0, generator())
    torch.testing.assert_close(value, alone)


def test_distortion_by_nothing_is_the_image_and_by_something_repeats():
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(transforms.distort(x, 0.0, generator()), x, rtol=1e-4, atol=1e-4)
    moved = transforms.distort(x, 1.0, generator())
    assert torch.equal(moved, transforms.distort(x, 1.0, generator()))
    assert not torch.equal(moved, transforms.distort(x, 1.0, generator(1)))


def test_distortion_moves_ink_no_further_than_it_says():
    """A dot in the middle ends within the largest shift of it, however the image is turned about it."""
    dot = torch.zeros(200, 1, 29, 29)
    dot[:, 0, 14, 14] = 1
    moved = transforms.distort(dot, 1.0, generator()).squeeze(1)
    mass = moved.sum(dim=(1, 2))
    places = torch.arange(29.0) - 14
    x, y = (moved.sum(1) * places).sum(1) / mass, (moved.sum(2) * places).sum(1) / mass
    assert float(mass.min()) > 0
    # the image is stretched by up to 15 %, sheared by up to 0.3 and turned by up to 20 degrees after the shift, and
    # bent there by four standard deviations at most
    furthest = 3 * math.sqrt(2) * 1.5 + 4 * transforms.BENT + 1
    assert float(torch.hypot(x, y).max()) < furthest
    assert float(torch.hypot(x, y).max()) > 2


def test_distortion_bends_what_a_shift_and_a_turn_keep_straight(monkeypatch):
    """Without the other movements a straight line is no line any more, and is where it was on average."""
    monkeypatch.setattr(transforms, "DISTORTION", (0.0,) * 6)
    line = torch.zeros(400, 1, 28, 28)
    line[:, 0, :, 13:15] = 1
    places = torch.arange(28.0) - 13.5
    bent = transforms.distort(line, 1.0, generator()).squeeze(1)[:, 4:-4]
    columns = (bent * places).sum(2) / bent.sum(2).clamp_min(1e-6)  # (image, row): where the ink of a row lies
    assert 0.4 < float(columns.std(dim=1).mean()) < 1.5
    assert abs(float(columns.mean())) < 0.15
    straight = transforms.distort(line, 0.0, generator())
    torch.testing.assert_close(straight, line, rtol=1e-4, atol=1e-4)


def test_the_recipe_of_the_open_division_learns_from_moved_copies():
    assert Config.resolve(recipe="open").moved_weight > 0
    assert Config.resolve().moved_weight == 0
    assert Config.resolve(recipe="open", moved_weight=0.0).moved_weight == 0

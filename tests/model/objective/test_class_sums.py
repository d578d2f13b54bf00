"""Terms of the sum over classes that are left out: what they could add is known, and is what it is said to be."""

import dataclasses

import pytest
import torch

from ie_model.config import Config
from ie_model.model import EquiVAE
from ie_model.objective import bounds, class_sums

PAPER = Config.resolve(recipe="paper", channels=4, hidden=16, invariant_dim=3, equivariant_dim=2, decoder_norm="layer")
WHOLE = dataclasses.replace(PAPER, recipe="closed", sum_tolerance=1e-12)


def log_q(sharpness, images=40, classes=10):
    torch.manual_seed(0)
    return torch.log_softmax(sharpness * torch.randn(images, classes), dim=1)


def whole_sum(log_q, values):
    """U(x) with every term: (B,)."""
    return (log_q.exp() * (values - log_q - torch.tensor(log_q.shape[1]).log())).sum(dim=1)


@pytest.mark.parametrize("tolerance", [0.5, 0.05, 0.005])
def test_what_is_left_out_is_worth_less_than_the_tolerance_and_no_term_more_is_computed(tolerance):
    found = log_q(8.0)
    pairs = class_sums.pairs_within(found, tolerance)
    worth = found.exp() * (class_sums.WORTH - found)
    there = torch.zeros_like(found, dtype=torch.bool)
    there[pairs.image, pairs.label] = True
    assert there[torch.arange(len(found)), found.argmax(dim=1)].all(), "each image has its likeliest class"
    assert worth[~there].sum() <= tolerance * len(found)
    if there.sum() > len(found):
        others = there.clone()
        others[torch.arange(len(found)), found.argmax(dim=1)] = False
        least = torch.where(others, worth, torch.inf).min()
        assert worth[~there].sum() + least > tolerance * len(found)
    assert len(pairs.image) < found.numel() / 2


def test_unsure_images_keep_all_their_terms():
    assert len(class_sums.pairs_within(log_q(0.1), 0.005).image) == 400


@pytest.mark.parametrize("sharpness", [3.0, 8.0])
def test_the_cut_bound_differs_from_the_whole_sum_by_no_more_than_it_says(sharpness):
    found = log_q(sharpness)
    values = -100 - 60 * torch.rand(40, 10)  # of L(x, y)
    pairs = class_sums.pairs_within(found, 0.05)
    kept = class_sums.unlabelled_bound(pairs, values[pairs.image, pairs.label], 40, 10)
    could = class_sums.left_out(found, pairs, kept)
    whole = whole_sum(found, values)
    assert (whole - kept).mean() <= could
    assert 0 <= could <= 0.05
    assert (whole - kept).mean().abs() <= 0.05
    # nothing more could be added than terms whose L is 0 would add
    best = torch.where(
        torch.zeros_like(values, dtype=torch.bool).index_put((pairs.image, pairs.label), torch.tensor(True)),
        values,
        0.0,
    )
    torch.testing.assert_close((whole_sum(found, best) - kept).mean(), could, atol=1e-4, rtol=1e-3)


def test_nothing_is_left_out_of_the_whole_sum():
    found = log_q(2.0)
    pairs = class_sums.pairs_within(found, 1e-12)
    assert len(pairs.image) == 400
    assert class_sums.left_out(found, pairs, -100 * torch.ones(40)).abs() < 1e-4


@pytest.mark.parametrize("sharpness", [1.0, 30.0])
def test_the_papers_step_is_that_of_the_whole_sum(sharpness):
    """In training mode, where the decoder's normalisation looks at each pair by itself."""
    torch.manual_seed(0)
    model = EquiVAE(PAPER).train()
    with torch.no_grad():
        model.classifier.weight.mul_(sharpness)
    labelled, unlabelled = (torch.rand(*shape, 1, 28, 28) ** 8 for shape in ((10, 3), (20,)))  # mostly paper
    noise = torch.randn(bounds.pairs_of_step(PAPER, 3, 20), 2)
    steps = [bounds.semi_supervised_step(model, labelled, unlabelled, noise, config, 1.0) for config in (PAPER, WHOLE)]
    assert steps[0].left_out < 0.01
    assert steps[1].left_out.abs() < 1e-3
    assert abs(steps[0].bound - steps[1].bound) < 0.01
    assert abs(steps[0].loss - steps[1].loss) < 0.01

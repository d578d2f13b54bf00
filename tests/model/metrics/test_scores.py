"""The metrics on transformations and likelihoods, where the answer is known: perfect, useless, duplicated, by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal

from ie_model.config import Config
from ie_model.data import glyphs, tensors
from ie_model.metrics import likelihood, scores, transforms


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Equivariance: ridge_r2


def test_r2_of_a_perfect_a_useless_and_a_duplicated_representation():
    poses, poses_test = draw(2000, 3, seed=1), draw(1000, 3, seed=2)
    mixing = draw(3, 5, seed=3)
    perfect, perfect_test = poses @ mixing + 4, poses_test @ mixing + 4
    assert scores.ridge_r2(perfect, poses, perfect_test, poses_test).min() > 0.999
    useless, useless_test = draw(2000, 5, seed=4), draw(1000, 5, seed=5)
    assert scores.ridge_r2(useless, poses, useless_test, poses_test).abs().max() < 0.02
    twice, twice_test = torch.cat([perfect, perfect], 1), torch.cat([perfect_test, perfect_test], 1)
    torch.testing.assert_close(
        scores.ridge_r2(twice, poses, twice_test, poses_test),
        scores.ridge_r2(perfect, poses, perfect_test, poses_test),
        atol=1e-4,
        rtol=0,
    )


def test_r2_by_hand():
    # one column that is right in training; on test it is 1 off for every one of (0, 2, 4): errors 3, variation 8
    x = torch.arange(100.0)[:, None] / 20
    test, truth = torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([[0.0], [2.0], [4.0]])
    assert scores.ridge_r2(x, x, test, truth).item() == pytest.approx(1 - 3 / 8, abs=0.01)


def test_r2_below_zero_is_worse_than_the_mean_and_a_constant_column_is_no_trouble():
    x, y = draw(500, 1), draw(500, 1)
    assert scores.ridge_r2(x, x, y, -y).item() < -2
    constant = torch.cat([x, torch.ones(500, 1)], 1)
    assert scores.ridge_r2(constant, x, constant, x).item() > 0.999


def test_r2_is_of_each_target_alone():
    x = draw(1000, 2)
    targets = torch.stack([x[:, 0], draw(1000, seed=9)], 1)
    r2 = scores.ridge_r2(x, targets, x, targets)
    assert r2[0] > 0.999
    assert r2[1] < 0.05


# Invariance: relative_movement


def test_movement_of_an_invariant_representation_is_nothing_and_of_a_swap_is_the_distance():
    centres = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    at = centres[torch.tensor([0, 1, 0, 1])]
    assert scores.relative_movement(at, at, centres) == 0
    assert scores.relative_movement(at, centres[torch.tensor([1, 0, 1, 0])], centres) == pytest.approx(1)
    assert scores.relative_movement(at, at + torch.tensor([0.0, 0.5]), centres) == pytest.approx(0.25)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 100), st.integers(0, 1000))
def test_movement_does_not_depend_on_the_scale_of_f_nor_on_duplicated_dimensions(scale, seed):
    before, after, centres = draw(50, 3, seed=seed), draw(50, 3, seed=seed + 1), draw(10, 3, seed=seed + 2)
    plain = scores.relative_movement(before, after, centres)
    assert scores.relative_movement(scale * before, scale * after, scale * centres) == pytest.approx(plain)
    twice = [torch.cat([part, part], 1) for part in (before, after, centres)]
    assert scores.relative_movement(*twice) == pytest.approx(plain)


# Transformations


def middle(image: torch.Tensor) -> tuple[float, float]:
    weights = image / image.sum()
    axis = torch.arange(image.shape[-1], dtype=torch.float32)
    return float((weights.sum(0) * axis).sum()), float((weights.sum(1) * axis).sum())


def bar_of(side: int) -> torch.Tensor:
    image = torch.zeros(1, 1, side, side)
    image[0, 0, 8:20, 12:15] = 1
    return image


def test_a_shift_moves_the_ink_by_so_many_pixels_to_the_right_and_down():
    image = bar_of(28)
    moved = transforms.apply(image, torch.tensor([[0.0, 2.0, -1.5]]))
    (x, y), (x2, y2) = middle(image[0, 0]), middle(moved[0, 0])
    assert x2 - x == pytest.approx(2, abs=0.01)
    assert y2 - y == pytest.approx(-1.5, abs=0.01)
    torch.testing.assert_close(moved.sum(), image.sum())
    whole = transforms.apply(image, torch.tensor([[0.0, 2.0, 0.0]]))
    torch.testing.assert_close(whole[..., 2:], image[..., :-2])


def test_nothing_is_moved_by_nothing_and_a_turn_goes_back():
    image = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(transforms.apply(image, torch.zeros(3, 3)), image)
    smooth = torch.nn.functional.avg_pool2d(bar_of(28), 5, stride=1, padding=2)
    there = transforms.apply(smooth, torch.tensor([[0.3, 0.0, 0.0]]))
    back = transforms.apply(there, torch.tensor([[-0.3, 0.0, 0.0]]))
    assert (there - smooth).abs().max() > 0.2
    assert (back - smooth).abs().max() < 0.1


def test_a_turn_goes_the_way_the_glyphs_turn():
    # the same shape, turned by the generator and by the transformation
    still = torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0, 1.2]])
    turned = torch.tensor([[0.3, 1.0, -2.0, 1.0, 0.0, 1.2]])
    before, after = (glyphs.render(4, factors)[:, None].float() / 255 for factors in (still, turned))
    moved = transforms.apply(before, torch.tensor([[0.3, 1.0, -2.0]]))
    assert (moved - after).abs().mean() < 0.02
    assert (before - after).abs().mean() > 0.08
    wrong_way = transforms.apply(before, torch.tensor([[-0.3, 1.0, -2.0]]))
    assert (wrong_way - after).abs().mean() > 0.05


def test_amounts_are_within_what_is_said_and_fill_it():
    amounts = transforms.draw_amounts(5000, torch.Generator().manual_seed(0))
    for column, (_, largest, _) in enumerate(transforms.AMOUNTS):
        assert amounts[:, column].abs().max() <= largest
        assert amounts[:, column].min() < -0.99 * largest
        assert amounts[:, column].max() > 0.99 * largest


def test_redrawn_glyphs_keep_their_shape_and_change_their_factors():
    images, labels, _ = glyphs.generate(100, 0)
    again = transforms.redraw_glyphs(labels, torch.Generator().manual_seed(1))
    assert again.shape == (100, 1, 28, 28)
    assert (again[:, 0] - images.float() / 255).abs().flatten(1).mean(1).min() > 0.01
    same = transforms.redraw_glyphs(labels, torch.Generator().manual_seed(1))
    assert torch.equal(again, same)
    ring, bar = (again[labels == glyphs.NAMES.index(name), 0] for name in ("ring", "bar"))
    assert (bar.sum((1, 2)) < ring.sum((1, 2)).min()).all()


def test_a_factor_that_a_shape_does_not_show_is_not_asked_of_it():
    labels = torch.arange(10)
    assert [glyphs.NAMES[i] for i in labels[~transforms.seen("rotation", labels)]] == ["ring", "bar"]
    assert [glyphs.NAMES[i] for i in labels[~transforms.seen("shear", labels)]] == ["bar"]
    assert transforms.seen("scale", labels).all()
    # and it is true that they do not show it
    ring = glyphs.render(glyphs.NAMES.index("ring"), torch.tensor([[a, 0, 0, 1, 0, 1.2] for a in (0.0, 0.4)]))
    assert (ring[0].float() - ring[1].float()).abs().mean() < 3  # of 255


# log_likelihood


def test_log_mean_exp_does_not_overflow_and_weighs_parts_by_their_samples():
    parts = [torch.tensor([[-1000.0, -1000.0]]), torch.tensor([[-1000.0]])]
    assert scores.log_mean_exp(parts).item() == pytest.approx(-1000)
    uneven = [torch.tensor([[0.0]]), torch.tensor([[math.log(2.0), math.log(3.0)]])]
    assert scores.log_mean_exp(uneven).item() == pytest.approx(math.log(2.0))


def test_importance_is_the_ratio_of_densities():
    mean, log_variance, noise = draw(4, 1, 3), draw(4, 1, 3, seed=1), draw(4, 6, 3, seed=2)
    v = mean + (0.5 * log_variance).exp() * noise
    expected = 7 + (Normal(0.0, 1.0).log_prob(v) - Normal(mean, (0.5 * log_variance).exp()).log_prob(v)).sum(-1)
    torch.testing.assert_close(scores.log_importance(torch.full((4, 6), 7.0), log_variance, noise, v), expected)


class OneDimension:
    """A model with one dimension of v whose likelihood can be integrated: four pixels, logits a v + b."""

    def __init__(self, slope: float) -> None:
        self.slope = torch.tensor([slope, -slope, 2 * slope, 0.5])
        self.decoder = self
        self.log_scale = None

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)

    def posterior(self, features: torch.Tensor, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((len(features), 1, 1), 0.7), torch.full((len(features), 1, 1), 0.5)

    def __call__(self, r: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return v * self.slope + 0.3


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_log_likelihood_is_the_integral_over_v(slope):
    model = OneDimension(slope)
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]).view(2, 1, 2, 2)
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    logits = grid * model.slope.double() + 0.3
    for image in x:
        log_p = torch.distributions.Bernoulli(logits=logits).log_prob(image.flatten().double()).sum(-1)
        density = (log_p + Normal(0.0, 1.0).log_prob(grid[:, 0])).exp()
        exact = float(torch.log(torch.trapezoid(density, grid[:, 0])))
        generator = torch.Generator().manual_seed(0)
        got = likelihood.log_likelihood(model, image[None], torch.zeros(1, 1), 20_000, generator)  # type: ignore[arg-type]
        assert got.item() == pytest.approx(exact, abs=0.03)


def test_more_samples_tighten_the_bound_from_below():
    model, x = OneDimension(3.0), torch.tensor([[1.0, 0.0, 1.0, 0.0]]).view(1, 1, 2, 2)

    def mean(samples: int) -> float:
        generator = torch.Generator().manual_seed(0)
        many = x.expand(400, 1, 2, 2)
        return float(likelihood.log_likelihood(model, many, torch.zeros(400, 1), samples, generator).mean())  # type: ignore[arg-type]

    assert mean(1) < mean(5) < mean(50) + 0.01


class Classes(OneDimension):
    """The same for several classes: r, one number, is added to every logit."""

    def __init__(self) -> None:
        super().__init__(1.5)

    def __call__(self, r: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return super().__call__(r, v) + r


def test_the_marginal_likelihood_is_the_sum_over_classes_of_the_integrals():
    model, r = Classes(), torch.tensor([[0.0], [1.0], [-40.0]])  # the last class is out of the question
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]).view(2, 1, 2, 2)
    labels, samples = torch.tensor([1, 0]), 20_000
    found = likelihood.estimates(model, x, labels, r, samples, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    for row, image in enumerate(x):
        exact = []
        for value in r.flatten().double():
            logits = grid * model.slope.double() + 0.3 + value
            log_p = torch.distributions.Bernoulli(logits=logits).log_prob(image.flatten().double()).sum(-1)
            density = (log_p + Normal(0.0, 1.0).log_prob(grid[:, 0])).exp()
            exact.append(torch.trapezoid(density, grid[:, 0]))
        assert found.conditional[row].item() == pytest.approx(exact[labels[row]].log().item(), abs=0.03)
        assert found.marginal[row].item() == pytest.approx((torch.stack(exact).sum() / 3).log().item(), abs=0.03)


def test_the_conditional_estimate_is_what_it_was_before_there_was_a_marginal_one():
    model, r = Classes(), torch.tensor([[0.0], [1.0]])
    x, labels = torch.rand(3, 1, 2, 2), torch.tensor([1, 0, 1])
    found = likelihood.estimates(model, x, labels, r, 50, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    alone = likelihood.log_likelihood(model, x, r[labels], 50, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert torch.equal(found.conditional, alone)


def test_variance_that_is_explained():
    truth = torch.tensor([[0.0, 10.0], [2.0, 10.0], [4.0, 10.0]])
    assert scores.variance_explained(truth, truth) == 1
    assert scores.variance_explained(truth.mean(dim=0).expand(3, 2), truth) == 0
    assert scores.variance_explained(torch.zeros(3, 2), torch.ones(3, 2)) == 0  # nothing varies: nothing to find
    assert scores.variance_explained(truth + torch.tensor([1.0, 0.0]), truth) == pytest.approx(1 - 3 / 8)


# Binarised images


def test_binarised_images_are_ink_or_paper_as_often_as_they_are_grey_and_always_the_same():
    grey = torch.linspace(0, 1, 11).repeat(2000, 1).view(2000, 1, 1, 11)
    drawn = tensors.binarise(grey, "test")
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(drawn, tensors.binarise(grey, "test"))
    assert not torch.equal(drawn, tensors.binarise(grey, "train"))
    torch.testing.assert_close(drawn.mean(0).flatten(), torch.linspace(0, 1, 11), atol=0.04, rtol=0)
    assert (drawn[..., 0] == 0).all()
    assert (drawn[..., 10] == 1).all()


def test_the_setting_binarises_what_is_trained_on_and_what_is_measured():
    config = Config.resolve(dataset="glyphs", binarised=True)
    assert set(tensors.load_test(config, None).images.unique().tolist()) == {0.0, 1.0}
    assert set(tensors.load_training(config, None).unlabelled[:100].unique().tolist()) == {0.0, 1.0}
    with pytest.raises(ValueError, match="binarised: svhn has colours"):
        Config.resolve(dataset="svhn", binarised=True)


def test_factors_belong_to_their_images():
    config = Config.resolve(dataset="glyphs")
    factors, test_factors = tensors.load_factors(config)
    known, test = tensors.load_for_probes(config, None), tensors.load_test(config, None)
    for images, of in ((known, factors), (test, test_factors)):
        assert len(of) == len(images.labels)
        for i in (0, 17, len(of) - 1):
            drawn = glyphs.render(int(images.labels[i]), of[i : i + 1]).float() / 255
            torch.testing.assert_close(images.images[i, 0], drawn[0], atol=0.005, rtol=0)

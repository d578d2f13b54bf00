"""The bounds against torch.distributions, hand-worked cases, and the explicit sum over classes."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from ie_model import objective
from ie_model.config import Config
from ie_model.model import EquiVAE

CONFIG = Config.resolve(channels=4, hidden=16, invariant_dim=3, equivariant_dim=2)


@pytest.fixture
def model() -> EquiVAE:
    torch.manual_seed(0)
    return EquiVAE(CONFIG)


def test_log_bernoulli_is_torchs_on_binary_images_and_linear_between():
    logits, x = torch.randn(5, 784), torch.rand(5, 784).round()
    expected = Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(objective.log_bernoulli(logits, x), expected)
    grey = torch.full((5, 784), 0.25)
    black, white = (Bernoulli(logits=logits).log_prob(torch.full_like(logits, b)).sum(-1) for b in (1.0, 0.0))
    torch.testing.assert_close(objective.log_bernoulli(logits, grey), 0.25 * black + 0.75 * white)


def test_kl_is_torchs():
    mean, log_variance = torch.randn(4, 3, 6), torch.randn(4, 3, 6)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(objective.kl_to_prior(mean, log_variance), expected)
    assert objective.kl_to_prior(torch.zeros(1, 6), torch.zeros(1, 6)).item() == 0


def test_complementary_means_by_hand():
    features = torch.tensor([[[1.0], [2.0], [6.0]], [[0.0], [0.0], [3.0]]])
    expected = torch.tensor([[[4.0], [3.5], [1.5]], [[1.5], [1.5], [0.0]]])
    torch.testing.assert_close(objective.complementary_means(features), expected)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(2, 8), st.integers(1, 5), st.integers(0, 10_000))
def test_an_image_is_never_among_its_own_complementary_samples(classes, k, dims, seed):
    features = torch.randn(classes, k, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    features.requires_grad_()
    means = objective.complementary_means(features)
    for i in range(k):
        (gradient,) = torch.autograd.grad(means[:, i].sum(), features, retain_graph=True)
        assert gradient[:, i].abs().max() < 1e-12
        others = [j for j in range(k) if j != i]
        torch.testing.assert_close(gradient[:, others], torch.full_like(gradient[:, others], 1 / (k - 1)))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)))
def test_r_does_not_depend_on_the_order_of_the_complementary_samples(order):
    features = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    shuffled = torch.cat([features[:, :1], features[:, 1:][:, list(order)]], dim=1)
    torch.testing.assert_close(
        objective.complementary_means(features)[:, 0], objective.complementary_means(shuffled)[:, 0]
    )


def test_one_image_of_a_class_has_no_complement():
    with pytest.raises(ValueError, match="at least 2"):
        objective.complementary_means(torch.randn(3, 1, 2))


def test_the_unlabelled_bound_by_hand():
    log_q = torch.tensor([[0.25, 0.75]]).log()
    labelled = torch.tensor([[-10.0, -20.0]])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    expected = 0.25 * -10 + 0.75 * -20 + entropy + math.log(0.5)
    assert objective.unlabelled_bound(log_q, labelled, 2).item() == pytest.approx(expected)


def test_the_unlabelled_bound_is_largest_at_the_posterior_and_is_then_the_evidence():
    labelled = torch.tensor([[-3.0, -1.0, -2.0]])
    posterior = labelled.log_softmax(dim=1)
    best = objective.unlabelled_bound(posterior, labelled, 3)
    torch.testing.assert_close(best, labelled.logsumexp(dim=1) - math.log(3))
    for _ in range(20):
        assert objective.unlabelled_bound(torch.randn(1, 3).log_softmax(1), labelled, 3) <= best


def explicit_loss(model, labelled, unlabelled, noise, config, kl_weight):
    """The objective written as a reader of the paper would: one class, one image at a time."""
    classes, k = labelled.shape[:2]
    total, place = torch.zeros(()), 0

    def one(x, r, draw):
        mean, log_variance = model.posterior(model.features(x[None]), r[None, None])
        v = mean + (0.5 * log_variance).exp() * draw
        log_p = Bernoulli(logits=model.decoder(r[None, None], v), validate_args=False).log_prob(x.flatten()).sum()
        return log_p - kl_weight * kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum()

    for y in range(classes):
        for i in range(k):
            others = torch.stack([labelled[y, j] for j in range(k) if j != i])
            total += one(labelled[y, i], model.invariant(others).mean(0), noise[place, 0]) - math.log(classes)
            total += config.classifier_weight * model.classify(model.features(labelled[y, i][None]))[0, y]
            place += 1
    for x in unlabelled:
        log_q = model.classify(model.features(x[None]))[0]
        for rank, y in enumerate(log_q.argsort(descending=True)):
            value = one(x, model.invariant(labelled[y]).mean(0), noise[place, rank])
            total += log_q[y].exp() * (value - log_q[y] - math.log(classes))
        place += 1
    return -total / place


def test_the_step_is_the_explicit_sum_over_classes_in_value_and_gradient(model):
    labelled, unlabelled = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28)
    noise = torch.randn(34, 10, 2)
    fast = objective.semi_supervised_step(model, labelled, unlabelled, noise, CONFIG, 10, kl_weight=1.7).loss
    plain = explicit_loss(model, labelled, unlabelled, noise, CONFIG, 1.7)
    torch.testing.assert_close(fast, plain)
    parameters = list(model.parameters())
    for a, b in zip(torch.autograd.grad(fast, parameters), torch.autograd.grad(plain, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()) + 1e-6)


def test_a_cut_sum_is_the_bound_for_the_cut_classifier(model):
    labelled, unlabelled = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28)
    noise = torch.randn(34, 10, 2)
    whole = objective.semi_supervised_step(model, labelled, unlabelled, noise, CONFIG, 10, 1.0)
    cut = objective.semi_supervised_step(model, labelled, unlabelled, noise[:, :3], CONFIG, 3, 1.0)
    assert torch.isfinite(cut.loss)
    assert cut.loss != whole.loss, "three of ten classes cannot give the same sum for an untrained q"


def test_imbalance_by_hand():
    even = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).log()
    assert objective.imbalance(even).item() == pytest.approx(0, abs=1e-6)
    one_sided = torch.tensor([[0.75, 0.25]]).log()
    assert objective.imbalance(one_sided).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    never = torch.tensor([[0.0, -math.inf]])
    assert objective.imbalance(never).item() == pytest.approx(math.log(2))


def test_the_balance_term_changes_the_loss_and_not_the_reported_bound(model):
    parts = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28), torch.randn(34, 10, 2), CONFIG, 10, 1.0
    plain, more = (objective.semi_supervised_step(model, *parts, balance_weight=weight) for weight in (0.0, 7.0))
    log_q = model.classify(model.features(parts[1]))
    torch.testing.assert_close(more.loss - plain.loss, 7 * objective.imbalance(log_q), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(more.bound, plain.bound)


def test_the_supervised_step_reports_the_exact_bound_whatever_the_kl_weight():
    config = dataclasses.replace(CONFIG, supervision="supervised", labels="all")
    torch.manual_seed(0)
    model = EquiVAE(config)
    labelled, noise = torch.rand(10, 3, 1, 28, 28), torch.randn(30, 1, 2)
    heavy = objective.supervised_step(model, labelled, noise, kl_weight=4.0)
    exact = objective.supervised_step(model, labelled, noise, kl_weight=1.0)
    torch.testing.assert_close(heavy.bound, exact.bound)
    torch.testing.assert_close(exact.loss, -exact.bound)
    torch.testing.assert_close(heavy.loss, -exact.bound + 3 * exact.kl)


def test_a_supervised_model_has_no_classifier():
    model = EquiVAE(dataclasses.replace(CONFIG, supervision="supervised", labels="all"))
    with pytest.raises(ValueError, match="semi-supervised"):
        model.classify(model.features(torch.rand(1, 1, 28, 28)))


def test_discretised_logistic_probabilities_sum_to_one_and_agree_with_the_distribution():
    stats = pytest.importorskip("scipy.stats")
    values = torch.arange(256, dtype=torch.float64) / 255
    for mean, log_scale in ((0.0, -2.0), (0.3, -3.5), (0.999, -1.0), (0.5, -6.0), (1.0, 0.5)):
        scale = torch.tensor([log_scale], dtype=torch.float64)
        log_p = objective.log_discretised_logistic(
            torch.full((256, 1), mean, dtype=torch.float64), values[:, None], scale
        )
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)
        law = stats.logistic(mean, math.exp(log_scale))
        upper = [*(values[:-1] + 0.5 / 255).tolist(), math.inf]
        lower = [-math.inf, *(values[1:] - 0.5 / 255).tolist()]
        expected = [law.cdf(b) - law.cdf(a) for a, b in zip(lower, upper, strict=True)]
        torch.testing.assert_close(log_p.exp(), torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=1e-5)


def test_discretised_logistic_sums_over_values_with_each_colours_own_scale():
    means, x = torch.rand(2, 12), torch.randint(0, 256, (2, 12)) / 255
    log_scale = torch.tensor([-3.0, -2.0, -1.0])
    each = [
        objective.log_discretised_logistic(means[:, i : i + 1], x[:, i : i + 1], log_scale[i // 4 : i // 4 + 1])
        for i in range(12)  # three colours of four pixels, colour by colour
    ]
    torch.testing.assert_close(objective.log_discretised_logistic(means, x, log_scale), torch.stack(each).sum(0))


def test_discretised_logistic_stays_finite_far_from_the_mean():
    means = torch.tensor([[0.0, 1.0, 0.0, 1.0]], requires_grad=True)
    log_scale = torch.tensor([-7.0], requires_grad=True)
    log_p = objective.log_discretised_logistic(means, torch.tensor([[1.0, 0.0, 0.5, 0.5]]), log_scale)
    log_p.sum().backward()
    assert torch.isfinite(log_p).all()
    assert torch.isfinite(means.grad).all()
    assert torch.isfinite(log_scale.grad).all()

"""The bounds against torch.distributions, hand-worked cases, and the explicit sum over classes."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from ie_model.config import Config
from ie_model.model import EquiVAE
from ie_model.objective import bounds, class_sums, representations

CONFIG = Config.resolve(
    channels=4,
    hidden=16,
    invariant_dim=3,
    equivariant_dim=2,
    labelled_decoded=3,
    likeliest=10,
    pairs_per_image=10.0,
    labelled_weight=0.3,
    complementary="labelled",
    moments_weight=0.0,
)  # nothing is cut, and nothing is added to the bounds
M2 = dataclasses.replace(CONFIG, method="m2")
CUT = dataclasses.replace(CONFIG, labelled_decoded=2, likeliest=3, pairs_per_image=1.5)


def in_evaluation_mode(config: Config) -> EquiVAE:
    """Where batch normalisation treats each image by itself, as the formulas do."""
    torch.manual_seed(0)
    return EquiVAE(config).eval()


@pytest.fixture
def model() -> EquiVAE:
    return in_evaluation_mode(CONFIG)


def test_log_bernoulli_is_torchs_on_binary_images_and_linear_between():
    logits, x = torch.randn(5, 784), torch.rand(5, 784).round()
    expected = Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(bounds.log_bernoulli(logits, x), expected)
    grey = torch.full((5, 784), 0.25)
    black, white = (Bernoulli(logits=logits).log_prob(torch.full_like(logits, b)).sum(-1) for b in (1.0, 0.0))
    torch.testing.assert_close(bounds.log_bernoulli(logits, grey), 0.25 * black + 0.75 * white)


def test_kl_is_torchs():
    mean, log_variance = torch.randn(4, 3, 6), torch.randn(4, 3, 6)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(bounds.kl_to_prior(mean, log_variance), expected)
    assert bounds.kl_to_prior(torch.zeros(1, 6), torch.zeros(1, 6)).item() == 0


def test_a_kl_below_what_is_free_costs_as_much_as_all_that_is_free():
    kl = torch.tensor([0.0, 0.1, 0.3, 2.0], requires_grad=True)
    cost = kl.sum() + bounds.given_back(kl, 0.3)
    assert cost.item() == pytest.approx(0.3 + 0.3 + 0.3 + 2.0)
    (gradient,) = torch.autograd.grad(cost, kl)
    assert gradient[[0, 1, 3]].tolist() == [0.0, 0.0, 1.0]
    assert bounds.given_back(kl, torch.tensor(0.0)) == 0


@pytest.mark.parametrize("supervised", [False, True])
def test_free_nats_change_the_loss_by_what_they_give_back_and_not_the_reported_bound(supervised):
    config = dataclasses.replace(CONFIG, supervision="supervised", labels="all") if supervised else CONFIG
    model = in_evaluation_mode(config)
    labelled, unlabelled = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28)
    noise = torch.randn(30 if supervised else 70, 2)

    def step(free):
        if supervised:
            return bounds.labelled_step(model, labelled, noise, 0.0, 2.0, free)
        return bounds.semi_supervised_step(model, labelled, unlabelled, noise, config, 2.0, free=free)

    without, with_none, much = step(None), step(0.0), step(50.0)
    assert without.loss == with_none.loss
    assert without.bound == with_none.bound == much.bound
    share = 1.0 if supervised else 4 / 34
    # the KL of a fresh model is small beside 50 nats in each of two dimensions
    assert (much.loss - without.loss).item() == pytest.approx(2.0 * share * (2 * 50.0), rel=0.05)
    assert (much.loss - without.loss).item() < 2.0 * share * 2 * 50.0


def test_complementary_means_by_hand():
    features = torch.tensor([[[1.0], [2.0], [6.0]], [[0.0], [0.0], [3.0]]])
    expected = torch.tensor([[[4.0], [3.5], [1.5]], [[1.5], [1.5], [0.0]]])
    torch.testing.assert_close(representations.complementary_means(features), expected)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(2, 8), st.integers(1, 5), st.integers(0, 10_000))
def test_an_image_is_never_among_its_own_complementary_samples(classes, k, dims, seed):
    features = torch.randn(classes, k, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    features.requires_grad_()
    means = representations.complementary_means(features)
    for i in range(k):
        (gradient,) = torch.autograd.grad(means[:, i].sum(), features, retain_graph=True)
        assert gradient[:, i].abs().max() < 1e-12
        others = [j for j in range(k) if j != i]
        torch.testing.assert_close(gradient[:, others], torch.full_like(gradient[:, others], 1 / (k - 1)))


def test_no_statistic_of_the_batch_tells_r_of_the_image_itself(model):
    images = torch.rand(10, 3, 1, 28, 28, requires_grad=True)
    features = model.train().invariant(images.flatten(0, 1)).unflatten(0, (10, 3))
    r = representations.complementary_means(features)
    (gradient,) = torch.autograd.grad(r[4, 1].sum(), images)
    assert gradient[4, 1].abs().max() == 0
    assert gradient[4, 0].abs().max() > 0


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)))
def test_r_does_not_depend_on_the_order_of_the_complementary_samples(order):
    features = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    shuffled = torch.cat([features[:, :1], features[:, 1:][:, list(order)]], dim=1)
    torch.testing.assert_close(
        representations.complementary_means(features)[:, 0], representations.complementary_means(shuffled)[:, 0]
    )


def test_one_image_of_a_class_has_no_complement():
    with pytest.raises(ValueError, match="at least 2"):
        representations.complementary_means(torch.randn(3, 1, 2))


def test_the_unlabelled_bound_by_hand():
    pairs = class_sums.likeliest_pairs(torch.tensor([[0.25, 0.75]]).log(), 2, 2)
    assert pairs.label.tolist() == [1, 0]
    labelled = torch.tensor([-20.0, -10.0])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    expected = 0.25 * -10 + 0.75 * -20 + entropy + math.log(0.5)
    assert class_sums.unlabelled_bound(pairs, labelled, 1, 2).item() == pytest.approx(expected)


def test_the_unlabelled_bound_is_largest_at_the_posterior_and_is_then_the_evidence():
    labelled = torch.tensor([[-3.0, -1.0, -2.0]])

    def value(log_q):
        pairs = class_sums.likeliest_pairs(log_q, 3, 3)
        return class_sums.unlabelled_bound(pairs, labelled[0, pairs.label], 1, 3)

    best = value(labelled.log_softmax(dim=1))
    torch.testing.assert_close(best, labelled.logsumexp(dim=1) - math.log(3))
    for _ in range(20):
        assert value(torch.randn(1, 3).log_softmax(1)) <= best


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(2, 6), st.integers(1, 6), st.floats(1, 6), st.integers(0, 10_000))
def test_the_pairs_are_every_images_likeliest_class_and_the_next_likely_of_all(images, classes, most, share, seed):
    most = min(most, classes)
    count = min(round(share * images), most * images)
    log_q = torch.randn(images, classes, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=1)
    pairs = class_sums.likeliest_pairs(log_q, most, count)
    chosen = set(zip(pairs.image.tolist(), pairs.label.tolist(), strict=True))
    assert len(chosen) == count, "no pair comes twice"
    assert {(i, int(log_q[i].argmax())) for i in range(images)} <= chosen
    assert int(torch.bincount(pairs.image).max()) <= most
    total = torch.zeros(images).index_add(0, pairs.image, pairs.log_q.exp())
    torch.testing.assert_close(total, torch.ones(images))
    within = log_q.topk(most, dim=1)
    allowed = {(i, int(c)) for i in range(images) for c in within.indices[i]}
    left_out = [float(log_q[pair]) for pair in allowed - chosen]
    extra = [float(log_q[i, c]) for i, c in chosen if c != int(log_q[i].argmax())]
    assert not left_out or not extra or max(left_out) <= min(extra)


def explicit_loss(model, labelled, unlabelled, noise, config, kl_weight):
    """The objective written as a reader of the paper would: one class, one image at a time; noise(image, class)."""
    classes, k = labelled.shape[:2]
    total, place = torch.zeros(()), 0

    def r_of(y, images):
        return model.table[y] if config.method == "m2" else model.invariant(images).mean(0)

    def one(x, r, draw):
        mean, log_variance = model.posterior(model.features(x[None]), r[None, None])
        v = mean + (0.5 * log_variance).exp() * draw
        log_p = Bernoulli(logits=model.decoder(r[None, None], v), validate_args=False).log_prob(x.flatten()).sum()
        return log_p - kl_weight * kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum()

    for y in range(classes):
        for i in range(k):
            others = torch.stack([labelled[y, j] for j in range(k) if j != i])
            own = one(labelled[y, i], r_of(y, others), noise(place, y)) - math.log(classes)
            total += config.labelled_weight * own
            total += config.classifier_weight * model.classify(model.features(labelled[y, i][None]))[0, y]
            place += 1
    for x in unlabelled:
        log_q = model.classify(model.features(x[None]))[0]
        for y in range(classes):
            value = one(x, r_of(y, labelled[y]), noise(place, y))
            total += log_q[y].exp() * (value - log_q[y] - math.log(classes))
        place += 1
    return -total / place


@pytest.mark.parametrize("config", [CONFIG, M2], ids=["equivae", "m2"])
def test_the_step_is_the_explicit_sum_over_classes_in_value_and_gradient(config):
    model = in_evaluation_mode(config)
    labelled, unlabelled = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28)
    draw = torch.randn(bounds.pairs_of_step(CONFIG, 3, 4), 2)
    fast = bounds.semi_supervised_step(model, labelled, unlabelled, draw, config, kl_weight=1.7).loss
    pairs = class_sums.likeliest_pairs(model.classify(model.features(unlabelled)), 10, 40)
    row = {(30 + int(i), int(y)): 30 + n for n, (i, y) in enumerate(zip(pairs.image, pairs.label, strict=True))}
    plain = explicit_loss(
        model, labelled, unlabelled, lambda image, y: draw[row.get((image, y), image)], config, kl_weight=1.7
    )
    torch.testing.assert_close(fast, plain)
    parameters = list(model.parameters())
    for a, b in zip(torch.autograd.grad(fast, parameters), torch.autograd.grad(plain, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()) + 1e-6)


def test_m2_has_no_f_and_learns_r_of_every_class_instead():
    model = in_evaluation_mode(M2)
    assert model.invariant is None
    assert not any(name.startswith("invariant") for name, _ in model.named_parameters())
    with pytest.raises(ValueError, match="M2, which has no f"):
        model.f(torch.rand(1, 1, 28, 28))
    labelled = torch.rand(10, 3, 1, 28, 28)
    own, of_class = representations.of_labelled(model, labelled)
    assert own.shape == (10, 3, 3)
    assert torch.equal(own, model.table.unsqueeze(1).expand(10, 3, 3))
    assert torch.equal(of_class, model.table)
    draw = torch.randn(bounds.pairs_of_step(M2, 3, 4), 2)
    bounds.semi_supervised_step(model, labelled, torch.rand(4, 1, 28, 28), draw, M2, 1.0).loss.backward()
    assert (model.table.grad.abs().sum(dim=1) > 0).all()
    others = dict(in_evaluation_mode(CONFIG).named_parameters())
    kept = {name: value.shape for name, value in others.items() if not name.startswith("invariant")}
    mine = {name: value.shape for name, value in model.named_parameters() if name != "table"}
    assert mine == kept, "the other networks are the same"


def test_the_labelled_bound_of_m2_by_hand():
    config = dataclasses.replace(M2, supervision="supervised", labels="all")
    model = in_evaluation_mode(config)
    labelled, noise = torch.rand(10, 2, 1, 28, 28).round(), torch.randn(20, 2)
    step = bounds.labelled_step(model, labelled, noise, 0.0, 1.0)
    values = []
    for y in range(10):
        for i in range(2):
            mean, log_variance = model.posterior(model.features(labelled[y, i][None]), model.table[y][None, None])
            q = Normal(mean, (0.5 * log_variance).exp())
            v = mean + q.scale * noise[2 * y + i]
            p = Bernoulli(logits=model.decoder(model.table[y][None, None], v))
            values.append(p.log_prob(labelled[y, i].flatten()).sum() - kl_divergence(q, Normal(0.0, 1.0)).sum())
    torch.testing.assert_close(step.bound, torch.stack(values).mean())
    torch.testing.assert_close(step.loss, -step.bound)


def test_a_cut_sum_is_the_bound_for_the_cut_classifier(model):
    labelled, unlabelled = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28)
    # All images of a class alike: then the mean bound of two of them is that of three, but for the noise.
    labelled = labelled[:, :1].expand_as(labelled)
    features = model.features(unlabelled)
    with torch.no_grad():
        kept = torch.full((4, 10), -1e4)
        kept[:, :2] = 0.0  # a q that is cut by itself: two classes for every image
        kept = kept.log_softmax(dim=1)
    pairs, all_pairs = class_sums.likeliest_pairs(kept, 3, 8), class_sums.likeliest_pairs(kept, 10, 40)
    r = model.invariant(labelled[:, 0])
    zero = torch.zeros(40, 2)

    def value(of):
        parts = bounds.bound(model, unlabelled, features, of.image, r[of.label], zero[: len(of.label)])
        return class_sums.unlabelled_bound(of, parts.log_likelihood - parts.kl, 4, 10)

    torch.testing.assert_close(value(pairs), value(all_pairs))
    assert bounds.pairs_of_step(CUT, 3, 4) == 10 * 2 + 6
    step = bounds.semi_supervised_step(model, labelled, unlabelled, torch.randn(26, 2), CUT, 1.0)
    assert torch.isfinite(step.loss)


def test_imbalance_by_hand():
    even = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).log()
    assert bounds.imbalance(even).item() == pytest.approx(0, abs=1e-6)
    one_sided = torch.tensor([[0.75, 0.25]]).log()
    assert bounds.imbalance(one_sided).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    never = torch.tensor([[0.0, -math.inf]])
    assert bounds.imbalance(never).item() == pytest.approx(math.log(2))


def test_the_balance_term_changes_the_loss_and_not_the_reported_bound(model):
    parts = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28), torch.randn(70, 2), CONFIG, 1.0
    plain, more = (bounds.semi_supervised_step(model, *parts, balance_weight=weight) for weight in (0.0, 7.0))
    log_q = model.classify(model.features(parts[1]))
    torch.testing.assert_close(more.loss - plain.loss, 7 * bounds.imbalance(log_q), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(more.bound, plain.bound)


def test_the_semi_supervised_step_reports_the_exact_bound_whatever_the_kl_weight(model):
    parts = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28), torch.randn(70, 2), CONFIG
    exact, heavy = (bounds.semi_supervised_step(model, *parts, weight) for weight in (1.0, 4.0))
    torch.testing.assert_close(heavy.bound, exact.bound)
    assert heavy.loss > exact.loss


def test_the_supervised_step_reports_the_exact_bound_whatever_the_kl_weight():
    config = dataclasses.replace(CONFIG, supervision="supervised", labels="all")
    torch.manual_seed(0)
    model = EquiVAE(config)
    labelled, noise = torch.rand(10, 3, 1, 28, 28), torch.randn(30, 2)
    heavy = bounds.labelled_step(model, labelled, noise, 0.0, kl_weight=4.0)
    exact = bounds.labelled_step(model, labelled, noise, 0.0, kl_weight=1.0)
    torch.testing.assert_close(heavy.bound, exact.bound)
    torch.testing.assert_close(exact.loss, -exact.bound)
    torch.testing.assert_close(heavy.loss, -exact.bound + 3 * exact.kl)


def test_a_supervised_model_has_no_classifier():
    model = EquiVAE(dataclasses.replace(CONFIG, supervision="supervised", labels="all")).eval()
    with pytest.raises(ValueError, match="semi-supervised"):
        model.classify(model.features(torch.rand(1, 1, 28, 28)))


def test_discretised_logistic_probabilities_sum_to_one_and_agree_with_the_distribution():
    stats = pytest.importorskip("scipy.stats")
    values = torch.arange(256, dtype=torch.float64) / 255
    for mean, log_scale in ((0.0, -2.0), (0.3, -3.5), (0.999, -1.0), (0.5, -6.0), (1.0, 0.5)):
        scale = torch.tensor([log_scale], dtype=torch.float64)
        log_p = bounds.log_discretised_logistic(torch.full((256, 1), mean, dtype=torch.float64), values[:, None], scale)
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
        bounds.log_discretised_logistic(means[:, i : i + 1], x[:, i : i + 1], log_scale[i // 4 : i // 4 + 1])
        for i in range(12)  # three colours of four pixels, colour by colour
    ]
    torch.testing.assert_close(bounds.log_discretised_logistic(means, x, log_scale), torch.stack(each).sum(0))


def test_discretised_logistic_stays_finite_far_from_the_mean():
    means = torch.tensor([[0.0, 1.0, 0.0, 1.0]], requires_grad=True)
    log_scale = torch.tensor([-7.0], requires_grad=True)
    log_p = bounds.log_discretised_logistic(means, torch.tensor([[1.0, 0.0, 0.5, 0.5]]), log_scale)
    log_p.sum().backward()
    assert torch.isfinite(log_p).all()
    assert torch.isfinite(means.grad).all()
    assert torch.isfinite(log_scale.grad).all()

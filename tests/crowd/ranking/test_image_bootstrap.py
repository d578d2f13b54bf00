"""Intervals over draws and images: how often they hold what they should, simulated, and how they end."""

import numpy as np
import pytest
from ie_crowd.ranking import image_bootstrap
from ie_crowd.result.aggregate import mean_sd_ci95

TABLES = 400


def tables(seed, draws, images, spread, shift=0.0):
    """(wrong, what its mean is of all draws and images) of made-up runs: images are hard or easy for all of them."""
    chance = np.random.default_rng(seed)

    def rate(image, draw):
        return 1 / (1 + np.exp(-(image - 4.5 + shift + draw)))

    truth = rate(2 * chance.standard_normal(400_000), spread * chance.standard_normal(400_000)).mean()
    for _ in range(TABLES):
        hard, draw = 2 * chance.standard_normal(images), spread * chance.standard_normal(draws)
        wrong = chance.random((draws, images)) < rate(hard[None, :], draw[:, None])
        yield wrong, 100 * truth


@pytest.mark.parametrize(
    ("draws", "images", "spread"), [(3, 1000, 0.3), (5, 500, 0.1), (5, 2000, 0.3), (10, 1000, 0.2)]
)
def test_the_interval_holds_the_mean_of_all_draws_and_images_in_95_of_100(draws, images, spread):
    held = [found.low <= truth <= found.high for wrong, truth in tables(1, draws, images, spread)
            for found in [image_bootstrap.interval(wrong)]]  # fmt: skip
    assert 0.93 <= np.mean(held) <= 0.99


def test_that_over_draws_alone_holds_it_too_seldom():
    """Why there is another: all draws err on the same images."""
    held = []
    for wrong, truth in tables(2, 10, 500, 0.1):
        mean, _, half = mean_sd_ci95((100 * wrong.mean(axis=1)).tolist())
        held.append(abs(mean - truth) <= half)
    assert np.mean(held) < 0.9


def test_of_one_run_it_holds_what_that_run_errs_on_among_all_images():
    held = [found.low <= truth <= found.high for wrong, truth in tables(3, 1, 1000, 0.0)
            for found in [image_bootstrap.interval(wrong)]]  # fmt: skip
    assert 0.93 <= np.mean(held) <= 0.98


@pytest.mark.parametrize("paired", [True, False])
def test_a_difference_is_found_where_there_is_one_and_in_5_of_100_where_there_is_none(paired):
    chance = np.random.default_rng(4)
    false, found = [], []
    for shift, into in ((0.0, false), (0.8, found)):
        for _ in range(TABLES):
            hard = 2 * chance.standard_normal(1000)
            draws = [0.2 * chance.standard_normal(5) for _ in range(2)]
            if paired:
                draws[1] = draws[0] + 0.05 * chance.standard_normal(5)
            one, other = (
                chance.random((5, 1000)) < 1 / (1 + np.exp(-(hard[None, :] - 4.5 + more + draw[:, None])))
                for more, draw in zip((0.0, shift), draws, strict=True)
            )
            told = image_bootstrap.difference(one, other, paired=paired)
            into.append(not told.low <= 0 <= told.high)
    assert np.mean(false) <= 0.06
    assert np.mean(found) > 0.9


def test_at_the_ends_it_stays_within_0_and_100():
    few = np.zeros((3, 1000), bool)
    assert image_bootstrap.interval(few)[:2] == (0.0, 0.0)
    assert 0.3 < image_bootstrap.interval(few).high < 0.4  # 3.7 / 1,000
    assert image_bootstrap.interval(~few).low == pytest.approx(100 - image_bootstrap.interval(few).high)
    few[1, 7] = True
    found = image_bootstrap.interval(few)
    assert 0 < found.low < found.mean < found.high < 2
    mirror = image_bootstrap.interval(~few)
    assert (mirror.low, mirror.high) == pytest.approx((100 - found.high, 100 - found.low))


def test_it_is_the_same_each_time_and_says_what_it_is_over():
    wrong = np.random.default_rng(5).random((5, 2000)) < 0.02
    assert image_bootstrap.interval(wrong) == image_bootstrap.interval(wrong)
    assert image_bootstrap.interval(wrong).over == "5 draws × 2,000 test images"
    assert image_bootstrap.interval(wrong[:1]).over == "2,000 test images, one run"
    same = image_bootstrap.difference(wrong, wrong, paired=True)
    assert same[:3] == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="expected the same ones"):
        image_bootstrap.difference(wrong, wrong[:, 1:], paired=True)

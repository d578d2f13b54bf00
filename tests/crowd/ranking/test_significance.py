"""Tests of means: against SciPy's own, and how often they are wrong or right on made-up samples, seeded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ie_crowd.ranking import compare, rank, significance
from ie_crowd.ranking.significance import PAIRED, WELCH, difference, equivalent, moments
from scipy import stats

VALUES = st.lists(st.integers(-1000, 1000).map(lambda number: number / 8), min_size=2, max_size=8)


def of_arrays(samples):
    """The moments of the rows of an array."""
    n = samples.shape[1]
    return np.array([samples.mean(1), samples.var(1, ddof=1) / n, np.full(len(samples), n)])


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(VALUES, VALUES)
def test_welch_is_scipys(left, right):
    if len(set(left)) == 1 and len(set(right)) == 1:
        return  # worked by hand below
    (p,) = significance.welch([left], [right])
    assert p == pytest.approx(float(stats.ttest_ind(left, right, equal_var=False).pvalue), rel=1e-6, abs=1e-12)


def test_welch_worked_by_hand():
    # means 2 and 5, both variances 1, n = 3: t = 3 / sqrt(2/3) = 3.674, 4 degrees of freedom
    assert significance.welch([[1, 2, 3]], [[4, 5, 6]])[0] == pytest.approx(0.021312, abs=1e-6)
    assert significance.welch([[1, 1]], [[1, 1, 1]]) == [1.0]
    assert significance.welch([[1, 1]], [[2, 2]]) == [0.0]
    assert 0 < significance.welch([[1, 1, 1]], [[1, 2, 3]])[0] < 1


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(st.lists(st.tuples(st.integers(-80, 80), st.integers(-80, 80)), min_size=2, max_size=8))
def test_what_shares_its_draws_is_compared_draw_by_draw(pairs):
    left, right = ({number: pair[side] / 8 for number, pair in enumerate(pairs)} for side in (0, 1))
    found = difference(left, right)
    assert found.how == PAIRED
    if len({left[key] - right[key] for key in left}) > 1:
        theirs = stats.ttest_rel(list(left.values()), list(right.values()))
        assert found.p == pytest.approx(float(theirs.pvalue), rel=1e-6, abs=1e-12)
        assert found.half == pytest.approx(float(theirs.confidence_interval().high) - found.mean, rel=1e-6)
    other = difference(left, {(key, "another"): value for key, value in right.items()})
    assert (other.how, other.mean) == (WELCH, pytest.approx(found.mean))


def test_one_run_evidences_nothing():
    assert difference({0: 1.0}, {0: 2.0}) == (-1.0, None, None, WELCH)
    assert difference({0: 1.0, 1: 2.0}, {5: 2.0}).p is None


def test_equivalence_worked_by_hand():
    # means 0 and 1 apart, both squared errors 1/12 (variance 1/4, n = 3): error 0.408, 4 degrees of freedom, t 2.132
    left, right = moments([[-0.5, 0.0, 0.5]]), moments([[0.5, 1.0, 1.5]])
    assert not equivalent(left, right, 1.86)[0]
    assert equivalent(left, right, 1.88)[0]
    assert not equivalent(left, right, 0.9)[0]
    assert equivalent(moments([[1, 1]]), moments([[1, 1]]), 0.1)[0]
    assert not equivalent(moments([[1, 1]]), moments([[2, 2]]), 0.5)[0]


@given(VALUES, VALUES, st.floats(0.01, 300))
def test_the_shortcut_decides_as_the_distribution_does(left, right, margin):
    if len(left) < 3 or len(right) < 3:
        return
    pair = moments([left]), moments([right])
    assert equivalent(*pair, margin)[0] == equivalent(*pair, margin, alpha=np.nextafter(0.05, 1))[0]


@pytest.mark.parametrize(("draws", "least"), [(3, 0.28), (5, 0.75), (10, 0.98)])
def test_level_and_power_of_reproduced(draws, least):
    """A margin of two standard deviations between runs: wrong in at most 5 %, and how often right."""
    chance = np.random.default_rng(draws)
    left = of_arrays(chance.normal(0, 1, (20_000, draws)))
    at_the_margin = of_arrays(chance.normal(2, 1, (20_000, draws)))
    assert equivalent(left, at_the_margin, 2.0).mean() < 0.054  # 0.05 and three of its errors
    assert equivalent(left, of_arrays(chance.normal(0, 1, (20_000, draws))), 2.0).mean() > least
    # whoever scatters eight times as much reproduces less, never more
    noisy = of_arrays(chance.normal(0, 8, (20_000, draws)))
    assert equivalent(left, noisy, 2.0).mean() < 0.054


@pytest.mark.parametrize("count", [2, 3, 10, 50])
@pytest.mark.parametrize("freedoms", [2, 4, 20, 400])
def test_the_studentized_range_is_scipys(count, freedoms):
    theirs = stats.studentized_range.ppf(0.95, count, freedoms)
    assert significance.range_quantile(count, freedoms) == pytest.approx(theirs, rel=1e-3)


def ranks_of(samples):
    return rank.ranks([list(row) for row in samples[np.argsort(samples.mean(1))]])


@pytest.mark.parametrize("entries", [2, 20, 200])
@pytest.mark.parametrize("draws", [3, 10])
def test_ranks_of_equals_are_rarely_told_apart(entries, draws):
    """Whoever compares the best of many with all behind it by Welch and Holm is wrong in up to a third of tables."""
    chance = np.random.default_rng(entries + draws)
    tables = 400
    wrong = sum(max(ranks_of(chance.normal(0, 1, (entries, draws)))) > 1 for _ in range(tables))
    assert wrong / tables < 0.05 + 3 * (0.05 * 0.95 / tables) ** 0.5


@pytest.mark.parametrize(("entries", "least"), [(2, 0.999), (20, 0.75)])
def test_ranks_tell_apart_what_differs(entries, least):
    """One entry of ten draws, three standard deviations ahead of the rest, stands alone."""
    chance = np.random.default_rng(entries)
    alone = 0
    for _ in range(200):
        samples = chance.normal(0, 1, (entries, 10))
        samples[0] -= 3
        alone += ranks_of(samples)[:2] == [1, 2]
    assert alone / 200 > least


def test_one_more_run_of_a_reference_lies_within_the_prediction_interval_as_often_as_it_says():
    chance = np.random.default_rng(7)
    for runs in (3, 5, 10):
        values = chance.normal(0, 1, (20_000, runs + 1))
        reference, more = values[:, :runs], values[:, runs]
        half = np.array([significance.prediction_half(1.0, runs, level) for level in (0.95, 0.999)])
        apart = np.abs(more - reference.mean(1)) / reference.std(1, ddof=1)
        within = [(apart <= one).mean() for one in half]
        assert within[0] == pytest.approx(0.95, abs=0.005)
        assert within[1] == pytest.approx(0.999, abs=0.001)
    # What ten runs of a reference tell of one that is seven standard deviations better, and five of the same.
    found = [np.mean(significance.prediction_half(1.0, runs, 0.999) * chance.chisquare(runs - 1, 4000) ** 0.5
             / (runs - 1) ** 0.5 < 7) for runs in (5, 10)]  # fmt: skip
    assert found[1] > 0.9 > found[0]


def test_what_rounding_left_of_two_equal_means_is_no_difference():
    def document(*values):
        runs = [
            {"status": "completed", "seed": seed, "label_seed": seed, "metrics": {"error": value}}
            for seed, value in enumerate(values)
        ]
        return {"runs": runs, "metrics": {"error": {"value": sum(values) / len(values), "n": len(values)}}}

    lines = compare.best_of([document(0.3, 0.1), document(0.1 + 0.2, 0.1)], {"error": lambda value: value})
    assert lines[0].cells[1].behind.mean == 0.0
    lines = compare.best_of([document(0.3, 0.1), document(0.3 + 1e-9, 0.1)], {"error": lambda value: value})
    assert lines[0].cells[1].behind.mean > 0.0

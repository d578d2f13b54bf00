"""Ranks and reproduction: against SciPy's own tests, worked cases, and what somebody would try to gain a rank."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ie_crowd.challenge.evidence import Margin
from ie_crowd.challenge.model import Metric
from ie_crowd.ranking import rank, significance
from ie_crowd.ranking.rank import Draw
from scipy import stats

LOWER = Metric("%", "lower", 0, 100, None, "error")
HIGHER = Metric("%", "higher", 0, 100, None, "accuracy")
CHANCE = Metric("%", "toward-chance", 0, 100, 10.0, "leakage")


def draws(submitter, values, machine="A", method="", result="", start=0, variant="", level="stated"):
    told = f"{submitter}{method}{variant}"
    return [
        Draw(
            submitter,
            method,
            machine,
            start + seed,
            start + seed,
            value,
            f"{told}{seed}{value}",
            result,
            variant,
            level,
        )
        for seed, value in enumerate(values)
    ]


def margins(margin, spread=100.0, methods=("", "x", "theirs", "ours")):
    return dict.fromkeys(methods, Margin(margin, spread))


def table(entries):
    return [(entry.submitter, entry.rank) for entry in entries]


# Who is ranked where


def test_those_that_do_not_differ_share_a_rank():
    entries = rank.standings(
        [
            *draws("b", [2.0, 2.1, 2.2]),
            *draws("a", [2.1, 2.0, 2.3]),
            *draws("c", [9.0, 9.1, 9.2]),
            *draws("d", [9.2, 9.0, 9.3]),
        ],
        LOWER,
    )
    assert table(entries) == [("b", 1), ("a", 1), ("c", 3), ("d", 3)]
    assert [entry.n for entry in entries] == [3, 3, 3, 3]
    assert entries[0].mean == pytest.approx(2.1)
    assert entries[0].ci95 == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-5)


def test_direction_decides_who_is_first():
    both = [*draws("low", [10.1, 10.2, 10.3]), *draws("high", [60.0, 60.1, 60.2])]
    assert table(rank.standings(both, LOWER)) == [("low", 1), ("high", 2)]
    assert table(rank.standings(both, HIGHER)) == [("high", 1), ("low", 2)]
    far = [*draws("below", [1.0, 1.1, 1.2]), *draws("near", [11.0, 11.1, 11.2]), *draws("above", [30.0, 30.1, 30.2])]
    assert table(rank.standings(far, CHANCE)) == [("near", 1), ("below", 2), ("above", 3)]


def test_fewer_than_three_draws_and_failed_runs_are_not_ranked():
    entries = rank.standings(
        [
            *draws("two", [0.1, 0.2]),
            *draws("failed", [0.1, None, None, 0.2]),
            *draws("three", [5.0, 5.1, None, 5.2]),
            *draws("nothing", [None, None, None]),
        ],
        LOWER,
    )
    assert table(entries) == [("three", 1), ("failed", None), ("two", None)]
    assert [entry.failed for entry in entries] == [1, 2, 0]


def test_a_hundred_uploads_count_once():
    honest = draws("honest", [3.0, 3.2, 3.4])
    once = rank.standings([*honest, *draws("busy", [3.1, 3.2, 3.3])], LOWER)
    busy = [draw for number in range(100) for draw in draws("busy", [3.1, 3.2, 3.3], result=str(number))]
    many = rank.standings([*honest, *busy], LOWER)
    assert table(once) == table(many)
    assert [(entry.n, entry.mean, entry.ci95) for entry in once] == [
        (entry.n, entry.mean, entry.ci95) for entry in many
    ]


def test_the_best_of_many_is_no_way_up():
    chance = random.Random(0)  # noqa: S311 made-up data
    lucky = [
        draw
        for number in range(50)
        for draw in draws("lucky", [5 + chance.gauss(0, 1) for _ in range(3)], result=str(number))
    ]
    (entry,) = rank.standings(lucky, LOWER)
    assert entry.n == 3
    assert entry.mean == pytest.approx(5, abs=0.4)
    assert len(entry.results) == 50


def test_in_the_open_division_the_best_variant_of_each_counts():
    entries = rank.standings(
        [
            *draws("a", [9.0, 9.1, 9.2], variant="x"),
            *draws("a", [1.0, 1.1, 1.2], variant="y"),
            *draws("a", [0.1], variant="z"),
            *draws("b", [1.1, 1.0, 1.2], variant="y"),
        ],
        LOWER,
    )
    assert [(entry.submitter, entry.variant, entry.rank) for entry in entries] == [("a", "y", 1), ("b", "y", 1)]


def test_what_somebody_has_with_two_methods_is_two_entries():
    entries = rank.standings(
        [
            *draws("a", [9.0, 9.1, 9.2], method="theirs"),
            *draws("a", [1.0, 1.1, 1.2], method="ours"),
            *draws("a", [0.5, 0.6, 0.7], method="ours", variant="another"),
            *draws("b", [9.1, 9.0, 9.2], method="theirs", machine="B"),
        ],
        LOWER,
        margins(0.5),
    )
    assert [(one.submitter, one.method, one.variant, one.rank, one.n) for one in entries] == [
        ("a", "ours", "another", 1, 3),
        ("a", "theirs", "", 2, 3),
        ("b", "theirs", "", 2, 3),
    ]
    assert [one.reproduced_by for one in entries] == [[], ["b"], ["a"]]


@settings(deadline=None)  # a quantile of a new size takes a moment
@given(st.lists(st.lists(st.floats(0, 100), min_size=3, max_size=5), max_size=12))
def test_ranks_never_fall_and_count_who_is_ahead(groups):
    groups.sort(key=lambda values: sum(values) / len(values))
    found = rank.ranks(groups)
    assert len(found) == len(groups)
    assert found == sorted(found)
    for index, place in enumerate(found):
        assert place - 1 <= index
        assert found[place - 1] == place  # the group's best stands at its rank


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(st.lists(st.lists(st.integers(0, 80), min_size=4, max_size=4), min_size=2, max_size=2))
def test_two_of_the_same_spread_are_told_apart_as_by_students_test(groups):
    """Tukey's test of two is Student's; the larger of own and shared variance only makes it more careful."""
    groups.sort(key=lambda values: sum(values) / len(values))
    if len(set(groups[0])) > 1 and rank.ranks(groups) == [1, 2]:
        assert stats.ttest_ind(*groups).pvalue <= 0.0501
    shifted = [groups[0], [value + 1000 for value in groups[0]]]
    assert rank.ranks(shifted) == [1, 2]


def test_nothing_gives_nothing():
    assert rank.standings([], LOWER) == []
    assert rank.ranks([]) == []


# What is reproduced


def reproduced(*parts, margin=0.5, metric=LOWER, **more):
    entries = rank.standings([draw for part in parts for draw in part], metric, margins(margin), **more)
    return {entry.submitter: entry.reproduced_by for entry in entries}


def test_independent_agreement_reproduces():
    a, b = draws("a", [3.0, 3.1, 3.2]), draws("b", [3.1, 3.2, 3.3], machine="B")
    assert reproduced(a, b) == {"a": ["b"], "b": ["a"]}
    assert reproduced(a, b, margin=0.2) == {"a": [], "b": []}  # 0.1 apart, and 0.08 of error: not shown
    assert reproduced(a, draws("b", [7.1, 7.2, 7.3], machine="B")) == {"a": [], "b": []}
    # where the rules state no margin, nothing is evidenced
    entries = rank.standings([*a, *b], LOWER)
    assert [entry.reproduced_by for entry in entries] == [[], []]


def test_noise_reproduces_nothing():
    tight = draws("a", [1.7, 1.75, 1.8])
    noisy = draws("b", [-5.1, 4.9, 14.9], machine="B")  # 4.9 ± 10
    assert reproduced(tight, noisy) == {"a": [], "b": []}
    same_mean = draws("b", [-8.25, 1.75, 11.75], machine="B")
    assert reproduced(tight, same_mean) == {"a": [], "b": []}


def test_what_scatters_more_than_the_rules_allow_has_no_rank():
    told = [*draws("a", [1.7, 1.75, 1.8]), *draws("b", [-8.25, 1.0, 11.75])]
    entries = rank.standings(told, LOWER, margins(0.5, spread=0.4))
    assert table(entries) == [("a", 1), ("b", None)]
    assert entries[1].unranked == "its runs scatter by 10, allowed: 0.4"


def test_a_noisy_best_does_not_tie_all_behind_it():
    tight = [draws(f"t{number}", [mean - 0.05, mean, mean + 0.05]) for number, mean in enumerate((2.0, 3.0, 4.0))]
    entries = rank.standings([*draws("noisy", [-3.0, 1.0, 5.0]), *(draw for one in tight for draw in one)], LOWER)
    assert table(entries) == [("noisy", 1), ("t0", 1), ("t1", 3), ("t2", 4)]


# Evidence


def test_what_has_less_evidence_than_is_asked_for_is_listed_below_without_a_rank():
    told = [
        *draws("honest", [5.0, 5.1, 5.2], level="recomputed"),
        *draws("boaster", [0.1, 0.2, 0.3]),
        *draws("two", [6.0, 6.1], level="rerun"),
    ]
    entries = rank.standings(told, LOWER, asked="recomputed")
    assert [(one.submitter, one.rank, one.level, one.unranked) for one in entries] == [
        ("honest", 1, "recomputed", ""),
        ("two", None, "rerun", "2 draws, asked: 3"),
        ("boaster", None, "stated", "stated, asked: recomputed"),
    ]
    assert rank.standings(told, LOWER)[0].submitter == "boaster"


def test_where_evidence_is_asked_for_draws_are_complete():
    picked = draws("a", [1.0, None, 1.1, 1.2], level="recomputed")
    (entry,) = rank.standings(picked, LOWER, asked="recomputed")
    assert (entry.rank, entry.unranked) == (None, "the run of seed 1 failed and was not made again")
    again = [*picked, *draws("a", [1.3], start=1, level="recomputed", result="2")]
    (entry,) = rank.standings(again, LOWER, asked="recomputed")
    assert (entry.rank, entry.n, entry.failed) == (1, 4, 1)
    assert rank.standings(picked, LOWER)[0].rank == 1  # where nothing is asked for, it only shows


def test_what_somebody_states_beside_their_evidence_does_not_better_their_rank():
    told = [*draws("a", [5.0, 5.1, 5.2], level="recomputed"), *draws("a", [0.1, 0.2, 0.3], result="boast")]
    entries = rank.standings(told, LOWER, asked="recomputed")
    assert [(one.submitter, one.rank, round(one.mean, 3), one.results) for one in entries] == [
        ("a", 1, 5.1, [""]),
        ("a", None, 0.2, ["boast"]),
    ]


def test_two_that_are_only_stated_reproduce_nothing_where_evidence_is_asked_for():
    a, b = draws("a", [3.0, 3.1, 3.2]), draws("b", [3.1, 3.2, 3.3], machine="B")
    assert reproduced(a, b, asked="recomputed") == {"a": [], "b": []}
    honest = draws("c", [3.0, 3.1, 3.2], machine="C", level="recomputed")
    assert reproduced(a, honest, asked="recomputed") == {"a": [], "c": []}


def test_predictions_that_look_alike_are_not_independent():
    a, b = draws("a", [3.0, 3.1, 3.2], result="1"), draws("b", [3.1, 3.2, 3.3], machine="B", result="2")
    assert reproduced(a, b, alike=[("2", "1")]) == {"a": [], "b": []}
    assert reproduced(a, b, alike=[("2", "9")]) == {"a": ["b"], "b": ["a"]}


def test_what_is_not_independent_does_not():
    a = draws("a", [3.0, 3.1, 3.2])
    assert reproduced(a, draws("b", [3.0, 3.1, 3.3])) == {"a": [], "b": []}  # the same machine
    assert reproduced(a, draws("a", [3.0, 3.1, 3.3], machine="B")) == {"a": []}  # the same person
    assert reproduced(a, draws("b", [3.0, 3.1], machine="B")) == {"a": [], "b": []}  # too few
    copied = [Draw("b", "", "B", draw.seed, draw.seed, draw.value, draw.model_sha256) for draw in a]
    assert reproduced(a, copied) == {"a": [], "b": []}  # the same weights
    other = draws("b", [3.0, 3.1, 3.2], machine="B", method="x")
    assert reproduced(a, other) == {"a": [], "b": []}  # another method
    variant = draws("b", [3.0, 3.1, 3.2], machine="B", variant="x")
    assert reproduced(a, variant) == {"a": [], "b": []}  # another variant
    moved = [*draws("b", [3.0, 3.1, 3.3]), *draws("b", [3.2], machine="B", start=3)]
    assert reproduced(a, moved) == {"a": ["b"], "b": ["a"]}  # on the same machine, and on another


GROUPS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),  # submitter
        st.sampled_from(["", "x"]),  # method
        st.sampled_from("ABC"),  # machine
        st.lists(st.integers(0, 40).map(lambda number: number / 8), min_size=2, max_size=5),
        st.sampled_from("pqrst"),  # weights, which some share
    ),
    max_size=9,
)


@pytest.mark.parametrize("at_once", [1, 7, rank.AT_ONCE])
@settings(deadline=None)  # a quantile of a new size takes a moment
@given(groups=GROUPS, margin=st.sampled_from([0.01, 0.5, 3.0]))
def test_reproduced_is_what_its_definition_says(at_once, groups, margin):
    told = [
        Draw(who, method, machine, seed, place, value, f"{weights}{seed}")
        for place, (who, method, machine, values, weights) in enumerate(groups)
        for seed, value in enumerate(values)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank, "AT_ONCE", at_once)
        entries = [entry for entry in rank.standings(told, LOWER, margins(margin)) if not entry.unranked]
    for one in entries:
        expected = []
        for other in entries:
            weights = [
                {draw.model_sha256 for draw in told if (draw.submitter, draw.method) == (each.submitter, each.method)}
                for each in (one, other)
            ]
            moments = [significance.moments([each.values]) for each in (one, other)]
            agree = bool(significance.equivalent(*moments, margin)[0])
            same_place = len(one.machines) == 1 and one.machines == other.machines
            others = one.submitter != other.submitter and one.method == other.method
            if others and agree and not same_place and not weights[0] & weights[1]:
                expected.append(other.submitter)
        assert one.reproduced_by == sorted(expected)

"""What pages ask: lists, filters, charts, one and two results, exports, on both databases."""

import dataclasses
import json

import pytest

pytest.importorskip("sqlalchemy")
from ie_crowd.challenge import model
from ie_crowd.ranking import compare
from ie_crowd.store import chart_data, database, export, insert, query, standings, tables
from ie_crowd.store.filters import ANY, Filter
from ie_crowd.store.people import accounts, moderation
from sqlalchemy import event, select
from toy_challenge.documents import MACHINES, text, toy
from toy_challenge.make import RULES

MAE, RECALL = "forecast.mae", "flood.recall"


def open_division(window_days, **more):
    base = toy(**more)
    config = {**base["config"], "window_days": window_days}
    challenge = {**base["challenge"], "division": "open", "departures": ["window_days"]}
    return toy(**more, config=config, challenge=challenge)


@pytest.fixture
def filled(engine):
    """Seven published results, one quarantined, one that waits; the ids by a short name."""
    documents = {
        "a0": toy((1.0, 2.0, 3.0), submitter="Ada", machine=0, created="2026-01-01T00:00:00Z"),
        "a1": toy((1.1, 2.1, 3.1), submitter="Ada", machine=1, created="2026-01-02T00:00:00Z"),
        "b0": toy((5.0, 6.0, 7.0), submitter="Bob", machine=1, created="2026-01-03T00:00:00Z"),
        "c0": toy((1.5, 1.6, 1.7), submitter="Cyd", machine=2, created="2026-01-04T00:00:00Z"),
        "n0": toy((9.0, 9.1), submitter=None, machine=2, created="2026-01-05T00:00:00Z"),
        "o0": open_division(30, maes=(0.5, 0.6, 0.7), submitter="Bob", machine=1),
        "o1": open_division(60, maes=(0.1, 0.2, 0.3), submitter="Bob", machine=1),
    }
    by = {RULES.id: RULES}
    for document in documents.values():
        assert insert.submit(engine, text(document), publish=True, challenges=by).what == "published"
    bad = toy((1.0, 2.0, 3.0), submitter="Eve")
    assert insert.submit(engine, text(bad), publish=True, challenges=by).what == "quarantined"
    waiting = toy((4.0, 4.1, 4.2), submitter="Eve")
    assert insert.submit(engine, text(waiting), challenges=by).what == "valid"
    return {
        **{name: document["id"] for name, document in documents.items()},
        "bad": bad["id"],
        "waiting": waiting["id"],
    }


def test_each_further_choice_says_how_many_results_it_would_leave(engine, filled):
    found = query.choices(engine, ANY)
    assert dict(found["submitter"]) == {"Ada": 2, "Bob": 3, "Cyd": 1}
    assert dict(found["division"]) == {"closed": 5, "open": 2}
    assert dict(found["cpu_model"]) == {MACHINES[0]: 1, MACHINES[1]: 4, MACHINES[2]: 2}
    assert "dataset" not in found, "all have the same"
    for asked in (Filter(division="closed"), Filter(text="neoverse"), Filter(cpu_model=MACHINES[2]), Filter(text="n")):
        for name, pairs in query.choices(engine, asked).items():
            assert getattr(asked, name) is None
            for value, results in pairs:
                assert query.results(engine, asked._replace(**{name: value})).total == results
    assert query.choices(engine, Filter(submitter="nobody")) == {}
    assert dict(query.choices(engine, ANY, tables.QUARANTINED)["submitter"]) == {"Eve": 1}
    assert len(query.choices(engine, ANY, most=2)["submitter"]) == 2


def test_the_best_so_far_is_of_all_results_by_day(engine, filled):
    def days(**more):
        asked = {"axis": "created", "by": "division", "direction": "lower", **more}
        return chart_data.best_so_far(engine, asked.pop("asked", ANY), MAE, **asked)

    closed = Filter(division="closed")
    assert days(asked=closed) == {"closed": [("2026-01-01", pytest.approx(2.0)), ("2026-01-04", pytest.approx(1.6))]}
    assert [day for day, _ in days(asked=closed, direction="higher")["closed"]] == [
        "2026-01-01", "2026-01-02", "2026-01-03", "2026-01-05",
    ]  # fmt: skip
    assert set(days()) == {"closed", "open"}
    assert days(asked=Filter(submitter="nobody")) == {}
    assert days(by="labels", asked=closed) == {"all": days(asked=closed)["closed"]}
    with pytest.raises(ValueError, match="no metric"):
        chart_data.best_so_far(engine, ANY, "no.such", "created", "division", "lower")


SEASONS = dataclasses.replace(RULES, methods={"season": model.Methods("wet, warm", {})})


@pytest.fixture
def two_methods(engine):
    """Ada's results of both methods, and Bob's of one; the ids by a short name."""
    base = toy()["config"]
    dry = {**base, "season": "dry"}
    documents = {
        "wet": toy((1.0, 2.0, 3.0), submitter="Ada"),
        "dry": toy((1.2, 2.2, 3.2), submitter="Ada", config=dry, tag="dry"),
        "bob": toy((5.2, 6.2, 7.2), submitter="Bob", machine=1, config=dry),
    }
    for document in documents.values():
        done = insert.submit(engine, text(document), publish=True, challenges={RULES.id: SEASONS})
        assert done.what == "published", done
    return {name: document["id"] for name, document in documents.items()}


def test_methods_are_told_apart(engine, two_methods):
    for sort in ("published", MAE):
        assert set(ask(engine, two_methods, Filter(method="dry"), sort=sort)) == {"dry", "bob"}
        assert ask(engine, two_methods, Filter(method="wet, warm"), sort=sort) == ["wet"]
        assert ask(engine, two_methods, Filter(method="dry", submitter="Ada"), sort=sort) == ["dry"]
        assert ask(engine, two_methods, Filter(method=""), sort=sort) == []
    assert {row["method"] for row in query.results(engine).rows} == {"wet, warm", "dry"}
    assert query.facets(engine, RULES.id)["method"] == ["dry", "wet, warm"]
    [row] = standings.contests(engine)
    assert (row["results"], row["submitters"], query.totals(engine)["contests"]) == (3, 2, 1)
    contest = standings.Contest(*(row[name] for name in standings.Contest._fields))
    entries = standings.standings(engine, contest, MAE, RULES.metrics[MAE], RULES.evidence)
    assert [(entry.submitter, entry.method) for entry in entries] == [
        ("Ada", "wet, warm"),
        ("Ada", "dry"),
        ("Bob", "dry"),
    ]
    lines = chart_data.by_labels(engine, Filter(), MAE)
    assert [(line["method"], line["results"], line["submitters"]) for line in lines] == [
        ("dry", 2, 2),
        ("wet, warm", 1, 1),
    ]
    # a result alone has the interval over its runs: 1, 2 and 3 have one of 4.303 standard errors
    assert lines[1]["ci95"] == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    points = chart_data.points(engine, Filter(), MAE, "wall_seconds")["points"]
    assert sorted(point["method"] for point in points) == ["dry", "dry", "wet, warm"]


@pytest.mark.parametrize("sort", ["published", "submitter", "labels", MAE])
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ada", {"wet", "dry"}),
        ("ADA dry", {"dry"}),
        ("gauges bob", {"bob"}),
        ("xeon", {"wet", "dry"}),
        ("nobody", set()),
        ("%", set()),
        ("a_a", set()),
    ],
)
def test_words_are_searched_for(engine, two_methods, words, found, sort):
    assert set(ask(engine, two_methods, Filter(text=words), sort=sort)) == found
    first = two_methods["bob"][:8]
    assert ask(engine, two_methods, Filter(text=first.upper()), sort=sort) == ["bob"]


def names(page, ids):
    back = {value: name for name, value in ids.items()}
    return [back[row["id"]] for row in page.rows]


def ask(engine, ids, asked=ANY, **more):
    return names(query.results(engine, asked, **more), ids)


def test_lists_show_what_is_published(engine, filled):
    page = query.results(engine, metrics=[MAE])
    assert page.total == 7
    assert set(names(page, filled)) == set(filled) - {"bad", "waiting"}
    row = next(row for row in page.rows if row["id"] == filled["a1"])
    assert row["metrics"][MAE]["mean"] == pytest.approx(2.1)
    assert row["metrics"][MAE]["n"] == 3
    assert (row["submitter"], row["cpu_model"], row["labels"], row["division"]) == ("Ada", MACHINES[1], "all", "closed")
    assert query.results(engine).rows[0]["metrics"] == {}
    assert ask(engine, filled, state="quarantined") == ["bad"]
    assert ask(engine, filled, state="valid") == ["waiting"]
    with pytest.raises(ValueError, match="that are valid are not sorted by a metric"):
        ask(engine, filled, state="valid", sort="forecast.mae")


def test_filters(engine, filled):
    for asked, expected in [
        (Filter(submitter="Ada"), {"a0", "a1"}),
        (Filter(division="open"), {"o0", "o1"}),
        (Filter(cpu_model=MACHINES[2]), {"c0", "n0"}),
        (Filter(submitter="Ada", cpu_model=MACHINES[1]), {"a1"}),
        (Filter(dataset="gauges", labels="all", supervision="supervised", division="closed", submitter="Bob"), {"b0"}),
        (Filter(labels=50), set()),
        (Filter(labels="nonsense"), set()),
        (Filter(labels=10**30), set()),
        (Filter(challenge="another"), set()),
        (Filter(submitter="' OR '1'='1"), set()),
        (Filter(accelerator="NVIDIA H100 80GB HBM3"), {"a0", "a1", "b0", "c0", "n0", "o0", "o1"}),
        (Filter(accelerator=""), set()),
    ]:
        for sort in ("published", MAE):
            page = query.results(engine, asked, sort=sort)
            assert set(names(page, filled)) == expected, (asked, sort)
            assert page.total == len(expected)


def test_sorting_and_pages(engine, filled):
    closed = Filter(division="closed")
    assert ask(engine, filled, closed, sort="created", descending=False) == ["a0", "a1", "b0", "c0", "n0"]
    assert ask(engine, filled, closed, sort="created") == ["n0", "c0", "b0", "a1", "a0"]
    assert ask(engine, filled, closed, sort=MAE, descending=False) == ["c0", "a0", "a1", "b0", "n0"]
    assert ask(engine, filled, sort=MAE, descending=False)[:2] == ["o1", "o0"]
    by_name = [row["submitter"] for row in query.results(engine, sort="submitter", descending=False).rows]
    assert by_name == ["Ada", "Ada", "Bob", "Bob", "Bob", "Cyd"]  # who is not named has no place in it
    pages = [ask(engine, filled, sort=MAE, page=page, size=3) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [name for page in pages for name in page] == ask(engine, filled, sort=MAE)
    for bad in ({"sort": "id; DROP TABLE result"}, {"page": 0}, {"size": 0}, {"size": 501}, {"state": "gone"}):
        with pytest.raises(ValueError, match=r"there is no|expected a page"):
            query.results(engine, **bad)


def test_one_result(engine, filled):
    document = toy((1.0, 2.0, 3.0), submitter="Ada", machine=0, created="2026-01-01T00:00:00Z")
    found = query.one(engine, filled["a0"])
    assert set(found["metrics"]) == {MAE, RECALL}
    assert (found["reasons"], found["uploaded_by"], found["rules_version"]) == ([], None, 3)
    assert query.original(engine, filled["a0"]) == text(document)
    runs = query.runs(engine, filled["a0"])
    assert [run["metrics"] for run in runs] == [{MAE: mae, RECALL: 90.0} for mae in (1.0, 2.0, 3.0)]
    assert query.one(engine, filled["bad"])["reasons"][0]["name"] == "copy"
    assert query.one(engine, "0" * 64) is None
    assert query.original(engine, "0" * 64) is None
    assert query.runs(engine, "'") == []
    accounts.add(engine, "Boss", "operator")
    boss = accounts.accounts(engine)[0]
    moderation.withdraw(engine, filled["a0"], boss, "asked for")
    gone = query.one(engine, filled["a0"])
    assert set(gone) == {"id", "state", "received", "reasons"}
    assert gone["reasons"][0]["detail"] == "asked for"
    assert query.original(engine, filled["a0"]) is None
    assert query.results(engine).total == 6
    assert ask(engine, filled, Filter(submitter="Ada")) == ["a1"]


def test_choices_and_totals(engine, filled):
    choices = query.facets(engine, RULES.id)
    assert choices["division"] == ["closed", "open"]
    assert choices["labels"] == ["all"]
    assert choices["submitter"] == ["Ada", "Bob", "Cyd"]  # not Eve, of whom nothing is published
    assert choices["cpu_model"] == sorted(MACHINES)
    assert query.facets(engine, "another")["dataset"] == []
    totals = query.totals(engine)
    assert (totals["published"], totals["quarantined"], totals["valid"], totals["withdrawn"]) == (7, 1, 1, 0)
    assert (totals["submitters"], totals["machines"], totals["contests"]) == (3, 3, 2)


def test_points_of_a_chart(engine, filled):
    chart = chart_data.points(engine, Filter(division="closed"), RECALL, MAE)
    assert (chart["total"], chart["thinned"], len(chart["points"])) == (5, False, 5)
    point = next(point for point in chart["points"] if point["id"] == filled["b0"])
    assert (point["x"], point["y"], point["submitter"]) == (90.0, 6.0, "Bob")
    assert point["y_ci95"] == pytest.approx(2.484, abs=1e-3)
    thin = chart_data.points(engine, Filter(), "wall_seconds", MAE, most=3)
    assert thin["thinned"]
    assert 1 <= len(thin["points"]) <= 3
    assert thin == chart_data.points(engine, Filter(), "wall_seconds", MAE, most=3)
    assert chart_data.points(engine, Filter(submitter="Nobody"), "labels", MAE) == {
        "points": [],
        "total": 0,
        "thinned": False,
    }
    for axis in ("created", "cores", "labels", "completed", "memory_bytes", "published"):
        assert len(chart_data.points(engine, Filter(), axis, "wall_seconds")["points"]) == 7
    with pytest.raises(ValueError, match="there is no metric"):
        chart_data.points(engine, Filter(), "os; --", MAE)


def test_a_metric_against_the_number_of_labels(engine, filled):
    closed, opened = chart_data.by_labels(engine, Filter(challenge=RULES.id), MAE)
    # Ada, Bob, Cyd, and who names nobody
    assert (closed["division"], closed["results"], closed["submitters"]) == ("closed", 5, 4)
    assert closed["mean"] == pytest.approx((2.05 + 6.0 + 1.6 + 9.05) / 4)
    assert (closed["low"], closed["high"]) == (pytest.approx(1.6), pytest.approx(9.05))
    assert (opened["submitters"], opened["ci95"]) == (1, None)


def test_a_result_that_is_alone_is_charted_with_its_own_interval(engine):
    alone = toy((1.0, 2.0, 3.0), submitter="Ada")
    assert insert.submit(engine, text(alone), publish=True, challenges={RULES.id: RULES}).what == "published"
    (line,) = chart_data.by_labels(engine, Filter(), MAE)
    assert line["ci95"] == pytest.approx(alone["metrics"][MAE]["ci95"])
    second = toy((1.1, 2.1, 3.1), submitter="Ada", machine=1)
    assert insert.submit(engine, text(second), publish=True, challenges={RULES.id: RULES}).what == "published"
    (line,) = chart_data.by_labels(engine, Filter(), MAE)
    assert line["ci95"] is None  # of one submitter's mean


def test_a_chart_of_no_lone_result_asks_for_no_intervals(engine, filled):
    """A list of none in a condition makes SQLite read all rows to find none."""
    asked = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection, cursor, statement, *more):
        asked.append("summary" in statement)

    closed = chart_data.by_labels(engine, Filter(challenge=RULES.id, division="closed"), MAE)
    assert [line["submitters"] for line in closed] == [4]
    assert sum(asked) == 1


def test_standings_of_the_store(engine, filled):
    found = {(row["division"], row["results"], row["submitters"]) for row in standings.contests(engine, RULES.id)}
    assert found == {("closed", 5, 3), ("open", 2, 1)}
    contest = standings.Contest(RULES.id, "gauges", "supervised", "all", "closed")
    entries = standings.standings(engine, contest, MAE, RULES.metrics[MAE], RULES.evidence)
    found = [(entry.submitter, entry.rank, entry.n) for entry in entries]
    assert found == [("Cyd", 1, 3), ("Ada", 1, 3), ("Bob", 3, 3)]
    assert entries[1].reproduced_by == ["Cyd"]
    assert entries[2].reproduced_by == []
    assert sorted(entries[1].results) == sorted([filled["a0"], filled["a1"]])
    opened = standings.standings(engine, contest._replace(division="open"), MAE, RULES.metrics[MAE], RULES.evidence)
    assert [(entry.submitter, entry.mean) for entry in opened] == [("Bob", pytest.approx(0.2))]


def test_exports_hold_every_row(engine, filled):
    rows = {what: list(export.export(engine, what)) for what in export.EXPORTS}
    assert {what: len(found) for what, found in rows.items()} == {"results": 7, "metrics": 14, "runs": 20, "values": 40}
    assert set(rows["values"][0]) == {"id", "number", "metric", "value"}
    assert {row["id"] for row in rows["results"]} == set(filled.values()) - {filled["bad"], filled["waiting"]}
    assert json.loads(json.dumps(rows["results"])) == rows["results"]
    assert len(list(export.export(engine, "runs", Filter(submitter="Ada")))) == 6
    with pytest.raises(ValueError, match="there is no table 'account'"):
        export.export(engine, "account")


def test_a_reader_sees_one_state(engine, filled):
    accounts.add(engine, "Boss", "operator")
    boss = accounts.accounts(engine)[0]
    rows = export.export(engine, "values")
    first = next(rows)
    moderation.withdraw(engine, filled["c0"], boss, "asked for")
    assert len([first, *rows]) == 40
    assert len(list(export.export(engine, "values"))) == 34


def test_two_results_side_by_side():
    left = toy((1.0, 1.1, 1.2), submitter="Ada")
    right = open_division(30, maes=(5.0, 5.1, 5.2, None), submitter="Bob", machine=1)
    right["software"] = [{"name": "river-models", "version": "14.0"}, {"name": "extra", "version": "1"}]
    rows = {(row.section, row.name): row for row in compare.compare(left, right)}
    assert rows["config", "window_days"][2:5] == (14, 30, True)
    assert not rows["config", "epochs"].differs
    assert rows["system", "cpu_model"].differs
    assert rows["system", "accelerators 1 name"].left == "NVIDIA H100 80GB HBM3"
    assert rows["software", "extra"][2:5] == (None, "1", True)
    assert rows["software", "river-models"].differs
    mae = rows["metrics", MAE]
    assert mae.differs
    assert mae.p < 0.001
    assert (mae.left["n"], mae.right["n"]) == (3, 3)
    assert not rows["metrics", RECALL].differs
    assert not any(row.differs for row in compare.compare(left, left))
    single = toy((1.0,))
    row = next(row for row in compare.compare(single, left) if row.name == MAE)
    assert (row.differs, row.p) == (True, None)


def test_nothing_in_an_empty_store(engine):
    assert query.results(engine) == ([], 0)
    assert chart_data.points(engine, Filter(), "labels", "created")["points"] == []
    assert standings.contests(engine) == []
    assert list(export.export(engine, "values")) == []
    assert query.totals(engine)["published"] == 0
    with pytest.raises(ValueError, match="there is no metric"):
        query.results(engine, sort=MAE)
    with database.reading(engine) as connection:
        assert connection.execute(tables.result.select()).all() == []


def test_a_row_has_what_is_listed_and_a_tombstone_keeps_none_of_it(engine, filled):
    (row,) = query.results(engine, Filter(submitter="Cyd")).rows
    assert list(row) == [*tables.LISTED, "metrics"]
    assert list(next(iter(export.export(engine, "results")))) == list(tables.LISTED)
    accounts.add(engine, "Boss", "operator")
    moderation.withdraw(engine, row["id"], accounts.accounts(engine)[0], "asked for")
    result = tables.result.c
    with database.reading(engine) as connection:
        left = connection.execute(select(tables.result).where(result.id == row["id"])).mappings().one()
    assert [name for name in tables.LISTED if name in left and left[name] is not None and result[name].nullable] == []

"""Times that others state are dates that can be true, wherever a result is read; and one odd date breaks no page."""

from datetime import UTC, datetime, timedelta

import pytest
from ie_crowd.formats import moments, schema
from toy_challenge.documents import identified, text, toy
from toy_challenge.make import RULES

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
IMPOSSIBLE = [
    "2026-19-39T29:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-11-27T24:00:00Z",
]


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_is_no_time_of_the_calendar(text):
    assert "is no time of the calendar" in moments.problem(text, NOW)
    assert schema.problems(toy(created=text))[0].startswith("/created: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2000-01-01T00:00:00Z", "before this software"),
        ("2025-12-31T23:59:59Z", "before this software"),
        ("2026-01-01T00:00:00Z", None),
        ("2026-11-29T23:59:59Z", None),
        ("2026-11-30T00:00:00Z", "after tomorrow"),
        ("2099-01-01T00:00:00Z", "after tomorrow"),
    ],
)
def test_when_it_can_have_been(text, says):
    said = moments.problem(text, NOW)
    assert said is None if says is None else says in said


def test_the_clock_of_now_is_the_machines():
    after = datetime.now(UTC) + timedelta(days=3)
    assert "after tomorrow" in schema.problems(toy(created=after.strftime(moments.FORM)))[0]
    assert schema.problems(toy(created=datetime.now(UTC).strftime(moments.FORM))) == []


def test_a_document_that_the_quick_check_cannot_judge_is_judged_alike(monkeypatch):
    monkeypatch.setattr(schema, "_accepts", lambda version: lambda found: False)
    assert schema.problems(toy(created="2026-02-30T00:00:00Z"))[0].startswith("/created: ")
    assert schema.problems(toy()) == []


@pytest.mark.parametrize("created", [*IMPOSSIBLE, "2000-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_no_store_takes_it_and_no_page_fails_over_one_that_is_there(site_store, created):
    from ie_crowd.store import database, insert, tables
    from sites import client

    by = {RULES.id: RULES}
    with pytest.raises(ValueError, match="/created"):
        insert.submit(site_store, text(identified(toy((1.0, 3.0), submitter="Zed", created=created))), challenges=by)
    with database.writing(site_store) as connection:  # as an earlier program took it in
        connection.execute(
            tables.result.update().where(tables.result.c.id == site_store.ids["bob"]).values(created=created)
        )
    with client(site_store) as site:
        for path in (
            "/", "/results", "/results?sort=created", f"/results/{site_store.ids['bob']}", "/feed.atom",
            "/results?view=chart&x=created&y=forecast.mae", "/results?view=chart&x=wall_seconds&y=forecast.mae",
            "/api/v1/charts/points?x=created&y=forecast.mae", "/api/v1/exports/results.csv",
            f"/compare?a={site_store.ids['bob']}&b={site_store.ids['ada']}",
        ):  # fmt: skip
            assert site.get(path).status_code == 200, path

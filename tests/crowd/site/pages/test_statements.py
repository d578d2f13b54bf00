"""How many questions a page asks of the store: as many for fifty results as for two."""

import contextlib
import threading
import time

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
import sqlalchemy
from ie_crowd.site.rendering import evidence
from ie_crowd.store import standings
from sites import client


@contextlib.contextmanager
def counted(engine):
    asked = []

    def note(connection, cursor, statement, *_):
        asked.append(statement)

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    yield asked
    sqlalchemy.event.remove(engine, "before_cursor_execute", note)


def test_a_longer_list_asks_no_more_of_the_store(site_store):
    numbers = []
    for size in (2, 5):
        with client(site_store, page_size=size) as site:
            site.get("/results")
            with counted(site_store) as asked:
                answer = site.get("/results")
        assert answer.text.count('name="id"') == size
        numbers.append(len(asked))
    assert numbers[0] == numbers[1] > 0


def test_a_chart_of_two_axes_is_made_once_for_its_page_and_its_files(site, site_store, monkeypatch):
    from ie_crowd.store import chart_data

    asked = []
    points = chart_data.points
    monkeypatch.setattr(chart_data, "points", lambda *a, **more: asked.append(a) or points(*a, **more))
    for path in ("/results?view=chart&x=wall_seconds", "/charts/points.svg?x=wall_seconds"):
        assert site.get(path).status_code == 200
    assert len(asked) == 1
    assert site.get("/charts/points.svg?x=wall_seconds&dataset=gauges").status_code == 200
    assert len(asked) == 2


def test_a_reader_sets_the_waiting_time_once(site_store):
    with client(site_store) as site, counted(site_store) as asked:
        site.get("/results")
        assert not [one for one in asked if one.startswith(("PRAGMA", "BEGIN"))], "each took as long as a question"


@pytest.fixture
def large(site_store, monkeypatch):
    """A site where every contest counts as large. ``goes_on``: ranks are found once it is set; ``asked``: of which."""
    monkeypatch.setattr(evidence, "AT_ONCE", 0)
    goes_on, asked, real = threading.Event(), [], standings.standings

    def slow(engine, contest, *more):
        asked.append(contest)
        assert goes_on.wait(20)
        return real(engine, contest, *more)

    monkeypatch.setattr(evidence.standings, "standings", slow)
    with client(site_store) as one:
        one.goes_on, one.asked = goes_on, asked
        yield one
        goes_on.set()


def until(found):
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_list_does_not_wait_for_the_ranks_of_large_contests_and_says_so(large):
    first = large.get("/results").text
    assert "whether others reproduced it is being computed" in first
    assert len(large.asked) <= 1, "one after the other, in the background"
    large.goes_on.set()
    until(lambda: "being computed" not in large.get("/results").text)
    assert len(large.asked) == len(set(large.asked)), "each once"


def test_ranks_of_large_contests_are_found_before_anybody_asks(site_store, monkeypatch):
    from ie_crowd.site import app

    monkeypatch.setattr(app, "WARM_SECONDS", 0.0)
    monkeypatch.setattr(evidence, "AT_ONCE", 0)
    (contest,) = (standings.Contest(*map(row.get, standings.Contest._fields)) for row in standings.contests(site_store))
    with client(site_store) as site:
        name = site.app.state.content.challenge.tasks[0].metrics[0]
        until(lambda: site.app.state.cached.kept(("ranks", contest, name)) is not None)
        assert "being computed" not in site.get("/results").text

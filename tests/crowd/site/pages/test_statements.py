"""How many questions a page asks of the store: as many for fifty results as for two."""

import contextlib

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
import sqlalchemy
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

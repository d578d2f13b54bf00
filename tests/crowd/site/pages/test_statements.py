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

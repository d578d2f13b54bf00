"""A store that cannot be used: full, read-only, gone. One line, the right status, and all is well again afterwards."""

import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from databases import execute
from ie_crowd.site import app as site_app
from ie_crowd.store import database
from sqlalchemy import event, exc


@pytest.fixture(autouse=True)
def probed_each_time(monkeypatch):
    monkeypatch.setattr(site_app, "PROBE_SECONDS", -1.0)


def one_line(answer, status, says):
    assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    assert says in answer.text
    assert answer.text.count("\n") == 1
    assert "SELECT" not in answer.text
    assert "sqlite" not in answer.text.lower()
    assert answer.headers["x-content-type-options"] == "nosniff"


def turned_bad(engine, pragma):
    """Makes every transaction of the store meet this; returns how to end it."""

    def begin(connection):
        connection.exec_driver_sql(pragma)

    event.listen(engine, "begin", begin)
    return lambda: event.remove(engine, "begin", begin)


@pytest.mark.parametrize(
    ("pragma", "mended", "status", "says"),
    [
        ("PRAGMA query_only=ON", "PRAGMA query_only=OFF", 503, "the store cannot be written to"),
        ("PRAGMA max_page_count=1", "PRAGMA max_page_count=4294967294", 507, "the disk of the store is full"),
    ],
)
def test_what_cannot_be_written_is_said_and_reading_goes_on(copied_site, pragma, mended, status, says):
    ada, engine = copied_site.browser("Ada"), copied_site.engine
    token = {"authorization": f"Bearer {copied_site.tokens['Ada']}"}
    long = "x" * 3900
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.connection.driver_connection.execute("VACUUM")  # no page is free
    end = turned_bad(engine, pragma)
    answers = [ada.post("/comments", {"text": f"{number}{long}", "do": "send"}) for number in range(3)]
    one_line(answers[-1], status, says)
    program = copied_site.browser().client.post("/api/v1/comments", json={"text": long}, headers=token)
    one_line(program, status, says)
    assert program.json()["status"] == status
    if status == 503:
        one_line(ada.get("/healthz"), status, says)
    for path in ("/results", "/", "/api/v1/results"):
        assert ada.get(path).status_code == 200
    end()
    end = turned_bad(engine, mended)
    assert ada.get("/healthz").text == "ok\n"
    assert ada.post("/comments", {"text": long, "do": "send"}).status_code == 303
    end()


def test_a_full_disk_is_seen_by_whoever_watches(copied_site, monkeypatch):
    def full(engine):
        raise exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(database, "probe", full)
    one_line(copied_site.browser().get("/healthz"), 507, "full")


def test_a_store_that_somebody_writes_to_is_well(copied_site):
    with database.writing(copied_site.engine):
        assert copied_site.browser().get("/healthz").text == "ok\n"


def test_a_stopped_postgresql(either_site):
    engine = either_site.engine
    if engine.name != "postgresql":
        pytest.skip("SQLite has no server")
    name, pattern = engine.url.database, engine.url.set(database="").render_as_string()
    pattern = re.sub(r"/(\?|$)", r"/{}\1", pattern.replace("postgresql+psycopg", "postgresql"))
    ada = either_site.browser("Ada")
    assert ada.get("/account").status_code == 200
    execute(pattern, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    execute(pattern, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608 ours
    for path in ("/", "/results", "/account", "/healthz", "/api/v1/results"):
        one_line(ada.get(path), 503, "the store cannot be reached")
    one_line(ada.client.post("/login", data={"csrf": "no"}, headers=ada.origin), 503, "the store cannot be reached")
    execute(pattern, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    for path in ("/", "/results", "/account", "/healthz", "/api/v1/results"):
        assert ada.get(path).status_code == 200


def test_a_mistake_of_ours_is_none_of_the_stores(engine):
    for statement in ("SELECT no FROM such", "INSERT INTO metric (pk, name) VALUES (1, 'a'), (1, 'b')"):
        with pytest.raises(exc.DBAPIError) as raised, database.writing(engine) as connection:
            connection.exec_driver_sql(statement)
        assert database.trouble(raised.value) is None
    assert database.trouble(ValueError("disk is full")) is None

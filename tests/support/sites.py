"""Sites to test: the toy challenge's, over a small store of made-up results."""

import contextlib

import pytest


def fill(path):
    """An engine on a new store with made-up results of the toy challenge; their ids by a short name in ``.ids``."""
    from ie_crowd.store import database, insert
    from toy_challenge.documents import text, toy
    from toy_challenge.make import RULES

    engine = database.connect(path)
    by = {RULES.id: RULES}
    documents = {
        "ada": toy((1.0, 2.0, 3.0), submitter="Ada", machine=0, created="2026-01-01T00:00:00Z"),
        "ada2": toy((1.1, 2.1, 3.1), submitter="Ada", machine=1, created="2026-01-02T00:00:00Z"),
        "bob": toy((5.0, 6.0, 7.0), submitter="Bob", machine=1, created="2026-01-03T00:00:00Z"),
        "cyd": toy((1.5, 1.6, None), submitter="Cyd", machine=2, created="2026-01-04T00:00:00Z"),
        "nobody": toy((9.0, 9.1), submitter=None, machine=2, created="2026-01-05T00:00:00Z"),
    }
    for document in documents.values():
        assert insert.submit(engine, text(document), publish=True, challenges=by).what == "published"
    bad = toy((1.0, 2.0, 3.0), submitter="Eve")  # Ada's values under another name
    assert insert.submit(engine, text(bad), publish=True, challenges=by).what == "quarantined"
    engine.ids = {**{name: one["id"] for name, one in documents.items()}, "bad": bad["id"]}
    return engine


@pytest.fixture
def site_store(tmp_path):
    """An engine on the store that ``fill`` makes; the ids by a short name in ``engine.ids``."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("starlette")
    engine = fill(tmp_path / "site.sqlite3")
    yield engine
    engine.dispose()


@contextlib.contextmanager
def client(engine, **settings):
    """A TestClient of the toy challenge's site over that store, whose pages are of now however slow the machine is."""
    from ie_crowd.site import cache
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings
    from starlette.testclient import TestClient
    from toy_challenge.make import RULES

    app = create_app(Settings(challenges=(RULES.folder,), **settings), engine)
    slow, cache.SLOW = cache.SLOW, float("inf")
    try:
        with TestClient(app, base_url="http://localhost", raise_server_exceptions=True) as one:
            yield one
    finally:
        cache.SLOW = slow


@pytest.fixture
def site(site_store):
    """A client of the site; ``site.ids`` are the results'."""
    with client(site_store) as one:
        one.ids = site_store.ids
        yield one


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """An engine on a store of the results that come along with the library; ``engine.folder``: where they lie."""
    pytest.importorskip("sqlalchemy")
    from ie_crowd.store import database, ingest
    from paths import ROOT

    engine = database.connect(tmp_path_factory.mktemp("references") / "store.sqlite3")
    engine.folder = ROOT / "cm-repo" / "experiment"
    ingest.ingest(engine, engine.folder, jobs=1)
    yield engine
    engine.dispose()

"""People of a site under test: a store with accounts, results in every state, words; and browsers for each of them."""

import contextlib
import re

import pytest
from databases import copied, execute

ORIGIN = {"origin": "http://localhost"}
TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
PEOPLE = {
    "Ada": "contributor",
    "Bob": "contributor",
    "Rev": "reviewer",
    "Eve": "reviewer",
    "Boss": "operator",
}


def fill(engine):
    """Accounts, results and words; returns {tokens, ids, comment, objection, report, related, undo}."""
    from ie_crowd.store import insert
    from ie_crowd.store.people import accounts as store_accounts
    from ie_crowd.store.people import comments, moderation, related, reports, undoable
    from toy_challenge.documents import identified, text, toy
    from toy_challenge.make import RULES

    tokens = {name: store_accounts.add(engine, name, role) for name, role in PEOPLE.items()}
    accounts = {name: store_accounts.by_token(engine, token) for name, token in tokens.items()}
    by = {RULES.id: RULES}
    ids = {}

    def send(key, document, name, publish):
        outcome = insert.submit(engine, text(document), account=accounts[name], publish=publish, challenges=by)
        ids[key] = document["id"]
        return outcome.what

    published = toy((1.0, 2.0, 3.0), submitter="Ada")
    assert send("published", published, "Ada", True) == "published"
    assert send("valid", toy((1.2, 2.2, 3.2), submitter="Ada", machine=1), "Ada", False) == "valid"
    copy = identified({**published, "created": "2026-02-02T00:00:00Z"})
    assert send("quarantined", copy, "Ada", True) == "quarantined"
    assert send("reviewers", toy((1.4, 2.4, 3.4), submitter="Rev", machine=2), "Rev", False) == "valid"
    assert send("bobs", toy((5.0, 6.0, 7.0), submitter="Bob", machine=1), "Bob", True) == "published"
    comment = comments.comment(engine, accounts["Ada"], "It runs on my laptop.", ids["published"])
    objection = moderation.object_to(engine, ids["bobs"], accounts["Ada"], "trained on the test set")
    report = reports.report(engine, f"result:{ids['bobs']}", "its name is rude")
    settled = reports.report(engine, "paper", "a word that is missing")
    reports.settle(engine, settled, accounts["Rev"], "it is there")
    data = {"kind": "data set", "title": "The gauges", "url": "https://example.org/data", "note": ""}
    related.add(engine, RULES.id, (), accounts["Boss"], data)
    (entry,) = related.entries(engine, RULES.id, ())
    return {
        "undo": undoable.newest(engine, accounts["Rev"]),
        "related": entry.number,
        "report": report,
        "tokens": tokens,
        "ids": ids,
        "comment": comment,
        "objection": objection,
        "accounts": accounts,
    }


class Site:
    """The application over a filled store; ``browser()`` is somebody new, ``browser("Ada")`` is logged in."""

    def __init__(self, engine, found, **settings):
        from ie_crowd.site.app import create_app
        from ie_crowd.site.settings import Settings
        from toy_challenge.make import RULES

        self.engine, self.found = engine, found
        self.ids, self.tokens, self.accounts = found["ids"], found["tokens"], found["accounts"]
        self.app = create_app(Settings(**{"challenges": (RULES.folder,), **settings}), engine)

    def browser(self, name=None, base_url="http://localhost"):
        one = Browser(self.app, base_url)
        if name is not None:
            answer = one.log_in(name, self.tokens[name])
            assert answer.status_code == 303, answer.text
        return one


class Browser:
    """A client with cookies of its own, that sends forms as a browser does."""

    def __init__(self, app, base_url="http://localhost"):
        from starlette.testclient import TestClient

        self.client = TestClient(app, base_url=base_url, follow_redirects=False)
        self.get = self.client.get
        self.cookies = self.client.cookies
        self.origin = {"origin": base_url}

    def csrf(self):
        """The token of the forms that this browser sees."""
        return TOKEN.search(self.get("/login").text)[1]

    def post(self, path, data=None, headers=None, **more):
        """Send a form, with its token."""
        values = {"csrf": self.csrf(), **(data or {})}
        return self.client.post(path, data=values, headers={**self.origin, **(headers or {})}, **more)

    def log_in(self, name, token, **more):
        return self.post("/login", {"name": name, "token": token, **more})

    def raw(self, path, content, headers=None, kind="application/x-www-form-urlencoded"):
        """Send bytes."""
        return self.client.post(path, content=content, headers={**self.origin, "content-type": kind, **(headers or {})})


@pytest.fixture
def people_site(engine):
    """The site over a filled store, on either database."""
    pytest.importorskip("starlette")
    return Site(engine, fill(engine))


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A filled SQLite store to copy: (its file, what ``fill`` returned)."""
    pytest.importorskip("sqlalchemy")
    from ie_crowd.store import database

    path = tmp_path_factory.mktemp("filled") / "store.sqlite3"
    engine = database.connect(path)
    found = fill(engine)
    engine.dispose()
    return path, found


@pytest.fixture(scope="session")
def filled_postgresql(postgresql_template):
    """A filled store on PostgreSQL to copy: (URL pattern, its name, what ``fill`` returned)."""
    from ie_crowd.store import database

    execute(postgresql_template, "CREATE DATABASE filled_store TEMPLATE template_store")
    engine = database.connect(postgresql_template.format("filled_store"))
    found = fill(engine)
    engine.dispose()
    return postgresql_template, "filled_store", found


@contextlib.contextmanager
def on_sqlite(filled, folder):
    """The site over a copy of ``filled``."""
    pytest.importorskip("starlette")
    from ie_crowd.store import database

    path, found = filled
    (folder / "copy.sqlite3").write_bytes(path.read_bytes())
    engine = database.connect(folder / "copy.sqlite3")
    yield Site(engine, found)
    engine.dispose()


@pytest.fixture
def copied_site(filled, tmp_path):
    """The site over a copy of ``filled``."""
    with on_sqlite(filled, tmp_path) as site:
        yield site


@pytest.fixture(params=["sqlite", "postgresql"])
def either_site(request, tmp_path):
    """The site over a copy of a filled store, on either database."""
    if request.param == "sqlite":
        with on_sqlite(request.getfixturevalue("filled"), tmp_path) as site:
            yield site
        return
    pytest.importorskip("starlette")
    from ie_crowd.store import database

    pattern, template, found = request.getfixturevalue("filled_postgresql")
    with copied(pattern, template) as url:
        engine = database.connect(url)
        yield Site(engine, found)
        engine.dispose()

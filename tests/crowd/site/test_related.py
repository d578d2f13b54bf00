"""What is related to the paper: shown on its page, kept by operators."""

import re
from html import unescape

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.challenge.paper_pages import Linked, wrong_link
from ie_crowd.store import audit
from ie_crowd.store.people import accounts, related
from ie_crowd.store.people.moderation import WrongState
from toy_challenge.make import RULES

START = (
    Linked("The paper", "https://example.org/paper", "paper"),
    Linked("The code", "https://example.org/code", "code"),
)
NEW = {"kind": "later work", "title": "What came after", "url": "https://example.org/after", "note": "by others"}


def titles(engine):
    return [one.title for one in related.entries(engine, "c", START)]


@pytest.fixture
def boss(engine):
    accounts.add(engine, "Boss", "operator")
    return accounts.accounts(engine)[0]


def test_the_first_change_keeps_what_the_folder_says(engine, boss):
    place = (engine, "c", START, boss)
    assert titles(engine) == ["The paper", "The code"]
    number, was = related.entries(engine, "c", START)[1].number, START[1].url
    related.move(*place, number, was, "up")
    assert titles(engine) == ["The code", "The paper"]
    related.add(*place, NEW)
    assert titles(engine) == ["The code", "The paper", "What came after"]
    last = related.entries(engine, "c", START)[-1]
    related.move(*place, last.number, last.url, "down")  # it is the last already
    related.change(*place, last.number, last.url, {**NEW, "title": "  What   came\tafter that "})
    assert titles(engine)[-1] == "What came after that"
    for one in related.entries(engine, "c", START):
        related.remove(*place, one.number, one.url)
    assert titles(engine) == []  # and not what the folder says again
    assert [one.title for one in related.entries(engine, "another", START)] == ["The paper", "The code"]
    said = [line["action"] for line in audit.read(engine, subject=related.subject("c"))][::-1]
    assert (
        said
        == ["related begun", "related moved", "related added", "related moved", "related changed"]
        + ["related removed"] * 3
    )


def test_what_somebody_else_changed_meanwhile_is_not_changed(engine, boss):
    place = (engine, "c", START, boss)
    related.remove(*place, 1, START[0].url)
    kept = related.entries(engine, "c", START)
    for number, was in ((1, START[0].url), (kept[0].number, "https://example.org/other"), (99, START[1].url)):
        with pytest.raises(WrongState):
            related.remove(*place, number, was)
    assert related.entries(engine, "c", START) == kept


def test_entries_have_limits(engine, boss):
    place = (engine, "c", (), boss)
    related.add(*place, NEW)
    with pytest.raises(ValueError, match="there already"):
        related.add(*place, NEW)
    for number in range(related.MOST - 1):
        related.add(*place, {**NEW, "url": f"https://example.org/{number}"})
    with pytest.raises(ValueError, match="is the most"):
        related.add(*place, {**NEW, "url": "https://example.org/more"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "spam"),
        ("title", " "),
        ("title", "x" * 161),
        ("note", "x" * 301),
        ("url", "http://example.org/"),
        ("url", "javascript:alert(1)"),
        ("url", "https://user:pw@example.org/"),
        ("url", "https://example"),
        ("url", "https://example.org/a b"),
        ("url", 'https://example.org/"><script>'),
        ("url", "https://example.org/" + "x" * 500),
        ("url", "https://exаmple.org/"),  # Cyrillic
        ("url", ""),
    ],
)
def test_what_cannot_be_kept(name, value):
    assert wrong_link(**NEW) == {}
    assert list(wrong_link(**{**NEW, name: value})) == [name]


def test_what_cannot_be_kept_is_said_at_its_field(copied_site):
    boss, before = copied_site.browser("Boss"), audit.revision(copied_site.engine)
    for name, value in (("kind", "spam"), ("title", ""), ("url", "http://example.org/"), ("note", "x" * 400)):
        answer = boss.post("/operator/related", {**NEW, name: value})
        assert answer.status_code == 422
        assert f'id="{name}-new-error"' in answer.text
        assert answer.text.count("field-error") == 1
    assert audit.revision(copied_site.engine) == before


def test_an_operator_adds_edits_orders_and_removes_and_visitors_see_it(copied_site):
    boss, visitor = copied_site.browser("Boss"), copied_site.browser()
    assert "/operator/related" in boss.get("/").text
    assert "/operator/related" not in visitor.get("/").text + copied_site.browser("Rev").get("/").text
    page = "/operator/related"
    assert boss.post(page, {**NEW, "title": "<b>After</b>"}).headers["location"] == page
    front = visitor.get("/").text
    assert "&lt;b&gt;After" in front
    assert 'href="https://example.org/after" rel="nofollow noopener noreferrer"' in front
    assert front.index("Data sets") < front.index("Later work")

    def shown():
        text = boss.get(page).text
        return re.findall(
            r'action="(/operator/related/[0-9]+)"><input[^>]*><input type="hidden" name="was" value="([^"]*)"', text
        )[::2]

    (_, first), (action, was) = shown()
    assert boss.post(action, {"do": "up", "was": unescape(was)}).status_code == 303
    assert [one for _, one in shown()] == [was, first]
    changed = {**NEW, "title": "Renamed", "url": "https://example.org/renamed", "do": "save", "was": unescape(was)}
    assert boss.post(action, {**changed, "url": "http://example.org/"}).status_code == 422
    assert boss.post(action, changed).status_code == 303
    assert "Renamed" in visitor.get("/").text
    assert boss.post(action, {"do": "remove", "was": was}).status_code == 409  # it has another address by now
    assert boss.post(action, {"do": "remove", "was": changed["url"]}).status_code == 303
    assert "Renamed" not in visitor.get("/").text
    log = boss.get(f"/operator/log?subject=related+{RULES.id}").text
    assert log.count("related changed") == 1

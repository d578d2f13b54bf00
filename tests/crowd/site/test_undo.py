"""What a reviewer did is undone by one button, by nobody else, and only while nothing else happened to the thing."""

import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.store import audit, query
from ie_crowd.store.people import comments, moderation, undo, undoable
from ie_crowd.store.people.moderation import WrongState

BUTTON = re.compile(r'name="line" value="([0-9]+)"><input type="hidden" name="back" value="([^"]*)"')
RESULT, SIGN = "/moderation/results/", {"item": "acm-badges/archive", "state": "pass", "sign": "seen"}


def everything(site):
    """What a change may change: all tables but the log, what can be undone, and who tried how often."""
    from ie_crowd.store import database, tables

    found = {}
    with database.reading(site.engine) as connection:
        for table in tables.metadata.sorted_tables:
            if table.name not in ("audit", "undo", "attempt", "session", "original"):
                found[table.name] = sorted(map(repr, connection.execute(table.select()).all()))
    return found


CHANGES = {
    "publish": (RESULT + "{valid}/publish", {"note": "good"}),
    "release": (RESULT + "{quarantined}/publish", {"note": "it is another machine"}),
    "quarantine what is published": (RESULT + "{published}/quarantine", {"why": "a look"}),
    "quarantine what waits": (RESULT + "{valid}/quarantine", {"why": "a look"}),
    "sign": (RESULT + "{published}/sign", SIGN),
    "say that two are independent": (
        RESULT + "{published}/independence",
        {"other": "Bob", "do": "give", "note": "two laboratories"},
    ),
    "show a comment": ("/moderation/comments/{comment}", {"do": "show"}),
    "hide a comment": ("/moderation/comments/{comment}", {"do": "hide"}),
    "uphold": ("/moderation/objections/{objection}", {"decision": "so it is", "do": "uphold"}),
    "dismiss": ("/moderation/objections/{objection}", {"decision": "no", "do": "dismiss"}),
    "settle": ("/moderation/reports/{report}", {"decision": "renamed"}),
}


def test_each_change_is_undone_to_the_row_and_is_in_the_log(copied_site):
    known = {**copied_site.ids, **{key: copied_site.found[key] for key in ("comment", "objection", "report")}}
    before, rev = everything(copied_site), copied_site.browser("Rev")
    for name, (path, fields) in CHANGES.items():
        answer = rev.post(path.format(**known), fields)
        assert answer.status_code == 303, name
        assert everything(copied_site) != before, name
        page = rev.get(answer.headers["location"]).text
        line, back = BUTTON.search(page).groups()
        assert BUTTON.search(rev.get(answer.headers["location"]).text) is None  # once, as the message
        assert int(line) in [one["pk"] for one in audit.read(copied_site.engine, limit=3)]
        answer = rev.post("/moderation/undo", {"line": line, "back": back})
        assert answer.status_code == 303, name
        assert everything(copied_site) == before, name
        assert "It is undone." in rev.get(answer.headers["location"]).text
        last = audit.read(copied_site.engine, limit=1)[0]
        assert (last["actor"], last["detail"]) == ("Rev", f"line {line}")
        assert last["action"].startswith("undone ")
        assert rev.post("/moderation/undo", {"line": line}).status_code == 404  # it is done


def test_a_signature_that_was_replaced_is_there_again(copied_site):
    about, rev = copied_site.ids["published"], copied_site.accounts["Rev"]
    comments.sign(copied_site.engine, about, rev, "acm-badges", "archive", "pass", "first")
    before = everything(copied_site)
    comments.sign(copied_site.engine, about, rev, "acm-badges", "archive", "fail", "second")
    undo.undo(copied_site.engine, undoable.newest(copied_site.engine, rev), rev)
    assert everything(copied_site) == before


def test_nobody_undoes_what_somebody_else_did_or_changed_since(copied_site):
    engine, about = copied_site.engine, copied_site.ids["published"]
    rev, eve, boss = (copied_site.accounts[name] for name in ("Rev", "Eve", "Boss"))
    moderation.quarantine(engine, about, rev, "a look")
    line = undoable.newest(engine, rev)
    for other in (eve, boss):
        with pytest.raises(LookupError):
            undo.undo(engine, line, other)
    with pytest.raises(PermissionError):
        undo.undo(engine, line, copied_site.accounts["Ada"])
    moderation.publish(engine, about, eve, "I looked")
    moderation.quarantine(engine, about, boss, "another reason")
    for one, mine in ((rev, line), (eve, undoable.newest(engine, eve))):
        with pytest.raises((LookupError, WrongState)):
            undo.undo(engine, mine, one)
    number = copied_site.found["comment"]
    comments.judge_comment(engine, number, rev, visible=True)
    line = undoable.newest(engine, rev)
    comments.delete_comment(engine, number, copied_site.accounts["Ada"])
    with pytest.raises(LookupError):
        undo.undo(engine, line, rev)
    assert query.one(engine, about)["state"] == "quarantined"


def test_a_withdrawal_leaves_nothing_to_undo(copied_site):
    engine, about, rev = copied_site.engine, copied_site.ids["published"], copied_site.accounts["Rev"]
    comments.sign(engine, about, rev, "acm-badges", "archive", "pass", "a secret note")
    comments.sign(engine, about, rev, "acm-badges", "archive", "fail")
    line = undoable.newest(engine, rev)
    moderation.withdraw(engine, about, copied_site.accounts["Ada"], "a mistake")
    with pytest.raises(LookupError):
        undo.undo(engine, line, rev)
    boss = copied_site.browser("Boss")
    gone = boss.post(f"/results/{copied_site.ids['bobs']}/withdraw", {"why": "a mistake"})
    assert BUTTON.search(boss.get(gone.headers["location"]).text) is None
    assert boss.post("/moderation/undo", {"line": "x"}).status_code == 400


def test_an_account_keeps_the_newest_only(copied_site, monkeypatch):
    monkeypatch.setattr(undoable, "MOST", 3)
    engine, rev = copied_site.engine, copied_site.accounts["Rev"]
    lines = []
    for number in range(5):
        said = comments.comment(engine, rev, f"number {number}")
        comments.judge_comment(engine, said, rev, visible=False)
        lines.append(undoable.newest(engine, rev))
    with pytest.raises(LookupError):
        undo.undo(engine, lines[1], rev)
    for line in lines[2:]:
        assert undo.undo(engine, line, rev) == "comment"

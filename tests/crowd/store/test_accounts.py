"""Accounts, tokens, sessions, comments, signatures and throttling, on both databases."""

import pytest

pytest.importorskip("sqlalchemy")
from ie_crowd.store import audit, database, insert, rate_limit, tables
from ie_crowd.store.people import accounts, comments, moderation, review_queue
from sqlalchemy import select, update
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES


def account(engine, name, role="contributor"):
    return accounts.by_token(engine, accounts.add(engine, name, role))


def published(engine, **more):
    document = toy(**more)
    insert.submit(engine, text(document), publish=True, challenges={RULES.id: RULES})
    return document["id"]


# Tokens and sessions


def test_only_hashes_are_kept(engine):
    token = accounts.add(engine, "Ada")
    secret, who = accounts.log_in(engine, token)
    assert (who["name"], who["role"]) == ("Ada", "contributor")
    everything = ""
    with database.reading(engine) as connection:
        for table in tables.metadata.sorted_tables:
            everything += repr([tuple(row) for row in connection.execute(select(table))])
    assert token not in everything
    assert token.removeprefix(accounts.PREFIX) not in everything
    assert secret not in everything


def test_what_is_no_token_is_nobody(engine):
    token = accounts.add(engine, "Ada")
    wrong = ["", " ", token[:-1], token + "x", token.upper(), "' OR 1=1 --" * 5, "x" * 10_000, "é" * 40, "\0" * 40]
    for given in wrong:
        assert accounts.by_token(engine, given) is None
        assert accounts.log_in(engine, given) is None
        assert accounts.by_session(engine, given) is None
    assert accounts.by_session(engine, token) is None  # a token is no session


def test_sessions_end(engine):
    token = accounts.add(engine, "Ada")
    secret, _ = accounts.log_in(engine, token)
    other, _ = accounts.log_in(engine, token)
    assert accounts.by_session(engine, secret)["name"] == "Ada"
    accounts.log_out(engine, secret)
    assert accounts.by_session(engine, secret) is None
    assert accounts.by_session(engine, other)
    with database.writing(engine) as connection:
        connection.execute(update(tables.session).values(expires="2020-01-01T00:00:00Z"))
    assert accounts.by_session(engine, other) is None
    third, _ = accounts.log_in(engine, token)  # sweeps what has ended
    with database.reading(engine) as connection:
        assert len(connection.execute(select(tables.session)).all()) == 1
    accounts.disable(engine, "Ada")
    assert accounts.by_session(engine, third) is None
    assert accounts.by_token(engine, token) is None
    with pytest.raises(ValueError, match="is disabled"):
        accounts.new_token(engine, "Ada")
    accounts.enable(engine, "Ada")
    assert accounts.by_token(engine, token) is None  # what was revoked stays revoked
    assert accounts.by_token(engine, accounts.new_token(engine, "Ada"))


def test_a_token_expires(engine):
    token = accounts.add(engine, "Ada")
    with database.writing(engine) as connection:
        connection.execute(update(tables.token).values(expires="2020-01-01T00:00:00Z"))
    assert accounts.by_token(engine, token) is None
    assert accounts.accounts(engine)[0]["tokens"] == 0
    assert accounts.by_token(engine, accounts.new_token(engine, "Ada", days=None))


@pytest.mark.parametrize(
    "name", ["", " Ada", "Ada\n", "<b>Ada</b>", "A\u202eda", "Аda", "\U0001d4d0da", "x" * 81, "---", "Ada\u0301\u0301"]
)
def test_names_that_no_account_can_have(engine, name):
    with pytest.raises(ValueError, match="the name"):
        accounts.add(engine, name)


def test_names_that_look_alike_are_taken(engine):
    accounts.add(engine, "Ada Lovelace")
    for name in ("Ada Lovelace", "ADA LOVELACE", "Ada L0velace", "Àda Lovelace", "AdaLovelace", "Ada-Lovelace"):
        with pytest.raises(ValueError, match=r"is taken|looks like 'Ada Lovelace'"):
            accounts.add(engine, name)
    accounts.add(engine, "Ада")  # all Cyrillic, and looks like no name here
    with pytest.raises(ValueError, match="no role"):
        accounts.add(engine, "Bob", "king")


def test_roles(engine):
    ada, rev, boss = account(engine, "Ada"), account(engine, "Rev", "reviewer"), account(engine, "Boss", "operator")
    for who, role, may in [
        (ada, "contributor", True),
        (ada, "reviewer", False),
        (rev, "contributor", True),
        (rev, "operator", False),
        (boss, "reviewer", True),
    ]:
        if may:
            accounts.need(who, role)
        else:
            with pytest.raises(PermissionError, match=f"needs the role {role}"):
                accounts.need(who, role)
    with pytest.raises(PermissionError, match="log in first"):
        accounts.need(None, "contributor")


def test_the_store_asks_for_the_role_itself(engine):
    ada, rev, boss = account(engine, "Ada"), account(engine, "Rev", "reviewer"), account(engine, "Boss", "operator")
    result = published(engine)
    before = audit.revision(engine)
    for refused in (
        lambda: accounts.add(engine, "Zoe", by=rev),
        lambda: accounts.new_token(engine, "Ada", by=rev),
        lambda: accounts.revoke(engine, "Ada", by=rev),
        lambda: accounts.disable(engine, "Ada", by=rev),
        lambda: accounts.enable(engine, "Ada", by=rev),
        lambda: accounts.set_role(engine, "Ada", "operator", by=rev),
        lambda: accounts.set_role(engine, "Boss", "contributor", by=boss),
        lambda: accounts.disable(engine, "Boss", by=boss),
        lambda: moderation.publish(engine, result, ada),
        lambda: moderation.quarantine(engine, result, ada, "no"),
        lambda: moderation.refuse(engine, result, ada, "no"),
        lambda: review_queue.waiting(engine, ada, "valid"),
        lambda: review_queue.counts(engine, ada),
        lambda: review_queue.comments(engine, ada),
        lambda: review_queue.objections(engine, ada),
    ):
        with pytest.raises(PermissionError):
            refused()
    assert audit.revision(engine) == before
    with pytest.raises(ValueError, match="is published, expected valid or quarantined"):
        moderation.refuse(engine, result, rev, "no")
    accounts.set_role(engine, "Ada", "reviewer", by=boss)
    assert audit.read(engine)[0]["actor"] == "Boss"


# Comments


def test_comments_wait_for_a_reviewer(engine):
    ada, bob, rev = account(engine, "Ada"), account(engine, "Bob"), account(engine, "Rev", "reviewer")
    result = published(engine)
    number = comments.comment(engine, ada, "Nice.\r\n\r\n<script>alert(1)</script> & 'so' on", result)
    assert comments.comments(engine, result) == []
    assert comments.comments(engine, result, viewer=bob) == []
    (mine,) = comments.comments(engine, result, viewer=ada)
    assert (mine["state"], mine["text"]) == ("pending", "Nice.\n\n<script>alert(1)</script> & 'so' on")
    with pytest.raises(PermissionError):
        review_queue.comments(engine, bob)
    assert [one["pk"] for one in review_queue.comments(engine, rev).rows] == [number]
    with pytest.raises(PermissionError):
        comments.judge_comment(engine, number, bob, visible=True)
    comments.judge_comment(engine, number, rev, visible=True)
    assert [one["by"] for one in comments.comments(engine, result)] == ["Ada"]
    (said,) = comments.visible(engine)
    assert (said["result"], said["by"], said["role"]) == (result, "Ada", "contributor")
    assert comments.comments(engine) == []  # not on the paper
    comments.judge_comment(engine, number, rev, visible=False)
    assert comments.comments(engine, result) == []
    assert list(comments.visible(engine)) == []
    with pytest.raises(LookupError):
        comments.judge_comment(engine, 999, rev, visible=True)
    with pytest.raises(LookupError):
        comments.delete_comment(engine, number, bob)
    comments.delete_comment(engine, number, ada)
    assert comments.comments(engine, result, viewer=ada) == []
    assert comments.comment(engine, rev, "On the paper.")
    assert [one["state"] for one in comments.comments(engine)] == ["visible"]
    assert [(one["result"], one["text"]) for one in comments.visible(engine)] == [(None, "On the paper.")]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "is empty"),
        (" \n\t\n ", "is empty"),
        ("\u202e\u200f", "is empty"),
        ("x" * 4001, "at most 4,000"),
        ("x" * 100_000, "at most 4,000"),
        ("x\n" * 150 + "y", "in 100 lines"),
    ],
)
def test_comments_have_limits(engine, given, says):
    with pytest.raises(ValueError, match=says):
        comments.comment(engine, account(engine, "Ada"), given)


def test_comments_are_plain_text():
    assert comments.clean("a\u202eb\x00c\x1b[31md\u200b") == "abc[31md\u200b"
    assert comments.clean("e\u0301") == "é"


def test_one_account_cannot_flood(engine):
    ada = account(engine, "Ada")
    first = comments.comment(engine, ada, "number 0")
    for number in range(1, comments.MOST_PENDING):
        comments.comment(engine, ada, f"number {number}")
    assert comments.comment(engine, ada, "number 0 ") == first  # sent twice, it is one
    with pytest.raises(ValueError, match="wait for a reviewer"):
        comments.comment(engine, ada, "one more")
    assert len(comments.comments(engine, viewer=ada)) == comments.MOST_PENDING
    with pytest.raises(LookupError):
        comments.comment(engine, account(engine, "Bob"), "x", "0" * 64)


# Signatures


def test_reviewers_sign_what_is_not_their_own(engine):
    ada, rev = account(engine, "Ada"), account(engine, "Rev", "reviewer")
    result = published(engine)
    with pytest.raises(PermissionError):
        comments.sign(engine, result, ada, "acm", "available", "pass")
    comments.sign(engine, result, rev, "acm", "available", "fail", "the link is dead")
    comments.sign(engine, result, rev, "acm", "available", "pass", "it is back")
    (one,) = comments.signatures(engine, result)
    assert (one["by"], one["state"], one["note"]) == ("Rev", "pass", "it is back")
    own = published(engine, maes=(1.0, 2.0, 3.0), submitter="Rev")
    with pytest.raises(PermissionError, match="somebody else signs"):
        comments.sign(engine, own, rev, "acm", "available", "pass")
    for bad in (("acm", "available", "perhaps"), ("", "available", "pass"), ("acm", "x" * 65, "pass")):
        with pytest.raises(ValueError, match=r"a signature is|names no checklist"):
            comments.sign(engine, result, rev, *bad)
    boss = account(engine, "Boss", "operator")
    moderation.withdraw(engine, result, boss, "asked for")
    assert comments.signatures(engine, result) == []


# Throttling


def test_a_window_holds_so_many_tries(engine, monkeypatch):
    moment = [1_000_000.0]
    monkeypatch.setattr(rate_limit.time, "time", lambda: moment[0])

    def try_it(who="10.0.0.1"):
        return rate_limit.allow(engine, "log-in", who, most=3, seconds=60, salt=b"salt")

    assert [try_it() for _ in range(3)] == [0, 0, 0]
    assert 0 < try_it() <= 60
    assert try_it("10.0.0.2") == 0
    moment[0] += 60
    assert try_it() == 0
    for _ in range(2):
        try_it()
    assert try_it() > 0
    rate_limit.forget(engine, "log-in", "10.0.0.1", seconds=60, salt=b"salt")
    assert try_it() == 0
    with database.reading(engine) as connection:
        rows = connection.execute(select(tables.attempt)).all()
    assert "10.0.0" not in repr(rows)
    moment[0] += rate_limit.LONGEST_WINDOW + 61
    try_it("somebody else")
    with database.reading(engine) as connection:
        assert len(connection.execute(select(tables.attempt)).all()) == 1  # the old are forgotten


def test_the_log_tells_who_did_what(engine):
    ada = account(engine, "Ada")
    comments.comment(engine, ada, "secret thoughts")
    accounts.revoke(engine, "Ada", actor="Boss")
    log = audit.read(engine)
    assert [(line["actor"], line["action"]) for line in log] == [
        ("Boss", "tokens revoked"),
        ("Ada", "comment"),
        ("operator", "account added"),
    ]
    assert "secret" not in repr(log)

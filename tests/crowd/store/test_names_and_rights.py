"""Whose a name is, and what somebody may do at the moment of a change: not who was first, nor what was true before."""

import pytest

pytest.importorskip("sqlalchemy")
from ie_crowd.store import audit, insert
from ie_crowd.store.people import accounts, comments, moderation
from toy_challenge.documents import identified, text, toy
from toy_challenge.make import RULES

BY = {RULES.id: RULES}


def account(engine, name, role="contributor"):
    return accounts.by_token(engine, accounts.add(engine, name, role))


def send(engine, document, who, publish=False):
    return insert.submit(engine, text(document), account=who, publish=publish, challenges=BY)


def reasons(outcome):
    return [reason.detail for reason in outcome.reasons if reason.name == "submitter"]


def test_who_uploads_under_a_look_alike_name_first_does_not_block_its_owner(engine):
    ada, eve = account(engine, "Ada"), account(engine, "Eve")
    small = "\u1d00\u1d05\u1d00"
    assert reasons(send(engine, toy((1.0, 2.0), submitter=small), eve))[0] == "the name looks like 'Ada', another one"
    assert send(engine, toy((1.5, 2.5), submitter="Ada"), ada).what == "valid"
    assert reasons(send(engine, toy((1.6, 2.6), submitter="ADA"), eve))[0].startswith("the name looks like")


def test_a_name_that_was_refused_belongs_to_nobody(engine):
    eve = account(engine, "Eve")
    assert send(engine, toy((1.0, 2.0), submitter="B0b"), eve).what == "quarantined"
    assert send(engine, toy((1.5, 2.5), submitter="Bob"), None).what == "valid"  # taken in by the operator
    said = reasons(send(engine, toy((1.6, 2.6), submitter="B0b"), eve))
    assert said[0] == "the name looks like 'Bob', another one"
    assert send(engine, toy((1.7, 2.7), submitter="Bob"), account(engine, "Bob")).what == "valid"


def test_in_one_batch_too(engine):
    from ie_crowd.store import database, records

    forged = toy((1.0, 2.0), submitter="Cyd")
    forged["metrics"]["forecast.mae"]["value"] = 0.5
    documents = identified(forged), toy((1.1, 2.1), submitter="CYD"), toy((1.2, 2.2), submitter="Cyd")
    batch = [records.prepare(text(one), BY) for one in documents]
    with database.writing(engine) as connection:
        first, second, third = insert.write(connection, batch)
    assert first.what == "quarantined"  # for its values: it makes the name nobody's
    assert second.what == "valid"
    assert reasons(third) == ["the name looks like 'CYD', another one"]


def test_two_operators_who_disable_one_another(engine):
    one, other = account(engine, "One", "operator"), account(engine, "Other", "operator")
    accounts.disable(engine, "Other", by=one)
    with pytest.raises(PermissionError, match="the account Other is disabled"):
        accounts.disable(engine, "One", by=other)  # who was an operator when the request came
    assert {row["name"]: bool(row["disabled"]) for row in accounts.accounts(engine)} == {"One": False, "Other": True}


def test_rights_are_those_of_the_moment(engine):
    boss, rev, ada = account(engine, "Boss", "operator"), account(engine, "Rev", "reviewer"), account(engine, "Ada")
    shown = send(engine, toy((1.0, 2.0), submitter="Ada"), ada, publish=True).id
    waits = send(engine, toy((1.1, 2.1), submitter="Ada", machine=1), ada).id
    said = comments.comment(engine, ada, "It runs.", shown)
    objection = moderation.object_to(engine, shown, ada, "why")
    second = account(engine, "Second", "operator")
    accounts.set_role(engine, "Rev", "contributor", by=boss)
    accounts.set_role(engine, "Second", "reviewer", by=boss)
    lost = (
        lambda: moderation.publish(engine, waits, rev),
        lambda: moderation.quarantine(engine, shown, rev, "why"),
        lambda: moderation.refuse(engine, waits, rev, "why"),
        lambda: moderation.decide(engine, objection, rev, upheld=True, decision="so"),
        lambda: moderation.withdraw(engine, shown, second, "why"),
        lambda: comments.judge_comment(engine, said, rev, visible=True),
        lambda: comments.sign(engine, shown, rev, "acm-available", "public", "pass"),
        lambda: accounts.add(engine, "New", by=second),
        lambda: accounts.new_token(engine, "Ada", by=second),
        lambda: accounts.set_role(engine, "Ada", "operator", by=second),
        lambda: accounts.revoke(engine, "Ada", by=second),
        lambda: accounts.disable(engine, "Ada", by=second),
        lambda: accounts.enable(engine, "Ada", by=second),
    )
    accounts.disable(engine, "Ada", by=boss)
    gone = (
        lambda: moderation.withdraw(engine, shown, ada, "why"),
        lambda: moderation.object_to(engine, shown, ada, "another"),
        lambda: comments.comment(engine, ada, "More.", shown),
        lambda: comments.delete_comment(engine, said, ada),
        lambda: accounts.renew(engine, ada, "secret"),
        lambda: send(engine, toy((1.2, 2.2), submitter="Ada"), ada),
    )
    before = audit.revision(engine)
    for change in (*lost, *gone):
        with pytest.raises(PermissionError):
            change()
    assert audit.revision(engine) == before
    assert comments.comment(engine, rev, "As anybody.")
    assert comments.comments(engine) == []  # it waits for a reviewer

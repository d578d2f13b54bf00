"""Uploads that are signed with an SSH key of their account, and what somebody tries with keys and signatures."""

import json

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd import __main__ as command_line
from ie_crowd.challenge import load
from ie_crowd.formats.ssh import program
from ie_crowd.result import signature
from ie_crowd.store import audit, database, insert, query, rejected_uploads, standings
from ie_crowd.store.people import accounts, moderation
from ie_crowd.store.proofs import keys, signatures
from ie_crowd.store.standings import Contest
from site_people import Site
from sqlalchemy import text as sql
from ssh_keys import make, needs_ssh, public, sign
from toy_challenge import policies
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES

pytestmark = needs_ssh
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    home = tmp_path_factory.mktemp("signed")
    engine = database.connect(home / "store.sqlite3")
    tokens = {name: accounts.add(engine, name) for name in ("Ada", "Bob")}
    ids = {}
    for name, values in (("Ada", (4.0, 5.0, 6.0)), ("Bob", (14.0, 15.0, 16.0))):
        document = toy(values, submitter=name)
        account = accounts.by_token(engine, tokens[name])
        insert.submit(engine, text(document), account=account, publish=True, challenges={RULES.id: RULES})
        ids[name] = document["id"]
    engine.dispose()
    private = {name: make(home, name) for name in ("ada", "bob", "new")}
    return home, tokens, ids, private


@pytest.fixture
def site(made_once, tmp_path):
    home, tokens, ids, private = made_once
    (tmp_path / "copy.sqlite3").write_bytes((home / "store.sqlite3").read_bytes())
    engine = database.connect(tmp_path / "copy.sqlite3")
    people = {name: accounts.by_token(engine, token) for name, token in tokens.items()}
    one = Site(engine, {"ids": ids, "tokens": tokens, "accounts": people})
    one.private = private
    keys.add(engine, people["Ada"]["pk"], "Ada", public(private["ada"]))
    yield one
    engine.dispose()


def post(site, about, content, who="Ada"):
    headers = {"authorization": f"Bearer {site.tokens[who]}", "content-type": "text/plain"}
    client = site.browser().client
    return client.post(f"/api/v1/results/{site.ids[about]}/signature", content=content, headers=headers)


def of(site, about="Ada", key="ada", namespace=signature.NAMESPACE):
    return sign(site.private[key], signature.message(site.ids[about]), namespace)


def stored(site):
    """Everything that the store holds, as text."""
    path = site.engine.url.database
    with database.writing(site.engine) as connection:
        connection.execute(sql("SELECT 1"))
    from pathlib import Path

    return b"".join(one.read_bytes() for one in Path(path).parent.glob("copy.sqlite3*"))


def test_a_signature_is_verified_kept_and_shown(site, tmp_path):
    answer = post(site, "Ada", of(site))
    assert answer.status_code == 201, answer.text
    found = site.browser().get(f"/api/v1/results/{site.ids['Ada']}").json()["signed"]
    fingerprint = keys.of(site.engine, site.accounts["Ada"]["pk"])[0]["fingerprint"]
    assert (found["by"], found["fingerprint"], found["removed"]) == ("Ada", fingerprint, None)
    page = site.browser().get(f"/results/{site.ids['Ada']}").text
    assert f'by the key <code class="hash">{fingerprint}</code> of <bdi>Ada</bdi>' in page
    assert 'title="' + fingerprint + '">signed</span>' in page
    assert site.browser().get(f"/api/v1/results/{site.ids['Bob']}").json()["signed"] is None
    # what the API gives is enough for anybody who has ssh-keygen
    (tmp_path / "signers").write_text(f"ada {found['public_key']}\n")
    (tmp_path / "sig").write_text(found["signature"])
    import subprocess

    argv = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "ada", "-n", "ie-crowd-result"]
    done = subprocess.run(
        [*argv, "-s", str(tmp_path / "sig")], input=f"{site.ids['Ada']}\n".encode(), capture_output=True
    )
    assert done.returncode == 0
    again = post(site, "Ada", of(site))
    assert (again.status_code, again.json()["received"]) == (200, found["received"])
    assert [row["action"] for row in audit.read(site.engine, limit=1)] == ["upload signed"]


@pytest.mark.parametrize(
    ("how", "status", "why"),
    [
        (lambda site: ("Ada", of(site, key="bob"), "Ada"), 422, "is not one of Ada: add it first"),
        (lambda site: ("Ada", of(site, namespace="git"), "Ada"), 422, "the signature is for 'git'"),
        (lambda site: ("Ada", of(site, namespace="ie-crowd"), "Ada"), 422, "expected ssh-keygen -Y sign -n ie-crowd-r"),
        (lambda site: ("Ada", of(site, about="Bob"), "Ada"), 422, "not one of this content by this key"),
        (lambda site: ("Bob", of(site, about="Bob"), "Ada"), 403, "whoever uploaded a result signs it"),
        (lambda site: ("Ada", of(site), "Bob"), 422, "is not one of Bob"),
        (lambda site: ("Ada", of(site)[:-40], "Ada"), 422, "cut off"),
        (lambda site: ("Ada", "x" * 2**20, "Ada"), 413, "at most 10,000"),
        (lambda site: ("Ada", b"\xff\xfe", "Ada"), 422, "not ASCII"),
        (lambda site: ("Ada", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}", "Ada"), 422, "was not kept"),
    ],
)  # fmt: skip
def test_what_is_no_signature_of_the_uploader_is_refused_in_one_line(site, how, status, why):
    about, content, who = how(site)
    answer = post(site, about, content, who)
    assert (answer.status_code, why in answer.json()["detail"]) == (status, True), answer.text
    assert "\n" not in answer.json()["detail"]
    assert SECRET not in answer.text + json.dumps(rejected_uploads.read(site.engine))
    assert SECRET.encode() not in stored(site)
    assert signatures.of_result(site.engine, site.ids[about]) is None


def test_a_removed_key_signs_nothing_more_and_what_it_signed_stays_signed(site):
    assert post(site, "Ada", of(site)).status_code == 201
    ada = site.browser("Ada")
    fingerprint = keys.of(site.engine, site.accounts["Ada"]["pk"])[0]["fingerprint"]
    assert ada.post("/account/keys/remove", {"fingerprint": fingerprint}).status_code == 303
    page = site.browser().get(f"/results/{site.ids['Ada']}").text
    assert f"and was removed on {audit.now()[:10]}" in page
    assert "signed 1 result" in ada.get("/account").text
    second = toy((1.0, 2.0, 3.0), submitter="Ada", tag="second")
    insert.submit(site.engine, text(second), account=site.accounts["Ada"], publish=True, challenges={RULES.id: RULES})
    site.ids["second"] = second["id"]
    late = post(site, "second", of(site, "second"))
    assert (late.status_code, "was removed on" in late.json()["detail"]) == (422, True)
    back = ada.post("/account/keys", {"key": public(site.private["ada"])})
    assert back.status_code == 422
    with pytest.raises(ValueError, match="does not come back"):
        keys.add(site.engine, site.accounts["Ada"]["pk"], "operator", public(site.private["ada"]), operator=True)


def test_a_stolen_token_adds_no_second_key_and_ones_own_key_does(site):
    """Whoever has the token can log in, and remove the key; another one takes a signature, or an operator."""
    ada, new = site.browser("Ada"), public(site.private["new"])
    thief = ada.post("/account/keys", {"key": new})
    assert (thief.status_code, "with a signature by one that it has" in thief.text) == (422, True)
    for key, content, namespace, why in (
        ("new", new, signature.KEY_NAMESPACE, "which is no key of this account"),
        ("ada", new, signature.NAMESPACE, "expected ssh-keygen -Y sign -n ie-crowd-key"),
        ("ada", public(site.private["bob"]), signature.KEY_NAMESPACE, "not one of this content"),
    ):
        proof = sign(site.private[key], content.encode(), namespace)
        answer = ada.post("/account/keys", {"key": new, "proof": proof})
        assert (answer.status_code, why in answer.text) == (422, True)
    proof = sign(site.private["ada"], new.encode(), signature.KEY_NAMESPACE)
    assert ada.post("/account/keys", {"key": new.replace("\n", "\r\n"), "proof": proof}).status_code == 303
    for row in keys.of(site.engine, site.accounts["Ada"]["pk"]):
        keys.remove(site.engine, site.accounts["Ada"]["pk"], "Ada", row["fingerprint"])
    assert ada.post("/account/keys", {"key": public(site.private["bob"])}).status_code == 422  # not even then
    keys.add(site.engine, site.accounts["Ada"]["pk"], "operator", public(site.private["bob"]), operator=True)


def test_a_private_key_that_is_pasted_is_nowhere(site):
    bob = site.browser("Bob")
    pasted = site.private["bob"].read_text()
    answer = bob.post("/account/keys", {"key": pasted})
    assert (answer.status_code, "this is a private key, and was not kept" in answer.text) == (422, True)
    inside = pasted.splitlines()[1][:40]
    assert inside not in answer.text
    assert inside.encode() not in stored(site)
    assert bob.post("/account/keys", {"key": "A" * 2**20}).status_code == 413
    assert bob.post("/account/keys", {"key": f"* {public(site.private['bob'])}"}).status_code == 422
    assert bob.post("/account/keys", {"key": public(site.private["bob"])}).status_code == 303


def test_there_are_limits_and_one_key_is_ones_own_once(site, monkeypatch):
    bob = site.accounts["Bob"]["pk"]
    monkeypatch.setattr(keys, "MOST", 1)
    keys.add(site.engine, bob, "Bob", public(site.private["bob"]))
    with pytest.raises(ValueError, match="is there already"):
        keys.add(site.engine, bob, "operator", public(site.private["bob"]), operator=True)
    with pytest.raises(ValueError, match="at most 1 keys"):
        keys.add(site.engine, bob, "operator", public(site.private["new"]), operator=True)


def test_a_server_without_ssh_keygen_refuses_and_keeps_nothing(site, monkeypatch):
    given = of(site)
    monkeypatch.setattr(program.shutil, "which", lambda name: None)
    answer = post(site, "Ada", given)
    assert (answer.status_code, "stays as it is, unsigned" in answer.json()["detail"]) == (501, True)
    assert signatures.of_result(site.engine, site.ids["Ada"]) is None


def test_a_withdrawn_result_leaves_no_signature(site):
    post(site, "Ada", of(site))
    moderation.withdraw(site.engine, site.ids["Ada"], site.accounts["Ada"], "a mistake")
    with database.reading(site.engine) as connection:
        assert connection.execute(signatures.table.select()).all() == []
    assert query.one(site.engine, site.ids["Ada"])["state"] == "withdrawn"
    assert post(site, "Ada", of(site)).status_code == 410


def test_a_policy_may_ask_for_a_signature(site, tmp_path):
    asking = load.challenge(policies.folder(tmp_path, '\n  signed: {since: "2026-03-01T00:00:00Z"}\n'))
    contest = Contest(RULES.id, "gauges", "supervised", "all", "closed")

    def ranked(by):
        entries = standings.standings(site.engine, contest, "forecast.mae", by.metrics["forecast.mae"], by.evidence)
        return {entry.submitter: entry.unranked for entry in entries}

    assert ranked(RULES) == {"Ada": "", "Bob": ""}
    assert ranked(asking) == {"Ada": signatures.UNSIGNED, "Bob": signatures.UNSIGNED}
    post(site, "Ada", of(site))
    assert ranked(asking) == {"Ada": "", "Bob": signatures.UNSIGNED}
    assert load.challenge(load.find("ie-repr")).evidence.signed == ""
    with pytest.raises(ValueError, match=r"evidence.signed.since is 'now', expected a moment"):
        load.challenge(policies.folder(tmp_path / "wrong", "\n  signed: {since: now}\n"))


def test_operators_keep_keys_at_the_command_line(site, tmp_path, capsys):
    store = ["--store", site.engine.url.database]
    pub = f"{site.private['bob']}.pub"
    assert command_line.main(["user", "add-key", "Bob", f"--key={pub}", *store]) == 0
    said = capsys.readouterr().err
    fingerprint = said.split()[-1]
    assert command_line.main(["user", "keys", "Bob", "--json", *store]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["fingerprint"], row["kind"], row["revoked"], row["signed"]) == (fingerprint, "ssh-ed25519", None, 0)
    assert command_line.main(["user", "remove-key", "Bob", f"--key={fingerprint}", *store]) == 0
    assert command_line.main(["user", "keys", "Bob", *store]) == 0
    assert "removed" in capsys.readouterr().out
    inside = site.private["bob"].read_text().splitlines()[1][:40]
    for arguments, why in (
        (["add-key", "Bob", f"--key={site.private['bob']}"], "this is a private key, and was not kept"),
        (["add-key", "Bob"], "user add-key needs --key: a .pub file"),
        (["remove-key", "Bob", "--key=SHA256:none"], "there is no key 'SHA256:none'"),
        (["keys", "Nobody"], "there is no account 'Nobody'"),
        (["add-key", "Bob", f"--key={tmp_path / 'nowhere'}"], "nowhere"),
    ):
        assert command_line.main(["user", *arguments, *store]) == 2
        error = capsys.readouterr().err
        assert why in error
        assert (error.count("\n"), inside in error) == (1, False)


def test_on_either_database(engine, made_once):
    """Keys, signatures, a reviewer's word, and ranks that ask for them."""
    from dataclasses import replace

    from ie_crowd.store.people import independence

    people, private = {}, made_once[3]
    for number, (name, role) in enumerate((("Ada", "contributor"), ("Bob", "contributor"), ("Rev", "reviewer"))):
        people[name] = accounts.by_token(engine, accounts.add(engine, name, role))
        if name != "Rev":
            document = toy((4.0 + number / 10, 5.0, 6.0), submitter=name, machine=number)
            outcome = insert.submit(
                engine, text(document), account=people[name], publish=True, challenges={RULES.id: RULES}
            )
            keys.add(engine, people[name]["pk"], name, public(private[name.lower()]))
            made = sign(private[name.lower()], signature.message(outcome.id), signature.NAMESPACE)
            assert signatures.add(engine, outcome.id, people[name], made)
    assert signatures.of_result(engine, outcome.id)["by"] == "Bob"
    policy = replace(RULES.evidence, signed="2026-03-01T00:00:00Z", reviewed=True)
    contest = Contest(RULES.id, "gauges", "supervised", "all", "closed")

    def table():
        entries = standings.standings(engine, contest, "forecast.mae", RULES.metrics["forecast.mae"], policy)
        return [(entry.submitter, entry.rank, entry.reproduced_by, entry.awaiting_word) for entry in entries]

    assert table() == [("Ada", 1, [], ["Bob"]), ("Bob", 1, [], ["Ada"])]
    independence.give(engine, outcome.id, people["Rev"], "Ada", "two laboratories")
    assert table() == [("Ada", 1, ["Bob"], []), ("Bob", 1, ["Ada"], [])]
    moderation.withdraw(engine, outcome.id, people["Bob"], "a mistake")
    assert table() == [("Ada", 1, [], [])]

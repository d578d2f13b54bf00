"""Uploads: what is taken, what waits, what is refused and noted; whatever somebody sends, on both databases."""

import contextlib
import gzip
import hashlib
import json

import pytest

pytest.importorskip("starlette")
from ie_crowd import __main__ as command_line
from ie_crowd.formats import canonical_json
from ie_crowd.site.api import endpoint
from ie_crowd.store import audit, database, query, rejected_uploads
from ie_crowd.store.people import accounts
from sites import client
from toy_challenge.documents import identified, text, toy

PLAIN = {"Content-Type": "application/json"}
MIB = 2**20


@pytest.fixture
def site(engine):
    """A client of the site over an empty store, on either database; ``site.engine`` is the store."""
    with opened(engine) as one:
        yield one


@pytest.fixture
def light(tmp_path):
    """The same on SQLite alone: for what is refused before a store is asked."""
    engine = database.connect(tmp_path / "store.sqlite3")
    with opened(engine) as one:
        yield one
    engine.dispose()


@contextlib.contextmanager
def opened(engine):
    with client(engine) as one:
        one.engine = engine
        one.ada = bearer(engine, "Ada")
        yield one


def bearer(engine, name, role="contributor"):
    return {"Authorization": f"Bearer {accounts.add(engine, name, role)}"}


def send(site, content, headers=None, **more):
    if isinstance(content, dict):
        content = text(content)
    return site.post("/api/v1/results", content=content, headers={**PLAIN, **(headers or site.ada), **more})


def mine(*maes, **more):
    return toy(maes or (4.0, 6.0, 5.0), **{"submitter": "Ada", **more})


def refused(answer, status, said):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert set(found) == {"type", "title", "status", "detail"}
    assert said in found["detail"], found["detail"]
    return found


def states(engine):
    return {name: count for name, count in query.totals(engine).items() if count}


# What is taken


def test_a_valid_one_waits_and_an_operators_does_not(site):
    document = mine()
    answer = send(site, document)
    assert (answer.status_code, answer.json()) == (201, {"id": document["id"], "state": "valid", "reasons": []})
    assert answer.headers["location"] == f"/api/v1/results/{document['id']}"
    assert query.original(site.engine, document["id"]) == text(document)
    theirs = mine(1.0, 2.0, 3.0, submitter="Op")
    assert send(site, theirs, bearer(site.engine, "Op", "operator")).json()["state"] == "published"
    reviewed = mine(1.0, 2.5, 3.0, submitter="Rev")
    assert send(site, reviewed, bearer(site.engine, "Rev", "reviewer")).json()["state"] == "valid"
    assert query.one(site.engine, document["id"])["uploaded_by"] == "Ada"


def test_the_same_again_is_one_whoever_sends_it(site):
    document = mine()
    send(site, document)
    before = audit.revision(site.engine)
    for headers in (site.ada, bearer(site.engine, "Bob")):
        answer = send(site, json.dumps(document).encode(), headers)
        assert (answer.status_code, answer.json()["state"]) == (200, "valid")
    assert query.one(site.engine, document["id"])["uploaded_by"] == "Ada"
    assert states(site.engine) == {"valid": 1}
    assert audit.revision(site.engine) == before + 1  # the new account


def test_nobodys_name_is_nobodys(site):
    document = mine(submitter=None)
    assert send(site, document).status_code == 201
    found = query.one(site.engine, document["id"])
    assert (found["submitter"], found["uploaded_by"]) == (None, "Ada")


def test_what_was_withdrawn_does_not_come_back(site):
    document = mine()
    send(site, document)
    path = f"/api/v1/results/{document['id']}/withdrawal"
    assert site.post(path, json={"reason": "wrong"}, headers=site.ada).status_code == 200
    refused(send(site, document), 409, "was withdrawn and can not come back")
    assert states(site.engine) == {"withdrawn": 1}


# What a reviewer has to look at


def forged(document, **metrics):
    for name, value in metrics.items():
        document["metrics"]["forecast.mae"][name] = value
    return identified(document)


def renamed(name):
    return mine(submitter=name)


HELD = {
    "somebody else's name": (lambda: renamed("Bob"), "submitter"),
    "a name that looks like Bob's": (lambda: renamed("Вов"), "submitter"),
    "a name with a homoglyph": (lambda: renamed("Аda"), "submitter"),
    "a better mean": (lambda: forged(mine(), value=0.1), "aggregates"),
    "a smaller deviation": (lambda: forged(mine(), sd=0.0001), "aggregates"),
    "more runs than there are": (lambda: forged(mine(), n=30), "aggregates"),
    "a metric that no run has": (
        lambda: identified(
            {**mine(), "metrics": {**mine()["metrics"], "judge.accuracy": mine()["metrics"]["flood.recall"]}}
        ),
        "aggregates",
    ),
    "other data": (lambda: other_data(), "rules.data"),
    "better than can be": (lambda: mine(0.0, 0.0, 0.0), "band.forecast.mae"),
    "a path of a machine": (lambda: leaking(), "privacy"),
}


def other_data():
    document = mine()
    document["datasets"][0]["files"][0]["sha256"] = "9" * 64
    return identified(document)


def leaking():
    document = mine()
    document["provenance"]["command"] = "cm run script x --data=/home/ada/data"
    return identified(document)


@pytest.mark.parametrize("what", HELD)
def test_what_is_odd_is_held_back_with_its_reason(site, what):
    accounts.add(site.engine, "Bob")
    make, reason = HELD[what]
    document = make()
    answer = send(site, document)
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert found["state"] == "quarantined"
    assert reason in [one["name"] for one in found["reasons"]], found["reasons"]
    assert site.get("/api/v1/results").json()["total"] == 0
    assert site.get(f"/api/v1/results/{document['id']}").status_code == 404
    assert site.get(f"/api/v1/results/{document['id']}", headers=site.ada).json()["reasons"] == found["reasons"]
    assert rejected_uploads.read(site.engine) == []


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("Bob", "the name is not the account's, 'Ada'"),
        ("Вов", "the name looks like 'Bob', another one"),  # every letter is Cyrillic
        ("B0b", "the name looks like 'Bob', another one"),
        ("Аda", "the name mixes scripts (cyrillic, latin)"),  # one letter is
    ],
)
def test_why_a_name_is_held_back(site, name, detail):
    accounts.add(site.engine, "Bob")
    reasons = send(site, renamed(name)).json()["reasons"]
    assert {"name": "submitter", "evidence": "/submitter/name", "detail": detail} in reasons


def test_a_copy_under_another_name_is_held_back(site):
    send(site, mine())
    bob = bearer(site.engine, "Bob")
    copy = mine(submitter="Bob")
    found = send(site, copy, bob)
    assert (found.status_code, [one["name"] for one in found.json()["reasons"]]) == (202, ["copy"])
    weights = mine(4.5, 6.5, 5.5, submitter="Bob")
    weights["runs"][1]["model_sha256"] = mine()["runs"][1]["model_sha256"]
    weights["files"][1]["sha256"] = weights["runs"][1]["model_sha256"]
    found = send(site, identified(weights), bob)
    assert (found.status_code, [one["name"] for one in found.json()["reasons"]]) == (202, ["copy"])
    shuffled = mine(6.0, 4.0, 5.0, submitter="Bob", tag="other weights")
    found = send(site, shuffled, bob)
    assert (found.status_code, [one["name"] for one in found.json()["reasons"]]) == (202, ["copy"])


# What is no result


def changed(**keys):
    return identified({**mine(), **keys})


def runs(**keys):
    document = mine()
    document["runs"][0] |= keys
    return identified(document)


def raw(document, old, new):
    content = text(document).decode()
    assert old in content
    return content.replace(old, new, 1).encode()


def number(literal):
    """The document with a number that Python's json would not write."""
    return raw(mine(), '"wall_seconds": 12.5', f'"wall_seconds": {literal}')


def nested(depth):
    return b'{"config": ' + b"[" * depth + b"]" * depth + b"}"


def named(name):
    return raw(mine(), '"name": "Ada"', f'"name": {json.dumps(name)}')


NO_RESULT = {
    "nothing": (lambda: b"", 400, "is empty"),
    "no JSON": (lambda: b"<html>", 400, "is not JSON"),
    "half of one": (lambda: text(mine())[:2000], 400, "is not JSON"),
    "another encoding": (lambda: text(mine()).decode().encode("utf-16"), 400, "is not UTF-8"),
    "a byte order mark": (lambda: b"\xef\xbb\xbf" + text(mine()), 400, "byte order mark"),
    "a key twice": (lambda: raw(mine(), '"cost"', '"cost": {}, "cost"'), 400, "the key 'cost' appears twice"),
    "NaN": (lambda: number("NaN"), 400, "NaN is not a JSON number"),
    "infinity": (lambda: number("-Infinity"), 400, "is not a JSON number"),
    "1e999": (lambda: number("1e999"), 400, "the number 1e999 is too large"),
    "an integer of 400 digits": (lambda: number("1" + "0" * 400), 400, "beyond 2^53 - 1"),
    "an integer of 900,000 digits": (lambda: number("1" * 900_000), 400, "beyond 2^53 - 1"),
    "2^53": (lambda: number(str(2**53)), 400, "beyond 2^53 - 1"),
    "deep nesting": (lambda: nested(100), 400, "nested more than 12 levels"),
    "very deep nesting": (lambda: nested(500_000), 400, "nested more than 12 levels"),
    "very many values": (lambda: b"[" + b"0," * 300_000 + b"0]", 400, "more than 100,000 values"),
    "a long string": (lambda: named("a" * 5000), 400, "a string of 5,000 characters"),
    "a control character": (lambda: named("Ada\x1b[31m"), 400, "U+001B"),
    "text that turns": (lambda: named("\u202eadA"), 400, "U+202E"),
    "half a character": (lambda: named("\ud800"), 400, "U+D800"),
    "a list": (lambda: b"[]", 422, "expected an object"),
    "a number": (lambda: b"1", 422, "expected an object"),
    "an object": (lambda: b"{}", 422, ""),
    "a script as a name": (lambda: named("<script>alert(1)</script>"), 422, "/submitter/name"),
    "an image as a name": (lambda: named("<svg onload=alert(1)>"), 422, "/submitter/name"),
    "an entity as a name": (lambda: named("&lt;b&gt;"), 422, "/submitter/name"),
    "an endless name": (lambda: named("a" * 81), 422, "/submitter/name"),
    "an unknown key": (lambda: changed(badge="gold"), 422, "unknown key 'badge'"),
    "a prototype": (lambda: raw(mine(), '"cost"', '"__proto__": {}, "cost"'), 422, "unknown key '__proto__'"),
    "runs that are none": (lambda: changed(runs="all"), 422, "/runs"),
    "no runs": (lambda: changed(runs=[]), 422, "/runs"),
    "a seed below zero": (lambda: runs(seed=-1), 422, "/runs/0/seed"),
    "a seed that is true": (lambda: runs(seed=True), 422, "/runs/0/seed"),
    "a value that is text": (lambda: runs(metrics={"forecast.mae": "4.0"}), 422, "/runs/0/metrics"),
    "a path that leads out": (
        lambda: changed(files=[{"path": "runs/../../etc/passwd", "sha256": "0" * 64, "bytes": 1}]),
        422, "/files/0/path",
    ),
    "an address with a password": (
        lambda: changed(provenance={**mine()["provenance"], "repository": "https://me:secret@example.org/x"}),
        422, "/provenance/repository",
    ),
    "a newer schema": (lambda: changed(schema_version=2), 422, "/schema_version"),
    "an unknown challenge": (
        lambda: changed(challenge={**mine()["challenge"], "id": "no-such"}), 422, "the challenge no-such, which is not",
    ),
    "a challenge that is a path": (
        lambda: changed(challenge={**mine()["challenge"], "id": "../../etc"}), 422, "/challenge/id",
    ),
    "another's id": (lambda: {**mine(), "id": "0" * 64}, 422, "/id is 000000000000…"),
    "a changed value": (lambda: raw(mine(), '"forecast.mae": 4.0', '"forecast.mae": 3.0'), 422, "/id is"),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_RESULT)
def test_what_is_no_result_is_refused_and_noted(light, what):
    make, status, said = NO_RESULT[what]
    content = make()
    content = text(content) if isinstance(content, dict) else content
    found = refused(send(light, content), status, said)
    assert states(light.engine) == {}
    (row,) = rejected_uploads.read(light.engine)
    assert (row["by"], row["status"], row["size"]) == ("Ada", status, len(content))
    assert row["sha256"] == (hashlib.sha256(content).hexdigest() if content else "")
    plain = found["detail"].replace('"', "'").partition("'")
    assert row["reason"] == plain[0] + ("…" if plain[1] else "")
    assert "secret" not in row["reason"]


def test_none_of_them_leaves_anything_in_any_database(site, monkeypatch):
    monkeypatch.setattr(endpoint, "UPLOADS", (1000, 3600))
    for make, status, said in NO_RESULT.values():
        refused(send(site, make()), status, said)
    assert states(site.engine) == {}
    assert [row["status"] for row in rejected_uploads.read(site.engine)][::-1] == [one[1] for one in NO_RESULT.values()]


# How it is sent


def test_without_a_token_nothing_is_read_or_noted(site):
    answer = site.post("/api/v1/results", content=text(mine()), headers=PLAIN)
    refused(answer, 401, "this needs a token")
    refused(send(site, mine(), {"Authorization": "Bearer iecrowd_wrong"}), 401, "the token is not")
    accounts.disable(site.engine, "Ada")
    refused(send(site, mine()), 401, "the token is not")
    assert rejected_uploads.read(site.engine) == []
    assert states(site.engine) == {}


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
    ],
)
def test_another_type_of_content(light, kind):
    refused(send(light, mine(), **{"Content-Type": kind}), 415, "expected application/json")
    assert [row["status"] for row in rejected_uploads.read(light.engine)] == [415]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, identity"])
def test_nothing_is_unpacked(light, coding):
    bomb = gzip.compress(b" " * 50 * MIB)
    answer = send(light, bomb, **{"Content-Encoding": coding})
    refused(answer, 415, "Content-Encoding is not read")
    assert answer.headers["accept-encoding"] == "identity"


def test_what_is_too_long_is_refused_before_it_is_read(site):
    read = []

    def pieces():
        for number in range(64):
            read.append(number)
            yield b" " * (MIB // 4)

    # no length is given: it is counted while it comes
    refused(send(site, pieces()), 413, "more than 1,048,576 bytes")
    (row,) = rejected_uploads.read(site.engine)
    assert (row["status"], row["sha256"], row["size"] > MIB) == (413, "", True)
    refused(send(site, b" " * (MIB + 1)), 413, "1,048,577 bytes; at most 1,048,576 are read")
    # the last byte that fits is read
    padded = text(mine()) + b" " * (MIB - len(text(mine())))
    assert send(site, padded).status_code == 201


def test_pieces_without_a_length_are_put_together(site):
    content = text(mine())
    pieces = (content[start : start + 100] for start in range(0, len(content), 100))
    assert send(site, pieces).status_code == 201


def test_parameters_are_none(light):
    answer = light.post("/api/v1/results?publish=true", content=text(mine()), headers={**PLAIN, **light.ada})
    refused(answer, 400, "unknown parameter 'publish'")
    assert states(light.engine) == {}


def test_one_account_sends_so_many(site, monkeypatch):
    monkeypatch.setattr(endpoint, "UPLOADS", (2, 3600))
    answers = [send(site, mine(1.0, 2.0, 3.0 + number)) for number in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 3600
    assert rejected_uploads.read(site.engine)[0]["reason"].startswith("at most 2 in 60 minutes")
    assert send(site, mine(9.0, submitter="Bob"), bearer(site.engine, "Bob")).status_code == 201


def test_who_reads_what_was_refused(site, capsys):
    for number in range(3):
        send(site, b"[%d" % number)
    rev = bearer(site.engine, "Rev", "reviewer")
    refused(site.get("/api/v1/refused", headers=site.ada), 403, "needs the role reviewer")
    refused(site.get("/api/v1/refused"), 401, "this needs a token")
    rows = site.get("/api/v1/refused?limit=2", headers=rev).json()["refused"]
    assert [row["sha256"] for row in rows] == [hashlib.sha256(b"[%d" % number).hexdigest() for number in (2, 1)]
    more = site.get(f"/api/v1/refused?before={rows[-1]['number']}", headers=rev).json()["refused"]
    assert [row["by"] for row in more] == ["Ada"]
    url = site.engine.url.render_as_string(hide_password=False)
    assert command_line.main(["refused", f"--store={url}", "--json"]) == 0
    assert [row["sha256"] for row in json.loads(capsys.readouterr().out)][:2] == [row["sha256"] for row in rows]


def test_two_at_once_are_one(site):
    import threading

    content, answers = text(mine()), []
    threads = [threading.Thread(target=lambda: answers.append(send(site, content))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert states(site.engine) == {"valid": 1}


def test_the_id_that_is_told_is_the_documents(site):
    document = mine()
    assert send(site, json.dumps(document, sort_keys=True).encode()).json()["id"] == canonical_json.identity(document)

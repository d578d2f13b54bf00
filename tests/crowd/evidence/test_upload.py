"""Evidence over the API: who may send it, what is refused in one line, who may read it."""

import json

import pytest

pytest.importorskip("starlette")
from ie_crowd.evidence import files, queue
from ie_crowd.store import database, insert, query
from ie_crowd.store.people import accounts, moderation
from sites import client
from toy_challenge import compute
from toy_challenge.documents import text
from toy_challenge.make import RULES, write_folder

OCTETS = {"Content-Type": "application/octet-stream"}
PATH = "runs/0/model.safetensors"


@pytest.fixture
def site(tmp_path):
    """A site with one valid result, uploaded by Ada; ``site.weights``: the bytes of its first run's."""
    engine = database.connect(tmp_path / "store.sqlite3")
    folder = tmp_path / "run"
    write_folder(folder)
    document = json.loads((folder / "result.json").read_text())
    with client(engine) as one:
        one.engine, one.id = engine, document["id"]
        one.who = {
            name: {"Authorization": f"Bearer {accounts.add(engine, name, role)}"}
            for name, role in (("The Rivers Group", "contributor"), ("Bob", "contributor"), ("Boss", "operator"))
        }
        account = next(row for row in accounts.accounts(engine) if row["name"] == "The Rivers Group")
        done = insert.submit(engine, text(document), account=account, challenges={RULES.id: RULES})
        assert done.what == "valid", done
        one.weights = compute.weights(4.0, 90.0)
        yield one
    engine.dispose()


def send(site, content, path=PATH, who="The Rivers Group", **headers):
    to = f"/api/v1/results/{site.id}/evidence?path={path}"
    return site.post(to, content=content, headers={**OCTETS, **(site.who[who] if who else {}), **headers})


def test_whoever_uploaded_it_sends_the_files_and_then_it_waits(site):
    assert send(site, site.weights).status_code == 201
    assert send(site, site.weights).json() == {"path": PATH, "new": False}
    assert queue.counts(site.engine)["waiting"] == 0
    assert send(site, compute.weights(6.0, 80.0), "runs/1/model.safetensors").status_code == 201
    assert queue.counts(site.engine)["waiting"] == 1
    told = site.get(f"/api/v1/results/{site.id}/evidence", headers=site.who["The Rivers Group"]).json()
    assert [(row["path"], row["needed"], row["here"]) for row in told["files"]] == [
        (PATH, True, True),
        ("runs/1/model.safetensors", True, True),
        ("runs/0/metrics.jsonl", False, False),
        ("runs/1/metrics.jsonl", False, False),
        ("figures/levels.png", False, False),
    ]
    assert (told["level"], [row["state"] for row in told["verifications"]]) == ("stated", ["waiting"])


def test_a_history_alone_asks_for_no_verification(site, monkeypatch):
    listed = files.asked
    monkeypatch.setattr(files, "asked", lambda one: {at: it for at, it in listed(one).items() if not it.needed})
    assert send(site, b'{"epoch": 1}\n', "runs/0/metrics.jsonl").status_code == 201
    assert queue.counts(site.engine)["waiting"] == 0


def test_what_is_to_be_shown_is_of_its_kind(site):
    answer = send(site, b"\x89PNG and so on", "figures/levels.png")
    assert (answer.status_code, "is not a PNG picture" in answer.json()["detail"]) == (422, True), answer.json()


@pytest.mark.parametrize(
    ("content", "path", "who", "status", "says"),
    [
        (None, PATH, None, 401, "this needs a token"),
        (None, PATH, "Bob", 404, "is not published"),
        (b"", PATH, "The Rivers Group", 422, "ends after 0 of"),
        (b"x" * 10_000, PATH, "The Rivers Group", 422, "more than the"),
        (b"PK", PATH, "The Rivers Group", 422, "send it again"),
        (None, "runs/1/model.safetensors", "The Rivers Group", 422, "SHA-256"),
        (None, "runs/0/run.json", "The Rivers Group", 422, "none of that result's files that are taken"),
        (None, "../../etc/passwd", "The Rivers Group", 400, "expected a path below runs/ or figures/"),
        (None, "runs/0/../../x", "The Rivers Group", 400, "expected a path below runs/ or figures/"),
    ],
)
def test_what_is_refused_says_why_and_leaves_nothing(site, content, path, who, status, says):
    answer = send(site, site.weights if content is None else content, path, who)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.json()
    told = site.get(f"/api/v1/results/{site.id}/evidence", headers=site.who["Boss"]).json()
    assert not any(row["here"] for row in told["files"])


def test_an_account_cannot_fill_the_disk(site, monkeypatch):
    from ie_crowd.evidence import files

    monkeypatch.setattr(files, "MOST_WAITING", len(site.weights))
    assert send(site, site.weights).status_code == 201
    second = compute.weights(6.0, 80.0), "runs/1/model.safetensors"
    answer = send(site, *second)
    assert (answer.status_code, "that wait for a reviewer" in answer.json()["detail"]) == (422, True)
    boss = next(row for row in accounts.accounts(site.engine) if row["name"] == "Boss")
    moderation.publish(site.engine, site.id, boss)
    assert send(site, *second).status_code == 201


def test_another_type_of_body_is_refused(site):
    answer = send(site, site.weights, **{"Content-Type": "application/json"})
    assert (answer.status_code, "expected application/octet-stream" in answer.json()["detail"]) == (415, True)


def test_anybody_reads_the_evidence_of_what_is_published_and_nobody_else_before(site):
    send(site, site.weights)
    to = f"/api/v1/results/{site.id}/evidence/file?path={PATH}"
    assert site.get(to).status_code == 404
    assert site.get(to, headers=site.who["Bob"]).status_code == 404
    boss = next(row for row in accounts.accounts(site.engine) if row["name"] == "Boss")
    moderation.publish(site.engine, site.id, boss)
    answer = site.get(to)
    assert (answer.status_code, answer.content) == (200, site.weights)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert send(site, site.weights, who="Bob").status_code == 403
    moderation.withdraw(site.engine, site.id, boss, "a mistake")
    assert site.get(to).status_code == 410
    assert query.one(site.engine, site.id)["state"] == "withdrawn"

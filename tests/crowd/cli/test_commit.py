"""`ie-crowd submit --commit` and its API: what is sent and said, the file of draws, what is refused."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

pytest.importorskip("starlette")
from ie_crowd import __main__ as command_line
from ie_crowd.site.app import create_app
from ie_crowd.site.settings import Settings
from ie_crowd.store import database, query
from ie_crowd.store.people import accounts
from ie_crowd.submit import client, commitment
from issued_draws import folder, opened, trial
from served import serving
from starlette.testclient import TestClient
from toy_challenge.documents import text
from toy_challenge.make import RULES


class Place:
    """A site that issues draws, trial runs of it in the current folder, and Ada's token in the environment."""

    def __init__(self, tmp_path, monkeypatch):
        self.engine = database.connect(tmp_path / "store.sqlite3")
        self.rules = folder(tmp_path)
        self.app = create_app(Settings(challenges=(self.rules,)), self.engine)
        self.token = accounts.add(self.engine, "Ada", "contributor")
        monkeypatch.setenv("IE_CROWD_TOKEN", self.token)
        monkeypatch.setattr(client, "pause", lambda seconds: None)
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        trial("trial")

    def commit(self, *more, of="trial", url="http://127.0.0.1:1"):
        words = ["submit", of, "--commit", f"--server={url}", f"--challenge={self.rules}", "--yes", *more]
        return command_line.main(words)

    def post(self, path, document, **more):
        headers = {"Authorization": f"Bearer {self.token}", **more}
        with TestClient(self.app, base_url="http://localhost") as one:
            return one.post(f"/api/v1/{path}", json=document, headers=headers)

    def get(self, path):
        with TestClient(self.app, base_url="http://localhost") as one:
            return one.get(path)


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = Place(tmp_path, monkeypatch)
    yield made
    made.engine.dispose()


def test_commit_train_submit_and_see_it_on_the_page(place, capsys):
    """The whole way, over a socket; the trial itself is sent nowhere."""
    with serving(place.app) as port:
        url = f"http://127.0.0.1:{port}"
        assert place.commit("--json", url=url) == 0
        said = json.loads(capsys.readouterr().out)
        grid = yaml.safe_load(Path(said["file"]).read_text())
        assert grid == {"epochs": 7, "window_days": 30, "season": "wet, warm", "detrend": True, "draws": said["draws"]}
        assert shlex.split(said["command"]) == ["rivers", "sweep", f"--grid={said['file']}", "--damping=0.25"]
        assert (said["commitments"], said["handed_in"]) == (1, 0)
        assert query.totals(place.engine)["valid"] == 0
        assert place.commit(url=url) == 0
        out = capsys.readouterr().out
        assert "Committed before. Draws" in out
        assert out.count(str(said["draws"][0])) >= 2
        trial("whole", said["draws"])
        words = [
            "submit",
            "whole",
            f"--server={url}",
            f"--challenge={place.rules}",
            "--yes",
            "--json",
            "--submitter=Ada",
        ]
        assert command_line.main([*words, "--no-weights"]) == 0
        result = json.loads(capsys.readouterr().out)["id"]
    with database.writing(place.engine) as connection:
        connection.exec_driver_sql("UPDATE result SET state = 'published', published = received")
    page = " ".join(place.get(f"/results/{result}").text.split())
    assert "<strong>Label draws issued here</strong>: its code and settings were committed to on" in page
    assert "By this account in this contest: 1 commitment, 1 handed in." in page
    told = place.get(f"/api/v1/results/{result}").json()["draws"]
    assert (told["sha256"], told["why"], told["commitments"], told["handed_in"]) == (said["sha256"], "", 1, 1)


def test_a_result_of_chosen_draws_says_so_on_its_page_and_in_the_api(place):
    from ie_crowd.store import insert

    document, by = opened([7, 8, 9]), {RULES.id: RULES}
    insert.submit(
        place.engine, text(document), publish=True, account=accounts.by_token(place.engine, place.token), challenges=by
    )
    ranking = place.get("/ranking?dataset=gauges&supervision=supervised&labels=all&division=open").text
    assert 'those that came since 2026-03-01 whose label draws were not <a href="/challenge#draws">issued' in ranking
    assert "the answer is 3 draws" in place.get("/challenge").text.split('id="draws"')[1]
    page = " ".join(place.get(f"/results/{document['id']}").text.split())
    assert "not ranked: its label draws were not issued for a commitment" in page
    assert "<strong>Label draws not issued</strong>: nothing was committed to before" in page
    told = place.get(f"/api/v1/results/{document['id']}").json()["draws"]
    assert (told["committed"], told["since"], told["commitments"]) == (None, "", 0)


def test_a_dry_run_shows_what_would_be_sent_and_asks_nobody(place, capsys):
    assert place.commit("--dry-run") == 0
    out = capsys.readouterr().out
    assert "commit " + "e" * 40 in out
    assert "A dry run: nothing was sent." in out
    assert not list(Path().glob("draws-*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--commit", "--to=out"], "--commit goes with --server=URL: whoever owns a folder would know its draws"),
        (["--commit", "--server=http://127.0.0.1:1", "--submitter=Ada"], "--commit sends a hash and nothing else"),
    ],
)
def test_what_does_not_go_together(place, capsys, words, said):
    assert command_line.main(["submit", "trial", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("provenance", "said"),
    [
        ({"dirty": True}, "its code differed from the commit that it names"),
        ({"commit": None, "dirty": None}, "it does not say which commit its code is of"),
    ],
)
def test_code_that_nobody_can_name_is_not_committed_to(provenance, said):
    document = opened([0, 1, 2])
    document["provenance"].update(provenance)
    made = commitment.Publication(Path(), document, RULES, [], [])
    with pytest.raises(ValueError, match=said):
        commitment.message(made)


def test_in_the_closed_division_the_rules_fix_the_draws(place, capsys):
    trial("closed", (0, 1), days=14)
    assert place.commit(of="closed") == 2
    assert "this result is of the closed one, whose rules fix the draws" in capsys.readouterr().err


ASKED = {
    "challenge": "river-levels",
    "dataset": "gauges",
    "supervision": "supervised",
    "labels": "all",
    "sha256": "a" * 64,
}


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"challenge": "no-such"}, 404, "there is no challenge no-such here"),
        ({"dataset": "seas"}, 404, "river-levels has no task seas, supervised"),
        ({"sha256": "x"}, 422, "/sha256"),
        ({"labels": 0}, 422, "/labels"),
        ({"draws": [1, 2, 3]}, 422, "draws"),
    ],
)
def test_what_the_api_refuses(place, change, status, said):
    answer = place.post("commitments", {**ASKED, **change})
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text


def test_a_commitment_needs_an_account_and_one_too_many_is_refused(place):
    assert place.post("commitments", ASKED, Authorization="Bearer nobody").status_code == 401
    answers = [place.post("commitments", {**ASKED, "sha256": str(number) * 64}) for number in (1, 2, 3, 4, 5, 1)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 201, 409, 200]
    assert "at most 4 are taken" in answers[4].json()["detail"]
    assert answers[5].json()["draws"] == answers[0].json()["draws"]


def test_a_site_whose_rules_do_not_ask_issues_nothing(tmp_path):
    engine = database.connect(tmp_path / "other.sqlite3")
    token = accounts.add(engine, "Ada", "contributor")
    with TestClient(create_app(Settings(challenges=(RULES.folder,)), engine), base_url="http://localhost") as one:
        answer = one.post("/api/v1/commitments", json=ASKED, headers={"Authorization": f"Bearer {token}"})
    engine.dispose()
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "no draws are issued for gauges of river-levels: results rank without; send them",
    )


GOOD = {"sha256": "a", "made": "2026-01-01T00:00:00Z", "draws": [5, 6], "commitments": 1, "handed_in": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "b"},
        {"commitments": None},
        *({"draws": draws} for draws in ([], [5, 5], [True, 6], "56", [2**31], [-1], list(range(1000)))),
    ],
)
def test_an_answer_that_is_no_receipt(change):
    assert commitment.receipt(GOOD, "a") == ([5, 6], 1, 0)
    assert commitment.receipt({**GOOD, **change}, "a") is None

"""Agreement counts as reproduced only with a reviewer's word, which is given and taken back on a result's page."""

import contextlib
import json
import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd import __main__ as command_line
from ie_crowd.challenge import load
from ie_crowd.ranking import rank
from ie_crowd.store import audit, database, insert
from ie_crowd.store.people import accounts, independence, moderation, undo, undoable
from ie_crowd.store.people.moderation import WrongState
from site_people import Site
from toy_challenge import policies
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES

SAME = {"Ada": (4.0, 5.0, 6.0), "Bob": (4.1, 5.1, 6.1), "Cyd": (40.0, 50.0, 60.0)}
NOTE = "Two laboratories; I know both."


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """A store in which Ada and Bob agree, Cyd does not, and Rev is a reviewer with a result that agrees, too."""
    home = tmp_path_factory.mktemp("independence")
    engine = database.connect(home / "store.sqlite3")
    tokens, ids = {}, {}
    for number, (name, role) in enumerate(
        {"Ada": "contributor", "Bob": "contributor", "Cyd": "contributor", "Rev": "reviewer", "Eve": "reviewer"}.items()
    ):
        tokens[name] = accounts.add(engine, name, role)
        if name != "Eve":
            values = SAME.get(name, (4.2, 5.2, 6.2))
            document = toy(values, submitter=name, machine=number % 3)
            document["system"]["cores"]["logical"] += number
            from toy_challenge.documents import identified

            document = identified(document)
            account = accounts.by_token(engine, tokens[name])
            assert (
                insert.submit(engine, text(document), account=account, publish=True, challenges={RULES.id: RULES}).what
                == "published"
            )
            ids[name] = document["id"]
    engine.dispose()
    return home, tokens, ids, policies.folder(home, "\n  reviewed: true\n")


@pytest.fixture
def asking(made_once, tmp_path):
    home, tokens, ids, folder = made_once
    (tmp_path / "copy.sqlite3").write_bytes((home / "store.sqlite3").read_bytes())
    engine = database.connect(tmp_path / "copy.sqlite3")
    people = {name: accounts.by_token(engine, token) for name, token in tokens.items()}
    site = Site(engine, {"ids": ids, "tokens": tokens, "accounts": people}, challenges=(folder,))
    yield site
    engine.dispose()


def seen(site, name="Ada"):
    found = site.browser().get(f"/api/v1/results/{site.ids[name]}").json()
    return found["reproduced_by"], found["awaiting_word"], [one["name"] for one in found["independent_of"]]


def test_until_a_reviewer_says_so_it_waits_wherever_it_is_shown(asking, capsys, made_once):
    assert seen(asking) == ([], ["Bob", "Rev"], [])
    nobody = asking.browser()
    page = nobody.get(f"/results/{asking.ids['Ada']}").text
    assert "Agrees with <bdi>Bob</bdi>; waits for a reviewer’s word" in page
    assert "evidence: stated · 2 agreements wait" in page
    assert "/independence" not in page  # no form for who is no reviewer
    assert "stated · 2 agreements wait" in nobody.get(f"/results/{asking.ids['Ada']}/evidence.svg").text
    assert "agrees with <bdi>Bob</bdi>, <bdi>Rev</bdi>; waits for a reviewer’s word" in nobody.get("/ranking").text
    entries = nobody.get("/api/v1/ranking").json()["contests"][0]["entries"]
    assert {one["submitter"]: (one["evidence"], one["awaiting_word"]) for one in entries}["Ada"] == (
        "stated",
        ["Bob", "Rev"],
    )
    store = ["--store", asking.engine.url.database, "--challenge", str(made_once[3])]
    assert command_line.main(["rank", *store]) == 0
    assert "agrees with Bob, Rev: waits for a reviewer's word" in capsys.readouterr().out
    assert command_line.main(["rank", "--json", *store]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert {one["submitter"]: one["awaiting_word"] for one in told["entries"]}["Bob"] == ["Ada", "Rev"]


def test_a_word_is_given_and_taken_back_on_the_page_and_counts_for_both(asking):
    eve, about = asking.browser("Eve"), f"/results/{asking.ids['Ada']}"
    to = f"/moderation{about}/independence"
    assert to in eve.get(about).text
    empty = eve.post(to, {"other": "Bob", "do": "give", "note": "  "})
    assert (empty.status_code, "give a note that says why" in empty.text) == (422, True)
    answer = eve.post(to, {"other": "Bob", "do": "give", "note": NOTE})
    assert (answer.status_code, answer.headers["location"]) == (303, about)
    assert "Undo" in eve.get(about).text
    assert (seen(asking), seen(asking, "Bob")) == ((["Bob"], ["Rev"], ["Bob"]), (["Ada"], ["Rev"], ["Ada"]))
    page = asking.browser().get(about).text
    assert "Reproduced by <bdi>Bob</bdi>" in page
    assert f"says <bdi>Eve</bdi>, {audit.now()[:10]}: <bdi>{NOTE}</bdi>" in page
    assert "evidence: stated · reproduced by 1 · 1 agreement waits" in page
    assert eve.post(to, {"other": "Bob", "do": "give", "note": NOTE}).status_code == 409
    # from the other's page, by another reviewer who is neither
    other = f"/moderation/results/{asking.ids['Bob']}/independence"
    taken = asking.browser("Rev").post(other, {"other": "Ada", "do": "take", "note": "they share a desk"})
    assert taken.status_code == 303
    assert seen(asking) == ([], ["Bob", "Rev"], [])
    told = [(row["actor"], row["action"], row["detail"]) for row in audit.read(asking.engine, limit=2)]
    assert told == [
        ("Rev", "independence taken back", "Bob and Ada: they share a desk"),
        ("Eve", "independent", f"Ada and Bob: {NOTE}"),
    ]


def test_reviewers_find_what_waits_in_one_queue(asking):
    def queue(name):
        return asking.browser(name).get("/moderation?show=agreements")

    assert asking.browser("Ada").get("/moderation?show=agreements").status_code == 403
    listed = queue("Eve").text
    assert 'Agreements <span class="waits">3</span>' in listed
    assert 'Agreements <span class="waits">3</span>' in asking.browser("Eve").get("/moderation/refused").text
    pairs = re.findall(r"<bdi>(\w+)</bdi> and <bdi>(\w+)</bdi></th>", listed)
    assert pairs == [("Ada", "Bob"), ("Ada", "Rev"), ("Bob", "Rev")]
    assert f"/results/{asking.ids['Ada']}#evidence" in listed
    assert queue("Rev").text.count("Your own: somebody else decides.") == 2
    independence.give(asking.engine, asking.ids["Ada"], asking.accounts["Eve"], "Bob", NOTE)
    assert "<bdi>Ada</bdi> and <bdi>Bob</bdi></th>" not in queue("Eve").text


def test_both_are_undone_to_the_row(asking):
    engine, eve, ada = asking.engine, asking.accounts["Eve"], asking.ids["Ada"]

    def rows():
        with database.reading(engine) as connection:
            return connection.execute(independence.table.select()).all()

    independence.give(engine, ada, eve, "Bob", NOTE)
    given = rows()
    assert undo.undo(engine, undoable.newest(engine, eve), eve) == "independent"
    assert rows() == []
    independence.give(engine, ada, eve, "Bob", NOTE)
    given = rows()
    independence.take_back(engine, ada, eve, "Bob", "a slip")
    assert rows() == []
    undo.undo(engine, undoable.newest(engine, eve), eve)
    assert rows() == given
    independence.take_back(engine, ada, eve, "Bob", "a slip")
    line = undoable.newest(engine, eve)
    independence.give(engine, asking.ids["Bob"], asking.accounts["Rev"], "Ada", "again")
    with pytest.raises(WrongState, match="said it again"):
        undo.undo(engine, line, eve)


@pytest.mark.parametrize("name", ["Ada", "Bob", "Cyd"])
def test_it_takes_a_reviewer(asking, name):
    to = f"/moderation/results/{asking.ids['Ada']}/independence"
    assert asking.browser(name).post(to, {"other": "Bob", "do": "give", "note": NOTE}).status_code == 403
    with pytest.raises(PermissionError):
        independence.give(asking.engine, asking.ids["Ada"], asking.accounts[name], "Bob", NOTE)


def test_a_reviewer_says_nothing_about_their_own_results_from_neither_side(asking):
    rev = asking.browser("Rev")
    for about, other in (("Rev", "Ada"), ("Ada", "Rev")):
        to = f"/moderation/results/{asking.ids[about]}/independence"
        assert rev.post(to, {"other": other, "do": "give", "note": NOTE}).status_code == 403
    # nor about one that they sent under no name or another's
    document = toy((9.0, 9.1, 9.2), submitter="Cyd", tag="sent by Rev")
    insert.submit(asking.engine, text(document), account=asking.accounts["Rev"], challenges={RULES.id: RULES})
    with pytest.raises(PermissionError, match="results of your own"):
        independence.give(asking.engine, asking.ids["Ada"], asking.accounts["Rev"], "Cyd", NOTE)
    assert seen(asking) == ([], ["Bob", "Rev"], [])


@pytest.mark.parametrize(
    ("other", "note", "why"),
    [
        ("Ada", NOTE, "not independent of oneself"),
        ("Nobody", NOTE, "no published result is by 'Nobody'"),
        ("Bob", "x" * 501, "at most 500"),
    ],
)
def test_what_cannot_be_said_is_said_at_the_form(asking, other, note, why):
    to = f"/moderation/results/{asking.ids['Ada']}/independence"
    with pytest.raises(ValueError, match=why):
        independence.give(asking.engine, asking.ids["Ada"], asking.accounts["Eve"], other, note)
    answer = asking.browser("Eve").post(to, {"other": other, "do": "give", "note": note})
    assert answer.status_code in (413, 422)


def test_a_word_makes_no_agreement_and_no_copy_independent(asking):
    """Cyd's numbers are others; and who shares weights is no reproduction whatever a reviewer says."""
    independence.give(asking.engine, asking.ids["Ada"], asking.accounts["Eve"], "Cyd", NOTE)
    assert seen(asking, "Cyd") == ([], [], ["Ada"])
    metric, margin = (
        RULES.metrics["forecast.mae"],
        RULES.evidence.margins("gauges", "supervised", "all", "forecast.mae"),
    )
    draws = [
        rank.Draw(name, "", name, seed, seed, 4.0 + seed, f"weights {seed}")
        for name in ("Ada", "Bob")
        for seed in range(3)
    ]
    words = {("Ada", "Bob"), ("Bob", "Ada")}
    entries = rank.standings(draws, metric, margin, "stated", (), words)
    assert {(tuple(one.reproduced_by), tuple(one.awaiting_word)) for one in entries} == {((), ())}


def test_a_word_goes_with_the_last_result_of_either_and_comes_back_by_no_undo(asking):
    engine, eve = asking.engine, asking.accounts["Eve"]
    independence.give(engine, asking.ids["Ada"], eve, "Bob", NOTE)
    independence.take_back(engine, asking.ids["Ada"], eve, "Bob", "a slip")
    line = undoable.newest(engine, eve)
    independence.give(engine, asking.ids["Cyd"], eve, "Bob", NOTE)
    moderation.withdraw(engine, asking.ids["Bob"], asking.accounts["Bob"], "a mistake")
    assert independence.of(engine, "Cyd") == {}
    with pytest.raises((WrongState, LookupError)):
        undo.undo(engine, line, eve)


def test_where_nobody_asks_agreement_counts_at_once(made_once, asking):
    with contextlib.closing(asking.engine.raw_connection()):
        plain = Site(asking.engine, {"ids": asking.ids, "tokens": asking.tokens, "accounts": asking.accounts})
        assert seen(plain) == (["Bob", "Rev"], [], [])
        assert "Reproduced by <bdi>Bob</bdi>." in plain.browser().get(f"/results/{asking.ids['Ada']}").text


def test_the_rules_of_the_paper_ask_for_it_and_a_wrong_key_is_one_line(tmp_path):
    assert load.challenge(load.find("ie-repr")).evidence.reviewed is True
    with pytest.raises(ValueError, match=r"evidence.reviewed is 'yes please', expected true or false") as error:
        load.challenge(policies.folder(tmp_path, '\n  reviewed: "yes please"\n'))
    assert not re.search(r"\n", str(error.value))

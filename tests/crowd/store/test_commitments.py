"""Commitments and issued draws: what ranks, and each way around them that somebody may try."""

import concurrent.futures
import dataclasses
import json

import pytest

pytest.importorskip("sqlalchemy")
from ie_crowd.ranking.rank import CHOSEN
from ie_crowd.store import audit, database, records, standings
from ie_crowd.store.people import accounts
from ie_crowd.store.proofs import commitments
from ie_crowd.store.standings import Contest
from issued_draws import CONTEST, opened, rules, send, sha256
from sqlalchemy import text as sql

MAE = "forecast.mae"


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """An empty store to copy, and rules that ask for issued draws."""
    home = tmp_path_factory.mktemp("commitments")
    database.connect(home / "store.sqlite3").dispose()
    return home / "store.sqlite3", rules(home)


@pytest.fixture
def place(made_once, tmp_path):
    """A store, rules that ask for issued draws, and two accounts."""
    path, by = made_once
    (tmp_path / "store.sqlite3").write_bytes(path.read_bytes())
    engine = database.connect(tmp_path / "store.sqlite3")
    yield Place(engine, by)
    engine.dispose()


@pytest.fixture
def either(engine, made_once):
    """The same on either database."""
    return Place(engine, made_once[1])


class Place:
    def __init__(self, engine, by):
        self.engine, self.by, self.issued = engine, by, by.evidence.issued
        self.people = {
            name: accounts.by_token(engine, accounts.add(engine, name, "contributor")) for name in ("Ada", "Bob")
        }

    def commit(self, name="Ada", **how):
        return commitments.commit(self.engine, self.people[name], CONTEST, sha256(name=name, **how), self.issued)

    def send(self, document, name="Ada"):
        return send(self.engine, document, self.people[name], self.by)

    def standing(self, document):
        runs = [(run["seed"], run["label_seed"], run["status"]) for run in document["runs"]]
        return commitments.of_result(self.engine, document["id"], *records.committed(document), runs)

    def ranks(self, by=None, division="open"):
        by = by or self.by
        contest = Contest(by.id, "gauges", "supervised", "all", division)
        entries = standings.standings(self.engine, contest, MAE, by.metrics[MAE], by.evidence)
        return {(entry.submitter, result): entry for entry in entries for result in entry.results}

    def refused(self, document, why, name="Ada"):
        """The result is listed without a rank, and the page says why."""
        self.send(document, name)
        entry = self.ranks()[name, document["id"]]
        assert (entry.rank, entry.unranked) == (None, CHOSEN)
        found = self.standing(document)
        assert found.made is None
        assert why in found.why


def test_a_result_of_what_was_committed_to_with_all_its_draws_is_ranked(either):
    place = either
    made = place.commit()
    assert len(set(made.draws)) == 3
    assert min(made.draws) >= commitments.LOWEST
    document = opened(made.draws)
    place.send(document)
    entry = place.ranks()["Ada", document["id"]]
    assert (entry.rank, entry.unranked) == (1, "")
    assert place.standing(document) == (made.made, "", 1, 1, True)


def test_draws_of_ones_own_have_no_rank(place):
    place.commit()
    place.refused(opened([7, 8, 9]), "no run has the issued draw")


def test_nothing_was_committed_to(place):
    place.refused(opened([7, 8, 9]), "nothing was committed to before: ie-crowd submit DIR --commit")


@pytest.mark.parametrize("other", [{"commit": "f" * 40}, {"days": 31}])
def test_other_code_or_settings_have_no_rank(place, other):
    made = place.commit()
    place.refused(opened(made.draws, **other), "not those that were committed to")


def test_another_accounts_commitment_is_no_help(place):
    made = place.commit("Bob")
    document = opened(made.draws, name="Ada")
    assert records.committed(document)[1] == made.sha256
    place.refused(document, "is another account's")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda draws: (draws[:2], (1.0, 2.0)), "no run has the issued draw"),
        (lambda draws: (draws, (1.0, 2.0, None)), "failed; draws are complete"),
        (lambda draws: ([*draws, 5], (1.0, 2.0, 3.0, 0.1)), "a run of another draw (5)"),
    ],
)
def test_a_draw_left_out_failed_or_added_has_no_rank(place, change, why):
    draws, maes = change(place.commit().draws)
    document = opened(draws, maes)
    place.refused(document, why)
    place.send(opened(place.commit().draws, tag="whole"))  # the commitment is still there for the whole result
    assert place.standing(document).handed_in == 1


def test_a_label_draw_under_another_seed_is_another_draw(place):
    made = place.commit()
    document = opened(made.draws)
    document["runs"][0]["seed"] = 12
    from toy_challenge.documents import identified

    place.refused(identified(document), "no run has the issued draw")


def test_an_old_commitment_is_not_handed_in_twice(place):
    """Trained again with the same draws until it is better, on another machine, say."""
    made = place.commit()
    first, again = opened(made.draws), opened(made.draws, (0.1, 0.2, 0.3), tag="again", machine=1)
    place.send(first)
    place.refused(again, f"were handed in before, with result {first['id'][:12]}")
    assert place.ranks()["Ada", first["id"]].rank == 1
    assert place.ranks()["Ada", first["id"]].mean == 2.0


def test_the_same_hash_gets_the_same_draws_until_they_are_used(place):
    made = place.commit()
    again = place.commit()
    assert again == made._replace(new=False)
    place.send(opened(made.draws))
    third = place.commit()
    assert third.new
    assert not set(third.draws) & set(made.draws)
    assert (third.commitments, third.handed_in) == (2, 1)


def test_how_many_were_made_and_handed_in_is_shown_with_each_result(place):
    kept = [place.commit(days=days) for days in (30, 31, 32)]
    document = opened(kept[1].draws, days=31)
    place.send(document)
    found = place.standing(document)
    assert (found.commitments, found.handed_in) == (3, 1)


def test_there_is_a_limit_for_each_account(either):
    place = either
    for days in range(30, 34):
        place.commit(days=days)
    with pytest.raises(
        commitments.TooManyError, match="Ada has made 4 commitments in this contest in 30 days; at most 4"
    ):
        place.commit(days=34)
    assert place.commit(days=33).new is False  # what is there is told again
    assert place.commit("Bob", days=34).new
    with database.writing(place.engine) as connection:
        connection.execute(sql("UPDATE commitment SET made = '2026-01-01T00:00:00Z'"))
    assert place.commit(days=34).new


def test_two_at_once_are_one(either):
    place = either
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: place.commit(), range(4)))
    assert len({tuple(one.draws) for one in made}) == 1
    assert sum(one.new for one in made) == 1
    results = [opened(made[0].draws, (4.0 + number, 5.0, 6.0), tag=str(number)) for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(place.send, results))
    assert sum(place.standing(one).made is not None for one in results) == 1


def test_a_withdrawn_result_gives_no_commitment_back(place):
    from ie_crowd.store.people import moderation

    made = place.commit()
    bad = opened(made.draws, (9.0, 9.1, 9.2))
    place.send(bad)
    moderation.withdraw(place.engine, bad["id"], place.people["Ada"], "not good enough")
    place.refused(opened(made.draws, tag="better"), "were handed in before")


def test_a_commitment_in_one_contest_is_none_in_another(place):
    """Or the numbers of commitments would be of a contest that nobody looks at."""
    elsewhere = CONTEST.replace(" all ", " 50 ")
    made = commitments.commit(place.engine, place.people["Ada"], elsewhere, sha256(), place.issued)
    place.refused(opened(made.draws), "nothing was committed to before")


def test_what_was_there_before_and_what_does_not_ask_ranks_as_it_did(place):
    document = opened([7, 8, 9])
    place.send(document)
    later = dataclasses.replace(place.issued, since="2999-01-01T00:00:00Z")
    for issued in (None, later, dataclasses.replace(place.issued, datasets=("synthetic",))):
        by = dataclasses.replace(place.by, evidence=dataclasses.replace(place.by.evidence, issued=issued))
        assert place.ranks(by)["Ada", document["id"]].rank == 1


def test_what_the_operator_took_in_counts_by_when_it_was_made(place):
    old = opened([7, 8, 9], created="2026-02-28T00:00:00Z")
    new = opened([7, 8, 9], (4.0, 5.0, 6.0), name="Bob", created="2026-03-02T00:00:00Z")
    for document in (old, new):
        send(place.engine, document, None, place.by)
    assert place.ranks()["Ada", old["id"]].rank == 1
    assert place.ranks()["Bob", new["id"]].unranked == CHOSEN
    assert place.standing(new).why == "the operator took it in from a folder, which commits to nothing"


def test_an_old_date_in_an_upload_is_no_way_around(place):
    place.refused(opened([7, 8, 9], created="2026-01-02T00:00:00Z"), "nothing was committed to before")


def test_a_commitment_is_in_the_log_and_its_draws_are_not(place):
    made = place.commit()
    (line,) = [row for row in audit.read(place.engine) if row["action"] == "account committed"]
    assert (line["actor"], line["subject"]) == ("Ada", made.sha256)
    assert not any(str(draw) in json.dumps(line) for draw in made.draws)


def test_chosen_draws_do_not_better_an_entry_of_issued_ones(place):
    made = place.commit()
    place.send(opened(made.draws, (4.0, 5.0, 6.0)))
    place.send(opened([7, 8, 9], (0.1, 0.2, 0.3), tag="lucky"))
    entries = {entry.unranked: entry for entry in place.ranks().values()}
    assert (entries[""].mean, entries[""].n) == (5.0, 3)
    assert entries[CHOSEN].rank is None

"""Settings that are fixed for a rank: the number of threads of the real rules, a free setting of the toy ones."""

import dataclasses
import json

import pytest

pytest.importorskip("sqlalchemy")
from ie_crowd.challenge import fixed, load
from ie_crowd.challenge.fields import Reader
from ie_crowd.store import database, insert, standings, tables
from ie_crowd.store.people import accounts, moderation
from ie_crowd.store.standings import Contest
from paths import ROOT
from sqlalchemy import text as sql
from toy_challenge import policies
from toy_challenge.documents import text, toy
from toy_challenge.make import CONFIG, RULES

MAE = "forecast.mae"
READER, TYPES = Reader("rules.yaml"), {"threads": "integer", "device": "string"}
ASKED = {"config": {"threads": 1}, "where": {"device": "cpu"}, "since": "2026-03-01T00:00:00Z"}


@pytest.fixture
def place(tmp_path):
    engine = database.connect(tmp_path / "store.sqlite3")
    yield engine
    engine.dispose()


def policy(**changes):
    """One season is as good as another to the closed division; a rank asks for spring."""
    asked = {"config": {"season": "spring"}, "where": {"detrend": True}, "since": "2026-03-01T00:00:00Z", **changes}
    return dataclasses.replace(RULES.evidence, fixed=fixed.Fixed(**asked))


def send(engine, name, season="spring", account=None, **more):
    config = {**CONFIG, "season": season, "detrend": more.pop("detrend", True)}
    document = toy(submitter=name, config=config, tag=season, **more)
    outcome = insert.submit(engine, text(document), account=account, publish=True, challenges={RULES.id: RULES})
    assert outcome.what == "published", outcome
    return outcome.id


def ranked(engine, by):
    contest = Contest(RULES.id, "gauges", "supervised", "all", "closed")
    entries = standings.standings(engine, contest, MAE, RULES.metrics[MAE], by)
    return {entry.submitter: entry.unranked for entry in entries}


def uploader(engine, name="Ada"):
    return accounts.by_token(engine, accounts.add(engine, name))


def test_another_value_has_no_rank_and_says_why(engine):
    send(engine, "Ada", account=uploader(engine), maes=(4.0, 5.0, 6.0))
    send(engine, "Bob", "autumn", account=uploader(engine, "Bob"), maes=(1.0, 2.0, 3.0))
    assert ranked(engine, policy()) == {"Ada": "", "Bob": "season is autumn, asked: spring with detrend true"}
    assert ranked(engine, policy(where={})) == {"Ada": "", "Bob": "season is autumn, asked: spring"}
    assert ranked(engine, RULES.evidence) == {"Ada": "", "Bob": ""}


def test_a_better_one_of_another_value_does_not_better_the_rank(place):
    ada = uploader(place)
    send(place, "Ada", account=ada, maes=(4.0, 5.0, 6.0))
    send(place, "Ada", "autumn", account=ada, maes=(1.0, 2.0, 3.0))
    contest = Contest(RULES.id, "gauges", "supervised", "all", "closed")
    first, second = standings.standings(place, contest, MAE, RULES.metrics[MAE], policy())
    assert (first.rank, first.mean, second.rank, second.mean) == (1, 5.0, None, 2.0)


def test_where_the_condition_does_not_hold_it_is_free(place):
    send(place, "Bob", "autumn", account=uploader(place, "Bob"), detrend=False)
    assert ranked(place, policy()) == {"Bob": ""}


def test_what_is_from_before_keeps_its_rank(place):
    send(place, "Ada", "autumn", created="2026-02-28T00:00:00Z", maes=(4.0, 5.0, 6.0))  # the operator took it in
    send(place, "Bob", "autumn", created="2026-03-02T00:00:00Z", maes=(4.1, 5.1, 6.1))
    send(place, "Cyd", "autumn", account=uploader(place, "Cyd"), created="2026-02-28T00:00:00Z", maes=(4.2, 5.2, 6.2))
    found = ranked(place, policy())
    assert (found["Ada"], bool(found["Bob"]), bool(found["Cyd"])) == ("", True, True)
    assert set(ranked(place, policy(since="2999-01-01T00:00:00Z")).values()) == {""}


def test_one_that_came_before_configurations_were_kept_is_read_itself(place):
    send(place, "Bob", "autumn", account=uploader(place, "Bob"))
    with database.writing(place) as connection:
        connection.execute(sql("UPDATE result SET config_pk = NULL"))
    assert ranked(place, policy())["Bob"].startswith("season is autumn")


def test_a_withdrawn_result_leaves_its_configuration_to_others_only(place):
    ada = uploader(place)
    one, two = send(place, "Ada", account=ada), send(place, "Ada", account=ada, maes=(1.0, 2.0, 3.0))

    def kept():
        with database.reading(place) as connection:
            return len(connection.execute(tables.config.select()).all())

    assert kept() == 1
    moderation.withdraw(place, one, ada, "a mistake")
    assert kept() == 1
    moderation.withdraw(place, two, ada, "a mistake")
    assert kept() == 0


def test_to_leave_a_key_out_is_no_way_around():
    asked = fixed.parse(ASKED, READER, TYPES)
    assert asked.why({"threads": 1, "device": "cpu"}) == ""
    assert asked.why({"threads": 7, "device": "cuda"}) == ""
    assert asked.why({"threads": 2, "device": "cpu"}) == "threads is 2, asked: 1 with device cpu"
    assert asked.why({"threads": 2}) == "threads is 2, asked: 1 with device cpu"
    assert asked.why({"device": "cpu"}) == "threads is not said, asked: 1 with device cpu"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"config": {"thread": 1}}, "evidence.fixed.config is 'thread', expected a configuration key"),
        ({"config": {"threads": "one"}}, "evidence.fixed.config.threads is 'one', expected integer"),
        ({"config": {}}, "at least one configuration key"),
        ({"where": ["cpu"]}, "evidence.fixed.where is ['cpu'], expected a mapping"),
        ({"since": "tomorrow"}, "a moment in UTC"),
        ({"threads": 1}, "the keys: config since where"),
    ],
)
def test_a_wrong_policy_is_one_line(change, why):
    with pytest.raises(ValueError, match=r"rules.yaml: evidence.fixed") as error:
        fixed.parse({**ASKED, **change}, READER, TYPES)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_the_references_have_one_thread_and_the_rules_ask_for_one():
    asked = load.challenge(load.find("ie-repr")).evidence.fixed
    assert (dict(asked.config), dict(asked.where)) == ({"threads": 1}, {"device": "cpu"})
    paths = sorted((ROOT / "cm-repo" / "experiment").glob("*/*/result.json"))
    configs = [json.loads(path.read_text(encoding="utf-8"))["config"] for path in paths]
    assert configs
    assert {asked.why(config) for config in configs} == {""}
    assert asked.why({**configs[0], "threads": 2}) == "threads is 2, asked: 1 with device cpu"


KEY = """
  fixed:
    since: "2026-03-01T00:00:00Z"
    where: {detrend: true}
    config: {season: spring}
"""
WHY = "season is autumn, asked: spring with detrend true"


def test_submit_says_it_before():
    from ie_crowd.submit.publication import Publication, describe

    document = toy(config={**CONFIG, "season": "autumn", "detrend": True})

    def said(by):
        return " ".join(describe(Publication(None, document, by, [], [])).split())

    assert f"without a rank {WHY}, from 2026-03-01 on" in said(dataclasses.replace(RULES, evidence=policy()))
    assert "without a rank" not in said(RULES)


def test_the_site_says_why(place, tmp_path):
    pytest.importorskip("starlette")
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings
    from starlette.testclient import TestClient

    found = send(place, "Bob", "autumn", account=uploader(place, "Bob"))
    app = create_app(Settings(challenges=(policies.folder(tmp_path, KEY),)), place)
    with TestClient(app, base_url="http://localhost") as site:
        assert site.get(f"/api/v1/results/{found}").json()["unranked"] == WHY
        assert f"not ranked: {WHY}" in site.get(f"/results/{found}").text
        ranking = site.get("/ranking").text
        assert f"no rank: {WHY}" in ranking
        assert "with other settings than <code>season spring, with detrend true</code>" in ranking
        assert "a rank of the closed division asks for <code>season spring" in site.get("/challenge").text

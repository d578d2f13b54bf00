"""What a rank asks of how a result is measured in the open division, and of the rules that it names."""

import dataclasses
import shutil

import pytest

pytest.importorskip("sqlalchemy")
from ie_crowd.challenge import load, measured
from ie_crowd.challenge.fields import Reader
from ie_crowd.store import insert, standings
from ie_crowd.store.people import accounts
from ie_crowd.store.standings import Contest
from toy_challenge.documents import text, toy
from toy_challenge.make import CONFIG, RULES

MAE, SINCE = "forecast.mae", "2026-03-01T00:00:00Z"
LINES = f"""
  measured: {{settings: [window_days], since: "{SINCE}"}}
  made_under: {{least: 3, since: "{SINCE}"}}
"""


def toys(home, lines=LINES):
    """The toy's rules, whose closed division pins one window, and which ask that of the open one, too."""
    made = home / "asking"
    shutil.copytree(RULES.folder, made, ignore=shutil.ignore_patterns("__pycache__"))
    path = made / "rules.yaml"
    path.write_text(path.read_text().replace("window_days: [7, 14]", "window_days: 14") + lines)
    return load.challenge(made)


def send(engine, rules, name, division="open", version=3, **settings):
    account = accounts.by_token(engine, accounts.add(engine, name))
    config = {**CONFIG, **settings}
    departures = [key for key in settings if division == "open"]
    told = {"id": RULES.id, "rules_version": version, "division": division, "departures": departures}
    maes = tuple(4 + number + ord(name[0]) / 100 for number in range(3))
    document = toy(maes, submitter=name, config=config, challenge=told)
    outcome = insert.submit(engine, text(document), account=account, publish=True, challenges={rules.id: rules})
    assert outcome.what == "published", outcome


def unranked(engine, rules, division="open"):
    contest = Contest(RULES.id, "gauges", "supervised", "all", division)
    entries = standings.standings(engine, contest, MAE, rules.metrics[MAE], rules.evidence)
    return {entry.submitter: entry.unranked for entry in entries}


def test_a_softer_measure_in_the_open_division_has_no_rank(engine, tmp_path):
    rules = toys(tmp_path)
    send(engine, rules, "Ada", damping=0.9)  # the open division is open
    send(engine, rules, "Bob", window_days=1)
    assert unranked(engine, rules) == {"Ada": "", "Bob": "window_days is 1, asked: 14"}
    free = dataclasses.replace(rules, evidence=dataclasses.replace(rules.evidence, measured=None))
    assert unranked(engine, free) == {"Ada": "", "Bob": ""}


def test_older_rules_than_are_asked_for_are_no_way_around_newer_ones(engine, tmp_path):
    rules = toys(tmp_path)
    send(engine, rules, "Ada", "closed")
    send(engine, rules, "Eve", "closed", version=2)
    assert unranked(engine, rules, "closed") == {"Ada": "", "Eve": "made under rules 2, asked: 3 or later"}
    free = dataclasses.replace(rules, evidence=dataclasses.replace(rules.evidence, made_under=None))
    assert unranked(engine, free, "closed") == {"Ada": "", "Eve": ""}


def test_what_came_before_keeps_its_rank(engine, tmp_path):
    rules = toys(tmp_path, LINES.replace("2026-03", "2999-03"))
    send(engine, rules, "Bob", window_days=1)
    send(engine, rules, "Eve", "closed", version=2)
    assert (unranked(engine, rules), unranked(engine, rules, "closed")) == ({"Bob": ""}, {"Eve": ""})


def test_submit_and_the_pages_say_it(engine, tmp_path):
    pytest.importorskip("starlette")
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings
    from ie_crowd.submit.publication import Publication, describe
    from starlette.testclient import TestClient

    rules = toys(tmp_path)
    told = {"id": RULES.id, "rules_version": 2, "division": "open", "departures": ["window_days"]}
    document = toy(config={**CONFIG, "window_days": 1}, challenge=told)
    said = " ".join(describe(Publication(None, document, rules, [], [])).split())
    assert "without a rank window_days is 1, asked: 14, from 2026-03-01 on" in said
    assert "without a rank made under rules 2, asked: 3 or later, from 2026-03-01 on" in said
    send(engine, rules, "Bob", window_days=1)
    with TestClient(create_app(Settings(challenges=(rules.folder,)), engine), base_url="http://localhost") as site:
        ranking, page = site.get("/ranking").text, site.get("/challenge").text
    assert "no rank: window_days is 1, asked: 14" in ranking
    assert "were made under rules before 3" in ranking
    assert "measured as the closed division pins it: <code>window_days</code>" in page
    assert "a rank asks for rules 3 or later" in page


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"settings": ["window"], "since": SINCE}, "evidence.measured.settings is 'window'"),
        ({"settings": [], "since": SINCE}, "at least one configuration key"),
        ({"settings": ["window_days"], "since": "soon"}, "a moment in UTC"),
        ({"settings": ["window_days"]}, "the keys: settings since"),
    ],
)
def test_a_wrong_policy_is_one_line(raw, why):
    with pytest.raises(ValueError, match=r"rules.yaml: evidence.measured") as error:
        measured.parse(raw, Reader("rules.yaml"), RULES.config)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("least", [0, 4, True, "3"])
def test_rules_that_there_are_not_are_not_asked_for(least):
    with pytest.raises(ValueError, match=r"evidence.made_under.least is .* from 1 to 3"):
        measured.parse_made({"least": least, "since": SINCE}, Reader("rules.yaml"), 3)


def test_a_setting_that_the_closed_division_leaves_free_measures_nothing_fixed(tmp_path):
    with pytest.raises(ValueError, match="'season', expected settings of which the closed division pins one value"):
        toys(tmp_path, LINES.replace("window_days]", "season]"))


def test_the_rules_ask_for_the_measure_of_each_task():
    rules = load.challenge(load.find("ie-repr"))
    asked = rules.evidence.measured
    assert asked.of["mnist", "semi-supervised"]["probe_epochs"] == 10
    assert asked.of["svhn", "supervised"]["likelihood_images"] == 50
    assert asked.of["strokes", "supervised"]["judge_epochs"] == 12
    assert set(asked.of) == {(task.dataset, task.supervision) for task in rules.tasks}
    assert rules.evidence.made_under.least == rules.rules_version
    fixed = rules.evidence.fixes("open", "mnist", "semi-supervised")
    assert fixed.why({**fixed.config, "epochs": 99}) == ""
    assert fixed.why({**fixed.config, "probe_epochs": 1}) == "probe_epochs is 1, asked: 10"

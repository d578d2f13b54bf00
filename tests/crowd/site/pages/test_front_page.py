"""The first page says whether the paper holds, by whose numbers, and how to see for oneself."""

import html
import re
import threading
import time

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.challenge.claims import Claim
from ie_crowd.check.finding import Item
from ie_crowd.site.content import load as load_content
from ie_crowd.site.rendering import holds
from ie_crowd.store import best, insert
from ie_crowd.store.filters import Filter
from sites import client
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES

CLAIM = Claim("c", "It is small.", ("a/b",), None, "m", "at-most", 1.0, 0.0, None, "", "abstract")


def finding(*found):
    """The finding over (state, runs) of a task each."""
    said = "m 1 ± 2 %, asked: at most 1; n=9"
    return holds._finding(CLAIM, [({"completed": runs}, Item("claim.c", state, "", said)) for state, runs in found])


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([], holds.OPEN),
        ([("pass", 1)], holds.OPEN),  # a single run supports nothing
        ([("fail", 1), ("pass", 3)], holds.HOLDS),
        ([("pass", 5), ("pass", 2)], holds.HOLDS),
        ([("fail", 2)], holds.FAILS),
        ([("pass", 2), ("fail", 2)], holds.PARTLY),
        ([("not evidenced", 9)], holds.OPEN),
        ([("not evidenced", 9), ("pass", 2)], holds.HOLDS),
    ],
)
def test_how_a_claim_stands(found, state):
    one = finding(*found)
    assert one.state == state
    assert one.sign == holds.SIGNS[state]
    if found:
        assert (one.measured, one.asked) == ("m 1 ± 2 %", "at most 1")
        assert one.single == sum(runs == 1 for _, runs in found)
    several = [runs for _, runs in found if runs > 1]
    assert one.row is None if not found else one.row["completed"] == max(several or [1])


def test_what_is_said_of_one_run_is_shown_as_its_number():
    said = "one run, inside of what is asked: m 1 %, asked: at most 1"
    one = holds._finding(CLAIM, [({"completed": 1}, Item("claim.c", "not evidenced", "", said))])
    assert (one.state, one.measured, one.asked) == (holds.OPEN, "m 1 %", "at most 1")


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([], "Its rules name no claim that a number can decide."),
        ([[("pass", 2)]], "Of the paper's one claim, 1 holds."),
        (
            [[("pass", 2)]] * 2 + [[("fail", 2)]],
            "3 claims that a number can decide, 2 hold and 1 does not.",
        ),
        ([[("pass", 2)], [("pass", 2), ("fail", 2)], []], "…, 1 holds, 1 holds in part and 1 is open."),
        ([[], []], "…, none is decided here yet: there are no results of its method."),
        (
            [[("not evidenced", 5)]],
            "is decided here yet: its results lie too close to what is asked, or spread too far.",
        ),
        ([[("pass", 1)], []], "…, none is decided here yet: a single run supports nothing."),
    ],
)
def test_the_answer_in_a_sentence(states, says):
    assert holds.verdict([finding(*one) for one in states]).endswith(says.removeprefix("…"))


def test_the_best_and_the_most_evidenced(engine):
    by = {RULES.id: RULES}
    made = {
        "one run": toy((0.5,), submitter="Ada"),
        "best": toy((1.0, 1.2), submitter="Bob"),
        "most": toy((2.0, 2.2, 2.4, 2.6), submitter="Cyd"),
        "failed": toy((0.1, None, None, None, None), submitter="Dan"),
    }
    for document in made.values():
        insert.submit(engine, text(document), publish=True, challenges=by)
    rows = best.most_evidenced(engine, RULES.id)
    assert [row["id"] for row in rows] == [made["most"]["id"], made["best"]["id"]]
    asked = Filter(RULES.id, "gauges", "supervised", "all")
    assert best.best(engine, asked, "forecast.mae", "lower")["id"] == made["best"]["id"]
    assert best.best(engine, asked, "forecast.mae", "higher")["id"] == made["most"]["id"]
    assert best.best(engine, asked, "no.such", "lower") is None
    assert best.most_evidenced(engine, "another") == []


def test_the_page_of_this_paper(references):
    content = load_content()
    found = holds.findings(references, content.challenge, content.claims)
    assert len(found) >= 4
    with client(references) as other:  # the toy's own rules name no claim
        assert other.get("/").status_code == 200
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings
    from starlette.testclient import TestClient

    with TestClient(create_app(Settings(), references), base_url="http://localhost") as site:
        page = site.get("/").text
        text = html.unescape(" ".join(re.sub(r"<[^>]*>", " ", page).split()))
        assert text.index("Does the paper hold?") < 700  # before anything else
        assert holds.verdict(found) in text
        for one in found:
            assert one.claim.text in text
            assert one.measured.split()[-2] in text if one.row else True
            if one.row:
                assert f'href="/results/{one.row["id"]}"' in page
        assert "The best of each task" in text
        assert "Ladder network, Rasmus et al. 2015" in text  # the best that others published with 1,000 labels
        command = re.search(r"<pre[^>]*><code>(.*?)</code>", page, re.DOTALL)[1]
        assert "pip install ." in command
        assert 'cm run script "reproduce ie-repr mnist"' in html.unescape(re.sub("<[^>]*>", "", command))
        for placeholder in ("&lt;", "CHECKOUT", "RUN ", "URL"):
            assert placeholder not in command


def test_a_result_from_before_recipes_had_names_decides_nothing_and_one_that_names_its_own_goes_first(references):
    content = load_content()
    rules = content.challenge
    assert rules.unnamed({"method": "equivae"})
    assert not rules.unnamed({"method": "equivae", "recipe": "paper"})
    judged = {}

    def judge_and_keep(result_id, judge):
        judged[result_id] = judge()
        return judged[result_id]

    holds.findings(references, rules, content.claims, judge_and_keep)
    of_old = {key: items for key, items in judged.items() if any(item.detail.endswith(holds.UNNAMED) for item in items)}
    assert of_old
    assert all(item.state in ("not evidenced", "not applicable") for items in of_old.values() for item in items)

    def only_old(result_id, judge):
        return of_old.get(result_id) or [item._replace(state="not applicable") for item in judged[result_id]]

    older = holds.findings(references, rules, content.claims, only_old)
    assert {one.state for one in older} == {holds.OPEN}
    assert any(one.row for one in older)
    assert all(one.note == (holds.UNNAMED if one.row else "") for one in older)
    assert holds.verdict(older).endswith("none is decided here yet: what is here was made before recipes had names.")

    last = list(of_old)[-1]  # the one of the fewest runs, which its task alone would not show
    named = [item._replace(state="pass", detail=item.detail.partition("; ")[0]) for item in of_old[last]]
    found = holds.findings(
        references, rules, content.claims, lambda key, judge: named if key == last else only_old(key, judge)
    )
    assert any(one.row and one.row["id"] == last and not one.note for one in found)


def test_a_slow_value_is_shown_for_a_while_after_results_changed(references, monkeypatch):
    from ie_crowd.site import cache

    now, revision, made = [100.0], [1], []
    monkeypatch.setattr(cache.time, "monotonic", lambda: now[0])
    kept = cache.Cached(references)

    def make():
        now[0] += 0.5
        made.append(revision[0])
        return revision[0]

    def get(**more):
        return kept.get("slow", make, revision[0], **more)

    assert get(patient=True) == 1
    revision[0] = 2
    assert get(patient=True) == 1
    now[0] += cache.PATIENCE * 0.5 + 1
    assert get(patient=True) == 1  # nobody waits for the new one
    until = time.time() + 10
    while get(patient=True) != 2:
        assert time.time() < until
        time.sleep(0.01)
    assert made == [1, 2]
    revision[0] = 3
    assert get() == 3  # who is not patient gets what is there


def test_what_is_made_in_no_time_is_never_old(references):
    from ie_crowd.site import cache

    kept = cache.Cached(references)
    assert [kept.get("quick", lambda: number, number, patient=True) for number in (1, 2, 3)] == [1, 2, 3]  # noqa: B023 at once


def test_slow_values_are_made_anew_one_at_a_time_and_with_rests(references, monkeypatch):
    from ie_crowd.site import cache

    now, revision, made, goes_on = [100.0], [1], [], threading.Event()
    monkeypatch.setattr(cache.time, "monotonic", lambda: now[0])
    kept = cache.Cached(references)

    def get(name):
        def make():
            if revision[0] > 1:
                goes_on.wait(10)
            now[0] += 0.5
            made.append((name, revision[0]))
            return revision[0]

        return kept.get(name, make, revision[0], patient=True)

    assert [get("a"), get("b")] == [1, 1]
    revision[0], now[0] = 2, now[0] + 1000
    assert [get("a"), get("b")] == [1, 1]
    goes_on.set()
    until = time.time() + 10
    while len(made) < 3 or kept._renewing.locked():
        assert time.time() < until
        time.sleep(0.01)
    assert [get("a"), get("b")] == [2, 1]
    time.sleep(0.05)
    assert made[2:] == [("a", 2)]  # and rests
    now[0] += cache.REST * 0.5 + 0.1
    while get("b") != 2:
        assert time.time() < until
        time.sleep(0.01)
    assert made[2:] == [("a", 2), ("b", 2)]

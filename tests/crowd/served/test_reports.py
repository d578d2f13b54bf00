"""Inappropriate content is reported by anybody, waits in a queue with a way to the thing, and is settled there."""

import html
import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.store import audit
from ie_crowd.store.people import accounts, reports


def test_somebody_without_an_account_reports_and_a_reviewer_settles(copied_site):
    about = f"comment:{copied_site.found['comment']}"
    visitor, rev = copied_site.browser(), copied_site.browser("Rev")
    page = visitor.get(f"/report?about={about}").text
    assert re.search(rf'name="about" value="{about}"', page)
    answer = visitor.post("/report", {"about": about, "reason": "<b>rude</b> words"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    queue = rev.get("/moderation?show=reports").text
    assert "&lt;b&gt;rude&lt;/b&gt; words" in queue
    assert "somebody without an account" in queue
    to = html.unescape(re.search(r'href="(/report/comment/\d+)"', queue)[1])
    place = rev.get(to).headers["location"]
    assert place == f"/results/{copied_site.ids['published']}/comments#comment-{copied_site.found['comment']}"
    number = max(map(int, re.findall(r'action="/moderation/reports/(\d+)"', queue)))
    assert rev.post(f"/moderation/reports/{number}", {"decision": ""}).status_code == 422
    assert rev.post(f"/moderation/reports/{number}", {"decision": "hidden"}).status_code == 303
    assert "rude words" not in re.sub("<[^>]*>", "", html.unescape(rev.get("/moderation?show=reports").text))
    assert rev.post(f"/moderation/reports/{number}", {"decision": "again"}).status_code == 404
    lines = audit.read(copied_site.engine, subject=about)
    assert [(line["actor"], line["action"]) for line in lines] == [("Rev", "report settled"), ("anybody", "report")]


def test_every_page_leads_to_the_form_and_what_people_wrote_has_its_own(copied_site):
    rev = copied_site.browser("Rev")
    rev.post(f"/moderation/comments/{copied_site.found['comment']}", {"do": "show"})
    visitor, shown = copied_site.browser(), copied_site.ids["published"]
    for path in ("/", "/results", "/ranking", f"/results/{shown}"):
        assert 'href="/report"' in visitor.get(path).text
    page = html.unescape(visitor.get(f"/results/{shown}").text)
    assert f"/report?about=result%3A{shown}" in page
    assert f"/report?about=comment%3A{copied_site.found['comment']}" in page


@pytest.mark.parametrize("about", ["result:short", "account:Ada", "comment:1;drop", "paper ", "//evil", "x" * 200])
def test_there_are_things_that_cannot_be_reported(copied_site, about):
    visitor = copied_site.browser()
    assert visitor.get("/report", params={"about": about}).status_code == 404
    assert visitor.post("/report", {"about": about, "reason": "why"}).status_code in (400, 422)


def test_a_flood_is_stopped_and_the_same_again_is_one(copied_site, monkeypatch):
    from ie_crowd.site.pages import comments

    monkeypatch.setattr(comments, "REPORTS", 3)
    visitor = copied_site.browser()
    statuses = [visitor.post("/report", {"about": "paper", "reason": f"{n}"}).status_code for n in range(5)]
    assert statuses == [303, 303, 303, 429, 429]
    engine = copied_site.engine
    assert reports.report(engine, "paper", "0") == reports.report(engine, "paper", "0")
    monkeypatch.setattr(reports, "MOST_OPEN", 4)
    with pytest.raises(ValueError, match="wait already"):
        reports.report(engine, "paper", "one more")


def test_only_reviewers_read_and_settle(engine):
    ada = accounts.by_token(engine, accounts.add(engine, "Ada"))
    number = reports.report(engine, "paper", "why", ada)
    with pytest.raises(PermissionError):
        reports.waiting(engine, ada)
    with pytest.raises(PermissionError):
        reports.settle(engine, number, ada, "done")
    rev = accounts.by_token(engine, accounts.add(engine, "Rev", "reviewer"))
    assert [(row["by"], row["about"]) for row in reports.waiting(engine, rev).rows] == [("Ada", "paper")]
    revision = audit.results_revision(engine)
    reports.settle(engine, number, rev, "done")
    assert reports.waiting(engine, rev).total == 0
    assert audit.results_revision(engine) == revision, "no result changed: what is cached stays good"

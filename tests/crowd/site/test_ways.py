"""From each page to what a person may do there: nobody types an address, and everything is acted on where it stands."""

import re
from html import unescape

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.site.rendering import context
from ie_crowd.store.people import comments, moderation

LINK = re.compile(r'href="(/[^"#]*)')


def reached(browser, most=400):
    """Every page that links lead to from the first one."""
    seen, waiting = {}, ["/"]
    while waiting and len(seen) < most:
        path = waiting.pop(0)
        if path in seen:
            continue
        answer = browser.get(path)
        seen[path] = answer.status_code
        if "html" in answer.headers.get("content-type", ""):
            waiting += [unescape(one) for one in LINK.findall(answer.text) if not one.startswith("/assets/")]
    return seen


def text_of(page):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def test_every_template_that_is_included_is_there_and_none_is_optional():
    folder = context.TEMPLATES
    for path in folder.glob("*.j2"):
        text = path.read_text(encoding="utf-8")
        assert "ignore missing" not in text, path.name
        for name in re.findall(r'(?:include|extends|import|from) "([^"]+)"', text):
            assert (folder / name).is_file(), f"{path.name}: {name}"


def test_links_lead_a_reviewer_to_sign_and_an_operator_to_withdraw(copied_site):
    shown = copied_site.ids["published"]
    rev = reached(copied_site.browser("Rev"))
    assert {f"/moderation/results/{shown}", "/moderation/refused", "/moderation?show=objections"} <= set(rev)
    assert any(path.startswith(f"/moderation/results/{shown}?item=") for path in rev)
    assert f"/results/{shown}/withdraw" not in rev
    assert {path: status for path, status in rev.items() if status >= 400} == {}
    boss = reached(copied_site.browser("Boss"))
    assert {f"/results/{shown}/withdraw", f"/operator/log?subject={shown}", "/operator/log?actor=Ada"} <= set(boss)
    assert {path: status for path, status in boss.items() if status >= 400} == {}
    nobody = reached(copied_site.browser())
    assert [path for path in nobody if re.match("/(moderation|operator)|.*withdraw", path)] == []


def test_the_page_of_a_result_says_what_one_may_do_with_it(copied_site):
    path = f"/results/{copied_site.ids['published']}"
    says = {
        name: "What you may do with this result" in copied_site.browser(name).get(path).text
        for name in (None, "Ada", "Bob", "Rev", "Boss")
    }
    assert says == {None: False, "Ada": True, "Bob": False, "Rev": True, "Boss": True}
    assert "Withdraw for good" in copied_site.browser("Ada").get(path).text  # it is Ada's
    assert "Review:" not in copied_site.browser("Ada").get(path).text


@pytest.mark.parametrize("where", ["/results/{}", "/results/{}/comments"])
def test_a_reviewer_hides_a_comment_where_it_stands_and_shows_it_again(copied_site, where):
    about = copied_site.ids["published"]
    path, number = where.format(about), copied_site.found["comment"]
    rev, visitor = copied_site.browser("Rev"), copied_site.browser()
    assert "It runs on my laptop." not in visitor.get(path).text  # it waits
    for do, button, seen in (("show", "Let through", True), ("hide", "Hide", False), ("show", "Show again", True)):
        assert button in text_of(rev.get(path))
        answer = rev.post(f"/moderation/comments/{number}", {"do": do, "back": path})
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert ("It runs on my laptop." in visitor.get(path).text) is seen
    assert "Hide" not in text_of(copied_site.browser("Bob").get(path))
    away = rev.post(f"/moderation/comments/{number}", {"do": "hide", "back": "//evil.example/"})
    assert away.headers["location"].startswith("/moderation?")


def test_hidden_comments_are_for_reviewers_only(copied_site):
    about, rev = copied_site.ids["published"], copied_site.accounts["Rev"]
    comments.judge_comment(copied_site.engine, copied_site.found["comment"], rev, visible=False)
    for name, seen in ((None, False), ("Bob", False), ("Ada", True), ("Rev", True)):
        assert ("It runs on my laptop." in copied_site.browser(name).get(f"/results/{about}").text) is seen


def test_what_a_reviewer_said_is_public(copied_site):
    about, note = copied_site.ids["quarantined"], "the copy is <b>of the same</b> machine"
    moderation.publish(copied_site.engine, about, copied_site.accounts["Rev"], note)
    page = copied_site.browser().get(f"/results/{about}")
    assert "Published by Rev on" in text_of(page)
    assert "who said: the copy is <b>of the same</b> machine" in text_of(page)
    assert "<b>of the same" not in page.text
    assert "who said" not in copied_site.browser().get(f"/results/{copied_site.ids['bobs']}").text


def test_the_log_by_account_thing_and_time(copied_site):
    boss = copied_site.browser("Boss")

    def lines(query):
        page = boss.get(f"/operator/log?{query}")
        assert page.status_code == 200
        return re.findall(r'data-label="Who"><a [^>]*><bdi>([^<]*)', page.text)

    assert set(lines("actor=Ada")) == {"Ada"}
    assert len(lines("actor=Ada")) >= 4
    assert set(lines(f"actor=Ada&subject={copied_site.ids['bobs']}")) == {"Ada"}
    assert lines("actor=Ada&subject=Bob") == []
    assert lines("until=2026-01-01") == []
    assert lines("until=2999-01-01") == lines("")
    assert boss.get("/operator/log?until=soon").status_code == 400

"""What people write and decide on the site, on both databases: flows, and whatever somebody types."""

import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.site.rendering.visible_text import plain
from ie_crowd.store import audit, query, rejected_uploads
from ie_crowd.store.people import accounts, comments, moderation, review_queue
from site_people import Site, fill

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</textarea><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "<!--<script>",
    "\u202egnp.exe",
    "&lt;b&gt;",
)
TAG = re.compile(r"<(script|img src=x|svg/onload)|onerror=alert\(1\)>")


def harmless(text):
    assert not TAG.search(text)
    assert "\u202e" not in re.sub(r"<textarea[^>]*>[^<]*</textarea>", "", text)  # there it is one's own


def test_comments_are_shown_as_text(people_site):
    ada, rev, about = people_site.browser("Ada"), people_site.browser("Rev"), people_site.ids["bobs"]
    for number, attack in enumerate(ATTACKS):
        preview = ada.post("/comments", {"text": f"{number} {attack}", "do": "preview"})
        assert preview.status_code == 200
        harmless(preview.text)
        assert rev.post(f"/results/{about}/comments", {"text": f"{number} {attack}", "do": "send"}).status_code == 303
    for path in (f"/results/{about}/comments", f"/results/{about}", "/comments"):
        harmless(people_site.browser().get(path).text)
    assert rev.post("/comments", {"text": "zero\u200bwidth", "do": "send"}).status_code == 303
    page = people_site.browser().get("/comments").text
    assert "zero⟨U+200B⟩width" in page
    assert "\u200b" not in page
    assert "{{ 7 * 7 }}" in people_site.browser().get("/results/" + about).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in people_site.browser().get(f"/results/{about}/comments").text


def test_reasons_notes_and_grounds_are_shown_as_text(people_site):
    ada, rev, boss = (people_site.browser(name) for name in ("Ada", "Rev", "Boss"))
    ids, store = people_site.ids, people_site.engine
    for attack in ATTACKS[:4]:
        assert ada.post(f"/results/{ids['bobs']}/objections", {"reason": attack}).status_code == 303
    review = f"/moderation/results/{ids['published']}"
    for attack in ATTACKS[:4]:
        fields = {"item": "acm-badges/archive", "state": "fail", "sign": attack}
        assert rev.post(f"{review}/sign", fields).status_code == 303
        for path in (review, f"/results/{ids['published']}"):
            page = rev.get(path)
            assert page.status_code == 200
            harmless(page.text)
    for one, attack in zip(moderation.objections(store, ids["bobs"])[1:], ATTACKS, strict=False):
        assert rev.post(f"/moderation/objections/{one['pk']}", {"decision": attack, "do": "dismiss"}).status_code == 303
    harmless(people_site.browser().get(f"/results/{ids['bobs']}/comments").text)
    assert rev.post(f"{review}/quarantine", {"why": ATTACKS[1]}).status_code == 303
    assert boss.post(f"/results/{ids['quarantined']}/withdraw", {"why": ATTACKS[0]}).status_code == 303
    rejected_uploads.record(store, "Ada", 422, ATTACKS[1])
    for browser, path in (
        (ada, "/account"),
        (boss, "/operator/log"),
        (boss, "/moderation/refused"),
        (boss, "/moderation?show=quarantined"),
        (boss, "/moderation?show=objections"),
        (boss, f"/results/{ids['quarantined']}"),
    ):
        page = browser.get(path)
        assert page.status_code in (200, 410)
        harmless(page.text)


def test_what_is_typed_wrong_is_kept_and_said_at_the_field(people_site):
    ada, rev, boss = (people_site.browser(name) for name in ("Ada", "Rev", "Boss"))
    ids = people_site.ids
    asked = [
        (ada, "/comments", {"text": "x" * 4001, "do": "send"}, "text", "at most 4,000"),
        (ada, "/comments", {"text": "  ", "do": "preview"}, "text", "is empty"),
        (ada, f"/results/{ids['bobs']}/objections", {"reason": "y" * 501}, "reason", "at most 500"),
        (ada, f"/results/{ids['published']}/withdraw", {"why": " "}, "why", "give a reason"),
        (rev, f"/moderation/results/{ids['quarantined']}/publish", {"note": ""}, "note", "give a note"),
        (rev, f"/moderation/results/{ids['published']}/quarantine", {"why": "z" * 501}, "why", "at most 500"),
        (rev, f"/moderation/results/{ids['valid']}/refuse", {"refuse": ""}, "refusal", "give a reason"),
        (rev, f"/moderation/results/{ids['valid']}/sign", {"item": "x/y", "state": "pass"}, "item", "choose an item"),
        (
            rev,
            f"/moderation/results/{ids['valid']}/sign",
            {"item": "acm-badges/archive", "state": "perhaps", "sign": "what I saw"},
            "state",
            "choose what you found",
        ),
        (
            rev,
            f"/moderation/objections/{people_site.found['objection']}",
            {"decision": "", "do": "uphold"},
            f"decision-{people_site.found['objection']}",
            "give the grounds",
        ),
        (boss, "/operator/accounts", {"name": "Аda", "role": "reviewer"}, "name", "mixes scripts"),
        (boss, "/operator/accounts", {"name": "ADA", "role": "reviewer"}, "name", "looks like"),
        (boss, "/operator/accounts", {"name": "Operator", "role": "reviewer"}, "name", "is taken"),
    ]
    for browser, path, fields, field, says in asked:
        before = audit.revision(people_site.engine)
        page = browser.post(path, fields)
        assert page.status_code == 422, (path, page.text)
        error = re.search(rf'<span class="field-error" id="{field}-error">(.*?)</span>\n', page.text)
        assert error, path
        assert says in error[1].replace("&#39;", "'")
        for name, typed in fields.items():
            assert name in ("do", "item", "state", "role") or typed.strip() in page.text
        assert audit.revision(people_site.engine) == before


def test_a_contributor_sees_what_became_of_a_result(people_site):
    ada, rev, ids = people_site.browser("Ada"), people_site.browser("Rev"), people_site.ids
    page = ada.get("/account").text
    assert "holds the raw values of result" in page
    assert "waits for a reviewer" in page
    assert people_site.browser("Bob").get("/account").text.count("<tr>") == 2
    assert rev.post(f"/moderation/results/{ids['valid']}/refuse", {"refuse": "made up"}).status_code == 303
    page = ada.get("/account").text
    assert "made up" in page
    assert people_site.browser().get(f"/results/{ids['valid']}").status_code == 410
    # the same document cannot come back
    again = ada.post(f"/results/{ids['published']}/withdraw", {"why": "a mistake"})
    assert again.headers["location"] == "/account"
    flash = ada.get("/account")
    assert "The result is withdrawn." in flash.text
    assert "The result is withdrawn." not in ada.get("/account").text  # said once
    gone = people_site.browser().get(f"/results/{ids['published']}")
    assert gone.status_code == 410
    assert "a mistake" in gone.text


def test_what_was_published_once_is_not_refused(people_site):
    rev, ids = people_site.browser("Rev"), people_site.ids
    path = f"/moderation/results/{ids['published']}"
    assert rev.post(f"{path}/quarantine", {"why": "a look"}).status_code == 303
    answer = rev.post(f"{path}/refuse", {"refuse": "I do not like it"})
    assert answer.status_code == 409
    assert "only an operator can withdraw it" in answer.text
    assert query.one(people_site.engine, ids["published"])["state"] == "quarantined"


def test_the_same_form_twice_is_one_change(people_site):
    ada, rev, ids = people_site.browser("Ada"), people_site.browser("Rev"), people_site.ids
    for _ in range(2):
        assert ada.post("/comments", {"text": "Once.", "do": "send"}).status_code == 303
        assert ada.post(f"/results/{ids['bobs']}/objections", {"reason": "Once."}).status_code == 303
    assert len(comments.comments(people_site.engine, viewer=people_site.accounts["Ada"])) == 1
    assert len(moderation.objections(people_site.engine, ids["bobs"])) == 2  # with the one that was there
    publish = f"/moderation/results/{ids['valid']}/publish"
    assert rev.post(publish).status_code == 303
    late = rev.post(publish)
    assert late.status_code == 409
    assert "Somebody else was faster" in late.text
    lines = audit.read(people_site.engine, subject=ids["valid"])
    assert [line["action"] for line in lines].count("published") == 1


def test_a_reviewer_empties_the_queues(people_site):
    rev, ids, store = people_site.browser("Rev"), people_site.ids, people_site.engine
    who = people_site.accounts["Rev"]
    waiting = {"valid": 2, "quarantined": 1, "comments": 1, "objections": 1, "reports": 1}
    assert review_queue.counts(store, who) == waiting
    assert "It runs on my laptop." in rev.get("/moderation?show=comments").text
    assert rev.post(f"/moderation/comments/{people_site.found['comment']}", {"do": "show"}).status_code == 303
    assert "It runs on my laptop." in people_site.browser().get(f"/results/{ids['published']}").text
    fields = {"decision": "the log shows it", "do": "uphold"}
    assert rev.post(f"/moderation/objections/{people_site.found['objection']}", fields).status_code == 303
    assert query.one(store, ids["bobs"])["state"] == "quarantined"
    settled = {"decision": "the name was changed"}
    assert rev.post(f"/moderation/reports/{people_site.found['report']}", settled).status_code == 303
    noted = {"note": "the earlier one is a copy of this"}
    assert rev.post(f"/moderation/results/{ids['quarantined']}/publish", noted).status_code == 303
    assert rev.post(f"/moderation/results/{ids['valid']}/publish").status_code == 303
    waiting = {"valid": 1, "quarantined": 1, "comments": 0, "objections": 0, "reports": 0}
    assert review_queue.counts(store, who) == waiting
    for show in ("comments", "objections", "reports"):
        assert 'class="empty"' in rev.get(f"/moderation?show={show}").text
    assert rev.get("/moderation?show=everything").status_code == 400
    assert rev.get("/moderation?page=0").status_code == 400
    for number in ("0", "999", "9" * 15):
        assert rev.post(f"/moderation/comments/{number}", {"do": "hide"}).status_code == 404
        assert rev.post(f"/moderation/objections/{number}", {"do": "dismiss", "decision": "x"}).status_code == 404
    for number in ("x", "-1", "9" * 16):
        assert rev.post(f"/moderation/comments/{number}", {"do": "hide"}).status_code == 404


def test_a_list_of_what_is_not_published_is_for_reviewers(people_site):
    ids = people_site.ids
    visitor, ada, rev, boss = (people_site.browser(name) for name in (None, "Ada", "Rev", "Boss"))
    found = r'<th scope="row"><a href="/results/([0-9a-f]{64})"'
    kinds = {"published": {"published", "bobs"}, "valid": {"valid", "reviewers"}, "quarantined": {"quarantined"}}
    for status, names in kinds.items():
        for browser in (rev, boss):
            page = browser.get(f"/results?status={status}")
            assert page.headers["cache-control"] == "private, no-store"
            assert set(listed(page, found)) == {ids[name] for name in names}
            (chosen,) = re.findall(r'<select name="status">.*?<option value="(\w*)" selected', page.text, re.DOTALL)
            assert chosen == ("" if status == "published" else status)
        if status != "published":
            assert "view=chart" not in page.text, "charts are of published results"
            assert f"/results?status={status}&amp;sort=-created" in page.text, "the order keeps what is asked for"
            for query_ in ("view=chart", "sort=forecast.mae"):
                assert rev.get(f"/results?status={status}&{query_}").status_code == 400
            assert ada.get(f"/results?status={status}").status_code == 403, "one's own uploads are on /account"
            away = visitor.get(f"/results?status={status}")
            assert (away.status_code, away.headers["location"]) == (303, "/login?next=/results")
    for browser in (visitor, ada):
        page = browser.get("/results?status=published")
        assert set(listed(page, found)) == {ids["published"], ids["bobs"]}
        assert 'name="status"' not in page.text
    assert 'name="status"' not in rev.get("/results?view=chart").text
    for status in ("withdrawn", "failed", "Valid"):
        for browser in (visitor, rev):
            assert browser.get(f"/results?status={status}").status_code == 400
    both = rev.get("/results?status=valid&submitter=Rev&sort=created")
    assert listed(both, found) == [ids["reviewers"]]
    assert "status=valid" in re.search(r'<nav class="tabs".*?</nav>', both.text, re.DOTALL)[0]
    assert "Nothing is quarantined that fits" in rev.get("/results?status=quarantined&submitter=Zoe").text
    # a data set that only waits can be chosen where it is listed
    assert "Nothing waits" not in rev.get("/results?status=valid&dataset=gauges").text


def test_pages_of_what_is_not_published_keep_the_status(engine):
    site = Site(engine, fill(engine), page_size=1)
    rev = site.browser("Rev")
    first = rev.get("/results?status=valid&sort=created")
    assert 'href="/results?page=2&amp;status=valid&amp;sort=created"' in first.text
    pages = [first, rev.get("/results?status=valid&sort=created&page=2")]
    found = [listed(page, r'<th scope="row"><a href="/results/([0-9a-f]{64})"') for page in pages]
    assert {one for (one,) in found} == {site.ids["valid"], site.ids["reviewers"]}
    assert "This list ends at page 2" in rev.get("/results?status=valid&page=3").text


def crowd(store, size):
    """That many more contributors."""
    tokens = [accounts.add(store, f"Contributor {number}", "contributor") for number in range(size)]
    return [accounts.by_token(store, token) for token in tokens]


def listed(page, pattern):
    """What is on a page of a queue, in its order."""
    assert page.status_code in (200, 422)
    return re.findall(pattern, page.text)


def test_every_comment_that_waits_is_on_some_page(people_site):
    rev, about, store = people_site.browser("Rev"), people_site.ids["bobs"], people_site.engine
    waiting = [people_site.found["comment"]]
    for one in crowd(store, 15):
        texts = [f"It is my number {number}." for number in range(10)]
        waiting += [
            comments.comment(store, one, text, place) for text, place in zip(texts, [about, None] * 5, strict=True)
        ]
    pattern = r'action="/moderation/comments/(\d+)'

    def page(number):
        found = listed(rev.get(f"/moderation?show=comments&page={number}"), pattern)
        return [int(one) for one in found]

    assert [one for number in range(1, 9) for one in page(number)] == waiting
    assert page(2) == page(2) == waiting[20:40]
    assert page(9) == page(10**5) == waiting[140:], "past the end is the last page"
    first, last = (rev.get(f"/moderation?show=comments&page={number}").text for number in (1, 8))
    assert 'href="/moderation?page=2&amp;show=comments" rel="next"' in first
    assert 'href="/moderation?page=8&amp;show=comments"' in first
    assert 'rel="prev"' not in first
    assert 'rel="next"' not in last
    # a decision leads back to its page, into which the next one has moved
    answer = rev.post(f"/moderation/comments/{waiting[25]}?page=2", {"do": "hide"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/moderation?show=comments&page=2")
    assert page(2) == [*waiting[20:25], *waiting[26:41]]
    assert rev.post(f"/moderation/comments/{waiting[0]}?page=x", {"do": "hide"}).status_code == 400
    assert page(1)[0] == waiting[0], "nothing is changed by what is refused"


def test_every_objection_is_on_some_page(people_site):
    rev, about, store = people_site.browser("Rev"), people_site.ids["bobs"], people_site.engine
    objections = [people_site.found["objection"]]
    for one in crowd(store, 9):
        objections += [moderation.object_to(store, about, one, f"no {number}") for number in range(5)]
    pattern = r'action="/moderation/objections/(\d+)'
    pages = [listed(rev.get(f"/moderation?show=objections&page={number}"), pattern) for number in (1, 2, 3)]
    assert [int(one) for page in pages for one in page] == objections
    # what is typed wrong on a page comes back on that page, kept
    kept = "x" * 501
    wrong = rev.post(f"/moderation/objections/{objections[-1]}?page=3", {"decision": kept, "do": "dismiss"})
    assert wrong.status_code == 422
    assert kept in wrong.text
    assert listed(wrong, pattern) == pages[2]
    right = rev.post(f"/moderation/objections/{objections[-1]}?page=3", {"decision": "no", "do": "dismiss"})
    assert right.headers["location"] == "/moderation?show=objections&page=3"


def test_an_operator_makes_an_account_and_reads_the_log(people_site):
    boss = people_site.browser("Boss")
    page = boss.post("/operator/accounts", {"name": "Zoë O’Neil", "role": "reviewer"})
    token = re.search(r"<code>(iecrowd_[\w-]{43})</code>", page.text)[1]
    assert people_site.browser().log_in("Zoë O’Neil", token).status_code == 303
    assert token not in boss.get("/operator/accounts").text
    assert token not in boss.get("/operator/log").text
    assert boss.post("/operator/accounts", {"name": "Zoë O’Neil", "role": "reviewer"}).status_code == 422
    for number in range(60):
        accounts.set_role(people_site.engine, "Bob", ("reviewer", "contributor")[number % 2])
    log = boss.get("/operator/log").text
    assert log.count("<tr>") == 51
    older = re.search(r'href="(/operator/log\?before=\d+)" rel="next"', log)[1]
    assert "account added" in boss.get(older).text
    about = boss.get("/operator/log", params={"subject": "Zoë O’Neil"}).text
    assert about.count("<tr>") == 2
    assert boss.get("/operator/log?before=x").status_code == 400
    assert boss.post("/operator/accounts/disable", {"name": "Nobody"}).status_code == 400
    assert boss.post("/operator/accounts/role", {"name": "Bob", "role": "king"}).status_code == 400


def test_one_account_writes_so_much_in_an_hour(people_site, monkeypatch):
    from ie_crowd.site.pages import comments

    monkeypatch.setattr(comments, "MOST", 2)
    rev = people_site.browser("Rev")
    for number in range(2):
        assert rev.post("/comments", {"text": f"number {number}", "do": "send"}).status_code == 303
    answer = rev.post("/comments", {"text": "number 2", "do": "send"})
    assert answer.status_code == 429
    assert "number 2" in answer.text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain\ntext", "plain\ntext"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("\u202egnp.exe", "⟨U+202E⟩gnp.exe"),
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("soft\u00adhyphen", "soft⟨U+00AD⟩hyphen"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("a\u2028b", "a⟨U+2028⟩b"),
    ],
)
def test_what_is_not_seen_is_spelled_out(given, shown):
    assert plain(given) == shown

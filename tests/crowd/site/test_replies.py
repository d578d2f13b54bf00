"""Comments that answer comments, and addresses in what people write."""

import re
from html import unescape

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.site.rendering.visible_text import linked
from ie_crowd.store.people import comments, review_queue


def said(site, who, text, about=None, reply_to=None):
    return comments.comment(site.engine, site.accounts[who], text, about, reply_to)


def test_a_reply_waits_is_let_through_and_stands_below_its_comment(copied_site):
    first, about = said(copied_site, "Rev", "Which seed?", copied_site.ids["published"]), copied_site.ids["published"]
    said(copied_site, "Rev", "Something else.", about)
    path = f"/results/{about}/comments"
    bob, rev, visitor = copied_site.browser("Bob"), copied_site.browser("Rev"), copied_site.browser()
    assert "Reply to Rev" in bob.get(path).text
    assert "Reply to" not in visitor.get(path).text
    before = review_queue.counts(copied_site.engine, copied_site.accounts["Rev"])["comments"]
    answer = bob.post(path, {"text": "Seed 3.", "do": "send", "reply_to": first})
    assert answer.status_code == 303
    assert review_queue.counts(copied_site.engine, copied_site.accounts["Rev"])["comments"] == before + 1
    queue = rev.get("/moderation?show=comments").text
    assert f'in reply to <a href="/report/comment/{first}">' in queue
    assert "Seed 3." not in visitor.get(path).text
    number = comments.comments(copied_site.engine, about, viewer=copied_site.accounts["Bob"])[-1]["pk"]
    rev.post(f"/moderation/comments/{number}", {"do": "show"})
    for page in (path, f"/results/{about}"):
        text = visitor.get(page).text
        assert text.index("Which seed?") < text.index("Seed 3.") < text.index("Something else.")
        assert 'aria-label="Replies to Rev"' in text
    # a reply offers no reply; it is answered by one to the comment
    assert rev.get(path).text.count("Send the reply") == 2
    refused = bob.post(path, {"text": "More.", "do": "send", "reply_to": number})
    assert refused.status_code == 422
    listed = visitor.get(f"/api/v1/results/{about}/comments").json()["comments"]
    assert [one["reply_to"] for one in listed if one["text"] == "Seed 3."] == [first]


@pytest.mark.parametrize("gone", ["hidden", "deleted"])
def test_replies_to_what_is_gone_stay_readable(copied_site, gone):
    first = said(copied_site, "Rev", "The rude one.")
    said(copied_site, "Eve", "Please do not.", None, first)
    if gone == "hidden":
        comments.judge_comment(copied_site.engine, first, copied_site.accounts["Rev"], visible=False)
    else:
        comments.delete_comment(copied_site.engine, first, copied_site.accounts["Rev"])
    text = copied_site.browser().get("/comments").text
    assert "The rude one." not in text
    assert text.index("is hidden, or its author deleted it") < text.index("Please do not.")
    with pytest.raises(ValueError, match="no comment"):
        said(copied_site, "Bob", "And you?", None, first)


def test_a_reply_is_to_a_comment_of_the_same_page(copied_site):
    first = said(copied_site, "Rev", "On the paper.")
    with pytest.raises(ValueError, match="no comment"):
        said(copied_site, "Rev", "Here?", copied_site.ids["published"], first)
    with pytest.raises(ValueError, match="no comment"):
        said(copied_site, "Rev", "Here?", None, copied_site.found["comment"])  # it waits
    assert said(copied_site, "Rev", "On the paper.", None, first) != first  # the same words in another place
    answer = copied_site.browser("Bob").post("/comments", {"text": "x", "do": "send", "reply_to": "one"})
    assert answer.status_code == 400
    bob = {"Authorization": f"Bearer {copied_site.tokens['Bob']}"}
    client = copied_site.browser().client
    assert client.post("/api/v1/comments", json={"text": "By API.", "reply_to": first}, headers=bob).status_code == 201
    assert client.post("/api/v1/comments", json={"text": "None.", "reply_to": 999}, headers=bob).status_code == 422


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("see https://example.org/a?b=c&d=e#f, and http://example.org.", ["https://example.org/a?b=c&d=e#f", "http://example.org"]),
        ("(https://en.wikipedia.org/wiki/Bound_(x))", ["https://en.wikipedia.org/wiki/Bound_(x)"]),
        ("https://example.org:8080/x!", ["https://example.org:8080/x"]),
        ("javascript:alert(1) data:text/html,x ftp://example.org file:///etc/passwd //example.org", []),
        ("JaVaScRiPt://example.org/%0aalert(1)", []),
        ("https://bank.example@evil.example/", []),
        ("https://user:pw@evil.example/ https://user:123@evil.example/", []),
        ("https://аррӏе.com/", []),  # Cyrillic
        ('https://example.org/"onmouseover="alert(1)', ["https://example.org/"]),
        ("https://example.org/<script>alert(1)</script>", ["https://example.org/"]),
        ("https://example.org/a\u202egnp.exe", ["https://example.org/a"]),
        ("xhttps://example.org", []),
    ],
)  # fmt: skip
def test_addresses_in_comments_are_links_that_are_safe(text, addresses):
    made = str(linked(text))
    found = re.findall(r'<a href="([^"]*)" rel="nofollow ugc noopener noreferrer">([^<]*)</a>', made)
    assert [unescape(href) for href, _ in found] == addresses
    assert all(href == shown for href, shown in found)
    rest = re.sub(r"</?a[^>]*>", "", made)
    assert "<" not in rest
    assert '"' not in rest
    assert unescape(rest).replace("⟨U+202E⟩", "\u202e") == text

"""Who may do what on the site, cell by cell: every route that changes something, for everybody, on either database."""

import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.site.middleware import permissions
from ie_crowd.store import audit
from starlette.routing import Route

PLAIN = {"origin": "http://localhost", "content-type": "application/json"}
WHO = ("nobody", "Ada", "Bob", "Rev", "Boss")  # Ada's are the things that are asked for; Bob is another contributor
ALL, ONES_OWN, REVIEWERS, OPERATORS = (
    (401, 303, 303, 303, 303),
    (401, 303, 404, 404, 404),
    (401, 403, 403, 303, 303),
    (401, 403, 403, 403, 303),
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
# name: (path, fields, the status for each of WHO)
CELLS = {
    "log in": ("/login", {"name": "Bob", "token": "{Bob}"}, (303, 303, 303, 303, 303)),
    "log out": ("/logout", {}, ALL),
    "renew token": ("/account/token", {}, (401, 200, 200, 200, 200)),
    "add key": ("/account/keys", {"key": KEY, "proof": ""}, ALL),
    "remove key": ("/account/keys/remove", {"fingerprint": "SHA256:none"}, (401, 422, 422, 422, 422)),
    "withdraw": ("/results/{published}/withdraw", {"why": "a mistake"}, (401, 303, 403, 403, 303)),
    "report": ("/report", {"about": "comment:{comment}", "reason": "rude"}, (303, 303, 303, 303, 303)),
    "settle report": ("/moderation/reports/{report}", {"decision": "it is not"}, REVIEWERS),
    "comment on the paper": ("/comments", {"text": "Well.", "do": "send"}, ALL),
    "comment on a result": ("/results/{published}/comments", {"text": "Well.", "do": "send"}, ALL),
    "delete comment": ("/comments/{comment}/delete", {"about": "{published}"}, ONES_OWN),
    "object": ("/results/{published}/objections", {"reason": "too good"}, ALL),
    "publish": ("/moderation/results/{valid}/publish", {"note": ""}, REVIEWERS),
    "quarantine": ("/moderation/results/{published}/quarantine", {"why": "a look"}, REVIEWERS),
    "refuse": ("/moderation/results/{valid}/refuse", {"refuse": "made up"}, REVIEWERS),
    "sign": (
        "/moderation/results/{published}/sign",
        {"item": "acm-badges/archive", "state": "pass", "sign": "seen"},
        REVIEWERS,
    ),
    "say independent": (
        "/moderation/results/{published}/independence",
        {"other": "Bob", "do": "give", "note": "two laboratories"},
        REVIEWERS,
    ),
    "judge comment": ("/moderation/comments/{comment}", {"do": "show"}, REVIEWERS),
    "decide objection": ("/moderation/objections/{objection}", {"decision": "no", "do": "dismiss"}, REVIEWERS),
    "undo": ("/moderation/undo", {"line": "{undo}"}, (401, 403, 403, 303, 404)),
    "add account": ("/operator/accounts", {"name": "Zoe", "role": "reviewer"}, (401, 403, 403, 403, 200)),
    "give token": ("/operator/accounts/token", {"name": "Eve"}, (401, 403, 403, 403, 200)),
    "change role": ("/operator/accounts/role", {"name": "Eve", "role": "contributor"}, OPERATORS),
    "end tokens": ("/operator/accounts/end", {"name": "Eve"}, OPERATORS),
    "disable account": ("/operator/accounts/disable", {"name": "Eve"}, OPERATORS),
    "enable account": ("/operator/accounts/enable", {"name": "Eve"}, OPERATORS),
    "add related": (
        "/operator/related",
        {"kind": "code", "title": "The code", "url": "https://example.org/code", "note": ""},
        OPERATORS,
    ),
    "edit related": (
        "/operator/related/{related}",
        {"do": "remove", "was": "https://example.org/data"},
        OPERATORS,
    ),
}
PAGES = {
    "account": ("/account", (303, 200, 200, 200, 200)),
    "withdraw page": ("/results/{published}/withdraw", (303, 200, 403, 403, 200)),
    "moderation": ("/moderation", (303, 403, 403, 200, 200)),
    "review": ("/moderation/results/{valid}", (303, 403, 403, 200, 200)),
    "refused uploads": ("/moderation/refused", (303, 403, 403, 200, 200)),
    "accounts": ("/operator/accounts", (303, 403, 403, 403, 200)),
    "log": ("/operator/log", (303, 403, 403, 403, 200)),
    "related": ("/operator/related", (303, 403, 403, 403, 200)),
}


def filled_in(site, text):
    known = {**site.ids, **site.tokens, "comment": site.found["comment"], "objection": site.found["objection"]}
    known |= {name: site.found[name] for name in ("report", "related", "undo")}
    return re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), text)


def browser(site, who):
    return site.browser(None if who == "nobody" else who)


def unsafe(app):
    for route in app.routes:
        assert isinstance(route, Route), route  # a mount would hide what is in it
        if (route.methods or set()) - {"GET", "HEAD"}:
            yield route


def test_the_table_names_every_route_that_changes_something(copied_site):
    programs = {"upload"}  # by token: no session opens it
    names = {route.name for route in unsafe(copied_site.app) if not route.path.startswith("/api/")}
    assert names == set(permissions.RIGHTS) - programs == set(CELLS)
    # a session opens none of the API's: it knows tokens only (test_site_upload, test_site_api)
    for route in unsafe(copied_site.app):
        if route.path.startswith("/api/"):
            path = filled_in(copied_site, route.path.replace("{id}", "{published}"))
            for method in sorted(route.methods - {"GET", "HEAD"}):
                answer = copied_site.browser("Boss").client.request(method, path, content=b"{}", headers=PLAIN)
                assert answer.status_code == 401, route
    there = {route.name: route.path for route in copied_site.app.routes}
    assert {name: there[name] for name in permissions.PAGES} == {
        name: re.sub(r"\{\w+\}", "{id}", path) for name, (path, _) in PAGES.items()
    }
    assert set(PAGES) == set(permissions.PAGES)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", CELLS)
def test_a_cell(either_site, name, who):
    path, fields, expected = CELLS[name]
    path, fields = filled_in(either_site, path), {key: filled_in(either_site, one) for key, one in fields.items()}
    one = browser(either_site, who)
    before = audit.revision(either_site.engine)
    status = expected[WHO.index(who)]
    # without the form's token, with one that is made up, with another session's: nothing happens, to nobody
    other = either_site.browser("Eve").csrf()
    for token in ({"csrf": ""}, {"csrf": "0" * 64}, {"csrf": other}):
        refused = one.client.post(path, data={**fields, **token}, headers=one.origin)
        assert refused.status_code == (401 if status == 401 else 403)
    assert audit.revision(either_site.engine) == before
    answer = one.post(path, fields)
    assert answer.status_code == status, answer.text
    changed = status in (200, 303) and name not in ("log in", "log out")
    assert (audit.revision(either_site.engine) > before) is changed
    assert one.get(path).status_code in (200, 303, 403, 404, 405)
    if status >= 400:
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", PAGES)
def test_a_page(either_site, name, who):
    path, expected = PAGES[name]
    path = filled_in(either_site, path)
    answer = browser(either_site, who).get(path)
    assert answer.status_code == expected[WHO.index(who)]
    if answer.status_code == 303:
        assert answer.headers["location"] == f"/login?next={path}"
    else:
        assert answer.headers["cache-control"] == "private, no-store"


def test_nobody_judges_what_is_their_own(either_site):
    from ie_crowd.store.people import moderation

    rev, boss, ids = either_site.browser("Rev"), either_site.browser("Boss"), either_site.ids
    own = f"/moderation/results/{ids['reviewers']}"
    assert rev.post(f"{own}/publish").status_code == 403
    signed = rev.post(f"{own}/sign", {"item": "acm-badges/archive", "state": "pass"})
    assert signed.status_code == 403
    assert "somebody else signs a result of your own" in signed.text
    number = moderation.object_to(either_site.engine, ids["published"], either_site.accounts["Rev"], "no")
    decided = rev.post(f"/moderation/objections/{number}", {"decision": "yes", "do": "uphold"})
    assert decided.status_code == 403
    assert either_site.browser("Eve").post(f"{own}/publish").status_code == 303
    for to in ("role", "disable"):
        fields = {"name": "Boss", **({"role": "contributor"} if to == "role" else {})}
        assert boss.post(f"/operator/accounts/{to}", fields).status_code == 403
    assert boss.get("/operator/accounts").status_code == 200


def test_a_role_that_is_taken_away_ends_at_once(either_site):
    rev, boss = either_site.browser("Rev"), either_site.browser("Boss")
    assert rev.get("/moderation").status_code == 200
    assert boss.post("/operator/accounts/role", {"name": "Rev", "role": "contributor"}).status_code == 303
    assert rev.get("/moderation").status_code == 403
    assert boss.post("/operator/accounts/disable", {"name": "Rev"}).status_code == 303
    assert rev.get("/moderation").status_code == 303
    assert either_site.browser().log_in("Rev", either_site.tokens["Rev"]).status_code == 403


@pytest.mark.parametrize(
    ("name", "told"), [(None, False), ("Bob", False), ("Ada", True), ("Rev", True), ("Boss", True)]
)
def test_who_uploaded_is_told_on_the_page_as_in_the_api(copied_site, name, told):
    """Somebody may publish under no name: then only reviewers, and they themselves, learn whose it is."""
    path = f"/results/{copied_site.ids['published']}"
    assert ("Uploaded by" in copied_site.browser(name).get(path).text) is told
    headers = {"Authorization": f"Bearer {copied_site.tokens[name]}"} if name else {}
    answer = copied_site.browser().get(f"/api/v1{path}", headers=headers).json()
    assert ("uploaded_by" in answer) is told

"""What stands in front of the site: headers, hosts, origins, bodies, cookies, sessions; whatever somebody sends."""

import asyncio
import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.site.app import create_app
from ie_crowd.site.middleware import counter, form_data
from ie_crowd.site.middleware import guard as site_guard
from ie_crowd.site.pages import login
from ie_crowd.site.settings import Settings
from ie_crowd.store import audit
from ie_crowd.store.people import accounts
from site_people import Site, fill
from starlette.exceptions import HTTPException
from toy_challenge.make import RULES

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "path", ["/", "/results", "/login", "/no/such/page", "/assets/none.css", "/healthz", "/api/v1/none", "/comments"]
)
def test_every_answer_has_the_headers(copied_site, path):
    answer = copied_site.browser().get(path)
    assert answer.headers["content-security-policy"] == site_guard.POLICY
    for never in ("unsafe-inline", "unsafe-eval", "http:", "https:", "*"):
        assert never not in site_guard.POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in answer.headers


def test_what_fails_has_the_headers_too_and_says_nothing(copied_site, monkeypatch):
    from ie_crowd.store import query

    def broken(*_, **__):
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(query, "results", broken)
    one = copied_site.browser("Ada")
    one.client._transport.raise_server_exceptions = False
    answer = one.get("/results")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == site_guard.POLICY
    assert "swordfish" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8019", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8019", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("localhost@evil.example", 400),
        ("localhost/../", 400),
        ("localhost:port", 400),
        ("", 400),
        ("lo calhost", 400),
    ],
)
def test_only_this_host(copied_site, host, status):
    answer = copied_site.browser().get("/", headers={"host": host})
    assert answer.status_code == status
    if status != 200:
        assert answer.text.count("\n") == 1
        assert "evil" not in answer.text


def test_no_page_repeats_the_host_that_was_asked_for(copied_site):
    for path in ("/", "/take-part", "/feed.atom", "/login"):
        assert "evil" not in copied_site.browser().get(path, headers={"x-forwarded-host": "evil.example"}).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://localhost:81"},
        {"origin": "https://localhost"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://localhost", "sec-fetch-site": "cross-site"},
        {},  # no browser: but it has the cookie
    ],
)
def test_a_form_of_another_site_changes_nothing(copied_site, headers):
    ada = copied_site.browser("Ada")
    token, before = ada.csrf(), audit.revision(copied_site.engine)
    answer = ada.client.post("/comments", data={"csrf": token, "text": "hello", "do": "send"}, headers=headers)
    assert answer.status_code == 403
    assert "this site's own pages" in answer.text
    assert audit.revision(copied_site.engine) == before
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert ada.client.request(method, "/comments", headers=headers).status_code in (403, 405)


def test_the_public_address_is_an_origin_too(copied_site):
    app = create_app(Settings(challenges=(RULES.folder,), base_url="https://crowd.example"), copied_site.engine)
    from site_people import Browser

    one = Browser(app, "http://crowd.example")
    one.origin = {"origin": "https://crowd.example"}  # behind a proxy that speaks TLS
    answer = one.get("/login")
    cookie = answer.headers["set-cookie"]
    assert re.match(r"__Host-ie_visit=[\w-]{32};", cookie)
    for word in ("Secure", "HttpOnly", "Path=/", "SameSite=strict"):
        assert word in cookie
    assert "Domain" not in cookie
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    secure = Browser(app, "https://crowd.example")
    answer = secure.log_in("Ada", copied_site.tokens["Ada"])
    assert answer.status_code == 303
    (session,) = [one for one in answer.headers.get_list("set-cookie") if "session" in one]
    assert re.match(r"__Host-ie_session=[\w-]{43};", session)
    for word in ("Secure", "HttpOnly", "Path=/", "SameSite=lax", "Max-Age=43200"):
        assert word in session


def test_cookies_without_tls_on_this_machine(copied_site):
    answer = copied_site.browser().log_in("Ada", copied_site.tokens["Ada"])
    cookies = {one.partition("=")[0]: one for one in answer.headers.get_list("set-cookie")}
    assert set(cookies) == {"ie_session", "ie_flash", "ie_visit"}
    assert all("HttpOnly" in one and "Secure" not in one for one in cookies.values())


# Sessions


def test_a_session_cannot_be_chosen_by_somebody_else(copied_site):
    one = copied_site.browser()
    one.cookies.set("ie_session", "chosen-by-somebody-else-for-the-victim-00000", domain="localhost.local", path="/")
    one.csrf()
    answer = one.log_in("Ada", copied_site.tokens["Ada"])
    fresh = re.match(
        r"ie_session=([\w-]{43})",
        next(cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith("ie_session")),
    )[1]
    assert accounts.by_session(copied_site.engine, "chosen-by-somebody-else-for-the-victim-00000") is None
    assert accounts.by_session(copied_site.engine, fresh)["name"] == "Ada"


def test_log_in_again_and_log_out_end_the_session_before(copied_site):
    ada = copied_site.browser("Ada")
    first = ada.cookies["ie_session"]
    visit = ada.csrf()
    assert ada.log_in("Ada", copied_site.tokens["Ada"]).status_code == 303
    second = ada.cookies["ie_session"]
    assert accounts.by_session(copied_site.engine, first) is None
    assert ada.csrf() != visit
    assert ada.post("/logout").status_code == 303
    assert accounts.by_session(copied_site.engine, second) is None
    assert "ie_session" not in ada.cookies
    assert ada.get("/account").status_code == 303


def test_renewing_a_token_ends_the_old_ones_and_other_sessions(people_site):
    here, there = people_site.browser("Ada"), people_site.browser("Ada")
    page = here.post("/account/token")
    token = re.search(r"<code>(iecrowd_[\w-]{43})</code>", page.text)[1]
    assert page.headers["cache-control"] == "private, no-store"
    assert accounts.by_token(people_site.engine, people_site.tokens["Ada"]) is None
    assert accounts.by_token(people_site.engine, token)["name"] == "Ada"
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303
    assert token not in here.get("/account").text


def test_unknown_name_and_wrong_token_are_answered_alike(people_site):
    answers = set()
    for name, token in [
        ("Ada", "iecrowd_" + "x" * 43),
        ("Nobody", "iecrowd_" + "x" * 43),
        ("Bob", people_site.tokens["Ada"]),
        ("ada", people_site.tokens["Ada"]),
        ("", ""),
        ("' OR 1=1 --", "' OR 1=1 --"),
        ("Ada", "\u202e" * 40),
    ]:
        answer = people_site.browser().log_in(name, token)
        assert "ie_session" not in answer.headers.get("set-cookie", "")
        answers.add((answer.status_code, re.search(r'role="alert">(.*?)</p>', answer.text)[1]))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 403


def test_log_in_is_throttled(people_site, monkeypatch):
    from ie_crowd.store import rate_limit

    moment = [1_000_000_000.0]
    monkeypatch.setattr(rate_limit.time, "time", lambda: moment[0])
    one = people_site.browser()
    for _ in range(login.TRIES):
        assert one.log_in("Ada", "iecrowd_" + "x" * 43).status_code == 403
    answer = one.log_in("Ada", people_site.tokens["Ada"])
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert 'value="Ada"' in answer.text
    moment[0] += login.TRY_SECONDS
    assert one.log_in("Ada", people_site.tokens["Ada"]).status_code == 303


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/comments", "/comments"),
        ("/results/0123abcd", "/results/0123abcd"),
        ("//evil.example", "/account"),
        ("/\\evil.example", "/account"),
        ("https://evil.example/", "/account"),
        ("/%5cevil.example", "/account"),
        ("/a\r\nSet-Cookie: x=y", "/account"),
        ("javascript:alert(1)", "/account"),
        ("/login", "/account"),
        ("/" + "a" * 300, "/account"),
        ("", "/account"),
    ],
)
def test_next_leads_to_this_site_only(copied_site, asked, led):
    assert login.here(asked) == led
    shown = copied_site.browser().get("/login", params={"next": asked}).text
    assert f'name="next" value="{led}"' in shown


# Bodies


def test_forms_are_read_by_limits():
    longest = {"text": 10, "csrf": 4}
    assert form_data.parse(b"", longest) == {"text": "", "csrf": ""}
    assert form_data.parse(b"text=a+b%0D%0Ac%C3%A9&csrf=", longest) == {"text": "a b\r\ncé", "csrf": ""}
    for body, says in [
        (b"text=" + b"a" * 11, "more than 10"),
        (b"other=1", "does not know"),
        (b"text=1&text=2", "came twice"),
        (b"text=%ff", "UTF-8"),
        (b"text=%ed%a0%80", "UTF-8"),
        (b"text=\xc3\xa9", "UTF-8"),
        (b"text=%zz", "UTF-8"),
        (b"text=a%", "UTF-8"),
        (b"text=%00", "control"),
        (b"text=%1b[31m", "control"),
        (b"&" * 30, "at most 24 fields"),
        (b"=", "does not know"),
    ]:
        with pytest.raises(HTTPException, match=says) as caught:
            form_data.parse(body, longest)
        assert caught.value.status_code == 400


def test_other_bodies_are_refused(copied_site):
    ada = copied_site.browser("Ada")
    before = audit.revision(copied_site.engine)
    token = ada.csrf()
    good = f"csrf={token}&text=hello&do=send".encode()
    for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain", f"{FORM}; charset=utf-16", ""):
        assert ada.raw("/comments", good, kind=kind).status_code == 415
    assert ada.raw("/comments", good, {"content-encoding": "gzip"}).status_code == 415
    assert ada.raw("/comments", b"text=" + b"a" * site_guard.LARGEST_BODY).status_code == 413
    for length in ("-1", "1e3", "9" * 30, "0x10"):
        assert ada.raw("/comments", good, {"content-length": length}).status_code in (
            400,
            413,
        )
    assert audit.revision(copied_site.engine) == before
    assert ada.raw("/comments", good).status_code == 303


def _asgi(app, messages, headers=(), path="/comments"):
    """The status of the answer to a POST whose body comes in these messages."""
    sent = []

    async def receive():
        if not messages:
            await asyncio.sleep(3600)
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("10.0.0.1", 1),
        "server": ("localhost", 80), "headers": [(b"host", b"localhost"), (b"origin", b"http://localhost"), *headers],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def test_a_body_without_a_length_is_counted_while_it_comes(copied_site, monkeypatch):
    session = copied_site.browser("Ada").cookies["ie_session"]
    headers = ((b"cookie", f"ie_session={session}".encode()), (b"content-type", FORM.encode()))
    piece = {"type": "http.request", "body": b"a" * 20_000, "more_body": True}
    pieces = [dict(piece) for _ in range(1000)]
    assert _asgi(copied_site.app, pieces, headers) == 413
    assert len(pieces) > 990  # it did not wait for the rest
    monkeypatch.setattr(site_guard, "BODY_SECONDS", 0.05)
    assert _asgi(copied_site.app, [dict(piece)], headers) == 408


def test_what_reads_without_limits_of_its_own_is_limited_too(copied_site):
    read = []

    async def inner(scope, receive, send):
        while True:
            message = await receive()
            read.append(len(message["body"]))
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def guarded(scope, receive, send):
        await site_guard.Guard(inner, Settings())({**scope, "app": copied_site.app}, receive, send)

    piece = {"type": "http.request", "body": b"a" * 20_000, "more_body": True}
    assert _asgi(guarded, [dict(piece) for _ in range(100)]) == 413
    assert sum(read) <= site_guard.LARGEST_BODY
    assert _asgi(guarded, [dict(piece), {**piece, "more_body": False}]) == 204


def test_heads_have_limits(copied_site):
    one = copied_site.browser()
    assert one.get("/", headers={f"x-{number}": "1" for number in range(80)}).status_code == 431
    assert one.get("/", headers={"x-long": "a" * 9000}).status_code == 431
    assert one.get("/" + "a" * 2000).status_code == 414
    assert one.get("/results?q=" + "a" * 5000).status_code == 414
    assert one.get("/results?submitter=%00").status_code == 400
    assert one.get("/results/%00").status_code == 400
    assert one.get("/comments%0d%0aSet-Cookie:%20x=y").status_code == 400
    assert _asgi(copied_site.app, [], ((b"host", b"evil.example"),)) == 400  # two of them
    assert _asgi(copied_site.app, [], ((b"content-length", b"1"), (b"content-length", b"2"))) == 400


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/..%2f..%2fstore%2fpeople.py",
        "/assets/%2e%2e/app.py",
        "/assets/....//app.py",
        "/assets//etc/passwd",
        "/assets/C:\\windows\\win.ini",
        "/results/../../etc/passwd",
        "/results/..%2f..%2fetc%2fpasswd/result.json",
        "/results/" + "0" * 64 + "/figures/..%2f..%2fsecret.png",
        "/results/" + "0" * 63 + "g/comments",
        "/moderation/results/1 OR 1=1",
    ],
)
def test_no_address_leads_to_a_file(copied_site, path):
    answer = copied_site.browser("Boss").get(path)
    assert answer.status_code in (400, 404)
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_a_client_asks_so_often_in_a_minute(copied_site):
    app, said = copied_site.app, []

    async def inner(scope, receive, send):
        said.append(1)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    guard = site_guard.Guard(inner, Settings(), reads=3, changes=2)

    def ask(method, address):
        answers = []

        async def send(message):
            answers.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http", "method": method, "path": "/", "query_string": b"", "client": (address, 1), "app": app,
            "scheme": "http", "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        asyncio.run(guard(scope, receive, send))
        return answers[0]["status"]

    from unittest import mock

    with mock.patch.object(counter.time, "time", return_value=1_000_000_000.0):
        assert [ask("GET", "10.0.0.1") for _ in range(4)] == [204, 204, 204, 429]
        assert [ask("POST", "10.0.0.1") for _ in range(3)] == [204, 204, 429]
        assert ask("GET", "10.0.0.2") == 204
        assert [ask("GET", f"2001:db8::{number}") for number in range(4)] == [204, 204, 204, 429]  # one household
    with mock.patch.object(counter.time, "time", return_value=1_000_000_060.0):
        assert ask("GET", "10.0.0.1") == 204
    assert len(said) == 10


def test_many_clients_at_once_do_not_count_for_each_other(monkeypatch):
    monkeypatch.setattr(counter, "SLOTS", 1024)
    one = counter.Counter(2, 3600)
    assert not any(one.wait(f"10.0.{number // 256}.{number % 256}") for number in range(600) for _ in range(2))
    assert one.wait("10.0.0.1") > 0
    crowded = counter.Counter(2, 3600)
    assert not any(crowded.wait(f"address {number}") for number in range(20_000)), "who did least gives way"
    for _ in range(2):
        crowded.wait("busy")
    assert crowded.wait("busy") > 0


def test_pages_of_a_session_are_not_kept(copied_site):
    assert copied_site.browser("Ada").get("/results").headers["cache-control"] == "private, no-store"
    anonymous = copied_site.browser().get("/results")
    assert "no-store" not in anonymous.headers["cache-control"]
    assert "Cookie" in anonymous.headers["vary"]
    address = re.search(r'href="(/assets/style\.[0-9a-f]{12}\.css)"', anonymous.text)[1]
    assert "immutable" in copied_site.browser("Ada").get(address).headers["cache-control"]


def test_a_site_below_a_path(copied_site):
    site = Site(copied_site.engine, copied_site.found, base_url="http://localhost/crowd")
    one = site.browser()
    page = one.get("/crowd/account")
    assert page.headers["location"] == "/crowd/login?next=/account"
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', one.get("/crowd/login?next=/account").text)[1]
    values = {"csrf": token, "name": "Ada", "token": site.tokens["Ada"], "next": "/account"}
    answer = one.client.post("/crowd/login", data=values, headers=one.origin)
    assert answer.headers["location"] == "/crowd/account"
    assert one.get("/crowd/account").status_code == 200


def test_fill_gives_what_the_tests_ask_for(engine):
    assert set(fill(engine)["ids"]) == {"published", "valid", "quarantined", "reviewers", "bobs"}

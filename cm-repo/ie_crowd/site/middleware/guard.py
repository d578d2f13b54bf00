"""Check every request before any handler (host, origin, headers, body size, rate limit), and add security headers.

Pure ASGI, so that a body is refused while it comes. Nothing here looks into the store: requests are counted in memory,
for a write to the store with each of them would make readers wait. What the store says of itself when it cannot be used
(busy, full, read-only, gone) becomes one line here, whoever met it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import anyio
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response

from ie_crowd.site.middleware import problem_details, writers
from ie_crowd.site.middleware.counter import MINUTE, Counter
from ie_crowd.site.settings import Settings
from ie_crowd.store import database

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
FEATURES = "accelerometer camera geolocation gyroscope magnetometer microphone payment usb"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not no-referrer: browsers then send "Origin: null" with our own forms, too
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in FEATURES.split()),
    "Cross-Origin-Resource-Policy": "same-origin",
}
SHARED = "Cross-Origin-Resource-Policy"
SESSION = "ie_session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MOST_HEADERS, LONGEST_HEADER, LONGEST_PATH, LONGEST_QUERY = 64, 8192, 1024, 4096
ONLY_ONCE = ("host", "origin", "content-length", "content-type", "transfer-encoding", "authorization", "sec-fetch-site")
LARGEST_BODY = 64 * 1024
BODY_SECONDS = 30
BUSY_SECONDS = 5  # after which a busy store may be asked again
READS, CHANGES = 900, 60  # requests of one client in a minute
_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def secure(settings: Settings) -> bool:
    """Whether browsers reach the site over TLS, so that cookies may not travel otherwise."""
    return settings.secure_cookies or settings.base_url.startswith("https:")


def cookie_name(settings: Settings, name: str) -> str:
    """``__Host-`` in front, where a browser takes it: no other host and no plain connection can then set it."""
    return f"__Host-{name}" if secure(settings) else name


def loopback(host: str) -> bool:
    """Whether the name leads to this machine itself."""
    return host in ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """The outermost layer: lets a request in, or refuses it in one line; adds headers to whatever is answered."""

    def __init__(self, app: Any, settings: Settings, reads: int = READS, changes: int = CHANGES) -> None:
        self.app = app
        self.settings = settings
        self.hosts = {name.lower() for name in settings.hosts}
        self.origins: set[str] = set()
        if settings.base_url:
            parts = urlsplit(settings.base_url)
            self.hosts.add(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else (parts.hostname or ""))
            self.origins.add(f"{parts.scheme}://{parts.netloc}".lower())
        self.reads, self.changes = Counter(reads), Counter(changes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                return  # there are none here
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._dress(message, scope, headers)
            await send(message)

        refused = self._refuse(scope, headers) or self._too_often(scope)
        if refused is not None:
            await refused(scope, receive, sending)
            return
        try:
            counted = receive if for_programs(scope, self.settings) else _counted(receive, LARGEST_BODY)
            await self.app(scope, counted, sending)
        except (TooLarge, TooSlow) as error:
            if not started:
                status = 413 if isinstance(error, TooLarge) else 408
                await refusal(scope, status, f"{error}")(scope, receive, sending)
        except (DBAPIError, PoolTimeout, writers.Busy) as error:
            answer = unavailable(scope, error)
            if answer is None or started:
                raise
            await answer(scope, receive, sending)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request whose head is not in order; None for one that is."""
        head = _odd_head(scope)
        if head is not None:
            return refusal(scope, *head)
        match = _HOST.fullmatch(headers.get("host", ""))
        if match is None:
            return refusal(scope, 400, "a request needs one Host")
        if match["name"].lower() not in self.hosts:
            return refusal(scope, 421, "this server is not that host; start it with --host or --base-url")
        if scope["method"] not in SAFE_METHODS:
            if not self._from_here(scope, headers):
                return refusal(scope, 403, "a change can be asked for from this site's own pages only")
            length = headers.get("content-length")
            if length is not None and (not length.isascii() or not length.isdecimal()):
                return refusal(scope, 400, "Content-Length is no number")
            too_long = length is not None and (len(length) > 15 or int(length) > LARGEST_BODY)
            if too_long and not for_programs(scope, self.settings):
                return refusal(scope, 413, f"at most {LARGEST_BODY:,} bytes are read")
        return None

    def _from_here(self, scope: Scope, headers: Headers) -> bool:
        """Whether a page of this site asks, or a program without cookies."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None:
            here = f"{scope.get('scheme', 'http')}://{headers['host']}".lower()
            if origin.lower() != here and origin.lower() not in self.origins:
                return False
        if site is not None and site != "same-origin":
            return False
        return origin is not None or site is not None or "cookie" not in headers

    def _too_often(self, scope: Scope) -> Response | None:
        counter = self.reads if scope["method"] in SAFE_METHODS else self.changes
        wait = counter.wait(client(scope))
        if not wait:
            return None
        return refusal(scope, 429, f"too many requests; try again in {wait} s", {"Retry-After": str(wait)})

    def _dress(self, message: Any, scope: Scope, asked: Headers) -> None:
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        shared = headers.get(SHARED) == "cross-origin"  # a picture that is made for pages of others
        for name, value in answer_headers(scope, self.settings).items():
            if not (shared and name == SHARED):
                headers[name] = value
        kept = headers.get("cache-control")
        if kept is not None and "immutable" in kept:
            return
        headers.add_vary_header("Cookie")
        if _has_cookie(asked, cookie_name(self.settings, SESSION)) or "set-cookie" in headers:
            headers["Cache-Control"] = "private, no-store"
        elif kept is None:
            headers["Cache-Control"] = "no-cache"


def answer_headers(scope: Scope, settings: Settings) -> dict[str, str]:
    """The headers that every answer to this request has."""
    found = dict(HEADERS)
    tls = scope.get("scheme") == "https" or settings.base_url.startswith("https:")
    if tls:
        found["Strict-Transport-Security"] = "max-age=31536000"
    host = Headers(scope=scope).get("host", "").rpartition(":")[0] or Headers(scope=scope).get("host", "")
    if tls or loopback(host):  # elsewhere browsers complain about it
        found["Cross-Origin-Opener-Policy"] = "same-origin"
    return found


def for_programs(scope: Scope, settings: Settings) -> bool:
    """Whether it is the API that is asked: it reads parameters and bodies by limits of its own, and notes refusals."""
    return str(scope["path"]).removeprefix(settings.base_path).startswith("/api/")


def refusal(scope: Scope, status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """One line for people, one object for programs."""
    if "/api/" in scope["path"]:
        return problem_details.response(status, text, headers)
    return PlainTextResponse(f"{text}\n", status, headers=headers)


def unavailable(scope: Scope, error: Exception) -> Response | None:
    """One line for a store that cannot be used for now, with when to come again; None for a mistake of ours."""
    found = database.Trouble("busy", f"{error}") if isinstance(error, writers.Busy) else database.trouble(error)
    if found is None:
        return None
    status, seconds = (507, 600) if found.kind == "full" else (503, BUSY_SECONDS if found.kind == "busy" else MINUTE)
    return refusal(scope, status, f"{found.text}; try again later", {"Retry-After": str(seconds)})


def client(scope: Scope) -> str:
    """Who asks: an address, of IPv6 the network that one household has."""
    address = (scope.get("client") or ("unknown", 0))[0]
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return str(address)
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _odd_head(scope: Scope) -> tuple[int, str] | None:
    """Status and words for a head that no browser sends."""
    raw: Iterable[tuple[bytes, bytes]] = scope["headers"]
    names = [name.decode("latin-1").lower() for name, _ in raw]
    if len(names) > MOST_HEADERS or any(len(value) > LONGEST_HEADER for _, value in raw):
        return 431, f"at most {MOST_HEADERS} headers of {LONGEST_HEADER:,} bytes each are read"
    if any(names.count(name) > 1 for name in ONLY_ONCE):
        return 400, "a header came twice that says one thing"
    if "content-length" in names and "transfer-encoding" in names:
        return 400, "a body has Content-Length or Transfer-Encoding, not both"
    query = scope.get("query_string", b"")
    if len(scope["path"]) > LONGEST_PATH or len(query) > LONGEST_QUERY:
        return 414, "the address is too long"
    if "/api/" in scope["path"]:
        return None  # it reads its parameters strictly, and says which is wrong
    if any(ord(one) < 32 or ord(one) == 127 for one in scope["path"]) or b"\0" in unquote_to_bytes(query):
        return 400, "the address holds a control character"
    return None


class TooLarge(Exception):
    """A body that goes on beyond what is read."""


class TooSlow(Exception):
    """A body that does not come to its end."""


def _counted(receive: Receive, most: int) -> Receive:
    """``receive`` for a body of at most ``most`` bytes, all of which come within BODY_SECONDS of the first question."""
    read, finished = 0, False
    deadline: float | None = None

    async def receiving() -> Any:
        nonlocal read, finished, deadline
        if finished:
            return await receive()
        deadline = deadline or anyio.current_time() + BODY_SECONDS
        with anyio.CancelScope(deadline=deadline):
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                finished = not message.get("more_body", False)
                if read > most:
                    raise TooLarge(f"at most {most:,} bytes are read")
            return message
        raise TooSlow(f"the body did not come within {BODY_SECONDS} s")

    return receiving


def _has_cookie(headers: Headers, name: str) -> bool:
    return any(part.strip().startswith(f"{name}=") for part in headers.get("cookie", "").split(";"))

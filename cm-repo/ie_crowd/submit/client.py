"""Send one result to a server: https with certificates checked, no redirects, retries with backoff, bounded answers.

The token is sent to the address that was given and nowhere else. An answer is data from a stranger: it is read with
limits, and its words are shown without what could move a terminal's cursor.
"""

from __future__ import annotations

import email.utils
import http.client
import ipaddress
import json
import random
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from ie_crowd.formats import strict

ANSWER = strict.Limits(size=64 * 2**10, depth=6, values=2_000, string=4_000)
TRIES = 5
FIRST_WAIT = 1.0  # seconds before the second try; doubles from there
LONGEST_WAIT = 60.0  # for one try, even if the server asks for more
CONNECT_SECONDS = 20.0  # for the connection and each piece of the answer
ANSWER_SECONDS = 60.0  # for all of one request
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers after which the same may succeed
LOCAL = ("localhost",)


class Server(NamedTuple):
    """``url``: without a slash at its end. ``token``: what the operator gave out."""

    url: str
    token: str


class Answer(NamedTuple):
    """A status and the JSON object that came with it."""

    status: int
    body: dict[str, Any]
    retry_after: float | None = None

    def problem(self) -> str:
        """What the server had against it, in one line."""
        said = str(self.body.get("detail") or self.body.get("title") or "")
        return shown(said) or f"status {self.status}"


class UnreachableError(Exception):
    """Nothing usable came back; ``again``: the same may succeed in a moment."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


def address(url: str) -> str:
    """The server's address, checked. Raises ValueError for anything but https (or http to this machine itself).

    The address of its API, or of a page below it, is as good: what stands behind it is taken off.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("--server: is no address; expected https://HOST") from None
    if parts.username or parts.password:
        raise ValueError("--server: holds a name or a password; the token comes from --token-file or IE_CROWD_TOKEN")
    if parts.query or parts.fragment or not host or not url.isascii() or any(not one.isprintable() for one in url):
        raise ValueError(f"--server={url!r:.100}: expected an address like https://example.org")
    if parts.scheme != "https" and not (parts.scheme == "http" and _local(host)):
        raise ValueError(f"--server={url!r:.100}: expected https://… (http is for 127.0.0.1 and localhost only)")
    shown_host = f"[{host}]" if ":" in host else host
    path = re.sub(r"/api(/v[0-9]+(/results)?)?$", "", parts.path.rstrip("/"))
    return f"{parts.scheme}://{shown_host}{f':{port}' if port else ''}{path.rstrip('/')}"


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOCAL


def shown(text: str, most: int = 400) -> str:
    """Words of a server on one line, without characters that are not shown."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:most]


def ask(
    server: Server, path: str, content: bytes | None = None, kind: str = "application/json", seconds: float = 0
) -> Answer:
    """One request: GET, or POST of a JSON document or another ``kind``. Raises UnreachableError, for a redirect too.

    All of it takes at most ANSWER_SECONDS, or ``seconds`` if that is more, however slowly the server answers.
    """
    seconds = max(seconds, ANSWER_SECONDS)
    got: list[Answer | Exception] = []

    def request() -> None:
        try:
            got.append(_request(server, path, content, kind))
        except Exception as error:  # handed to the thread that waits
            got.append(error)

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    thread.join(seconds)
    if not got:
        raise UnreachableError(f"no answer within {seconds:.0f} seconds")
    if isinstance(got[0], Exception):
        raise got[0]
    return got[0]


def _request(server: Server, path: str, content: bytes | None, kind: str) -> Answer:
    headers = {"Authorization": f"Bearer {server.token}", "Accept": "application/json", "User-Agent": "ie-repr"}
    if content is not None:
        headers["Content-Type"] = kind
    request = urllib.request.Request(  # noqa: S310 the address was checked
        server.url + path, data=content, headers=headers, method="GET" if content is None else "POST"
    )
    try:
        with _opener(server.url).open(request, timeout=CONNECT_SECONDS) as answer:
            status, said = answer.status, answer.headers
            body = answer.read(ANSWER.size + 1)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            why = f"its certificate is not to be trusted ({shown(str(error.reason.verify_message), 100)})"
            raise UnreachableError(why, again=False) from None
        raise UnreachableError(_reason(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(_reason(error)) from None
    if 300 <= status < 400:
        raise UnreachableError(_moved(server.url, path, said.get("Location", "")), again=False)
    return Answer(status, _object(body, said.get("Content-Type", "")), _retry_after(said.get("Retry-After")))


def _moved(url: str, path: str, location: str) -> str:
    """What to say of a redirect from ``url`` + ``path``: where to, and what to do."""
    to, server = location.strip(), ""
    try:
        to = urljoin(url + path, to) if to else ""
        server = shown(address(to.removesuffix(path)), 200) if to.endswith(path) else ""
    except ValueError:  # no address, or one that no token is sent to
        pass
    if server and server != url:
        return f"it has moved to {server}; if you trust that address, send to it: --server={server}"
    where = f"sends us on to {shown(to, 200)}" if to else "sends us on, but not where to"
    return f"it {where}; that is not followed, as no API is known there: ask whoever runs the site for its address"


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Of urllib's handlers those that are wanted: no redirects, no other protocols, every status as an answer."""
    opener = urllib.request.OpenerDirector()
    if url.startswith("https:"):
        opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    return opener


def _object(body: bytes, kind: str) -> dict[str, Any]:
    """The JSON object of an answer; an answer without one is as good as none."""
    if len(body) > ANSWER.size:
        raise UnreachableError(f"the answer is longer than {ANSWER.size:,} bytes")
    if kind.partition(";")[0].strip().lower() not in ("application/json", "application/problem+json"):
        return {}
    try:
        found = strict.parse_json(body, ANSWER, "the answer")
    except ValueError as error:
        raise UnreachableError(shown(str(error))) from None
    if not isinstance(found, dict):
        raise UnreachableError("the answer is not a JSON object")
    return found


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds a number or a date; None for anything else."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _reason(error: Any) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shown(str(said).lower(), 200)


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def persist(attempt: Callable[[], Answer], say: Callable[[str], None]) -> Answer:
    """The answer of the first attempt that is not one of AGAIN, after growing waits; the last answer otherwise.

    Raises UnreachableError if no attempt got an answer, or the server asks for more patience than LONGEST_WAIT.
    """
    for number in range(1, TRIES + 1):
        asked = None
        try:
            answer = attempt()
            if answer.status not in AGAIN:
                return answer
            why, asked = f"the server answers {answer.status}", answer.retry_after
        except UnreachableError as error:
            if not error.again:
                raise
            why, answer = str(error), None
        wait = FIRST_WAIT * 2 ** (number - 1) * random.uniform(0.7, 1.3)  # noqa: S311 so that not all come at once
        if number == TRIES or (asked or 0) > LONGEST_WAIT:
            wanted = f"; it asks to wait {asked:,.0f} s" if (asked or 0) > LONGEST_WAIT else ""
            if answer is None or wanted:
                raise UnreachableError(f"{why} ({number} tries{wanted})")
            return answer
        wait = min(max(wait, asked or 0.0), LONGEST_WAIT)
        say(f"{why}; trying again in {wait:.0f} s ({number} of {TRIES})")
        pause(wait)
    raise AssertionError


def account(server: Server) -> Answer:
    """Whose token it is."""
    return ask(server, "/api/v1/account")


def send(server: Server, content: bytes) -> Answer:
    """Upload a result.json."""
    return ask(server, "/api/v1/results", content)


def commit(server: Server, content: bytes) -> Answer:
    """Commit to code and settings, and get label draws."""
    return ask(server, "/api/v1/commitments", content)


def sign(server: Server, result_id: str, signature: str) -> Answer:
    """Send the signature of a result."""
    return ask(server, f"/api/v1/results/{result_id}/signature", signature.encode("ascii"), "text/plain")


def evidence(server: Server, result_id: str) -> Answer:
    """Which files the server asks for of a result, and which are there."""
    return ask(server, f"/api/v1/results/{result_id}/evidence")


def send_evidence(server: Server, result_id: str, path: str, content: bytes) -> Answer:
    """Upload one of the files that a result rests on."""
    to = f"/api/v1/results/{result_id}/evidence?path={quote(path, safe='/')}"
    return ask(server, to, content, "application/octet-stream", seconds=300)


def envelope(server: str, result: dict[str, Any]) -> str:
    """The text of a file that keeps a result to be sent later: where to, and what. It holds no token."""
    return json.dumps({"format": 1, "server": server, "result": result}, indent=1, ensure_ascii=False) + "\n"

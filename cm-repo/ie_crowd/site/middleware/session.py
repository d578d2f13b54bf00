"""Sessions, CSRF tokens and flash messages, all from cookies: who asks, and what their last form did.

A session's cookie holds a random secret; the store holds its hash. The token of forms is made from that secret by HMAC,
so another session's is no good, and the page that shows it cannot give the secret away. Before somebody logs in, a
random cookie of the visit takes the secret's place.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ie_crowd.site.middleware.flash import MESSAGES
from ie_crowd.site.middleware.guard import SESSION, Receive, Scope, Send, cookie_name, secure
from ie_crowd.site.settings import Settings
from ie_crowd.store.people import accounts

VISIT, FLASH = "ie_visit", "ie_flash"
FLASH_SECONDS = 60
VISIT_SECONDS = 3600
STALE = "This form is no longer valid: it was made before you logged in or out. Go back, reload the page, try again."


class Visitor:
    """The innermost layer: ``request.state`` gets account, csrf, secret and flash. Programs have tokens instead."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            request = Request(scope)
            state = request.state
            state.account, state.csrf, state.secret, state.flash, state.undo = None, "", "", "", 0
            path = scope["path"].removeprefix(self.settings.base_path)
            if not path.startswith(("/assets/", "/api/", "/healthz")):
                await self._look(request)
            if state.flash and scope["method"] == "GET":
                send = self._shown(request, send)
        await self.app(scope, receive, send)

    def _shown(self, request: Request, send: Send) -> Send:
        """``send`` that ends the message's cookie with the page that shows it."""

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] != 303:
                ended = Response()
                drop_cookie(request, ended, FLASH)
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in ended.raw_headers if pair[0] == b"set-cookie"),
                ]
            await send(message)

        return sending

    async def _look(self, request: Request) -> None:
        state, cookies = request.state, request.cookies
        word, _, line = cookies.get(cookie_name(self.settings, FLASH), "").partition(".")
        state.flash = MESSAGES.get(word, "")
        state.undo = int(line) if line.isascii() and line.isdecimal() and len(line) < 16 else 0
        secret = cookies.get(cookie_name(self.settings, SESSION), "")
        if secret:
            state.account = await run_in_threadpool(accounts.by_session, request.app.state.store, secret)
        if state.account is not None:
            state.secret, state.csrf = secret, form_token(secret)
        elif visit := cookies.get(cookie_name(self.settings, VISIT), "")[:200]:
            state.csrf = form_token(visit)


def form_token(secret: str) -> str:
    """The token of the forms of a session or a visit."""
    return hmac.new(secret.encode("utf-8", "replace"), b"a form of this site", hashlib.sha256).hexdigest()


def check_form(request: Request, given: str) -> None:
    """Raise HTTPException 403 unless ``given`` is the token of this session's (or visit's) forms."""
    wanted = request.state.csrf
    if not wanted or not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")):
        raise HTTPException(403, STALE)


def begin_visit(request: Request, response: Response) -> None:
    """Give somebody without a session the cookie that ``new_visit`` has chosen."""
    chosen = getattr(request.state, "visit", None)
    if chosen:
        set_cookie(request, response, VISIT, chosen, VISIT_SECONDS, "strict")


def new_visit(request: Request) -> None:
    """Choose a cookie for somebody who has none, before the page with the form is made."""
    if not request.state.csrf:
        request.state.visit = secrets.token_urlsafe(24)
        request.state.csrf = form_token(request.state.visit)


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int, same_site: Any) -> None:
    """A cookie that no script reads, that goes to this host only, and over TLS only where the site has it."""
    settings = request.app.state.settings
    response.set_cookie(
        cookie_name(settings, name),
        value,
        max_age=seconds,
        path="/",
        secure=secure(settings),
        httponly=True,
        samesite=same_site,
    )


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """End a cookie."""
    settings = request.app.state.settings
    response.delete_cookie(
        cookie_name(settings, name), path="/", secure=secure(settings), httponly=True, samesite="strict"
    )


def done(request: Request, path: str, message: str, undo: int = 0) -> Response:
    """After a change: go to a page of this site, which says so; ``undo``: the line of the log that it offers."""
    assert message in MESSAGES, message
    assert path.startswith("/")
    response = RedirectResponse(request.app.state.settings.base_path + path, 303)
    set_cookie(request, response, FLASH, f"{message}.{undo}" if undo else message, FLASH_SECONDS, "strict")
    return response

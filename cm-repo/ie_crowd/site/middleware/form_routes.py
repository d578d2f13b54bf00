"""How handlers of forms and of pages for some are made: rights first, then the body, the form's token, the handler.

A handler is a plain function of the request and what was typed; it runs in a thread. What the store refuses becomes the
page again, with the words at the field and what was typed; a change that came too late becomes a page that says so.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ie_crowd.site.middleware import form_data, permissions, session, writers
from ie_crowd.store import rate_limit
from ie_crowd.store.people.moderation import WrongState

Typed = Mapping[str, str]
TOKEN = 200  # characters of a form's token that are read
# A page of this site: no scheme, no host (//, /\), nothing that a header or an attribute reads otherwise.
_HERE = re.compile(r"/(?![/\\])[A-Za-z0-9/_.-]{0,200}")


def posted(path: str, name: str, handler: Callable[[Request, Typed], Response], /, **longest: int) -> Route:
    """A route that changes something, for those who may by ``rights``; ``longest``: its fields and their lengths."""
    assert name in permissions.RIGHTS, name

    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        need(request, name)
        typed = await form_data.read(request, {"csrf": TOKEN, **longest})
        session.check_form(request, typed.pop("csrf"))
        try:
            return await writers.write(request, handler, request, typed)
        except WrongState as error:
            raise HTTPException(409, f"{error}. Somebody else was faster: reload the page.") from None

    return Route(path, endpoint, methods=["POST"], name=name)


def page(path: str, name: str, handler: Callable[[Request], Response]) -> Route:
    """A page for those who may read it by ``rights``; somebody without a session is led to the log-in and back."""
    assert name in permissions.PAGES, name

    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        if request.state.account is None:
            return to_login(request)
        need(request, name)
        return await run_in_threadpool(handler, request)

    return Route(path, endpoint, name=name)


def need(request: Request, name: str) -> None:
    """Raise HTTPException: 401 without a session, 403 without the right."""
    account = request.state.account
    if permissions.may(account, name):
        return
    if account is None:
        raise HTTPException(401, "Log in first.", {"WWW-Authenticate": "Session"})
    role = {**permissions.RIGHTS, **permissions.PAGES}[name].role
    raise HTTPException(403, f"This needs the role {role}; yours is {account['role']}.")


def refused(change: Callable[..., Any], *values: Any, **more: Any) -> str:
    """Make a change; "", or what the store says about what was typed. A change that came too late passes through."""
    try:
        change(*values, **more)
    except WrongState:
        raise
    except ValueError as error:
        return f"{error}"
    return ""


def to_login(request: Request) -> Response:
    """The log-in, which leads back here."""
    base = request.app.state.settings.base_path
    here = request.url.path.removeprefix(base)
    return RedirectResponse(f"{base}/login?next={quote(here)}", 303)


def too_often(request: Request, what: str, *, most: int, seconds: int, who: str | None = None) -> int:
    """Count one try of this account (or of ``who``); 0, or the seconds to wait."""
    state = request.app.state
    by = str(request.state.account["pk"]) if who is None else who
    return rate_limit.allow(state.store, what, by, most=most, seconds=seconds, salt=state.salt)


def here(path: str) -> str:
    """A page of this site that a form asks to go back to; "" for anything else."""
    return path if _HERE.fullmatch(path) else ""


def before(request: Request) -> int | None:
    """``?before=``, the number of the line that the last page ended with. HTTPException 400 for what is none."""
    given = request.query_params.get("before", "")
    if given and not (given.isascii() and given.isdecimal() and len(given) < 16):
        raise HTTPException(400, "before is the number of a line.")
    return int(given) if given else None


def page_number(request: Request) -> int:
    """``?page=`` as a number. Raises HTTPException 400 for what is none."""
    given = request.query_params.get("page", "1")
    if not given.isascii() or not given.isdecimal() or len(given) > 6 or int(given) < 1:
        raise HTTPException(400, "page is a whole number from 1.")
    return int(given)

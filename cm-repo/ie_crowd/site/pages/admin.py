"""The operator's pages: accounts, their roles and tokens, and the log."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ie_crowd.formats import moments
from ie_crowd.site.middleware import form_routes, session
from ie_crowd.site.middleware.form_routes import Typed
from ie_crowd.site.pages.account import show_token
from ie_crowd.site.rendering.context import render
from ie_crowd.store import audit, tables
from ie_crowd.store.people import accounts as store_accounts

LINES = 50
ACCOUNTS = "/operator/accounts"
NAME = 200


def accounts(request: Request) -> Response:
    """Every account, and the form for a new one."""
    return _accounts(request)


def _accounts(request: Request, typed: Typed | None = None, error: str = "", status: int = 200) -> Response:
    rows = store_accounts.accounts(request.app.state.store)
    shown = typed or {"name": "", "role": "contributor"}
    values: dict[str, Any] = {"rows": rows, "roles": tables.ROLES, "typed": shown, "error": error}
    return render(request, "accounts.html.j2", status, **values)


def add(request: Request, typed: Typed) -> Response:
    """A new account; its token is shown this once."""
    name = unicodedata.normalize("NFC", typed["name"].strip())
    try:
        token = store_accounts.add(request.app.state.store, name, typed["role"], by=request.state.account)
    except ValueError as error:
        return _accounts(request, typed, f"{error}", 422)
    return show_token(request, name, token, ACCOUNTS)


def token(request: Request, typed: Typed) -> Response:
    """Another token for an account."""
    try:
        made = store_accounts.new_token(request.app.state.store, typed["name"], by=request.state.account)
    except ValueError as error:
        raise HTTPException(409, f"{error}") from None
    return show_token(request, typed["name"], made, ACCOUNTS)


def role(request: Request, typed: Typed) -> Response:
    """Another role."""
    return _change(request, store_accounts.set_role, "role-changed", typed["name"], typed["role"])


def end(request: Request, typed: Typed) -> Response:
    """End tokens and sessions."""
    return _change(request, store_accounts.revoke, "tokens-ended", typed["name"])


def disable(request: Request, typed: Typed) -> Response:
    """The account may do nothing any more."""
    return _change(request, store_accounts.disable, "account-disabled", typed["name"])


def enable(request: Request, typed: Typed) -> Response:
    """It may again."""
    return _change(request, store_accounts.enable, "account-enabled", typed["name"])


def _change(request: Request, change: Callable[..., Any], message: str, *values: str) -> Response:
    try:
        change(request.app.state.store, *values, by=request.state.account)
    except ValueError as error:
        raise HTTPException(400, f"{error}") from None
    return session.done(request, ACCOUNTS, message)


def log(request: Request) -> Response:
    """Who did what and when, newest first."""
    before, given = form_routes.before(request), request.query_params
    chosen = {name: given.get(name, "").strip()[:100] for name in ("subject", "actor", "until")}
    if chosen["until"] and moments.day(chosen["until"]) is None:
        raise HTTPException(400, "until is a day: YYYY-MM-DD.")
    asked = {name: value or None for name, value in chosen.items()}
    lines = audit.read(request.app.state.store, **asked, before=before, limit=LINES + 1)
    older = lines[LINES - 1]["pk"] if len(lines) > LINES else None
    return render(request, "log.html.j2", lines=lines[:LINES], older=older, chosen=chosen, first=before is None)


routes = [
    form_routes.page(ACCOUNTS, "accounts", accounts),
    form_routes.posted(ACCOUNTS, "add account", add, name=NAME, role=20),
    form_routes.posted(f"{ACCOUNTS}/token", "give token", token, name=NAME),
    form_routes.posted(f"{ACCOUNTS}/role", "change role", role, name=NAME, role=20),
    form_routes.posted(f"{ACCOUNTS}/end", "end tokens", end, name=NAME),
    form_routes.posted(f"{ACCOUNTS}/disable", "disable account", disable, name=NAME),
    form_routes.posted(f"{ACCOUNTS}/enable", "enable account", enable, name=NAME),
    form_routes.page("/operator/log", "log", log),
]

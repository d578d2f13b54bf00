"""The operator's pages: accounts, their roles and tokens, what is related to the paper, and the log."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ie_crowd.challenge.paper_pages import KINDS, LONGEST_LINK, wrong_link
from ie_crowd.formats import moments
from ie_crowd.site.middleware import form_routes, session
from ie_crowd.site.middleware.form_routes import Typed
from ie_crowd.site.pages.account import show_token
from ie_crowd.site.pages.comments import number
from ie_crowd.site.rendering.context import render
from ie_crowd.store import audit, tables
from ie_crowd.store.people import accounts as store_accounts
from ie_crowd.store.people import related as store_related

LINES = 50
ACCOUNTS = "/operator/accounts"
RELATED = "/operator/related"
TYPED = {name: 2 * most + 100 for name, most in LONGEST_LINK.items()}  # the store says what is too long
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


def related(request: Request) -> Response:
    """What is related to the paper, with the forms that change it."""
    return _related(request)


def _related(
    request: Request,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    at: int = 0,
) -> Response:
    """``at``: the entry that was typed in, 0 for the new one."""
    content = request.app.state.content
    return render(
        request,
        "related.html.j2",
        422 if errors else 200,
        rows=store_related.entries(request.app.state.store, content.challenge.id, content.words.links),
        kinds=KINDS,
        typed={**dict.fromkeys(LONGEST_LINK, ""), **(typed or {})},
        errors=defaultdict(str, errors or {}),
        at=at,
        longest=LONGEST_LINK,
        most=store_related.MOST,
        subject=store_related.subject(content.challenge.id),
    )


def add_related(request: Request, typed: Typed) -> Response:
    """Another entry."""
    return _keep_related(request, typed, 0)


def edit_related(request: Request, typed: Typed) -> Response:
    """Change, move or remove an entry."""
    content, one, do = request.app.state.content, number(request), typed["do"]
    place = (
        request.app.state.store,
        content.challenge.id,
        content.words.links,
        request.state.account,
        one,
        typed["was"],
    )
    if do == "save":
        return _keep_related(request, typed, one)
    if do in store_related.MOVES:
        store_related.move(*place, do)
        return session.done(request, RELATED, "related-moved")
    if do != "remove":
        raise HTTPException(400, "do is save, up, down or remove.")
    store_related.remove(*place)
    return session.done(request, RELATED, "related-removed")


def _keep_related(request: Request, typed: Typed, one: int) -> Response:
    content, store, account = request.app.state.content, request.app.state.store, request.state.account
    fields = {name: typed[name] for name in LONGEST_LINK}
    errors = wrong_link(**fields)
    if not errors:
        place = (store, content.challenge.id, content.words.links, account)
        if one:
            said = form_routes.refused(store_related.change, *place, one, typed["was"], fields)
        else:
            said = form_routes.refused(store_related.add, *place, fields)
        errors = {"url": said} if said else {}
    if errors:
        return _related(request, fields, errors, one)
    return session.done(request, RELATED, "related-changed" if one else "related-added")


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
    form_routes.page(RELATED, "related", related),
    form_routes.posted(RELATED, "add related", add_related, **TYPED),
    form_routes.posted(f"{RELATED}/{{number}}", "edit related", edit_related, do=10, was=600, **TYPED),
]

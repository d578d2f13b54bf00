"""Log-in by name and token, which begins a session; log-out, which ends it."""

from __future__ import annotations

import hmac
import unicodedata

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.site.middleware import form_routes, guard, session
from ie_crowd.site.middleware.form_routes import Typed
from ie_crowd.site.rendering.context import render
from ie_crowd.store import rate_limit
from ie_crowd.store.people import accounts

TRIES, TRY_SECONDS = 10, 300  # of one address; nobody can lock out another by his name
WRONG = "Name and token do not belong together, or the token has ended."


def page(request: Request) -> Response:
    """The form."""
    return _form(request, {"next": request.query_params.get("next", "")})


def log_in(request: Request, typed: Typed) -> Response:
    """Begin a session. The answer is the same for a name that is unknown and for a token that is wrong."""
    store, salt = request.app.state.store, request.app.state.salt
    who = guard.client(request.scope)
    wait = rate_limit.allow(store, "log-in", who, most=TRIES, seconds=TRY_SECONDS, salt=salt)
    if wait:
        return _form(request, typed, f"Too many tries. Wait {wait} s.", 429, {"Retry-After": str(wait)})
    name, token = unicodedata.normalize("NFC", typed["name"].strip()), typed["token"].strip()
    account = accounts.by_token(store, token)
    theirs = account["name"] if account is not None else ""
    same = hmac.compare_digest(theirs.encode(), name.encode("utf-8", "replace"))
    begun = accounts.log_in(store, token) if account is not None and same else None
    if begun is None:
        return _form(request, typed, WRONG, 403)
    secret, _ = begun
    rate_limit.forget(store, "log-in", who, seconds=TRY_SECONDS, salt=salt)
    if request.state.secret:
        accounts.log_out(store, request.state.secret)  # the session that this browser had before
    response = session.done(request, here(typed["next"]), "logged-in")
    session.set_cookie(request, response, guard.SESSION, secret, accounts.SESSION_HOURS * 3600, "lax")
    session.drop_cookie(request, response, session.VISIT)
    return response


def log_out(request: Request, typed: Typed) -> Response:
    """End the session."""
    accounts.log_out(request.app.state.store, request.state.secret)
    response = session.done(request, "/", "logged-out")
    session.drop_cookie(request, response, guard.SESSION)
    return response


def here(path: str) -> str:
    """Where to go after the log-in: a page of this site; the account's for anything else."""
    return "/account" if path.startswith(("/login", "/logout")) else form_routes.here(path) or "/account"


def _form(
    request: Request, typed: Typed, error: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    session.new_visit(request)
    shown = {"name": typed.get("name", ""), "next": here(typed.get("next", ""))}
    response = render(request, "login.html.j2", status, headers, typed=shown, error=error)
    session.begin_visit(request, response)
    return response


routes = [
    Route("/login", page, name="login page"),
    form_routes.posted("/login", "log in", log_in, name=100, token=300, next=300),
    form_routes.posted("/logout", "log out", log_out),
]

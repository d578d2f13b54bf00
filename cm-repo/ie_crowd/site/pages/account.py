"""One's own account: what one sent and what became of it, withdrawing it, and a new token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ie_crowd.formats.ssh import keys as formats
from ie_crowd.formats.ssh import signatures
from ie_crowd.site.middleware import form_routes, session
from ie_crowd.site.middleware.form_routes import Typed
from ie_crowd.site.pages.comments import TYPED, result_id
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query, tables
from ie_crowd.store.people import accounts, moderation, review_queue
from ie_crowd.store.proofs import keys

SIZE = 20


def account(request: Request) -> Response:
    """One's own uploads with their states and reasons, and one's keys."""
    return _account(request)


def _account(request: Request, errors: Mapping[str, str] | None = None) -> Response:
    """``errors``: of the fields of a key; what was typed into them is not shown again, for it may be a private key."""
    number = form_routes.page_number(request)
    page = review_queue.uploads(request.app.state.store, request.state.account, page=number, size=SIZE)
    return render(
        request,
        "account.html.j2",
        422 if errors else 200,
        page=page,
        number=number,
        pages=-(-page.total // SIZE),
        keys=keys.of(request.app.state.store, request.state.account["pk"]),
        how=keys.HOW,
        longest=(formats.LONGEST, signatures.LONGEST),
        errors=defaultdict(str, errors or {}),
    )


def add_key(request: Request, typed: Typed) -> Response:
    """Register a public key."""
    who = request.state.account
    if form_routes.too_often(request, "key", most=30, seconds=3600):
        return _account(request, {"key": "You tried many keys in this hour. Try again later."})
    error = form_routes.refused(keys.add, request.app.state.store, who["pk"], who["name"], typed["key"], typed["proof"])
    if error:
        return _account(request, {"proof" if "signature" in error else "key": error})
    return session.done(request, "/account", "key-added")


def remove_key(request: Request, typed: Typed) -> Response:
    """A key of one's own signs nothing any more."""
    who = request.state.account
    error = form_routes.refused(keys.remove, request.app.state.store, who["pk"], who["name"], typed["fingerprint"])
    return _account(request, {"key": error}) if error else session.done(request, "/account", "key-removed")


def renew(request: Request, typed: Typed) -> Response:
    """A new token, shown this once; the old ones and all other sessions end."""
    token = accounts.renew(request.app.state.store, request.state.account, request.state.secret)
    return show_token(request, request.state.account["name"], token, "/account")


def show_token(request: Request, name: str, token: str, back: str) -> Response:
    """The page that shows a token: the answer itself, for nothing could show the token a second time."""
    return render(request, "token.html.j2", headers={"Cache-Control": "no-store"}, name=name, token=token, back=back)


def withdraw_page(request: Request) -> Response:
    """Asks for the reason."""
    return _withdraw(request, {"why": ""})


def withdraw(request: Request, typed: Typed) -> Response:
    """Remove a result for good; id and reason stay."""
    error = form_routes.refused(
        moderation.withdraw, request.app.state.store, result_id(request), request.state.account, typed["why"]
    )
    if error:
        return _withdraw(request, typed, error)
    return session.done(request, "/account", "withdrawn")


def _withdraw(request: Request, typed: Typed, error: str = "") -> Response:
    row = query.one(request.app.state.store, result_id(request))
    who = request.state.account
    if row is None or row["state"] == tables.WITHDRAWN:
        raise HTTPException(404, "There is no such result, or it is withdrawn already.")
    if row["uploaded_by"] != who["name"]:
        accounts.need(who, "operator")
    return render(request, "withdraw.html.j2", 422 if error else 200, row=row, typed=typed, error=error)


routes = [
    form_routes.page("/account", "account", account),
    form_routes.posted("/account/token", "renew token", renew),
    form_routes.posted("/account/keys", "add key", add_key, key=formats.LONGEST, proof=signatures.LONGEST),
    form_routes.posted("/account/keys/remove", "remove key", remove_key, fingerprint=80),
    form_routes.page("/results/{id}/withdraw", "withdraw page", withdraw_page),
    form_routes.posted("/results/{id}/withdraw", "withdraw", withdraw, why=TYPED),
]

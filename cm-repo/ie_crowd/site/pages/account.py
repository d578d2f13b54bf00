"""One's own account: what one sent and what became of it, withdrawing it, and a new token."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ie_crowd.site.middleware import form_routes, session
from ie_crowd.site.middleware.form_routes import Typed
from ie_crowd.site.pages.comments import TYPED, result_id
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query, tables
from ie_crowd.store.people import accounts, moderation, review_queue

SIZE = 20


def account(request: Request) -> Response:
    """One's own uploads with their states and reasons."""
    number = form_routes.page_number(request)
    page = review_queue.uploads(request.app.state.store, request.state.account, page=number, size=SIZE)
    return render(request, "account.html.j2", page=page, number=number, pages=-(-page.total // SIZE))


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
    form_routes.page("/results/{id}/withdraw", "withdraw page", withdraw_page),
    form_routes.posted("/results/{id}/withdraw", "withdraw", withdraw, why=TYPED),
]

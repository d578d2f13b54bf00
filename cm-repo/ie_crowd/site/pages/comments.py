"""Comments on the paper and on results, objections to results, and reports of content: their pages and forms."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ie_crowd.site.api import exports
from ie_crowd.site.middleware import form_routes, guard, session
from ie_crowd.site.middleware.form_routes import Typed
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query, tables
from ie_crowd.store.people import accounts, comments, moderation, reports

ID = re.compile(r"[0-9a-f]{64}")
NUMBER = re.compile(r"[0-9]{1,15}")
TYPED = 2 * comments.LONGEST_COMMENT + 1000  # characters that a form may bring; the store says what is too long
MOST, HOUR = 30, 3600  # comments and objections of one account in an hour
REPORTS = 10  # of one address in an hour
TOO_OFTEN = "You wrote a lot in this hour. Keep your text and send it later."


def on_paper(request: Request) -> Response:
    """What people said about the paper."""
    return _page(request, None)


def on_result(request: Request) -> Response:
    """What people said about a result, and what they object to."""
    return _page(request, result_id(request))


def comment_paper(request: Request, typed: Typed) -> Response:
    """Write, or preview, a comment on the paper."""
    return _comment(request, typed, None)


def comment_result(request: Request, typed: Typed) -> Response:
    """Write, or preview, a comment on a result."""
    return _comment(request, typed, result_id(request))


def _comment(request: Request, typed: Typed, about: str | None) -> Response:
    if typed["do"] == "preview":
        try:
            return _page(request, about, typed, preview=comments.clean(typed["text"]))
        except ValueError as error:
            return _page(request, about, typed, {"text": f"{error}"}, 422)
    if form_routes.too_often(request, "comment", most=MOST, seconds=HOUR):
        return _page(request, about, typed, {"text": TOO_OFTEN}, 429)
    account, answers = request.state.account, typed["reply_to"]
    if answers and not NUMBER.fullmatch(answers):
        raise HTTPException(400, "reply_to is the number of a comment.")
    reply_to = int(answers) if answers else None
    said = form_routes.refused(comments.comment, request.app.state.store, account, typed["text"], about, reply_to)
    if said:
        return _page(request, about, typed, {"text": said}, 422)
    trusted = accounts.has_role(account, "reviewer")
    return session.done(request, _path(about), "comment-shown" if trusted else "comment-waits")


def remove(request: Request, typed: Typed) -> Response:
    """Delete a comment of one's own."""
    comments.delete_comment(request.app.state.store, number(request), request.state.account)
    return session.done(request, _path(typed["about"] if ID.fullmatch(typed["about"]) else None), "comment-deleted")


def objection(request: Request, typed: Typed) -> Response:
    """Object to a published result."""
    about = result_id(request)
    if form_routes.too_often(request, "comment", most=MOST, seconds=HOUR):
        return _page(request, about, typed, {"reason": TOO_OFTEN}, 429)
    error = form_routes.refused(
        moderation.object_to, request.app.state.store, about, request.state.account, typed["reason"]
    )
    if error:
        return _page(request, about, typed, {"reason": error}, 422)
    return session.done(request, _path(about), "objection-open")


def report_page(request: Request) -> Response:
    """Asks what is wrong with something; open to anybody."""
    about = request.query_params.get("about", "paper")
    if not reports.THING.fullmatch(about):
        raise HTTPException(404, "There is no such thing to report.")
    return _report(request, {"about": about, "reason": ""})


def report(request: Request, typed: Typed) -> Response:
    """Put a report in the reviewers' queue."""
    who = guard.client(request.scope)
    if form_routes.too_often(request, "report", most=REPORTS, seconds=HOUR, who=who):
        return _report(request, typed, "You reported a lot in this hour. Try again later.", 429)
    account = request.state.account
    error = form_routes.refused(reports.report, request.app.state.store, typed["about"], typed["reason"], account)
    return _report(request, typed, error, 422) if error else session.done(request, "/", "reported")


def _report(request: Request, typed: Typed, error: str = "", status: int = 200) -> Response:
    session.new_visit(request)
    kind, _, name = typed["about"].partition(":")
    contact = request.app.state.settings.contact
    response = render(
        request, "report.html.j2", status, typed=typed, kind=kind, name=name, error=error, contact=contact
    )
    session.begin_visit(request, response)
    return response


def comment_place(request: Request) -> Response:
    """Lead to where a comment stands."""
    found = comments.place_of(request.app.state.store, number(request))
    if found is None:
        raise HTTPException(404, "There is no such comment (any more).")
    base = request.app.state.settings.base_path
    return RedirectResponse(f"{base}{_path(found or None)}#comment-{number(request)}", 303)


def result_id(request: Request) -> str:
    """The id in the address, whole. 404 for what is none."""
    found = str(request.path_params["id"])
    if not ID.fullmatch(found):
        raise HTTPException(404, "There is no such result.")
    return found


def number(request: Request) -> int:
    """The number in the address. 404 for what is none."""
    found = str(request.path_params["number"])
    if not NUMBER.fullmatch(found):
        raise HTTPException(404, "There is no such thing.")
    return int(found)


def _page(
    request: Request,
    about: str | None,
    typed: Typed | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
    preview: str = "",
) -> Response:
    store, row = request.app.state.store, None
    if about is not None:
        row = query.one(store, about)
        if row is None or row["state"] != tables.PUBLISHED:
            raise HTTPException(404, "There is no published result of that name.")
    shown: dict[str, Any] = {"text": "", "reason": "", "reply_to": "", **(typed or {})}
    return render(
        request,
        "comments.html.j2",
        status,
        row=row,
        about=about,
        comments=comments.threads(
            comments.comments(store, about, viewer=getattr(request.state, "account", None), judged=True, limit=1000)
        ),
        objections=moderation.objections(store, about) if about else [],
        typed=shown,
        errors=defaultdict(str, errors or {}),
        preview=preview,
        longest=comments.LONGEST_COMMENT,
        offers=exports.offers(request, "comments") if about is None else [],
    )


def _path(about: str | None) -> str:
    return "/comments" if about is None else f"/results/{about}/comments"


routes = [
    Route("/comments", on_paper),
    Route("/results/{id}/comments", on_result),
    Route("/report", report_page),
    Route("/report/comment/{number}", comment_place),
    form_routes.posted("/report", "report", report, about=80, reason=TYPED),
    form_routes.posted("/comments", "comment on the paper", comment_paper, text=TYPED, do=10, reply_to=15),
    form_routes.posted("/results/{id}/comments", "comment on a result", comment_result, text=TYPED, do=10, reply_to=15),
    form_routes.posted("/comments/{number}/delete", "delete comment", remove, about=64),
    form_routes.posted("/results/{id}/objections", "object", objection, reason=TYPED),
]

"""The reviewers' pages: what waits for a decision, and the decisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ie_crowd.check import checklists
from ie_crowd.evidence import files, queue
from ie_crowd.site.middleware import form_routes, session
from ie_crowd.site.middleware.form_routes import Typed
from ie_crowd.site.pages import result
from ie_crowd.site.pages.comments import NUMBER, TYPED, number, result_id
from ie_crowd.site.rendering import evidence
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query, rejected_uploads, tables
from ie_crowd.store.people import comments, independence, reports, review_queue, undoable
from ie_crowd.store.people import moderation as store_moderation
from ie_crowd.store.people import undo as store_undo

SIZE = 20
LINES = 50
SHOWN = ("valid", "quarantined", "comments", "objections", "reports", "agreements")
SIGNS = ("pass", "fail", "not applicable")
NO_ERRORS: Mapping[Any, str] = {}


def moderation(request: Request) -> Response:
    """The queues, one at a time."""
    show = request.query_params.get("show", "valid")
    if show not in SHOWN:
        raise HTTPException(400, f"show is one of {', '.join(SHOWN)}.")
    return _queue(request, show)


def _queue(
    request: Request, show: str, typed: Mapping[Any, str] = NO_ERRORS, errors: Mapping[Any, str] = NO_ERRORS
) -> Response:
    page = form_routes.page_number(request)
    found = _waiting(request, show, page)
    pages = max(1, -(-found.total // SIZE))
    if page > pages:  # it was there until the last decision
        page, found = pages, _waiting(request, show, pages)
    values: dict[str, Any] = {"show": show, "number": page, "pages": pages, "counts": _counts(request)}
    status = 422 if errors else 200
    return render(request, "moderation.html.j2", status, rows=found.rows, typed=typed, errors=errors, **values)


def _counts(request: Request) -> dict[str, int | None]:
    """How much waits in each queue; None of agreements while they are being computed."""
    state = request.app.state
    counts = review_queue.counts(state.store, request.state.account)
    return {**counts, "agreements": evidence.count_awaiting(state)}


def _waiting(request: Request, show: str, page: int) -> query.Page:
    store, who = request.app.state.store, request.state.account
    if show == "comments":
        return review_queue.comments(store, who, page=page, size=SIZE)
    if show == "objections":
        return review_queue.objections(store, who, page=page, size=SIZE)
    if show == "reports":
        return reports.waiting(store, who, page=page, size=SIZE)
    if show == "agreements":
        found = evidence.awaiting(request.app.state)
        return query.Page([one._asdict() for one in found[(page - 1) * SIZE : page * SIZE]], len(found))
    return review_queue.waiting(store, who, show, page=page, size=SIZE)


def _back(request: Request, show: str) -> str:
    """The page of the queue that the form lay on."""
    page = form_routes.page_number(request)
    return f"/moderation?show={show}" + (f"&page={page}" if page > 1 else "")


def refused_uploads(request: Request) -> Response:
    """What the API would not take, newest first."""
    before = form_routes.before(request)
    rows = rejected_uploads.read(request.app.state.store, before=before, limit=LINES + 1)
    older = rows[LINES - 1]["pk"] if len(rows) > LINES else None
    counts = _counts(request)
    values: dict[str, Any] = {"show": "refused", "counts": counts, "older": older, "first": before is None}
    return render(request, "refused.html.j2", rows=rows[:LINES], **values)


def review(request: Request) -> Response:
    """One result with everything that a decision needs."""
    return _review(request)


def _review(request: Request, typed: Mapping[str, str] = NO_ERRORS, errors: Mapping[str, str] = NO_ERRORS) -> Response:
    store, about = request.app.state.store, result_id(request)
    row = query.one(store, about)
    if row is None or row["state"] == tables.WITHDRAWN:
        raise HTTPException(404, "There is no such result, or it is withdrawn.")
    asked = request.query_params.get("item", "") if not typed else typed.get("item", "")
    signed: dict[str, list[dict[str, Any]]] = {}
    for one in comments.signatures(store, about):
        signed.setdefault(f"{one['checklist']}/{one['item']}", []).append(one)
    return render(
        request,
        "review.html.j2",
        422 if errors else 200,
        row=row,
        runs=query.runs(store, about)[:50],
        level=evidence.of(request.app.state, row),
        verifications=queue.history(store, about),
        files_here=sum(not files.to_show(path) for path in files.stored(store, about)),
        checklists=checklists.load(),
        signed=signed,
        signs=SIGNS,
        item=asked if asked in _points() else "",
        typed={"note": "", "why": "", "refuse": "", "sign": "", "state": "", **typed},
        errors=defaultdict(str, errors),
    )


def publish(request: Request, typed: Typed) -> Response:
    """Publish, with a note where reasons speak against it."""
    about, store = result_id(request), request.app.state.store
    error = form_routes.refused(store_moderation.publish, store, about, request.state.account, typed["note"])
    if error:
        return _review(request, typed, {"note": error})
    return _done(request, "/moderation", "published")


def quarantine(request: Request, typed: Typed) -> Response:
    """Take out of what is shown."""
    error = form_routes.refused(
        store_moderation.quarantine, request.app.state.store, result_id(request), request.state.account, typed["why"]
    )
    if error:
        return _review(request, typed, {"why": error})
    return _done(request, f"/moderation/results/{result_id(request)}", "quarantined")


def refuse(request: Request, typed: Typed) -> Response:
    """Remove what was never published."""
    error = form_routes.refused(
        store_moderation.refuse, request.app.state.store, result_id(request), request.state.account, typed["refuse"]
    )
    if error:
        return _review(request, typed, {"refuse": error})
    return session.done(request, "/moderation", "refused")


def sign(request: Request, typed: Typed) -> Response:
    """Sign one item of a checklist."""
    about = result_id(request)
    if typed["item"] not in _points():
        return _review(request, typed, {"item": "choose an item"})
    if typed["state"] not in SIGNS:
        return _review(request, typed, {"state": "choose what you found"})
    checklist, _, item = typed["item"].partition("/")
    error = form_routes.refused(
        comments.sign,
        request.app.state.store,
        about,
        request.state.account,
        checklist,
        item,
        typed["state"],
        typed["sign"],
    )
    if error:
        return _review(request, typed, {"sign": error})
    return _done(request, f"/moderation/results/{about}", "signed")


def speak(request: Request, typed: Typed) -> Response:
    """Say that two submitters are independent, or take it back, on the page of a result."""
    if typed["do"] not in ("give", "take"):
        raise HTTPException(400, "do is give or take.")
    about, given = result_id(request), typed["do"] == "give"
    change = independence.give if given else independence.take_back
    error = form_routes.refused(
        change, request.app.state.store, about, request.state.account, typed["other"], typed["note"]
    )
    if error:
        return result.page(request, typed, error)
    return _done(request, f"/results/{about}", "independent" if given else "not-independent")


def judge(request: Request, typed: Typed) -> Response:
    """Show or hide a comment."""
    if typed["do"] not in ("show", "hide"):
        raise HTTPException(400, "do is show or hide.")
    # from the queue, or from the page on which the comment stands
    visible, back = typed["do"] == "show", form_routes.here(typed["back"]) or _back(request, "comments")
    comments.judge_comment(request.app.state.store, number(request), request.state.account, visible=visible)
    return _done(request, back, "comment-visible" if visible else "comment-hidden")


def decide(request: Request, typed: Typed) -> Response:
    """Decide an objection, with grounds."""
    if typed["do"] not in ("uphold", "dismiss"):
        raise HTTPException(400, "do is uphold or dismiss.")
    one, upheld, back = number(request), typed["do"] == "uphold", _back(request, "objections")
    try:
        store_moderation.decide(
            request.app.state.store, one, request.state.account, upheld=upheld, decision=typed["decision"]
        )
    except ValueError as error:
        return _queue(request, "objections", {one: typed["decision"]}, {one: f"{error}"})
    return _done(request, back, "objection-upheld" if upheld else "objection-dismissed")


def settle(request: Request, typed: Typed) -> Response:
    """Close a report, with what was done."""
    one, back = number(request), _back(request, "reports")
    error = form_routes.refused(reports.settle, request.app.state.store, one, request.state.account, typed["decision"])
    if error:
        return _queue(request, "reports", {one: typed["decision"]}, {one: error})
    return _done(request, back, "report-settled")


def undo(request: Request, typed: Typed) -> Response:
    """Put back how it was before something that one did."""
    if not NUMBER.fullmatch(typed["line"]):
        raise HTTPException(400, "line is the number of a line of the log.")
    what = store_undo.undo(request.app.state.store, int(typed["line"]), request.state.account)
    back = form_routes.here(typed["back"]) or "/moderation"
    if back == "/moderation" and f"{what}s" in SHOWN:
        back = f"/moderation?show={what}s"
    return session.done(request, back, "undone")


def _done(request: Request, path: str, message: str) -> Response:
    """After a change that can be undone."""
    undo = undoable.newest(request.app.state.store, request.state.account)
    return session.done(request, path, message, undo)


def _points() -> set[str]:
    return {
        f"{checklist.id}/{point.id}"
        for checklist in checklists.load()
        for points in checklist.subjects.values()
        for point in points
    }


_RESULT = "/moderation/results/{id}"
routes = [
    form_routes.page("/moderation", "moderation", moderation),
    form_routes.page("/moderation/refused", "refused uploads", refused_uploads),
    form_routes.page(_RESULT, "review", review),
    form_routes.posted(f"{_RESULT}/publish", "publish", publish, note=TYPED),
    form_routes.posted(f"{_RESULT}/quarantine", "quarantine", quarantine, why=TYPED),
    form_routes.posted(f"{_RESULT}/refuse", "refuse", refuse, refuse=TYPED),
    form_routes.posted(f"{_RESULT}/sign", "sign", sign, item=140, state=20, sign=TYPED),
    form_routes.posted(f"{_RESULT}/independence", "say independent", speak, other=80, do=10, note=TYPED),
    form_routes.posted("/moderation/reports/{number}", "settle report", settle, decision=TYPED),
    form_routes.posted("/moderation/comments/{number}", "judge comment", judge, do=10, back=200),
    form_routes.posted("/moderation/undo", "undo", undo, line=15, back=200),
    form_routes.posted("/moderation/objections/{number}", "decide objection", decide, decision=TYPED, do=10),
]

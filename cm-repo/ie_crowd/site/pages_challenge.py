"""The challenge with its rules, and the checklists."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd import checklists
from ie_crowd.site import exports
from ie_crowd.site.context import render


def challenge(request: Request) -> Response:
    """Tasks, metrics, divisions, data and claims, as the rules state them."""
    content = request.app.state.content
    rules = content.rules
    pins = [
        (key, pin, [(task, task.pinned[key]) for task in rules.tasks if key in task.pinned])
        for key in rules.config
        for pin in (rules.pinned.get(key),)
        if pin is not None or any(key in task.pinned for task in rules.tasks)
    ]
    return render(
        request,
        "challenge.html.j2",
        claims=[claim for claim in content.claims if claim.source != "not available"],
        open_claims=[claim for claim in content.claims if claim.source == "not available"],
        published=content.published,
        pins=pins,
        offers=exports.offers(request, "tasks", "definitions", "claims"),
    )


def lists(request: Request) -> Response:
    """Every point of every checklist, and who answers it."""
    return render(request, "checklists.html.j2", checklists=checklists.load())


routes = [Route("/challenge", challenge), Route("/checklists", lists)]

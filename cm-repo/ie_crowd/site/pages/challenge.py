"""The challenge with its rules, and the checklists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.challenge.model import Challenge, Pin
from ie_crowd.check import checklists
from ie_crowd.site.api import exports
from ie_crowd.site.rendering.context import render


def challenge(request: Request) -> Response:
    """Tasks, metrics, divisions, data and claims, as the rules state them."""
    content = request.app.state.content
    challenge = content.challenge
    pins = [
        (key, challenge.pinned.get(key), [(where, some[key]) for where, some in _of_tasks(challenge) if key in some])
        for key in challenge.config
        if key in challenge.pinned or any(key in some for _, some in _of_tasks(challenge))
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


def _of_tasks(challenge: Challenge) -> Iterator[tuple[str, Mapping[str, Pin]]]:
    """What single tasks pin, and then what they pin for some of their label counts; each with its name."""
    for task in challenge.tasks:
        name = f"{task.dataset}, {task.supervision}"
        yield name, task.pinned
        for labels, some in task.pinned_by_labels.items():
            yield f"{name}, {labels} labels", some


def lists(request: Request) -> Response:
    """Every point of every checklist, and who answers it."""
    return render(
        request, "checklists.html.j2", checklists=checklists.load(), offers=exports.offers(request, "checklists")
    )


routes = [Route("/challenge", challenge), Route("/checklists", lists)]

"""Pages of words: the paper, initiatives, how to take part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import ie_crowd
from ie_crowd.challenge.paper_pages import KINDS
from ie_crowd.result import provenance
from ie_crowd.site.rendering import citations, holds, result_files
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query
from ie_crowd.store.filters import Filter
from ie_crowd.store.people import related


def paper(request: Request) -> Response:
    """The front page: the paper in own words, and what is known here about it."""
    state = request.app.state
    content = state.content
    found = findings(state)
    lines = state.cached.get(
        "best",
        lambda: holds.leaderboard(state.store, content.challenge, content.published, content.words.published_metric),
        patient=True,
    )
    return render(
        request,
        "paper.html.j2",
        findings=found,
        verdict=holds.verdict(found),
        work=citations.paper(content.challenge, content.words),
        best=lines,
        code=state.cached.get("code", lambda: _code(state), 0),
        totals=state.cached.get("totals", lambda: query.totals(state.store), patient=True),
        related=related.entries(state.store, content.challenge.id, content.words.links),
        kinds=KINDS,
        newest=state.cached.get("newest", lambda: _newest(request)),
        sizes={name: size_of(one.content) for name, one in state.assets.items() if name.startswith("figure-")},
    )


def _newest(request: Request) -> list[dict[str, object]]:
    state = request.app.state
    challenge = state.content.challenge
    return query.results(state.store, Filter(challenge=challenge.id), size=5, metrics=list(challenge.metrics)).rows


def findings(state: Any) -> list[holds.Finding]:
    """Every claim that a number can decide, with how it stands."""
    content = state.content

    def once(result_id: str, judge: Any) -> Any:
        return state.cached.get(("claims", result_id), judge, 0)

    found: list[holds.Finding] = state.cached.get(
        "findings", lambda: holds.findings(state.store, content.challenge, content.claims, once), patient=True
    )
    return found


def _code(state: Any) -> tuple[str, str] | None:
    """Where the code is to be had: (address, commit), of this checkout, else of the newest result that says so."""
    found = provenance.checkout(Path(ie_crowd.__file__).parents[2])
    if found is not None and found[0] and found[1]:
        return found[0], found[1]
    for row in query.results(state.store, Filter(challenge=state.content.challenge.id), size=5).rows:
        said = result_files.parsed(state.store, row["id"])["provenance"]
        if said["repository"] and said["commit"]:
            return said["repository"], said["commit"]
    return None


def cite(request: Request) -> Response:
    """The paper's citation, in a form that programs read."""
    content, form = request.app.state.content, request.path_params["form"]
    return cited(citations.paper(content.challenge, content.words), form)


def cited(work: citations.Work, form: str) -> Response:
    """A citation as a file. 404 for a form that there is not."""
    if form not in citations.FORMS:
        raise HTTPException(404, f"There is no such form; there are {', '.join(citations.FORMS)}.")
    return Response(citations.written(work, form), media_type=f"{citations.FORMS[form]}; charset=utf-8")


def badge(request: Request) -> Response:
    """Whether the paper holds, as a small picture for another page."""
    found = findings(request.app.state)
    counts = [(sum(one.state == state for one in found), state) for state in holds.SIGNS]
    text = ", ".join(f"{count} {state}" for count, state in counts if count) or "no claims"
    good = all(one.state == holds.HOLDS for one in found) and bool(found)
    return badge_of("claims", text, citations.GOOD if good else citations.NEUTRAL)


def badge_of(label: str, text: str, colour: str) -> Response:
    """A badge, which other sites may show."""
    headers = {"Cache-Control": "max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(citations.badge(label, text, colour), media_type="image/svg+xml", headers=headers)


def size_of(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, so that the page does not jump when it comes; None for other pictures."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def initiatives(request: Request) -> Response:
    """Who else works on reproducible research."""
    return render(request, "initiatives.html.j2")


def take_part(request: Request) -> Response:
    """The exact commands."""
    state = request.app.state
    address = state.settings.base_url.rstrip("/") or str(request.base_url).rstrip("/")
    return render(request, "take_part.html.j2", address=address)


def server(request: Request) -> Response:
    """In the static copy: what it cannot do."""
    return render(request, "server.html.j2")


routes = [
    Route("/", paper),
    Route("/cite.{form}", cite),
    Route("/badge.svg", badge),
    Route("/initiatives", initiatives),
    Route("/take-part", take_part),
    Route("/server.html", server),
]

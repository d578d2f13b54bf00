"""The front page: the paper, in own words."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.site.context import render
from ie_crowd.store import query


def paper(request: Request) -> Response:
    """The paper, and what is known here about it."""
    state = request.app.state
    totals = state.cached.get("totals", lambda: query.totals(state.store))
    return render(request, "paper.html.j2", totals=totals)


routes = [Route("/", paper)]

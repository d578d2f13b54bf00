"""The list of results."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.site.context import render
from ie_crowd.store import query


def results(request: Request) -> Response:
    """A page of the list."""
    state = request.app.state
    page = query.results(state.store, size=state.settings.page_size)
    return render(request, "results.html.j2", page=page)


routes = [Route("/results", results)]

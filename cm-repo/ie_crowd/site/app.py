"""The site as an ASGI application: its modules' routes, the store opened and closed, pages for what goes wrong."""

from __future__ import annotations

import contextlib
import http
import secrets
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from ie_crowd.ranking.significance import welch
from ie_crowd.site.api import endpoint
from ie_crowd.site.api import routes as api_routes
from ie_crowd.site.cache import Cached
from ie_crowd.site.charts import png
from ie_crowd.site.content import load as load_content
from ie_crowd.site.middleware import counter, guard, problem_details, session, writers
from ie_crowd.site.pages import (
    account,
    admin,
    api_docs,
    challenge,
    comments,
    compare,
    feed,
    formats,
    login,
    moderation,
    paper,
    ranking,
    result,
    results,
)
from ie_crowd.site.pictures import chart_files, open_graph
from ie_crowd.site.rendering import assets, context, evidence, links
from ie_crowd.site.settings import Settings
from ie_crowd.store import audit, database

# Every module with pages, whose ``routes`` are tried in this order.
MODULES = (
    assets,
    paper,
    results,
    result,
    compare,
    ranking,
    challenge,
    formats,
    api_routes,
    api_docs,
    feed,
    login,
    account,
    comments,
    moderation,
    admin,
    chart_files,
    open_graph,
)
CHARTS = 24  # of two axes that are kept, with their points: a few hundred kilobytes each
PROBE_SECONDS = 5.0  # between two tries of whether the store can be written to
WARM_SECONDS = 1.0  # after the start: the first page has been asked for by then, and need not share the processor
# From the outermost to the innermost; pages that become files have none.
MIDDLEWARE: tuple[Any, ...] = (guard.Guard, session.Visitor)


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> Starlette:
    """The application. Without an ``engine`` the store of the settings is opened when the server starts, and closed.

    Raises ValueError for a challenge or a picture that cannot be read.
    """
    settings = settings or Settings()
    routes: list[BaseRoute] = [Route("/healthz", healthz)]
    for module in MODULES:
        routes += module.routes
    within = (
        [Mount(settings.base_path, routes=routes), Route("/healthz", healthz)]
        if settings.base_path and not settings.static
        else routes
    )
    app = Starlette(
        routes=within,
        middleware=[Middleware(one, settings=settings) for one in (() if settings.static else MIDDLEWARE)],
        exception_handlers=HANDLERS,
        lifespan=_lifespan(engine is None),
    )
    app.state.salt = secrets.token_bytes(32)  # for whom the throttle counts
    app.state.settings = settings
    app.state.paths = {route.path for route in routes if isinstance(route, Route)}
    app.state.content = load_content(settings.challenges)
    app.state.assets = assets.load({**assets.own(), **app.state.content.files()})
    app.state.draws_png = png.available()
    app.state.by_address = {one.name: one for one in app.state.assets.values()}
    app.state.link = links.live(settings.base_path)
    app.state.asked = lambda path, query: None
    app.state.writers = writers.limiter()
    app.state.wrong_tokens = counter.Counter(*endpoint.WRONG_TOKENS)
    app.state.probed = 0.0
    if engine is not None:
        _open(app, engine)
    return app


def _open(app: Starlette, engine: Engine) -> None:
    app.state.store = engine.execution_options(ie_busy_seconds=writers.BUSY_SECONDS)
    app.state.cached = Cached(app.state.store)
    app.state.charts = Cached(app.state.store, CHARTS)


def _lifespan(owns: bool) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = app.state.settings.threads
        if owns:
            _open(app, database.connect(app.state.settings.store))
        warming = threading.Timer(WARM_SECONDS, _warm, (app.state,))
        warming.daemon = True
        warming.start()
        try:
            yield
        finally:
            warming.cancel()
            app.state.cached.end()
            if owns:
                app.state.store.dispose()

    return lifespan


def _import_distributions() -> None:
    """Import the distributions of scipy, which takes its time."""
    welch([[1.0, 2.0]], [[1.0, 3.0]])


def _warm(state: Any) -> None:
    """Begin what the first pages with ranks would wait for: an import, and the ranks of large contests."""
    _import_distributions()
    with contextlib.suppress(SQLAlchemyError):  # a page that asks for them will say so
        evidence.count_awaiting(state)


async def healthz(request: Request) -> Response:
    """Whether the store answers and can be written to: for the programs that watch over a server.

    What is wrong with it becomes 503 or 507 with one line (see ``guard``). Writing is tried every few seconds at most.
    """
    state = request.app.state
    await run_in_threadpool(audit.revision, state.store)
    if time.monotonic() - state.probed > PROBE_SECONDS and state.writers.available_tokens:
        await writers.write(request, database.probe, state.store)
        state.probed = time.monotonic()
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


# What goes wrong: one page, or one JSON object for programs.


def problem(request: Request, status: int, text: str, headers: Any = None) -> Response:
    """The answer to a request that cannot be served."""
    title = http.HTTPStatus(status).phrase
    if request.url.path.removeprefix(request.app.state.settings.base_path).startswith("/api/"):
        return problem_details.response(status, text, headers)
    return context.render(request, "error.html.j2", status, headers, code=status, title=title, text=text)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = "" if error.detail == http.HTTPStatus(error.status_code).phrase else error.detail
    return problem(request, error.status_code, said, error.headers)


async def _refused(request: Request, error: Exception) -> Response:
    """The store's own words for a user's mistake (see ``ie_crowd.store``); a subclass is a mistake of ours."""
    status = {ValueError: 400, PermissionError: 403, LookupError: 404}.get(type(error))
    if status is None:
        raise error
    return problem(request, status, f"{error}."[:500])


async def _failed(request: Request, error: Exception) -> Response:
    """Made outside of all layers: its headers are added here."""
    return problem(request, 500, "", guard.answer_headers(request.scope, request.app.state.settings))


HANDLERS: dict[Any, Any] = {
    HTTPException: _http,
    ValueError: _refused,
    PermissionError: _refused,
    LookupError: _refused,
    Exception: _failed,
}

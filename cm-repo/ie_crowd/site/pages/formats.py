"""The formats that results and challenges have, documented, with examples to download."""

from __future__ import annotations

import re

from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.challenge.model import Challenge
from ie_crowd.formats import schema, schema_docs, strict
from ie_crowd.site.rendering.context import render
from ie_crowd.store.records import LIMITS

EXAMPLES = "examples"  # folder of a challenge
SCHEMA = "result.schema.json"
LARGEST = 2**20
_CODE = re.compile(r"`([^`]*)`")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\.json")


def code(text: str) -> Markup:
    """A text whose ` stand around code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 escaped above


def downloads(challenge: Challenge) -> dict[str, tuple[bytes, str]]:
    """Every file that may be downloaded by its name: its bytes and what they are."""
    found = {SCHEMA: (schema.SCHEMA.read_bytes(), "application/json")}
    for name in ("rules.yaml", "claims.yaml", "captions.yaml", "pages.yaml"):
        if (challenge.folder / name).is_file():
            found[name] = (strict.read_bytes(challenge.folder / name, LARGEST), "application/yaml")
    folder = challenge.folder / EXAMPLES
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _NAME.fullmatch(path.name):
            found[path.name] = (strict.read_bytes(path, LIMITS.size), "application/json")
    return found


def _sections() -> list[tuple[str, Markup, Markup, Markup, list[tuple[str, Markup, Markup, Markup]]]]:
    """(key, type, limits, meaning, fields) of each key of the top level; fields: (path, type, limits, meaning)."""
    return [
        (
            one.key,
            code(one.kind),
            code(one.limits),
            code(one.what),
            [(path, code(kind), code(limits), code(what)) for path, kind, limits, what in one.fields],
        )
        for one in schema_docs.sections()
    ]


def formats(request: Request) -> Response:
    """The page."""
    state = request.app.state
    files = state.cached.get("downloads", lambda: downloads(state.content.challenge), 0)
    plain = {SCHEMA, "rules.yaml", "claims.yaml", "captions.yaml", "pages.yaml"}
    sections = state.cached.get("sections", _sections, 0)
    return render(
        request,
        "formats.html.j2",
        sections=sections,
        version=schema.SCHEMA_VERSION,
        limits=LIMITS,
        examples=[(name, len(content)) for name, (content, _) in files.items() if name not in plain],
        files=set(files),
    )


def download(request: Request) -> Response:
    """One of the files, by its name; no other name leads anywhere."""
    state = request.app.state
    files = state.cached.get("downloads", lambda: downloads(state.content.challenge), 0)
    found = files.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "There is no such file.")
    name = f'attachment; filename="{request.path_params["name"]}"'
    return Response(found[0], media_type=found[1], headers={"Content-Disposition": name})


routes = [Route("/formats", formats), Route("/formats/{name}", download)]

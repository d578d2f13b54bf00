"""/api: the API for people: what can be asked, with commands to copy, made from the operations themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.site.api import openapi
from ie_crowd.site.api.operations import EXAMPLE_ID, PREFIX, Operation, Parameter
from ie_crowd.site.api.routes import OPERATIONS
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query
from ie_crowd.store.filters import Filter

# Commands of the page: what to do, the name of an operation, what to ask it. {…} is filled in from the newest result.
SHOWN: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "The first page of a contest",
        "listResults",
        {"dataset": "{dataset}", "labels": "{labels}", "sort": "published", "order": "ascending", "size": "50"},
    ),
    ("One result, as it was submitted", "readDocument", {"id": "{id}"}),
    ("Who is ranked where", "readRanking", {"dataset": "{dataset}", "labels": "{labels}"}),
    ("A whole table for a spreadsheet", "exportTable", {"file": "results.csv", "dataset": "{dataset}"}),
)


def page(request: Request) -> Response:
    """The page."""
    settings = request.app.state.settings
    here = settings.base_url.rstrip("/") or str(request.base_url).rstrip("/")
    by_name = {operation.name: operation for operation in OPERATIONS}
    newest = _newest(request)
    groups = [(tag, about, [_row(one) for one in OPERATIONS if one.tag == tag]) for tag, about in openapi.TAGS.items()]
    return render(
        request,
        "api.html.j2",
        here=here,
        prefix=PREFIX,
        groups=groups,
        commands=[(what, curl(f"{here}{PREFIX}", by_name[name], values, newest)) for what, name, values in SHOWN],
        statuses=openapi.PROBLEMS,
    )


def _newest(request: Request) -> dict[str, Any]:
    """What commands ask for, so that they work as they stand: of the newest result, else of the rules' first task."""
    state = request.app.state
    challenge = state.content.challenge
    task = challenge.tasks[0]
    found = query.results(state.store, Filter(challenge=challenge.id), size=1).rows
    return found[0] if found else {"id": EXAMPLE_ID, "dataset": task.dataset, "labels": next(iter(task.labels), "all")}


def curl(base: str, operation: Operation, values: Mapping[str, str], newest: Mapping[str, Any]) -> str:
    """A command for a shell that asks the operation with those values."""
    filled = {name: value.format_map(newest) for name, value in values.items()}
    in_path = {parameter.name for parameter in operation.parameters if parameter.where == "path"}
    asked = urlencode({name: value for name, value in filled.items() if name not in in_path})
    return f"curl '{base}{operation.path.format_map(filled)}{'?' if asked else ''}{asked}'"


def _row(operation: Operation) -> dict[str, Any]:
    return {
        "name": operation.name,
        "method": operation.method,
        "path": operation.path,
        "summary": operation.summary,
        "about": operation.about,
        "role": operation.role,
        "parameters": [(one.name, one.required, _values(one), one.about) for one in operation.parameters],
        "body": operation.body.about if operation.body else "",
        "most": operation.body.limits.size if operation.body else 0,
    }


def _values(parameter: Parameter) -> str:
    """What a parameter may be, in a few words."""
    schema = parameter.schema
    if "enum" in schema:
        return ", ".join(schema["enum"])
    if schema["type"] == "integer":
        return f"{schema['minimum']:,} to {schema['maximum']:,}"
    if schema.get("minLength") == schema["maxLength"]:
        return f"{schema['maxLength']} characters from 0-9 and a-f"
    return f"text, at most {schema['maxLength']} characters"


routes = [Route("/api", page)]

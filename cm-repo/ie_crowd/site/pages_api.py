"""/api: the API for people: what can be asked, with commands to copy, made from the operations themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.site import exports, openapi
from ie_crowd.site.api import OPERATIONS
from ie_crowd.site.context import render
from ie_crowd.site.operations import PREFIX, Operation, Parameter

# Operations with a command of their own on the page: what to do, its name, the parameters to show.
SHOWN = (
    ("The first page of a contest", "listResults", ("dataset", "labels", "sort", "order", "size")),
    ("One result, as it was submitted", "readDocument", ()),
    ("Who is ranked where", "readRanking", ("dataset", "labels")),
    ("A whole table for a spreadsheet", "exportTable", ("dataset",)),
)


def page(request: Request) -> Response:
    """The page."""
    settings = request.app.state.settings
    here = settings.base_url.rstrip("/") or str(request.base_url).rstrip("/")
    by_name = {operation.name: operation for operation in OPERATIONS}
    groups = [(tag, about, [_row(one) for one in OPERATIONS if one.tag == tag]) for tag, about in openapi.TAGS.items()]
    return render(
        request,
        "api.html.j2",
        here=here,
        prefix=PREFIX,
        groups=groups,
        commands=[(what, curl(f"{here}{PREFIX}", by_name[name], names)) for what, name, names in SHOWN],
        statuses=openapi.PROBLEMS,
        tables=exports.TABLES,
    )


def curl(base: str, operation: Operation, names: tuple[str, ...]) -> str:
    """A command for a shell, with the examples of those parameters."""
    known = {parameter.name: parameter for parameter in operation.parameters}
    path = operation.path
    for parameter in operation.parameters:
        if parameter.where == "path":
            path = path.replace(f"{{{parameter.name}}}", str(parameter.example))
    query = urlencode({name: known[name].example for name in names})
    return f"curl '{base}{path}{'?' if query else ''}{query}'"


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

"""The form of the API: an operation is its address, its parameters, who may ask, and the function that answers.

Requests are checked by, and the description of the API (``openapi``) is made from, the same objects, so that the two
cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from ie_crowd.formats import strict
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.store import tables

PREFIX = "/api/v1"
JSON = "application/json"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")


class Parameter(NamedTuple):
    """One parameter. ``schema``: JSON Schema of its value: an integer, or a string with enum, pattern and lengths."""

    name: str
    schema: Mapping[str, Any]
    about: str
    example: Any = None
    where: str = "query"
    required: bool = False

    def read(self, text: str) -> Any:
        """The value in ``text``. Raises Problem 400 that says what was expected."""
        schema = self.schema
        if schema["type"] == "integer":
            number = int(text) if _INTEGER.fullmatch(text) else None
            if number is None or not schema["minimum"] <= number <= schema["maximum"]:
                raise self._wrong(text, f"a whole number from {schema['minimum']} to {schema['maximum']}")
            return number
        assert schema["type"] == "string"
        if "enum" in schema:
            if text not in schema["enum"]:
                raise self._wrong(text, f"one of {', '.join(schema['enum'])}")
        elif not schema.get("minLength", 0) <= len(text) <= schema["maxLength"]:
            raise self._wrong(text, f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
        elif not re.search(_python(schema["pattern"]), text):
            raise self._wrong(text, schema.get("description", f"what matches {schema['pattern']}"))
        return text

    def _wrong(self, text: str, expected: str) -> Problem:
        return Problem(400, f"{self.name}={text[:80]!r}: expected {expected}")


def _python(pattern: str) -> str:
    """An anchored pattern of JSON Schema as Python means it: there, $ would also match before a last line break."""
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    return pattern[:-1] + r"\Z"


class Body(NamedTuple):
    """The body of a request: its schema, how much of it is read, and in which time. ``raw``: the function parses it
    itself; what is not JSON is not parsed at all."""

    schema: Mapping[str, Any]
    limits: strict.Limits
    about: str
    example: Any = None
    raw: bool = False
    media: str = JSON
    seconds: int = 30


class Answer(NamedTuple):
    """One kind of answer: what it means, the JSON Schema of its body (None: not JSON), its media type, its headers."""

    about: str
    schema: Mapping[str, Any] | None = None
    media: str = JSON
    headers: tuple[str, ...] = ()


class Call(NamedTuple):
    """A request that passed the checks. ``values``: the parameters that were given. ``account``: whose token came."""

    request: Request
    values: dict[str, Any]
    account: dict[str, Any] | None
    content: bytes
    document: Any

    @property
    def engine(self) -> Any:
        """The store."""
        return self.request.app.state.store

    def link(self, path: str, **query: Any) -> str:
        """An address of this site."""
        return str(self.request.app.state.link(path, **query))


class Operation(NamedTuple):
    """``role``: the lowest role that may ask; "" for everybody. ``viewer``: a token is not needed, but changes the
    answer. ``etag``: what tells versions of the answer apart, None for the store's count of changes."""

    name: str
    method: str
    path: str
    tag: str
    summary: str
    run: Callable[[Call], Response]
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    role: str = ""
    viewer: bool = False
    etag: Callable[[Call], str] | None = None
    about: str = ""
    kept: bool = False  # refusals are kept for reviewers


def read_parameters(operation: Operation, request: Request) -> dict[str, Any]:
    """The values of a request's parameters by name. Raises Problem 400 for what the operation does not have."""
    known = {parameter.name: parameter for parameter in operation.parameters}
    found = {}
    for name, text in [*request.path_params.items(), *request.query_params.multi_items()]:
        parameter = known.get(name)
        if parameter is None:
            valid = ", ".join(known) or "none"
            raise Problem(400, f"unknown parameter {name[:40]!r}; this address has: {valid}")
        if name in found:
            raise Problem(400, f"the parameter {name} is given twice")
        found[name] = parameter.read(text)
    for name, parameter in known.items():
        if parameter.required and name not in found:
            raise Problem(400, f"the parameter {name} is missing: {parameter.about}")
    return found


# Schemas and parameters that several operations share


def exactly(optional: Mapping[str, Any] | None = None, /, **required: Any) -> dict[str, Any]:
    """The schema of an object with all the ``required`` properties, perhaps the ``optional`` ones, and no other."""
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": {**required, **(optional or {})},
    }


def by_name(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object whose keys are data (names of metrics, say), and whose values fit ``schema``."""
    return {"type": "object", "additionalProperties": schema}


def array(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a list whose items fit ``schema``."""
    return {"type": "array", "items": schema}


TEXT = {"type": "string"}
NULLABLE = {"type": ["string", "null"]}
INTEGER = {"type": "integer"}
NUMBER = {"type": ["number", "null"]}
COUNT = {"type": "integer", "minimum": 0}
LABELS_SHOWN = {"anyOf": [INTEGER, {"const": "all"}]}
NAME = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9]+(?:[-_.][a-z0-9]+)*$"}
WORDS = {"type": "string", "maxLength": 200, "pattern": "^[^\\u0000-\\u001f\\u007f<>&]*$"}
LABELS = {"type": "string", "maxLength": 13, "pattern": "^(?:all|[1-9][0-9]{0,12})$"}
ID = {"type": "string", "minLength": 64, "maxLength": 64, "pattern": "^[0-9a-f]{64}$"}
MOMENT = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$"}
EXAMPLE_ID = "6f0b2c9e41d7a8356f0b2c9e41d7a8356f0b2c9e41d7a8356f0b2c9e41d7a835"


def integer(minimum: int, maximum: int) -> dict[str, Any]:
    """The schema of a whole number."""
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


RESULT_ID = Parameter("id", ID, "Id of a result: SHA-256 of its canonical JSON.", EXAMPLE_ID, "path", True)
FILTERS = (
    Parameter("challenge", NAME, "Only results of this challenge.", "ie-repr"),
    Parameter("dataset", NAME, "Only results on this data set.", "digits"),
    Parameter(
        "supervision", {"type": "string", "enum": ["supervised", "semi-supervised"]}, "Only with this supervision."
    ),
    Parameter("labels", LABELS, "Only with so many labelled examples, or all.", "100"),
    Parameter("division", {"type": "string", "enum": ["closed", "open"]}, "Only of this division.", "closed"),
    Parameter("method", WORDS, "Only by this method, where the rules tell methods apart.", "equivae"),
    Parameter("submitter", WORDS, "Only of this submitter, by the whole name.", "Ada L."),
    Parameter("cpu_model", WORDS, "Only from this processor.", "AMD EPYC"),
    Parameter("accelerator", WORDS, "Only from this accelerator; empty: without one.", ""),
    Parameter(
        "text", WORDS, "Only with each of these words in task, method, submitter, machine, or an id's start.", "ada"
    ),
)
STATE = {"type": "string", "enum": list(tables.STATES)}

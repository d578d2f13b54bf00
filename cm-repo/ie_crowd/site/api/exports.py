"""Every table as CSV and as JSON, row by row as the store gives them.

A cell of text that a spreadsheet would take for a formula gets an apostrophe in front. An answer that goes on for long
holds a connection to the store, so only a few go on at once, and none for ever.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ie_crowd.check import checklists
from ie_crowd.site.api import challenge, results
from ie_crowd.site.api.challenge import AXES, METRIC
from ie_crowd.site.api.operations import FILTERS, ID, PREFIX, Answer, Call, Operation, Parameter, array, exactly
from ie_crowd.site.middleware import guard
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.store import chart_data, export, standings, tables
from ie_crowd.store.people import comments

AT_ONCE, OF_ONE = 3, 2  # tables that are being sent, in all and to one address
SLOWEST, GRACE_SECONDS = 16 * 1024, 15  # bytes a second that are taken at least, after so long
PIECE = 64 * 1024  # characters sent at a time
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


class Table(NamedTuple):
    """One table: its columns, where its rows come from, and the parameters that it needs beside the filters."""

    about: str
    columns: tuple[str, ...]
    rows: Callable[[Call], Iterable[dict[str, Any]]]
    needs: tuple[str, ...] = ()


def _stored(name: str) -> Callable[[Call], Iterable[dict[str, Any]]]:
    return lambda call: export.export(call.engine, name, results.chosen(call.values))


def _contests(call: Call) -> Iterable[dict[str, Any]]:
    columns = TABLES["contests"].columns
    return ({name: row[name] for name in columns} for row in standings.contests(call.engine))


def _ranking(call: Call) -> Iterator[dict[str, Any]]:
    for contest in challenge.ranked(call, challenge.wanted(call)):
        about = {key: value for key, value in contest.items() if key != "entries"}
        for entry in contest["entries"]:
            yield {**about, **entry}


def _points(call: Call) -> Iterable[dict[str, Any]]:
    values = call.values
    found = chart_data.points(
        call.engine, results.chosen(values), values["x"], values["y"], most=chart_data.MOST_POINTS
    )
    return list(found["points"])


def _labels(call: Call) -> Iterable[dict[str, Any]]:
    return chart_data.by_labels(call.engine, results.chosen(call.values), call.values["metric"])


def _comparison(call: Call) -> Iterable[dict[str, Any]]:
    return (row._asdict() for row in results.compared(call))


def _claims(call: Call) -> Iterable[dict[str, Any]]:
    return list(json.loads(bytes(challenge.claims(call).body))["claims"])


def _checklists(call: Call) -> Iterator[dict[str, Any]]:
    for one in checklists.load():
        for subject, points in one.subjects.items():
            for point in points:
                yield {"checklist": one.id, "subject": subject, **dataclasses.asdict(point)}


def _comments(call: Call) -> Iterable[dict[str, Any]]:
    return comments.visible(call.engine)


_CONTEST = ("challenge", "dataset", "supervision", "labels", "division")
TABLES: dict[str, Table] = {
    "results": Table(
        "published results",
        tuple(tables.LISTED),
        _stored("results"),
    ),
    "metrics": Table("their metrics", ("id", "metric", "mean", "sd", "n", "ci95"), _stored("metrics")),
    "runs": Table(
        "their runs",
        (
            *("id", "number", "seed", "label_seed", "status", "epochs", "wall_seconds", "images_per_second"),
            "model_sha256",
        ),
        _stored("runs"),
    ),
    "values": Table("the raw value of each run", ("id", "number", "metric", "value"), _stored("values")),
    "contests": Table("what can be compared", (*_CONTEST, "results", "submitters"), _contests),
    "ranking": Table(
        "ranks",
        (*_CONTEST, "metric", "unit", "direction", *challenge.ENTRY),
        _ranking,
    ),
    "points": Table(
        "points of a chart",
        ("id", "submitter", "dataset", "labels", "division", "method", "x", "x_ci95", "y", "y_ci95"),
        _points,
        ("x", "y"),
    ),
    "labels": Table(
        "a metric against the number of labels",
        (*_CONTEST[1:], "method", "results", "submitters", "mean", "ci95", "low", "high"),
        _labels,
        ("metric",),
    ),
    "comparison": Table(
        "two results side by side", ("section", "name", "left", "right", "differs", "p"), _comparison, ("a", "b")
    ),
    "claims": Table(
        "the paper's claims",
        (
            "id",
            "text",
            "tasks",
            "labels",
            "metric",
            "comparison",
            "value",
            "tolerance",
            "other",
            "threshold",
            "source",
            "since",
        ),
        _claims,
    ),
    "tasks": Table(
        "the challenge's tasks",
        ("dataset", "supervision", "labels", "metrics", "closed", "closed_by_labels"),
        lambda call: challenge.tasks(call.request.app.state.content.challenge),
    ),
    "definitions": Table(
        "the challenge's metrics",
        ("name", "what", "unit", "direction", "low", "high", "chance", "recompute", "rerun", "since"),
        lambda call: challenge.definitions(call.request.app.state.content.challenge),
    ),
    "checklists": Table(
        "what results are held against", ("checklist", "subject", "id", "asks", "probe", "person"), _checklists
    ),
    "comments": Table(
        "comments on the paper and on results",
        ("result", "by", "role", "text", "created", "number", "reply_to"),
        _comments,
    ),
}
FORMS = ("csv", "json")
Offer = tuple[str, list[tuple[str, str]]]
FILES = tuple(f"{name}.{form}" for name in TABLES for form in FORMS)


def offers(request: Request, *names: str, **query: Any) -> list[Offer]:
    """What each table holds, and its addresses by form, for the page that shows it; none where no server answers."""
    settings = request.app.state.settings
    if settings.static:
        return []
    # Not by ``link``, which leaves out what is empty: no accelerator is one to ask for.
    asked = urlencode({key: value for key, value in query.items() if value is not None})
    base = f"{settings.base_path}{PREFIX}/exports/"
    return [
        (
            TABLES[name].about,
            [(form.upper(), f"{base}{name}.{form}" + (f"?{asked}" if asked else "")) for form in FORMS],
        )
        for name in names
    ]


def download(call: Call) -> Response:
    """One table as a file. The first piece is made before anything is answered: what is wrong is told as such."""
    name, _, form = call.values["file"].partition(".")
    table = TABLES[name]
    for needed in table.needs:
        if needed not in call.values:
            raise Problem(400, f"the parameter {needed} is missing: the table {name} needs {' and '.join(table.needs)}")
    who = guard.client(call.request.scope)
    if not _places.take(who):
        raise Problem(503, "several tables are being sent already; try again in a moment", {"Retry-After": "5"})
    body = _sent(table, form, call, who)
    next(body)  # from here on the place is the generator's, which gives it free however it ends
    media = "text/csv; charset=utf-8; header=present" if form == "csv" else "application/json"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    if call.request.method == "HEAD":
        body.close()
        response = Response(b"", media_type=media, headers=headers)
        del response.headers["Content-Length"]  # nobody knows it before all of it is made
        return response
    return _Download(body, media_type=media, headers=headers)


class _Download(StreamingResponse):
    """Gives its place free as soon as it ends, however that is: all was sent, or whoever asked has gone."""

    def __init__(self, body: Generator[bytes, None, None], **more: Any) -> None:
        super().__init__(body, **more)
        self.table = body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.table.close()


class _Places:
    """Who is being sent a table: so many at once, and of one address fewer, so that others find a place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: list[str] = []

    def take(self, who: str) -> bool:
        """Whether there was a place; it is taken then."""
        with self._lock:
            if len(self._taken) >= AT_ONCE or self._taken.count(who) >= OF_ONE:
                return False
            self._taken.append(who)
            return True

    def give(self, who: str) -> None:
        """Give one back."""
        with self._lock:
            self._taken.remove(who)


_places = _Places()


def _sent(table: Table, form: str, call: Call, who: str) -> Generator[bytes, None, None]:
    """The pieces of a file, nothing before the first of them is there; gives the place free in the end.

    Ends in an error where it is taken too slowly, so that nobody takes a part for all. (A connection that takes nothing
    ends by itself: see ``connections``.)
    """
    began, size = time.monotonic(), 0
    try:
        rows = iter(table.rows(call))
        pieces = _pieces(csv_lines(table.columns, rows) if form == "csv" else _json(table.columns, rows))
        first = next(pieces)
        yield b""
        yield first
        for piece in pieces:
            seconds = time.monotonic() - began
            if seconds > GRACE_SECONDS and size < SLOWEST * seconds:
                raise TimeoutError(f"a table was read at less than {SLOWEST:,} bytes a second")
            yield piece
            size += len(piece)
    finally:
        _places.give(who)


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    waiting, size = [], 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A table as lines of CSV, its heading first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for cells in [[*columns]], ([cell(row.get(name)) for name in columns] for row in rows):
        for line in cells:
            writer.writerow(line)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()


def cell(value: Any) -> Any:
    """What a cell holds: numbers as they are, text that no spreadsheet computes, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    text = value if isinstance(value, str) else _joined(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _joined(value: Any) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(one, (str, int)) for one in value):
        return "; ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


def _json(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "["
    comma = ""
    for row in rows:
        yield comma + "\n" + json.dumps({name: row.get(name) for name in columns}, ensure_ascii=False, allow_nan=False)
        comma = ","
    yield "\n]\n"


def _rows(table: Table) -> dict[str, Any]:
    return array(exactly(**{column: {} for column in table.columns}))


OPERATIONS = (
    Operation(
        "exportTable", "GET", "/exports/{file}", "Exports", "A whole table as CSV or JSON", download,
        {
            200: Answer("All its rows.", {"anyOf": [_rows(table) for table in TABLES.values()]}),
            404: Answer("There is no such metric, axis or result."),
            410: Answer("A result of the comparison was withdrawn."),
            503: Answer("Too many at once.", headers=("Retry-After",)),
        },
        (
            Parameter(
                "file", {"type": "string", "enum": list(FILES)},
                "; ".join(f"{name}: {table.about}" for name, table in TABLES.items()), "results.csv", "path", True,
            ),
            *FILTERS,
            Parameter("metric", METRIC, "For ranking and labels.", "classification.error"),
            *(one._replace(required=False, about=f"For points. {one.about}") for one in AXES),
            Parameter("a", ID, "For comparison: id of one result."),
            Parameter("b", ID, "For comparison: id of the other."),
            Parameter("only", {"type": "string", "enum": ["differences"]}, "For comparison: leave out what is alike."),
        ),
        about="In CSV, text that a spreadsheet would compute has an apostrophe in front.",
    ),
)  # fmt: skip

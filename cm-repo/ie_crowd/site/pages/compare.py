"""Results side by side, with what differs marked: two in full, or up to six."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.artifact import learning_curves
from ie_crowd.evidence import image_intervals
from ie_crowd.ranking import compare
from ie_crowd.ranking.compare import Row
from ie_crowd.site.api import exports
from ie_crowd.site.charts import svg
from ie_crowd.site.middleware.permissions import may_see
from ie_crowd.site.pages.result import PREFIX
from ie_crowd.site.rendering import result_files, side_by_side
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query

TITLES = {
    "challenge": "Rules",
    "task": "Task",
    "config": "Configuration",
    "system": "Machine",
    "software": "Software",
    "cost": "Cost",
    "provenance": "Provenance",
}
MOST_CANDIDATES = 20


class Section(NamedTuple):
    """Rows of one kind, those that differ first in sight: ``same`` are folded away."""

    id: str
    title: str
    differs: list[Row]
    same: list[Row]


def comparison(request: Request) -> Response:
    """``?a=…&b=…``, or ``?id=…&id=…`` as the ticks of a list send it. With one or none the page helps to choose."""
    found, given = asked_for(request)
    if given > side_by_side.MOST or len(found) < 2:
        return _choose(request, found[:1], given)
    if len(found) > 2:
        return _several(request, found)
    state = request.app.state
    left, right = (result_files.parsed(state.store, row["id"]) for row in found)
    rows = compare.compare(left, right)
    sections = [
        Section(
            name,
            title,
            [row for row in rows if row.section == name and row.differs],
            [row for row in rows if row.section == name and not row.differs],
        )
        for name, title in TITLES.items()
    ]
    units = {**left["metrics"], **right["metrics"]}
    metrics = [(row, units[row.name]["unit"], _forests(row)) for row in rows if row.section == "metrics"]
    offers = exports.offers(request, "comparison", a=left["id"], b=right["id"])
    over_images = image_intervals.between(state.store, left, right)
    shown: dict[str, Any] = {"pair": found, "sections": sections, "metrics": metrics, "over_images": over_images}
    return render(request, "compare.html.j2", offers=offers, **shown, **_curves(state, found, [left, right]))


def _several(request: Request, found: list[dict[str, Any]]) -> Response:
    """Three to six results: metrics with the best marked, what differs, and their learning curves over one another."""
    state = request.app.state
    documents = [result_files.parsed(state.store, row["id"]) for row in found]
    shown = side_by_side.together(state, found, documents)
    lines = compare.differing(documents)
    sections = [(name, title, [one for one in lines if one.section == name]) for name, title in TITLES.items()]
    units = {name: one["unit"] for document in documents for name, one in document["metrics"].items()}
    return render(
        request,
        "compare_several.html.j2",
        several_tasks=not shown.same_task,
        metrics=shown.metrics,
        over_images=shown.over_images,
        units=units,
        sections=[one for one in sections if one[2]],
        **_curves(state, found, documents),
    )


def _curves(state: Any, found: list[dict[str, Any]], documents: list[dict[str, Any]]) -> dict[str, Any]:
    """What the template of learning curves over one another gets."""
    from markupsafe import Markup

    drawn = [(one.name, Markup(one.svg)) for one in side_by_side.curves(state, found, documents)]  # noqa: S704 svg escapes
    looks = [learning_curves.line_style(place, len(found)) for place in range(len(found))]
    return {"found": found, "curves": drawn, "looks": looks}


def asked_for(request: Request) -> tuple[list[dict[str, Any]], int]:
    """The results that the query names, each once and at most ``side_by_side.MOST``, and how many names it has."""
    asked = request.query_params
    names = [asked.get("a", ""), asked.get("b", ""), *asked.getlist("id")[:50], *asked.get("ids", "").split(",")[:50]]
    given = [name.strip() for name in names if name.strip()]
    found = list({row["id"]: row for row in (_find(request, one) for one in given[: side_by_side.MOST])}.values())
    return found, len(given)


def _find(request: Request, given: str) -> dict[str, Any]:
    """The published result of that id or beginning of one. 404 if there is none."""
    state = request.app.state
    ids = []
    if PREFIX.fullmatch(given):
        ids = [given] if len(given) == 64 else query.by_prefix(state.store, given)
    row = query.one(state.store, ids[0]) if len(ids) == 1 else None
    if row is None or "challenge" not in row or not may_see(getattr(request.state, "account", None), row):
        raise HTTPException(404, f"There is no published result {given[:64]}, or more than one begins so.")
    return row


def _choose(request: Request, found: list[dict[str, Any]], given: int) -> Response:
    """The page that leads to a comparison: of the one that is chosen, with others of its task."""
    rows: list[dict[str, Any]] = []
    if len(found) == 1:
        from ie_crowd.store.filters import Filter

        one = found[0]
        task = {key: one[key] for key in ("challenge", "dataset", "supervision", "labels", "division")}
        page = query.results(request.app.state.store, Filter(**task), size=MOST_CANDIDATES + 1)
        rows = [row for row in page.rows if row["id"] != one["id"]][:MOST_CANDIDATES]
    return render(request, "compare_choose.html.j2", found=found, given=given, rows=rows)


def _forests(row: Row) -> tuple[str, str]:
    """Both means and intervals on one scale, as drawings; empty where a side has no value."""
    from markupsafe import Markup

    sides: list[Mapping[str, Any] | None] = [row.left, row.right]
    there = [(one["value"], one["ci95"] or 0.0) for one in sides if one]
    ends = [end for mean, half in there for end in (mean - half, mean + half)]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    drawn = [
        Markup(svg.forest(low - room, high + room, one["value"], one["ci95"], series)) if one else ""  # noqa: S704
        for series, one in enumerate(sides)
    ]
    return drawn[0], drawn[1]


routes = [Route("/compare", comparison)]

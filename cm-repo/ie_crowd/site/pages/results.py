"""The list of results: filters, order, pages; as a table or as a chart of selectable axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.challenge.model import Challenge
from ie_crowd.site.api import exports
from ie_crowd.site.charts import by_labels, svg
from ie_crowd.site.charts import points as chart_points
from ie_crowd.site.middleware import form_routes, permissions
from ie_crowd.site.pages import list_query
from ie_crowd.site.pages.list_query import Asked
from ie_crowd.site.rendering import evidence
from ie_crowd.site.rendering.context import render
from ie_crowd.store import audit, chart_data, export, query, standings
from ie_crowd.store.filters import Filter
from ie_crowd.store.tables import PUBLISHED

MOST_SUGGESTED = 200  # submitters in the list of suggestions of the filter
OVER_TIME = ("created", "published")  # axes over which the best so far is drawn
SAMPLE = 25  # rows of the table behind a chart that are shown at once


class Column(NamedTuple):
    """A heading that sorts: its order, text and unit, where it leads, and what ``aria-sort`` says ("" for none)."""

    sort: str
    text: str
    unit: str
    query: dict[str, Any]
    aria: str


class Choice(NamedTuple):
    """A value that would narrow the list, how many results it would leave, and where it leads."""

    value: str
    results: int
    query: dict[str, Any]


def only(request: Request, revision: int) -> str | None:
    """The challenge to filter by: None where the store holds no other, which spares the filter."""
    state = request.app.state
    found: list[str] = state.cached.get("challenges", lambda: query.challenges(state.store), revision)
    own: str = state.content.challenge.id
    return None if found in ([], [own]) else own


def results(request: Request) -> Response:
    """A page of the list, or its chart. What is not published is listed for those who may review it."""
    state = request.app.state
    challenge: Challenge = state.content.challenge
    wanted = list_query.read(request.query_params, challenge)
    account = getattr(request.state, "account", None)
    published = wanted.status == PUBLISHED
    if not published:
        if account is None:
            return form_routes.to_login(request)
        form_routes.need(request, "review")
    revision = audit.results_revision(state.store)
    facets = state.cached.get(
        ("facets", wanted.status),
        lambda: query.facets(state.store, challenge.id, wanted.status),
        revision,
        patient=True,
    )
    kept = wanted.query(sort=None, view=None, x=None, y=None)
    values: dict[str, Any] = {
        "asked": wanted,
        "facets": facets,
        "suggested": facets["submitter"][:MOST_SUGGESTED],
        "cpu_only": list_query.CPU_ONLY,
        "headline": headline(wanted),
        "chips": [(name, value, wanted.query(**{name: None})) for name, value in wanted.chosen.items()],
        "offered": list_query.offered(challenge, wanted.chosen, facets["dataset"])
        if published and wanted.view == "table"
        else [],
        "seen": list_query.columns(challenge, wanted.chosen, wanted.sort, seen=wanted.columns) if published else [],
        "published": published,
        "statuses": list_query.STATUSES if permissions.may(account, "review") else {},
        "views": {"table": kept, **({"chart": {**kept, "view": "chart"}} if published else {})},
    }
    by = only(request, revision) if published else challenge.id
    if state.settings.static:
        values["contests"] = state.cached.get(
            "contests", lambda: standings.contests(state.store, challenge.id), revision, patient=True
        )
    else:
        chosen = wanted.filter(by)
        counted = state.cached.get(
            ("choices", wanted.status, chosen),
            lambda: query.choices(state.store, chosen, wanted.status),
            revision,
            patient=True,
        )
        values["further"] = _further(wanted, counted)
    if wanted.view == "chart":
        return _chart(request, wanted, values)
    names = list_query.columns(challenge, wanted.chosen, wanted.sort, seen=wanted.columns) if published else []
    size = state.settings.page_size
    page = query.results(
        state.store,
        wanted.filter(by),
        sort=wanted.sort,
        descending=wanted.descending,
        page=wanted.page,
        size=size,
        metrics=names,
        state=wanted.status,
    )
    last = max(1, -(-page.total // size))
    return render(
        request,
        "results.html.j2",
        **values,
        rows=page.rows,
        total=page.total,
        metrics=names,
        levels=evidence.of_list(state, page.rows, revision),
        columns={column.sort: column for column in _columns(wanted, names, challenge)},
        first=(wanted.page - 1) * size + 1,
        last=last,
        offers=exports.offers(request, *export.EXPORTS, **wanted.filters()) if published else [],
    )


def _further(wanted: Asked, counted: Mapping[str, list[tuple[Any, int]]]) -> list[tuple[str, list[Choice]]]:
    """Each facet that would narrow the list, in the order of the form, with its choices; none without a name."""
    found = []
    for name in list_query.FILTERS:
        choices = []
        for value, results in counted.get(name, ()):
            asks = list_query.CPU_ONLY if (name, value) == ("accelerator", "") else value
            if asks != "":
                choices.append(Choice(str(asks), results, wanted.query(**{name: asks})))
        if choices:
            found.append((name, choices))
    return found


def headline(wanted: Asked) -> str:
    """What is filtered by, in words."""
    said = dict(wanted.chosen)
    parts = [said.pop(key) for key in ("dataset", "supervision") if key in said]
    if "labels" in said:
        labels = said.pop("labels")
        parts.append("all labels" if labels == "all" else f"{labels} labels")
    if "division" in said:
        parts.append(f"{said.pop('division')} division")
    if "method" in said:
        parts.append(f"method {said.pop('method')}")
    if "text" in said:
        parts.append(f"with “{said.pop('text')}”")
    if "submitter" in said:
        parts.append(f"by {said.pop('submitter')}")
    if said.get("accelerator") == list_query.CPU_ONLY:
        said.pop("accelerator")
        parts.append("without an accelerator")
    parts += said.values()
    return ", ".join(parts if wanted.status == PUBLISHED else [list_query.STATUSES[wanted.status], *parts])


def _columns(wanted: Asked, metrics: list[str], challenge: Challenge) -> list[Column]:
    plain = {"submitter": "Submitter", "labels": "Task, by labels", "wall_seconds": "Time", "created": "Made"}
    found = []
    for sort in (*plain, *metrics):
        downwards = sort in ("created", "wall_seconds") or (
            sort in challenge.metrics and challenge.metrics[sort].direction == "higher"
        )
        here = wanted.sort == sort
        turned = not wanted.descending if here else downwards
        aria = ("descending" if wanted.descending else "ascending") if here else ""
        unit = challenge.metrics[sort].unit if sort in challenge.metrics else "1"
        to = wanted.query(sort=f"{'-' if turned else ''}{sort}")
        found.append(Column(sort, plain.get(sort, sort), unit, to, aria))
    return found


def _chart(request: Request, wanted: Asked, values: Mapping[str, Any]) -> Response:

    state = request.app.state
    challenge: Challenge = state.content.challenge
    choices = {
        "x": [(axis, chart_points.says(axis, challenge)) for axis in (*chart_data.AXES, *challenge.metrics)],
        "y": [(name, chart_points.says(name, challenge)) for name in challenge.metrics],
    }
    files = wanted.query(view=None, sort=None, columns=None)
    if state.settings.static and set(wanted.chosen) - {"dataset"}:
        files = {}  # a copy of files has those of the whole charts
    values = {**values, "files": files, "shape": svg.legend_marker, "over_time": wanted.query(x=OVER_TIME[0])}
    if wanted.x == "labels" and wanted.y in challenge.metrics:
        drawn = [one._replace(svg=Markup(one.svg)) for one in labels_charts(request, wanted)]  # noqa: S704 svg escapes
        unit = challenge.metrics[wanted.y].unit
        offers = exports.offers(request, "labels", metric=wanted.y, **wanted.filters())
        return render(
            request, "chart_labels.html.j2", **values, charts=drawn, unit=unit, choices=choices, offers=offers
        )
    found_points, by, best, points = points_chart(request, wanted)
    return render(
        request,
        "chart_points.html.j2",
        **values,
        choices=choices,
        drawn=Markup(points.svg) if points else "",  # noqa: S704 svg escapes
        legend=points.legend if points else [],
        best=best,
        by=by,
        points=found_points["points"],
        total=found_points["total"],
        thinned=found_points["thinned"],
        says=[chart_points.says(axis, challenge) for axis in (wanted.x, wanted.y)],
        units=[challenge.metrics[axis].unit if axis in challenge.metrics else "" for axis in (wanted.x, wanted.y)],
        sample=SAMPLE,
        offers=exports.offers(request, "points", x=wanted.x, y=wanted.y, **wanted.filters()),
    )


def labels_charts(request: Request, wanted: Asked) -> list[by_labels.Chart]:
    """A metric by number of labels, one chart for each data set, first what shows most."""
    content = request.app.state.content
    rows = _by_labels(request, wanted.filter(content.challenge.id), wanted.y)
    beside = content.published if content.words.published_metric == wanted.y else ()
    metric = content.challenge.metrics[wanted.y]
    found = by_labels.charts(rows, wanted.y, metric, _fitting(beside, wanted.chosen, rows))
    return sorted(found, key=lambda one: -len(one.rows) - len(one.published))


class Drawn(NamedTuple):
    """A chart of two axes: what ``chart_data.points`` gives, the column that tells series apart, the best so far of
    each, and the chart; None for that where no result has both."""

    found: dict[str, Any]
    by: str
    best: dict[str, list[tuple[str, float]]]
    chart: chart_points.Points | None


def points_chart(request: Request, wanted: Asked) -> Drawn:
    """The chart of two axes, kept until results change."""
    state = request.app.state
    chosen = wanted.filter(state.content.challenge.id)

    def make() -> Drawn:
        return _points_chart(request, wanted, chosen)

    drawn: Drawn = state.charts.get((chosen, wanted.x, wanted.y, tuple(wanted.chosen)), make, patient=True)
    return drawn


def _points_chart(request: Request, wanted: Asked, chosen: Filter) -> Drawn:
    state = request.app.state
    try:
        found = chart_data.points(state.store, chosen, wanted.x, wanted.y, most=state.settings.most_points)
    except ValueError:  # a metric that no result has yet
        found = {"points": [], "total": 0, "thinned": False}
    by = "dataset" if "dataset" not in wanted.chosen else "labels" if "labels" not in wanted.chosen else "division"
    best = _best(request, wanted, chosen, by)
    drawn = chart_points.draw(found["points"], wanted.x, wanted.y, by, state.content.challenge, best)
    return Drawn(found, by, best, drawn)


def _best(request: Request, wanted: Asked, chosen: Any, by: str) -> dict[str, list[tuple[str, float]]]:
    """The days on which the best became better, where the chart is of a metric over days; kept until the store changes.

    A metric that is best near chance has no best so far.
    """
    state = request.app.state
    metric = state.content.challenge.metrics.get(wanted.y)
    if wanted.x not in OVER_TIME or metric is None or metric.direction not in ("lower", "higher"):
        return {}

    def ask() -> dict[str, list[tuple[str, float]]]:
        try:
            return chart_data.best_so_far(state.store, chosen, wanted.y, wanted.x, by, metric.direction)
        except ValueError:  # no result has it
            return {}

    found: dict[str, list[tuple[str, float]]] = state.cached.get(
        ("best so far", chosen, wanted.y, wanted.x, by), ask, patient=True
    )
    return found


def _by_labels(request: Request, chosen: Any, metric: str) -> list[dict[str, Any]]:
    """The rows of the chart, kept until the store changes; none where no result has the metric."""
    state = request.app.state

    def ask() -> list[dict[str, Any]]:
        try:
            return chart_data.by_labels(state.store, chosen, metric)
        except ValueError:
            return []

    found: list[dict[str, Any]] = state.cached.get(("by labels", chosen, metric), ask, patient=True)
    return found


def _fitting(published: Any, chosen: Mapping[str, str], rows: list[dict[str, Any]]) -> list[Any]:
    """The published numbers of the data sets and label counts that are shown."""
    datasets = {row["dataset"] for row in rows}
    return [
        one
        for one in published
        if one.dataset in datasets
        and chosen.get("labels") in (None, str(one.labels))
        and chosen.get("supervision") in (None, "semi-supervised")
    ]


routes = [Route("/results", results)]

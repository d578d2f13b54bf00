"""Each chart of the site as SVG, PNG and CSV: the drawing of the page with its title and legend, and its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.artifact import learning_curves
from ie_crowd.challenge.model import Challenge
from ie_crowd.evidence import files
from ie_crowd.formats import metrics_jsonl
from ie_crowd.site.api import exports
from ie_crowd.site.charts import by_labels, standalone
from ie_crowd.site.charts import points as chart_points
from ie_crowd.site.pages import compare, list_query, result, results
from ie_crowd.site.pictures import answer
from ie_crowd.site.rendering import present, result_files, side_by_side
from ie_crowd.store.tables import PUBLISHED

FORMS = ("svg", "png", "csv")
LABELS = ("kind", *exports.TABLES["labels"].columns, "source")
CURVES = ("run", "epoch", "value")
COMPARED = ("result", "epoch", "mean")


def labels(request: Request) -> Response:
    """A metric by number of labels, on one data set; the CSV holds what others published, too."""
    wanted = _wanted(request)
    if wanted.y not in request.app.state.content.challenge.metrics or "dataset" not in wanted.chosen:
        raise HTTPException(404, "There is no such chart: it is of a data set, and its y a metric.")
    found = next(iter(results.labels_charts(request, wanted)), None)
    if found is None:
        raise HTTPException(404, "No published result is in that chart.")
    name = f"{wanted.y}-by-labels-{found.dataset}"
    if request.path_params["form"] == "csv":
        others = [
            {
                "kind": "published by others", "dataset": one.dataset, "supervision": "", "labels": one.labels,
                "method": one.method, "mean": one.value, "ci95": one.spread, "source": one.source,
            }
            for one in found.published
        ]  # fmt: skip
        return _csv(LABELS, [*({"kind": "measured", **row} for row in found.rows), *others], name)
    title, size = title_by_labels(wanted, found), (by_labels.WIDTH, by_labels.HEIGHT)
    return _drawn(request, found.svg, size, title, legend_by_labels(found), name)


def title_by_labels(wanted: list_query.Asked, found: by_labels.Chart) -> str:
    """What the chart shows, with its filters."""
    return f"{found.dataset}: {wanted.y} by number of labels{_further(wanted)}"


def legend_by_labels(found: by_labels.Chart) -> list[standalone.Entry]:
    """Its legend for a picture."""
    return [
        (standalone.published() if number < 0 else standalone.series(number, dashes), said)
        for number, dashes, said in found.legend
    ]


def points(request: Request) -> Response:
    """Two axes."""
    wanted = _wanted(request)
    found, by, _, drawn = results.points_chart(request, wanted)
    if drawn is None:
        raise HTTPException(404, "No published result is in that chart.")
    name = f"{wanted.y}-against-{wanted.x}"
    if request.path_params["form"] == "csv":
        return _csv(exports.TABLES["points"].columns, found["points"], name)
    title = title_of_points(wanted, request.app.state.content.challenge)
    size = chart_points.WIDTH, chart_points.HEIGHT
    return _drawn(request, drawn.svg, size, title, legend_of_points(drawn, by), name)


def title_of_points(wanted: list_query.Asked, challenge: Challenge) -> str:
    """What the chart shows, with its filters."""
    return (
        f"{chart_points.says(wanted.y, challenge)} against {chart_points.says(wanted.x, challenge)}{_further(wanted)}"
    )


def legend_of_points(drawn: chart_points.Points, by: str) -> list[standalone.Entry]:
    """Its legend for a picture."""
    return [
        (standalone.series(number), present.labels(said) if by == "labels" else said) for number, said in drawn.legend
    ]


def curve(request: Request) -> Response:
    """A learning curve of a published result whose folder is on this machine, or whose histories were sent with it."""
    name, _, form = request.path_params["file"].rpartition(".")
    request.path_params["form"] = form
    _form(request)
    row = result.published(request)
    document, _, _, shown = result.read(request.app.state, row)
    drawn = next((one for one in shown.curves if one[0] == name), None)
    if drawn is None:
        raise HTTPException(404, "There is no such curve.")
    file = f"{name}-{row['id'][:10]}"
    if form == "csv":
        state = request.app.state
        here = files.stored(state.store, row["id"])
        source = result_files.source_of(state.store, row, state.settings.folders, here)
        completed = [number for number, run in enumerate(document["runs"]) if run["status"] == "completed"]
        lines = metrics_jsonl.read(source, completed).series[name] if source else []
        numbers = [{"run": run, "epoch": x, "value": y} for run, places in lines for x, y in places]
        return _csv(CURVES, numbers, file)
    title = f"{name}: {row['dataset']}, {row['supervision']}, {present.labels(row['labels'])}, {row['id'][:10]}"
    legend = [
        (f'<line class="{kind}" stroke-dasharray="{dashes}" x1="1" x2="33" y1="7" y2="7"/>', f"run {run}")
        for run, kind, dashes in shown.legend
    ]
    return _drawn(request, str(drawn[2]), (learning_curves.WIDTH, learning_curves.HEIGHT), title, legend, file)


def compared(request: Request) -> Response:
    """A learning curve of two to six results over one another, each by the mean of its runs."""
    name, _, form = request.path_params["file"].rpartition(".")
    request.path_params["form"] = form
    _form(request)
    rows, given = compare.asked_for(request)
    if given > side_by_side.MOST or len(rows) < 2:
        raise HTTPException(404, f"ids is two to {side_by_side.MOST} results, with commas between them.")
    store = request.app.state.store
    documents = [result_files.parsed(store, row["id"]) for row in rows]
    drawn = next((one for one in side_by_side.curves(request.app.state, rows, documents) if one.name == name), None)
    if drawn is None:
        raise HTTPException(404, "There is no such curve of two of these results.")
    file = f"{name}-of-{len(rows)}-results"
    if form == "csv":
        numbers = [
            {"result": rows[number - 1]["id"], "epoch": x, "mean": y}
            for number, places in drawn.lines
            for x, y in places
        ]
        return _csv(COMPARED, numbers, file)
    legend = []
    for place, row in enumerate(rows):
        kind, dashes = learning_curves.line_style(place, len(rows))
        sign = f'<line class="{kind}" stroke-dasharray="{dashes}" x1="1" x2="33" y1="7" y2="7"/>'
        task = f"{row['dataset']}, {present.labels(row['labels'])}"
        legend.append((sign, f"{place + 1}: {row['id'][:10]}, {row['submitter'] or 'nobody named'}, {task}"))
    size = learning_curves.WIDTH, learning_curves.HEIGHT
    return _drawn(request, drawn.svg, size, f"{name}, mean of each result's runs", legend, file)


def _wanted(request: Request) -> list_query.Asked:
    _form(request)
    wanted = list_query.read(request.query_params, request.app.state.content.challenge)
    if wanted.status != PUBLISHED:
        raise HTTPException(404, "Charts are of published results.")
    return wanted


def _form(request: Request) -> None:
    if request.path_params["form"] not in FORMS:
        raise HTTPException(404, f"There is no such form; there are {', '.join(FORMS)}.")


def _further(wanted: list_query.Asked) -> str:
    """The filters beside the data set, in words."""
    said = [value for name, value in wanted.chosen.items() if name != "dataset"]
    return f" ({', '.join(said)})"[:120] if said else ""


def _drawn(
    request: Request,
    drawn: str,
    size: tuple[int, int],
    title: str,
    legend: Sequence[standalone.Entry],
    name: str,
) -> Response:
    state = request.app.state
    source = f"Results of reproducing {state.content.challenge.paper['title']}"
    if state.settings.base_url:
        source += f", {state.settings.base_url}"
    whole = standalone.chart(drawn, *size, title, legend, source)
    form = request.path_params["form"]
    headers = answer.as_file(f"{name}.{form}")
    return answer.svg(request, whole, headers) if form == "svg" else answer.raster(request, whole, headers)


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], name: str) -> Response:
    text = "".join(exports.csv_lines(columns, rows))
    return Response(text, media_type="text/csv; charset=utf-8; header=present", headers=answer.as_file(f"{name}.csv"))


routes = [
    Route("/charts/labels.{form}", labels),
    Route("/charts/points.{form}", points),
    Route("/results/{id}/curves/{file}", curve),
    Route("/compare/curves/{file}", compared),
]

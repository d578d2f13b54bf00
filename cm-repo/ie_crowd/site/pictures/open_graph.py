"""The addresses of the pictures for links: of the first page, a contest's ranks, a chart, a published result."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.challenge.evidence import STATED
from ie_crowd.site.charts import by_labels
from ie_crowd.site.charts import points as chart_points
from ie_crowd.site.pages import list_query, paper, ranking, result, results
from ie_crowd.site.pictures import answer, cards, chart_files
from ie_crowd.site.rendering import evidence, holds, present
from ie_crowd.store import query
from ie_crowd.store.people import comments

HOUR = {"Cache-Control": "max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}


def of_front(request: Request) -> Response:
    """Does the paper hold?"""
    found = paper.findings(request.app.state)
    return _sent(request, cards.front(_site(request), holds.verdict(found), found))


def of_ranking(request: Request) -> Response:
    """The first entries of the contest that the ranking of the same query shows."""
    shown = ranking.asked(request)
    if shown is None:
        raise HTTPException(404, "Nothing is ranked yet.")
    row, unit = shown.row, present.in_unit(shown.metric.unit)
    title = f"{row['dataset']}, {row['supervision']}, {present.labels(row['labels'])}, {row['division']} division"
    lines = ranking.lines(shown.entries, 0)[: cards.MOST_ENTRIES]
    return _sent(request, cards.ranking(_site(request), title, shown.name, lines, unit, len(shown.entries)))


def of_chart(request: Request) -> Response:
    """The first chart of the page of the same query."""
    challenge = request.app.state.content.challenge
    wanted = list_query.read({**request.query_params, "view": "chart", "status": ""}, challenge)
    if wanted.x == "labels" and wanted.y in challenge.metrics:
        first = next(iter(results.labels_charts(request, wanted)), None)
        if first is None:
            raise HTTPException(404, "No published result is in that chart.")
        title = chart_files.title_by_labels(wanted, first)
        size = by_labels.WIDTH, by_labels.HEIGHT
        return _sent(request, cards.chart(_site(request), title, first.svg, size, chart_files.legend_by_labels(first)))
    _, by, _, drawn = results.points_chart(request, wanted)
    if drawn is None:
        raise HTTPException(404, "No published result is in that chart.")
    title, size = chart_files.title_of_points(wanted, challenge), (chart_points.WIDTH, chart_points.HEIGHT)
    return _sent(request, cards.chart(_site(request), title, drawn.svg, size, chart_files.legend_of_points(drawn, by)))


def of_result(request: Request) -> Response:
    """A published result."""
    state = request.app.state
    row = result.published(request)
    document, challenge, judged, _ = result.read(state, row)
    title = f"{row['dataset']}, {row['supervision']}, {present.labels(row['labels'])}"
    kind = ", ".join(
        filter(None, (row["method"], f"{row['division']} division", f"by {row['submitter'] or 'nobody named'}"))
    )
    level = evidence.of(state, row, patient=True)
    signed = len({(one["checklist"], one["item"]) for one in comments.signatures(state.store, row["id"])})
    badges = [
        (f"evidence: {level.words}", level.level != STATED),
        (f"{signed} item{'' if signed == 1 else 's'} signed", signed > 0),
    ]
    measured = _measured(state, row, result.metrics(row, document, challenge))
    said = result.sentence(row, judged)
    return _sent(request, cards.result(_site(request), title, kind, measured, said, badges))


def _measured(state: Any, row: dict[str, Any], metrics: list[tuple[str, dict[str, Any], str, str, str]]) -> Any:
    if not metrics:
        return None
    name, found, unit, direction, _ = metrics[0]
    half = "" if found["ci95"] is None else f" ± {present.value(found['ci95'], unit)}"
    said = f"{present.value(found['mean'], unit)}{half} {present.in_unit(unit)}".strip()
    values = [run["metrics"][name] for run in query.runs(state.store, row["id"]) if name in run["metrics"]]
    task = row["dataset"], row["labels"]
    beside = state.content.published if state.content.words.published_metric == name else ()
    if row["supervision"] != "semi-supervised":
        beside = ()
    others = [one for one in beside if (one.dataset, one.labels) == task]
    return cards.Measured(
        f"{name}, {direction.replace('-', ' ')} is better", said, values, found["mean"], found["ci95"], others
    )


def _site(request: Request) -> cards.Site:
    state = request.app.state
    return cards.Site(
        state.content.challenge.id, state.content.challenge.paper["title"], urlsplit(state.settings.base_url).netloc
    )


def _sent(request: Request, drawing: str) -> Response:
    return answer.raster(request, drawing, HOUR, 1)


routes = [
    Route("/og.png", of_front),
    Route("/ranking/og.png", of_ranking),
    Route("/charts/og.png", of_chart),
    Route("/results/{id}/og.png", of_result),
]

"""The reading operations about the challenge: rules, claims, checklists, ranks, and the numbers behind charts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.responses import JSONResponse, Response

from ie_crowd.challenge import evidence
from ie_crowd.challenge.model import Challenge, Metric
from ie_crowd.check import checklists
from ie_crowd.site.api import results
from ie_crowd.site.api.operations import (
    COUNT,
    FILTERS,
    INTEGER,
    LABELS_SHOWN,
    NULLABLE,
    NUMBER,
    TEXT,
    Answer,
    Call,
    Operation,
    Parameter,
    array,
    by_name,
    exactly,
    integer,
)
from ie_crowd.site.api.results import METRIC, chosen
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.site.rendering.evidence import ranks
from ie_crowd.store import chart_data, query, standings
from ie_crowd.store.standings import Contest
from ie_crowd.store.tables import STATES

AXIS = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9]+(?:[-_.][a-z0-9]+)*$"}
CONTESTS = 10  # of one answer: thousands of submitters take half a second each
ENTRY = (
    "rank",
    "submitter",
    "method",
    "variant",
    "mean",
    "sd",
    "ci95",
    "n",
    "failed",
    "results",
    "reproduced_by",
    "awaiting_word",
    "evidence",
    "unranked",
)


def challenge(call: Call) -> Response:
    """The rules that results are judged by."""
    challenge: Challenge = call.request.app.state.content.challenge
    return JSONResponse(
        {
            "id": challenge.id,
            "rules_version": challenge.rules_version,
            "paper": dict(challenge.paper),
            "metrics": definitions(challenge),
            "tasks": tasks(challenge),
            "datasets": {name: dict(files) for name, files in challenge.datasets.items()},
            "splits": dict(challenge.splits),
            "validity": dataclasses.asdict(challenge.validity),
        }
    )


def definitions(challenge: Challenge) -> list[dict[str, Any]]:
    """The metrics: name, what, unit, direction, low, high, chance, tolerances."""
    found = []
    for name, metric in challenge.metrics.items():
        row = dataclasses.asdict(metric)
        low, high = (None if abs(row[key]) == float("inf") else row[key] for key in ("low", "high"))
        found.append({"name": name, **row, "low": low, "high": high})
    return found


def tasks(challenge: Challenge) -> list[dict[str, Any]]:
    """The tasks: dataset, supervision, labels, metrics, and what the closed division pins, also for some labels."""
    return [
        {
            "dataset": task.dataset,
            "supervision": task.supervision,
            "labels": list(task.labels),
            "metrics": list(task.metrics),
            "closed": {key: str(pin) for key, pin in challenge.pins(task, None).items()},
            "closed_by_labels": {
                str(labels): {key: str(pin) for key, pin in some.items()}
                for labels, some in task.pinned_by_labels.items()
            },
        }
        for task in challenge.tasks
    ]


def claims(call: Call) -> Response:
    """What the paper claims."""
    return JSONResponse({"claims": [dataclasses.asdict(claim) for claim in call.request.app.state.content.claims]})


def lists(call: Call) -> Response:
    """The checklists that results are judged by."""
    return JSONResponse(
        {
            "checklists": [
                {
                    "id": one.id,
                    "title": one.title,
                    "about": one.about,
                    "subjects": [
                        {"subject": name, "items": [dataclasses.asdict(point) for point in points]}
                        for name, points in one.subjects.items()
                    ],
                }
                for one in checklists.load()
            ]
        }
    )


def summary(call: Call) -> Response:
    """How much there is, and what can be filtered by."""
    cached = call.request.app.state.cached
    return JSONResponse(
        {
            "totals": cached.get("api totals", lambda: query.totals(call.engine)),
            "facets": cached.get("api facets", lambda: query.facets(call.engine)),
        }
    )


def ranking(call: Call) -> Response:
    """Who is ranked where, some contests at a time: each is computed from all its runs when it has changed."""
    most, page = call.values.get("most", 100), call.values.get("page", 1)
    fitting = wanted(call)
    shown = ranked(call, fitting[(page - 1) * CONTESTS : page * CONTESTS])
    contests = [{**row, "total": len(row["entries"]), "entries": row["entries"][:most]} for row in shown]
    response = JSONResponse({"contests": contests, "total": len(fitting), "page": page})
    response.headers["Link"] = results.pages(call, page, max(1, -(-len(fitting) // CONTESTS)))
    return response


def wanted(call: Call) -> list[dict[str, Any]]:
    """The contests that are asked for and that the rules still know."""
    state, values = call.request.app.state, call.values
    rows = state.cached.get("contests", lambda: standings.contests(call.engine, state.content.challenge.id))
    asked = [(name, values[name]) for name in ("dataset", "supervision", "labels", "division") if name in values]
    return [
        row
        for row in rows
        if all(str(row[name]) == value for name, value in asked)
        and state.content.challenge.task(row["dataset"], row["supervision"]) is not None
    ]


def ranked(call: Call, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Those contests, each with all its entries. Raises Problem 404 for a metric that there is not."""
    state, given = call.request.app.state, call.values.get("metric")
    challenge: Challenge = state.content.challenge
    if given is not None and given not in challenge.metrics:
        raise Problem(404, f"there is no metric {given!r}; see /api/v1/challenge")
    for row in rows:
        contest = Contest(*(row[name] for name in Contest._fields))
        task = challenge.task(contest.dataset, contest.supervision)
        assert task is not None
        name = given or task.metrics[0]
        metric: Metric = challenge.metrics[name]
        entries = ranks(state, contest, name).entries
        yield {
            **contest._asdict(),
            "metric": name,
            "unit": metric.unit,
            "direction": metric.direction,
            "entries": [{field: getattr(entry, field) for field in ENTRY} for entry in entries],
        }


def points(call: Call) -> Response:
    """The points of a chart of two axes."""
    values = call.values
    return JSONResponse(
        chart_data.points(call.engine, chosen(values), values["x"], values["y"], most=values.get("most", 1000))
    )


def by_labels(call: Call) -> Response:
    """A metric against the number of labels."""
    return JSONResponse({"rows": chart_data.by_labels(call.engine, chosen(call.values), call.values["metric"])})


TASK = tuple(one for one in FILTERS if one.name in ("dataset", "supervision", "labels", "division"))
AXES = (
    Parameter("x", AXIS, f"A metric, or one of {', '.join(chart_data.AXES)}.", "labels", required=True),
    Parameter("y", AXIS, "The same.", "classification.error", required=True),
)
_MEASURED = {"type": "number"}
_ENTRY = exactly(
    rank={"type": ["integer", "null"]}, submitter=TEXT, method=TEXT, variant=TEXT, mean=_MEASURED,
    sd=NUMBER, ci95=NUMBER, n=COUNT, failed=COUNT, results=array(TEXT), reproduced_by=array(TEXT),
    awaiting_word=array(TEXT), evidence={"enum": [*evidence.LEVELS, evidence.REPRODUCED]}, unranked=TEXT,
)  # fmt: skip
_METRIC = exactly(
    name=TEXT, what=TEXT, unit=TEXT, direction=TEXT, low=NUMBER, high=NUMBER, chance=NUMBER, recompute=NUMBER,
    rerun=NUMBER, since=INTEGER,
)  # fmt: skip
_TASK = exactly(
    dataset=TEXT, supervision=TEXT, labels=array(LABELS_SHOWN), metrics=array(TEXT), closed=by_name(TEXT),
    closed_by_labels=by_name(by_name(TEXT)),
)  # fmt: skip
_FACETS = ("dataset", "supervision", "division", "method", "submitter", "cpu_model", "accelerator")
_PLACE = {"type": ["number", "string"]}  # on an axis: a number, a moment, or "all" labels
_COUNTED = (*STATES, "submitters", "machines", "contests")
_CONTEST = {"challenge": TEXT, "dataset": TEXT, "supervision": TEXT, "labels": LABELS_SHOWN, "division": TEXT}
_NOT_THERE = {404: Answer("There is no such metric or axis.")}

OPERATIONS = (
    Operation(
        "readChallenge", "GET", "/challenge", "Challenge", "The rules", challenge,
        {200: Answer("Tasks, metrics, data, divisions.", exactly(
            id=TEXT, rules_version=INTEGER, metrics=array(_METRIC), tasks=array(_TASK),
            paper=exactly(title=TEXT, url=TEXT, identifiers=array(TEXT)),
            datasets=by_name(by_name(NULLABLE)), splits=by_name(NULLABLE),
            validity=exactly(
                completed_runs=COUNT, first_seed={"type": ["integer", "null"]}, images_per_second=_MEASURED,
            ),
        ))},
    ),
    Operation(
        "listClaims", "GET", "/claims", "Challenge", "What the paper claims", claims,
        {200: Answer("The claims.", exactly(claims=array(exactly(
            id=TEXT, text=TEXT, tasks=array(TEXT), labels={"anyOf": [LABELS_SHOWN, {"type": "null"}]}, metric=TEXT,
            comparison=TEXT, value=NUMBER, tolerance=NUMBER, other=NULLABLE, threshold=TEXT, source=TEXT,
            since=COUNT,
        ))))},
    ),
    Operation(
        "listChecklists", "GET", "/checklists", "Challenge", "Checklists of artifact evaluation", lists,
        {200: Answer("The checklists.", exactly(checklists=array(exactly(
            id=TEXT, title=TEXT, about=TEXT, subjects=array(exactly(subject=TEXT, items=array(exactly(
                id=TEXT, asks=TEXT, probe=NULLABLE, person=NULLABLE
            )))),
        ))))},
    ),
    Operation(
        "readSummary", "GET", "/summary", "Results", "How many there are, and what to filter by", summary,
        {200: Answer("Counts and choices.", exactly(
            totals=exactly(**dict.fromkeys(_COUNTED, COUNT)),
            facets=exactly(labels=array(LABELS_SHOWN), **dict.fromkeys(_FACETS, array(TEXT))),
        ))},
    ),
    Operation(
        "readRanking", "GET", "/ranking", "Challenge", "Who is ranked where, by task and division", ranking,
        {200: Answer("Every contest with its entries.", exactly(
            contests=array(exactly(
                **_CONTEST, metric=TEXT, unit=TEXT, direction=TEXT, total=COUNT, entries=array(_ENTRY)
            )),
            total=COUNT, page=INTEGER,
        ), headers=("Link",)), **_NOT_THERE},
        (*TASK, Parameter("metric", METRIC, "Rank by it (default: the first of the task).", "classification.error"),
         Parameter("most", integer(1, 1000), "Entries of each contest (default: 100).", 10),
         Parameter("page", integer(1, 10**4), f"Which {CONTESTS} contests, from 1.", 1)),
        about="Those that do not differ significantly share a rank; rank null: `unranked` says why.",
    ),
    Operation(
        "readPoints", "GET", "/charts/points", "Charts", "Points of two axes", points,
        {200: Answer("Points; of many results some.", exactly(
            points=array(exactly(
                id=TEXT, submitter=NULLABLE, dataset=TEXT, labels=LABELS_SHOWN, division=TEXT, method=TEXT,
                x=_PLACE, x_ci95=NUMBER, y=_PLACE, y_ci95=NUMBER,
            )),
            total=COUNT, thinned={"type": "boolean"},
        )), **_NOT_THERE},
        (*FILTERS, *AXES, Parameter("most", integer(1, chart_data.MOST_POINTS), "Most points (default: 1000).", 100)),
    ),
    Operation(
        "readByLabels", "GET", "/charts/labels", "Charts", "A metric against the number of labels", by_labels,
        {200: Answer("One row for each contest.", exactly(rows=array(exactly(
            dataset=TEXT, supervision=TEXT, labels=LABELS_SHOWN, division=TEXT, method=TEXT, results=COUNT,
            submitters=COUNT, mean=_MEASURED, ci95=NUMBER, low=_MEASURED, high=_MEASURED,
        )))), **_NOT_THERE},
        (*FILTERS, Parameter("metric", METRIC, "The metric.", "classification.error", required=True)),
    ),
)  # fmt: skip

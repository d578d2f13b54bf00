"""Who is ranked where: one contest at a time, with groups that share a rank."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.challenge.model import Challenge, Metric, Task
from ie_crowd.ranking import rank
from ie_crowd.site.api import exports
from ie_crowd.site.charts import svg
from ie_crowd.site.rendering import evidence
from ie_crowd.site.rendering.context import render
from ie_crowd.store import audit, standings
from ie_crowd.store.standings import Contest

KEYS = ("dataset", "supervision", "labels", "division")
PAGE = 100


class Line(NamedTuple):
    """One entry as it is shown: its place ("3", or "3=" where others share it), and its interval as a drawing."""

    entry: rank.Entry
    place: str
    begins: bool  # a group of equals
    drawn: Any


class Asked(NamedTuple):
    """The contests that there are, which one is shown (``row``), by which metric, and its entries."""

    contests: list[dict[str, Any]]
    row: dict[str, Any]
    task: Task
    name: str
    metric: Metric
    entries: list[rank.Entry]


def asked(request: Request) -> Asked | None:
    """The contest of the query, else the first with results; None without any. 404 for one that there is not."""
    state = request.app.state
    challenge: Challenge = state.content.challenge
    revision = audit.results_revision(state.store)
    rows = state.cached.get("contests", lambda: standings.contests(state.store, challenge.id), revision, patient=True)
    rows = [row for row in rows if challenge.task(row["dataset"], row["supervision"]) is not None]
    if not rows:
        return None
    wanted = {key: request.query_params.get(key, "") for key in KEYS}
    given = any(wanted.values())
    fitting = [row for row in rows if all(want in ("", str(row[key])) for key, want in wanted.items())]
    if given and not fitting:
        raise HTTPException(404, "No published result is of that task and division.")
    row = (fitting or rows)[0] if given else _first(rows, challenge)
    task = challenge.task(row["dataset"], row["supervision"])
    assert task is not None
    name = request.query_params.get("metric") or task.metrics[0]
    if name not in task.metrics:
        raise HTTPException(404, f"The task has no metric {name[:64]}.")
    contest = Contest(*(row[field] for field in Contest._fields))
    metric = challenge.metrics[name]
    entries = evidence.ranks(state, contest, name, revision, patient=True).entries
    return Asked(rows, row, task, name, metric, entries)


def ranking(request: Request) -> Response:
    """One contest: that of the query, else the first with results."""
    shown = asked(request)
    if shown is None:
        return render(request, "ranking.html.j2", contests=[], contest=None)
    challenge: Challenge = request.app.state.content.challenge
    rows, row, task, name, metric, entries = shown
    contest = Contest(*(row[field] for field in Contest._fields))
    page = _page(request, len(entries))
    return render(
        request,
        "ranking.html.j2",
        contests=rows,
        contest=row,
        task=task,
        name=name,
        metric=metric,
        lines=lines(entries, (page - 1) * PAGE),
        total=len(entries),
        ranked=sum(entry.rank is not None for entry in entries),
        page=page,
        last=max(1, -(-len(entries) // PAGE)),
        alpha=rank.ALPHA,
        asked=challenge.evidence.asked(contest.division),
        margins=challenge.evidence.margins(contest.dataset, contest.supervision, contest.labels, name),
        fewest=rank.FEWEST,
        issued=challenge.evidence.issues(contest.dataset, contest.division),
        fixed=challenge.evidence.fixes(contest.division, contest.dataset, contest.supervision),
        offers=exports.offers(request, "ranking", metric=name, **{key: row[key] for key in KEYS}),
    )


def _first(rows: list[dict[str, Any]], challenge: Challenge) -> dict[str, Any]:
    """The contest that comes first in the rules, the closed division before the open one."""
    order = [(task.dataset, task.supervision) for task in challenge.tasks]

    def key(row: dict[str, Any]) -> tuple[int, bool, float]:
        labels = float("inf") if row["labels"] == "all" else float(row["labels"])
        return order.index((row["dataset"], row["supervision"])), row["division"] != "closed", labels

    return min(rows, key=key)


def _page(request: Request, total: int) -> int:
    given = request.query_params.get("page") or "1"
    number = int(given) if given.isascii() and given.isdecimal() and len(given) < 6 else 0
    if not 1 <= number <= max(1, -(-total // PAGE)):
        raise HTTPException(404, "There is no such page of this ranking.")
    return number


def lines(entries: list[rank.Entry], start: int) -> list[Line]:
    """The entries of a page from that one on, as they are shown."""
    from markupsafe import Markup

    ends = [end for one in entries for half in (one.ci95 or 0.0,) for end in (one.mean - half, one.mean + half)]
    ends = believable(ends)
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    ranks = [entry.rank for entry in entries]
    shares = Counter(ranks)
    found = []
    for number, entry in enumerate(entries[start : start + PAGE], start):
        shared = entry.rank is not None and shares[entry.rank] > 1
        place = "–" if entry.rank is None else f"{entry.rank}{'=' if shared else ''}"
        begins = number > 0 and ranks[number - 1] != entry.rank
        drawn = Markup(svg.forest(low, high, entry.mean, entry.ci95))  # noqa: S704 numbers only
        found.append(Line(entry, place, begins, drawn))
    return found


def believable(ends: list[float]) -> list[float]:
    """The ends without the few that would press all others together: the drawing's scale, not the numbers."""
    if len(ends) < 20:
        return ends
    ordered = sorted(ends)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    room = 1.5 * (high - low)
    return [end for end in ordered if low - room <= end <= high + room]


routes = [Route("/ranking", ranking)]

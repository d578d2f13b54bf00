"""What a page's query asks for: filters, order, page, axes; read by limits, and written again into links."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ie_crowd.challenge.model import Challenge, Task
from ie_crowd.store.chart_data import AXES
from ie_crowd.store.filters import Filter
from ie_crowd.store.query import SORTS
from ie_crowd.store.tables import PUBLISHED, QUARANTINED, VALID

FILTERS = ("dataset", "supervision", "labels", "division", "method", "submitter", "cpu_model", "accelerator", "text")
# How the results are that a list may be asked for, in words; all but the first are for reviewers.
STATUSES = {PUBLISHED: "published", VALID: "waits for a reviewer", QUARANTINED: "quarantined"}
VIEWS = ("table", "chart")
LONGEST = 200
LAST_PAGE = 10**6
MOST_COLUMNS = 6  # metrics that a visitor chooses
CPU_ONLY = "none"  # how a link asks for results without an accelerator


@dataclass(frozen=True)
class Asked:
    """The filters that are set, by name, and the rest, each with its default where the query says nothing."""

    chosen: Mapping[str, str]
    sort: str
    descending: bool
    page: int
    view: str
    x: str
    y: str
    status: str = PUBLISHED
    columns: tuple[str, ...] = ()  # metrics that the visitor chose to see

    def filter(self, challenge: str | None) -> Filter:
        """For the store. ``challenge``: None where the store holds no other."""
        return Filter(challenge=challenge, **self.filters())

    def filters(self) -> dict[str, Any]:
        """By name, as the store and the API take them."""
        return {key: "" if (key, value) == ("accelerator", CPU_ONLY) else value for key, value in self.chosen.items()}

    def query(self, **changes: Any) -> dict[str, Any]:
        """The query of a link that keeps what is asked and changes what is given (None: takes it out)."""
        sort = f"{'-' if self.descending else ''}{self.sort}"
        now: dict[str, Any] = {**self.chosen}
        if self.status != PUBLISHED:
            now["status"] = self.status
        if self.view == "chart":
            now |= {"view": "chart", "x": self.x, "y": self.y}
        elif sort != DEFAULT_SORT:
            now["sort"] = sort
        if self.columns:
            now["columns"] = ",".join(self.columns)
        return {**now, **changes}


DEFAULT_SORT = "-published"


def read(query: Mapping[str, str], challenge: Challenge) -> Asked:
    """What the query asks. Raises ValueError of one line for what cannot be."""
    for key, value in query.items():
        if len(value) > LONGEST:
            raise ValueError(f"{key[:40]} holds {len(value):,} characters; at most {LONGEST} are read")
    chosen = {key: query[key] for key in FILTERS if query.get(key)}
    page = query.get("page") or "1"
    if not (page.isascii() and page.isdecimal()) or len(page) > 7 or not 1 <= int(page) <= LAST_PAGE:
        raise ValueError(f"page is {page[:40]!r}; expected a number from 1")
    sort = query.get("sort") or DEFAULT_SORT
    order = sort.removeprefix("-")
    if order not in SORTS and order not in challenge.metrics:
        raise ValueError(f"sort is {sort[:64]!r}; expected {', '.join(SORTS)} or a metric")
    view = query.get("view") or "table"
    if view not in VIEWS:
        raise ValueError(f"view is {view[:40]!r}; expected {' or '.join(VIEWS)}")
    status = query.get("status") or PUBLISHED
    if status not in STATUSES:
        raise ValueError(f"status is {status[:40]!r}; expected {', '.join(STATUSES)}")
    if status != PUBLISHED and (view == "chart" or order not in SORTS):
        raise ValueError(f"charts and orders by a metric are of published results; expected no status={status} there")
    metrics = columns(challenge, chosen)
    x, y = query.get("x") or "labels", query.get("y") or metrics[0]
    for axis, name in ((x, "x"), (y, "y")):
        if axis not in AXES and axis not in challenge.metrics:
            raise ValueError(f"{name} is {axis[:64]!r}; expected {', '.join(AXES)} or a metric")
    return Asked(chosen, order, sort.startswith("-"), int(page), view, x, y, status, _seen(query, challenge))


def _seen(query: Mapping[str, str], challenge: Challenge) -> tuple[str, ...]:
    """The metrics of ``columns``, given once for each or with commas between them."""
    several = getattr(query, "getlist", None)
    given = several("columns") if several is not None else [query.get("columns", "")]
    names = tuple(dict.fromkeys(name for one in given for name in one.split(",") if name))
    if wrong := [name for name in names if name not in challenge.metrics]:
        raise ValueError(f"columns names {wrong[0][:64]!r}; expected metrics")
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"columns names {len(names)} metrics; at most {MOST_COLUMNS} fit a table")
    return names


def offered(challenge: Challenge, chosen: Mapping[str, str], datasets: Collection[str]) -> list[str]:
    """The metrics of the tasks that are asked for, on data sets that there are results of."""
    tasks = [task for task in _tasks(challenge, chosen) if task.dataset in datasets]
    return list(dict.fromkeys(name for task in tasks for name in task.metrics))


def columns(
    challenge: Challenge, chosen: Mapping[str, str], sort: str = "", most: int = 3, seen: Sequence[str] = ()
) -> list[str]:
    """The metrics that a list shows: those that the visitor chose (``seen``), else the first of the tasks that are
    asked for; and the one it is sorted by."""
    tasks = _tasks(challenge, chosen)
    found = list(seen) or list(dict.fromkeys(name for task in tasks or challenge.tasks for name in task.metrics))[:most]
    return [*found, sort] if sort in challenge.metrics and sort not in found else found


def _tasks(challenge: Challenge, chosen: Mapping[str, str]) -> list[Task]:
    return [
        task
        for task in challenge.tasks
        if chosen.get("dataset") in (None, task.dataset) and chosen.get("supervision") in (None, task.supervision)
    ]

"""What a person sees of a sweep: a table in the terminal while it goes on, and index.html, written anew all along."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from ie_crowd.artifact import assemble
from ie_crowd.formats import strict

from ie_recipes import tasks
from ie_recipes.comparison import label_curve
from ie_recipes.sweep import engine, journal, works
from ie_recipes.sweep import plan as plans

TABLE_ROWS = 20
TABLE_SECONDS, PAGE_SECONDS = 0.5, 10.0
SHOWN = (
    "classification.error", "control.error", "invariant.knn_error", "equivariant.leakage", "swap.accuracy",
    "log_likelihood",
)  # fmt: skip


class State:
    """What has become of each run, and what is expected of the others."""

    def __init__(self, plan: plans.Plan, found: Mapping[str, journal.Cell], pace: plans.Pace | None, at_once: int):
        self.plan, self.found, self.pace, self.at_once = plan, found, pace, at_once
        self.began = time.monotonic()
        self.here = 0  # runs that have ended since
        self.took: list[float] = []
        self.started: dict[str, float] = {}
        self.status: dict[plans.Run, str] = {}
        self.errors: dict[str, list[float]] = {}
        self.reasons: dict[str, str] = {}
        self.machines: dict[plans.Run, str] = {}
        for run in plan.runs:
            self._note_run(run, again=False)

    def _note_run(self, run: plans.Run, again: bool = True) -> None:
        document = works.read_run(self.found[run.cell].folder / "runs" / str(run.number))
        name = f"{run.cell}/runs/{run.number}"
        if document["status"] == "completed" or (again and document["status"] == "trained"):
            self.status[run] = engine.DONE
            error = document["metrics"].get("classification.error", document["metrics"].get("invariant.knn_error"))
            if error is not None:
                self.errors.setdefault(run.cell, []).append(error)
        elif document["status"] == "failed":
            self.status[run] = engine.FAILED
            self.reasons[name] = str(document.get("error"))

    def told(self, work: works.Work, what: str, line: str) -> None:
        """What an engine says of a work."""
        run = plans.Run(work.cell, work.number)
        if what == engine.RUNNING:
            self.status[run] = what
            self.started[work.name] = time.monotonic()
            self.machines[run] = line
            return
        self.here += 1
        if work.name in self.started:
            self.took.append(time.monotonic() - self.started.pop(work.name))
        self.status.pop(run, None)
        if what == engine.DONE:
            self._note_run(run)
        else:
            self.status[run] = what
            self.reasons[work.name] = line

    def counts(self) -> Counter[str]:
        """Runs by what has become of them; those that nothing has are "waiting"."""
        found = Counter(self.status.values())
        found["waiting"] = len(self.plan.runs) - sum(found.values())
        return found

    def left(self) -> str:
        """About how long it still takes: by the pace of what has ended, else by the plan's."""
        found = self.counts()
        open_runs = found["waiting"] + found[engine.RUNNING]
        if self.took:
            mean = sum(self.took) / len(self.took)
            return f"about {tasks.duration(mean * open_runs / max(1, min(self.at_once, open_runs)))} left"
        if self.pace is not None and (seconds := plans.total_seconds(self.plan, self.pace)) is not None:
            return f"about {tasks.duration(seconds * open_runs / len(self.plan.runs) / self.at_once)} left"
        return "time left is not known yet"

    def headline(self) -> str:
        """How many runs are done, and how long the others take."""
        found = self.counts()
        failed = f", {found[engine.FAILED]} failed" if found[engine.FAILED] else ""
        return (
            f"{found[engine.DONE]:,} of {len(self.plan.runs):,} runs done, {found[engine.RUNNING]} running{failed}; "
            f"{self.left() if found['waiting'] + found[engine.RUNNING] else 'all have ended'}"
        )

    def rows(self) -> Iterable[tuple[str, str, str]]:
        """For each cell its name, its runs and its error so far (mean of the runs that are done)."""
        by_cell: dict[str, Counter[str]] = {name: Counter() for name in self.found}
        for run in self.plan.runs:
            by_cell[run.cell][self.status.get(run, "waiting")] += 1
        for name, found in by_cell.items():
            told = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
            errors = self.errors.get(name)
            yield name, told, f"{sum(errors) / len(errors):.2f} %" if errors else "–"


class Shown:
    """The table in the terminal, where somebody looks, and the page; call it now and then."""

    def __init__(self, state: State, folder: Path, quiet: bool) -> None:
        self.state, self.folder, self.quiet = state, folder, quiet
        self.live: Any = None
        self.drawn = self.written = -1e9
        self.ended = 0
        if not quiet and sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(), auto_refresh=False, transient=True)

    def __enter__(self) -> "Shown":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def __call__(self) -> None:
        """Draw what is new, at most so often."""
        now = time.monotonic()
        if now > self.written + PAGE_SECONDS:
            self.written = now
            write(self.folder, self.state, {}, [])
        if self.live and now > self.drawn + TABLE_SECONDS:
            self.drawn = now
            self.live.update(self._table(), refresh=True)
        elif not self.live and not self.quiet and self.state.here != self.ended:
            self.ended = self.state.here
            print(f"ie-repr sweep: {self.state.headline()}", flush=True)

    def _table(self) -> Any:
        from rich.table import Table

        table = Table(title=self.state.headline(), title_justify="left")
        for column in ("task", "runs", "error so far"):
            table.add_column(column, overflow="fold")
        rows = sorted(self.state.rows(), key=lambda row: "running" not in row[1])
        for row in rows[:TABLE_ROWS]:
            table.add_row(*row)
        if len(rows) > TABLE_ROWS:
            table.add_row(f"… and {len(rows) - TABLE_ROWS} more in {tasks.INDEX}", "", "")
        return table


def curves(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], int]:
    """Draws error by number of labels, a picture for each data set; their file names, and an exit code."""
    by_dataset: dict[str, dict[tuple[str, Any], Mapping[str, Any]]] = {}
    for name, read in documents.items():
        task = read["task"]
        if task["supervision"] != "semi-supervised" or not isinstance(task["labels"], int):
            continue
        series = label_curve.method(read) + _differs(name, read)
        by_dataset.setdefault(task["dataset"], {})[series, task["labels"]] = read
    names: list[str] = []
    for dataset, points in by_dataset.items():
        files = [f"error_by_labels-{dataset}.{kind}" for kind in ("svg", "png")]
        code = label_curve.draw([(series, read) for (series, _), read in points.items()], [folder / f for f in files])
        if code:
            return names, code
        names.append(files[0])
    return names, 0


def _differs(name: str, read: Mapping[str, Any]) -> str:
    """What a cell's name says beyond its task: settings of the open division."""
    labels = f"-{read['task']['labels']}"
    rest = name.partition(labels)[2]
    for known in ("-paper", "-open", "-smoke"):
        rest = rest.removeprefix(known)
    return f" {rest.strip('-')}" if rest else ""


def write(folder: Path, state: State, documents: Mapping[str, Mapping[str, Any]], pictures: Iterable[str]) -> None:
    """index.html: where each run stands, the results, the curves, and what failed. All text is escaped."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("runs", "error so far", *SHOWN))
    body = []
    for name, told, error in state.rows():
        metrics: dict[str, str] = {}
        if name in documents:
            metrics = {row.metric: f"{row.value} (n = {row.n})" for row in assemble.table(dict(documents[name]))}
        title = f'<a href="{escape(name)}/report.html">{escape(name)}</a>' if name in documents else escape(name)
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in (told, error, *(metrics.get(m, "–") for m in SHOWN)))
        body.append(f'<tr><th scope="row">{title}</th>{cells}</tr>')
    images = "".join(
        f'<p><img src="{escape(one)}" alt="Test error against the number of labels"></p>' for one in pictures
    )
    reasons = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in sorted(state.reasons.items()))
    failures = f"<h2>Failed</h2><ul>{reasons}</ul>" if reasons else ""
    fresh = "" if documents else '<meta http-equiv="refresh" content="10">'
    strict.write_text(
        folder / tasks.INDEX,
        f'<!doctype html><html lang="en"><meta charset="utf-8">{fresh}<title>A sweep of ie-repr</title>'
        f"<style>{tasks.STYLE}</style><h1>A sweep of ie-repr</h1><p>{escape(state.headline())}</p><table><caption>"
        "Mean ± half-width of the 95 % interval over the runs that completed.</caption><thead><tr><th>task</th>"
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{images}{failures}<p>Each task is a folder of its "
        "own, to be checked and submitted by itself.</p></html>\n",
    )

"""Several tasks in one command (`_full`, `_references`): a results folder for each below --outdir, and a page of them.

Started by customize.py as workflow.py is, which does each task. A task that fails is reported and the next one runs; a
task that is complete is left as it is. `incomplete.json` lies in --outdir until all are complete.
"""

if __name__ == "__main__":  # before everything else: it keeps the current folder and the checkout out of imports' way
    import sys

    sys.path.insert(0, __file__[: -len("/ie_recipes/tasks.py")])
    from ie_recipes import own_code

    own_code.start()

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from ie_crowd.artifact import assemble
from ie_crowd.formats import strict

from ie_recipes import flags, program, references, workflow
from ie_recipes.comparison import label_curve
from ie_recipes.run import results_folder

INDEX = "index.html"
CURVE = ("error_by_labels.svg", "error_by_labels.png")
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #ccc}"
    "th:first-child,td:first-child{text-align:left}caption{text-align:left;padding:.5rem 0}"
    "img{max-width:100%}"
)


class Tasks:
    """The folder of a request that covers several tasks."""

    def __init__(self, request: flags.Request, folder: Path, **found: Any) -> None:
        self.request, self.folder, self.found = request, folder, found
        self.command = shlex.join(replace(request, outdir=str(folder)).command())
        self.parts = request.parts()

    def run(self) -> None:
        """Do every task that is not complete; raises StopError when one failed or the work was stopped."""
        results_folder.check(self.folder, self.request.identity(), parts=self.parts)
        self.folder.mkdir(parents=True, exist_ok=True)
        with workflow.only_one(self.folder):
            results_folder.check(self.folder, self.request.identity(), parts=self.parts)
            self._mark()
            failed = self.work()
            self._mark()
            documents = {name: self.read(name) for name in self.parts if self.complete(name)}
            self.write_index(documents, failed)
            if len(documents) == len(self.parts):
                results_folder.finish(self.folder)
        self.show(documents)
        print(f"results: {self.folder / INDEX}", flush=True)
        if failed:
            name, reason = next(iter(failed.items()))
            raise program.StopError(1, f"{len(failed)} of {len(self.parts)} tasks had failures ({name}: {reason})")

    def work(self) -> dict[str, str]:
        """Do every task that is not complete, one after another; why each failed that did."""
        failed: dict[str, str] = {}
        for name, part in self.parts.items():
            self._mark()
            if self.complete(name):
                print(f"ie-repr: {name} is complete", flush=True)
                continue
            print(self.outlook(), flush=True)
            try:
                workflow.Flow(part, self.folder / name, **self.found, command=self.command).run()
            except program.StopError as stop:
                if stop.code != 1:  # told to stop, or asked for what cannot be: the next task would not fare better
                    raise
                failed[name] = str(stop)
                print(f"ie-repr: {name}: {stop}", file=sys.stderr, flush=True)
            self.found["downloaded"] = 0  # the data came once, for the first task
        return failed

    def write_index(self, documents: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]) -> None:
        """The page of all tasks, with the curve where there is one."""
        drawn = any(read["task"]["supervision"] == "semi-supervised" for read in documents.values())
        if drawn:
            series = [(label_curve.method(read), read) for read in documents.values()]
            code = label_curve.draw(series, [self.folder / name for name in CURVE])
            if code:
                raise program.StopError(code, f"drawing ended with exit code {code}; go on with: {self.command}")
        strict.write_text(self.folder / INDEX, page(self.request, documents, failed, curve=drawn))

    def show(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """What is told of all at the end, beyond where the page is: nothing, each task has told its own."""

    def outlook(self) -> str:
        """How many tasks are complete, and about how long the others take: by this machine's pace once it has one."""
        done = [name for name in self.parts if self.complete(name)]
        head = f"ie-repr: {len(done)} of {len(self.parts)} tasks are complete"
        took = sum(self.read(name)["cost"]["wall_seconds"] for name in done)  # of all runs, one after another
        device = self.found["device"]
        planned, left = 0.0, 0.0
        for name, part in self.parts.items():
            config = part.config()
            run = references.seconds(part.method, part.dataset, part.supervision, part.recipe, config["epochs"])
            if run is None or (device != "cpu" and not done):
                return f"{head}; how long the others take is not known here"
            if name in done:
                planned += run * part.seeds
            else:
                together = part.room(part.seeds, config["threads"], device)
                left += run * part.seeds / together
        pace, source = (
            (took / planned, "as this machine has shown") if done else (1.0, "on cores like those of the plan")
        )
        return f"{head}; about {duration(pace * left)} left, {source}"

    def complete(self, name: str) -> bool:
        """Whether the task's folder holds a result and no marker of what is missing."""
        folder = self.folder / name
        return (folder / assemble.RESULT).is_file() and not (folder / results_folder.MARKER).exists()

    def read(self, name: str) -> dict[str, Any]:
        """The task's result.json."""
        read: dict[str, Any] = strict.read_json(self.folder / name / assemble.RESULT)
        return read

    def _mark(self) -> None:
        done = [name for name in self.parts if self.complete(name)]
        marker = {
            "what": "several tasks of ie-repr, not all complete; this file goes when they are",
            "task": self.request.task(),
            "identity": self.request.identity(),
            "go_on_with": self.command,
            "done": done,
            "missing": [name for name in self.parts if name not in done],
        }
        results_folder.write_marker(self.folder, marker)


def duration(seconds: float) -> str:
    """In whole minutes, at least one: "7 min", "2 h 05 min"."""
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def page(
    request: flags.Request, documents: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str], *, curve: bool
) -> str:
    """The index: one column for each task, one row for each metric, the curve, and what failed. All text is escaped."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, read in documents.items():
        for row in assemble.table(read):
            rows.setdefault((row.metric, row.unit), {})[name] = f"{row.value} (n = {row.n})"
    head = "".join(
        f'<th scope="col"><a href="{escape(name)}/report.html">'
        f"{escape(name if request.references else str(read['task']['labels']))}</a></th>"
        for name, read in documents.items()
    )
    body = "".join(
        f'<tr><th scope="row">{escape(metric)}, {escape(unit)}</th>'
        + "".join(f"<td>{escape(cells.get(name, '–'))}</td>" for name in documents)
        + "</tr>"
        for (metric, unit), cells in rows.items()
    )
    runs = "".join(
        f"<li>{escape(name)}: run {number} failed: {escape(str(run['error']))}</li>"
        for name, read in documents.items()
        for number, run in enumerate(read["runs"])
        if run["status"] == "failed"
    )
    tasks = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in failed.items() if name not in documents)
    failures = f"<h2>Failed</h2><ul>{runs}{tasks}</ul>" if runs or tasks else ""
    picture = f'<p><img src="{CURVE[0]}" alt="Test error against the number of labels"></p>' if curve else ""
    method = "" if request.method == "equivae" else f"{request.method}: "
    title = f"{method}{request.dataset}, {request.supervision}: every label count"
    by = "number of labelled images"
    if request.references:
        title, by = f"{request.dataset}: reference results", "task"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1><table><caption>Mean ± half-width of the 95 % interval over the runs that completed, "
        f"by {by}.</caption><thead><tr><th>metric</th>{head}</tr></thead><tbody>{body}</tbody>"
        f"</table>{picture}{failures}<p>Each task is a folder of its own, to be checked and submitted by itself: "
        f"{', '.join(map(escape, documents))}.</p></html>\n"
    )


def main(argv: Sequence[str]) -> int:
    """Run all tasks; every foreseeable end is an exit code and one line."""
    arguments = program.parse(argv)
    found = {key: getattr(arguments, key) for key in ("device", "reason", "data", "downloaded")}
    doing = Tasks(arguments.request, arguments.folder, **found)
    return program.ended(doing.run, arguments.folder, arguments.last_words)


if __name__ == "__main__":
    from ie_crowd import entry

    sys.exit(entry.guarded(lambda: main(sys.argv[1:]), "run-ie-repr"))

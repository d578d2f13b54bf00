"""What is done and what is missing of a sweep, from its folders alone.

The journal of a sweep is its plan, in its own incomplete.json, and each folder's result.json, incomplete.json and
run.json. No engine's memory counts: whatever dies, the same command reads this again and goes on.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ie_crowd.artifact import assemble
from ie_crowd.formats import strict
from ie_crowd.result import runs as run_documents
from ie_crowd.result import system_info

from ie_recipes import workflow
from ie_recipes.run import cost, results_folder
from ie_recipes.sweep import parcel, works
from ie_recipes.sweep import plan as plans


class Cell(workflow.Flow):
    """One results folder of a sweep, whose runs an engine does."""

    def works(self, name: str) -> list[works.Work]:
        """Its runs as works; the first one draws the figures."""
        return [
            works.Work(name, n, self.request.dataset, workflow.training(self.request, n), figures=n == 0)
            for n in range(self.request.seeds)
        ]

    @property
    def complete(self) -> bool:
        """Whether the folder holds a result, and no marker of what is missing."""
        return (self.folder / assemble.RESULT).is_file() and not results_folder.unfinished(self.folder)

    def begin(self) -> None:
        """Make the folder and its marker, unless they are there. ValueError where it is something else's."""
        identity = self.request.identity()
        if results_folder.check(self.folder, identity) == "new":
            self.folder.mkdir(parents=True, exist_ok=True)
            self.marker = self._new_marker(identity)
            self._mark()

    def finish(self) -> None:
        """Assemble the result of runs that an engine has done. Raises StopError as a workflow does: runs failed."""
        self.marker = {"spent": {}, "downloaded": 0, **results_folder.read_marker(self.folder)}
        for n in range(self.request.seeds):
            run = self.read_run(n)
            if run["status"] == "completed":
                took = {"wall_seconds": run.get("evaluation_seconds", 0.0), "peak_rss_bytes": None, "joules": None}
                self.marker["spent"][f"evaluate {n}"] = {**took, "cpu_seconds": run.get("evaluation_cpu_seconds")}
                self._mark(done=f"train {n}")
                self._mark(done=f"evaluate {n}")
        if (self.folder / "figures").exists():
            self.marker["spent"].setdefault("figures", cost.unknown(joules=None))
            self._mark(done="figures")
        shutil.rmtree(works.unfinished(self.folder / "figures"), ignore_errors=True)
        self.name_machines()
        self.run()
        for path in self.folder.glob(parcel.SYSTEMS):
            path.unlink()

    def name_machines(self) -> None:
        """Say in each run.json which kind of machine did the run, where workers of several kinds have done them."""
        found = {}
        for path in sorted(self.folder.glob(parcel.SYSTEMS)):
            told = json.loads(path.read_bytes())
            words = ", ".join(str(told[key]) for key in ("cpu_model", "architecture", "python") if key in told)
            found[path.name.removeprefix(".system-").removesuffix(".json")] = system_info.words(words, 230)
        if len(set(found.values())) < 2:
            return
        for number, machine in found.items():
            path = self.folder / "runs" / number / "run.json"
            run = strict.read_json(path, strict.RUN)
            strict.write_json(path, {**run, run_documents.MACHINE: machine})

    def system(self, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The machines that the runs were done on: what workers have said of theirs, else this one. Where processors
        differ the model names them all, so that nobody expects the same digits of any one of them."""
        told = [json.loads(path.read_bytes()) for path in sorted(self.folder.glob(parcel.SYSTEMS))]
        here = super().system(runs)
        if not told:
            return here
        models = " and ".join(dict.fromkeys(str(one["cpu_model"]) for one in told))
        return {**told[0], "cpu_model": system_info.words(models, 120), "accelerators": here["accelerators"]}

    def document(self) -> dict[str, Any]:
        """result.json."""
        found: dict[str, Any] = strict.read_json(self.folder / assemble.RESULT)
        return found


def cells(plan: plans.Plan, folder: Path, device: str, reason: str, command: str) -> dict[str, Cell]:
    """The plan's cells as folders below the sweep's."""
    facts = {"device": device, "reason": reason, "downloaded": 0, "command": command, "beside": True}
    return {
        name: Cell(request, folder / name, data=request.data, **facts)  # type: ignore[arg-type]
        for name, request in plan.cells.items()
    }


def missing(plan: plans.Plan, found: dict[str, Cell]) -> list[works.Work]:
    """The runs that have not ended, in the plan's order; first those that were begun."""
    complete = {name for name, cell in found.items() if cell.complete}
    by_cell = {name: cell.works(name) for name, cell in found.items() if name not in complete}
    left = [
        (work, place)
        for run in plan.runs
        if run.cell in by_cell
        and not works.ended(
            work := by_cell[run.cell][run.number], place := found[run.cell].folder / "runs" / str(run.number)
        )
    ]
    begun = [work for work, place in left if place.exists()]
    return [*begun, *(work for work, place in left if not place.exists())]


def identity(grid: dict[str, Any], device: str) -> dict[str, Any]:
    """What must be the same to go on with a sweep."""
    return {"grid": grid, "device": device}


def stored_plan(folder: Path, cells_of: plans.Plan) -> plans.Plan:
    """The plan as it was when the sweep began: a budget of hours gave it a length by the pace of that day."""
    if not results_folder.unfinished(folder):
        return cells_of
    kept = results_folder.read_marker(folder).get("runs")
    return plans.limited(cells_of, kept if isinstance(kept, int) else None)


def marker(
    identity: dict[str, Any], plan: plans.Plan, found: dict[str, Cell], command: str, left: Sequence[works.Work]
) -> dict[str, Any]:
    """What incomplete.json of the sweep says."""
    done = [name for name, cell in found.items() if cell.complete]
    return {
        "what": "a sweep of ie-repr, not complete; this file goes when it is",
        "task": "sweep",
        "identity": identity,
        "runs": len(plan.runs),
        "go_on_with": command,
        "done": done,
        "missing": [name for name in found if name not in done],
        "runs_left": len(left),
    }

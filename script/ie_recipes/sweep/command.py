"""Many runs in one command: `python script/ie_recipes/sweep/command.py --grid=FILE`, or axes as flags.

    … --dataset=mnist,glyphs --recipe=paper,closed --labels=100,600 --draws=5 --outdir=my-sweep
    … --dataset=glyphs --learning_rate=0.001..0.005/0.001 --except="learning_rate=0.002" --plan
    … --recipe=open --learning_rate=0.0005..0.004/0.0005 --kl_start=1..5 --search=20 --outdir=my-search

`cm run script "sweep ie-repr"` is the same. A plan is printed first. Stopped at any time, the same command goes on;
what is done is never done again.
"""

if __name__ == "__main__":  # before everything else: it keeps the current folder and the checkout out of imports' way
    import sys

    sys.path.insert(0, __file__[: -len("/ie_recipes/sweep/command.py")])
    from ie_recipes import own_code

    own_code.start()

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ie_model.data import fetch
from ie_model.device import detect
from ie_recipes import own_code, program, tasks, workflow
from ie_recipes.run import results_folder
from ie_recipes.sweep import cluster, engine, journal, page, sbatch, words, works
from ie_recipes.sweep import plan as plans


def default_folder(here: Path) -> Path:
    """ie-repr-results/<UTC time>-sweep, a name that is not taken."""
    return results_folder.default(here, "sweep")


class Sweep:
    """A sweep in its folder."""

    def __init__(self, asked: words.Asked, folder: Path, command: str | None = None) -> None:
        self.asked, self.folder = asked, folder
        self.command = command or asked.command(folder)  # what goes on with it
        self.quiet = "quiet" in asked.flags
        self.env = dict(os.environ)

    def run(self) -> None:
        """Plan, do, assemble. Raises StopError (also where runs failed), ValueError, OSError."""
        asked = self.asked
        plan = plans.make(
            asked.grid,
            device=asked.device,
            data=asked.flags.get("data"),
            yes={"yes", "plan"} & set(asked.flags) != set(),
            found_by=asked.flags.get("found_by", ""),
        )
        identity = journal.identity(asked.grid.text(), asked.device)
        results_folder.check(self.folder, identity, parts=list(plan.cells))
        plan = journal.stored_plan(self.folder, plan)
        local, device, reason = self._engine(plan)
        pace = self._pace(plan, device, local.at_once)
        if not results_folder.unfinished(self.folder):
            plan = plans.within_hours(plan, asked.grid.hours, pace, local.at_once)
        for line in plans.lines(plan, pace, local.at_once, local.about(), self.folder):
            print(line, flush=True)
        if "plan" in asked.flags:
            return
        if isinstance(local, engine.Local):
            local.data = {name: self._data(name) for name in {part.dataset for part in plan.cells.values()}}
        self.folder.mkdir(parents=True, exist_ok=True)
        with workflow.only_one(self.folder):
            results_folder.check(self.folder, identity, parts=list(plan.cells))
            found = journal.cells(plan, self.folder, device, reason, self.command)
            left = journal.missing(plan, found)
            results_folder.write_marker(self.folder, journal.marker(identity, plan, found, self.command, left))
            if isinstance(local, engine.Local) and "sbatch" in asked.flags:
                for name in {work.cell for work in left}:
                    found[name].begin()
                self._write_sbatch(left, local)
                return
            self._do(plan, found, left, identity, local, pace)

    def _engine(self, plan: plans.Plan) -> tuple[engine.Local | cluster.Cluster, str, str]:
        """What does the works, the device, and why that one. Raises ValueError where a scheduler is of no use."""
        given = self.asked.flags
        if "scheduler" not in given:
            found = detect.detect(self.asked.device)
            at_once = self._at_once(plan, found.kind)
            doing = engine.Local(self.folder, found.kind, {}, at_once, self.command, self.env)
            return doing, found.kind, found.reason
        travel = float(given["travel"]) if "travel" in given else None
        many = cluster.Cluster(self.folder, given["scheduler"], self.asked.device, self.command, travel)
        many.prepare()
        return many, many.device, "what the workers have"

    def _do(
        self,
        plan: plans.Plan,
        found: dict[str, journal.Cell],
        left: Sequence[works.Work],
        identity: dict[str, Any],
        doing: engine.Engine,
        pace: plans.Pace | None,
    ) -> None:
        state = page.State(plan, found, pace, doing.at_once)
        failed: dict[str, str] = {}
        open_runs = {name: sum(work.cell == name for work in left) for name in found}

        def told(work: works.Work, what: str, line: str) -> None:
            if what == engine.RUNNING:
                found[work.cell].begin()
            state.told(work, what, line)
            if what == engine.DONE:
                open_runs[work.cell] -= 1
                if open_runs[work.cell] == 0:
                    self._finish(work.cell, found[work.cell], failed)

        with page.Shown(state, self.folder, self.quiet) as shown:
            for name, cell in found.items():  # whose runs have all ended, but that was never assembled
                if open_runs[name] == 0 and not cell.complete:
                    self._finish(name, cell, failed)
            doing.do(left, told, shown)
        self._end(plan, found, state, identity, failed)

    def _finish(self, name: str, cell: journal.Cell, failed: dict[str, str]) -> None:
        try:
            cell.finish()
        except program.StopError as stop:
            if stop.code != 1:
                raise
            failed[name] = str(stop)
        except ValueError as error:
            failed[name] = str(error)

    def _end(
        self,
        plan: plans.Plan,
        found: dict[str, journal.Cell],
        state: page.State,
        identity: dict[str, Any],
        failed: dict[str, str],
    ) -> None:
        left = journal.missing(plan, found)
        documents = {name: cell.document() for name, cell in found.items() if cell.complete}
        state.reasons.update(failed)
        pictures, code = page.curves(self.folder, documents)
        page.write(self.folder, state, documents, pictures)
        if len(documents) == len(found):
            results_folder.finish(self.folder)
        else:
            results_folder.write_marker(self.folder, journal.marker(identity, plan, found, self.command, left))
        print(f"ie-repr sweep: {state.headline()}\nresults: {self.folder / tasks.INDEX}", flush=True)
        if code:
            raise program.StopError(code, f"drawing ended with exit code {code}; go on with: {self.command}")
        if state.reasons:
            name, reason = next(iter(state.reasons.items()))
            raise program.StopError(
                1, f"{len(documents)} of {len(found)} folders are complete ({name}: {reason}); again: {self.command}"
            )

    def _at_once(self, plan: plans.Plan, device: str) -> int:
        if "at_once" in self.asked.flags:
            return int(self.asked.flags["at_once"])
        rooms = [
            request.room(len(plan.runs), request.config()["threads"], device)
            for request in {part.dataset: part for part in plan.cells.values()}.values()
        ]
        return min(rooms)

    def _pace(self, plan: plans.Plan, device: str, at_once: int) -> plans.Pace:
        pace = plans.stated(plan)
        seconds = plans.total_seconds(plan, pace)
        smoke = all(part.smoke for part in plan.cells.values())
        if smoke or results_folder.unfinished(self.folder):
            return pace
        if self.asked.grid.hours is None and seconds is not None and seconds / at_once < plans.LONG_SECONDS:
            return pace
        return plans.calibrated(plan, device, self.env)

    def _data(self, dataset: str) -> Path | None:
        """The verified files of a data set, fetched once before many runs ask for them."""
        if dataset == "glyphs":
            return None
        given = self.asked.flags.get("data")
        return fetch.ensure(dataset, Path(given) if given else None)

    def _write_sbatch(self, left: Sequence[works.Work], local: engine.Local) -> None:
        files = sbatch.write(Path(self.asked.flags["sbatch"]), left, local, self.command)
        print(
            f"ie-repr sweep: {len(left):,} runs in {', '.join(map(str, files))}; after them: {self.command}", flush=True
        )


def main(typed: Sequence[str]) -> int:
    """Run the sweep; every foreseeable end is an exit code and one line."""
    if not typed or {"--help", "-h"} & set(typed):
        print(__doc__)
        return 0
    here = Path.cwd()
    last_words = next(
        (Path(w.partition("=")[2]) for w in typed if w.replace("-", "_").startswith("__last_words=")), None
    )
    folder = here / results_folder.DEFAULT_PARENT

    def work() -> None:
        nonlocal folder
        asked = words.parse(typed, here)
        folder = Path(asked.flags["outdir"]) if "outdir" in asked.flags else default_folder(here)
        if "search" not in asked.flags:
            Sweep(asked, folder).run()
            return
        from ie_recipes.sweep.search import command as searching  # needs Optuna

        found, command = searching.found(asked, folder)
        Sweep(found, folder / searching.FOUND, command).run()
        results_folder.finish(folder)

    return program.ended(work, lambda: folder, last_words, "ie-repr sweep")


if __name__ == "__main__":
    from ie_crowd import entry

    sys.exit(entry.guarded(lambda: main(sys.argv[1:]), "ie-repr sweep"))

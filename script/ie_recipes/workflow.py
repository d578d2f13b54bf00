"""The whole flow for one task: train and evaluate each run, draw figures, assemble result.json and what goes with it.

Started by customize.py as one child of cm. Each step is a process of its own in the results folder (`ie-model
…`, argv list); what it leaves in run.json is all that is taken from it. Killed at any moment, the same command goes on.
"""

if __name__ == "__main__":  # before everything else: it keeps the current folder and the checkout out of imports' way
    import sys

    sys.path.insert(0, __file__[: -len("/ie_recipes/workflow.py")])
    from ie_recipes import own_code

    own_code.start()

import contextlib
import functools
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
from ie_crowd.artifact import assemble as artifact_assemble
from ie_crowd.artifact import bundle
from ie_crowd.challenge import load
from ie_crowd.challenge.model import Challenge
from ie_crowd.formats import moments, strict
from ie_crowd.result import provenance, system_info
from rich.console import Console
from rich.table import Table

from ie_recipes import flags, front_end, own_code, program
from ie_recipes.data import new_classes
from ie_recipes.program import StopError
from ie_recipes.run import cost, processes, progress, results_folder

DISTRIBUTIONS = ("ie-repr", "torch", "torchvision", "safetensors", "matplotlib", "cmind", "cmx4mlops")
RUN_JSON_BYTES_MAX = 1_000_000
TABLE_COLUMNS = 80


class Flow:
    """One results folder and the request it answers."""

    def __init__(
        self,
        request: flags.Request,
        folder: Path,
        *,
        device: str,
        reason: str,
        data: str | None,
        downloaded: int | None = None,
        command: str = "",
        beside: bool = False,
    ) -> None:
        self.request = request
        self.folder = folder
        self.device = device
        self.reason = reason
        self.data = data
        self.downloaded = downloaded
        self.marker: dict[str, Any] = {}
        self.beside = beside  # another flow is at work on the machine, and somebody else says how both come on
        # what the user goes on with: this task alone, or the command that covers it
        self.command = command or shlex.join(replace(request, outdir=str(folder)).command())

    def run(self) -> None:
        """Do all steps that are not done yet; raises StopError (also when a run failed), ValueError, OSError."""
        identity = self.request.identity()
        results_folder.check(self.folder, identity)
        self.folder.mkdir(parents=True, exist_ok=True)
        with only_one(self.folder), self._kept():
            # again, now that nobody else can change it
            state = results_folder.check(self.folder, identity)
            self.marker = (
                results_folder.read_marker(self.folder) if state == "unfinished" else self._new_marker(identity)
            )
            self.marker = {"spent": {}, "downloaded": None, **self.marker}  # an older version did not count
            before = self.marker["downloaded"]
            known = before is not None and self.downloaded is not None
            self.marker["downloaded"] = before + self.downloaded if known else None
            self._mark()
            config = self.request.config()
            together = self.request.room(self.request.seeds, config["threads"], self.device)
            if not self.beside:
                print(self.headline(together, resumed=state == "unfinished"), flush=True)
            jobs = [self.one_run(n, together) for n in range(self.request.seeds)]
            if self.request.seeds == 1:  # drawn while it is evaluated: neither needs the other
                room = self.request.room(2, 1, "cpu")
                self.do([*jobs, self.figures(0, quiet=True)], "runs", room)
            else:
                self.do(jobs, "runs", together)
            runs = [self.read_run(n) for n in range(self.request.seeds)]
            completed = [n for n, run in enumerate(runs) if run["status"] == "completed"]
            if not completed:
                raise StopError(
                    1, f"every run failed, so there is no result: {runs[0]['error']} (see {self.folder}/runs)"
                )
            if "figures" not in self.marker["done"]:
                self.do([self.figures(completed[0])], "drawing")
            document = self.assemble(runs)
            bundle.write(self.folder, started_in=Path.cwd())
            results_folder.finish(self.folder)
        if not self.beside:
            self.show(document)
        failed = [n for n in range(len(runs)) if n not in completed]
        if failed:
            first = f"run {failed[0]}: {runs[failed[0]]['error']}"
            raise StopError(1, f"{len(failed)} of {len(runs)} runs failed and count in no mean ({first})")

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """StopError where the system could not read or write a file of the folder: what was asked for is not wrong."""
        try:
            yield
        except strict.FileError as error:
            raise StopError(1, f"{error}; {self.folder} keeps what is done, go on with: {self.command}") from error

    def do(self, jobs: list[processes.Job], what: str, together: int = 1) -> None:
        """Do the jobs, so many at once, and measure the energy of all, under a name; raises what a job raises."""
        before = self.marker["spent"].get(what)
        self.marker["spent"][what] = cost.added(before, cost.unknown(joules=None))
        self._mark()
        watched = {"run": (self.folder, self.request.config()["epochs"])}
        lines = progress.Lines(watched, self.request.quiet or self.beside or together == 1)
        with cost.metered(self.device, alone=not self.beside) as took:
            processes.together(jobs, together, cwd=self.folder, env=os.environ, watch=lines)
        self.marker["spent"][what] = cost.added(before, took)
        self._mark()

    def one_run(self, n: int, together: int = 1) -> processes.Job:
        """Train and evaluate run n, unless its run.json says that it is done. Runs at once draw no bars."""
        status = self.read_run(n)["status"]
        if status in ("completed", "failed"):
            return
        if status != "trained":
            arguments = [*training(self.request, n), f"--outdir=runs/{n}"]
            yield from self.ie_model("train", *arguments, "--evaluate", run=n, quiet=together > 1)
        if self.read_run(n)["status"] == "trained":  # and was stopped before it was evaluated
            yield from self.ie_model("evaluate", f"runs/{n}", run=n, quiet=together > 1)

    def figures(self, n: int, quiet: bool = False) -> processes.Job:
        """Draw run n as soon as it is trained, unless that is done or it failed."""
        while (status := self.read_run(n)["status"]) == "missing":
            yield None
        if status != "failed" and "figures" not in self.marker["done"]:
            yield from self.ie_model("figures", f"runs/{n}", "--outdir=figures", quiet=quiet)
            self._mark(done="figures")

    def ie_model(self, verb: str, *arguments: str, run: int | None = None, quiet: bool = False) -> processes.Job:
        """Run one command of ie_model in the results folder; StopError when it fails and run.json does not say so."""
        data = [f"--data={self.data}"] if self.data else []
        silent = ["--quiet"] if self.request.quiet or self.beside or quiet else []
        argv = own_code.command("ie_model", os.environ, verb, *arguments, *data, f"--device={self.device}", *silent)
        step = verb if run is None else f"{verb} {run}"
        # written down before it begins: if this process is killed with it, nobody knows what the step took
        before = self.marker["spent"].get(step)
        self.marker["spent"][step] = cost.added(before, cost.unknown(joules=0.0))
        self._mark()
        began = time.perf_counter()
        ended = yield argv
        assert ended is not None
        took = cost.step(time.perf_counter() - began, ended)
        self.marker["spent"][step] = cost.added(before, took)
        self._mark()
        if run is not None:
            verb = self._note(run, verb, took)
        code = ended.code
        if code == 0 or (run is not None and code == 1 and self.read_run(run)["status"] == "failed"):
            return
        if code in program.STOPPED:
            raise program.stopped(code, self.folder, self.command)
        raise StopError(
            code if code in (1, 2) else 1,
            f"{verb} ended with exit code {code} (its message is above); then go on with: {self.command}",
        )

    def _note(self, n: int, verb: str, took: dict[str, Any]) -> str:
        """Mark what a process has left of run n: one that trains goes on to evaluate. Returns what it did last."""
        run = self.read_run(n)
        evaluating = verb == "evaluate" or run["status"] in ("trained", "completed")
        if verb == "train" and evaluating:
            since = time.time() - self.run_json(n).stat().st_mtime  # for one that did not end, and has not said
            apart = {
                "wall_seconds": run.get("evaluation_seconds", max(0.0, since)),
                "cpu_seconds": run.get("evaluation_cpu_seconds"),
            }
            name = f"evaluate {n}"
            self.marker["spent"][name] = cost.added(self.marker["spent"].get(name), {**took, **apart})
            self._mark(done=f"train {n}")
        if run["status"] == "completed":
            self._mark(done=f"evaluate {n}")
        return "evaluate" if evaluating else verb

    def run_json(self, n: int) -> Path:
        """What run n says of itself, once it is trained."""
        return self.folder / "runs" / str(n) / "run.json"

    def read_run(self, n: int) -> dict[str, Any]:
        """runs/<n>/run.json; {"status": "missing"} when there is none yet."""
        path = self.run_json(n)
        if not path.exists():
            return {"status": "missing"}
        with path.open("rb") as file:
            document = json.loads(file.read(RUN_JSON_BYTES_MAX))
        if not isinstance(document, dict) or document.get("status") not in ("trained", "completed", "failed"):
            raise ValueError(
                f"{path} does not say whether the run is trained, completed or failed: choose another --outdir"
            )
        return document

    def assemble(self, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Write result.json. Its facts are kept in the marker first, so that doing it again gives the same bytes."""
        if "facts" not in self.marker:
            command = self.request.command()
            recipe = {
                "repo": "ie-repr",
                "script": f"reproduce-ie-repr-{new_classes.tag(self.request.dataset)}",
                "version": front_end.version(self.request.front_end),
            }
            self.marker["facts"] = {
                "created": artifact_assemble.now(),
                "system": self.system(runs),
                **system_info.software(list(DISTRIBUTIONS)),
                "cost": self.cost(runs),
                "provenance": provenance.read(flags.root(), command=command, cm=recipe, distribution="ie-repr"),
                "submitter": None,
            }
            self._mark()
        facts = self.marker["facts"]
        if moments.problem(facts["created"]):  # the clock was wrong, and what was measured stays
            facts["created"] = artifact_assemble.now()
            if wrong := moments.problem(facts["created"]):
                raise StopError(
                    1, f"all is trained and measured, but the time now, {wrong}; then go on with: {self.command}"
                )
            self._mark()
        document = artifact_assemble.assemble(
            self.folder,
            challenge=_challenge(self.request.challenge),
            division=None if self.request.draws is None else "open",  # the closed one says which draws
            **facts,
        )
        self._mark(done="result.json")
        return document

    def system(self, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The machine that the runs were done on."""
        return system_info.describe(devices=[run["device"] for run in runs if "device" in run])

    def cost(self, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The cost of the result: training as it counted itself, the other steps and all energy as measured here."""
        steps: dict[str, dict[str, Any]] = self.marker["spent"]
        others = [took for step, took in steps.items() if not step.startswith("train ")]
        measured = [step for step in self.marker["done"] if step.startswith(("train", "evaluate", "figures"))]
        joules = [took["joules"] for took in steps.values()]
        known = set(measured) <= set(steps) and None not in joules
        return artifact_assemble.cost(
            [*runs, *others],
            download_bytes=self.marker["downloaded"],
            energy_joules=sum(joules) if known else None,
        )

    def headline(self, together: int, *, resumed: bool) -> str:
        """The first line of a run: task, device and reason, expected time, results folder."""
        request, config = self.request, self.request.config()
        runs = f"{request.seeds} run" + ("s" if request.seeds > 1 else "")
        runs += f", {together} at once" if together > 1 else ""
        method = "" if request.method == "equivae" else f"{request.method}, "
        task = f"{method}{request.dataset}, {request.supervision}, {config['labels']} labels, {runs}"
        minutes = "under a minute" if request.smoke else "under 10 minutes"
        expected = f"{minutes}{' each' if request.seeds > 1 else ''} on 2 CPU cores"
        if request.own and not request.smoke:
            expected = f"{config['epochs']} epochs of {config['own_train']:,} images"
        if request.epochs is not None:
            expected = f"{request.epochs} epoch{'s' * (request.epochs > 1)}, as --epochs says"
        # the recipe that found the device has said the whole reason
        device = f"{self.device} ({self.reason.partition(':')[0]})" if self.reason else self.device
        verb = "goes on" if resumed else "starts"
        return f"ie-repr {verb}: {task} | device: {device} | expected: {expected} | results: {self.folder}"

    def show(self, document: dict[str, Any]) -> None:
        """A short table in the terminal, and where the folder is."""
        table = Table(title=self.request.task(), width=TABLE_COLUMNS)
        for column in ("metric", "value", "unit", "better", "runs"):
            table.add_column(column, justify="right" if column in ("value", "runs") else "left")
        for row in artifact_assemble.table(document):
            table.add_row(row.metric, row.value, row.unit, row.better, str(row.n))
        Console(width=TABLE_COLUMNS).print(table)
        print(f"results: {self.folder}", flush=True)

    def _new_marker(self, identity: dict[str, Any]) -> dict[str, Any]:
        return {
            "what": "an unfinished run of ie-repr; this file goes when it is complete",
            "task": self.request.task(),
            "identity": identity,
            "go_on_with": self.command,
            "done": [],
            "missing": [],
            "downloaded": 0,
            "spent": {},
        }

    def _mark(self, *, done: str | None = None) -> None:
        """Write the marker, with `done` moved from missing to done."""
        if done is not None and done not in self.marker["done"]:
            self.marker["done"].append(done)
        runs = [f"{verb} {n}" for n in range(self.request.seeds) for verb in ("train", "evaluate")]
        steps = [*runs, "figures", "result.json", *bundle.MADE, "SHA256SUMS"]
        self.marker["missing"] = [step for step in steps if step not in self.marker["done"]]
        results_folder.write_marker(self.folder, self.marker)


def training(request: flags.Request, n: int) -> list[str]:
    """The words after `ie-model train` for run n of a request, but for its folder, the device and the data."""
    task = [f"--{key}={getattr(request, key)}" for key in ("method", "recipe", "dataset", "supervision")]
    given = [_word(key, value) for key, value in request.settings().items() if value is not None]
    presets = ["--smoke"] if request.smoke else []
    seed = n + (_challenge(request.challenge).validity.first_seed or 0) if request.draws is None else request.draws[n]
    return [*task, *given, *presets, f"--seed={seed}", f"--label-seed={seed}"]


def _word(key: str, value: Any) -> str:
    flag = key.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag}={value}"


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; StopError at once when another process holds it."""
    lock = filelock.FileLock(folder / results_folder.LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise StopError(1, f"another run is at work in {folder}: wait for it, or choose another --outdir") from None
    try:
        yield
    finally:
        lock.release()


@functools.cache
def _challenge(name: str) -> Challenge:
    return load.challenge(load.find(name))


def main(argv: Sequence[str]) -> int:
    """Run the flow; every foreseeable end is an exit code and one line."""
    arguments = program.parse(argv)
    keys = ("device", "reason", "data", "downloaded", "beside", "command")
    found = {key: getattr(arguments, key) for key in keys}
    doing = Flow(arguments.request, arguments.folder, **found)
    return program.ended(doing.run, arguments.folder, arguments.last_words)


if __name__ == "__main__":
    from ie_crowd import entry

    sys.exit(entry.guarded(lambda: main(sys.argv[1:]), "run-ie-repr"))

"""The cells and runs of a grid, in the order in which they are done, and what they will take.

A cell is one results folder: one task and one configuration, with one run for each draw. The runs come draw by draw,
the first of every cell before the second of any, so that a budget, or whoever stops early, has something of each cell.
"""

import hashlib
import itertools
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd.challenge import load
from ie_crowd.challenge.model import Challenge
from ie_crowd.formats import humanize, scratch

from ie_model.config import DATASETS
from ie_recipes import flags, own_code, references, tasks, workflow
from ie_recipes.sweep import grid as grids

NAME_MAX = 120  # characters of a folder's name
# measured: the weights of a default run on 28 × 28 grey images, its checkpoint while it trains, and a folder's figures
WEIGHT_BYTES, CHECKPOINT_BYTES, FIGURE_BYTES = 5_500_000, 17_000_000, 1_500_000
CALIBRATED_MAX = 4  # kinds of run that are tried before the start
CALIBRATION_IMAGES = 2_000
LONG_SECONDS = 600.0  # a plan that may take longer is worth a calibration


class Run(NamedTuple):
    """One run: its cell, and its number in that cell's folder."""

    cell: str
    number: int


@dataclass(frozen=True)
class Plan:
    """Cells by the names of their folders, and their runs in order."""

    cells: Mapping[str, flags.Request]
    runs: Sequence[Run]


def kind(request: flags.Request) -> tuple[str, str, str, str]:
    """What decides how long an epoch takes."""
    return request.method, request.dataset, request.supervision, request.recipe


def make(grid: grids.Grid, *, device: str, data: str | None, yes: bool, found_by: str = "") -> Plan:
    """The plan of a grid without its budget of hours. Raises ValueError: too many runs, or a cell that cannot be."""
    count = grid.size()
    if count > grids.RUNS_MAX:
        raise ValueError(f"the grid has {count:,} runs before its filter, expected at most {grids.RUNS_MAX:,}")
    wanted = min(count, grid.runs or count)
    if wanted > grids.ASK_FROM and not yes:
        raise ValueError(f"the grid has {wanted:,} runs: --yes starts so many, --runs=N is a budget, --plan only looks")
    challenge = load.challenge(load.find(flags.CHALLENGE))
    first = challenge.validity.first_seed or 0
    draws = grid.draw_list(first)
    found: dict[str, flags.Request] = {}
    varying = {name for name, values in grid.axes.items() if len(values) > 1}
    for values in grid.combinations():
        cell = replace(request(values, draws, first, device, data), found_by=found_by)
        refuse_impossible(cell, values, challenge)
        found[_name(cell, varying)] = cell
    if not found:
        raise ValueError("the grid is empty: its filter lets no cell through")
    return limited(Plan(found, [Run(name, n) for n in range(len(draws)) for name in found]), grid.runs)


def refuse_impossible(cell: flags.Request, values: Mapping[str, Any], challenge: Challenge) -> None:
    """Raise ValueError where settings contradict one another, or the challenge has no such task."""
    told = " ".join(f"{key}={value}" for key, value in values.items())
    try:
        config = cell.config()
    except ValueError as error:
        raise ValueError(f"the grid contradicts itself at {told}: {error}; --except leaves cells out") from None
    task = challenge.task(cell.dataset, cell.supervision)
    if task is None or config["labels"] not in task.labels:
        known = ", ".join(map(str, task.labels)) if task else "no such task"
        raise ValueError(f"the grid has {told}, but the challenge's task has labels {known}; --except leaves it out")


def request(
    values: Mapping[str, Any], draws: Sequence[int], first: int | None, device: str, data: str | None
) -> flags.Request:
    """The cell with these values and draws. ``first``: the challenge's first draw, from which on draws are no choice of
    anybody's; None: they are one. One core for each run, whatever else is at work: what several at once do fastest."""
    task: dict[str, Any] = {"supervision": "semi-supervised", "threads": 1} | {
        name: value for name, value in values.items() if name in grids.TASK
    }
    more = {name: value for name, value in values.items() if name not in grids.TASK}
    own = first is not None and list(draws) == list(range(first, first + len(draws)))
    chosen = None if own else tuple(draws)
    where: dict[str, Any] = {"device": device, "data": data if task["dataset"] != "glyphs" else None}
    return flags.Request(**task, **where, seeds=len(draws), draws=chosen, more=more, quiet=True)


def _name(request: flags.Request, varying: Collection[str]) -> str:
    """The cell's folder: its task, and of the other axes those that have several values."""
    extra = {"epochs": request.epochs, "threads": request.threads}
    told = {key: value for key, value in (extra | dict(request.more)).items() if key in varying}
    name = replace(request, more={}).task() + "".join(f"-{key.replace('_', '-')}-{told[key]}" for key in told)
    if len(name) <= NAME_MAX:
        return name
    return f"{name[: NAME_MAX - 13]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def limited(plan: Plan, most: int | None) -> Plan:
    """The first runs of the plan; a cell keeps the draws that are among them, and goes if none is."""
    if most is None or most >= len(plan.runs):
        return plan
    kept = plan.runs[:most]
    counts = Counter(run.cell for run in kept)
    cells = {
        name: replace(
            request, seeds=counts[name], draws=None if request.draws is None else request.draws[: counts[name]]
        )
        for name, request in plan.cells.items()
        if counts[name]
    }
    return Plan(cells, kept)


class Pace(NamedTuple):
    """CPU seconds of one epoch of each kind of run, of the rest of a run, and where they come from."""

    epochs: Mapping[tuple[str, str, str, str], float]
    rest: float
    source: str

    def seconds(self, request: flags.Request) -> float | None:
        """About how long one run of a cell takes; None where nothing is known."""
        epoch = self.epochs.get(kind(request))
        return None if epoch is None or request.smoke else request.config()["epochs"] * epoch + self.rest


def stated(plan: Plan) -> Pace:
    """The pace of the machine that made the reference results."""
    known = {}
    for request in plan.cells.values():
        method, dataset, supervision, recipe = kind(request)
        epoch = references.EPOCH_SECONDS.get((method, supervision, recipe))
        if epoch is not None and dataset in references.SIZES:
            known[kind(request)] = epoch * references.SIZES[dataset]
    return Pace(known, references.REST_SECONDS, "by the pace of the machine that made the reference results")


def calibrated(plan: Plan, device: str, env: Mapping[str, str]) -> Pace:
    """This machine's pace, from a training of seconds for each of the first kinds; what is not tried, by ratio."""
    pace = stated(plan)
    measured: dict[tuple[str, str, str, str], float] = {}
    for one, request in {kind(cell): cell for cell in reversed(list(plan.cells.values()))}.items():
        if len(measured) < CALIBRATED_MAX and (seconds := _tried(request, device, env)) is not None:
            measured[one] = seconds
    ratios = [seconds / pace.epochs[one] for one, seconds in measured.items() if one in pace.epochs]
    ratio = sum(ratios) / len(ratios) if ratios else 1.0
    epochs = {one: ratio * seconds for one, seconds in pace.epochs.items()} | measured
    return Pace(epochs, ratio * pace.rest, "from a calibration on this machine")


def _tried(request: flags.Request, device: str, env: Mapping[str, str]) -> float | None:
    """Seconds of one whole epoch, from a training on a few images; None where it did not end well."""
    small = {"epoch_images": CALIBRATION_IMAGES, "control_steps": 5, "warm_up_steps": 0}
    asked = replace(request, epochs=1, smoke=False, more={**request.more, **small})
    with scratch.folder("calibration") as place:
        data = [f"--data={request.data}"] if request.data else []
        words = ["train", *workflow.training(asked, 0), f"--outdir={place / 'run'}", f"--device={device}", *data]
        argv = own_code.command("ie_model", env, *words, "--quiet")
        done = subprocess.run(argv, cwd=place, env=dict(env), stderr=subprocess.DEVNULL, check=False)
        if done.returncode:
            return None
        row = json.loads((place / "run" / "metrics.jsonl").read_bytes().splitlines()[-1])
    images = request.config()["epoch_images"] or DATASETS[request.dataset].train
    return float(row["seconds"]) * images / CALIBRATION_IMAGES


def total_seconds(plan: Plan, pace: Pace, runs: Sequence[Run] | None = None) -> float | None:
    """CPU seconds of all runs, or of some; None where one kind is not known."""
    each = {name: pace.seconds(request) for name, request in plan.cells.items()}
    seconds = [each[run.cell] for run in (plan.runs if runs is None else runs)]
    return None if None in seconds else float(sum(one for one in seconds if one is not None))


def within_hours(plan: Plan, hours: float | None, pace: Pace, at_once: int) -> Plan:
    """The first runs of the plan that so many at once are expected to do in that time, at least one."""
    if hours is None:
        return plan
    each = {name: pace.seconds(request) for name, request in plan.cells.items()}
    if None in each.values():
        name = next(name for name, seconds in each.items() if seconds is None)
        raise ValueError(f"--hours={hours}: how long a run of {name} takes is not known here; give --runs=N instead")
    sums = itertools.accumulate(each[run.cell] or 0.0 for run in plan.runs)
    return limited(plan, max(1, sum(spent <= hours * 3600 * at_once for spent in sums)))


def needed_bytes(plan: Plan, at_once: int) -> int:
    """About what the finished folders take, and the checkpoints of those at work."""
    return len(plan.runs) * WEIGHT_BYTES + len(plan.cells) * FIGURE_BYTES + at_once * CHECKPOINT_BYTES


def lines(plan: Plan, pace: Pace | None, at_once: int, engine: str, folder: Path) -> list[str]:
    """What is printed before anything starts."""
    cells = [f"  {name}: {request.seeds} run{'s' * (request.seeds > 1)}" for name, request in plan.cells.items()]
    if len(cells) > 12:
        cells = [*cells[:10], f"  … and {len(cells) - 10} more"]
    total = None if pace is None else total_seconds(plan, pace)
    time_told = "not known before the first runs have ended"
    if total is not None and pace is not None:
        one = max(pace.seconds(request) or 0.0 for request in plan.cells.values())
        wall = max(total / at_once, one)
        time_told = (
            f"about {tasks.duration(wall)} with {at_once} at once ({tasks.duration(total)} of one core), {pace.source}"
        )
    need = needed_bytes(plan, at_once)
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    return [
        f"ie-repr sweep: {len(plan.runs):,} runs in {len(plan.cells):,} folder{'s' * (len(plan.cells) > 1)}, {engine}",
        *cells,
        f"  time: {time_told}",
        f"  disk: about {humanize.size(need)}, and {humanize.size(free)} are free",
        f"  results: {folder}",
    ]

"""One verification in a child: read the folder that the worker made, recompute or rerun by the rules, keep what comes.

The folder holds ``job.json`` (depth, rules, data, device, memory, other_digits), ``result.json`` and the weights below
``runs/``; the child leaves ``outcome.json`` and the predictions that came out, below ``found/``. Programs are those of
the local rules; of the result come values only.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ie_crowd.challenge import load
from ie_crowd.challenge.model import Task
from ie_crowd.check import integrity, recompute
from ie_crowd.check.finding import Item, judge
from ie_crowd.formats import checksums, safetensors_header, strict, upgrade
from ie_crowd.result import system_info

JOB, OUTCOME, FOUND = "job.json", "outcome.json", "found"
LIMITS = strict.Limits(size=4 * 2**20, depth=8, values=200_000)
PREDICTIONS = "predictions.safetensors"
OWN = ("schema", "files", "weights format")


def main(folder: Path) -> int:
    """Do it; returns 0 where there is an outcome, whatever it is."""
    asked = strict.read_json(folder / JOB, LIMITS, within=folder)
    _limit(asked["memory"])
    result = upgrade.accept(integrity.read(folder))
    challenge = load.challenge(Path(asked["challenge"]))
    task = challenge.task(result["task"]["dataset"], result["task"]["supervision"])
    main = main_metric(task, result)  # the only one of which a gap is asked
    values: dict[int, dict[str, float]] = {}
    gaps: dict[int, dict[str, float]] = {}

    def keep(kind: str, index: int, metrics: Mapping[str, Any], home: Path) -> None:
        values[index] = dict(metrics)
        details = strict.read_json(home / recompute.RUN_JSON, strict.RUN, within=home).get("details")
        told = details.get(main) if isinstance(details, dict) else None
        if isinstance(told, dict):
            gaps[index] = {key: float(value) for key, value in told.items() if isinstance(value, (int, float))}
        if (home / PREDICTIONS).is_file():
            (folder / FOUND).mkdir(exist_ok=True)
            shutil.copyfile(home / PREDICTIONS, folder / FOUND / f"{index}.safetensors")

    request = recompute.Request(
        asked["depth"],
        Path(asked["data"]) if asked["data"] else None,
        asked["device"],
        say=lambda line: None,
        keep=keep,
        policy=True,
        other_digits=asked["other_digits"],
    )
    items = [*integrity.check_document(result, challenge), *_files(folder, result)]
    kind = "recompute" if asked["depth"] == "metrics" else "rerun"
    items += recompute.check(folder, result, challenge, items, request, kinds=(kind,))
    here = system_info.describe()
    names = [package["name"] for package in result["software"]]
    platform = {"system": here, "software": system_info.software(names)["software"]}
    # What the document alone shows was judged when it came, and a reviewer may have had the last word on it.
    told = [item._asdict() for item in items if item.name in OWN or item.name.startswith(kind)]
    strict.write_json(folder / OUTCOME, {"items": told, "values": values, "validation": gaps, "platform": platform})
    return 0


def main_metric(task: Task | None, result: Mapping[str, Any]) -> str:
    """The metric that ranks: the first of the task that the result's method has; "" where it has none."""
    there = result["metrics"]
    return next((name for name in (task.metrics if task is not None else there) if name in there), "")


def _limit(memory: int | None) -> None:
    """At most so many bytes of address space, for this process and those that it starts."""
    if memory is None:
        return
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _files(folder: Path, result: Mapping[str, Any]) -> list[Item]:
    """The Items that a whole folder's check would give, of the weights alone."""
    items = [Item("schema", "pass", upgrade.RESULT, "accepted when it came")]
    problems, unsound = [], []
    for index, run in enumerate(result["runs"]):
        path = integrity.weights_of(dict(result), index) if run["status"] == "completed" else None
        if path is None or not (folder / path).is_file():
            continue
        if checksums.sha256_file(folder / path)[0] != run["model_sha256"]:
            problems.append(f"{path}: has another hash")
        try:
            safetensors_header.read_header(folder / path, within=folder)
        except ValueError as error:
            unsound.append(str(error))
    items.append(judge("files", "/files", problems, "the weights by hash"))
    items.append(judge("weights format", "/files", unsound, "safetensors, headers read strictly"))
    return items


def concluded(
    items: Sequence[Mapping[str, Any]], kind: str, metrics: Sequence[str], main_metric: str
) -> tuple[str, str]:
    """(outcome, one line) of the Items of an outcome: "pass", "fail" or "not evidenced".

    Recomputed: every metric of the result comes out again. Rerun: none differs, and the one that ranks agrees; one
    run on another platform may evidence nothing for the others.
    """
    failed = [item for item in items if item["state"] == "fail"]
    if failed:
        return "fail", f"{failed[0]['name']}: {failed[0]['detail']}"
    states = {item["name"]: item["state"] for item in items}
    wanted = [main_metric] if kind == "rerun" else metrics
    open_ = [name for name in wanted if states.get(f"{kind}.{name}") != "pass"]
    if not wanted or open_:
        why = next((item for item in items if item["name"] in (kind, *(f"{kind}.{name}" for name in open_))), None)
        return "not evidenced", why["detail"] if why else "the result has no metric"
    return "pass", f"{len(metrics)} metrics"

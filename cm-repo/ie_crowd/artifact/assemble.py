"""Assembly of result.json from the run.json files of a results folder.

``assemble`` is a function of the folder and of the facts it is given, so the same run gives the same bytes and the
same id, however often it is assembled. What it writes has passed the schema, the rules and the strict reader first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd.challenge.model import Challenge, same
from ie_crowd.check import rules
from ie_crowd.formats import canonical_json, checksums, schema, strict
from ie_crowd.formats.upgrade import RESULT as RESULT  # part of this module's interface, too
from ie_crowd.result import provenance
from ie_crowd.result.aggregate import aggregate as aggregate  # part of this module's interface

RUN = "run.json"
RUN_FORMAT = 1
PER_RUN = ("seed", "label_seed")  # keys of a run's configuration that belong to the run, not to the result
_RUN_KEYS = ("epochs", "wall_seconds", "cpu_seconds", "images_per_second", "model_sha256", "split_sha256")


class Row(NamedTuple):
    """One line of the table for a terminal: ``value`` is "mean ± half-width" and "mean" alone for a single run."""

    metric: str
    value: str
    unit: str
    better: str
    n: int


def now() -> str:
    """The time, in UTC, to the second, as ``created`` holds it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def assemble(
    folder: Path,
    *,
    challenge: Challenge,
    created: str,
    system: Mapping[str, Any],
    software: Sequence[Mapping[str, str]],
    software_sha256: str | None,
    cost: Mapping[str, Any],
    provenance: Mapping[str, Any],
    submitter: str | None = None,
    division: str | None = None,
) -> dict[str, Any]:
    """Write ``folder/result.json`` (by rename) and return it.

    ``division``: None is "closed" where the configuration departs from nothing that the rules pin, else "open".
    Raises ValueError, and writes nothing, if a run is unfinished or unreadable, the runs disagree, none completed,
    or the result does not pass the schema and the rules.
    """
    runs = read_runs(folder)
    task, config = shared(runs)
    asked = challenge.task(str(task.get("dataset")), str(task.get("supervision")))
    departures = challenge.departures(asked, task.get("labels"), config) if asked is not None else []
    result: dict[str, Any] = {
        "schema_version": schema.SCHEMA_VERSION,
        "id": "0" * 64,
        "created": created,
        "paper": dict(challenge.paper),
        "challenge": {
            "id": challenge.id,
            "rules_version": challenge.rules_version,
            "division": division or ("open" if departures else "closed"),
            "departures": departures,
        },
        "task": task,
        "config": config,
        "runs": [entry(run) for run in runs],
        "metrics": {},
        "datasets": datasets(runs),
        "system": dict(system),
        "software": [dict(package) for package in software],
        "software_sha256": software_sha256,
        "cost": dict(cost),
        "provenance": dict(provenance),
        "submitter": {"name": submitter},
        "files": files(folder),
    }
    result["metrics"] = aggregate(_checked_runs(result["runs"]), challenge.metrics)
    if not result["metrics"]:
        raise ValueError("no run completed with metrics, so there is no result: " + _first_error(result["runs"]))
    result["id"] = canonical_json.identity(result)
    refuse(result, challenge)
    strict.write_json(folder / RESULT, result)
    return result


def refuse(result: dict[str, Any], challenge: Challenge) -> None:
    """Raise ValueError with the first thing that the strict reader, the schema or the rules have against ``result``."""
    strict.parse_json(json.dumps(result, ensure_ascii=False).encode("utf-8", "surrogatepass"), strict.RESULT, RESULT)
    problems = schema.problems(result)
    if problems:
        raise ValueError(f"{RESULT}: {problems[0]}")
    for item in rules.check(result, challenge):
        if item.state == "fail":
            raise ValueError(f"{RESULT}: {item.name} ({item.evidence}): {item.detail}")


def facts_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """What ``assemble`` cannot read from the folder, as its keyword arguments, taken from an existing result."""
    keys = ("created", "system", "software", "software_sha256", "cost", "provenance")
    return {**{key: result[key] for key in keys}, "submitter": result["submitter"]["name"]}


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """The run.json documents of ``folder/runs/0, 1, 2, …``, read strictly.

    Raises ValueError if there is none, a number is missing, or one is no run.json of format 1 that has ended.
    """
    home = folder / "runs"
    try:
        names = sorted(path.name for path in home.iterdir() if not path.name.startswith("."))
    except OSError:
        raise ValueError(f"{strict.name_of(folder)}: holds no folder runs/; nothing has been run here") from None
    expected = [str(number) for number in range(len(names))]
    if not names or set(names) != set(expected):
        raise ValueError(
            f"{strict.name_of(home)}: expected the folders 0, 1, 2, …; it holds {', '.join(names) or 'none'}"
        )
    runs = []
    for name in expected:
        run = strict.read_json(home / name / RUN, strict.RUN, within=folder)
        place = f"runs/{name}/{RUN}"
        if not isinstance(run, dict) or run.get("format") != RUN_FORMAT or isinstance(run["format"], bool):
            raise ValueError(f"{place}: is not a run of format {RUN_FORMAT}")
        if run.get("status") not in ("completed", "failed"):
            raise ValueError(
                f"{place}: status is {run.get('status')!r:.40}, expected completed or failed; let the run end first"
            )
        for key, kind in (("task", dict), ("config", dict), ("metrics", dict), ("datasets", list), ("device", dict)):
            if not isinstance(run.get(key), kind):
                raise ValueError(f"{place}: {key} is {type(run.get(key)).__name__}, expected {kind.__name__}")
        for key in PER_RUN:
            if key in run["config"] and not same(run["config"][key], run.get(key)):
                raise ValueError(
                    f"{place}: {key} is {run.get(key)!r:.40}, but its config says {run['config'][key]!r:.40}"
                )
        runs.append(run)
    return runs


def shared(runs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task and the configuration (without the seeds) that all runs share. Raises ValueError naming what differs."""
    configs = [{key: value for key, value in run["config"].items() if key not in PER_RUN} for run in runs]
    for index, (run, config) in enumerate(zip(runs, configs, strict=True)):
        for what, mine, first in (("task", run["task"], runs[0]["task"]), ("config", config, configs[0])):
            for key in sorted(set(mine) | set(first)):
                if key not in mine or key not in first or not same(mine[key], first[key]):
                    got, want = mine.get(key), first.get(key)
                    raise ValueError(
                        f"runs/{index}: {what} {key} is {got!r:.60}, in runs/0 it is {want!r:.60}; one folder, one task"
                    )
    return dict(runs[0]["task"]), configs[0]


def entry(run: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of ``runs`` that one run.json gives. The error line is scrubbed of paths and names."""
    failed = run["status"] == "failed"
    error = provenance.scrub(str(run.get("error") or "no reason was given"))[:300] if failed else None
    values = {key: run.get(key) for key in _RUN_KEYS}
    if failed:
        values["epochs"] = values["epochs"] or 0
    return {
        "seed": run.get("seed"),
        "label_seed": run.get("label_seed"),
        "status": run["status"],
        "error": error,
        "metrics": {} if failed else dict(run["metrics"]),
        **values,
    }


def datasets(runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The data sets of the completed runs. Raises ValueError if two runs read different data."""
    found: list[dict[str, Any]] | None = None
    for index, run in enumerate(runs):
        if run["status"] == "completed" and found is None:
            found = run["datasets"]
        elif run["status"] == "completed" and run["datasets"] != found:
            raise ValueError(f"runs/{index}: read other data than the runs before; one folder, one data set")
    return found or []


def files(folder: Path) -> list[dict[str, Any]]:
    """Path, SHA-256 and size of every file below runs/ and figures/, sorted by path."""
    listed = []
    for top in ("figures", "runs"):
        strict.refuse_links(folder / top, folder)
        for path in checksums.listing(folder / top) if (folder / top).is_dir() else []:
            digest, size = checksums.sha256_file(folder / top / path)
            listed.append({"path": f"{top}/{path}", "sha256": digest, "bytes": size})
    return listed


def cost(
    steps: Iterable[Mapping[str, Any]], download_bytes: int | None = None, energy_joules: float | None = None
) -> dict[str, Any]:
    """The ``cost`` of a result: the sum over run.json documents and what else has their keys; the largest memory."""
    runs = list(steps)
    cpu = [run.get("cpu_seconds") for run in runs]
    return {
        "wall_seconds": sum(run.get("wall_seconds") or 0 for run in runs),
        "cpu_seconds": None if None in cpu else sum(cpu),
        "peak_rss_bytes": max((run.get("peak_rss_bytes") or 0 for run in runs), default=0) or None,
        "download_bytes": download_bytes,
        "energy_joules_estimated": energy_joules,
    }


def table(result: Mapping[str, Any]) -> list[Row]:
    """The metrics of a result as rows for a terminal, in the order of the document."""
    rows = []
    for name, metric in result["metrics"].items():
        digits = 3 if metric["unit"] == "1" else 2
        value = f"{metric['value']:.{digits}f}"
        if metric["ci95"] is not None:
            value += f" ± {metric['ci95']:.{digits}f}"
        rows.append(Row(name, value, metric["unit"], metric["direction"], metric["n"]))
    return rows


def _checked_runs(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs, once their metrics are seen to be numbers: they are averaged before the schema sees them."""
    for index, run in enumerate(runs):
        for name, value in run["metrics"].items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"runs/{index}/{RUN}: metric {name!r:.80} is {value!r:.40}, expected a number")
    return runs


def _first_error(runs: Sequence[Mapping[str, Any]]) -> str:
    return next((run["error"] for run in runs if run["error"]), "the runs hold no metrics; evaluate them first")

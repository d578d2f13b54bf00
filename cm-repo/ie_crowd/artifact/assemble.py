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

from ie_crowd.challenge.model import Challenge
from ie_crowd.check import rules
from ie_crowd.formats import canonical_json, checksums, schema, strict
from ie_crowd.formats.upgrade import RESULT as RESULT  # part of this module's interface, too
from ie_crowd.result import runs as run_documents
from ie_crowd.result.aggregate import aggregate as aggregate  # part of this module's interface


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
    runs = run_documents.read_runs(folder)
    task, config = run_documents.shared(runs)
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
        "runs": [run_documents.entry(run) for run in runs],
        "metrics": {},
        "datasets": run_documents.datasets(runs),
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
                raise ValueError(
                    f"runs/{index}/{run_documents.RUN}: metric {name!r:.80} is {value!r:.40}, expected a number"
                )
    return runs


def _first_error(runs: Sequence[Mapping[str, Any]]) -> str:
    return next((run["error"] for run in runs if run["error"]), "the runs hold no metrics; evaluate them first")

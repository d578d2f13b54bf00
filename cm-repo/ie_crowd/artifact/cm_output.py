"""cm-output.json: the result as one flat mapping, as ``cm run experiment`` takes it into its cm-result.json.

CM reads it in the folder where it wrote cm-input.json and started the command; the CK playground makes one column of
each key. CM keeps the keys of one step for the next, so every key is there in every result of a challenge, if need be
null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ie_crowd.formats import strict

OUTPUT, INPUT = "cm-output.json", "cm-input.json"


def flat(result: Mapping[str, Any], metrics: Iterable[str]) -> dict[str, Any]:
    """The columns of a valid result: texts, numbers and nulls. ``metrics``: all that its challenge knows.

    For a metric: NAME the mean, NAME.sd, NAME.ci95 (half-width of the 95 % interval) and NAME.n. The first keys are
    those that the playground shows first.
    """
    system, accelerators = result["system"], result["system"]["accelerators"]
    columns: dict[str, Any] = {
        "Organization": result["submitter"]["name"],
        "SystemName": accelerators[0]["name"] if accelerators else system["cpu_model"],
        "result": result["id"],
        "created": result["created"],
        "challenge": result["challenge"]["id"],
        "rules_version": result["challenge"]["rules_version"],
        "division": result["challenge"]["division"],
        "dataset": result["task"]["dataset"],
        "supervision": result["task"]["supervision"],
        "labels": result["task"]["labels"],
        "runs": len(result["runs"]),
        "completed_runs": sum(run["status"] == "completed" for run in result["runs"]),
    }
    for name in dict.fromkeys([*metrics, *result["metrics"]]):
        metric = result["metrics"].get(name, {})
        columns[name] = metric.get("value")
        columns |= {f"{name}.{key}": metric.get(key) for key in ("sd", "ci95", "n")}
    return columns | {
        **{f"cost.{key}": value for key, value in result["cost"].items()},
        "accelerators": len(accelerators),
        "cpu_model": system["cpu_model"],
        "cores": system["cores"]["usable"],
        "memory_bytes": system["memory_bytes"],
        "os": system["os"],
        "python": system["python"],
        "commit": result["provenance"]["commit"],
    }


def write(folder: Path, columns: Mapping[str, Any], started_in: Path | None = None) -> None:
    """Write cm-output.json into the results folder, and where ``started_in`` holds CM's cm-input.json, there too."""
    strict.write_json(folder / OUTPUT, columns)
    if started_in is not None and (started_in / INPUT).is_file():
        strict.write_json(started_in / OUTPUT, columns)

"""Read the run.json documents of a results folder, and make of them what a result says of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ie_crowd.challenge.model import same
from ie_crowd.formats import checksums, strict
from ie_crowd.result import provenance

RUN = "run.json"
RUN_FORMAT = 1
PER_RUN = ("seed", "label_seed")  # keys of a run's configuration that belong to the run, not to the result
MACHINE = "machine"  # of a run whose result has runs of other machines, too
_RUN_KEYS = ("epochs", "wall_seconds", "cpu_seconds", "images_per_second", "model_sha256", "split_sha256")


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """The run.json documents of ``folder/runs/0, 1, 2, …``, read strictly.

    Raises ValueError if there is none, a number is missing, or one is no run.json of format 1 that has ended.
    """
    home = folder / "runs"
    try:
        there = [path for path in home.iterdir() if not path.name.startswith(".")]
        names = sorted(path.name for path in there if path.is_dir() or not checksums.bystander(path.name))
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
        **({MACHINE: run[MACHINE]} if MACHINE in run else {}),
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

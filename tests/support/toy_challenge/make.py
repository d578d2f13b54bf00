"""Results folders of the toy challenge, made as a workflow would: run.json files first, then result.assemble."""

import hashlib
import json
from pathlib import Path

from ie_crowd.artifact import assemble
from ie_crowd.challenge import load
from ie_crowd.formats import checksums

from . import compute

RULES = load.challenge(Path(__file__).parent)
WEIGHTS: dict[str, bytes] = {}  # what write_run writes, by SHA-256
CONFIG = {"epochs": 7, "window_days": 14, "damping": 0.25, "season": "wet, warm", "detrend": True}
FACTS = {
    "created": "2026-01-02T03:04:05Z",
    "system": {
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0-13-amd64",
        "architecture": "x86_64",
        "cpu_model": "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "cores": {"physical": 1, "logical": 2, "usable": 2},
        "memory_bytes": 2**33,
        "accelerators": [
            {"kind": "cuda", "name": "NVIDIA H100 80GB HBM3", "memory_bytes": 2**36, "driver": "550.54.15"}
        ],
        "python": "CPython 3.11.7",
    },
    "software": [{"name": "river-models", "version": "13.0.96.1"}],
    "software_sha256": "d" * 64,
    "cost": {
        "wall_seconds": 12.5,
        "cpu_seconds": 20.25,
        "peak_rss_bytes": 2**28,
        "download_bytes": 0,
        "energy_joules_estimated": None,
    },
    "provenance": {
        "repository": "https://example.org/rivers/code",
        "commit": "e" * 40,
        "dirty": False,
        "command": "cm run script 'reproduce rivers' --data=<path>",
        "cm": {"repo": "rivers", "script": "reproduce-rivers", "version": "4.2.0"},
    },
    "submitter": "The Rivers Group",
}


def run_document(number: int, mae: float, recall: float, **changes: object) -> dict:
    """A run.json as a model would leave it, for the weights that ``write_run`` writes."""
    weights = compute.weights(mae, recall)
    WEIGHTS[hashlib.sha256(weights).hexdigest()] = weights
    return {
        "format": 1,
        "status": "completed",
        "error": None,
        "task": {"dataset": "gauges", "supervision": "supervised", "labels": "all"},
        "config": {**CONFIG, "seed": number, "label_seed": number},
        "seed": number,
        "label_seed": number,
        "metrics": {"forecast.mae": mae, "flood.recall": recall},
        "epochs": 7,
        "wall_seconds": 6.25,
        "cpu_seconds": 10.125,
        "images_per_second": 1000.0,
        "peak_rss_bytes": 2**28,
        "model_sha256": hashlib.sha256(weights).hexdigest(),
        "split_sha256": "c" * 64,
        "datasets": [
            {
                "name": "gauges",
                "files": [
                    {"name": "levels.csv", "sha256": "a" * 64, "bytes": 1000},
                    {"name": "rain.csv", "sha256": "b" * 64, "bytes": 2000},
                ],
            }
        ],
        "device": {
            "kind": "cpu",
            "name": "CPU",
            "memory_bytes": None,
            "driver": None,
            "count": 1,
            "reason": "asked for",
        },
        **changes,
    }


def failed_run(number: int, error: str = "the loss is not a number") -> dict:
    """A run.json of a run that failed before its first epoch ended."""
    nothing = {"metrics": {}, "epochs": 0, "images_per_second": None, "model_sha256": None, "split_sha256": None}
    return run_document(number, 0, 0, status="failed", error=error, **nothing)


def write_run(folder: Path, run: dict, number: int | None = None) -> None:
    """Write runs/<number>/ (by default its seed) with run.json, config.json, metrics.jsonl and the weights."""
    home = folder / "runs" / str(run["seed"] if number is None else number)
    home.mkdir(parents=True, exist_ok=True)
    (home / "run.json").write_text(json.dumps(run), encoding="utf-8")
    (home / "config.json").write_text(json.dumps(run["config"]), encoding="utf-8")
    (home / "metrics.jsonl").write_text('{"epoch": 1}\n', encoding="utf-8")
    if run["status"] == "completed":
        (home / "model.safetensors").write_bytes(WEIGHTS.get(run["model_sha256"], b""))


def write_folder(folder: Path, runs: list[dict] | None = None) -> dict:
    """A complete results folder (two runs and a figure, unless other runs are given); returns its result."""
    for number, run in enumerate(runs or [run_document(0, 4.0, 90.0), run_document(1, 6.0, 80.0)]):
        write_run(folder, run, number)
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "levels.png").write_bytes(b"\x89PNG and so on")
    document = assemble.assemble(folder, challenge=RULES, **FACTS)
    checksums.write_sha256sums(folder)
    return document

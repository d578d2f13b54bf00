"""Plausible result documents of a challenge, made from its rules: what a store of many people's results would hold.

``documents`` is a function of the rules, the number and the seed. Submitters differ in size (a few send most), machines
in hardware, tasks in difficulty; every document passes the schema and the rules.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterator
from typing import Any

from ie_crowd.challenge.model import Challenge, Task
from ie_crowd.formats import canonical_json, schema
from ie_crowd.result.aggregate import aggregate

CPUS = (
    ("Intel(R) Xeon(R) CPU @ 2.20GHz", "x86_64", 1, 2, 8),
    ("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", "x86_64", 4, 8, 16),
    ("AMD Ryzen 9 5950X 16-Core Processor", "x86_64", 16, 32, 64),
    ("AMD EPYC 7763 64-Core Processor", "x86_64", 64, 128, 512),
    ("Apple M2 Pro", "arm64", 10, 10, 16),
    ("Neoverse-N1", "aarch64", 4, 4, 24),
    ("Raspberry Pi 5 Model B Rev 1.0", "aarch64", 4, 4, 8),
)
ACCELERATORS: tuple[tuple[str, str, int] | None, ...] = (
    None,
    None,
    None,
    ("cuda", "NVIDIA GeForce RTX 3060", 12),
    ("cuda", "NVIDIA A100-SXM4-80GB", 80),
    ("rocm", "AMD Radeon RX 7900 XTX", 24),
)
SYSTEMS = ("Debian GNU/Linux 12 (bookworm)", "Ubuntu 24.04.1 LTS", "macOS 14.5", "Fedora Linux 40 (Workstation)")
PACKAGES = (
    "cmind cmx4mlops contourpy cycler filelock fonttools fsspec jinja2 jsonschema kiwisolver markupsafe matplotlib "
    "mpmath networkx numpy nvidia-ml-py packaging pillow psutil pyparsing python-dateutil pyyaml rich safetensors "
    "scipy six sympy torch torchvision typing-extensions"
).split()
RUN_FILES = ("config.json", "metrics.jsonl", "model.safetensors", "run.json")
FIGURES = "classes error latent prior reconstructions styles traversal curves".split()


def documents(rules: Challenge, count: int, seed: int = 0, submitters: int = 400) -> Iterator[dict[str, Any]]:
    """``count`` different valid documents. The same arguments give the same documents."""
    chance = random.Random(seed)  # noqa: S311 made-up data
    people = [_person(chance, number) for number in range(submitters)]
    weights = [1 / (rank + 3) for rank in range(submitters)]
    tasks = [(task, labels) for task in rules.tasks for labels in task.labels]
    for _ in range(count):
        person = chance.choices(people, weights)[0]
        yield _document(rules, chance, person, *chance.choice(tasks))


def text(document: dict[str, Any]) -> bytes:
    """The bytes of result.json, as the assembly writes them."""
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _person(chance: random.Random, number: int) -> dict[str, Any]:
    syllables = "ka ri mo to ne su la vi do pe ha zu".split()
    name = "".join(chance.choice(syllables) for _ in range(3)).capitalize()
    return {"name": f"{name} {number}", "skill": chance.gauss(0, 0.25), "machines": chance.sample(range(len(CPUS)), 2)}


def _hash(chance: random.Random) -> str:
    return f"{chance.getrandbits(256):064x}"


def _document(
    rules: Challenge, chance: random.Random, person: dict[str, Any], task: Task, labels: int | str
) -> dict[str, Any]:
    pinned_open = chance.random() < 0.25
    config = _config(rules, task, labels, chance, pinned_open)
    departures = rules.departures(task, labels, config)
    runs = [
        _run(rules, chance, person, task, labels, number, config) for number in range(chance.choice((1, 3, 3, 5, 5, 5)))
    ]
    # times that have passed: a store takes none from after tomorrow
    moment = (2026, *(chance.randrange(1, most) for most in (11, 29)), chance.randrange(24))
    document: dict[str, Any] = {
        "schema_version": schema.SCHEMA_VERSION,
        "id": "",
        "created": "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}Z".format(
            *moment, chance.randrange(60), chance.randrange(60)
        ),
        "paper": dict(rules.paper),
        "challenge": {
            "id": rules.id,
            "rules_version": rules.rules_version,
            "division": "open" if departures else "closed",
            "departures": departures,
        },
        "task": {"dataset": task.dataset, "supervision": task.supervision, "labels": labels},
        "config": config,
        "runs": runs,
        "metrics": aggregate(runs, rules.metrics),
        "datasets": [
            {
                "name": task.dataset,
                "files": [
                    {"name": name, "sha256": value or "5" * 64, "bytes": 1_000_000}
                    for name, value in rules.datasets[task.dataset].items()
                ],
            }
        ],
        "system": _system(chance, person),
        "software": [{"name": name, "version": f"{1 + len(name) % 5}.{chance.randrange(20)}.1"} for name in PACKAGES],
        "software_sha256": _hash(chance),
        "cost": {
            "wall_seconds": math.fsum(run["wall_seconds"] for run in runs),
            "cpu_seconds": math.fsum(run["cpu_seconds"] for run in runs),
            "peak_rss_bytes": chance.randrange(5 * 10**8, 3 * 10**9),
            "download_bytes": 11_594_722,
            "energy_joules_estimated": None,
        },
        "provenance": {
            "repository": "https://example.org/code/ie-repr",
            "commit": _hash(chance)[:40],
            "dirty": False,
            "command": f'cm run script "reproduce ie-repr {task.dataset}" --labels={labels} --seeds={len(runs)}',
            "cm": {"repo": rules.id, "script": f"reproduce-ie-repr-{task.dataset}", "version": "4.2.0"},
        },
        "submitter": {"name": person["name"]},
        "files": _files(chance, runs),
    }
    document["id"] = canonical_json.identity(document)
    return document


def _config(
    rules: Challenge, task: Task, labels: int | str, chance: random.Random, departs: bool
) -> dict[str, str | int | float | bool | None]:
    """What the closed division pins, and something for each other key; the open division doubles one number."""
    pins = rules.pins(task, labels)
    samples: dict[str, Any] = {"integer": 3, "number": 0.5, "string": "auto", "boolean": False, "null": None}
    config: dict[str, Any] = {}
    for key, kind in rules.config.items():
        pin = pins.get(key)
        config[key] = samples[kind.split(" or ")[0]] if pin is None else pin.values[0] if pin.values else pin.low
    known = {"dataset": task.dataset, "supervision": task.supervision, "labels": labels}
    config |= {key: value for key, value in known.items() if key in config}
    if departs:
        key = chance.choice([key for key in pins if isinstance(config.get(key), int) and config[key] is not True])
        if key not in known and config[key]:
            config[key] *= 2
    return config


def _run(
    rules: Challenge,
    chance: random.Random,
    person: dict[str, Any],
    task: Task,
    labels: int | str,
    number: int,
    config: dict[str, Any],
) -> dict[str, Any]:
    ease = 1.0 if labels == "all" else 8.0 / math.sqrt(float(labels))
    metrics = {}
    for name in task.metrics:
        metric = rules.metrics[name]
        if metric.unit == "%":
            value = 4 * ease if metric.direction == "lower" else 20 if metric.chance is not None else 97
            value *= math.exp(person["skill"] * 0.3 + chance.gauss(0, 0.08))
        else:
            value = min(metric.high, 1) * 0.9 - abs(chance.gauss(0, 0.05)) if metric.high <= 1 else chance.gauss(50, 3)
        worse, implausible = _band(task, name, labels)
        if worse is not None and implausible is not None:
            share = min(max(chance.gauss(0.5 - person["skill"] / 5, 0.12), 0.02), 0.98)
            value = worse + (implausible - worse) * share
        elif implausible is not None:
            value = implausible * 1.5 if metric.direction != "higher" else implausible - abs(chance.gauss(0, 1))
        metrics[name] = round(min(max(value, metric.low), metric.high), 6)
    wall = chance.uniform(60, 2000)
    return {
        "seed": number,
        "label_seed": number,
        "status": "completed",
        "error": None,
        "metrics": metrics,
        "epochs": config.get("epochs", 10),
        "wall_seconds": wall,
        "cpu_seconds": wall * 1.9,
        "images_per_second": chance.uniform(300, 20_000),
        "model_sha256": _hash(chance),
        "split_sha256": rules.splits[task.dataset] or "6" * 64,
    }


def _band(task: Task, name: str, labels: int | str) -> tuple[float | None, float | None]:
    """The ends of the reference band of a metric, so that the values are believed."""
    for band in task.bands.get(name, ()):
        if not band.labels or labels in band.labels:
            return band.worse, band.implausible
    return None, None


def _system(chance: random.Random, person: dict[str, Any]) -> dict[str, Any]:
    cpu, architecture, physical, logical, memory = CPUS[chance.choice(person["machines"])]
    accelerator = chance.choice(ACCELERATORS)
    return {
        "os": chance.choice(SYSTEMS),
        "kernel": f"6.{chance.randrange(1, 12)}.0-{chance.randrange(40)}-generic",
        "architecture": architecture,
        "cpu_model": cpu,
        "cores": {"physical": physical, "logical": logical, "usable": logical},
        "memory_bytes": memory * 2**30,
        "accelerators": []
        if accelerator is None
        else [
            {
                "kind": accelerator[0],
                "name": accelerator[1],
                "memory_bytes": accelerator[2] * 2**30,
                "driver": "550.54.15",
            }
        ],
        "python": chance.choice(("CPython 3.11.7", "CPython 3.12.4", "CPython 3.13.1")),
    }


def _files(chance: random.Random, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    files = [
        {"path": f"figures/{name}.{kind}", "sha256": _hash(chance), "bytes": chance.randrange(10_000, 200_000)}
        for name in FIGURES
        for kind in ("png", "svg")
    ]
    for number, run in enumerate(runs):
        for name in RUN_FILES:
            digest = run["model_sha256"] if name.endswith(".safetensors") else _hash(chance)
            files.append(
                {"path": f"runs/{number}/{name}", "sha256": digest, "bytes": chance.randrange(1_000, 2_000_000)}
            )
    return sorted(files, key=lambda file: str(file["path"]).encode())


def identity_of(content: bytes) -> str:
    """A name for a generated file: the SHA-256 of its content."""
    return hashlib.sha256(content).hexdigest()

"""From the bytes of one result.json to the rows of the store, with everything that can be judged without the store.

``prepare`` is a pure function of the bytes and the rules, and what it returns is plain data: it runs in the processes
that validate. What only the store knows (copies, look-alike names) is judged when the rows are written.
"""

from __future__ import annotations

import functools
import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ie_crowd.challenge import issued, load
from ie_crowd.challenge.model import Challenge
from ie_crowd.check import integrity
from ie_crowd.formats import canonical_json, schema, strict, usernames
from ie_crowd.result import commitment
from ie_crowd.result.aggregate import aggregate
from ie_crowd.store.tables import ALL_LABELS

LIMITS = strict.UPLOAD


class Reason(NamedTuple):
    """Why a result is quarantined: the item that failed, where to look, one line."""

    name: str
    evidence: str
    detail: str


class Run(NamedTuple):
    """One row of ``run``, but for the result."""

    number: int
    seed: int
    label_seed: int
    status: str
    epochs: int
    wall_seconds: float | None
    images_per_second: float | None
    model_sha256: str | None


class Prepared(NamedTuple):
    """One result, ready to be written."""

    id: str
    created: str
    contest: tuple[str, str, str, int, str, str]  # challenge, dataset, supervision, labels, division, method
    submitter: str | None
    skeleton: str
    machine: tuple[str, str, str, int, int, str]  # fingerprint, then the columns of machine
    config: tuple[str, str]  # SHA-256, JSON
    rules_version: int
    judged_version: int
    variant: str
    os: str
    completed: int
    wall_seconds: float
    values_sha256: str
    commitment: tuple[str, str]  # contest and hash of code and settings; "" in the closed division
    size: int
    packed: bytes
    runs: list[Run]
    values: list[tuple[int, str, float]]  # number of the run, metric, value
    summary: list[tuple[str, float, float | None, int, float | None]]  # metric, mean, sd, n, ci95
    reasons: list[Reason]


def prepare(content: bytes, challenges: Mapping[str, Challenge] | None = None) -> Prepared:
    """Read, validate and judge one result.json by the rules of its challenge.

    ``challenges``: by their ids; None finds them here. Raises ValueError, one line, for what cannot be kept as a
    result at all: it is unreadable, does not pass the schema, is of an unknown challenge, or its id is not the hash
    of its content (it would take the place of another). All else that fails becomes a reason.
    """
    found = strict.parse_json(content, LIMITS, "result.json")
    problems = schema.problems(found, most=1)
    if problems:
        raise ValueError(f"result.json: {problems[0]}")
    asked = found["challenge"]["id"]
    challenge = known(asked) if challenges is None else challenges.get(asked)
    if challenge is None:
        raise ValueError(f"result.json: is of the challenge {asked}, which is not known here")
    try:
        metrics = aggregate(found["runs"], challenge.metrics)
    except ValueError:  # a metric without rules: the check says so
        metrics = None
    items = integrity.check_document(found, challenge, metrics)
    failed = [Reason(item.name, item.evidence, item.detail) for item in items if item.state == "fail"]
    wrong = next((reason for reason in failed if reason.name == "id"), None)
    if wrong:
        raise ValueError(f"result.json: /id {wrong.detail}")
    name = found["submitter"]["name"]
    odd = usernames.problem(name) if name is not None else None
    if odd:
        failed.append(Reason("submitter", "/submitter/name", f"the name {odd}"))
    return _rows(found, challenge, failed, content, metrics or {})


@functools.lru_cache(maxsize=64)
def known(challenge_id: str) -> Challenge | None:
    """The rules of a challenge that lies beside this library or is installed; None for an unknown one."""
    try:
        return load.challenge(load.find(challenge_id))
    except ValueError:
        return None


def _rows(
    found: dict[str, Any],
    challenge: Challenge,
    reasons: list[Reason],
    content: bytes,
    metrics: Mapping[str, dict[str, Any]],
) -> Prepared:
    task, stated = found["task"], found["challenge"]
    labels = ALL_LABELS if task["labels"] == "all" else int(task["labels"])
    name = found["submitter"]["name"]
    return Prepared(
        id=found["id"],
        created=found["created"],
        contest=(
            stated["id"],
            task["dataset"],
            task["supervision"],
            labels,
            stated["division"],
            challenge.method(found["config"]),
        ),
        submitter=name,
        skeleton="" if name is None else usernames.skeleton(name),
        machine=machine(found["system"]),
        config=_config(found["config"]),
        rules_version=int(stated["rules_version"]),
        judged_version=challenge.rules_version,
        variant=variant(found, challenge),
        os=found["system"]["os"],
        completed=sum(run["status"] == "completed" for run in found["runs"]),
        wall_seconds=float(found["cost"]["wall_seconds"]),
        values_sha256=_values_sha256(found["runs"]),
        commitment=committed(found),
        size=len(content),
        packed=zlib.compress(content, 1),
        runs=[
            Run(
                number,
                int(run["seed"]),
                int(run["label_seed"]),
                run["status"],
                int(run["epochs"]),
                run["wall_seconds"],
                run["images_per_second"],
                run["model_sha256"],
            )
            for number, run in enumerate(found["runs"])
        ],
        values=[
            (number, metric, float(value))
            for number, run in enumerate(found["runs"])
            for metric, value in run["metrics"].items()
        ],
        summary=[(name, row["value"], row["sd"], row["n"], row["ci95"]) for name, row in metrics.items()],
        reasons=reasons,
    )


def machine(system: Mapping[str, Any]) -> tuple[str, str, str, int, int, str]:
    """What tells one machine from another, with its hash in front.

    Processor, instruction set, logical cores, memory to the whole GiB, accelerators. Not the system, the kernel or
    Python, which one machine changes, nor how many cores a run was given.
    """
    devices = [str(device["name"]) for device in system["accelerators"]]
    counts = {name: devices.count(name) for name in devices}
    accelerator = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in sorted(counts.items()))[:200]
    memory = round(system["memory_bytes"] / 2**30) * 2**30
    facts = (system["cpu_model"], system["architecture"], int(system["cores"]["logical"]), memory, accelerator)
    return (hashlib.sha256(json.dumps(facts).encode()).hexdigest(), *facts)


def _config(config: Mapping[str, Any]) -> tuple[str, str]:
    text = json.dumps(config, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest(), text


def variant(found: Mapping[str, Any], challenge: Challenge) -> str:
    """What tells two uses of a method apart: "" in the closed division, else a hash of what the rules would pin.

    What the closed division of earlier rules asked is another use than what it asks now.
    """
    if found["challenge"]["division"] == "closed" and challenge.of(found) is challenge:
        return ""
    challenge = challenge.of(found)
    task = challenge.task(found["task"]["dataset"], found["task"]["supervision"])
    config = challenge.whole_config(found)
    keys = challenge.pins(task, found["task"]["labels"], config) if task is not None else config
    chosen = {key: value for key, value in config.items() if key in keys}
    return hashlib.sha256(canonical_json.canonical(chosen)).hexdigest()[:16]


def committed(found: Mapping[str, Any]) -> tuple[str, str]:
    """The contest of a result and the hash of its code and settings, where draws can be issued for them."""
    if found["challenge"]["division"] != issued.DIVISION:
        return "", ""
    return commitment.contest(found), commitment.digest(found)


def _values_sha256(runs: list[dict[str, Any]]) -> str:
    """The same for two results that hold the same raw values, in whatever order, under whatever seeds."""
    values = sorted(canonical_json.of_parsed(run["metrics"]) for run in runs if run["status"] == "completed")
    return hashlib.sha256("\n".join(values).encode()).hexdigest()

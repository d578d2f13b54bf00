"""The second check of a result, after the schema: the rules of its challenge.

``check`` is a pure function of the document and the rules. It expects a document that the schema accepts.
"""

from __future__ import annotations

from typing import Any

from ie_crowd.challenge import fields
from ie_crowd.challenge.model import Challenge, Task
from ie_crowd.check.finding import Item, grouped, judge


def check(result: dict[str, Any], challenge: Challenge) -> list[Item]:
    """One Item for each rule, in a fixed order. A result of an unknown task gets only the items that need no task.

    A result is judged by the rules that it was made under, where the challenge keeps them.
    """
    items = [_identity(result, challenge), _version(result, challenge)]
    challenge = challenge.of(result)
    asked = result["task"]
    task = challenge.task(asked["dataset"], asked["supervision"])
    name = f"{asked['dataset']}, {asked['supervision']}, {asked['labels']} labels"
    if task is None:
        known = "; ".join(f"{known.dataset}, {known.supervision}" for known in challenge.tasks)
        return grouped("validity", [*items, Item("rules.task", "fail", "/task", f"no task {name}; tasks: {known}")])
    items.append(Item("rules.task", "pass", "/task", name))
    items += [
        _config(result, challenge),
        _division(result, challenge, task),
        _data(result, challenge, task),
        _split(result, challenge, task),
        _seeds(result, challenge),
        _completed(result, challenge),
        _metrics(result, challenge, task),
        _ranges(result, challenge),
        _units(result, challenge),
        _throughput(result, challenge),
        _distinct(result),
    ]
    return grouped("validity", items)


def _identity(result: dict[str, Any], challenge: Challenge) -> Item:
    problems = []
    if result["challenge"]["id"] != challenge.id:
        problems.append(f"challenge {result['challenge']['id']!r}, expected {challenge.id!r}")
    if result["paper"] != challenge.paper:
        problems.append("the paper is not the one that the rules name")
    return judge("rules.challenge", "/challenge/id", problems, f"{challenge.id}, as the rules name it")


def _version(result: dict[str, Any], challenge: Challenge) -> Item:
    made = result["challenge"]["rules_version"]
    pointer = "/challenge/rules_version"
    if made > challenge.rules_version:
        return Item(
            "rules.version",
            "fail",
            pointer,
            f"made under rules {made}, newest here is {challenge.rules_version}; update",
        )
    if made < challenge.rules_version:
        detail = f"made under rules {made}, checked under {challenge.of(result).rules_version}"
        return Item("rules.version", "not evidenced", pointer, detail)
    return Item("rules.version", "pass", pointer, f"rules {made}")


def _config(result: dict[str, Any], challenge: Challenge) -> Item:
    problems = [f"unknown key {key!r}" for key in result["config"] if key not in challenge.config]
    there = challenge.whole_config(result)
    problems += [f"no key {key!r}" for key in challenge.config if key not in there]
    for key, value in result["config"].items():
        kind = challenge.config.get(key)
        if kind is not None and not fields.has_type(value, kind):
            problems.append(f"{key} is {value!r}, expected {kind}")
    task = result["task"]
    for key in ("dataset", "supervision", "labels"):
        if key in result["config"] and result["config"][key] != task[key]:
            problems.append(f"{key} is {result['config'][key]!r}, but the task says {task[key]!r}")
    return judge("rules.config", "/config", problems, f"{len(challenge.config)} keys, all known")


def _division(result: dict[str, Any], challenge: Challenge, task: Task) -> Item:
    stated = result["challenge"]
    config = challenge.whole_config(result)
    actual = challenge.departures(task, result["task"]["labels"], config)
    to_state = [key for key in actual if key == "labels" or key in result["config"]]  # no other key was there to state
    problems = []
    if sorted(stated["departures"]) != to_state:
        problems.append(
            f"departures are {', '.join(to_state) or 'none'}; stated: {', '.join(stated['departures']) or 'none'}"
        )
    if stated["division"] == "closed" and actual:
        labels = result["task"]["labels"]
        values, pins = {**config, "labels": labels}, challenge.pins(task, labels, config)
        problems += [f"closed division, but {key} is {values.get(key)!r}, pinned: {pins[key]}" for key in actual]
    passed = stated["division"] + (f"; departs in {', '.join(actual)}" if actual else "")
    return judge("rules.division", "/challenge/division", problems, passed)


def _data(result: dict[str, Any], challenge: Challenge, task: Task) -> Item:
    problems = []
    names = [dataset["name"] for dataset in result["datasets"]]
    if names != [task.dataset]:
        problems.append(f"data sets {', '.join(names)}; expected {task.dataset} alone")
    for index, dataset in enumerate(result["datasets"]):
        expected = challenge.datasets.get(dataset["name"], {})
        got = {file["name"]: file["sha256"] for file in dataset["files"]}
        if len(got) != len(dataset["files"]):
            problems.append(f"/datasets/{index}: a file is listed twice")
        for name in sorted(set(expected) | set(got)):
            if name not in got:
                problems.append(f"{dataset['name']}: no file {name}")
            elif name not in expected:
                problems.append(f"{dataset['name']}: unknown file {name}")
            elif expected[name] not in (None, got[name]):
                problems.append(f"{name}: SHA-256 {got[name][:12]}…, expected {str(expected[name])[:12]}…")
    files = challenge.datasets[task.dataset]
    if not problems and None in files.values():
        return Item("rules.data", "not evidenced", "/datasets", f"the rules do not yet pin the files of {task.dataset}")
    return judge("rules.data", "/datasets", problems, f"{len(files)} files by hash" if files else "generated, no files")


def _split(result: dict[str, Any], challenge: Challenge, task: Task) -> Item:
    expected = challenge.splits[task.dataset]
    if expected is None:
        detail = f"the rules do not yet pin the validation split of {task.dataset}"
        return Item("rules.split", "not evidenced", "/runs", detail)
    problems = [
        f"/runs/{index}/split_sha256 is {str(run['split_sha256'])[:12]}…, expected {expected[:12]}…"
        for index, run in enumerate(result["runs"])
        if run["status"] == "completed" and run["split_sha256"] != expected
    ]
    return judge("rules.split", "/runs", problems, "the validation split of the rules")


def _seeds(result: dict[str, Any], challenge: Challenge) -> Item:
    pairs = [(run["seed"], run["label_seed"]) for run in result["runs"]]
    problems = []
    if len(set(pairs)) != len(pairs):
        problems.append("two runs have the same seed and label_seed")
    first = challenge.validity.first_seed or 0
    chosen = pairs != [(first + index, first + index) for index in range(len(pairs))]
    if chosen and challenge.validity.first_seed is not None and result["challenge"]["division"] == "closed":
        problems.append(f"closed division: run i has seed = label_seed = {first} + i, i from 0")
    passed = "chosen, distinct" if chosen else f"{first} to {first + len(pairs) - 1}"
    return judge("rules.seeds", "/runs", problems, passed)


def _completed(result: dict[str, Any], challenge: Challenge) -> Item:
    problems = []
    completed = [run for run in result["runs"] if run["status"] == "completed"]
    if len(completed) < challenge.validity.completed_runs:
        problems.append(f"{len(completed)} completed, expected at least {challenge.validity.completed_runs}")
    for index, run in enumerate(result["runs"]):
        if run["status"] == "completed":
            if run["error"] is not None or run["model_sha256"] is None or run["split_sha256"] is None:
                problems.append(f"/runs/{index}: completed, so error is null and model_sha256 and split_sha256 are not")
            if run["epochs"] != result["config"].get("epochs", run["epochs"]):
                problems.append(f"/runs/{index}: {run['epochs']} epochs, config says {result['config']['epochs']}")
        elif run["error"] is None or run["metrics"]:
            problems.append(f"/runs/{index}: failed, so it has an error and no metrics")
    return judge("rules.runs", "/runs", problems, f"{len(completed)} of {len(result['runs'])} runs completed")


def _metrics(result: dict[str, Any], challenge: Challenge, task: Task) -> Item:
    problems = []
    without = challenge.without(result["config"])
    made = result["challenge"]["rules_version"]
    asked = [name for name in task.metrics if name not in without and challenge.metrics[name].since <= made]
    for index, run in enumerate(result["runs"]):
        if run["status"] == "completed":
            problems += [f"/runs/{index} has no {name}" for name in asked if name not in run["metrics"]]
        method = challenge.method(result["config"])
        problems += [
            f"/runs/{index} has {name}, which {method} has not" for name in sorted(without & set(run["metrics"]))
        ]
    return judge("rules.metrics", "/runs", problems, f"all {len(asked)} metrics of the task in every completed run")


def _ranges(result: dict[str, Any], challenge: Challenge) -> Item:
    problems = []
    for index, run in enumerate(result["runs"]):
        for name, value in run["metrics"].items():
            metric = challenge.metrics.get(name)
            if metric is None:
                problems.append(f"/runs/{index}/metrics: unknown metric {name!r}")
            elif not metric.low <= value <= metric.high:
                problems.append(f"/runs/{index}/metrics/{name} is {value}, expected {metric.low} to {metric.high}")
    return judge("rules.ranges", "/runs", problems, "every value is possible")


def _units(result: dict[str, Any], challenge: Challenge) -> Item:
    problems = []
    for name, aggregate in result["metrics"].items():
        metric = challenge.metrics.get(name)
        if metric is None:
            problems.append(f"unknown metric {name!r}")
        elif (aggregate["unit"], aggregate["direction"]) != (metric.unit, metric.direction):
            problems.append(
                f"{name} in {aggregate['unit']}, {aggregate['direction']}; expected {metric.unit}, {metric.direction}"
            )
    return judge("rules.units", "/metrics", problems, "units and directions of the rules")


def _throughput(result: dict[str, Any], challenge: Challenge) -> Item:
    most = challenge.validity.images_per_second
    problems = [
        f"/runs/{index}/images_per_second is {run['images_per_second']:.0f}, more than {most:.0f} is not believed"
        for index, run in enumerate(result["runs"])
        if run["images_per_second"] is not None and run["images_per_second"] > most
    ]
    return judge("rules.throughput", "/runs", problems, f"no run above {most:.0f} images/s")


def _distinct(result: dict[str, Any]) -> Item:
    seen: dict[str, int] = {}
    problems = []
    for index, run in enumerate(result["runs"]):
        model = run["model_sha256"]
        if model is not None and seen.setdefault(model, index) != index:
            problems.append(f"/runs/{index} has the weights of /runs/{seen[model]}")
    return judge("rules.distinct", "/runs", problems, "no two runs have the same weights")

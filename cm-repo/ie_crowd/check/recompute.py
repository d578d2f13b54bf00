"""The two deeper verifications: metrics computed again from the weights, and training again from config and seeds.

Both start the argv of the *local* rules on a copy in a temporary folder. From the artifact come only values that have
been checked: the configuration by the types of the rules, seeds by the schema, weights by hash and header.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ie_crowd.challenge.evidence import Reference
from ie_crowd.challenge.model import Challenge
from ie_crowd.challenge.verification import Recipe
from ie_crowd.check import integrity, same_platform, timeboxed
from ie_crowd.check.finding import Item, grouped
from ie_crowd.formats import checksums, safetensors_header, scratch, strict
from ie_crowd.result.aggregate import mean_sd_ci95, t_quantile

DEPTHS = ("hashes", "metrics", "rerun")
# What must hold before anything is started.
NEEDED = ("schema", "files", "weights", "weights format", "rules.challenge", "rules.task", "rules.config", "rules.data")
MODEL = "model" + safetensors_header.SUFFIX
RUN_JSON, CONFIG_JSON = "run.json", "config.json"


@dataclass(frozen=True)
class Request:
    """How deep to look, with which data and device, and at how many runs (None: all that completed).

    ``keep(kind, index, metrics, folder)`` is told what came out for a run, while its folder is there. ``policy``: a
    rerun is judged by the spread of the rules' reference, whatever rules the result was made under, and metrics that
    come out almost the same are no fault: processors that differ may have one name (a hypervisor's, as "AMD EPYC").
    ``other_digits``: the result's weights gave other last digits here, so training does, too.
    """

    depth: str = "hashes"
    data: Path | None = None
    device: str | None = None
    runs: int | None = None
    say: Callable[[str], None] = print
    keep: Callable[[str, int, dict[str, Any], Path], None] | None = None
    policy: bool = False
    other_digits: bool = False


def check(
    folder: Path,
    result: Mapping[str, Any],
    challenge: Challenge,
    items: Sequence[Item],
    request: Request,
    kinds: tuple[str, ...] | None = None,
) -> list[Item]:
    """Items ``recompute.<metric>`` and ``rerun.<metric>``, as far as the depth asks for them; group integrity.

    ``kinds``: "recompute", "rerun" or both, instead of what the depth asks for.
    """
    if request.depth == "hashes":
        return []
    kinds = kinds or (("recompute",) if request.depth == "metrics" else ("recompute", "rerun"))
    return grouped(
        "integrity", [item for kind in kinds for item in _check(kind, folder, result, challenge, items, request)]
    )


def _check(
    kind: str, folder: Path, result: Mapping[str, Any], challenge: Challenge, items: Sequence[Item], request: Request
) -> list[Item]:
    states = {item.name: item.state for item in items}
    newest, challenge = challenge, challenge.of(result)
    # Rules that pin no hash leave the data not evidenced; nothing else may be.
    doubtful = [name for name in NEEDED if states.get(name) != "pass" and name not in ("rules.data", "files")]
    if states.get("files") == "fail":  # files that were not published are not needed; weights are checked once more
        doubtful.insert(0, "files")
    if states.get("rules.data") == "fail":
        doubtful.append("rules.data")
    numbers = [index for index, run in enumerate(result["runs"]) if run["status"] == "completed"][: request.runs]
    missing = [index for index in numbers if not _there(folder, integrity.weights_of(dict(result), index))]
    if kind == "recompute" and missing:
        here = numbers.index(missing[0])
        more = f"; --runs={here} computes with those that are" if here else ""
        line = f"the weights of runs/{missing[0]} are not here to compute with{more}"
        return [Item("recompute", "fail", "/files", line)]
    if kind == "rerun":
        doubtful = [name for name in doubtful if name not in ("files", "weights", "weights format")]
    if doubtful:
        return [Item(kind, "not evidenced", "result.json", f"nothing was started, because of: {', '.join(doubtful)}")]
    if kind not in challenge.verification:
        return [Item(kind, "not evidenced", "rules.yaml", f"the rules do not say how to {kind}")]
    recipe, found = challenge.verification[kind], {}
    for index in numbers:
        request.say(f"{kind}: run {index} of {len(result['runs'])}, at most {recipe.seconds:g} s")
        try:
            found[index] = _one(kind, folder, result, index, challenge, request)
        except ValueError as error:
            # It says nothing on the numbers: too little memory, no such device, no data.
            return [Item(kind, "not evidenced", f"runs/{index}", f"run {index}: {error}")]
    different, made = same_platform.difference(result, request.device), result["challenge"]["rules_version"]
    if request.policy and not different and made != newest.rules_version:
        different = (
            f"rules {made}, here {newest.rules_version}"  # what trains has changed since: no last digit is asked
        )
    if request.policy and not different and (kind == "recompute" or request.other_digits):
        different = "it may be another processor of the same name"
    got = {name: {index: values.get(name) for index, values in found.items()} for name in result["metrics"]}
    if kind == "recompute":
        return [_recomputed(name, result, values, challenge, different) for name, values in got.items()]
    # Rules of before judged a rerun by the result's own spread, which whoever made it chooses.
    by_reference = request.policy or made >= newest.evidence.since
    spreads = newest.evidence.spreads(result["task"], newest.method(result["config"])) if by_reference else None
    return [_rerun(name, result, values, challenge, different, spreads) for name, values in got.items()]


def _there(folder: Path, path: str | None) -> bool:
    return path is not None and (folder / path).is_file()


def _one(
    kind: str, folder: Path, result: Mapping[str, Any], index: int, challenge: Challenge, request: Request
) -> dict[str, Any]:
    """The metrics that the local program gives for one run. Raises ValueError if it gives none."""
    run = result["runs"][index]
    config = {**challenge.whole_config(result), "seed": run["seed"], "label_seed": run["label_seed"]}
    with scratch.folder("recompute") as place:
        place = place.resolve()
        home, work = place / "run", place / "work"
        work.mkdir()
        if kind == "recompute":
            home.mkdir()
            _copy_weights(folder, result, index, home)
            strict.write_json(home / CONFIG_JSON, config)
            strict.write_json(home / RUN_JSON, _bare_run(run, result, config))
        strict.write_json(place / CONFIG_JSON, config)
        values = {
            "run": str(home),
            "config": str(place / CONFIG_JSON),
            "data": str(request.data.resolve()) if request.data else None,
            "seed": str(run["seed"]),
            "label_seed": str(run["label_seed"]),
            "device": request.device or _text(config.get("device")),
            "challenge": str(challenge.folder.resolve()),
        }
        _start(challenge.verification[kind], values, config, work)
        if kind == "rerun" and "recompute" in challenge.verification:
            _start(challenge.verification["recompute"], values, config, work)
        metrics = _metrics(home)
        if request.keep is not None:
            request.keep(kind, index, metrics, home)
        return metrics


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _start(recipe: Recipe, values: Mapping[str, str | None], config: Mapping[str, Any], work: Path) -> None:
    problem = timeboxed.run(recipe.fill(values, config), work, recipe.seconds)
    if problem:
        raise ValueError(f"the program of the rules gave nothing: {problem}")


def _copy_weights(folder: Path, result: Mapping[str, Any], index: int, home: Path) -> None:
    """The run's weights into ``home``; the copy is checked, so that nothing can be exchanged in between."""
    path = integrity.weights_of(dict(result), index)
    assert path is not None
    strict.refuse_links(folder / path, folder)
    with strict.open_regular(folder / path) as source, (home / MODEL).open("wb") as target:
        while piece := source.read(2**20):
            target.write(piece)
    if checksums.sha256_file(home / MODEL)[0] != result["runs"][index]["model_sha256"]:
        raise ValueError(f"{path}: changed while it was read")
    safetensors_header.read_header(home / MODEL)


def _bare_run(run: Mapping[str, Any], result: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """A run.json of a run that is trained and not evaluated: a program that computes nothing leaves no metrics."""
    kept = {key: run[key] for key in ("seed", "label_seed", "epochs", "model_sha256", "split_sha256")}
    facts = {"format": 1, "status": "trained", "error": None, "task": result["task"], "config": dict(config)}
    return {**facts, **kept, "metrics": {}, "datasets": result["datasets"]}


def _metrics(home: Path) -> dict[str, Any]:
    run = strict.read_json(home / RUN_JSON, strict.RUN, within=home)
    found = run.get("metrics") if isinstance(run, dict) else None
    if not isinstance(found, dict) or not found:
        raise ValueError("the program of the rules left no metrics in run.json")
    numbers = {key: value for key, value in found.items() if isinstance(value, (int, float))}
    return {key: value for key, value in numbers.items() if not isinstance(value, bool)}


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _recomputed(
    name: str, result: Mapping[str, Any], found: Mapping[int, float | None], challenge: Challenge, different: str
) -> Item:
    """Equal to the last digit on a platform like the result's; elsewhere within the tolerance of the rules."""
    item, tolerance, unit = f"recompute.{name}", challenge.metrics[name].recompute, challenge.metrics[name].unit
    furthest, worst = -1.0, (0, 0.0, 0.0)
    for index, value in found.items():
        stated = result["runs"][index]["metrics"].get(name)
        if stated is None:
            continue
        if value is None:
            return Item(item, "fail", f"/runs/{index}/metrics", f"run {index} states {stated:g}, nothing comes out")
        if abs(value - stated) > furthest:
            furthest, worst = abs(value - stated), (index, stated, value)
    pointer = f"/runs/{worst[0]}/metrics/{name}"
    if furthest <= 0:
        return Item(item, "pass", pointer, f"the same to the last digit in {_runs(len(found))}")
    shown = f"run {worst[0]} states {worst[1]!r}, computed again {worst[2]!r} {unit}"
    if not different:
        return Item(item, "fail", pointer, f"{shown}; this is the same platform, so it must be equal")
    if tolerance is None:
        return Item(
            item, "not evidenced", pointer, f"{shown}; other platform ({different}), the rules give no tolerance"
        )
    state: Any = "pass" if furthest <= tolerance else "fail"
    return Item(item, state, pointer, f"{shown}; other platform ({different}), tolerance {tolerance:g}")


def _rerun(
    name: str,
    result: Mapping[str, Any],
    found: Mapping[int, float | None],
    challenge: Challenge,
    different: str,
    spreads: Mapping[str, Reference] | None = None,
) -> Item:
    """The mean difference of k reruns to the runs with the same seeds, against what chance allows.

    Allowed is the tolerance of the rules, or t(n-1) sd sqrt(2/k) if that is more: the 95 % interval of the difference
    of two means of k independent runs, with the spread of the reference's n runs (``spreads``, by metric), or under
    rules from before of the result's own. On another platform a run with the same seed is no closer than a run with
    another seed, once rounding has sent it elsewhere.
    """
    item, pointer, unit = f"rerun.{name}", f"/metrics/{name}", challenge.metrics[name].unit
    pairs = {
        index: (value, result["runs"][index]["metrics"].get(name))
        for index, value in found.items()
        if value is not None
    }
    differences = [value - stated for value, stated in pairs.values() if stated is not None and value is not None]
    if not differences:
        return Item(item, "fail", pointer, "stated, but training again gives no value")
    mean, k = math.fsum(differences) / len(differences), len(differences)
    if not any(differences):
        return Item(item, "pass", pointer, f"the same to the last digit in {_runs(k)} trained again")
    allowed, why = challenge.metrics[name].rerun, "tolerance of the rules"
    stated_values = [run["metrics"][name] for run in result["runs"] if name in run["metrics"]]
    if spreads is not None:
        if name in spreads:
            reference = spreads[name]
            spread = t_quantile(reference.runs - 1) * reference.sd * math.sqrt(2 / k)
            if allowed is None or spread > allowed:
                allowed, why = spread, f"spread of {reference.runs} runs of the reference"
    elif len(stated_values) > 1:
        _, _, half = mean_sd_ci95(stated_values)
        spread = (half or 0.0) * math.sqrt(len(stated_values)) * math.sqrt(2 / k)
        if allowed is None or spread > allowed:
            allowed, why = spread, f"spread of {len(stated_values)} runs"
    where = f"other platform: {different}" if different else "same platform"
    shown = f"mean difference {mean:+.4g} {unit} in {_runs(k)} trained again ({where})"
    if not different and challenge.verification["rerun"].exact:
        return Item(item, "fail", pointer, f"{shown}, where the rules say that training repeats exactly")
    if allowed is None:
        return Item(item, "not evidenced", pointer, f"{shown}; {_nothing(spreads)}")
    state: Any = "pass" if abs(mean) <= allowed else "fail"
    return Item(item, state, pointer, f"{shown}; allowed {allowed:.4g}, {why}")


def _nothing(spreads: Mapping[str, Reference] | None) -> str:
    if spreads is None:
        return "one run and no tolerance in the rules to compare with"
    return "the rules state neither a tolerance nor the spread of a reference"

"""What a program can see of an artifact for the checklists: pure functions, each named by checklists.yaml.

A probe says "pass" for what it sees, "not evidenced" for what it does not, and "fail" only where an Item that it rests
on has failed. It never says that a badge is earned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ie_crowd.check.finding import Item, State

ENOUGH_RUNS = 3  # fewer give no interval that means much


@dataclass(frozen=True)
class Artifact:
    """A result that the schema accepts, the Items it has so far by name, and the paths of the files beside it."""

    result: Mapping[str, Any]
    items: Mapping[str, Item]
    paths: frozenset[str]


Finding = tuple[State, str, str]  # state, evidence, detail


def _seen(condition: bool, evidence: str, yes: str, no: str) -> Finding:
    return ("pass", evidence, yes) if condition else ("not evidenced", evidence, no)


def _rests_on(artifact: Artifact, *names: str) -> Finding:
    """The worst of some Items: failed, else not evidenced, else the first."""
    items = [artifact.items[name] for name in names if name in artifact.items]
    for state in ("fail", "not evidenced"):
        for item in items:
            if item.state == state:
                return item.state, item.evidence, f"{item.name}: {item.detail}"
    if len(items) < len(names):
        return "not evidenced", "result.json", "was not looked at"
    return "pass", items[0].evidence, "; ".join(item.name for item in items) + " passed"


def _family(artifact: Artifact, prefix: str, missing: str) -> Finding:
    """The worst of all Items whose names begin alike; ``missing`` says what to do where there is none."""
    names = [name for name in artifact.items if name.startswith(prefix)]
    return _rests_on(artifact, *names) if names else ("not evidenced", "runs/", missing)


def public_code(artifact: Artifact) -> Finding:
    """An address of the code is given; whether it can be opened is for a person to see."""
    address = artifact.result["provenance"]["repository"]
    return _seen(address is not None, "/provenance/repository", str(address), "no address of the code")


def exact_version(artifact: Artifact) -> Finding:
    """A commit is given, and the code was not changed after it."""
    commit, dirty = artifact.result["provenance"]["commit"], artifact.result["provenance"]["dirty"]
    if commit is not None and dirty:
        return "not evidenced", "/provenance/dirty", f"commit {commit[:12]}… with changes that are in no commit"
    return _seen(commit is not None, "/provenance/commit", f"commit {str(commit)[:12]}…", "no commit")


def command(artifact: Artifact) -> Finding:
    """The command that made the result."""
    text = artifact.result["provenance"]["command"]
    return _seen(bool(text), "/provenance/command", str(text), "no command")


def recipe(artifact: Artifact) -> Finding:
    """The recipe of the workflow framework, with its version."""
    cm = artifact.result["provenance"]["cm"]
    version = str(cm["version"]) if cm else ""
    yes = f"{'' if version.startswith('mlcflow') else 'CM '}{version}, {cm['repo']}, {cm['script']}" if cm else ""
    return _seen(cm is not None, "/provenance/cm", yes, "no recipe")


def software(artifact: Artifact) -> Finding:
    """Versions of the dependencies, and one hash of everything installed."""
    listed = artifact.result["software"]
    return _seen(bool(listed), "/software", f"{len(listed)} packages with versions", "no software is listed")


def hardware(artifact: Artifact) -> Finding:
    """Processor, memory and accelerators."""
    system = artifact.result["system"]
    names = [system["cpu_model"], *(accelerator["name"] for accelerator in system["accelerators"])]
    return _seen(system["cpu_model"] != "unknown", "/system", ", ".join(names), "the processor is not known")


def data(artifact: Artifact) -> Finding:
    """Every file of the data set has the hash that the rules pin."""
    return _rests_on(artifact, "rules.data")


def split(artifact: Artifact) -> Finding:
    """The validation split has the hash that the rules pin."""
    return _rests_on(artifact, "rules.split")


def configuration(artifact: Artifact) -> Finding:
    """Every key of the configuration is given."""
    return _rests_on(artifact, "rules.config", "rules.task")


def follows_rules(artifact: Artifact) -> Finding:
    """Configuration, data and seeds follow the rules of the division."""
    return _rests_on(artifact, "rules.division", "rules.config", "rules.data", "rules.seeds")


def seeds(artifact: Artifact) -> Finding:
    """Seeds of all runs."""
    return _rests_on(artifact, "rules.seeds", "rules.runs")


def metrics(artifact: Artifact) -> Finding:
    """Metrics that the rules define, in their units."""
    return _rests_on(artifact, "rules.units", "rules.metrics")


def files_complete(artifact: Artifact) -> Finding:
    """Every listed file is there with its hash, and weights among them."""
    return _rests_on(artifact, "files", "weights")


def weights(artifact: Artifact) -> Finding:
    """The weights are there, and in a format that executes nothing."""
    return _rests_on(artifact, "weights format", "weights")


def packaged(artifact: Artifact) -> Finding:
    """Provenance for machines, and checksums."""
    if "ro-crate-metadata.json" not in artifact.paths:
        return "not evidenced", "ro-crate-metadata.json", "no ro-crate-metadata.json here"
    return _rests_on(artifact, "checksums")


def curves(artifact: Artifact) -> Finding:
    """Each completed run's metrics.jsonl is among the listed files."""
    listed = {file["path"] for file in artifact.result["files"]}
    runs = [index for index, run in enumerate(artifact.result["runs"]) if run["status"] == "completed"]
    missing = [index for index in runs if f"runs/{index}/metrics.jsonl" not in listed]
    return _seen(
        not missing, "/files", f"metrics.jsonl of {len(runs)} runs", f"no runs/{(missing or [0])[0]}/metrics.jsonl"
    )


def disk(artifact: Artifact) -> Finding:
    """Bytes of all listed files."""
    files = artifact.result["files"]
    total = sum(file["bytes"] for file in files)
    return _seen(bool(files), "/files", f"{total / 1e6:,.1f} MB in {len(files)} files", "no files are listed")


def time_needed(artifact: Artifact) -> Finding:
    """Wall-clock time and memory."""
    cost = artifact.result["cost"]
    memory = f", {cost['peak_rss_bytes'] / 1e9:.1f} GB of memory" if cost["peak_rss_bytes"] else ""
    yes = f"{cost['wall_seconds']:,.0f} s{memory}"
    return _seen(cost["wall_seconds"] > 0, "/cost", yes, "no time was measured")


def several_runs(artifact: Artifact) -> Finding:
    """Enough completed runs for an interval."""
    count = sum(run["status"] == "completed" for run in artifact.result["runs"])
    text = f"{count} completed run{'s' if count != 1 else ''}"
    return _seen(count >= ENOUGH_RUNS, "/runs", text, f"{text}, {ENOUGH_RUNS} are the least")


def error_bars(artifact: Artifact) -> Finding:
    """A standard deviation and an interval for every metric."""
    found = artifact.result["metrics"]
    without = [name for name, metric in found.items() if metric["ci95"] is None]
    yes = f"mean, sd and 95 % interval of {len(found)} metrics"
    return _seen(not without, "/metrics", yes, f"one run: no interval for {len(without)} metrics")


def expected(artifact: Artifact) -> Finding:
    """Reference bands hold for the metrics that have one."""
    bands = [item for name, item in artifact.items.items() if name.startswith("band.")]
    pinned = [item.name for item in bands if item.state != "not evidenced"]
    return _rests_on(artifact, *pinned) if pinned else ("not evidenced", "/metrics", "the rules pin no band")


def claims_hold(artifact: Artifact) -> Finding:
    """No claim that these runs are about fails, and one at least passes."""
    found = [item for name, item in artifact.items.items() if name.startswith(("claim.", "kept."))]
    failed = [item for item in found if item.state == "fail"]
    passed = [item for item in found if item.state == "pass"]
    if failed:
        return "fail", failed[0].evidence, f"{failed[0].name} fails" + (f", {len(failed)} in all" if failed[1:] else "")
    open_ = sum(item.state == "not evidenced" for item in found)
    detail = f"{len(passed)} pass, none fails, {open_} not evidenced"
    return _seen(bool(passed), "/metrics", detail, "no claim is supported by these runs")


def recomputed(artifact: Artifact) -> Finding:
    """The metrics came out again from the weights."""
    return _family(artifact, "recompute.", "not computed again; --depth=metrics does")


def rerun(artifact: Artifact) -> Finding:
    """Training again agreed."""
    return _family(artifact, "rerun.", "not trained again; --depth=rerun does")


PROBES: Mapping[str, Callable[[Artifact], Finding]] = {
    probe.__name__: probe
    for probe in (
        public_code, exact_version, command, recipe, software, hardware, data, split, configuration, follows_rules,
        seeds, metrics, files_complete, weights, packaged, curves, disk, time_needed, several_runs, error_bars,
        expected, claims_hold, recomputed, rerun,
    )
}  # fmt: skip

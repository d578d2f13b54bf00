"""Verification of a results folder: strict reading, schema, identity, hashes, aggregates, and its challenge's rules.

``check`` returns a list of Items and changes nothing. What it reads may come from anyone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ie_crowd.challenge import load
from ie_crowd.challenge.model import Challenge
from ie_crowd.check import bands, rules
from ie_crowd.check.finding import Item, grouped, judge
from ie_crowd.formats import canonical_json, checksums, safetensors_header, schema, strict
from ie_crowd.formats.upgrade import RESULT
from ie_crowd.result import provenance
from ie_crowd.result import runs as run_documents
from ie_crowd.result.aggregate import aggregate

RELATIVE_TOLERANCE = 1e-9  # of aggregates: another machine's mathematics library may differ in the last digits
CRATE = "ro-crate-metadata.json"
MOST_BYTES = 64 * 2**30  # hashed for one folder; a folder can name files of any size


def check(folder: Path, challenge: Challenge | None = None) -> list[Item]:
    """The Items of the results folder ``folder``, in a fixed order.

    ``challenge``: by whose rules; None finds the challenge that the result names. A document that the
    schema refuses gets no further Items. Raises ValueError if result.json cannot be read at all, or its challenge
    is not known here.
    """
    return check_read(folder, read(folder), challenge)


def read(folder: Path) -> Any:
    """``folder/result.json``, read strictly and not yet validated. Raises ValueError if it cannot be read."""
    if not folder.is_dir():
        raise ValueError(f"{strict.name_of(folder)}: is not a folder; expected a results folder that holds {RESULT}")
    return strict.read_json(folder / RESULT, within=folder)


def check_read(folder: Path, found: Any, challenge: Challenge | None = None) -> list[Item]:
    """As ``check``, for a result.json that ``read`` gave: one reading for all that is said about it."""
    problems = schema.problems(found)
    items = [judge("schema", RESULT, problems, f"schema version {schema.SCHEMA_VERSION}")]
    if problems:
        return items
    challenge = challenge or load.challenge(load.find(found["challenge"]["id"]))
    parts = canonical_json.parts(found)
    items += [_complete(folder), _identity(found, parts), _aggregates(found, challenge), _privacy(found, parts)]
    items += [
        _listed_files(folder, found),
        _run_files(folder, found),
        _weights(found),
        _format(folder, found),
        _checksums(folder),
    ]
    return items + _judged(found, challenge)


def check_document(
    found: dict[str, Any], challenge: Challenge, expected: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Item]:
    """The Items that result.json alone decides, for a document that the schema accepts: no folder, and no groups.

    ``expected``: what ``aggregate`` makes of its runs, from a caller that needs it, too.
    """
    parts = canonical_json.parts(found)
    items = [_identity(found, parts), _aggregates(found, challenge, expected), _privacy(found, parts), _weights(found)]
    return items + rules.check(found, challenge) + bands.check(found, challenge)


def _judged(found: dict[str, Any], challenge: Challenge) -> list[Item]:
    return rules.check(found, challenge) + grouped("validity", bands.check(found, challenge))


def _complete(folder: Path) -> Item:
    """The folder does not say of itself that something is still missing."""
    problems = (
        ["the run has not come to its end; repeat its command to go on"] if (folder / checksums.MARKER).exists() else []
    )
    return judge("complete", checksums.MARKER, problems, "no marker of an unfinished run")


def _identity(found: dict[str, Any], parts: dict[str, str]) -> Item:
    actual = canonical_json.identity_of(parts)
    problems = [] if actual == found["id"] else [f"is {found['id'][:12]}…, the content gives {actual[:12]}…"]
    return judge("id", "/id", problems, actual)


def _aggregates(
    found: dict[str, Any], challenge: Challenge, expected: Mapping[str, Mapping[str, Any]] | None = None
) -> Item:
    """Mean, deviation, interval and n, recomputed from the runs. Units and directions are the rules' own item."""
    try:
        expected = aggregate(found["runs"], challenge.metrics) if expected is None else expected
    except ValueError as error:
        return Item("aggregates", "fail", "/metrics", str(error))
    problems = []
    for name in sorted(set(expected) | set(found["metrics"])):
        if name not in found["metrics"] or name not in expected:
            problems.append(f"{name} is {'missing' if name in expected else 'in no completed run'}")
            continue
        stated, computed = found["metrics"][name], expected[name]
        for key in ("value", "sd", "n", "ci95"):
            got, want = stated[key], computed[key]
            if got != want and not _close(got, want):
                problems.append(f"/metrics/{name}/{key} is {got}, the runs give {want}")
    return judge("aggregates", "/metrics", problems, f"{len(expected)} recomputed from the runs")


def _close(got: float | None, want: float | None) -> bool:
    if got is None or want is None:
        return got is want
    return math.isclose(got, want, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-12)


def _privacy(found: dict[str, Any], parts: dict[str, str]) -> Item:
    """No string of the document reads like a path of a machine or an address of one."""
    problems = [
        f"{pointer} holds what looks like a path or an address"
        for key, value in found.items()
        if f"/{key}" not in _PUBLIC
        and provenance.may_reveal(parts[key])  # in one piece first: an escape is a closer look, too
        for pointer, text in _strings(value, f"/{key}")
        if provenance.reveals(text)
    ]
    return judge("privacy", RESULT, problems, "no string looks like a path or an address of a machine")


# Addresses that are meant to be public, and parts whose patterns leave no room (a version may read like an address).
_PUBLIC = frozenset(("/paper/url", "/paper/identifiers", "/provenance/repository", "/files", "/system", "/software"))


def _strings(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Pointer and text of every string that is not public by its place."""
    if pointer in _PUBLIC:
        return
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{pointer}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{index}")


def _listed_files(folder: Path, found: dict[str, Any]) -> Item:
    """The files below runs/ and figures/ are those that the result lists, by size and hash."""
    listed = {file["path"]: file for file in found["files"]}
    if len(listed) != len(found["files"]):
        return Item("files", "fail", "/files", "a path is listed twice")
    try:
        present = [f"{top}/{path}" for top in ("figures", "runs") for path in _below(folder, top)]
        if not present:
            return Item(
                "files", "not evidenced", "/files", "runs/ and figures/ are not here: only result.json was given"
            )
        if sum(file["bytes"] for file in listed.values()) > MOST_BYTES:
            return Item("files", "not evidenced", "/files", f"more than {MOST_BYTES:,} bytes are not hashed")
        first, runs = _published(folder, found), len(found["runs"])
        asked = {path: file for path, file in listed.items() if not _of_run_from(first, path) or first == runs}
        extra = [path for path in sorted(set(present) - set(asked)) if checksums.bystander(path)]
        present = [path for path in present if path not in extra]
        problems = _compare(present, asked, lambda path: _differs(folder / path, listed[path]))
    except ValueError as error:
        return Item("files", "fail", "/files", str(error))
    if first < runs and not problems and len(asked) < len(listed):
        here = "runs/ is not here" if first == 0 else f"of {runs} runs the first {first} are here"
        return Item("files", "not evidenced", "/files", f"{here}; {len(asked)} other files by hash")
    return judge("files", "/files", problems, f"{len(listed)} files by hash{_beside(extra)}")


def _published(folder: Path, found: dict[str, Any]) -> int:
    """How many runs are here: results are published without runs/, or with the first of them only.

    All of them where it is not so: then one that is not here is missed.
    """
    runs = len(found["runs"])
    here = [os.path.lexists(folder / "runs" / str(index)) for index in range(runs)]
    if not os.path.lexists(folder / "runs"):
        return 0
    first = here.index(False) if False in here else runs
    return runs if first == 0 or any(here[first:]) else first


def _of_run_from(first: int, path: str) -> bool:
    """Whether a listed file is of a run from number ``first`` on."""
    parts = path.split("/")
    return parts[0] == "runs" and (not parts[1].isdecimal() or int(parts[1]) >= first)


def _beside(extra: list[str]) -> str:
    """The end of a message: files that are not listed, and so neither checked nor counted."""
    if not extra:
        return ""
    more = f" and {len(extra) - 3} more" if len(extra) > 3 else ""
    return f"; not listed, so not counted: {', '.join(map(repr, extra[:3]))[:200]}{more}"


def _below(folder: Path, top: str) -> list[str]:
    strict.refuse_links(folder / top, folder)
    return checksums.listing(folder / top) if (folder / top).is_dir() else []


def _compare(present: list[str], listed: dict[str, Any], differs: Callable[[str], str]) -> list[str]:
    """Missing, unlisted and differing files, one line each."""
    problems = [f"{path}: listed, but not here" for path in sorted(set(listed) - set(present))]
    problems += [f"{path}: here, but not listed" for path in sorted(set(present) - set(listed))]
    return problems + [line for path in sorted(set(listed) & set(present)) if (line := differs(path))]


def _differs(path: Path, expected: dict[str, Any]) -> str:
    size = path.stat().st_size
    if size != expected["bytes"]:  # said before anything is read: an exchanged file may be huge
        why = checksums.why_differs(path, expected["sha256"]) or f"{size} bytes, listed {expected['bytes']}"
        return f"{expected['path']}: {why}"
    digest, _ = checksums.sha256_file(path)
    return (
        ""
        if digest == expected["sha256"]
        else f"{expected['path']}: SHA-256 {digest[:12]}…, listed {expected['sha256'][:12]}…"
    )


def _run_files(folder: Path, found: dict[str, Any]) -> Item:
    """Task, configuration, runs and data of the result are what the run.json files give."""
    if not (folder / "runs").is_dir():
        return Item("run files", "not evidenced", "runs/", "runs/ is not here: only result.json was given")
    problems = []
    try:
        runs = run_documents.read_runs(folder)
        task, config = run_documents.shared(runs)
        entries = [run_documents.entry(run) for run in runs]
        given: dict[str, Any] = {
            "task": task,
            "config": config,
            "runs": entries,
            "datasets": run_documents.datasets(runs),
        }
        for index, run in enumerate(runs):
            stored = strict.read_json(folder / "runs" / str(index) / "config.json", strict.RUN, within=folder)
            if canonical_json.canonical(stored) != canonical_json.canonical(run["config"]):
                problems.append(f"runs/{index}/config.json is not the config of runs/{index}/run.json")
    except ValueError as error:
        return Item("run files", "fail", "runs/", str(error))
    # The error line of a failed run was scrubbed of names of the machine it came from: not recomputable here.
    first, all_runs = _published(folder, found), len(found["runs"])
    stated = [dict(run) for run in found["runs"][:first]]
    for run in [*entries, *stated]:
        run["error"] = run["error"] is not None
    for key, value in given.items():
        got = stated if key == "runs" else found[key]
        if canonical_json.canonical(got) != canonical_json.canonical(value):
            problems.append(f"/{key} is not what runs/*/run.json give{_place(got, value)}")
    if first < all_runs and not problems:
        line = f"the first {first} of {all_runs} run.json agree with the result; the others are not here"
        return Item("run files", "not evidenced", "runs/", line)
    return judge("run files", "runs/", problems, f"{len(runs)} run.json agree with the result")


def _place(got: Any, want: Any) -> str:
    """Where two documents first differ, as the end of a message."""
    if isinstance(got, dict) and isinstance(want, dict):
        pairs = [(key, got.get(key), want.get(key)) for key in sorted(set(got) | set(want))]
    elif isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        pairs = [(str(index), mine, other) for index, (mine, other) in enumerate(zip(got, want, strict=True))]
    else:
        return f": {got!r:.60}, there {want!r:.60}"
    for key, mine, other in pairs:
        if canonical_json.canonical(mine) != canonical_json.canonical(other):
            return (
                f"/{key}{_place(mine, other)}"
                if not isinstance(mine, (dict, list))
                else f" at {key}{_place(mine, other)}"
            )
    return ""


def _weights(found: dict[str, Any]) -> Item:
    """The weights that each completed run names are among the files of that run."""
    hashes: dict[str, set[str]] = {}
    for file in found["files"]:
        parts = file["path"].split("/")
        if parts[0] == "runs":
            hashes.setdefault(parts[1], set()).add(file["sha256"])
    problems = [
        f"/runs/{index}/model_sha256 is the hash of no file below runs/{index}"
        for index, run in enumerate(found["runs"])
        if run["status"] == "completed" and run["model_sha256"] not in hashes.get(str(index), set())
    ]
    return judge("weights", "/files", problems, "each run's weights are among its files")


def weights_of(found: dict[str, Any], index: int) -> str | None:
    """The path of the weights that run ``index`` names, among the files of that run; None if there are none."""
    digest = found["runs"][index]["model_sha256"]
    paths = [file["path"] for file in found["files"] if file["sha256"] == digest]
    return next((path for path in paths if path.startswith(f"runs/{index}/")), None)


def _format(folder: Path, found: dict[str, Any]) -> Item:
    """Weights are safetensors: before anything loads them, their headers are read strictly."""
    paths = [weights_of(found, index) for index, run in enumerate(found["runs"]) if run["status"] == "completed"]
    there = [path for path in paths if path is not None and os.path.lexists(folder / path)]
    problems = [line for path in there if (line := _unsound(folder, path))]
    if not there:
        return Item("weights format", "not evidenced", "/files", "no weights are here: only result.json was given")
    return judge("weights format", "/files", problems, f"{len(there)} safetensors files, headers read strictly")


def _unsound(folder: Path, path: str) -> str:
    """What is wrong with the weights at ``path``; nothing if they are safetensors."""
    if not path.endswith(safetensors_header.SUFFIX):
        return f"{path}: weights are expected as {safetensors_header.SUFFIX}"
    try:
        safetensors_header.read_header(folder / path, within=folder)
    except ValueError as error:
        return str(error)
    return ""


def _checksums(folder: Path) -> Item:
    """SHA256SUMS names every other file of the folder, with its hash."""
    if not (folder / checksums.SUMS).exists():
        return Item("checksums", "not evidenced", checksums.SUMS, f"no {checksums.SUMS} here")
    try:
        listed = checksums.read_sha256sums(folder)
        present = checksums.summed(folder)
        if sum((folder / path).stat().st_size for path in present) > MOST_BYTES:
            return Item("checksums", "not evidenced", checksums.SUMS, f"more than {MOST_BYTES:,} bytes are not hashed")
        extra = [path for path in present if path not in listed and checksums.bystander(path)]
        anew = [path for path in listed if path == ro_crate_of(folder) and not _same(folder, path, listed)]
        problems = _compare(
            [path for path in present if path not in extra],
            listed,
            lambda path: "" if path in anew or _same(folder, path, listed) else f"{path}: has another hash",
        )
    except ValueError as error:
        return Item("checksums", "fail", checksums.SUMS, str(error))
    if anew and not problems:
        line = f"{anew[0]} was written anew by another program and proves nothing; all other files by hash"
        return Item("checksums", "not evidenced", anew[0], line + _beside(extra))
    return judge("checksums", checksums.SUMS, problems, f"{len(listed)} files by hash{_beside(extra)}")


def _same(folder: Path, path: str, listed: Mapping[str, str]) -> bool:
    return path in listed and (folder / path).is_file() and checksums.sha256_file(folder / path)[0] == listed[path]


def ro_crate_of(folder: Path) -> str:
    """The name of the crate's metadata if another program has written it anew, as tools that open a crate do: still a
    document of JSON-LD with a graph. "" where it is not there, or something else."""
    try:
        found = strict.read_json(folder / CRATE, within=folder)
    except ValueError:
        return ""
    return CRATE if isinstance(found, dict) and {"@context", "@graph"} <= set(found) else ""

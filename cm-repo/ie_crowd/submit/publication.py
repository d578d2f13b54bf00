"""What a submission makes public: the result as it will be known, the files that go with it, and all of it in words.

The name under which somebody publishes is part of the result, and so of its id: another name makes another id. The
results folder is read and never changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd.challenge import load
from ie_crowd.challenge.model import Challenge
from ie_crowd.check import integrity
from ie_crowd.check.finding import Item
from ie_crowd.formats import canonical_json, humanize, strict, upgrade, usernames
from ie_crowd.result import provenance

KEEP = object()  # the name that the result has
LARGEST = strict.UPLOAD.size
WIDTH = 13  # of the column with the names of the parts
_TEXTS = (".json", ".jsonl", ".txt")  # below runs/: written by a machine for itself, so looked at before they go out


class Publication(NamedTuple):
    """``result``: the document that is published. ``files``: {path, sha256, bytes} that go with it into a folder.

    ``doubts``: what a reviewer will have to look at before the result is shown.
    """

    folder: Path
    result: dict[str, Any]
    challenge: Challenge
    files: list[dict[str, Any]]
    doubts: list[Item]

    def content(self) -> bytes:
        """The bytes of result.json."""
        return (json.dumps(self.result, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def task(self) -> str:
        """The task in a few words."""
        task = self.result["task"]
        labels = "all labels" if task["labels"] == "all" else f"{task['labels']} labels"
        return f"{task['dataset']}, {task['supervision']}, {labels}"


def prepare(
    folder: Path,
    name: Any = KEEP,
    *,
    weights: bool = False,
    of: int | None = None,
    figures: bool = True,
    challenge: Challenge | None = None,
) -> Publication:
    """Check a results folder and say what of it would be published, under ``name`` (None: under none).

    ``weights``: with the files of runs, of the first ``of`` of them or of all.
    Raises ValueError, one line, if the folder does not hold together (integrity of ``ie_crowd check``), the name cannot
    be chosen, or a file of ``runs/`` that is asked for with the weights holds what reads like a path.
    """
    found = integrity.read(folder)
    items = integrity.check_read(folder, found, challenge)
    failed = [item for item in items if item.state == "fail"]
    broken = [item for item in failed if item.group == "integrity"]
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise ValueError(
            f"the result does not hold together: {broken[0].name} ({broken[0].evidence}): {broken[0].detail}{more}; "
            "see: ie-crowd check DIR"
        )
    result = upgrade.accept(found)
    challenge = challenge or load.challenge(load.find(result["challenge"]["id"]))
    if name is not KEEP and name != result["submitter"]["name"]:
        result = {**result, "submitter": {"name": name}}
        result["id"] = canonical_json.identity(result)
    chosen = result["submitter"]["name"]
    odd = usernames.problem(chosen) if chosen is not None else None
    if odd:
        raise ValueError(f"--submitter={chosen[:80]!r}: the name {odd}")
    runs = ("runs/",) if of is None else tuple(f"runs/{index}/" for index in range(of))
    tops = ("figures/",) * figures + runs * weights
    files = [file for file in result["files"] if file["path"].startswith(tops) and (folder / file["path"]).is_file()]
    if weights:
        _refuse_private(folder, files)
    made = Publication(folder, result, challenge, files, [item for item in failed if item.group != "integrity"])
    if len(made.content()) > LARGEST:
        raise ValueError(f"result.json holds {len(made.content()):,} bytes; at most {LARGEST:,} can be published")
    return made


def _refuse_private(folder: Path, files: list[dict[str, Any]]) -> None:
    for file in files:
        path = folder / file["path"]
        if path.suffix not in _TEXTS or file["bytes"] > 16 * LARGEST:
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if any(provenance.reveals(word) for word in line.split('"')):
                raise ValueError(
                    f"{file['path']} holds what looks like a path or an address of this machine; publish without "
                    "--weights, or run again without the failed run"
                )


def describe(made: Publication, *, full: bool = False) -> str:
    """Everything that becomes public, part by part, for a terminal of 80 columns; ``full`` adds the document itself."""
    result = made.result
    lines = [f"Result {result['id'][:12]}… of {result['challenge']['id']}: {made.task()}"]
    told = {key: _TOLD[key](value) if key in _TOLD else _words(value) for key, value in result.items()}
    for key in sorted(told, key=lambda key: list(_TOLD).index(key) if key in _TOLD else len(_TOLD)):
        lines += _wrapped(key, told[key])
    for item in made.doubts:
        lines += _wrapped("to be looked at", f"{item.name} ({item.evidence}): {item.detail}")
    policy, task = made.challenge.evidence, result["task"]
    fixed = policy.fixes(result["challenge"]["division"], task["dataset"], task["supervision"])
    if fixed is not None and (why := fixed.why(result["config"])):
        lines += _wrapped("without a rank", f"{why}, from {fixed.since[:10]} on; it is listed")
    old = policy.made_under
    if old is not None and (why := old.why(result["challenge"]["rules_version"])):
        lines += _wrapped("without a rank", f"{why}, from {old.since[:10]} on; it is listed")
    if full:
        lines.append(json.dumps(result, indent=1, ensure_ascii=False))
    return "\n".join(lines)


def _wrapped(key: str, text: str) -> list[str]:
    """Lines of at most 78 characters, the first with the name of the part."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > 76 - WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    title = key.replace("_", " ")
    head = f"  {title:<{WIDTH}} {lines[0]}" if len(title) <= WIDTH else f"  {title}\n  {'':<{WIDTH}} {lines[0]}"
    return [head, *(f"  {'':<{WIDTH}} {line}" for line in lines[1:])]


def _words(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _submitter(value: Mapping[str, Any]) -> str:
    return str(value["name"]) if value["name"] else "nobody is named: listed, without a rank (--submitter=NAME)"


def _challenge(value: Mapping[str, Any]) -> str:
    apart = f", departs in {', '.join(value['departures'])}" if value["departures"] else ""
    return f"{value['id']}, rules {value['rules_version']}, {value['division']} division{apart}"


def _config(value: Mapping[str, Any]) -> str:
    return f"{len(value)} settings: " + ", ".join(f"{key}={_words(one)}" for key, one in value.items())


def _runs(value: list[Mapping[str, Any]]) -> str:
    failed = sum(run["status"] != "completed" for run in value)
    said = f"{len(value)}, {failed} of them failed" if failed else str(len(value))
    return f"{said}; of each: {', '.join(value[0])}"


def _metrics(value: Mapping[str, Mapping[str, Any]]) -> str:
    said = [f"{name} {humanize.short(one['value'])}{_unit(one['unit'])}" for name, one in value.items()]
    return ", ".join(said)


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def _datasets(value: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['name']} ({len(one['files'])} files by name, hash and size)" for one in value)


def _system(value: Mapping[str, Any]) -> str:
    """Every fact of the machine, by its name."""
    said = []
    for key, one in value.items():
        if key == "memory_bytes":
            said.append(f"memory {humanize.size(one)}")
        elif key == "cores":
            said.append("cores " + ", ".join(f"{count} {name}" for name, count in one.items()))
        elif key == "accelerators":
            said.append("accelerators " + (", ".join(map(_accelerator, one)) or "none"))
        else:
            said.append(f"{key.replace('_', ' ')} {_words(one)}")
    return "; ".join(said)


def _accelerator(value: Mapping[str, Any]) -> str:
    memory, driver = humanize.size(value["memory_bytes"]), _words(value["driver"])
    return f"{value['name']} ({value['kind']}, {memory}, driver {driver})"


def _software(value: list[Mapping[str, Any]]) -> str:
    return f"{len(value)} packages: " + ", ".join(f"{one['name']} {one['version']}" for one in value)


def _cost(value: Mapping[str, Any]) -> str:
    return (
        f"{humanize.duration(value['wall_seconds'])}, {value['cpu_seconds']:,.0f} CPU s, memory "
        f"{humanize.size(value['peak_rss_bytes'])}, download {humanize.size(value['download_bytes'])}, energy "
        f"{humanize.energy(value['energy_joules_estimated'])}"
    )


def _provenance(value: Mapping[str, Any]) -> str:
    return "; ".join(f"{key} {_words(one)}" for key, one in value.items())


def _files(value: list[Mapping[str, Any]]) -> str:
    total = sum(file["bytes"] for file in value)
    return f"name, hash and size of {len(value)} files ({humanize.size(total)})"


# How each part of a result is told, in this order; a part that is not here is shown as JSON.
_TOLD: dict[str, Any] = {
    "submitter": _submitter,
    "created": str,
    "paper": lambda value: f"{value['title']}, {value['url']}, {', '.join(value['identifiers'])}",
    "challenge": _challenge,
    "task": lambda value: ", ".join(f"{key} {one}" for key, one in value.items()),
    "metrics": _metrics,
    "runs": _runs,
    "config": _config,
    "datasets": _datasets,
    "system": _system,
    "software": _software,
    "software_sha256": _words,
    "cost": _cost,
    "provenance": _provenance,
    "files": _files,
    "id": str,
    "schema_version": str,
}

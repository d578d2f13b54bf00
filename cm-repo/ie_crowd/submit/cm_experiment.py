"""A result as a CM ``experiment`` artifact in a folder or a git checkout, ready for a pull request.

One artifact for each task of a challenge, one folder in it for each result, as CM and its playground read them::

    experiment/<challenge>-<data set>-<supervision>-<labels>/
        _cm.json                            alias, uid, tags, title
        .gitattributes                      git leaves every byte as it is
        <created>.<start of the id>/
            result.json  cm-result.json  SHA256SUMS  figures/  (runs/ with the weights, if asked for)

Everything follows from the result and the repository, so that two who write the same one write the same files. A
folder of a result appears by rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd.artifact import cm_output
from ie_crowd.formats import checksums, scratch, strict
from ie_crowd.formats.upgrade import RESULT
from ie_crowd.submit.publication import Publication

AUTOMATION = ("experiment", "a0a2d123ef064bcb")
META, CM_RESULT, REPOSITORY = "_cm.json", "cm-result.json", "cmr.yaml"
ATTRIBUTES = ".gitattributes"
SHARED = "cm-repo"  # the folder of what the crowd shares, in a checkout of a project like this one
SMALL = strict.Limits(size=64 * 2**10, depth=8, values=2_000)


class Place(NamedTuple):
    """``home``: the folder that holds ``experiment/``. ``why``: how it was chosen, for a person to read."""

    root: Path
    home: Path
    uid: str
    why: str


def place(to: Path) -> Place:
    """Where artifacts go for ``--to``. Raises ValueError for what is no folder, and a cmr.yaml that cannot be read."""
    root = Path(os.path.abspath(to))  # noqa: PTH100 resolve() would follow a link that is refused below
    if os.path.lexists(root) and not root.is_dir():
        raise ValueError(f"--to={to}: is not a folder; expected one, or a git checkout")
    shared = root / SHARED
    if os.path.lexists(shared / REPOSITORY):
        uid, prefix = _repository(shared)
        return Place(root, shared / prefix, uid, f"{SHARED}/ is a CM repository, by its {REPOSITORY}")
    if os.path.lexists(root / REPOSITORY):
        uid, prefix = _repository(root)
        return Place(root, root / prefix, uid, f"the folder is a CM repository, by its {REPOSITORY}")
    why = f"no {REPOSITORY} here: CM finds it once {SHARED}/ lies in a checkout of the challenge's repository"
    return Place(root, shared, "", why)


def _repository(folder: Path) -> tuple[str, str]:
    """Its uid, and its prefix: the folder that holds its artifacts."""
    meta = strict.read_yaml(folder / REPOSITORY)
    if not isinstance(meta, dict):
        raise ValueError(f"{strict.name_of(folder / REPOSITORY)}: is not the file of a CM repository")
    prefix = meta.get("prefix") or ""
    if not isinstance(prefix, str) or (prefix and (not prefix.replace("-", "").replace("_", "").isalnum())):
        raise ValueError(f"{strict.name_of(folder / REPOSITORY)}: prefix {prefix!r:.80}, expected the name of a folder")
    return str(meta.get("uid", "")), prefix


def alias(result: dict[str, Any]) -> str:
    """The artifact of the result's task."""
    task = result["task"]
    return f"{result['challenge']['id']}-{task['dataset']}-{task['supervision']}-{task['labels']}"


def folder_of(result: dict[str, Any], at: Place) -> Path:
    """The folder of this one result."""
    moment = result["created"].rstrip("Z").replace(":", "-").replace("T", ".")
    return at.home / "experiment" / alias(result) / f"{moment}.{result['id'][:12]}"


def write(made: Publication, at: Place) -> tuple[Path, bool]:
    """Write the artifact; returns the result's folder, and whether it is new (False: this very result was there).

    Raises ValueError if something else is there, lies behind a symbolic link, or a file has changed since the check.
    """
    final = folder_of(made.result, at)
    strict.refuse_links(final, at.root)
    if final.is_dir():
        found = strict.read_json(final / RESULT, within=at.root)
        if not isinstance(found, dict) or found.get("id") != made.result["id"]:
            raise ValueError(f"{strict.name_of(final)}: holds another result; move it away first")
        return final, False
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _meta(made, at, final.parent)
        if not os.path.lexists(final.parent / ATTRIBUTES):
            strict.write_text(final.parent / ATTRIBUTES, "* -text\n")  # else git may change line endings, and so hashes
        _sweep(final.parent)
        temporary.mkdir()
        _fill(made, temporary)
        for folder in (*(path for path in temporary.rglob("*") if path.is_dir()), temporary):
            scratch.sync_folder(folder)
        os.rename(temporary, final)  # noqa: PTH104 the name that the documentation of atomic renames uses
        scratch.sync_folder(final.parent)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ValueError(f"{strict.name_of(final)}: cannot be written ({reason})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final, True


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left in an artifact, which `git add` would take along."""
    for left in folder.glob(".*.tmp"):
        if scratch.left_over(left) and not left.is_symlink():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _meta(made: Publication, at: Place, folder: Path) -> None:
    """_cm.json, unless it is there: then it must be an experiment."""
    path, name = folder / META, alias(made.result)
    if os.path.lexists(path):
        found = strict.read_json(path, SMALL, within=at.root)
        if not isinstance(found, dict) or found.get("automation_uid") != AUTOMATION[1]:
            raise ValueError(f"{strict.name_of(path)}: is not the file of a CM experiment; move it away first")
        return
    task, challenge = made.result["task"], made.result["challenge"]["id"]
    labels = "all-labels" if task["labels"] == "all" else f"{task['labels']}-labels"
    strict.write_json(
        path,
        {
            "alias": name,
            "automation_alias": AUTOMATION[0],
            "automation_uid": AUTOMATION[1],
            "tags": [challenge, "crowd-benchmark", task["dataset"], task["supervision"], labels],
            "title": f"{made.challenge.paper['title']}: {made.task()}",
            "uid": _uid(at.uid, name),
        },
    )


def _uid(*parts: str) -> str:
    """A CM uid, the same for all who make it from the same parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _fill(made: Publication, folder: Path) -> None:
    for file in made.files:
        target = folder / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with strict.open_regular(made.folder / file["path"]) as source, target.open("xb") as copy:
            while piece := source.read(2**20):
                digest.update(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        if digest.hexdigest() != file["sha256"]:
            raise ValueError(f"{file['path']}: has changed since it was checked; try again")
    columns = cm_output.flat(made.result, made.challenge.metrics)
    row = {**columns, "uid": _uid(made.result["id"]), "iso_datetime": made.result["created"].rstrip("Z")}
    strict.write_json(folder / CM_RESULT, [row])
    strict.write_text(folder / RESULT, made.content().decode())
    checksums.write_sha256sums(folder)

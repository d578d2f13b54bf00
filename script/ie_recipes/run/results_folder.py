"""The results folder while a run is under way: what may be written into, the marker of what is missing, the lock.

From the first moment until the last the folder holds `incomplete.json`: task, config, what is done, what is missing and
the command to go on. A folder that holds it, for the same config, is resumed; any other that is not empty is refused.
"""

import contextlib
import json
import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MARKER = "incomplete.json"
LOCK = ".lock"
DEFAULT_PARENT = "ie-repr-results"
MARKER_BYTES_MAX = 1_000_000


def default(parent: Path, task: str) -> Path:
    """`parent`/ie-repr-results/<UTC time>-<task>, a name that is not taken yet."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{task}"
    folder = parent / DEFAULT_PARENT / name
    count = 1
    while folder.exists():
        count += 1
        folder = parent / DEFAULT_PARENT / f"{name}-{count}"
    return folder


def claimed(parent: Path, task: str) -> Path:
    """As `default`, but made, so that two commands of the same second never get the same one. Where it cannot be made,
    only named: `check` says why."""
    while True:
        folder = default(parent, task)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if not folder.parent.is_dir():
                return folder
        except OSError:
            return folder
        else:
            return folder


def forget_empty(folder: Path) -> None:
    """Remove a folder that was claimed and in which nothing was begun."""
    with contextlib.suppress(OSError):  # it holds something
        folder.rmdir()


def check(folder: Path, identity: Mapping[str, Any], parts: Collection[str] = ()) -> str:
    """Return "new" or "unfinished"; nothing is touched.

    `identity` is what has to be the same to go on: number of runs, config; `parts` are the folders of a request that
    covers several tasks, whose names say that it was finished. Raises ValueError, one line, for a folder
    that cannot be written or holds a finished run, an unfinished run of something else, or anything foreign.
    """
    _check_writable(folder)
    names = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    # a run that was killed between its first two writes leaves only these
    names = [name for name in names if name != LOCK and not name.startswith(f".{MARKER}")]
    if not names:
        return "new"
    if MARKER in names:
        difference = _first_difference(read_marker(folder).get("identity", {}), identity)
        if difference is None:
            return "unfinished"
        key, there, asked = difference
        raise ValueError(
            f"--outdir={folder} holds an unfinished run with {key} = {there!r}, asked for is {asked!r}: "
            "repeat its flags to go on with it, or choose another --outdir"
        )
    if "result.json" in names or ("index.html" in names and set(parts) <= set(names) and parts):
        raise ValueError(
            f"--outdir={folder} holds a finished run, and results are never overwritten: choose another --outdir"
        )
    raise ValueError(
        f"--outdir={folder} is not empty (it holds {names[0]!r}) and no unfinished run: choose a new or empty folder"
    )


def read_marker(folder: Path) -> dict[str, Any]:
    """The folder's marker; raises ValueError when it cannot be read as JSON."""
    path = folder / MARKER
    try:
        with path.open("rb") as file:
            marker = json.loads(file.read(MARKER_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): choose another --outdir") from None
    if not isinstance(marker, dict):
        raise ValueError(f"{path} is not a marker of an unfinished run: choose another --outdir")
    return marker


def write_marker(folder: Path, marker: Mapping[str, Any]) -> None:
    """Write the marker by rename, so that it is never seen half written. Whoever writes it holds the folder's lock, so
    what lies here of another process is left over."""
    _sweep(folder, f".{MARKER}.*")
    temporary = folder / f".{MARKER}.{os.getpid()}"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(marker, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / MARKER)


def unfinished(folder: Path) -> bool:
    """Whether the folder's marker says that something is missing."""
    return (folder / MARKER).exists()


def finish(folder: Path) -> None:
    """Remove marker and lock: the folder is complete."""
    _sweep(folder, ".*.tmp")  # of a process that was killed while it wrote report or sums
    (folder / MARKER).unlink(missing_ok=True)
    (folder / LOCK).unlink(missing_ok=True)


def _sweep(folder: Path, pattern: str) -> None:
    for left in folder.glob(pattern):
        with contextlib.suppress(OSError):
            left.unlink()


def _check_writable(folder: Path) -> None:
    """Raise ValueError unless `folder`, or the nearest folder above that exists, is a folder that can be written."""
    for place in (folder, *folder.parents):
        if not os.path.lexists(place):
            continue
        if not place.is_dir():
            raise ValueError(f"--outdir={folder} cannot be a folder: {place} is not one: choose another --outdir")
        if not os.access(place, os.W_OK | os.X_OK):
            raise ValueError(f"--outdir={folder} is not writable ({place}): choose another --outdir")
        return


def _first_difference(there: Any, asked: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first key (dotted) whose value differs, with both values; None when all are the same."""
    if not isinstance(there, Mapping):
        return "identity", there, dict(asked)
    for key in [*asked, *(key for key in there if key not in asked)]:
        one, other = there.get(key), asked.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            inner = _first_difference(one, other)
            if inner is not None:
                return f"{key}.{inner[0]}", inner[1], inner[2]
        elif one != other:
            return str(key), one, other
    return None

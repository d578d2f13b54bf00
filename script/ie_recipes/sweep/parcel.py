"""The files of a run as they travel through an engine: names of a run's own files only, each with its SHA-256, and no
more than so many bytes.

What arrives comes from another machine: any other name, another hash, and anything too large, is refused before
anything is written. A parcel is names, hashes and bytes in msgpack; nothing in it is executed when it is read.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ie_crowd.formats import strict

from ie_recipes.sweep import works

CHECKPOINT = "checkpoint.safetensors"
# the checkpoint first: the metrics that are read after it have at least its epochs
NAMES = (CHECKPOINT, "config.json", "metrics.jsonl", "model.safetensors", "predictions.safetensors", "run.json")
SYSTEM = "system.json"  # what the worker says of its machine: to the cell's folder, where it is part of the result
SYSTEMS = ".system-*.json"
FIGURE = re.compile(r"figures/[a-z0-9_]{1,60}\.(?:png|svg)")
FILES_MAX, FILE_BYTES_MAX, PARCEL_BYTES_MAX = 100, 256 << 20, 512 << 20


def read(place: Path, figures: Path | None) -> dict[str, bytes]:
    """What lies in a run's folder, and its figures if they are there; once the run has ended no checkpoint."""
    found = {}
    for name in NAMES:
        path = place / name
        if path.is_file():
            found[name] = path.read_bytes()
    if "run.json" in found:
        found.pop(CHECKPOINT, None)
    if figures is not None and figures.is_dir():
        for path in sorted(figures.iterdir()):
            if FIGURE.fullmatch(f"figures/{path.name}"):
                found[f"figures/{path.name}"] = path.read_bytes()
    return found


def packed(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The files with their hashes."""
    return {"files": dict(files), "sha256": {name: _sha256(content) for name, content in files.items()}}


def unpack(parcel: object, place: Path, figures: Path) -> None:
    """Write the files, each by rename, run.json last and the checkpoint before it: what they speak of is there then.

    Raises ValueError for what is no parcel of a run, before anything is written.
    """
    files = checked(parcel)
    order = sorted(files, key=lambda name: (name == "run.json", name == CHECKPOINT, name))
    drawn = works.unfinished(figures)
    pictures = [name for name in order if name.startswith("figures/")]
    for name in pictures:
        _write(drawn / name.partition("/")[2], files[name])
    if pictures and not figures.exists():
        drawn.replace(figures)
    if SYSTEM in files:
        _write(figures.with_name(SYSTEMS.replace("*", place.name)), files[SYSTEM])
    for name in order:
        if name not in pictures and name != SYSTEM:
            _write(place / name, files[name])
    if "run.json" in files:
        (place / CHECKPOINT).unlink(missing_ok=True)


def checked(parcel: object) -> dict[str, bytes]:
    """The files of a parcel. Raises ValueError unless it is names of a run's files with their bytes and hashes."""
    files, hashes = (parcel.get("files"), parcel.get("sha256")) if isinstance(parcel, dict) else (None, None)
    if not isinstance(files, dict) or not isinstance(hashes, dict) or set(files) != set(hashes):
        raise ValueError(f"a worker sent {type(parcel).__name__}, expected the files of a run with their hashes")
    if len(files) > FILES_MAX:
        raise ValueError(f"a worker sent {len(files):,} files for one run, expected at most {FILES_MAX}")
    for name, content in files.items():
        known = isinstance(name, str) and (name in (*NAMES, SYSTEM) or FIGURE.fullmatch(name))
        if not known or not isinstance(content, bytes) or len(content) > FILE_BYTES_MAX:
            raise ValueError(f"a worker sent {name!r:.60}, which is no file of a run")
    if sum(map(len, files.values())) > PARCEL_BYTES_MAX:
        raise ValueError(f"a worker sent more than {PARCEL_BYTES_MAX:,} bytes for one run")
    for name, content in files.items():
        if hashes[name] != _sha256(content):
            raise ValueError(f"{name} of a run has another SHA-256 than when it was sent")
    if SYSTEM in files:
        system = strict.parse_json(files[SYSTEM], strict.RUN, "what a worker says of its machine")
        if not isinstance(system, dict) or not isinstance(system.get("cpu_model"), str):
            raise ValueError("a worker says of its machine what is no description of one")
    return files


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

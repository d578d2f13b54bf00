"""One training run's folder on disk: config.json, metrics.jsonl, run.json, the weights, and who is working in it.

Every file appears by rename, so that a run killed at any moment leaves the old state or the new one. Metrics are
appended, and cut back to the last checkpoint when a run goes on.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ie_model.config import Config

CONFIG, METRICS, RUN = "config.json", "metrics.jsonl", "run.json"
MODEL, CHECKPOINT, LOCK = "model.safetensors", "checkpoint.safetensors", ".lock"
PREDICTIONS = "predictions.safetensors"  # the class that each test image was taken for, by metric
OWN_FILES = {CONFIG, METRICS, RUN, MODEL, CHECKPOINT, LOCK, PREDICTIONS}


def replace(path: Path, content: bytes) -> None:
    """Writes a file that is there whole or not at all: a temporary name beside it, flushed to disk, then renamed."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path}: is a device or a pipe, and is left alone; expected a file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _sweep(path)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)  # a full disk names no file by itself
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Delete temporary files of ``path``, `.NAME.PID.part`, whose processes are no more."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        number = left.name.split(".")[-2]
        if number.isascii() and number.isdecimal() and len(number) < 10 and not psutil.pid_exists(int(number)):
            left.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON by rename. NaN and Infinity are refused (ValueError): they are not JSON."""
    replace(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_run(folder: Path) -> dict[str, Any]:
    """What run.json says. Raises ValueError when the folder holds no run that has ended, or one that failed."""
    try:
        run: dict[str, Any] = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        state = "an unfinished run" if (folder / CONFIG).exists() else "no run"
        raise ValueError(f"{folder}: holds {state}; expected {RUN} of a finished `ie_model train`") from None
    except (NotADirectoryError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder / RUN}: cannot be read ({error}); train again into an empty folder") from error
    if run.get("status") == "failed":
        raise ValueError(f"{folder}: holds a run that failed ({run.get('error')}); expected a finished one")
    return run


def refuse_unwritable(folder: Path, what: str) -> None:
    """Raises ValueError unless a file can be made in the folder, before work that would be lost begins."""
    probe = folder / f".probe.{os.getpid()}.part"
    try:
        _sweep(folder / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot be written ({error.strerror}), and {what} goes there; copy it to a folder of yours first"
        ) from None


def stated_weights(folder: Path) -> str | None:
    """The SHA-256 that run.json gives for the weights; None where it gives none, or cannot be read."""
    try:
        run = json.loads((folder / RUN).read_bytes())
    except (OSError, ValueError):
        return None
    stated = run.get("model_sha256") if isinstance(run, dict) else None
    return stated if isinstance(stated, str) else None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def opened(folder: Path, config: Config) -> Iterator[bool]:
    """The folder of a run, made, claimed and checked. Yields whether the run in it is finished already.

    An unfinished run of the same configuration may go on. Raises ValueError when the folder belongs to another
    configuration, holds anything foreign, or another process is training in it; nothing in it is touched then.
    """
    from filelock import FileLock, Timeout

    check_contents(folder, config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"outdir: cannot make {folder} ({error.strerror}); choose a folder you may write to"
        ) from error
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(f"outdir: {folder} is in use by another run; wait for it or choose another folder") from None
    except OSError as error:
        raise ValueError(f"outdir: cannot write in {folder} ({error.strerror}); choose another folder") from error
    try:
        check_contents(folder, config)  # again: somebody may have come between the first look and the lock
        for left in folder.glob(".*.part"):  # of a process that was killed while it wrote; nobody else is at work here
            left.unlink(missing_ok=True)
        if not (folder / CONFIG).exists():
            write_json(folder / CONFIG, config.to_dict())
        yield (folder / RUN).exists()
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def cut_metrics(folder: Path, epochs: int) -> list[dict[str, Any]]:
    """Keeps the metrics of the first ``epochs`` epochs, those a checkpoint stands for, and returns them."""
    path = folder / METRICS
    lines = path.read_bytes().splitlines(keepends=True)[:epochs] if path.exists() else []
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError:
        rows = []
    if len(rows) < epochs or any(row.get("epoch") != number for number, row in enumerate(rows, 1)):
        raise ValueError(
            f"{path}: is cut short or damaged: it has no {epochs} whole lines, one for each epoch of {CHECKPOINT}; "
            f"delete {CHECKPOINT} and {METRICS} to train this run from its start, or choose another folder"
        )
    replace(path, b"".join(lines))
    return rows


def append_metrics(folder: Path, row: dict[str, Any]) -> None:
    """Adds one epoch's metrics as a line of JSON, flushed to disk."""
    with (folder / METRICS).open("ab") as file:
        file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """One dict per finished epoch, in order."""
    return [json.loads(line) for line in (folder / METRICS).read_bytes().splitlines()]


def check_contents(folder: Path, config: Config) -> None:
    """Raises ValueError where the folder, which may be missing, holds another run or what is no part of one."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"outdir: {folder} is a file; expected a folder, or a name that is free")
    names = {path.name for path in folder.iterdir() if not path.name.endswith(".part")}
    foreign = sorted(names - OWN_FILES)
    if foreign or (names - {LOCK} and CONFIG not in names):
        example = foreign[0] if foreign else min(names - {LOCK})
        raise ValueError(f"outdir: {folder} holds {example!r}, which is no part of a run; choose an empty folder")
    if CONFIG in names:
        there = Config.read(folder / CONFIG).to_dict()
        changed = [name for name, value in config.to_dict().items() if there[name] != value]
        if changed:
            name = changed[0]
            raise ValueError(
                f"outdir: {folder} holds a run with {name}={there[name]!r}, asked for {name}="
                f"{config.to_dict()[name]!r}; give the same settings to go on, or another folder"
            )

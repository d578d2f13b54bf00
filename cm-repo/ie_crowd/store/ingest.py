"""Takes in the result.json files of folders and checkouts: only what changed, in several processes, many at a time.

Results and the note of which files they came from are one transaction: killed at any moment, the next call goes on
where this one was, and nothing is written twice. Files are told by size and time, results by their id.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import hashlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select

from ie_crowd.challenge import load
from ie_crowd.challenge.model import Challenge
from ie_crowd.formats import checksums, gc_pause, strict
from ie_crowd.formats.upgrade import RESULT
from ie_crowd.store import audit, database, tables
from ie_crowd.store import insert as store_insert
from ie_crowd.store.records import LIMITS, Prepared, prepare

DEEPEST = 12
MOST_ENTRIES = 5_000_000
MOST_RESULTS = 1_000_000
LONGEST_PATH = 400
BATCH = 512
MOST_TOGETHER = 8 * BATCH
WORTH_PROCESSES = 1000  # below so many files, starting processes takes longer than they save
FRESH_NS = 2 * 10**9  # a file that changed so recently may change again within one tick of its clock
WATCH_SECONDS = 0.2  # between two looks for an interrupt
INSIDE = ("runs", "figures")  # of a results folder: they hold no other results
MOST_REMARKS = 1000


class File(NamedTuple):
    """A result.json below the root: relative path with forward slashes, size, time of its last change."""

    path: str
    size: int
    mtime_ns: int


class Unread(str):
    """Why a file could not be read this time. It is read again the next time, however it looks from outside."""


@dataclass
class Report:
    """What an ingest did. ``remarks``: (path, what was wrong) of the first thousand refused or quarantined files."""

    files: int = 0
    unchanged: int = 0
    published: int = 0
    valid: int = 0
    quarantined: int = 0
    known: int = 0
    refused: int = 0
    seconds: float = 0
    remarks: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __add__(self, other: Report) -> Report:
        """Both together."""
        mine, others = asdict(self), asdict(other)
        total = Report(**{key: mine[key] + others[key] for key in mine})
        total.remarks = total.remarks[:MOST_REMARKS]
        return total

    def remark(self, path: str, what: str) -> None:
        """Note it, unless there are too many already."""
        if len(self.remarks) < MOST_REMARKS:
            self.remarks.append((path, what))


def ingest(
    engine: Engine,
    root: Path,
    *,
    publish: bool = True,
    again: bool = False,
    jobs: int | None = None,
    challenges: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Take in every result.json below ``root`` that is new or changed since the last time.

    ``again`` reads all of them. ``jobs``: processes that validate; None is one a core, few for few files.
    ``challenges``: folders of rules beside those that come along. ``progress(done, total)`` is called after each
    transaction. Raises ValueError for a root that is no folder, or that holds too much.
    """
    began = time.monotonic()
    home = root.resolve()
    if not home.is_dir():
        raise ValueError(f"{strict.name_of(root)}: is not a folder; expected one that holds results")
    loaded = _loaded(challenges)
    key = hashlib.sha256(os.fsencode(home)).hexdigest()
    report = Report()
    files = list(scan(home, report))
    report.files = len(files)
    if not again:
        seen = _seen(engine, key)
        files = [file for file in files if seen.get(file.path) != (file.size, file.mtime_ns)]
        report.unchanged = report.files - len(files)
    done = 0
    progress(0, len(files))
    with gc_pause.rare(), contextlib.closing(_prepared(home, files, jobs, challenges, loaded)) as batches:
        for batch in _together(batches):
            _write(engine, key, batch, publish, report)
            done += len(batch)
            progress(done, len(files))
    if engine.dialect.name == "sqlite" and done:
        with database.writing(engine) as connection:  # it may write: then it must wait for its turn as all do
            connection.exec_driver_sql("PRAGMA optimize")
    report.seconds = time.monotonic() - began
    return report


def scan(home: Path, report: Report) -> Iterator[File]:
    """The result.json files below ``home``, folder by folder in the order of their names.

    No symbolic link is followed; names that start with a dot, and what lies inside a results folder, are left out. A
    folder that says that its run is unfinished is left for the next time. Raises ValueError beyond the limits.
    """
    entries = results = 0
    waiting = [(home, "", 0)]
    while waiting:
        folder, prefix, depth = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            report.remark(prefix or ".", f"cannot be listed ({(error.strerror or 'unknown reason').lower()})")
            continue
        entries += len(found)
        if entries > MOST_ENTRIES or results > MOST_RESULTS:
            raise ValueError(f"{strict.name_of(home)}: holds more than {MOST_ENTRIES:,} files; give a smaller folder")
        held = {entry.name for entry in found}
        folders = []
        for entry in found:
            path = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if RESULT in held and entry.name in INSIDE:
                    continue
                if depth >= DEEPEST or len(path) > LONGEST_PATH:
                    report.remark(strict.name_of(Path(path)), "lies too deep; not looked at")
                    continue
                folders.append((folder / entry.name, path + "/", depth + 1))
            elif entry.name == RESULT:
                if checksums.MARKER in held:
                    report.remark(strict.name_of(Path(path)), "its run is unfinished; left for the next time")
                elif not entry.is_file(follow_symlinks=False):
                    report.refused += 1
                    report.remark(strict.name_of(Path(path)), "is not a regular file; links are not followed")
                else:
                    results += 1
                    status = entry.stat(follow_symlinks=False)
                    yield File(path, status.st_size, status.st_mtime_ns)
        waiting += reversed(folders)


def _seen(engine: Engine, key: str) -> dict[str, tuple[int, int]]:
    columns = tables.source.c
    query = select(columns.path, columns.size, columns.mtime_ns).where(columns.root == key)
    with database.reading(engine) as connection:
        return {row.path: (row.size, row.mtime_ns) for row in connection.execute(query)}


def _together(batches: Iterable[list[tuple[File, Prepared | str]]]) -> Iterator[list[tuple[File, Prepared | str]]]:
    """Batches for one transaction: as many again each time, up to MOST_TOGETHER.

    The rows of a result lie all over the indexes of a large store, and a transaction writes each page that it touches:
    with eight batches at once, 100,000 results there, a result costs half as much.
    """
    joined: list[tuple[File, Prepared | str]] = []
    enough = BATCH
    for batch in batches:
        joined += batch
        if len(joined) >= enough:
            yield joined
            joined, enough = [], min(2 * enough, MOST_TOGETHER)
    if joined:
        yield joined


def _write(
    engine: Engine, key: str, batch: Sequence[tuple[File, Prepared | str]], publish: bool, report: Report
) -> None:
    """One transaction: the results of a batch, and which files they came from."""
    refused = [(file, one) for file, one in batch if isinstance(one, str)]
    good = [(file, one) for file, one in batch if not isinstance(one, str)]
    places = {one.id: file.path.removesuffix(RESULT).rstrip("/") for file, one in good if _storable(file.path)}
    with database.writing(engine) as connection:
        written = store_insert.write(connection, [one for _, one in good], publish=publish, places=places)
        lines = [("refused", strict.name_of(Path(file.path)), said) for file, said in refused]
        audit.record(connection, audit.now(), "operator", lines)
        said = [(file, what) for file, what in refused]
        said += [(file, outcome.what) for (file, _), outcome in zip(good, written, strict=True)]
        _note(connection, key, [(file, what) for file, what in said if _storable(file.path)])
    for outcome in written:
        setattr(report, outcome.what, getattr(report, outcome.what) + 1)
    report.refused += len(refused)
    for file, what in refused:
        report.remark(strict.name_of(Path(file.path)), what)
    for (file, _), outcome in zip(good, written, strict=True):
        if outcome.what == tables.QUARANTINED:
            first = outcome.reasons[0]
            report.remark(strict.name_of(Path(file.path)), f"quarantined: {first.name}: {first.detail}")


def _note(connection: Connection, key: str, said: Sequence[tuple[File, str]]) -> None:
    """Remember size and time of files, and what became of them."""
    fresh = time.time_ns() - FRESH_NS
    rows = [
        {
            "root": key,
            "path": file.path,
            "size": file.size,
            "mtime_ns": -1 if file.mtime_ns >= fresh or isinstance(what, Unread) else file.mtime_ns,
            "outcome": what[:300],
        }
        for file, what in said
    ]
    if rows:
        columns = tables.source.c
        before = delete(tables.source).where(columns.root == key, columns.path == bindparam("changed"))
        connection.execute(before, [{"changed": row["path"]} for row in rows])
        connection.execute(insert(tables.source), rows)


def _storable(path: str) -> bool:
    """Whether a database holds the name: a name on disk can be bytes that are no text."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in path


# Validation, here or in other processes


def _loaded(challenges: Sequence[Path]) -> dict[str, Challenge] | None:
    """The rules of the folders given; None where only those that come along are asked for."""
    if not challenges:
        return None
    given = [load.challenge(folder) for folder in challenges]
    return {challenge.id: challenge for challenge in given}


def _read(home: Path, file: File, loaded: Mapping[str, Challenge] | None) -> tuple[File, Prepared | str]:
    try:
        return file, prepare(strict.read_bytes(home / file.path, LIMITS.size, within=home), loaded)
    except strict.FileError as error:
        return file, Unread(str(error)[:300])
    except ValueError as error:
        return file, str(error)[:300]


def _prepared(
    home: Path,
    files: Sequence[File],
    jobs: int | None,
    challenges: Sequence[Path],
    loaded: Mapping[str, Challenge] | None,
) -> Generator[list[tuple[File, Prepared | str]], None, None]:
    """The files read and judged, in batches."""
    parts = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    jobs = jobs or (min(os.cpu_count() or 1, 8) if len(files) >= WORTH_PROCESSES else 1)
    if jobs == 1 or len(parts) < 2:
        for part in parts:
            yield [_read(home, file, loaded) for file in part]
        return
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(jobs, context, _begin, (str(home), [str(one) for one in challenges]))
    waiting: list[concurrent.futures.Future[list[tuple[File, Prepared | str]]]] = []
    with _interrupts_held() as raise_if_interrupted, _safe_path():
        try:
            while parts or waiting:
                while parts and len(waiting) < jobs + 6:  # as much as they judge while a transaction is written
                    waiting.append(pool.submit(_read_all, parts.pop(0)))
                while not concurrent.futures.wait(waiting[:1], timeout=WATCH_SECONDS).done:
                    raise_if_interrupted()
                raise_if_interrupted()
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        raise_if_interrupted()  # after the last batch, while the pool ended


@contextlib.contextmanager
def _interrupts_held() -> Iterator[Callable[[], None]]:
    """Within it Ctrl-C is noted, and raised as KeyboardInterrupt by calling what is given.

    Raised wherever the main thread happens to be, it can leave a lock of the pool taken, and the pool waits for ever.
    """
    noted: list[int] = []

    def raise_if_interrupted() -> None:
        if noted:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    # The main thread alone is interrupted, and not where the signal is ignored (`nohup … &`).
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield raise_if_interrupted
        return
    signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        yield raise_if_interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Within it Pythons that are started look for modules in no current folder; multiprocessing hands sys.path on."""
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    os.environ.pop("PYTHONPATH", None)
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


_here: dict[str, Any] = {}


def _begin(home: str, challenges: Sequence[str]) -> None:
    """First thing in a validating process: it leaves interrupts to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    gc.set_threshold(*gc_pause.RARELY)
    _here.update(home=Path(home), loaded=_loaded([Path(one) for one in challenges]))


def _end_with(sentinel: int) -> None:
    with contextlib.suppress(OSError):
        multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _read_all(part: Sequence[File]) -> list[tuple[File, Prepared | str]]:
    return [_read(_here["home"], file, _here["loaded"]) for file in part]

"""A whole store and its evidence in one file, and back: a ZIP of an SQLite store, the evidence and a manifest.

Rows are copied as one reader sees them, while the site goes on writing. Either database is backed up into the same
form, and restored from it into either: so this is also the way from SQLite to PostgreSQL. Log-ins and counts of
attempts, which last hours, are left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, func, select, text

from ie_crowd.evidence import files as evidence_files
from ie_crowd.evidence import taken
from ie_crowd.formats import checksums, scratch, strict
from ie_crowd.store import audit, database, tables

STORE, MANIFEST, EVIDENCE = "store.sqlite3", "manifest.json", "evidence/"
PASSING = ("session", "attempt")  # tables that a backup leaves empty
ROWS = 1000  # at a time
LARGEST_STORE = 64 * 2**30
_EVIDENCE = re.compile(r"evidence/([0-9a-f]{64})")


class Report(NamedTuple):
    """What a backup holds, or what was restored."""

    results: int
    rows: int
    evidence: int
    bytes: int


def write(engine: Engine, path: Path) -> Report:
    """Back up a store into ``path``, by rename. Raises ValueError, one line, where that cannot be written."""
    store = evidence_files.of(engine)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    if scratch.special(path):
        raise ValueError(f"{strict.name_of(path)}: is a device or a pipe, and is left alone; expected a file")
    try:
        with tempfile.TemporaryDirectory(prefix=".ie-crowd-backup-", dir=path.parent) as place:
            copy = Path(place) / STORE
            counts = _copied_out(engine, copy)
            wanted = _evidence(copy)
            os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))  # it holds hashes of tokens
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
                held = [sha256 for sha256 in wanted if store.has(sha256)]
                manifest = {
                    "format": 1,
                    "schema": database.VERSION,
                    "created": audit.now(),
                    "rows": counts,
                    "store_sha256": checksums.sha256_file(copy)[0],
                    "evidence": len(held),
                }
                archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
                archive.write(copy, STORE)
                for sha256 in held:
                    archive.write(store.local(sha256), EVIDENCE + sha256, zipfile.ZIP_STORED)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ValueError(f"{strict.name_of(path)}: cannot be written ({error.strerror or error})") from None
    finally:
        part.unlink(missing_ok=True)
    return Report(counts["result"], sum(counts.values()), len(held), path.stat().st_size)


def read(path: Path, engine: Engine) -> Report:
    """Restore a backup into a store that holds nothing yet; all of its rows appear at once, its evidence before them.

    Raises ValueError, one line, for what is no backup, one that was changed, and a store that holds something.
    """
    with _opened(path) as (archive, manifest), tempfile.TemporaryDirectory(prefix="ie-crowd-restore-") as place:
        _refuse_used(engine)
        copy = Path(place) / STORE
        _unpack(archive, STORE, copy, LARGEST_STORE)
        if checksums.sha256_file(copy)[0] != manifest.get("store_sha256"):
            raise ValueError(f"{strict.name_of(path)}: its store is not the one that its manifest names")
        source = database.connect(copy, create=False)  # which brings an older one to this program's schema
        try:
            count = _restore_evidence(archive, source, evidence_files.of(engine))
            with database.reading(source) as old, database.writing(engine) as new:
                rows = _copied(old, new)
                _number_on(new)
                results = new.execute(select(func.count()).select_from(tables.result)).scalar_one()
                line = ("restored", path.name[:100], f"{results} results, made {str(manifest.get('created'))[:40]}")
                audit.record(new, audit.now(), "operator", [line])
        finally:
            source.dispose()
    return Report(results, sum(rows.values()), count, path.stat().st_size)


def _copied_out(engine: Engine, copy: Path) -> dict[str, int]:
    """All rows of a store in a new SQLite file, one file without a log beside it; how many, by table."""
    target = database.connect(copy)
    try:
        with database.reading(engine) as old, database.writing(target) as new:
            counts = _copied(old, new)
        raw: Any = target.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=DELETE")
        finally:
            raw.close()
    finally:
        target.dispose()
    return counts


def _copied(old: Connection, new: Connection) -> dict[str, int]:
    counts = {}
    for table in tables.metadata.sorted_tables:
        counts[table.name] = 0 if table.name in PASSING else _copy(table, old, new)
    return counts


def _copy(table: Table, old: Connection, new: Connection) -> int:
    count = 0
    rows = old.execute(select(table).order_by(*table.primary_key), execution_options={"yield_per": ROWS})
    for part in rows.mappings().partitions(ROWS):
        new.execute(table.insert(), [dict(row) for row in part])
        count += len(part)
    return count


def _number_on(connection: Connection) -> None:
    """PostgreSQL numbers rows by a sequence of its own: it goes on behind the rows that came with their numbers."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables.metadata.sorted_tables:
        if "pk" in table.c:
            sequence = f"pg_get_serial_sequence('{table.name}', 'pk')"  # names of ours
            last = connection.execute(select(func.max(table.c.pk))).scalar()
            if last is not None:
                connection.execute(text(f"SELECT setval({sequence}, :last)"), {"last": last})


def _evidence(copy: Path) -> list[str]:
    source = database.connect(copy, create=False)
    try:
        with database.reading(source) as connection:
            column = tables.evidence_file.c.sha256
            return [row[0] for row in connection.execute(select(column).distinct().order_by(column))]
    finally:
        source.dispose()


def _refuse_used(engine: Engine) -> None:
    with database.reading(engine) as connection:
        for table in tables.metadata.sorted_tables:
            if table.name not in PASSING and connection.execute(select(table).limit(1)).first() is not None:
                raise ValueError(
                    "the store holds something already; restore into a new one: --store=FILE or a database"
                )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """A backup whose every name and size is one that ``write`` makes, and its manifest."""
    name = strict.name_of(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for one in archive.infolist():
                most = {STORE: LARGEST_STORE, MANIFEST: 2**20}.get(one.filename, taken.MOST_BYTES)
                known = one.filename in (STORE, MANIFEST) or _EVIDENCE.fullmatch(one.filename)
                if not known or one.file_size > most:
                    raise ValueError(f"{name}: {one.filename!r:.80} is nothing that a backup holds")
            manifest = json.loads(archive.read(MANIFEST))
            if not isinstance(manifest, dict) or manifest.get("format") != 1:
                raise ValueError(f"{name}: its manifest is of another version; expected format 1")
            yield archive, manifest
    except (OSError, zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{name}: is no backup of `ie-crowd backup` that can be read ({error})") from None


def _unpack(archive: zipfile.ZipFile, name: str, to: Path, most: int) -> None:
    size = 0
    with archive.open(name) as packed, to.open("wb") as file:
        while piece := packed.read(2**20):
            size += len(piece)
            if size > most:
                raise ValueError(f"{name}: is larger than it says")
            file.write(piece)


def _restore_evidence(archive: zipfile.ZipFile, source: Engine, store: evidence_files.Files) -> int:
    column = tables.evidence_file.c
    with database.reading(source) as connection:
        rows = connection.execute(select(column.sha256, column.bytes, column.path)).all()
    known = {row.sha256: evidence_files.Asked(row.sha256, row.bytes, False, taken.check_of(row.path)) for row in rows}
    count = 0
    for one in archive.infolist():
        if not (match := _EVIDENCE.fullmatch(one.filename)):
            continue
        if match[1] not in known:
            raise ValueError(f"{one.filename[:40]}…: no result of the backup rests on it")
        with archive.open(one) as packed:
            pieces = iter(partial(packed.read, evidence_files.PIECE), b"")
            count += store.put(pieces, known[match[1]])
    return count

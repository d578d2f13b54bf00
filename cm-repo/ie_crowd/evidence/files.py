"""The files that a result rests on, stored by their SHA-256: weights, predictions, learning histories, pictures.

Each is stored once, whoever sends it, and never changed. Metrics are computed from weights; histories and pictures are
for the page of a result whose folder is elsewhere.

The folder lies beside the store: FILE.evidence of an SQLite file, else in the user's data folder; IE_CROWD_EVIDENCE
names another, or a bucket (``bucket``). A file appears by rename when its hash is the one that the result lists; what
is cut off leaves nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select

from ie_crowd.evidence import queue
from ie_crowd.evidence.taken import Asked, asked, to_show
from ie_crowd.formats import strict
from ie_crowd.store import audit, database, tables, user_data

VARIABLE = "IE_CROWD_EVIDENCE"
MOST_WAITING = 8 * 2**30  # of one account, under results that are not published
PIECE = 2**20
_HASH = re.compile(r"[0-9a-f]{64}")


class Away(ValueError):
    """Where evidence lies does not answer; it says nothing on a result."""


class Files:
    """The folder of one store's evidence."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Where the file of a hash lies, if it does. Raises ValueError for what is no hash."""
        if not _HASH.fullmatch(sha256):
            raise ValueError(f"{sha256!r:.80} is no SHA-256")
        return self.root / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether it is here."""
        return self.path(sha256).is_file()

    def local(self, sha256: str) -> Path:
        """Where to read it: the same path, once a store elsewhere has brought it."""
        return self.path(sha256)

    def remove(self, keep: Collection[str], older: float) -> int:
        """Remove what has lain for so many seconds and is not to be kept; returns how many."""
        count = 0
        for path in self.root.glob("??/*"):
            with contextlib.suppress(OSError):
                if path.name not in keep and path.is_file() and time.time() - path.stat().st_mtime > older:
                    path.unlink()
                    count += 1
        return count

    def put(self, pieces: Iterable[bytes], asked: Asked) -> bool:
        """Store what ``pieces`` hold, if it is what is asked for; returns whether it is new.

        Raises ValueError, one line, for another size or hash, or what is not of its kind; nothing is left of it.
        """
        if self.has(asked.sha256):
            return False
        final = self.path(asked.sha256)
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".part-", dir=final.parent)
        part, digest, size = Path(name), hashlib.sha256(), 0
        try:
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    size += len(piece)
                    if size > asked.bytes:
                        raise ValueError(f"more than the {asked.bytes:,} bytes that the result lists")
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if size != asked.bytes:
                raise ValueError(f"ends after {size:,} of {asked.bytes:,} bytes; send it again")
            if digest.hexdigest() != asked.sha256:
                raise ValueError(f"its SHA-256 is {digest.hexdigest()[:12]}…, the result lists {asked.sha256[:12]}…")
            try:
                asked.check(part)
            except ValueError as error:
                raise ValueError(str(error).replace(part.name, "the file")) from None
            self._keep(part, final)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
        return True

    def _keep(self, part: Path, final: Path) -> None:
        """Let a file that is whole and checked appear under its hash."""
        part.replace(final)


def of(engine: Engine) -> Files:
    """The folder of a store's evidence; it need not exist."""
    named = os.environ.get(VARIABLE)
    if named and "://" in named:
        from ie_crowd.evidence import bucket

        return bucket.Bucket(named, user_data.data() / "evidence-cache")
    if named:
        return Files(Path(named).expanduser().absolute())
    if engine.url.get_backend_name() == "sqlite":
        file = Path(str(engine.url.database))
        return Files(file.with_name(f"{file.name}.evidence"))
    return Files(user_data.data() / "evidence")


def reader(engine: Engine, here: Mapping[str, str]) -> Callable[[str, int], bytes] | None:
    """Reads the histories and pictures among the files ``here`` of a result (see ``stored``); None: there are none."""
    shown = {path: sha256 for path, sha256 in here.items() if to_show(path)}
    if not shown:
        return None
    store = of(engine)

    def read(path: str, most: int) -> bytes:
        if path not in shown:
            raise ValueError(f"{path} is not here")
        return strict.read_bytes(store.local(shown[path]), most)

    return read


def stored(engine: Engine, result_id: str) -> dict[str, str]:
    """The hashes of the files that are here of a result, by path."""
    file = tables.evidence_file.c
    wanted = select(file.path, file.sha256).join(tables.result).where(tables.result.c.id == result_id)
    with database.reading(engine) as connection:
        return {row.path: row.sha256 for row in connection.execute(wanted.order_by(file.path))}


def add(engine: Engine, files: Files, result_id: str, path: str, pieces: Iterable[bytes], actor: str) -> bool:
    """Take in one file of a result; returns whether it is new. With the last that is needed, a verification waits.

    Raises ValueError for a file that the result does not list as evidence, or that is another; LookupError where
    there is no such result.
    """
    document = queue.document(engine, result_id)
    wanted = asked(document)
    if path not in wanted:
        raise ValueError(
            f"{path[:80]!r} is none of that result's files that are taken; these are: {', '.join(wanted)[:300]}"
        )
    if not files.has(wanted[path].sha256):
        _refuse_hoard(engine, result_id, wanted[path].bytes)
    new = files.put(pieces, wanted[path])
    with database.writing(engine) as connection:
        key = queue.key_of(connection, result_id)
        there = _paths(connection, key)
        if path not in there:
            row = {"result_pk": key, "path": path, "sha256": wanted[path].sha256, "bytes": wanted[path].bytes}
            connection.execute(insert(tables.evidence_file), row)
            audit.record(connection, audit.now(), actor, [("evidence", result_id, path)])
        if wanted[path].needed and all(name in there or name == path for name, one in wanted.items() if one.needed):
            queue.ask(connection, key, result_id, "metrics")
    return new


def _refuse_hoard(engine: Engine, result_id: str, size: int) -> None:
    """Raise ValueError where an account's results that nobody has published yet would rest on too many bytes."""
    result, file = tables.result.c, tables.evidence_file.c
    account = select(result.account_pk).where(result.id == result_id).scalar_subquery()
    held = select(func.coalesce(func.sum(file.bytes), 0)).join(tables.result, result.pk == file.result_pk)
    held = held.where(result.account_pk == account, result.state != tables.PUBLISHED)
    with database.reading(engine) as connection:
        total = connection.execute(held).scalar_one()
    if total + size > MOST_WAITING:
        raise ValueError(
            f"results of this account that wait for a reviewer rest on {total:,} bytes; at most {MOST_WAITING:,} are"
        )


def _paths(connection: Connection, key: int) -> set[str]:
    file = tables.evidence_file.c
    return {row.path for row in connection.execute(select(file.path).where(file.result_pk == key))}


def read(path: Path) -> Iterator[bytes]:
    """The pieces of a regular file."""
    with strict.open_regular(path) as file:
        while piece := file.read(PIECE):
            yield piece


def prune(engine: Engine, files: Files, *, older: float = 86_400) -> int:
    """Remove files that no result rests on (any more), and pieces of uploads that were cut off; returns how many.

    ``older``: only what has lain for so many seconds, so that nothing is removed that is just coming.
    """
    file = tables.evidence_file.c
    with database.reading(engine) as connection:
        kept = {row[0] for row in connection.execute(select(file.sha256).distinct())}
    return files.remove(kept, older)

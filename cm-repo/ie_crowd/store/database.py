"""Opening the store's database: address, pragmas, transactions, schema version.

SQLite by default (write-ahead log, foreign keys, a busy timeout), PostgreSQL by URL. Every writer takes the one write
lock at the start of its transaction, in both databases, so what it reads before it writes stays true until it commits.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ie_crowd.store import user_data

VERSION = "0013"  # the newest migration in migrations/versions
BUSY_SECONDS = 60  # that a writer waits for the lock, but where the engine's option ie_busy_seconds says otherwise
LOCK = 0x1EC0  # PostgreSQL's advisory lock of a writer
CACHE_KIB = 32 * 1024


def default_path() -> Path:
    """Where the store lies if nobody says otherwise: a file in the user's data folder. It need not exist."""
    try:
        return user_data.data() / "crowd.sqlite3"
    except ValueError:
        raise ValueError("there is no home folder to keep a store in: pass --store=FILE") from None


def address(store: str | Path | None) -> URL:
    """The URL of a store: a path or a ``sqlite:`` or ``postgresql:`` URL; None is IE_CROWD_STORE or the default.

    Raises ValueError, which never holds a password, for any other database.
    """
    given = str(store or os.environ.get("IE_CROWD_STORE") or default_path())
    if "://" not in given:
        return URL.create("sqlite", database=str(Path(given).expanduser().absolute()))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise ValueError("--store is no URL that can be read; expected a file or postgresql://USER@HOST/NAME") from None
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        return url
    raise ValueError(f"--store: {url.drivername!r:.40} is no database for a store; expected a file or postgresql://…")


def connect(store: str | Path | None, *, create: bool = True) -> Engine:
    """An engine on a store of this version, made or migrated first where needed.

    ``create=False`` refuses a store that does not exist. Raises ValueError, one line, for a database that is newer
    than this program, that is no store, or that cannot be reached.
    """
    url = address(store)
    shown = url.render_as_string(hide_password=True) if url.host or "postgres" in url.drivername else url.database
    if url.get_backend_name() == "sqlite":
        _prepare_file(Path(str(url.database)), create)
    try:
        engine = _engine(url)
        _migrate(engine, create)
    except NoSuchModuleError:
        raise ValueError("PostgreSQL needs psycopg: pip install 'psycopg[binary]'") from None
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing: pip install '.[site,postgresql]' in a checkout") from None
    except UnicodeDecodeError:  # what SQLite says of a damaged schema is no text
        raise ValueError(f"{shown}: {TROUBLES['damaged']}") from None
    except SQLAlchemyError as error:
        found = trouble(error)
        helps = f"; {found.text}" if found is not None and found.kind == "damaged" else ""
        raise ValueError(f"{shown}: cannot be opened as a store ({one_line(error)}){helps}") from None
    return engine


def check_whole(engine: Engine) -> None:
    """Raise ValueError, one line, where pages of an SQLite store are damaged, also those that nobody reads now."""
    if engine.dialect.name != "sqlite":
        return
    with reading(engine) as connection:
        said = str(connection.execute(text("PRAGMA quick_check(1)")).scalar())
    if said != "ok":
        raise ValueError(f"{engine.url.database}: {TROUBLES['damaged']} ({' '.join(said.split())[:200]})")


def one_line(error: BaseException) -> str:
    """What a database said, on one line, without the statement and its parameters."""
    said = str(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)
    return " ".join(said.split())[:200]


class Trouble(NamedTuple):
    """Why a store cannot be used for now: ``kind`` is a key of TROUBLES; ``text`` one line."""

    kind: str
    text: str


# What the databases say, in small letters, of what somebody has to mend outside of this program.
_SAID = {
    "busy": ("database is locked", "database table is locked", "lock timeout", "deadlock detected"),
    "full": ("disk is full", "no space left", "disk full"),
    "read-only": ("readonly database", "read-only transaction", "read-only file system"),
    "damaged": ("malformed", "not a database", "could not decode to utf-8", "database corruption"),
}
TROUBLES = {
    "busy": "the store is busy with other changes",
    "full": "the disk of the store is full: nothing can be added until its operator makes room",
    "read-only": "the store cannot be written to for now",
    "damaged": "the store is damaged, or none: ie-crowd restore brings a backup back; without one, ie-crowd ingest "
    "takes published results into a new store",
    "unreachable": "the store cannot be reached for now",
}


def trouble(error: BaseException) -> Trouble | None:
    """What is wrong with the store, where that is what an exception tells; None for a mistake of ours."""
    if isinstance(error, PoolTimeout):
        return Trouble("busy", TROUBLES["busy"])
    if not isinstance(error, DBAPIError):
        return None
    said = one_line(error).lower()
    kind = next((kind for kind, words in _SAID.items() if any(word in said for word in words)), None)
    if kind is None and (error.connection_invalidated or _outside(error)):
        kind = "unreachable"
    return None if kind is None else Trouble(kind, TROUBLES[kind])


def _outside(error: DBAPIError) -> bool:
    """Whether the database or its file failed: not a statement that it does not understand."""
    if isinstance(error.orig, sqlite3.OperationalError):
        name = getattr(error.orig, "sqlite_errorname", "")
        return name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL", "SQLITE_BUSY", "SQLITE_NOMEM"))
    return type(error.orig).__module__.startswith("psycopg") and type(error).__name__ in (
        "OperationalError",
        "InterfaceError",
    )


def probe(engine: Engine) -> None:
    """Write and commit a row of no meaning, without waiting for others; raises what any writer would get.

    A store that somebody else writes to at this moment can be written to.
    """
    from ie_crowd.store.tables import attempt

    try:
        with writing(engine.execution_options(ie_busy_seconds=0)) as connection:
            connection.execute(attempt.delete().where(attempt.c.bucket == "probe"))
            connection.execute(attempt.insert(), {"bucket": "probe", "since": int(time.time()), "count": 0})
    except DBAPIError as error:
        found = trouble(error)
        if found is None or found.kind != "busy":
            raise


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its start; committed at the end, rolled back on an exception."""
    with engine.connect().execution_options(ie_writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            seconds = connection.get_execution_options().get("ie_busy_seconds", BUSY_SECONDS)
            connection.execute(text(f"SET LOCAL lock_timeout = {max(1, int(seconds * 1000))}"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: one state of the database for all its statements."""
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield connection


def _prepare_file(path: Path, create: bool) -> None:
    """The file exists, and only its owner reads it: it holds the hashes of tokens."""
    if path.exists():
        if not path.is_file():
            raise ValueError(f"--store: {path.name!r:.100} is not a file")
        return
    if not create:
        raise ValueError(f"there is no store {path.name!r:.100} there; make one with: ie-crowd ingest DIR")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ValueError(f"--store: {path.name!r:.100} cannot be made ({reason})") from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=8)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: see below
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")  # what was answered outlives a power cut
        cursor.execute("PRAGMA wal_autocheckpoint=8000")  # 32 MB: pages that many rows touch are written once
        cursor.execute("PRAGMA journal_size_limit=67108864")
        cursor.execute("PRAGMA trusted_schema=OFF")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        driver: Any = connection.connection.driver_connection
        milliseconds = int(options.get("ie_busy_seconds", BUSY_SECONDS) * 1000)
        if connection.info.get("busy_milliseconds") != milliseconds:
            driver.execute(f"PRAGMA busy_timeout={milliseconds}")
            connection.info["busy_milliseconds"] = milliseconds
        if options.get("ie_writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # may find the store busy, which becomes a DBAPIError here
        else:
            driver.execute("BEGIN")  # touches no file; a page has a dozen of these

    return engine


def _migrate(engine: Engine, create: bool) -> None:
    """Bring the schema to VERSION; the write lock makes two programs that start at once take turns."""
    with engine.connect() as connection:
        found = _version(connection)
    if found == VERSION:
        return
    if found is not None and (not found.isdigit() or int(found) > int(VERSION)):
        raise ValueError(
            f"the store has schema {found!r:.40}, newer than {VERSION} of this program; update the program"
        )
    if found is None and not create:
        raise ValueError("this database holds no store; make one with: ie-crowd ingest DIR")
    if engine.dialect.name == "sqlite":
        _write_ahead(engine)
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    with _changing(engine) as connection:
        if _version(connection) == VERSION:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if engine.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
            raise ValueError("the store cannot be brought to the schema of this program: it holds keys of no row")


@contextlib.contextmanager
def _changing(engine: Engine) -> Iterator[Connection]:
    """As ``writing``. SQLite can replace a table that others refer to only while it does not look after references."""
    with engine.connect().execution_options(ie_writes=True) as connection:
        driver: Any = connection.connection.driver_connection
        if engine.dialect.name == "sqlite":
            driver.execute("PRAGMA foreign_keys=OFF")  # does nothing inside a transaction
        try:
            with connection.begin():
                if engine.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                yield connection
        finally:
            if engine.dialect.name == "sqlite":
                driver.execute("PRAGMA foreign_keys=ON")


def _version(connection: Connection) -> str | None:
    """The schema's version, None where there is none. Raises ValueError for the database of another program."""
    names = set(connection.dialect.get_table_names(connection))
    if "alembic_version" in names and (not names - {"alembic_version"} or "summary" in names):
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if names:
        raise ValueError("the database belongs to another program; expected an empty one or a store")
    return None


def _write_ahead(engine: Engine) -> None:
    """Switch to the write-ahead log, which the file remembers. Needs the file alone for a moment."""
    deadline = time.monotonic() + 10
    while not _switched(engine, last=time.monotonic() > deadline):
        time.sleep(0.05)


def _switched(engine: Engine, last: bool) -> bool:
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:  # this one statement does not wait for others by itself
        if "locked" not in str(error) or last:
            raise ValueError(f"the store cannot be prepared ({error})") from None
        return False
    finally:
        raw.close()
    return True

"""The databases that the store is tested on: SQLite, and a PostgreSQL server of the test session's own.

The server is started from Debian's binaries (or those on the PATH), in a temporary folder, on a Unix socket only, as
another user where the tests run as root. Where there are none the tests on it are skipped, with
IE_TEST_POSTGRESQL=required (as .ci/run sets) they fail.
"""

import contextlib
import importlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

numbers = itertools.count()


def binaries() -> Path | None:
    """The folder of initdb and postgres; the newest of several."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def as_other_user(home: Path) -> list[str]:
    """The start of a command that runs as a user who may run PostgreSQL; ``home`` becomes that user's."""
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(home, user.pw_uid, user.pw_gid)
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    raise RuntimeError("no user to run PostgreSQL as")


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a server, to which the name of a database is added."""
    folder, required = binaries(), os.environ.get("IE_TEST_POSTGRESQL") == "required"
    if folder is None and required:
        pytest.fail("IE_TEST_POSTGRESQL=required, but there is no initdb: apt-get install postgresql")
    if folder is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    psycopg = importlib.import_module("psycopg") if required else pytest.importorskip("psycopg")
    home = Path(tempfile.mkdtemp(prefix="ie-pg-", dir="/tmp"))  # a short path: a socket's has at most 107 characters
    prefix = as_other_user(home)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    initdb = [folder / "initdb", "-D", home / "data", "-U", "crowd", "--auth=trust", "-E", "UTF8", "--no-sync"]
    done = subprocess.run([*prefix, *initdb], env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    quick = [
        word for setting in ("fsync=off", "full_page_writes=off", "max_connections=40") for word in ("-c", setting)
    ]
    command = [folder / "postgres", "-D", home / "data", "-k", home, "-c", "listen_addresses=", *quick]
    with (home.parent / f"{home.name}.log").open("wb") as log:
        server = subprocess.Popen([*prefix, *command], env=environment, cwd=home, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(host=str(home), user="crowd", dbname="postgres").close()
                break
            except psycopg.OperationalError:
                assert server.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"postgresql://crowd@/{{}}?host={home}"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown
        server.wait(30)
        shutil.rmtree(home, ignore_errors=True)
        Path(log.name).unlink()


@pytest.fixture(scope="session")
def postgresql_template(postgresql):
    """A database that holds an empty store, from which others are copied; (URL pattern, name)."""
    import sqlalchemy
    from ie_crowd.store import database

    execute(postgresql, "CREATE DATABASE template_store")
    engine = database.connect(postgresql.format("template_store"))
    assert isinstance(engine, sqlalchemy.Engine)
    engine.dispose()
    return postgresql


def execute(pattern: str, statement: str) -> None:
    """One statement of the server's own."""
    import psycopg

    url = pattern.format("postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@contextlib.contextmanager
def copied(pattern: str, template: str) -> Iterator[str]:
    """The URL of a PostgreSQL database that is a copy of another one, to which nobody is connected."""
    name = f"store_{next(numbers)}"
    execute(pattern, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield pattern.format(name)
    execute(pattern, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """The URL of an empty store, on either database."""
    pytest.importorskip("sqlalchemy")
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'a store.sqlite3'}"
        return
    with copied(request.getfixturevalue("postgresql_template"), "template_store") as url:
        yield url


@pytest.fixture
def empty_url(request, tmp_path, store_url):
    """The URL of an empty database, on either kind."""
    if store_url.startswith("sqlite"):
        yield store_url
        return
    pattern = request.getfixturevalue("postgresql")
    name = f"empty_{next(numbers)}"
    execute(pattern, f"CREATE DATABASE {name}")
    yield pattern.format(name)
    execute(pattern, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(store_url):
    """An open, empty store, on either database."""
    from ie_crowd.store import database

    one = database.connect(store_url)
    yield one
    one.dispose()

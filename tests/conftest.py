"""Every test gets places of its own: nothing here reads or writes the user's HOME, CM_REPOS or cache."""

import os
import signal
import subprocess
import sys
import zipfile

import pytest
from browsers import axe, chromium, served, world  # noqa: F401 fixtures
from databases import empty_url, engine, postgresql, postgresql_template, store_url  # noqa: F401 fixtures
from flow_place import checkout, place  # noqa: F401 fixtures
from paths import ROOT
from site_people import copied_site, either_site, filled, filled_postgresql, people_site  # noqa: F401 fixtures
from sites import references, site, site_store  # noqa: F401 fixtures

# A shell starts its background jobs with Ctrl-C ignored, and their children inherit that: tests that interrupt a child
# would then wait in vain. A handler of our own is not inherited; a child starts with the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# variables of the user that would change what a test sees
USERS = (
    "CM_SCRIPT_EXTRA_CMD",
    "CM_CORE_SKIP_INTERNAL_REPOS",
    "CM_HOME",
    "CM_INDEX",
    "CM_DEBUG",
    "PYTHONPATH",
    "XDG_CACHE_HOME",
)


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """CM_REPOS, IE_REPR_CACHE and HOME below the test's own folder, for this process and all that it starts."""
    for name in USERS:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home of the test"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CM_REPOS", str(tmp_path / "CM repos"))
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "cache of the test"))
    monkeypatch.setenv("CM_IE_ANY_COPY", "yes")  # tests start copies of this checkout, whichever one pip has installed
    return tmp_path


@pytest.fixture(autouse=True)
def whole_numbers():
    """Training flushes denormals for its whole process; the next test, of anything else, is to have them again."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    """One cache of downloads for all tests that need real data: the first one fills it."""
    return tmp_path_factory.mktemp("cache of the session")


@pytest.fixture(scope="session")
def python_env():
    """What a child needs of the session's environment to find npm, proxies and certificates, HOME included."""
    return dict(os.environ)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from the tracked and new files of this checkout copied to a path with a space."""
    copy = tmp_path_factory.mktemp("wheel") / "a copy of it"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    built = copy.parent / "built here"
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(built)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built / done.stdout.split()[-1]


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel's content, as site-packages would have it: to be put on PYTHONPATH."""
    packages = tmp_path_factory.mktemp("site packages")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():  # our own wheel, names checked by test_packaging
            target = packages / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    return packages

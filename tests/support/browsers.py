"""A real browser for the site's tests: Debian's Chromium without a window, axe from npm, a server on 127.0.0.1.

Where there is no Chromium, or npm cannot be reached, the tests are skipped and say so; with IE_TEST_BROWSER=required
(as .ci/run sets) they fail. Fixtures last for one module: while Playwright runs, no other test can start an event loop.
"""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

AXE = "axe-core@4.14.1"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
SECONDS = 15_000  # milliseconds that a page may take


def missing(what):
    """Skip, or fail where a browser is required."""
    if os.environ.get("IE_TEST_BROWSER") == "required":
        pytest.fail(f"IE_TEST_BROWSER=required, but {what}")
    pytest.skip(f"NOT TESTED IN A BROWSER: {what}")


@pytest.fixture(scope="module")
def axe(request, python_env, tmp_path_factory):
    """The script of axe-core, of one version with one hash, from the cache of the tests or from npm."""
    packed = Path(request.config.cache.mkdir("axe")) / f"{AXE.replace('@', '-')}.tgz"
    if not packed.exists() or _sha512(packed.read_bytes()) != AXE_SHA512:
        if shutil.which("npm") is None:
            missing("there is no npm to fetch axe with: apt-get install npm")
        folder = tmp_path_factory.mktemp("npm")
        command = ["npm", "pack", AXE, "--silent", f"--pack-destination={folder}"]
        done = subprocess.run(command, cwd=folder, env=python_env, capture_output=True, text=True, timeout=120)
        found = list(folder.glob("*.tgz"))
        if done.returncode or not found:
            missing(f"npm could not fetch {AXE}: {done.stderr.strip()[-200:]}")
        content = found[0].read_bytes()
        assert _sha512(content) == AXE_SHA512, "what npm gave is not the axe that these tests know"
        scratch = packed.with_suffix(".new")
        scratch.write_bytes(content)
        os.replace(scratch, packed)
    with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def _sha512(content):
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


@pytest.fixture(scope="module")
def chromium():
    """A Chromium, shared by the tests of a module."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        missing("there is no Chromium: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("there is no playwright: pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class World:
    """A served site, and people who look at it in a browser."""

    def __init__(self, chromium, site, address):
        self.chromium, self.site, self.address = chromium, site, address
        self.ids, self.tokens, self.engine = site.ids, site.tokens, site.engine
        self.sessions = {}
        self.problems = []
        self.contexts = []

    def person(self, name=None, **more):
        """A page of somebody with a browser of their own, logged in under ``name``."""
        if name is not None and name not in self.sessions:
            page = self.person()
            self.log_in(page, name)
            self.sessions[name] = page.context.storage_state()
        state = {"storage_state": self.sessions[name]} if name else {}
        context = self.chromium.new_context(base_url=self.address, **state, **more)
        context.set_default_timeout(SECONDS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("requestfailed", lambda asked: self._failed(page, asked))
        context.on("request", self._asked)
        return page

    def log_in(self, page, name, path="/login"):
        page.goto(path)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Token").fill(self.tokens[name])
        page.get_by_role("main").get_by_role("button", name="Log in").click()
        page.get_by_text("You are logged in.").wait_for()

    def _console(self, message):
        expected = "Failed to load resource: the server responded with a status of 4"
        if message.type in ("error", "warning") and not message.text.startswith(expected):
            self.problems.append(f"{message.page.url}: {message.text}")

    def _failed(self, page, asked):
        if asked.failure != "net::ERR_ABORTED":  # a download, or a page that was left
            self.problems.append(f"{page.url}: {asked.url} {asked.failure}")

    def _asked(self, asked):
        if not asked.url.startswith((self.address, "data:")):
            self.problems.append(f"asks another host: {asked.url}")

    def close(self):
        """End the pages of one test, and say what was wrong on them."""
        for context in self.contexts:
            context.close()
        self.contexts.clear()
        found, self.problems = self.problems, []
        return found


@pytest.fixture(scope="module")
def served(chromium, tmp_path_factory):
    """The site over a filled store, served on 127.0.0.1 by uvicorn in a thread."""
    import uvicorn
    from ie_crowd.store import database, rejected_uploads
    from site_people import Site, fill

    engine = database.connect(tmp_path_factory.mktemp("served") / "store.sqlite3")
    site = Site(engine, fill(engine))
    rejected_uploads.record(engine, "Ada", 422, "result.json: /runs/0/seed is not an integer", 1234, "b" * 64)
    server = uvicorn.Server(uvicorn.Config(site.app, host="127.0.0.1", port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline  # noqa: PT018
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield World(chromium, site, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(10)
    engine.dispose()


@pytest.fixture
def world(served):
    """``served``; the test fails if a page asked another host, broke its policy or said something on the console."""
    yield served
    assert served.close() == []

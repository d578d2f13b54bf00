"""Several processes that serve one site: uploads go on while one is killed, and all of them show the same."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
pytest.importorskip("uvicorn")
from ie_crowd import __main__ as command_line
from ie_crowd.site import supervisor
from ie_crowd.site.api import endpoint
from ie_crowd.store import database
from ie_crowd.store.people import accounts
from paths import ROOT
from served import Client
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
LIST = f"/api/v1/results?challenge={RULES.id}&size=200"
UPLOADS, SENDERS, KILLS = 48, 3, 4


class Served:
    """``ie-crowd serve --workers=2`` over a store with one operator."""

    def __init__(self, url, folder):
        engine = database.connect(url)
        self.token = accounts.add(engine, "Ada", "operator")
        engine.dispose()
        self.url = url
        argv = [sys.executable, "-m", "ie_crowd", "serve", f"--store={url}", "--port=0", "--workers=2"]
        self.errors = (folder / "errors").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*argv, f"--challenge={RULES.folder}"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "cm-repo")},
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
        )
        address = next((line for line in self.process.stdout if line.startswith("http://")), None)
        assert address, Path(self.errors.name).read_text(encoding="utf-8")
        self.port = int(address.split("/")[2].partition(":")[2])

    def workers(self, count=2):
        """Those that serve now, once there are so many."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            found = [one for one in psutil.Process(self.process.pid).children() if one.status() != "zombie"]
            if len(found) == count:
                return found
            time.sleep(0.02)
        raise AssertionError(Path(self.errors.name).read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def connected(self, worker):
        """A connection to this one: all others are stopped while it is made."""
        others = [one for one in self.workers() if one.pid != worker.pid]
        for one in others:
            one.suspend()
        try:
            with Client(self.port) as client:
                assert client.get("/healthz")[0] == 200
                for one in others:
                    one.resume()
                yield client
        finally:
            for one in others:
                one.resume()

    def send(self, document):
        """Upload as ``submit`` does: what got no answer is sent again. Returns the last status."""
        for _ in range(50):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
                connection.request("POST", "/api/v1/results", text(document), headers)
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()
            if status != 503:
                return status
            time.sleep(0.05)
        return None

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=30)
        self.errors.close()


@pytest.fixture
def served(store_url, tmp_path):
    one = Served(store_url, tmp_path)
    yield one
    one.end()


def documents(count, first=0):
    """Results that differ; one seed's values each, so that none is another's copy."""
    return [toy((1.0 + number / 64, 2.0, 3.0 + number / 32), submitter="Ada") for number in range(first, first + count)]


def test_no_upload_is_lost_or_doubled_when_one_is_killed(served):
    sent = documents(UPLOADS)
    answers, killed = {}, set()

    def sender(number):
        for document in sent[number::SENDERS]:
            while len(killed) < KILLS and len(answers) > (len(killed) + 2) * UPLOADS // (KILLS + 2):
                time.sleep(0.005)  # not so fast that all is sent before the last kill
            answers[document["id"]] = served.send(document)

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for share in range(1, KILLS + 1):
        while len(answers) < share * UPLOADS // (KILLS + 2) and any(thread.is_alive() for thread in threads):
            time.sleep(0.005)
        worker = served.workers()[share % 2]
        worker.kill()
        killed.add(worker.pid)
    assert len(answers) < UPLOADS, "all was sent before the last was killed"
    for thread in threads:
        thread.join(60)
    assert len(killed) == KILLS
    assert set(answers.values()) <= {200, 201}, answers  # 200: it was taken in, and only the answer was lost
    lists = []
    for worker in served.workers():
        with served.connected(worker) as client:
            status, headers, body = client.get(LIST)
            lists.append((status, headers["etag"], body))
    assert lists[0] == lists[1]
    found = [one["id"] for one in json.loads(lists[0][2])["results"]]
    assert sorted(found) == sorted(one["id"] for one in sent)
    engine = database.connect(served.url)
    with database.reading(engine) as connection:
        logged = connection.exec_driver_sql("SELECT subject FROM audit WHERE action = 'published' AND actor = 'Ada'")
        assert sorted(row[0] for row in logged) == sorted(one["id"] for one in sent)
    engine.dispose()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0
    assert not [pid for pid in killed if psutil.pid_exists(pid)]


def test_what_one_took_in_another_shows_and_what_one_counted_another_counts(served):
    one, other = served.workers()
    with served.connected(one) as first, served.connected(other) as second:
        for client in (first, second):  # both have kept ranks and lists of the store as it was
            assert client.get("/results")[0] == client.get("/ranking")[0] == 200
        document = documents(1)[0]
        assert served.send(document) == 201
        for client in (first, second):
            assert document["id"] in client.get(LIST)[2].decode()
            assert document["id"][:12] in client.get("/results")[2].decode()
        most, _ = endpoint.WRONG_TOKENS
        guarded, wrong = f"/api/v1/results/{document['id']}/evidence", "Authorization: Bearer iecrowd_no"
        statuses = [client.get(guarded, wrong)[0] for _ in range(most // 2) for client in (first, second)]
        assert set(statuses) == {401}
        assert first.get(guarded, wrong)[0] == second.get(guarded, wrong)[0] == 429
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(30) == 0
    assert "a process of the site" not in Path(served.errors.name).read_text(encoding="utf-8")


def test_they_end_with_their_parent(tmp_path):
    served = Served(f"sqlite:///{tmp_path / 'store.sqlite3'}", tmp_path)
    try:
        workers = served.workers()
        served.process.kill()
        gone, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive
        assert len(gone) == 2
    finally:
        served.end()


def test_one_that_dies_at_once_is_not_started_for_ever_without_a_pause():
    assert [supervisor.pause(times) for times in range(1, 6)] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert supervisor.pause(1000) == supervisor.LONGEST_PAUSE


@pytest.mark.parametrize("given", ["0", "65", "two", "-1", ""])
def test_a_number_of_processes_that_cannot_be(given, capsys):
    with pytest.raises(SystemExit, match="2"):
        command_line.main(["serve", f"--workers={given}"])
    assert "expected 1 to 64" in capsys.readouterr().err
    assert capsys.readouterr().err == ""


def test_a_system_that_cannot_fork_is_told(monkeypatch, capsys):
    monkeypatch.delattr(os, "fork")
    assert command_line.main(["serve", "--workers=2"]) == 2
    assert "--workers=2: this system cannot fork processes; leave --workers out" in capsys.readouterr().err

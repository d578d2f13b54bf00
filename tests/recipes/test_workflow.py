"""The flow of one run, with a stand-in for ie_model: resume, refuse, lock, signals, failures, hostile values."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flow_place import ALL, PATIENCE, alive, one_line
from ie_crowd.challenge import load
from ie_crowd.check import verdict
from ie_crowd.formats import moments, schema
from ie_recipes import flags, program, workflow
from ie_recipes.run import cost, processes, results_folder
from paths import RECIPES, ROOT

HOSTILE = ["with a space", 'a "quote"', "it's", "$(touch hacked)", "`touch hacked`", "a;b|c&d", "ünï"]


def test_whole_flow(place):
    done = place.run(seeds=2, threads=ALL)
    assert done.returncode == 0, done.stderr
    assert place.calls() == ["train", "train", "figures"], "what trains evaluates too"
    entries = sorted(entry.name for entry in place.out.iterdir())
    made = ["SHA256SUMS", "cm-output.json", "figures", "report.html", "result.json", "ro-crate-metadata.json", "runs"]
    assert entries == made, "no marker, no lock, nothing else"
    result = json.loads((place.out / "result.json").read_text())
    assert schema.problems(result) == []
    assert [(run["seed"], run["label_seed"]) for run in result["runs"]] == [(100, 100), (101, 101)]
    first, *_ = done.stdout.splitlines()
    for word in ("mnist", "semi-supervised", "100 labels", "2 runs", "cpu", "expected", str(place.out)):
        assert word in first
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[1:-1])
    assert "classification.error" in done.stdout
    assert str(place.out) in done.stdout.splitlines()[-1]


def test_the_cost_counts_every_step_and_what_was_downloaded(place):
    assert place.run(seeds=2, downloaded=1234).returncode == 0
    cost = json.loads((place.out / "result.json").read_text())["cost"]
    assert cost["download_bytes"] == 1234
    # the stand-in says 60 s and 100 s of training for each run; evaluation and figures took some more
    assert 120 < cost["wall_seconds"] < 120 + PATIENCE
    assert 200 < cost["cpu_seconds"] < 200 + PATIENCE
    assert cost["peak_rss_bytes"] == 10**9


def test_a_cost_that_nobody_counted_is_null(place):
    assert place.run().returncode == 0
    assert json.loads((place.out / "result.json").read_text())["cost"]["download_bytes"] is None


def test_the_cost_of_a_run_that_was_stopped_and_goes_on(place):
    place.run(stand_in={"evaluate 0": "exit 1"}, downloaded=1000)
    first = place.marker()["spent"]["evaluate 0"]
    assert first["wall_seconds"] > 0
    assert place.run(downloaded=34).returncode == 0
    cost = json.loads((place.out / "result.json").read_text())["cost"]
    assert cost["download_bytes"] == 1034
    assert cost["wall_seconds"] > 60 + first["wall_seconds"]


def test_energy_is_known_only_when_every_step_was_measured(place):
    flow = workflow.Flow(
        flags.Request("mnist", "semi-supervised", smoke=True), place.out, device="cpu", reason="", data=None
    )
    took = {"wall_seconds": 1.0, "cpu_seconds": 2.0, "peak_rss_bytes": 5, "joules": 3.0}
    run = {"wall_seconds": 60.0, "cpu_seconds": 100.0, "peak_rss_bytes": 4}
    flow.marker = {"done": ["train 0", "evaluate 0"], "downloaded": 0, "spent": {"train 0": took, "evaluate 0": took}}
    total = flow.cost([run])
    assert total == {
        "wall_seconds": 61.0,  # training says itself what it took
        "cpu_seconds": 102.0,
        "peak_rss_bytes": 5,
        "download_bytes": 0,
        "energy_joules_estimated": 6.0,
    }
    flow.marker["spent"]["evaluate 0"] = cost.added(took, cost.unknown(joules=None))
    assert flow.cost([run])["energy_joules_estimated"] is None
    del flow.marker["spent"]["evaluate 0"]
    assert flow.cost([run])["energy_joules_estimated"] is None


def test_energy_is_of_all_that_is_done_at_once_and_steps_have_none_of_their_own(place, monkeypatch):
    counted = iter([100.0, 130.0])
    monkeypatch.setattr(cost.energy, "counters", lambda device: [cost.energy.Counter(lambda: next(counted), None)])
    with cost.metered("cpu") as took:
        pass
    assert took == {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_rss_bytes": None, "joules": 30.0}
    step = cost.step(2.0, processes.Ended(0, 1.5, 7))
    assert step == {"wall_seconds": 2.0, "cpu_seconds": 1.5, "peak_rss_bytes": 7, "joules": 0.0}
    assert cost.added(step, step)["joules"] == 0.0


TWO_CHILDREN = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from ie_recipes.run import processes
found = []
def job(code):
    found.append((yield [sys.executable, "-c", code]))
work = "x = bytearray({}); sum(range({}))"
processes.together([job(work.format(10**8, 10)), job(work.format(10, 6 * 10**7))], 2, cwd=".", env=os.environ)
print(json.dumps([[ended.peak_rss_bytes, ended.cpu_seconds] for ended in found]))
"""


def test_each_child_is_measured_by_itself(tmp_path):
    """From a process as small as a workflow's: the peak of a child starts with the size of who started it."""
    argv = [sys.executable, "-c", TWO_CHILDREN, str(RECIPES)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE, check=True)
    (small, busy), (large, idle) = sorted(json.loads(done.stdout))
    assert large > 10**8 > small
    assert busy > idle > 0


def test_cm_output_goes_where_cm_was_started(place):
    (place.path / "cm-input.json").write_text("{}")
    assert place.run().returncode == 0
    columns = json.loads((place.path / "cm-output.json").read_text())
    assert columns == json.loads((place.out / "cm-output.json").read_text())
    assert columns["dataset"] == "mnist"


@pytest.mark.parametrize("made", ["cm-output.json", "report.html", "ro-crate-metadata.json", "SHA256SUMS"])
def test_killed_while_the_rest_is_made_gives_the_same_folder(place, made):
    assert place.run().returncode == 0
    whole = {path.name: path.read_bytes() for path in place.out.iterdir() if path.is_file()}
    mark_unfinished(place, json.loads(whole["result.json"]))
    (place.out / made).unlink()
    assert place.run().returncode == 0
    assert {path.name: path.read_bytes() for path in place.out.iterdir() if path.is_file()} == whole


def test_nothing_of_this_machine_is_in_the_result(place):
    assert place.run(data=place.path).returncode == 0
    text = (place.out / "result.json").read_text()
    for private in (str(place.path), str(ROOT), os.environ["HOME"], os.uname().nodename):
        assert private not in text


def test_children_get_a_list_the_results_folder_and_the_threads_of_the_caller(place, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert place.run(labels=600, epochs=3, threads=1, quiet=True, data=place.path).returncode == 0
    train, figures = place.log()
    common = [f"--data={place.path}", "--device=cpu", "--quiet"]
    assert train["argv"] == [
        *["train", "--method=equivae", "--recipe=closed", "--dataset=mnist", "--supervision=semi-supervised"],
        *["--labels=600", "--epochs=3", "--threads=1"],
        *["--smoke", "--seed=100", "--label-seed=100", "--outdir=runs/0", "--evaluate", *common],
    ]
    assert figures["argv"] == ["figures", "runs/0", "--outdir=figures", *common]
    for call in (train, figures):
        assert call["cwd"] == str(place.out)
        assert call["threads"] == "1"


def test_m2_is_a_result_of_another_method_and_claims_nothing_of_the_paper(place):
    assert place.run(method="m2").returncode == 0
    document = json.loads((place.out / "result.json").read_text())
    assert document["config"]["method"] == "m2"
    assert not {"invariant.knn_error", "invariance.shift"} & set(document["metrics"])
    found = verdict.judge(place.out, load.challenge(load.find("ie-repr")))
    rules = [item for item in found.items if item.name in ("rules.config", "rules.division", "rules.metrics")]
    assert {item.state for item in rules} == {"pass"}
    claims = [item for item in found.items if item.name.startswith("claim.")]
    assert {item.state for item in claims} == {"not applicable"}
    assert any("is about the paper's method; this result has method m2" in item.detail for item in claims)
    page = (place.out / "report.html").read_text(encoding="utf-8")
    assert "<h1>m2, closed: mnist, semi-supervised, 100 labels</h1>" in page
    assert "Not the paper's method" in page
    assert "Result of reproducing a paper" not in page


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_arrive_intact(place, name):
    data, out = place.path / "data" / name, place.path / "out" / name
    data.mkdir(parents=True)
    done = place.run(data=data, folder=out)
    assert done.returncode == 0, done.stderr
    assert (out / "result.json").is_file()
    assert f"--data={data}" in place.log()[0]["argv"]
    assert not list(place.path.rglob("hacked"))


@pytest.mark.parametrize("step", ["train 0", "evaluate 0", "train 1", "evaluate 1", "figures 0"])
def test_killed_at_any_step_goes_on_where_it_was(place, step):
    done = place.run({step: "killed"}, seeds=2, threads=ALL)
    assert done.returncode == 1
    assert "incomplete" not in one_line(done)
    assert "go on with: cm run script" in one_line(done)
    marker = place.marker()
    assert marker["identity"]["seeds"] == 2
    assert step.removesuffix(" 0") in marker["missing"] or step in marker["missing"]
    assert f"--outdir={place.out}" in marker["go_on_with"]
    before = place.calls()
    again = place.run(seeds=2, threads=ALL)
    assert again.returncode == 0, again.stderr
    assert "goes on" in again.stdout
    redone = place.calls()[len(before) :]
    whole = {"evaluate 0": ["evaluate", "train", "figures"], "evaluate 1": ["train", "evaluate", "figures"]}
    assert [*before[:-1], *redone] == whole.get(step, ["train", "train", "figures"])
    assert not (place.out / "incomplete.json").exists()


def test_killed_while_assembling_gives_the_same_result(place):
    assert place.run().returncode == 0
    whole = (place.out / "result.json").read_bytes()
    mark_unfinished(place, json.loads(whole))
    assert place.run().returncode == 0
    assert (place.out / "result.json").read_bytes() == whole


@pytest.mark.parametrize("frozen", ["1970-01-01T00:00:07Z", "2199-01-01T00:00:00Z"])
def test_a_clock_that_was_wrong_when_all_was_measured_does_not_keep_the_result_from_coming(place, frozen):
    assert place.run().returncode == 0
    whole = json.loads((place.out / "result.json").read_bytes())
    mark_unfinished(place, {**whole, "created": frozen})
    done = place.run()
    assert done.returncode == 0, done.stderr
    again = json.loads((place.out / "result.json").read_bytes())
    assert moments.problem(again["created"]) is None
    assert again["metrics"] == whole["metrics"]


def test_a_clock_that_is_wrong_still_is_named_and_nothing_is_frozen(tmp_path, monkeypatch):
    request = flags.Request("mnist", "semi-supervised", smoke=True)
    flow = workflow.Flow(request, tmp_path, device="cpu", reason="", data=None, command="cm run script again")
    flow.marker = {"facts": {"created": "1970-01-01T00:00:07Z"}}
    monkeypatch.setattr(workflow.artifact_assemble, "now", lambda: "1970-01-01T01:00:00Z")
    with pytest.raises(program.StopError, match="set the clock of the machine; then go on with: cm run script again"):
        flow.assemble([])


def mark_unfinished(place, result):
    """As if killed just before the marker went."""
    facts = {key: result[key] for key in ("created", "system", "software", "software_sha256", "cost", "provenance")}
    identity = flags.Request("mnist", "semi-supervised", smoke=True).identity()
    marker = {"identity": identity, "done": ["figures"], "missing": [], "facts": {**facts, "submitter": None}}
    results_folder.write_marker(place.out, marker)


@pytest.mark.parametrize("other", [{"labels": 600}, {"epochs": 3}, {"seeds": 3}, {"smoke": False}, {"threads": 1}])
def test_unfinished_run_of_another_config_is_refused(place, other):
    place.run({"train 0": "killed"})
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    done = place.run(**other)
    assert done.returncode == 2
    key = next(iter(other))
    assert key in one_line(done)
    assert {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()} == before


def test_finished_run_is_refused_and_untouched(place):
    assert place.run().returncode == 0
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    done = place.run()
    assert done.returncode == 2
    assert "finished" in one_line(done)
    assert {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "content", [{"thesis.tex": "x"}, {"incomplete.json": "{"}, {"incomplete.json": "[]"}, {".git": "x"}]
)
def test_foreign_folder_is_refused_and_untouched(place, content):
    place.out.mkdir()
    for name, text in content.items():
        (place.out / name).write_text(text)
    done = place.run()
    assert done.returncode == 2
    assert "choose" in one_line(done)
    assert {entry.name: entry.read_text() for entry in place.out.iterdir()} == content


def test_folder_that_cannot_be_made(place):
    (place.path / "file").write_text("")
    done = place.run(folder=place.path / "file" / "out")
    assert done.returncode == 2
    assert "choose another --outdir" in one_line(done)


def test_empty_folder_and_leftovers_of_a_kill_are_new(place):
    place.out.mkdir()
    (place.out / ".lock").write_text("")
    (place.out / ".incomplete.json.123").write_text("{")
    assert place.run().returncode == 0


def test_second_run_in_the_same_folder_is_refused_and_does_no_harm(place):
    process, pid = place.start({"train 0": "wait"})
    done = place.run()
    assert done.returncode == 1
    assert "another run is at work" in one_line(done)
    assert alive(pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    again = place.run()
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_the_child_too_and_says_how_to_go_on(place, number, code):
    process, pid = place.start({"train 0": "wait"})
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert not alive(pid)
    assert place.log()[-1] == {"ended_by": number, "pid": pid}
    [line] = stderr.splitlines()
    assert "go on with: cm run script" in line
    assert place.marker()["missing"][0] == "train 0"
    assert place.run().returncode == 0


def test_ctrl_c_in_a_terminal_reaches_both_and_ends_once(place):
    env = {**os.environ, "STAND_IN": json.dumps({"train 0": "wait"})}
    process = subprocess.Popen(place.argv(), stderr=subprocess.PIPE, text=True, env=env, start_new_session=True)
    pid = place.waiting()
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not alive(pid)
    assert len([entry for entry in place.log() if "ended_by" in entry]) == 1
    assert len(stderr.splitlines()) == 1


def test_failed_run_is_in_the_result_and_in_no_mean(place):
    done = place.run({"train 1": "fail"}, seeds=3)
    assert done.returncode == 1
    assert "1 of 3 runs failed" in one_line(done)
    assert "not finite" in one_line(done)
    result = json.loads((place.out / "result.json").read_text())
    assert [run["status"] for run in result["runs"]] == ["completed", "failed", "completed"]
    assert {metric["n"] for metric in result["metrics"].values()} == {2}
    assert not (place.out / "incomplete.json").exists()


def test_when_every_run_fails_there_is_no_result(place):
    done = place.run({"train 0": "fail"})
    assert done.returncode == 1
    assert "not finite" in one_line(done)
    assert not (place.out / "result.json").exists()
    assert place.marker()


@pytest.mark.parametrize("code", [1, 2])
def test_error_of_ie_model_stops_the_flow_with_its_code(place, code):
    done = place.run({"train 0": f"exit {code}"}, seeds=2, threads=ALL)
    assert done.returncode == code
    assert f"exit code {code}" in one_line(done)
    assert place.calls() == ["train"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_line(place, monkeypatch):
    place.out.mkdir()
    # the marker's temporary file is the first thing written: let it be the device that is always full
    code = (
        "import os, sys, pathlib; sys.path.insert(0, sys.argv[1]); from ie_recipes import workflow;"
        "from ie_recipes.run import results_folder;"
        "results_folder.write_marker = lambda *a: open('/dev/full', 'w', buffering=1).write('x\\n');"
        "sys.exit(workflow.main(sys.argv[2:]))"
    )
    argv = [sys.executable, "-c", code, str(RECIPES), *place.argv()[2:]]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=place.path, timeout=PATIENCE)
    assert done.returncode == 1
    assert "the disk is full" in one_line(done)


@pytest.mark.parametrize("file", ["result.json", "report.html", "ro-crate-metadata.json", "SHA256SUMS"])
def test_a_full_disk_when_all_is_trained_says_what_goes_on(place, file):
    """Each file that is put together in the end: exit status 1, since nothing that was asked for is wrong."""
    code = (
        "import errno, os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from ie_recipes import workflow; replace = os.replace\n"
        "def full(old, new, **more):\n"
        f"    if os.path.basename(new) == {file!r}: raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    return replace(old, new, **more)\n"
        "os.replace = full; sys.exit(workflow.main(sys.argv[2:]))"
    )
    argv = [sys.executable, "-c", code, str(RECIPES), *place.argv()[2:]]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=place.path, timeout=PATIENCE)
    assert done.returncode == 1
    line = one_line(done)
    assert f"{file}: cannot be written (no space left on device)" in line
    assert f"{place.out} keeps what is done, go on with: cm run script " in line
    assert place.run({}).returncode == 0
    assert (place.out / "result.json").exists()


def test_child_that_will_not_listen_is_killed(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w').close(); time.sleep(60)"
    driver = (
        "import sys, pathlib, os; sys.path.insert(0, sys.argv[1]); from ie_recipes.run import processes;"
        "argv = [sys.executable, '-c', sys.argv[2]];"
        "sys.exit(processes.run(argv, cwd=pathlib.Path.cwd(), env=os.environ, patience=0.5))"
    )
    argv = [sys.executable, "-c", driver, str(RECIPES), code]
    process = subprocess.Popen(argv, cwd=tmp_path)
    end = time.monotonic() + PATIENCE
    while not (tmp_path / "up").exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(PATIENCE) == 143


def test_exit_codes_of_a_child(tmp_path):
    def code(text):
        return processes.run([sys.executable, "-c", text], cwd=tmp_path, env=os.environ)

    before = signal.getsignal(signal.SIGTERM)
    assert code("raise SystemExit(7)") == 7
    assert code("import os; os.kill(os.getpid(), 9)") == 137
    assert signal.getsignal(signal.SIGTERM) is before


def test_default_folders_never_meet(tmp_path):
    first = results_folder.default(tmp_path, "mnist-supervised-all")
    first.mkdir(parents=True)
    second = results_folder.default(tmp_path, "mnist-supervised-all")
    assert first != second
    assert first.parent == second.parent == tmp_path / "ie-repr-results"


def test_two_commands_of_the_same_second_get_two_folders(tmp_path):
    with ThreadPoolExecutor(20) as pool:
        folders = list(pool.map(lambda _: results_folder.claimed(tmp_path, "mnist-supervised-all"), range(20)))
    assert len(set(folders)) == 20
    assert all(folder.is_dir() for folder in folders)
    results_folder.forget_empty(folders[0])
    assert not folders[0].exists()
    (folders[1] / "x").touch()
    results_folder.forget_empty(folders[1])
    assert folders[1].exists()


def test_where_no_folder_can_be_claimed_its_name_is_told_all_the_same(tmp_path):
    (tmp_path / "ie-repr-results").write_text("a file")
    folder = results_folder.claimed(tmp_path, "x")
    with pytest.raises(ValueError, match="is not one: choose another --outdir"):
        results_folder.check(folder, {})


def test_what_a_killed_process_left_is_swept(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".incomplete.json.4711").write_text("{")
    (out / ".report.html.4711.tmp").write_text("<")
    results_folder.write_marker(out, {"done": []})
    assert not (out / ".incomplete.json.4711").exists()
    results_folder.finish(out)
    assert list(out.iterdir()) == []


def test_customize_hands_the_end_of_the_workflow_on(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log.jsonl"))
    code = (
        "import json, sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/run-ie-repr']; import customize, pathlib;"
        "from ie_recipes import flags, own_code; flags.root = lambda: pathlib.Path(sys.argv[2]);"
        "own_code.checkout = lambda: [sys.argv[2], sys.argv[2] + '/cm-repo'];"
        "env = json.loads(sys.argv[3]); r = customize.preprocess({'env': env}); print(json.dumps([r, env]))"
    )
    env = {
        "CM_TMP_CURRENT_PATH": str(tmp_path),
        "CM_IE_DATASET": "mnist",
        "CM_IE_SUPERVISION": "supervised",
        "CM_IE_DEVICE": "cpu",
        "CM_IE_DEVICE_REASON": 'no other; it\'s "small"',
    }
    for stand_in, expected in ({"train 0": "exit 2"}, 2), ({}, 0):
        monkeypatch.setenv("STAND_IN", json.dumps(stand_in))
        argv = [sys.executable, "-c", code, str(RECIPES), str(checkout), json.dumps(env)]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE, check=True)
        answer, after = json.loads(done.stdout.splitlines()[-1])
        assert answer["return"] == expected
        assert (
            ("exit code 2" in answer["error"]) if expected else (Path(after["CM_IE_RESULT"]) / "result.json").is_file()
        )
        assert answer.get("error", "").count("\n") == 0


def test_the_challenge_is_where_the_workflow_looks():
    assert load.challenge(load.find("ie-repr")).id == "ie-repr"


@pytest.mark.parametrize("flags_of_python", [{"PYTHONSAFEPATH": "1"}, {"PYTHONPATH": ":{PYTHONPATH}:"}])
def test_it_needs_no_folder_that_python_adds_to_the_path(place, monkeypatch, flags_of_python):
    (place.path / "rich.py").write_text("raise SystemExit('the current folder was imported')")
    for name, value in flags_of_python.items():
        monkeypatch.setenv(name, value.format(**os.environ))
    done = place.run()
    assert done.returncode == 0, done.stderr

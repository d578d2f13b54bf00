"""--depth=metrics and --depth=rerun: local programs on a copy, and which tampering each depth sees."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ie_crowd import __main__ as command_line
from ie_crowd.artifact import assemble
from ie_crowd.challenge import load
from ie_crowd.check import recompute, same_platform, timeboxed, verdict
from ie_crowd.formats import canonical_json, checksums, safetensors_header, strict
from ie_crowd.result import runs as run_documents
from ie_crowd.result import system_info
from paths import ROOT, TOY
from toy_challenge import compute
from toy_challenge.make import FACTS, RULES, run_document, write_folder, write_run


def here():
    """Facts as if the toy's result had been made on this machine."""
    software = [one for one in system_info.software(["pytest"])["software"] if one["name"] == "pytest"]
    return {**FACTS, "system": system_info.describe(), "software": software}


def make(home, runs=None, facts=None):
    """A results folder of the toy with the facts given, by default those of a foreign machine."""
    write_folder(home, runs)
    assemble.assemble(home, challenge=RULES, **(facts or FACTS))
    checksums.write_sha256sums(home)
    return home


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / 'it\'s "results" $(x)', facts=here())


@pytest.fixture
def foreign(tmp_path):
    return make(tmp_path / "foreign")


def deep(home, kind="metrics", rules=RULES, **more):
    """State and detail of the Items of a depth, by name; everything that is said goes nowhere."""
    request = recompute.Request(kind, say=lambda line: None, **more)
    found = verdict.judge(home, rules, request)
    return {
        item.name: item
        for item in found.items
        if item.name.startswith(("recompute", "rerun")) and item.group == "integrity"
    }


def states(home, kind="metrics", **more):
    return {name: item.state for name, item in deep(home, kind, **more).items()}


def tamper(home, change):
    """Change the runs as an attacker does who corrects everything after it: run.json, aggregates, lists, id."""
    for index in range(2):
        path = home / "runs" / str(index) / "run.json"
        run = json.loads(path.read_text())
        change(run, home / "runs" / str(index))
        path.write_text(json.dumps(run))
        (path.parent / "config.json").write_text(json.dumps(run["config"]))
    facts = assemble.facts_of(strict.read_json(home / "result.json"))
    assemble.assemble(home, challenge=RULES, **facts)
    checksums.write_sha256sums(home)


def shallow_failures(home):
    return [item.name for item in verdict.judge(home, RULES).items if item.state == "fail"]


# What passes


def test_an_honest_result_passes_every_depth(folder):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
    assert same_platform.difference(strict.read_json(folder / "result.json"), None) == ""
    found = deep(folder, "rerun")
    assert list(found) == [
        "recompute.forecast.mae", "recompute.flood.recall", "rerun.forecast.mae", "rerun.flood.recall",
    ]  # fmt: skip
    assert {item.state for item in found.values()} == {"pass"}
    assert {item.group for item in found.values()} == {"integrity"}
    assert found["recompute.flood.recall"].detail == "the same to the last digit in 2 runs"
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")} == before


def test_the_shallow_depth_starts_nothing(folder, monkeypatch):
    def never(*_):
        raise AssertionError("started")

    monkeypatch.setattr(timeboxed, "run", never)
    assert deep(folder, "hashes") == {}


def test_the_first_runs_only(folder):
    assert deep(folder, runs=1)["recompute.forecast.mae"].detail == "the same to the last digit in 1 run"


# Tampering that hashes cannot see


def better(run, home):
    run["metrics"]["forecast.mae"] -= 3.5


def test_an_edited_raw_metric_is_caught_by_the_metrics(folder):
    tamper(folder, better)
    assert shallow_failures(folder) == []
    found = deep(folder)
    assert found["recompute.forecast.mae"].state == "fail"
    assert found["recompute.forecast.mae"].detail.startswith(
        "run 0 states 0.5, computed again 4.0 cm; this is the same"
    )
    assert found["recompute.flood.recall"].state == "pass"


def test_a_metric_edited_in_its_last_digit_is_caught_on_the_same_platform(folder):
    tamper(folder, lambda run, home: run["metrics"].update({"forecast.mae": run["metrics"]["forecast.mae"] + 2**-50}))
    assert states(folder) == {"recompute.forecast.mae": "fail", "recompute.flood.recall": "pass"}


def swapped(run, home):
    content = compute.weights(1.0, 99.0)
    (home / "model.safetensors").write_bytes(content)
    run["model_sha256"] = hashlib.sha256(content).hexdigest()


def test_swapped_weights_are_caught_by_the_metrics(folder):
    tamper(folder, lambda run, home: swapped(run, home) if run["seed"] == 0 else None)
    assert shallow_failures(folder) == []
    assert set(states(folder).values()) == {"fail"}


def test_weights_that_change_after_their_hash_was_read_are_not_computed_with(folder, monkeypatch):
    honest = recompute.strict.open_regular
    other = (folder / "runs/1/model.safetensors").read_bytes()

    def exchanged(path, *arguments, **more):
        if path == folder / "runs/0/model.safetensors":
            path.write_bytes(other)  # between the check of the hashes and the copy
        return honest(path, *arguments, **more)

    honest_copy = recompute._copy_weights

    def copy(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(recompute.strict, "open_regular", exchanged)
            honest_copy(*arguments)

    monkeypatch.setattr(recompute, "_copy_weights", copy)
    (item,) = deep(folder).values()
    assert (item.state, item.evidence) == ("not evidenced", "runs/0")
    assert "changed while it was read" in item.detail


def test_weights_and_metrics_swapped_together_are_caught_by_the_rerun(folder):
    def change(run, home):
        if run["seed"] == 0:
            swapped(run, home)
            run["metrics"] = {"forecast.mae": 1.0, "flood.recall": 99.0}

    tamper(folder, change)
    assert shallow_failures(folder) == []
    found = deep(folder, "rerun")
    assert found["recompute.forecast.mae"].state == found["recompute.flood.recall"].state == "pass"
    assert "mean difference +1.5 cm in 2 runs trained again" in found["rerun.forecast.mae"].detail


def test_an_edited_configuration_is_caught_by_the_rerun(folder):
    tamper(folder, lambda run, home: run["config"].update(damping=0.375))
    assert shallow_failures(folder) == []
    found = deep(folder, "rerun")
    assert {name: item.state for name, item in found.items()} == {
        "recompute.forecast.mae": "pass",
        "recompute.flood.recall": "pass",
        "rerun.forecast.mae": "pass",  # two runs that differ by 2 allow a difference of 18: too few to tell
        "rerun.flood.recall": "pass",
    }
    assert found["rerun.forecast.mae"].detail.startswith("mean difference +8 cm in 2 runs trained again")


def test_where_training_repeats_exactly_any_difference_is_caught(folder, foreign, tmp_path):
    rules = local_rules(tmp_path, '--damping={config.damping}"]', '--damping={config.damping}"]\n    exact: true')
    assert states(folder, "rerun", rules=rules)["rerun.forecast.mae"] == "pass"
    for home, state in ((folder, "fail"), (foreign, "pass")):  # on another platform the spread decides
        tamper(home, lambda run, place: run["config"].update(damping=0.375))
        assert states(home, "rerun", rules=rules)["rerun.forecast.mae"] == state


def test_an_edited_configuration_of_one_run_is_held_to_the_tolerance(tmp_path):
    home = make(tmp_path / "one", [run_document(0, 4.0, 90.0)], here())
    run = json.loads((home / "runs/0/run.json").read_text())
    run["config"]["damping"] = 0.375
    (home / "runs/0/run.json").write_text(json.dumps(run))
    (home / "runs/0/config.json").write_text(json.dumps(run["config"]))
    make(home, [run], here())
    found = {name: item.state for name, item in deep(home, "rerun").items() if name.startswith("rerun")}
    assert found == {"rerun.forecast.mae": "fail", "rerun.flood.recall": "pass"}


def test_an_edited_seed_is_caught_by_the_rerun(tmp_path):
    runs = [run_document(seed, 4.0 + seed / 10, 90.0 - seed) for seed in range(5)]  # not what these seeds give
    home = make(tmp_path / "picked", runs, here())
    found = deep(home, "rerun")
    assert {item.state for name, item in found.items() if name.startswith("recompute")} == {"pass"}
    assert {item.state for name, item in found.items() if name.startswith("rerun")} == {"fail"}


# Another platform


def test_another_platform_is_held_to_the_tolerance(foreign):
    assert same_platform.difference(strict.read_json(foreign / "result.json"), None) == "an accelerator"
    assert set(states(foreign).values()) == {"pass"}
    tamper(foreign, lambda run, home: run["metrics"].update({"forecast.mae": run["metrics"]["forecast.mae"] + 0.4}))
    item = deep(foreign)["recompute.forecast.mae"]
    assert item.state == "pass"
    assert item.detail.endswith("other platform (an accelerator), tolerance 0.5")
    tamper(foreign, lambda run, home: run["metrics"].update({"forecast.mae": run["metrics"]["forecast.mae"] + 0.4}))
    assert states(foreign) == {"recompute.forecast.mae": "fail", "recompute.flood.recall": "pass"}


def test_without_a_tolerance_nothing_is_said_of_another_platform(foreign, tmp_path):
    rules = local_rules(tmp_path, "tolerance: {recompute: 0.5, rerun: 1}, ", "")
    tamper(foreign, lambda run, home: run["metrics"].update({"forecast.mae": run["metrics"]["forecast.mae"] + 0.4}))
    assert states(foreign, rules=rules)["recompute.forecast.mae"] == "not evidenced"


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda found: None, ""),
        (lambda found: found["system"].update(cpu_model="Z80"), "cpu_model Z80, here"),
        (lambda found: found["system"].update(python="CPython 2.7"), "python CPython 2.7, here"),
        (
            lambda found: found["software"].append({"name": "no-such-thing", "version": "1"}),
            "no-such-thing 1, here none",
        ),
        (lambda found: found["software"][0].update(version="0.1"), "pytest 0.1, here "),
        (lambda found: found["system"].update(kernel="another"), ""),
    ],
)
def test_what_makes_another_platform(folder, change, difference):
    found = strict.read_json(folder / "result.json")
    change(found)
    assert same_platform.difference(found, None).startswith(difference)
    assert bool(same_platform.difference(found, None)) == bool(difference)
    assert same_platform.difference(found, "cuda") in ("device cuda",)


# The statistics of a rerun


def rerun_item(stated, again, tolerance=True):
    runs = [run_documents.entry(run_document(seed, value, 90.0)) for seed, value in enumerate(stated)]
    name = "forecast.mae" if tolerance else "flood.recall"
    for run in runs:
        run["metrics"] = {name: run["metrics"]["forecast.mae"]}
    found = {"runs": runs, "metrics": {name: {}}}
    return recompute._rerun(name, found, dict(enumerate(again)), RULES, "")


@pytest.mark.parametrize(
    ("stated", "again", "tolerance", "state"),
    [
        ([4], [4], False, "pass"),  # equal
        ([4], [4.9], True, "pass"),  # within the rules' 1
        ([4], [5.1], True, "fail"),
        ([4], [4.1], False, "not evidenced"),  # one run, and nothing to compare with
        ([4, 6, 5], [5, 6, 6], False, "pass"),  # within the spread of the runs: sd 1, t 4.30, 3 reruns: 3.51
        ([4, 6, 5], [7, 9, 8.5], False, "pass"),
        ([4, 6, 5], [8, 10, 9], False, "fail"),
        ([4, 6, 5], [8], False, "pass"),  # one rerun: 6.08 are allowed
        ([4, 6, 5], [10.2], False, "fail"),
        ([4.0, 4.0001], [4.8, 4.8], True, "pass"),  # the tolerance is the least that is allowed
        ([4, 6], [None, None], True, "fail"),
    ],
)
def test_a_rerun_is_compared_with_what_chance_allows(stated, again, tolerance, state):
    assert rerun_item(stated, again, tolerance).state == state


# What is started, and what is not


def local_rules(tmp_path, *changes):
    """The toy's rules with some text replaced, in a folder with its program."""
    home = tmp_path / "my rules"
    home.mkdir(exist_ok=True)
    text = (TOY / "rules.yaml").read_text()
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    (home / "rules.yaml").write_text(text)
    shutil.copy(TOY / "compute.py", home)
    shutil.copy(TOY / "claims.yaml", home)
    return load.challenge(home)


RECOMPUTE = '[python, "{challenge}/compute.py", evaluate, "{run}", "--data={data}"]'


def test_the_program_gets_values_as_they_are_and_a_folder_of_its_own(folder, tmp_path):
    seen = tmp_path / "seen.json"
    program = tmp_path / "look.py"
    program.write_text(
        "import json, os, sys\nrun = sys.argv[1]\n"
        f"open({str(seen)!r}, 'w').write(json.dumps([sys.argv[2:], os.getcwd(), os.listdir(), os.listdir(run),"
        " json.load(open(run + '/config.json')), json.load(open(run + '/run.json'))['metrics'], sys.stdin.read()]))\n"
    )
    argv = f'[python, "{program}", "{{run}}", "{{config.season}}", "{{config.damping}}", "--d={{data}}", "{{seed}}"]'
    rules = local_rules(tmp_path, RECOMPUTE, argv)
    item = deep(folder, rules=rules, runs=1)["recompute"]
    assert (item.state, item.evidence) == ("not evidenced", "runs/0")
    assert item.detail == "run 0: the program of the rules left no metrics in run.json"
    arguments, place, around, inside, config, metrics, given = json.loads(seen.read_text())
    assert arguments == ["wet, warm", "0.25", "0"]  # without --data the argument for it is left out
    assert not Path(place).exists()
    assert around == []
    assert sorted(inside) == ["config.json", "model.safetensors", "run.json"]
    assert (config["damping"], config["seed"], config["label_seed"]) == (0.25, 0, 0)
    assert (metrics, given) == ({}, "")


def test_data_and_device_are_handed_on(folder, tmp_path):
    assert set(states(folder, data=tmp_path).values()) == {"pass"}
    item = deep(folder, data=tmp_path / "nowhere")["recompute"]
    assert item.detail == (
        "run 0: the program of the rules gave nothing: it ended with exit code 2: compute: error: no such data"
    )


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit(3)", "it ended with exit code 3"),
        ("import sys; sys.exit('\\x1b[2Jbad\\nworse')", "it ended with exit code 1: worse"),
        ("import os; os.kill(os.getpid(), 9)", "it ended with signal 9"),
        ("import time; time.sleep(600)", "it was ended after 2 s, the limit of the rules"),
    ],
)
def test_a_program_that_does_not_end_well_is_one_line(folder, tmp_path, program, message):
    (tmp_path / "p.py").write_text(program)
    rules = local_rules(tmp_path, RECOMPUTE, f'[python, "{tmp_path}/p.py"]', "seconds: 60", "seconds: 2")
    item = deep(folder, rules=rules, runs=1)["recompute"]
    assert item.state == "not evidenced"
    assert item.detail == f"run 0: the program of the rules gave nothing: {message}"


def test_a_program_that_is_not_there(folder, tmp_path):
    rules = local_rules(tmp_path, RECOMPUTE, "[no-such-program]")
    assert "'no-such-program' could not be started (no such file" in deep(folder, rules=rules)["recompute"].detail


def test_a_program_past_its_time_takes_its_children_along(tmp_path):
    mark = tmp_path / "mark"
    grandchild = f"import time; time.sleep(3); open({str(mark)!r}, 'w')"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {grandchild!r}]); time.sleep(600)"
    assert "after 1 s" in timeboxed.run([sys.executable, "-c", parent], tmp_path, 1)
    time.sleep(4)
    assert not mark.exists()


def test_rules_without_recipes_say_so(folder, tmp_path):
    text = (TOY / "rules.yaml").read_text()
    rules = local_rules(tmp_path, text[text.index("verification:") :], "")
    assert states(folder, "rerun", rules=rules) == {"recompute": "not evidenced", "rerun": "not evidenced"}


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda home: (home / "runs/0/model.safetensors").unlink(), "fail"),
        (lambda home: (home / "runs/0/model.safetensors").write_bytes(compute.weights(1.0, 1.0)), "not evidenced"),
        (lambda home: (home / "runs/0/config.json").write_text("{}"), "not evidenced"),
        (lambda home: shutil.rmtree(home / "runs"), "fail"),
    ],
)
def test_nothing_is_started_on_what_hashes_refuse(folder, monkeypatch, change, state):
    change(folder)

    def never(*_):
        raise AssertionError("started")

    monkeypatch.setattr(timeboxed, "run", never)
    assert states(folder) == {"recompute": state}


@pytest.mark.parametrize(
    "season", ["--help", "-x", "a\u2014b", "$(touch x)", "a;b", "../../x", "x" * 201, "", "{run}", "--data=/etc"]
)
def test_a_configuration_value_that_is_no_argument_is_refused(tmp_path, season):
    recipe = local_rules(tmp_path, RECOMPUTE, '[python, "{config.season}"]').verification["recompute"]
    with pytest.raises(ValueError, match="which is no argument for a program"):
        recipe.fill({}, {"season": season})


def test_placeholders_in_values_are_not_filled_again(tmp_path):
    rules = local_rules(tmp_path, RECOMPUTE, '[python, "{run}", "{challenge}"]')
    filled = rules.verification["recompute"].fill({"run": "a{challenge}", "challenge": "b"}, {})
    assert filled == [sys.executable, "a{challenge}", "b"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("[]", "a program and its arguments"),
        ("python -m x", "expected a list"),
        ("[python, 7]", "expected a text"),
        ('[python, "{home}"]', "placeholders like {run}"),
        ('[python, "{run!r}"]', "placeholders like {run}"),
        ('[python, "{run:>9}"]', "placeholders like {run}"),
        ('[python, "{config.nothing}"]', "placeholders like {run}"),
        ('[python, "{config.__class__}"]', "placeholders like {run}"),
        ('[python, "{run.__class__}"]', "placeholders like {run}"),
        ('[python, "{"]', "placeholders like {run}"),
        ('[python, "{}"]', "placeholders like {run}"),
        ("[python]\n    exact: true", "expected the keys: argv seconds"),
    ],
)
def test_recipes_that_are_wrong_are_refused_with_their_place(tmp_path, argv, message):
    with pytest.raises(ValueError, match=r"verification\.recompute") as caught:
        local_rules(tmp_path, RECOMPUTE, argv)
    assert message in str(caught.value)


def test_sigterm_takes_the_child_along(folder, tmp_path):
    pid = tmp_path / "pid"
    (tmp_path / "p.py").write_text(f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    rules = local_rules(tmp_path, RECOMPUTE, f'[python, "{tmp_path}/p.py"]')
    argv = [sys.executable, "-m", "ie_crowd", "check", str(folder), f"--challenge={rules.folder}", "--depth=metrics"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "cm-repo"), "TMPDIR": str(scratch)}
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if pid.exists() and pid.read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert list(scratch.iterdir()) == []


def test_the_command_at_depth(folder, capsys):
    assert command_line.main(["check", str(folder), f"--challenge={TOY}", "--depth=metrics"]) == 0
    out = capsys.readouterr()
    assert "recompute.forecast.mae" in out.out
    assert out.err.splitlines() == [f"ie_crowd: recompute: run {n} of 2, at most 60 s" for n in (0, 1)]


# Weights


def header(entries, data=b"", length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(shape, begin, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def test_the_header_of_weights(tmp_path):
    path = tmp_path / "m.safetensors"
    entries = {
        "__metadata__": {"a": "b"},
        "w": tensor([2, 3], 0, 24),
        "b": tensor([], 24, 28),
        "e": tensor([0], 28, 28),
    }
    path.write_bytes(header(entries, bytes(28)))
    assert safetensors_header.read_header(path) == {"w": (2, 3), "b": (), "e": (0,)}


def test_what_the_library_writes_is_read(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    import numpy as np

    path = tmp_path / "m.safetensors"
    numpy.save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.int64)}, path, {"x": "y"})
    assert safetensors_header.read_header(path) == {"a": (3, 4), "b": (5,)}


# What pickle makes of an object whose loading calls a function.
PICKLE = b"\x80\x04\x95\x1d" + bytes(7) + b"\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PICKLE, "is a pickle; expected safetensors"),
        (b"PK\x03\x04" + bytes(100), "is a zip archive, which may hold a pickle; expected safetensors"),
        (b"\x93NUMPY" + bytes(100), "is a NumPy file"),
        (b"", "is cut off"),
        (b"\x00" * 7, "is cut off"),
        (b"\xff" * 100, "is cut off, or no safetensors file"),
        (header({"w": tensor([2], 0, 8)}, bytes(7)), "its header describes"),
        (header({"w": tensor([2], 0, 8)}, bytes(9)), "its header describes"),
        (header({"w": tensor([2], 0, 8), "v": tensor([2], 4, 12)}, bytes(12)), "overlap or leave a gap at byte 8"),
        (header({"w": tensor([2], 4, 12)}, bytes(12)), "overlap or leave a gap at byte 0"),
        (header({"w": tensor([3], 0, 8)}, bytes(8)), "tensor 'w': expected dtype"),
        (header({"w": tensor([2], 8, 0)}, bytes(8)), "tensor 'w': expected dtype"),
        (header({"w": tensor([-2], 0, 8)}, bytes(8)), "tensor 'w': expected dtype"),
        (header({"w": tensor([2.0], 0, 8)}, bytes(8)), "tensor 'w': expected dtype"),
        (header({"w": tensor([True], 0, 4)}, bytes(4)), "tensor 'w': expected dtype"),
        (header({"w": tensor([2], 0, 8, "object")}, bytes(8)), "tensor 'w': expected dtype"),
        (header({"w": tensor([2], 0, 8, ["F32"])}, bytes(8)), "tensor 'w': expected dtype"),
        (header({"w": 7}), "tensor 'w': expected dtype"),
        (header({"w": tensor([2**40] * 16, 0, 8)}, bytes(8)), "tensor 'w': expected dtype"),
        (header([1]), "is no JSON object"),
        (header(b'{"w": NaN}'), "NaN is not a JSON number"),
        (header(b'{"a": 1, "a": 2}'), "'a' appears twice"),
        (header(b'{"a":' * 100), "nested more than 4 levels deep"),
        (header(b" " * (2**20 + 1)), "a header of 1,048,577 bytes, at most 1,048,576 are read"),
    ],
)
def test_weights_that_are_none(folder, content, message):
    (folder / "runs" / "0" / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"0/model\.safetensors: ") as caught:
        safetensors_header.read_header(folder / "runs" / "0" / "model.safetensors")
    assert message in str(caught.value)
    found = {item.name: item for item in verdict.judge(folder, RULES, recompute.Request("metrics")).items}
    assert found["weights format"].state == "fail"
    assert found["recompute"].state == "not evidenced"


def test_weights_that_are_a_pickle_with_every_list_corrected(folder):
    (folder / "runs" / "0" / "model.safetensors").write_bytes(PICKLE)

    def change(run, home):
        run["model_sha256"] = checksums.sha256_file(home / "model.safetensors")[0]

    tamper(folder, change)
    assert shallow_failures(folder) == ["weights format", "model", "weights"]


def test_weights_of_another_suffix(tmp_path):
    run = run_document(0, 4.0, 90.0)
    write_run(tmp_path, run)
    (tmp_path / "runs" / "0" / "model.safetensors").rename(tmp_path / "runs" / "0" / "model.pt")
    found = assemble.assemble(tmp_path, challenge=RULES, **FACTS)
    assert found["id"] == canonical_json.identity(found)
    [item] = [item for item in verdict.judge(tmp_path, RULES).items if item.name == "weights format"]
    assert (item.state, item.detail) == ("fail", "runs/0/model.pt: weights are expected as .safetensors")

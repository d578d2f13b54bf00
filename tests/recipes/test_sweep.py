"""Sweeps with the stand-in for ie_model: the grid and its refusals, resuming, failures, the page, Slurm's script."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
import yaml
from flow_place import PATIENCE
from ie_crowd.challenge import load
from ie_crowd.formats import schema
from ie_crowd.submit import commitment, publication
from ie_recipes.sweep import command, from_cm, grid, works
from ie_recipes.sweep import plan as plans
from paths import RECIPES

from ie_model.config import Config

PROGRAM = str(RECIPES / "ie_recipes" / "sweep" / "command.py")
TINY = ["--dataset=glyphs", "--labels=100,600", "--draws=2", "--smoke", "--at-once=2"]
CELLS = ["glyphs-semi-supervised-100-smoke", "glyphs-semi-supervised-600-smoke"]


def sweep(place, *words, stand_in=None):
    env = {**os.environ, "STAND_IN": json.dumps(stand_in or {})}
    argv = [sys.executable, PROGRAM, *words, f"--outdir={place.out}"]
    return subprocess.run(argv, capture_output=True, text=True, env=env, cwd=place.path, timeout=PATIENCE)


def error(done):
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ie-repr sweep: error: ")]
    return line


def trained(place):
    return [entry["argv"] for entry in place.log() if entry.get("argv", [""])[0] == "train"]


def test_the_recipe_refuses_before_any_dependency_runs_and_hands_on_the_words(tmp_path):
    def asked(**raw):
        i = {"input": raw, "env": {"CM_TMP_CURRENT_PATH": str(tmp_path)}, "run_script_input": {"const": {}}}
        return from_cm.check(i), i["env"]

    answer, env = asked(labels="100,600", smoke=True, learning_rate="0.001", action="run", automation="script")
    assert answer == {"return": 0}
    assert env[from_cm.WORDS] == ["--labels=100,600", "--smoke", "--learning-rate=0.001"]
    answer, env = asked(lables="100")
    assert answer["return"] == 2
    assert "did you mean --labels?" in answer["error"]
    assert from_cm.WORDS not in env
    assert asked(artifacts=["600"])[0]["return"] == 2
    assert "the value is missing" in asked(labels=True)[0]["error"]


def made(**axes):
    return plans.make(grid.read(None, axes), device="auto", data=None, yes=False)


@pytest.mark.parametrize(
    "how",
    [{"recipe": "open"}, {"recipe": "paper", "method": "m2"}, {"dataset": "glyphs", "smoke": True, "kl_start": 2.0}],
)
def test_issued_draws_train_with_exactly_the_settings_that_were_committed_to(tmp_path, how):
    rules = load.challenge(load.find("ie-repr"))
    whole = Config.resolve(**{"dataset": "mnist", **how}).to_dict()
    settings = {key: value for key, value in whole.items() if key not in ("seed", "label_seed")}
    result = {"config": settings, "provenance": {"commit": "e" * 40}}
    trial = publication.Publication(tmp_path, result, rules, [], [])
    file, line = commitment.keep(trial, rules.evidence.issued, "a" * 64, [5000, 7, 2**31 - 1], tmp_path)
    assert shlex.split(line)[-2:] == [f"--grid={file.name}", f"--device={whole['device']}"]
    (request,) = plans.make(grid.read(file, {}), device=whole["device"], data=None, yes=False).cells.values()
    assert tuple(request.draws) == (5000, 7, 2**31 - 1)
    assert {key: value for key, value in request.config().items() if key not in ("seed", "label_seed")} == settings


def test_a_sweep_ends_in_ordinary_results_folders_and_a_page(place):
    done = sweep(place, *TINY)
    assert done.returncode == 0, done.stderr
    assert "4 runs in 2 folders" in done.stdout.splitlines()[0], "the plan comes first"
    for name in CELLS:
        document = json.loads((place.out / name / "result.json").read_text())
        assert schema.problems(document) == []
        assert [run["seed"] for run in document["runs"]] == [100, 101]
        assert (place.out / name / "SHA256SUMS").exists()
        assert not (place.out / name / "incomplete.json").exists()
    text = (place.out / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{name}/report.html"' in text for name in CELLS)
    assert "4 of 4 runs done" in text
    curve = json.loads((place.out / "error_by_labels-glyphs.svg").read_text())
    assert [point[0] for point in curve["measured"][0]["points"]] == [100, 600]
    assert not (place.out / "incomplete.json").exists()
    assert len(trained(place)) == 4
    again = sweep(place, *TINY)
    assert again.returncode == 2
    assert "holds a finished run" in error(again)


def test_stopped_in_the_middle_it_goes_on_with_what_is_missing(place):
    env = {**os.environ, "STAND_IN": json.dumps({"train 1": "wait"})}
    process = subprocess.Popen(
        [sys.executable, PROGRAM, *TINY, f"--outdir={place.out}"], stderr=subprocess.PIPE, text=True, env=env
    )
    place.waiting()
    end = time.monotonic() + PATIENCE
    while not all((place.out / name / "runs" / "0" / "run.json").exists() for name in CELLS):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "go on with: cm run script 'sweep ie-repr'" in errors
    before = len(trained(place))
    done = sweep(place, *TINY)
    assert done.returncode == 0, done.stderr
    seeds = sorted(word for argv in trained(place)[before:] for word in argv if word.startswith("--seed="))
    assert seeds == ["--seed=101", "--seed=101"], "what was done is not done again"


def test_a_failed_run_is_told_with_its_reason_and_the_others_go_on(place):
    done = sweep(place, *TINY, stand_in={"train 1": "fail"})
    assert done.returncode == 1
    assert "the bound is not finite" in error(done)
    text = (place.out / "index.html").read_text(encoding="utf-8")
    assert f"{CELLS[0]}/runs/1: the bound is not finite" in text
    assert all((place.out / name / "result.json").exists() for name in CELLS), "a failed run is a result"


def test_a_run_that_could_not_be_done_is_done_by_the_same_command(place):
    done = sweep(place, *TINY, stand_in={"evaluate 1": "exit 1"})
    assert done.returncode == 1
    assert json.loads((place.out / "incomplete.json").read_text())["missing"] == CELLS
    again = sweep(place, *TINY)
    assert again.returncode == 0, again.stderr
    assert len(trained(place)) == 4, "only the evaluations were done again"


def test_any_setting_and_any_draws_make_a_result_of_the_open_division(place):
    words = ["--dataset=glyphs", "--draws=103,107", "--learning_rate=0.001,0.002", "--smoke"]
    done = sweep(place, *words)
    # the stand-in reads no settings: that each run was asked for with its own is what can be seen here
    asked = [dict(word[2:].partition("=")[::2] for word in argv[1:]) for argv in trained(place)]
    assert sorted((one["seed"], one["learning-rate"]) for one in asked) == [
        ("103", "0.001"), ("103", "0.002"), ("107", "0.001"), ("107", "0.002"),
    ], done.stderr  # fmt: skip
    document = json.loads((place.out / "glyphs-semi-supervised-100-smoke-learning-rate-0.001/result.json").read_text())
    assert document["challenge"]["division"] == "open"
    assert "--learning_rate=0.001" in document["provenance"]["command"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the grid is empty: give --grid=FILE, or axes"),
        (["--labels="], "--labels: the value is missing"),
        (["--method=q-only", "--supervision=supervised"], "the grid contradicts itself at dataset=mnist method=q-only"),
        (["--labels=100,600", "--except=labels=100|600"], "its filter lets no cell through"),
        (["--labels=100", "--except=lables=100"], "lables is no axis of this grid: did you mean labels?"),
        (["--labels=100", "--only=labels=600"], "the grid has no labels=600: expected one of 100"),
        (["--draws=1000", "--kl_start=1..1000"], "has 1,000,000 runs: --yes starts so many"),
        (["--kl_start=0..100/0.1", "--kl_until=0..1/0.0005"], "runs before its filter, expected at most 1,000,000"),
        (["--learning_rat=1"], "unknown flag --learning-rat: did you mean --learning-rate?"),
        (["--seed=1"], "seed is no axis of a grid: use draws"),
        (["--labels=100,100"], "a value comes twice"),
        (["--labels=ten"], "labels=ten: expected a whole number or all"),
        (["--recipe=close"], "recipe=close: expected one of paper, closed, open"),
        (["--labels=200"], "the challenge's task has labels 100, 600, 1000, 3000"),
        (["--device=tpu", "--labels=100"], "--device=tpu: expected one of"),
        (["labels"], "'labels' is one word too many"),
        (["--grid=nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_started(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert command.main([*words, f"--outdir={tmp_path / 'out'}"] if words else ["--outdir=out"]) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_another_grid_in_the_same_folder_is_refused(place):
    sweep(place, *TINY, stand_in={"evaluate 1": "exit 1"})
    done = sweep(place, *TINY[:-2], "--draws=3", "--smoke")
    assert done.returncode == 2
    assert "holds an unfinished run with grid.draws = 2, asked for is 3" in error(done)


def test_a_plan_alone_starts_nothing(place):
    done = sweep(place, *TINY, "--plan")
    assert done.returncode == 0
    assert "4 runs in 2 folders" in done.stdout
    assert not place.out.exists()


def test_slurms_script_has_the_same_commands_and_the_sweep_takes_what_they_leave(place):
    script = place.path / "a folder" / "runs.sbatch"
    script.parent.mkdir()
    done = sweep(place, *TINY, f"--sbatch={script}")
    assert done.returncode == 0, done.stderr
    assert not place.log(), "nothing runs here"
    text = script.read_text()
    assert "#SBATCH --array=0-3" in text
    for number in range(4):
        subprocess.run(["bash", script], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}, check=True)
    before = len(place.log())
    done = sweep(place, *TINY)
    assert done.returncode == 0, done.stderr
    assert {entry["argv"][0] for entry in place.log()[before:]} == {"curve"}, "nothing is trained, measured or drawn"


def test_a_file_and_flags_make_one_grid(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text(yaml.safe_dump({"labels": [100, 600], "draws": "100..102", "kl-start": "1..2/0.5"}))
    found = grid.read(file, {"labels": "1000"})
    assert found.axes == {"dataset": ["mnist"], "labels": [1000], "kl_start": [1.0, 1.5, 2.0]}
    assert found.draw_list(100) == [100, 101, 102]


def test_a_budget_takes_the_first_draws_of_every_cell():
    plan = made(dataset="glyphs", labels="100,600", draws=5, runs=3)
    assert [request.seeds for request in plan.cells.values()] == [2, 1]
    assert [run.number for run in plan.runs] == [0, 0, 1]


def test_hours_are_a_budget_by_the_pace_that_is_known():
    plan = made(dataset="mnist", labels="100", draws=10)
    pace = plans.stated(plan)
    each = pace.seconds(next(iter(plan.cells.values())))
    assert len(plans.within_hours(plan, 4.5 * each / 3600 / 2, pace, at_once=2).runs) == 4
    assert len(plans.within_hours(plan, 0, pace, at_once=2).runs) == 1


def test_a_work_goes_on_from_what_lies_in_its_folder(tmp_path):
    work = works.Work("cell", 0, "glyphs", ("--labels=100",), figures=True)
    assert works.from_text(work.text()).name == "cell/runs/0"
    steps = works.commands(work, tmp_path, tmp_path / "figures", "cpu", None)
    assert next(steps)[:2] == ["train", "--labels=100"]
    with pytest.raises(works.WorkError, match="train ended with exit code 7"):
        steps.send(7)
    (tmp_path / "run.json").write_text('{"status": "trained"}')
    assert next(works.commands(work, tmp_path, tmp_path / "figures", "cpu", None))[0] == "evaluate"
    (tmp_path / "run.json").write_text('{"status": "completed"}')
    assert next(works.commands(work, tmp_path, tmp_path / "figures", "cpu", None))[0] == "figures"

"""A search: what it suggests, what it refuses, and one with the stand-in for ie_model, stopped and gone on with."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import databases
import optuna
import pytest
from flow_place import PATIENCE
from ie_recipes.sweep import from_cm
from ie_recipes.sweep.search import space, study, trials
from paths import RECIPES

PROGRAM = str(RECIPES / "ie_recipes" / "sweep" / "command.py")
AXES = [
    "--dataset=glyphs",
    "--labels=100",
    "--smoke",
    "--recipe=open",
    "--learning_rate=0.001..0.004/0.001",
    "--at-once=2",
]


def search(place, *more, stand_in=None):
    env = {**os.environ, "STAND_IN": json.dumps(stand_in or {})}
    argv = [sys.executable, PROGRAM, *AXES, *more, f"--outdir={place.out}"]
    return subprocess.run(argv, capture_output=True, text=True, env=env, cwd=place.path, timeout=PATIENCE)


def trained(place):
    return [entry["argv"] for entry in place.log() if entry.get("argv", [""])[0] == "train"]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([1, 2, 3], {"low": 1, "high": 3, "step": 1}),
        ([0.001, 0.002, 0.003], {"low": 0.001, "high": 0.003, "step": 0.001}),
        ([0.001, 0.002, 0.004], None),
        ([True, False], None),
        (["a", "b"], None),
        ([3, 2, 1], None),
    ],
)
def test_evenly_spaced_numbers_keep_their_order_and_anything_else_is_a_choice(values, kept):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        seen.add(space.suggested(trial, {"a": values, "b": [7]})["a"])
        study.tell(trial, 0.0)
    assert seen == set(values), "the grid's own numbers, to the last digit, and all of them"
    told = study.trials[0].distributions["a"]
    if kept is None:
        assert isinstance(told, optuna.distributions.CategoricalDistribution)
    else:
        assert {name: getattr(told, name) for name in kept} == pytest.approx(kept)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--search=0"], "expected a number of trials"),
        (["--search=5"], "the grid has 4 cells"),
        (["--search=2", "--draws=100..101"], "settings are chosen on draws below 100"),
        (["--search=2", "--labels=100,600"], "labels has several values"),
        (["--search=2", "--sbatch=x"], "--sbatch contradicts --search"),
        (["--search=2", "--plan"], "--plan contradicts --search"),
        (["--search=2", "--learning_rate=0.001"], "no axis has several values"),
        (["--search=2", "--batch_size=0"], "contradicts itself"),
        (["--search=2", "--storage=postgresql://me:secret@db/x"], "PGPASSWORD"),
        (["--search=2", "--storage=mysql://me@db/x"], "expected a file's name, or postgresql://"),
        (["--storage=a.sqlite"], "add --search=TRIALS"),
        (["--found-by=<b>"], "expected a phrase"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_begun(place, more, told):
    done = search(place, *more)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ie-repr sweep: error: ")]
    assert told in line
    assert "secret" not in line
    assert not place.out.exists()
    assert not trained(place)


def test_a_file_that_is_no_storage_is_refused_in_one_line(place):
    (place.path / "notes.txt").write_text("not a database, but a text that is long enough to be read as one" * 20)
    done = search(place, "--search=2", "--storage=notes.txt")
    assert done.returncode == 2
    assert "notes.txt cannot be used (file is not a database)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_search_ends_in_the_found_setting_as_a_result_that_declares_it(place):
    done = search(place, "--search=4", "--draws=2", stand_in={"curves": {"0.002": [3.0, 1.0]}})
    assert done.returncode == 0, done.stderr
    kept = json.loads((place.out / "search.json").read_text())
    assert (kept["trials"], kept["failed"], kept["draws"]) == (4, 0, [0, 1])
    rows = list(csv.DictReader((place.out / "trials.csv").open(encoding="utf-8")))
    assert len(rows) == 4
    assert len({row["learning_rate"] for row in rows}) == 4, "no setting is trained twice"
    assert (kept["best"]["learning_rate"], kept["best"]["valid_error"]) == (0.002, 1.0)
    words_of = trained(place)
    first = [argv for argv in words_of if "--evaluate" not in argv]
    assert len(first) == 8, "two draws of each trial"
    assert {word for argv in first for word in argv if word.startswith("--seed=")} == {"--seed=0", "--seed=1"}
    (cell,) = (place.out / "found").glob("glyphs-*")
    document = json.loads((cell / "result.json").read_text())
    assert [run["seed"] for run in document["runs"]] == [100, 101, 102, 103, 104]
    assert document["challenge"]["division"] == "open"
    assert document["config"]["learning_rate"] == kept["best"]["learning_rate"]
    assert f"--found-by={kept['trials']} trials" in document["provenance"]["command"].replace("'", "").replace("_", "-")
    page = (place.out / "index.html").read_text(encoding="utf-8")
    assert 'href="found/index.html"' in page
    assert (place.out / "trials.svg").read_bytes().startswith(b"<?xml")
    assert not (place.out / "trials").exists() or not list((place.out / "trials").iterdir()), "weights of trials go"
    again = search(place, "--search=4", "--draws=2")
    assert again.returncode == 2
    assert "holds a finished run" in again.stderr


WRITES = """
import pathlib, sys, time
run = pathlib.Path(sys.argv[1])
run.mkdir()
for epoch in range(1, 1000):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": %d, "valid_error": %d}\\n' % (epoch, 60 - epoch))
    time.sleep(0.3)
"""


class Judged:
    """A trial whose pruner has seen enough at the third epoch."""

    def __init__(self):
        self.heard = []

    def report(self, error, epoch):
        self.heard.append((epoch, error))

    def should_prune(self):
        return len(self.heard) >= 3


def test_a_curve_that_is_worse_than_the_others_ends_its_training(tmp_path):
    trial = Judged()
    argv = [sys.executable, "-c", WRITES, str(tmp_path / "run")]
    with pytest.raises(trials.WorseError, match=r"ended after 3 epochs at 57\.00 %"):
        trials._followed(argv, tmp_path / "run", trial)
    assert trial.heard == [(1, 59.0), (2, 58.0), (3, 57.0)], "each epoch once"
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    time.sleep(0.5)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before, "the training has ended"


def test_where_every_training_fails_there_is_no_result_but_the_reason(place):
    done = search(place, "--search=2", "--at-once=1", stand_in={"train -100": "fail"})
    assert done.returncode == 1
    assert "none of 2 trials came to its end; the first: the bound is not finite" in done.stderr
    assert not (place.out / "found").exists()


def test_killed_in_the_middle_it_goes_on_in_the_same_place(place):
    env = {**os.environ, "STAND_IN": json.dumps({"train -100": "wait"})}
    words = ["--search=2", "--at-once=1"]
    argv = [sys.executable, PROGRAM, *AXES, *words, f"--outdir={place.out}"]
    process = subprocess.Popen(argv, env=env, cwd=place.path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    child = place.waiting()
    process.kill()
    process.wait()
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{child}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists(), "what it had started ends with it"
    (begun,) = (place.out / "trials").iterdir()
    done = search(place, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads((place.out / "search.json").read_text())["trials"] == 2, "the one that was killed counts once"
    folders = [word for argv in trained(place)[1:] for word in argv if "/trials/" in word]
    assert folders[0] == f"--outdir={begun}/0", "its checkpoint is gone on with"


def test_two_folders_share_a_search_by_its_storage(place):
    shared = f"--storage={place.path / 'shared.sqlite'}"
    assert search(place, "--search=2", shared).returncode == 0
    before = len(trained(place))
    place.out = place.path / "another"
    done = search(place, "--search=3", shared)
    assert done.returncode == 0, done.stderr
    tried = [argv for argv in trained(place)[before:] if "--evaluate" not in argv]
    assert len(tried) == 1, "two of three were done there"
    assert json.loads((place.out / "search.json").read_text())["trials"] == 3


def test_two_folders_share_a_search_in_postgresql(place, postgresql):
    """In a schema of its own, beside the tables of a store."""
    pattern, name = postgresql, "a_search"
    databases.execute(pattern, f"CREATE DATABASE {name}")
    shared = f"--storage={pattern.format(name)}"
    done = search(place, "--search=2", shared)
    assert done.returncode == 0, done.stderr
    before, first = len(trained(place)), place.out
    place.out = place.path / "another"
    done = search(place, "--search=3", shared)
    assert done.returncode == 0, done.stderr
    tried = [argv for argv in trained(place)[before:] if "--evaluate" not in argv]
    assert len(tried) == 1, "two of three were done there"
    one, two = (json.loads((out / "search.json").read_text()) for out in (first, place.out))
    assert (one["trials"], two["trials"]) == (2, 3)
    assert not (first / study.FILE).exists()
    assert shared.partition("=")[2] not in (first / "search.json").read_text()
    databases.execute(pattern, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_that_is_not_there_is_one_line(place, postgresql):
    done = search(place, "--search=2", f"--storage={postgresql.format('nowhere')}")
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not trained(place)


def test_the_recipe_asks_for_optuna_where_there_is_a_search(tmp_path):
    def needs(**raw):
        i = {"input": raw, "env": {"CM_TMP_CURRENT_PATH": str(tmp_path)}, "run_script_input": {"const": {}}}
        assert from_cm.check(i) == {"return": 0}
        return i["env"].get(from_cm.NEEDS)

    assert needs(labels="100,600", search="2") == "search"
    assert needs(labels="100,600") is None

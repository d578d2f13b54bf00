"""Ablations: which parts a recipe has, what is said of the runs, and the command, stopped and gone on with."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from model_cli import TINY, run, start
from scipy import stats

from ie_model import ablation, training
from ie_model.config import Config
from ie_model.run import processes, run_folder


def config(**given):
    return Config.resolve(threads=1, **given)


def silent(*_):
    pass


# Parts


def test_a_recipe_has_the_parts_that_its_settings_differ_by():
    first = ["pose", "f-of-all", "groups", "moments", "modulation", "posed-copies", "dear-v", "smoothness", "balance"]
    closed = [*first, "light-labels", "warm-up", "ramp", "sharpness", "cut-sums"]
    assert ablation.parts_of(config()) == closed
    assert ablation.parts_of(config(method="q-only")) == ["smoothness", "balance", "warm-up"]
    assert ablation.parts_of(config(recipe="paper")) == []
    assert ablation.parts_of(config(supervision="supervised")) == ["pose", "dear-v"]
    assert set(ablation.parts_of(config(recipe="open"))) == {*closed, "moved-copies"}
    assert set(ablation.parts_of(config(recipe="open", moved_weight=0.0))) == set(closed)


def test_each_variant_departs_in_its_part_alone():
    whole = config()
    found = ablation.variants(whole)
    assert next(iter(found)) == ablation.WHOLE
    assert found[ablation.WHOLE] == whole
    assert "without-cut-sums" not in found  # too slow unless somebody asks
    for name, variant in list(found.items())[1:-1]:
        own = whole.to_dict()
        changed = {key: value for key, value in variant.to_dict().items() if own[key] != value}
        part = ablation.PARTS[name.removeprefix("without-")]
        assert changed == {key: value for key, value in part.items() if own[key] != value} != {}
    name, plain = list(found.items())[-1]
    parts = "pose f-of-all groups moments modulation posed-copies dear-v smoothness balance light-labels warm-up ramp"
    assert name == "without-" + "+".join([*parts.split(), "sharpness"])
    assert (plain.pose_gain, plain.kl_start, plain.smoothness_weight, plain.balance_weight) == (0, 1, 0, 0)
    assert (plain.complementary, plain.moments_weight, plain.posed_weight) == ("labelled", 0, 0)


def test_parts_can_be_chosen_and_odd_ones_are_refused():
    assert list(ablation.variants(config(), ["pose"])) == [ablation.WHOLE, "without-pose"]
    assert list(ablation.variants(config(), ["cut-sums"]))[1] == "without-cut-sums"
    with pytest.raises(ValueError, match="no 'moved-copies'; expected some of: pose"):
        ablation.variants(config(), ["moved-copies"])


def test_with_more_parts_no_name_stands_for_other_settings_than_before():
    """Or the folder of an earlier ablation could not be gone on with."""
    few = ablation.variants(config(), ["balance", "pose"])
    more = ablation.variants(config(), ["pose", "balance", "smoothness"])
    assert few.items() <= ablation.variants(config(), ["pose", "balance"]).items()
    assert all(more[name] == few[name] for name in few if name in more)
    assert len(few) == 4
    assert set(few) - set(more) == {"without-pose+balance"}


def test_training_without_a_warm_up_takes_no_step_of_it():
    order = training.labelled_order(torch.arange(10).repeat(3), 2, 0, torch.Generator())
    assert order.shape == (0, 10, 2)


# What is said of the runs


def row(error):
    return {"valid_error": error, "bound": -100.0, "kl": 10.0, "seconds": 1.0}


def test_means_have_students_interval_and_differences_are_paired():
    rows = {ablation.WHOLE: [row(1.0), row(3.0), row(5.0)], "without-pose": [row(2.0), row(4.0), row(6.0)]}
    whole, without = ablation.summary(rows)
    low, high = stats.t.interval(0.95, 2, loc=3.0, scale=stats.sem([1.0, 3.0, 5.0]))
    assert whole["valid_error"] == pytest.approx({"mean": 3.0, "half": (high - low) / 2, "n": 3})
    assert whole["difference"] is None
    assert without["difference"] == {"mean": 1.0, "half": 0.0, "n": 3}  # each draw is one point worse
    assert without["changes"] == {"pose_gain": 0.0, "posed_weight": 0.0}


def test_a_failed_run_is_counted_and_in_no_mean():
    rows = {ablation.WHOLE: [row(1.0), row(3.0)], "without-pose": [None, row(4.0)]}
    _, without = ablation.summary(rows)
    assert without["failed"] == 1
    assert without["valid_error"] == {"mean": 4.0, "half": None, "n": 1}
    assert without["difference"] == {"mean": 1.0, "half": None, "n": 1}
    nothing = ablation.summary({ablation.WHOLE: [None], "without-pose": [row(1.0)]})
    assert (nothing[0]["valid_error"], nothing[1]["difference"]) == (None, None)


def test_a_training_that_diverged_is_shown_as_failed(tmp_path, monkeypatch):
    def start(config, place, data, log):
        log.touch()
        run_folder.write_json(place / run_folder.CONFIG, config.to_dict())
        run_folder.write_json(
            place / run_folder.RUN, {"status": "failed" if config.pose_gain == 0 else "trained"} | RUN
        )
        run_folder.append_metrics(place, row(1.0))
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])

    RUN = {"wall_seconds": 1.0}
    for name in ("whole", "without-pose"):
        (tmp_path / ablation.RUNS / f"{name}-0").mkdir(parents=True)
    monkeypatch.setattr(ablation, "_start", start)
    said = []
    found = ablation.measure(config(), None, 1, ["pose"], 2, tmp_path, silent, said.append)
    assert [one["failed"] for one in found["variants"]] == [0, 1]
    assert "without-pose, draw 0: failed" in said


def test_a_file_is_no_folder_for_trainings(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ValueError, match=r"outdir: cannot make .*choose another folder"):
        ablation.measure(config(), None, 1, [], 1, tmp_path / "taken", silent, silent)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_training_that_cannot_be_made_is_told_by_its_last_words(tmp_path, monkeypatch):
    def start(config, place, data, log):
        log.write_text("ie_model: error: the disk is full\n")
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])

    monkeypatch.setattr(ablation, "_start", start)
    with pytest.raises(RuntimeError, match=r"^whole, draw 0: the disk is full$"):
        ablation.measure(config(), None, 1, [], 1, tmp_path, silent, silent)
    assert not (tmp_path / ablation.RESULT).exists()


# Several processes


def sleeping(seconds, code=0):
    return lambda: subprocess.Popen(
        [sys.executable, "-c", f"import time; time.sleep({seconds}); raise SystemExit({code})"]
    )


def test_processes_run_in_order_and_no_more_at_once():
    most = []
    ended = list(
        processes.together([sleeping(0.2, 4), sleeping(0.2, 5), sleeping(0, 6)], 2, lambda now: most.append(len(now)))
    )
    assert sorted(ended) == [(0, 4), (1, 5), (2, 6)]
    assert ended[-1] == (2, 6)
    assert max(most) == 2


def test_whoever_stops_listening_leaves_no_process():
    seen = []
    listening = processes.together([sleeping(0), sleeping(60)], 2, lambda now: seen.extend(now))
    assert next(listening) == (0, 0)
    listening.close()
    assert all(process.poll() is not None for process in seen)
    assert any(process.returncode != 0 for process in seen)  # it was ended, not waited for


# The command

TRAININGS = ["ablate", *TINY, "--parts=pose", "--outdir=a folder"]


def test_an_ablation_goes_on_with_more_draws_and_refuses_other_settings(tmp_path):
    code, out, err = run(*TRAININGS, "--draws=1", cwd=tmp_path)
    assert code == 0, err
    assert "2 trainings to do" in err
    assert "without pose" in out
    assert max(map(len, out.splitlines())) <= 80
    found = json.loads((tmp_path / "a folder" / "ablation.json").read_text())
    assert [one["name"] for one in found["variants"]] == ["whole", "without-pose"]
    kept = tmp_path / "a folder" / "runs" / "without-pose-0"
    assert json.loads((kept / "config.json").read_text())["pose_gain"] == 0
    assert not list(kept.parent.glob("*.log"))
    before = (kept / "run.json").read_bytes()
    code, _, err = run(*TRAININGS, "--draws=2", cwd=tmp_path)
    assert code == 0, err
    assert "2 trainings to do" in err
    assert (kept / "run.json").read_bytes() == before
    assert json.loads((tmp_path / "a folder" / "ablation.json").read_text())["draws"] == 2
    code, _, err = run(*TRAININGS, "--draws=2", "--epochs=1", cwd=tmp_path)
    assert code == 2
    assert "holds a run with epochs=2, asked for epochs=1" in err


def test_a_stopped_ablation_ends_its_trainings_and_keeps_what_is_done(tmp_path):
    process = start(*TRAININGS, "--draws=1", "--epoch-images=100000", cwd=tmp_path)
    runs = tmp_path / "a folder" / "runs"
    deadline = time.monotonic() + 120
    while len(list(runs.glob("*/.lock"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143
    assert "the same command goes on" in err
    assert len(err.splitlines()) == 2  # how many there are to do, and that it was stopped
    assert not list(runs.glob("*/.lock"))  # each training has left its folder
    assert not (tmp_path / "a folder" / "ablation.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed=3"], "--draws=N"),
        (["--draws=0"], "not a whole number above 0"),
        (["--parts=glue"], "no 'glue'; expected some of: pose"),
    ],
)
def test_odd_arguments_are_refused_in_one_line(tmp_path, arguments, said):
    code, out, err = run("ablate", *TINY, "--outdir=out", *arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()

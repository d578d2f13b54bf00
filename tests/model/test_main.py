"""`ie-model` by itself, without CM: the whole path on glyphs, and one line for every mistake."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from model_cli import TINY, run, start
from paths import ROOT
from safetensors.torch import load_file

from ie_model.config import Config
from ie_model.data import glyphs

HOSTILE = 'a run\'s "folder" with $(touch owned)'


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A trained and evaluated run on glyphs, in a folder with a hostile name."""
    place = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IE_REPR_CACHE", str(place / "cache"))
        assert run("train", *TINY, f"--outdir={HOSTILE}", cwd=place) == (0, "", "")
        assert run("evaluate", HOSTILE, cwd=place) == (0, "", "")
    return place


def test_who_stops_reading_hears_nothing_more(tmp_path):
    process = start("info", cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.close()  # as `head` does, only sooner
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141


def test_train_evaluate_figures_and_sample_leave_what_they_promise(finished):
    assert {path.name for path in (finished / HOSTILE).iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "predictions.safetensors",
        "run.json",
    }
    document = json.loads((finished / HOSTILE / "run.json").read_text())
    assert document["status"] == "completed"
    assert set(document["metrics"]) == {
        "classification.error",
        "control.error",
        "invariant.knn_error",
        "elbo",
        "swap.accuracy",
        "equivariant.leakage",
        "equivariant.leakage_linear",
        "equivariant.leakage_means",
        "equivariant.leakage_predicted",
        "judge.accuracy",
        "log_likelihood",
        "log_likelihood_marginal",
        "swap.style_r2",
        "equivariance.r2",
        "invariance.shift",
    }
    assert set(document["details"]["equivariance.r2"]) == {name for name, *_ in glyphs.FACTORS}
    assert document["details"]["log_likelihood"]["samples"] >= 1000
    predicted = load_file(finished / HOSTILE / "predictions.safetensors")
    for name in ("classification.error", "control.error", "invariant.knn_error"):
        wrong = (predicted[name] != predicted["truth"]).float().mean().item()
        assert 100 * wrong == pytest.approx(document["metrics"][name], abs=1e-4)
    assert Config.read(finished / HOSTILE / "config.json").to_dict() == document["config"]
    assert run("figures", HOSTILE, "--outdir=the figures", cwd=finished)[0] == 0
    names = "learning_curves projections reconstructions samples styles transfer traversal".split()
    pictures = sorted(path.name for path in (finished / "the figures").iterdir())
    assert pictures == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert run("sample", HOSTILE, "--out=s.png", "--rows=2", cwd=finished)[0] == 0
    for path in [*(finished / "the figures").iterdir(), finished / "s.png"]:
        start = {".png": b"\x89PNG", ".svg": b"<?xml"}[path.suffix]
        assert path.read_bytes().startswith(start), path
    assert not (finished / "owned").exists()


@pytest.mark.parametrize("supervision", ["semi-supervised", "supervised"])
def test_m2_takes_the_same_path_without_what_needs_f(tmp_path, supervision):
    task = ["--method=m2", f"--supervision={supervision}"]
    assert run("train", *TINY, *task, "--outdir=m2", "--judge-epochs=1", cwd=tmp_path) == (0, "", "")
    assert run("evaluate", "m2", cwd=tmp_path) == (0, "", "")
    document = json.loads((tmp_path / "m2" / "run.json").read_text())
    assert document["config"]["method"] == "m2"
    rules = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/rules.yaml").read_text(encoding="utf-8"))
    [asked] = [t for t in rules["tasks"] if (t["dataset"], t["supervision"]) == ("glyphs", supervision)]
    without = rules["methods"]["method"]["without"]["m2"]
    assert set(document["metrics"]) == set(asked["metrics"]) - set(without)
    assert set(without) == {"invariant.knn_error", "invariance.shift"}
    assert run("figures", "m2", "--outdir=figures", cwd=tmp_path)[0] == 0
    names = "learning_curves projection_of_v reconstructions samples styles traversal".split()
    assert sorted(path.stem for path in (tmp_path / "figures").glob("*.png")) == names


def test_a_supervised_run_says_how_its_neighbours_err_on_validation_images(tmp_path):
    """Whoever trained on test images would be far better on those than on these, which nothing is trained on either."""
    task = ["--supervision=supervised", "--judge-epochs=1", "--outdir=all"]
    assert run("train", *TINY, *task, "--evaluate", cwd=tmp_path) == (0, "", "")
    document = json.loads((tmp_path / "all" / "run.json").read_text())
    told, test = document["details"]["invariant.knn_error"], document["metrics"]["invariant.knn_error"]
    assert (told["validation_images"], told["test_images"]) == (5000, 5000)
    assert 0 < told["validation"] != test
    assert abs(told["validation"] - test) < 5


def test_evaluating_twice_gives_the_same_bits(finished, monkeypatch):
    monkeypatch.setenv("IE_REPR_CACHE", str(finished / "cache"))
    before = (finished / HOSTILE / "run.json").read_bytes()
    assert run("evaluate", HOSTILE, cwd=finished)[0] == 0
    again = json.loads((finished / HOSTILE / "run.json").read_bytes())
    assert again["metrics"] == json.loads(before)["metrics"]
    assert again["judge"]["cached"]


def test_training_and_evaluating_at_once_is_the_same(finished, monkeypatch):
    monkeypatch.setenv("IE_REPR_CACHE", str(finished / "cache"))
    assert run("train", *TINY, "--outdir=at once", "--evaluate", cwd=finished) == (0, "", "")
    apart, at_once = (json.loads((finished / name / "run.json").read_bytes()) for name in (HOSTILE, "at once"))
    assert at_once["status"] == "completed"
    for key in ("metrics", "details", "model_sha256"):
        assert at_once[key] == apart[key]
    assert "trained already" in run("train", *TINY, "--outdir=at once", "--evaluate", cwd=finished)[2]


def test_training_a_finished_run_again_says_so(finished):
    code, _, err = run("train", *TINY, f"--outdir={HOSTILE}", cwd=finished)
    assert code == 0
    assert "trained already" in err


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["train", "--labels=7", "--outdir=x"], 2, "multiple of the 10 classes"),
        (["train", "--epochs=abc", "--outdir=x"], 2, "epochs: got 'abc'"),
        (["train", "--epochs", "-1", "--outdir=x"], 2, "epochs: got -1"),
        (["train", "--epoch=3", "--outdir=x"], 2, "ambiguous option"),
        (["train", "--nonsense=3", "--outdir=x"], 2, "unrecognized arguments: --nonsense=3"),
        (["train"], 2, "--outdir"),
        (["train", "--device=cuda", "--outdir=x"], 2, "cuda"),
        (["train", "--data=nowhere", "--outdir=x"], 2, "nowhere"),
        (["evaluate", "nowhere"], 2, "holds no run"),
        (["figures", "nowhere", "--outdir=f"], 2, "holds no run"),
        (["sample", "nowhere"], 2, "holds no run"),
        (["sample", "nowhere", "--rows=0"], 2, "rows: got 0"),
        (["curve", "nowhere", "--out=c.png"], 2, "nowhere: cannot be drawn"),
        (["curve", "nowhere", "--out=c.jpg"], 2, "ends in .png or .svg"),
        (["dance"], 2, "invalid choice"),
        ([], 2, "COMMAND"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(tmp_path, arguments, code, named, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    got, out, err = run(*arguments, cwd=tmp_path)
    assert (got, out) == (code, "")
    assert named in err
    assert err.count("\n") == 1
    assert err.startswith("ie_model: error: ")


@pytest.mark.parametrize(
    "command", [[], ["train"], ["evaluate"], ["figures"], ["sample"], ["curve"], ["bench"], ["info"]]
)
def test_help_explains_every_command(tmp_path, command):
    code, out, _ = run(*command, "--help", cwd=tmp_path)
    assert code == 0
    assert "usage: ie-model" in out


def test_info_shows_versions_device_and_settings(tmp_path):
    code, out, _ = run("info", "--json", "--labels=600", "--device=cpu", cwd=tmp_path)
    assert code == 0
    facts = json.loads(out)
    assert facts["config"]["labels"] == 600
    assert facts["device"]["kind"] == "cpu"
    assert facts["versions"]["torch"]


def test_a_training_that_diverges_is_one_line_and_a_failed_run_that_stays_one(tmp_path):
    arguments = ["train", *TINY, "--outdir=run"]
    # Batch normalisation keeps whatever the command line can ask for finite; so the epoch is made to give no number.
    diverging = (
        "import sys; from ie_model import __main__, training\n"
        "training.train_epoch = lambda *_: {'bound': float('nan'), 'kl': 1.0, 'images': 1}\n"
        "sys.exit(__main__.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", diverging, *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    code, err = done.returncode, done.stderr
    assert code == 1
    assert "diverged" in err
    assert err.count("\n") == 1
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (document["status"], document["metrics"]) == ("failed", {})
    assert "diverged" in document["error"]
    for again in (arguments, ["evaluate", "run"], ["figures", "run", "--outdir=f"], ["sample", "run"]):
        code, _, err = run(*again, cwd=tmp_path)
        assert code == 2
        assert "holds a run that failed" in err
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == document


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_says_what_is_kept_and_goes_on(tmp_path, number, code):
    arguments = ["train", *TINY, "--epochs=40", "--outdir=run"]
    process = start(*arguments, cwd=tmp_path)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "the same command goes on from there" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run" / "run.json").exists()
    done = metrics.read_bytes().count(b"\n")
    first_lines = metrics.read_bytes().splitlines()[: done - 1]
    assert run(*arguments, cwd=tmp_path)[0] == 0
    assert metrics.read_bytes().splitlines()[: done - 1] == first_lines, "finished epochs were not trained again"
    assert metrics.read_bytes().count(b"\n") == 40


def test_a_swapped_weights_file_is_refused(tmp_path, finished):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (finished / HOSTILE).iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    pickle = b"\x80\x04cos\nsystem\n."
    (broken / "model.safetensors").write_bytes(pickle)
    code, _, err = run("evaluate", "broken", cwd=tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "is damaged or another run's" in err
    document = json.loads((broken / "run.json").read_text())
    document["model_sha256"] = hashlib.sha256(pickle).hexdigest()  # and whoever swapped it says so
    (broken / "run.json").write_text(json.dumps(document))
    code, _, err = run("evaluate", "broken", cwd=tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "not a weights file" in err


def test_a_config_file_gives_the_settings_that_no_flag_does(finished, tmp_path):
    stored = f"--config={finished / HOSTILE / 'config.json'}"
    assert run("train", stored, "--outdir=again", cwd=tmp_path) == (0, "", "")
    original = json.loads((finished / HOSTILE / "run.json").read_text())
    again = json.loads((tmp_path / "again" / "run.json").read_text())
    assert again["config"] == original["config"]
    assert again["model_sha256"] == original["model_sha256"]
    code, _, err = run("train", stored, "--seed=5", "--hidden=0", "--outdir=never", cwd=tmp_path)
    assert (code, err.startswith("ie_model: error: hidden: got 0")) == (2, True)
    code, _, err = run("train", "--config=nowhere.json", "--outdir=never", cwd=tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "nowhere.json: not a configuration" in err


@pytest.mark.parametrize("words", [["--help"], ["info"], ["train", "--help"]])
def test_python_without_docstrings(tmp_path, monkeypatch, words):
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    code, out, err = run(*words, cwd=tmp_path)
    assert (code, err) == (0, "")
    assert out

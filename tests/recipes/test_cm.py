"""The real cm, with a CM_REPOS of its own: what a user types, and what comes back."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cm_repos import register
from ie_crowd.challenge import load
from ie_crowd.check import integrity
from ie_crowd.formats import schema
from paths import ROOT

pytestmark = pytest.mark.real

SMOKE_SECONDS = 600.0  # under a minute on two idle cores; the machine may be busy
PATIENCE = 120.0
CM = str(Path(sys.executable).with_name("cm"))  # of the interpreter that runs the tests, whether or not it is on PATH


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The user's working folder, with what a path may hold; cm knows this checkout, not a copy that pip installed."""
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    folder = tmp_path / 'a "working" folder, $(touch hacked)'
    folder.mkdir()
    register(Path(os.environ["CM_REPOS"]), ROOT)
    return folder


def cm(*arguments, cwd, timeout=PATIENCE, **env):
    """Run cm with a closed stdin, as in CI."""
    return subprocess.run(
        [CM, "run", "script", *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def error_line(done):
    """The one line that says what was wrong."""
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("INFO:")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("CM error: ")
    assert "Traceback" not in done.stdout + done.stderr
    return lines[0]


@pytest.mark.parametrize("dataset", ["mnist", "glyphs"])  # the other recipes hold the same lines (test_recipes)
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--epoch=3"], "did you mean --epochs?"),
        (["--epochs", "5"], "write --epochs=5"),
        (["--epochs=abc"], "whole number"),
        (["--epochs=-1"], "epochs"),
        (["--labels=7"], "multiple of the 10 classes"),
        (["--labels=10"], "complementary"),
        (["--labels=70000"], "labels"),
        (["--labels=$(touch hacked)"], "--labels=$(touch hacked)"),
        (["--version=9.9"], "unknown flag --version"),
        (["_smoke"], "inside the quotes"),
        (["--env.CM_IE_LABELS=7"], "multiple of the 10 classes"),
    ],
)
def test_wrong_flag_is_one_line_before_anything_runs(here, dataset, flags, says):
    done = cm(f"reproduce ie-repr {dataset}", *flags, cwd=here)
    assert done.returncode == 2
    assert says in error_line(done)
    assert list(here.iterdir()) == []
    assert "get ie-deps" not in done.stderr


def test_contradicting_devices(here):
    assert "--device=cuda contradicts" in error_line(cm("reproduce ie-repr mnist _cpu", "--device=cuda", cwd=here))
    done = cm("reproduce ie-repr mnist _cpu _cuda", cwd=here)
    assert done.returncode != 0  # cm's own message


def test_unknown_variation_is_an_error(here):
    assert cm("reproduce ie-repr mnist _smoke _full", cwd=here).returncode != 0
    assert cm("reproduce ie-repr mnist _nonsense", cwd=here).returncode != 0


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here")
def test_cuda_that_is_not_there_is_one_line(here):
    done = cm("reproduce ie-repr glyphs _smoke _cuda", "--quiet", cwd=here)
    assert done.returncode == 2
    assert "cuda" in error_line(done)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"), [({}, "no file"), ({"train-images-idx3-ubyte": "damaged"}, "train-images")]
)
def test_wrong_or_damaged_data_is_one_line_and_untouched(here, content, says):
    data = here / "my data"
    data.mkdir()
    for name, text in content.items():
        (data / name).write_text(text)
    done = cm("reproduce ie-repr mnist _smoke", "--data=my data", "--quiet", cwd=here)
    assert done.returncode == 2
    assert "my data" in error_line(done)
    assert {entry.name: entry.read_text() for entry in data.iterdir()} == content
    assert [entry.name for entry in here.iterdir()] == ["my data"]


def test_outdir_that_cannot_be(here):
    (here / "file").write_text("mine")
    for outdir in ("file", "file/below", "."):
        done = cm("reproduce ie-repr glyphs _smoke", f"--outdir={outdir}", cwd=here)
        assert done.returncode == 2
        assert "--outdir" in error_line(done)
    assert (here / "file").read_text() == "mine"


def test_wrong_flags_answer_from_the_wheel_without_torch(here, installed, tmp_path, monkeypatch):
    # the wheel's content is found on the path as in site-packages; nothing of the checkout is registered
    import cmind
    import cmx4mlops
    import requests
    import yaml

    monkeypatch.delenv("CM_CORE_SKIP_INTERNAL_REPOS")
    shutil.rmtree(os.environ["CM_REPOS"])
    bare = tmp_path / "without torch"
    bare.mkdir()
    for module in (cmind, cmx4mlops, requests, yaml):
        (bare / module.__name__).symlink_to(Path(module.__file__).parent, target_is_directory=True)
    for name in ("certifi", "charset_normalizer", "idna", "urllib3", "giturlparse", "packaging"):
        (bare / name).symlink_to(Path(__import__(name).__file__).parent, target_is_directory=True)
    code = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p or 'site packages' in p]; "
    code += f"sys.path[:0] = [{str(bare)!r}, {str(installed)!r}]; sys.argv[0] = 'cm'; import cmind.cli; cmind.cli.run()"
    argv = [sys.executable, "-I", "-S", "-c", code, "run", "script", "reproduce ie-repr mnist", "--epoch=3"]
    done = subprocess.run(argv, cwd=here, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2, done.stderr
    assert "did you mean --epochs?" in error_line(done)


@pytest.fixture(scope="module")
def glyphs_result(tmp_path_factory):
    """One smoke run on glyphs, in a folder with a space; its folder and what cm said."""
    place = tmp_path_factory.mktemp("glyphs")
    repos, here = place / "CM repos", place / "a folder"
    register(repos, ROOT)
    here.mkdir()
    env = {"CM_REPOS": str(repos), "IE_REPR_CACHE": str(place / "cache"), "HOME": str(place)}
    env["CM_CORE_SKIP_INTERNAL_REPOS"] = "yes"
    done = cm("reproduce ie-repr glyphs _smoke", "--outdir=out here", cwd=here, timeout=SMOKE_SECONDS, **env)
    assert done.returncode == 0, done.stderr
    return here / "out here", done, env


def judged(folder):
    """result.json of a finished folder, once schema, rules and every hash hold."""
    document = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert schema.problems(document) == []
    items = integrity.check(folder, load.challenge(load.find("ie-repr")))
    assert [item for item in items if item.state == "fail"] == []
    return document


def sane(document, chance_error):
    """A smoke run has learnt something, and its numbers are ones that can be."""
    value = {name: metric["value"] for name, metric in document["metrics"].items()}
    assert 0 < value["classification.error"] < chance_error / 2
    assert 0 < value["control.error"] < chance_error
    assert 0 < value["invariant.knn_error"] < chance_error
    assert 0 < value["equivariant.leakage"] < 100
    assert 0 < value["swap.accuracy"] <= 100
    assert -1000 < value["elbo"] < value["log_likelihood"] < 0
    assert value["equivariance.r2"] < 1
    assert value["invariance.shift"] > 0


def test_glyphs_smoke(glyphs_result):
    folder, done, _ = glyphs_result
    document = judged(folder)
    assert document["task"] == {"dataset": "glyphs", "supervision": "semi-supervised", "labels": 100}
    assert document["challenge"]["division"] == "open"
    sane(document, chance_error=90.0)
    assert "classification.error" in done.stdout
    assert str(folder) in done.stdout
    assert len(list((folder / "figures").glob("*.png"))) >= 4
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 3
    assert "bound (nats)" in page
    assert document["cost"]["download_bytes"] == 0
    names = {entry.name for entry in folder.iterdir()}
    assert not names & {"incomplete.json", ".lock"}


def test_m2_smoke(glyphs_result, tmp_path):
    _, _, env = glyphs_result
    done = cm("reproduce ie-repr glyphs _m2 _smoke", "--outdir=m2", cwd=tmp_path, timeout=SMOKE_SECONDS, **env)
    assert done.returncode == 0, done.stderr
    document = judged(tmp_path / "m2")
    assert document["config"]["method"] == "m2"
    assert 0 < document["metrics"]["classification.error"]["value"] < 45
    assert "_m2" in document["provenance"]["command"]


def test_the_result_is_computed_again_from_its_weights(glyphs_result, tmp_path):
    folder, _, env = glyphs_result
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    flags = ["--depth=metrics", "--groups=integrity", "--json"]
    done = cm("evaluate ie-repr", f"--result={folder}", *flags, cwd=tmp_path, timeout=SMOKE_SECONDS, **env)
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout[done.stdout.index("{\n") :])["items"]
    again = [item for item in items if item["name"].startswith("recompute.")]
    assert {item["detail"] for item in again} == {"the same to the last digit in 1 run"}
    assert len(again) == len(json.loads((folder / "result.json").read_text())["metrics"])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_finished_folder_is_refused(glyphs_result):
    folder, _, env = glyphs_result
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = cm("reproduce ie-repr glyphs _smoke", f"--outdir={folder}", cwd=folder.parent, **env)
    assert done.returncode == 2
    assert "finished" in error_line(done)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_to_cm_ends_everything_and_the_folder_says_what_is_missing(here, number, code):
    process = subprocess.Popen(
        [CM, "run", "script", "reproduce ie-repr glyphs _smoke", "--outdir=out", "--quiet"],
        cwd=here,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    marker = here / "out" / "incomplete.json"
    training = here / "out" / "runs" / "0" / "config.json"
    end = time.monotonic() + PATIENCE
    while not training.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert training.exists(), process.communicate()
    children = descendants(process.pid)
    assert len(children) >= 2, "workflow and training"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert stderr.count("CM error: ") == 1
    assert "go on with: cm run script" in stderr
    assert "Traceback" not in stderr
    # it has three seconds to end by itself, in which so small a training may end well; its evaluation does not
    assert {"evaluate 0", "figures"} <= set(json.loads(marker.read_text())["missing"])


def descendants(pid):
    """The process's children and theirs."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found += [int(stat.parent.name), *descendants(int(stat.parent.name))]
    return found


def test_mnist_smoke(here, session_cache, python_env):
    """The main command, on real MNIST from whichever source this machine reaches; then again without any."""
    env = {"IE_REPR_CACHE": str(session_cache), "HOME": python_env.get("HOME", "")}
    done = cm("reproduce ie-repr mnist _smoke", "--quiet", cwd=here, timeout=SMOKE_SECONDS, **env)
    assert done.returncode == 0, done.stderr
    [folder] = (here / "ie-repr-results").iterdir()
    document = judged(folder)
    assert document["task"] == {"dataset": "mnist", "supervision": "semi-supervised", "labels": 100}
    assert {file["name"] for file in document["datasets"][0]["files"]} == {
        *("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    }
    sane(document, chance_error=90.0)
    assert [entry.name for entry in here.iterdir()] == ["ie-repr-results"], "cm left something behind"


def test_an_experiment_of_cm_takes_the_metrics_in(here, session_cache):
    """`cm run experiment` starts the command in a folder of its own, and reads cm-output.json there."""
    argv = [CM, "run", "experiment", "smoke", "--tags=ie-repr", "--", "cm", "run", "script"]
    argv += ["reproduce ie-repr glyphs _smoke", "--quiet"]
    path = os.pathsep.join([str(Path(CM).parent), os.environ["PATH"]])
    env = {**os.environ, "IE_REPR_CACHE": str(session_cache), "PATH": path}
    done = subprocess.run(argv, cwd=here, env=env, capture_output=True, text=True, timeout=SMOKE_SECONDS)
    assert done.returncode == 0, done.stderr
    [stored] = Path(os.environ["CM_REPOS"]).glob("repos/local/experiment/smoke/*/cm-result.json")
    [columns] = json.loads(stored.read_text())
    [made] = stored.parent.glob("*/ie-repr-results/*/result.json")
    document = json.loads(made.read_text())
    assert columns["result"] == document["id"]
    assert columns["classification.error"] == document["metrics"]["classification.error"]["value"]
    assert {"uid", "iso_datetime"} <= set(columns), "CM's own"


@pytest.mark.skipif(not shutil.which("apt-get"), reason="its one source that a package manager reaches is Debian's")
def test_fashion_mnist_smoke(here, session_cache):
    """Its own recipe brings its own data: the Debian package where no mirror answers."""
    env = {"IE_REPR_CACHE": str(session_cache)}
    done = cm("reproduce ie-repr fashion-mnist _smoke", "--quiet", cwd=here, timeout=SMOKE_SECONDS, **env)
    assert done.returncode == 0, done.stderr
    [folder] = (here / "ie-repr-results").iterdir()
    document = judged(folder)
    assert document["task"] == {"dataset": "fashion-mnist", "supervision": "semi-supervised", "labels": 100}
    assert len(document["datasets"][0]["files"]) == 4
    sane(document, chance_error=90.0)

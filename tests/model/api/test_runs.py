"""The library: train, load and ask a run; what it refuses; and that importing the package loads nothing."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
import torch
from paths import ROOT
from small_training import CONFIG, small_training

import ie_model
from ie_model.data import tensors
from ie_model.run import progress

SETTINGS = {name: value for name, value in dataclasses.asdict(CONFIG).items() if name != "device"}
IMAGES = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 1, 2, 3])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "load_training", small_training)
        return ie_model.train(tmp_path_factory.mktemp("api") / "a run", device="cpu", quiet=True, **SETTINGS)


def python(code, **more):
    argv = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    return subprocess.run(argv, capture_output=True, text=True, **more)


def test_importing_the_package_loads_nothing_heavy():
    code = "import ie_model; ie_model.Config.resolve(); print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    assert python(code).stdout.strip() == "[]"


def test_a_kernel_without_the_pins_is_told_what_to_install():
    done = python("sys.modules['torch'] = None; from ie_model import load")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ie_model.MissingPins: ie_model.load: torch is missing in this Python (")
    assert "requirements.txt" in last


@pytest.mark.parametrize(
    ("other", "said"),
    [("", "cannot import name"), ("raise OSError('libcudart.so:\\n not found')", "libcudart.so: not found")],
)
def test_another_torch_than_ours_is_told_the_same(tmp_path, other, said):
    (tmp_path / "torch.py").write_text(other)
    done = python(f"sys.path.insert(0, {str(tmp_path)!r}); from ie_model import EquiVAE")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ie_model.MissingPins: ie_model.EquiVAE: torch"), done.stderr
    assert said in last
    assert "requirements.txt" in last


def test_a_notebook_shows_it_as_one_line_and_no_traceback():
    """IPython shows what `_render_traceback_` of an exception gives, instead of a traceback."""
    from ie_model import MissingPins

    assert MissingPins("what to do")._render_traceback_() == ["what to do"]
    assert MissingPins("what to do")._render_traceback_(MissingPins, None, None) == ["what to do"]


def test_what_there_is_not_is_named_with_what_there_is():
    with pytest.raises(AttributeError, match="expected one of: Config, EquiVAE, Run"):
        _ = ie_model.lode
    assert set(ie_model.__all__) <= set(dir(ie_model))
    assert all(getattr(ie_model, name) for name in ie_model.__all__)


def test_a_trained_run_answers_and_is_the_same_when_it_is_loaded(run):
    assert run.r.shape == (10, 4)
    probabilities = run.probabilities(IMAGES)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(4))
    v = run.style(IMAGES, run.r[CLASSES])
    assert v.shape == (4, 4)
    swapped = run.swap(IMAGES, CLASSES, under=7)
    torch.testing.assert_close(swapped, run.draw(run.r[7], v))
    assert swapped.shape == (4, 1, 28, 28)
    assert 0 <= swapped.min() <= swapped.max() <= 1
    torch.testing.assert_close(run.represent(IMAGES), run.model.f(IMAGES).mean(dim=0))
    again = ie_model.load(run.folder)
    assert torch.equal(again.probabilities(IMAGES), probabilities)
    assert again.config == run.config


def test_the_same_call_trains_nothing_anew(run):
    before = (run.folder / "run.json").read_bytes()
    ie_model.train(run.folder, device="cpu", quiet=True, **SETTINGS)
    assert (run.folder / "run.json").read_bytes() == before


def test_a_run_of_a_results_folder_is_found_by_its_number(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "runs" / "2")
    assert torch.equal(ie_model.load(tmp_path, run=2).r, run.r)
    with pytest.raises(ValueError, match=r"holds no run"):
        ie_model.load(tmp_path, run=1)


def published(run, folder, **changes):
    document = json.loads((run.folder / "run.json").read_text())
    stated = {key: document[key] for key in ("seed", "label_seed", "model_sha256")}
    config = {name: value for name, value in document["config"].items() if name not in ("seed", "label_seed")}
    made = {"config": config, "runs": [stated], "metrics": {"elbo": {"value": -1.5}}} | changes
    (folder / "result.json").write_text(json.dumps(made))
    return folder / "result.json", run.folder / "model.safetensors"


def test_published_weights_are_loaded_if_they_are_the_ones(run, tmp_path):
    loaded = ie_model.load_published(*published(run, tmp_path))
    assert torch.equal(loaded.r, run.r)
    assert loaded.metrics == {"elbo": -1.5}
    wrong = [{"model_sha256": "0" * 64, "seed": 0, "label_seed": 0}]
    with pytest.raises(ValueError, match=r"says 000000000000… of run 0; expected the weights"):
        ie_model.load_published(*published(run, tmp_path, runs=wrong))
    with pytest.raises(ValueError, match=r"no result\.json with a run 0"):
        ie_model.load_published(*published(run, tmp_path, runs=[]))
    with pytest.raises(ValueError, match="cannot be read"):
        ie_model.load_published(published(run, tmp_path)[0], tmp_path / "no weights")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run.swap(IMAGES, CLASSES, under=10), "under: got 10, expected a class from 0 to 9"),
        (lambda run: run.probabilities(IMAGES[0]), r"shape \(1, 28, 28\), expected floats"),
        (lambda run: run.represent((IMAGES * 255).byte()), "torch.uint8"),
        (lambda run: ie_model.train(run.folder, epochs=9, labels=40, dataset="glyphs", device="cpu"), "outdir: .*same"),
        (lambda run: ie_model.train("x", epoch=9), "unknown setting 'epoch'"),
        (lambda run: ie_model.train("x", dataset="strokes", device="cpu"), "other networks than one EquiVAE"),
    ],
)
def test_a_mistake_is_one_line(run, change, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said) as error:
        change(run)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x").exists()


def test_progress_in_a_notebook_is_a_line_under_the_cell(monkeypatch, capsys):
    class Kernel:
        kernel = object()

    monkeypatch.setattr("builtins.get_ipython", Kernel, raising=False)
    row = {"images_per_second": 1234.0, "bound": -99.5, "valid_error": 3.25}
    with progress.bar(2, quiet=False) as update:
        update(0, 0.5, None)
        update(0, 1.0, row)
    assert capsys.readouterr().out == "\repoch 1/2   50%\repoch 1/2  1,234 img/s  bound -99.5  error 3.25 %\n"
    with progress.bar(2, quiet=True) as update:
        update(0, 1.0, row)
    assert capsys.readouterr().out == ""

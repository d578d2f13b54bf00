"""A training on 10 classes of stroke glyphs: the real loop, resumed and measured; and Omniglot's files, made small."""

import contextlib
import io
import math
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from small_training import CPU, silent

from ie_model.config import Config
from ie_model.data import fetch
from ie_model.facts import datasets
from ie_model.new_classes import comparators, drawing, evaluate, images, train
from ie_model.run import checkpoint, journal, run_folder

TINY = {"channels": 4, "hidden": 32, "invariant_dim": 8, "equivariant_dim": 4, "threads": 1, "epoch_images": 192}
CONFIG = Config.resolve(dataset="strokes", labels=200, smoke=True, **TINY)


class Killed(Exception):
    pass


def run(config, folder, progress=silent):
    with run_folder.opened(folder, config):
        return train.train(config, CPU, None, folder, progress)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new classes") / "run"
    return folder, run(CONFIG, folder)


def killed_after_the_first_epoch(epoch, done, row):
    if epoch == 1:
        raise Killed


def test_killed_and_resumed_gives_the_same_weights(trained, tmp_path):
    with pytest.raises(Killed):
        run(CONFIG, tmp_path / "run", killed_after_the_first_epoch)
    assert run(CONFIG, tmp_path / "run")["model_sha256"] == trained[1]["model_sha256"]


def test_killed_within_epochs_and_resumed_takes_no_step_twice(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS", {"cpu": 0.0})
    monkeypatch.setattr(journal, "SHARE", math.inf)
    taken = []

    def kill(epoch, done, row):
        if row is None:
            taken.append((epoch, done))
            if len(taken) % 2 == 0:
                raise Killed

    while not (tmp_path / "run" / run_folder.RUN).exists():
        with contextlib.suppress(Killed):
            run(CONFIG, tmp_path / "run", kill)
    assert len(taken) == len(set(taken)) > 2
    assert run_folder.read_run(tmp_path / "run")["model_sha256"] == trained[1]["model_sha256"]


def test_the_measures_are_those_that_the_rules_ask_for(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path))
    monkeypatch.setattr(images, "SMOKE_JUDGED", 3)
    import yaml
    from paths import ROOT

    rules = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/rules.yaml").read_text(encoding="utf-8"))
    (task,) = [task for task in rules["tasks"] if task["dataset"] == "strokes"]
    found = evaluate.evaluate(CONFIG, trained[0], None, silent, "valid")
    assert set(found.metrics) == set(task["metrics"])
    for name, value in found.metrics.items():
        low, high = rules["metrics"][name]["range"]
        assert low <= value <= high, name
    assert found.details["likeliest.5way_1"]["episodes"] == 20
    behind = found.details["objective.20way_5"]["minus_prototypical"]
    assert behind == pytest.approx(found.metrics["objective.20way_5"] - found.metrics["prototypical.20way_5"])
    assert found.details["row_fitted.5way_1"]["minus_row_fitted"] == 0
    again = evaluate.evaluate(CONFIG, trained[0], None, silent, "valid")
    assert found.metrics == again.metrics


def test_figures_are_drawn(trained, tmp_path):
    paths = drawing.draw_all(CONFIG, trained[0], None, tmp_path, silent)
    assert {path.stem for path in paths} == {"new_classes", "new_styles", "learning_curves"}


def test_which_classes_are_trained_on_is_the_draw_of_labels():
    first, other = (
        images.seen(Config.resolve(dataset="strokes", labels=200, label_seed=seed), None) for seed in (0, 1)
    )
    assert first.images.shape == (10, 20, 1, 28, 28)
    assert not torch.equal(first.images, other.images)
    tested, valid = (images._numbers(CONFIG, part) for part in ("test", "valid"))
    assert len(set(tested) | set(valid) | set(range(CONFIG.facts.classes))) == CONFIG.facts.classes + 200


def test_rows_that_are_fitted_raise_the_bound_and_change_nothing_else(trained):
    networks = train.read_networks(CONFIG, trained[0])
    before = {name: tensor.clone() for name, tensor in networks.m2.state_dict().items()}
    examples = images._strokes([1, 2], 4).images
    rows = comparators.fitted_rows(networks.m2, examples, torch.Generator().manual_seed(0), 60)
    assert all(torch.equal(tensor, before[name]) for name, tensor in networks.m2.state_dict().items())
    assert networks.m2.table is not None
    start = networks.m2.table.detach().mean(dim=0)

    def bound(r):
        x = examples.flatten(0, 1)
        from ie_model.metrics import inference

        noise = torch.zeros(len(x), CONFIG.equivariant_dim)
        return float(inference.infer(networks.m2, x, r, noise)[1].mean())

    assert bound(rows.repeat_interleave(4, dim=0)) > bound(start.repeat(8, 1))


def test_weights_of_another_run_are_refused(trained, tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    for name in (run_folder.CONFIG, run_folder.RUN, run_folder.MODEL):
        (other / name).write_bytes((trained[0] / name).read_bytes())
    tensors, _ = checkpoint.read(other / run_folder.MODEL)
    checkpoint.write(other / run_folder.MODEL, {**tensors, "model.x": torch.zeros(1)}, proved=False)
    with pytest.raises(ValueError, match="damaged or another run's"):
        train.read_networks(CONFIG, other)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": 30}, "labels: got 30, expected 20 for each class to train on, from 40 to 20000 (1000 classes)"),
        ({"labels": "all"}, "labels: got all, expected 20 for each class"),
        ({"method": "m2"}, "expected supervision supervised and method equivae; every run trains M2"),
        ({"supervision": "semi-supervised"}, "expected supervision supervised"),
        ({"batch_size": 10}, "batch_size: got 10, expected at least 12"),
        ({"per_class": 21}, "per_class: got 21, expected 2 to 20"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config.resolve(dataset="strokes", **given)


def drawing_of(number):
    picture = np.full((105, 105), 255, np.uint8)
    picture[40 : 40 + number, 40:60] = 0  # as much ink as its number
    out = io.BytesIO()
    Image.fromarray(picture).convert("1").save(out, "PNG")
    return out.getvalue()


def test_omniglot_is_read_by_alphabet_with_ink_as_one(tmp_path, monkeypatch):
    wanted = {"Greek": 2, "Latin": 1, "Balinese": 1}
    for name in fetch.FILES["omniglot-small"]:
        with zipfile.ZipFile(tmp_path / name, "w") as file:
            for alphabet, characters in wanted.items():
                for c in range(characters):
                    for i in range(20):
                        file.writestr(
                            f"{name[:-4]}/{alphabet}/character{c + 1:02d}/{c:04d}_{i + 1:02d}.png", drawing_of(10 + i)
                        )
    valid = images._omniglot(tmp_path, "valid")
    assert valid.shape == (2, 20, 1, 28, 28), "Greek is in both files, and is read once"
    ink = valid.sum(axis=(2, 3, 4))
    assert (np.diff(ink, axis=1) > 0).all(), "in the order of the drawers"
    assert valid.max() == pytest.approx(1.0)
    assert images._omniglot(tmp_path, "test").shape[0] == 1
    facts = datasets.DATASETS["omniglot-small"]
    monkeypatch.setitem(datasets.DATASETS, "omniglot-small", facts.__class__(**{**vars(facts), "classes": 4}))
    config = Config.resolve(dataset="omniglot-small", labels=40)
    seen = images.seen(config, tmp_path).images
    assert seen.shape == (2, 20, 1, 28, 28), "two of the four turns of one character"
    assert not torch.equal(seen[0], seen[1])

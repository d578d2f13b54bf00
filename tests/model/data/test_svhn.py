"""SVHN through torchvision's own reader, on small .mat files of the test: labels, shapes, and the whole path."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import scipy.io
import torch
from torchvision.datasets import SVHN

from ie_model import config, evaluate, model, training
from ie_model.config import Config
from ie_model.data import fetch, tensors
from ie_model.device.detect import Device
from ie_model.figures import draw as draw_figures
from ie_model.metrics import judge
from ie_model.run import run_folder

CPU = Device("cpu", "a processor", None, None, 1, "asked for")
TRAIN, VALID, TEST = 200, 50, 60


def write_mat(path, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A file as the real one is: X (32, 32, 3, n) of bytes, y (n, 1) from 1 to 10, 10 for the digit 0."""
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.resize(np.arange(1, 11), count)).astype(np.uint8)[:, None]
    x = draw.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
    for i in range(count):  # a bar whose height tells the class, so that there is something to learn
        x[: 3 * int(y[i, 0]), 10:20, :, i] = 250
    scipy.io.savemat(path, {"X": x, "y": y})
    return x, y[:, 0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two small files whose hashes fetch and torchvision know, and facts that fit."""
    place = tmp_path / "a folder"
    place.mkdir()
    splits, files = {}, {}
    for part, count in (("train", TRAIN + VALID), ("test", TEST)):
        name = f"{part}_32x32.mat"
        write_mat(place / name, count, seed=len(part))
        files[name] = hashlib.md5((place / name).read_bytes(), usedforsecurity=False).hexdigest()
        splits[part] = ["http://127.0.0.1:1/", name, files[name]]
    monkeypatch.setitem(fetch.FILES, "svhn", files)
    monkeypatch.setattr(SVHN, "split_list", splits)
    facts = dataclasses.replace(config.DATASETS["svhn"], train=TRAIN, valid=VALID, test=TEST, smallest_class=20)
    monkeypatch.setitem(config.DATASETS, "svhn", facts)
    return place


def small(**given) -> Config:
    tiny = {
        "labels": 100,
        "channels": 4,
        "hidden": 16,
        "epochs": 2,
        "batch_size": 50,
        "control_steps": 5,
        "likelihood_images": 2,
    }
    return Config.resolve(dataset="svhn", threads=1, judge_epochs=1, probe_epochs=1, **(tiny | given))


def test_the_label_ten_is_the_digit_zero_and_pixels_stay_in_place(folder):
    stored = scipy.io.loadmat(folder / "test_32x32.mat")
    test = tensors.load_test(small(), folder)
    assert test.images.shape == (TEST, 3, 32, 32)
    assert test.labels.tolist() == [int(y) % 10 for y in stored["y"][:, 0]]
    assert set(test.labels.tolist()) == set(range(10))
    for image, row, column, channel in ((0, 3, 5, 0), (7, 31, 2, 1), (59, 12, 30, 2)):
        assert test.images[image, channel, row, column] == stored["X"][row, column, channel, image] / np.float32(255)


def test_the_files_that_were_read_are_in_the_result_with_their_sha256(folder):
    assert tensors.describe(small(), fetch.ensure("svhn", folder)) == [
        {
            "name": "svhn",
            "files": [
                {
                    "name": name,
                    "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
                    "bytes": (folder / name).stat().st_size,
                }
                for name in ("train_32x32.mat", "test_32x32.mat")
            ],
        }
    ]


def test_a_file_that_is_not_the_published_one_is_refused(folder):
    write_mat(folder / "train_32x32.mat", TRAIN + VALID, seed=99)
    with pytest.raises(ValueError, match=r"train_32x32\.mat: damaged.*MD5"):
        fetch.ensure("svhn", folder)
    with pytest.raises(ValueError, match="the train part of svhn cannot be read"):
        tensors.load_training(small(), folder)


def test_a_part_of_another_size_is_refused(folder, monkeypatch):
    facts = dataclasses.replace(config.DATASETS["svhn"], test=TEST + 1)
    monkeypatch.setitem(config.DATASETS, "svhn", facts)
    with pytest.raises(ValueError, match="the test part has 60 images and 60 labels from 0 to 9; expected 61"):
        tensors.load_test(small(), folder)


@pytest.mark.parametrize("content", [b"", b"no mat file", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_what_is_no_mat_file_is_one_line(folder, monkeypatch, content):
    (folder / "test_32x32.mat").write_bytes(content)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(SVHN.split_list, "test", ["", "test_32x32.mat", digest])
    with pytest.raises(ValueError, match="the test part of svhn cannot be read") as refused:
        tensors.load_test(small(), folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("supervision", ["semi-supervised", "supervised"])
def test_the_whole_path_in_colour(folder, tmp_path, supervision):
    run = tmp_path / "run"
    settings = small(supervision=supervision, labels=100 if supervision == "semi-supervised" else "all", per_class=5)
    with run_folder.opened(run, settings):
        training.train(settings, CPU, folder, run, lambda *_: None)
    measured = evaluate.evaluate(settings, run, folder, lambda _: None).metrics
    assert all(np.isfinite(value) for value in measured.values())
    rows = run_folder.read_metrics(run)
    assert rows[-1]["bound"] > rows[0]["bound"], "the bound rises"
    if supervision == "semi-supervised":
        pictures = draw_figures.draw_all(settings, run, folder, tmp_path / "figures", lambda _: None)
        assert all(path.stat().st_size > 1000 for path in pictures)
        assert len(pictures) == 14


def test_the_scale_of_the_noise_is_learned():
    network, _ = training.new_model(small(), torch.device("cpu"))
    assert network.decoder.log_scale.shape == (3,)
    assert network.decoder.log_scale.requires_grad
    ink, _ = training.new_model(Config.resolve(channels=4, hidden=16), torch.device("cpu"))
    assert ink.decoder.log_scale is None


def test_networks_take_the_shape_of_the_images():
    settings = small()
    x = torch.rand(2, 3, 32, 32)
    network = model.EquiVAE(settings)
    r, v = torch.zeros(2, settings.invariant_dim), torch.zeros(2, settings.equivariant_dim)
    assert network.decoder(r, v).shape == (2, 3072)
    assert network.decoder.mean_image(r, v).shape == (2, 3, 32, 32)
    assert model.Classifier(settings)(x).shape == (2, 10)
    assert judge.Judge(settings.facts, 10)(x).shape == (2, 10)


def test_its_classes_are_not_equally_frequent_and_nothing_asks_them_to_be():
    assert Config.resolve(dataset="svhn").balance_weight == 0
    assert Config.resolve(dataset="svhn").labels == 1000
    assert json.dumps(Config.resolve(dataset="svhn").facts.label_grid) == "[1000, 3000]"

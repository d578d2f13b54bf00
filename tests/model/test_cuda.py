"""What only a GPU shows: recorded steps compute what steps taken one kernel at a time do, and no step waits for it."""

import dataclasses

import pytest
import torch
from small_training import CONFIG, run, silent, small_training, weights

from ie_model import training
from ie_model.config import Config
from ie_model.data import tensors
from ie_model.device.runtime import prepare
from ie_model.run import journal

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU that torch can use")
GPU = dataclasses.replace(CONFIG, device="cuda", smoothness_until=0.5)


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(tensors, "load_training", small_training)


def of(name: str) -> Config:
    return {
        "semi-supervised": GPU,
        "supervised": dataclasses.replace(GPU, supervision="supervised", labels="all"),
        "m2": dataclasses.replace(GPU, method="m2"),
        "open": dataclasses.replace(GPU, moved_weight=30.0),
        "bf16": dataclasses.replace(GPU, bf16=True),
        "improved": dataclasses.replace(
            GPU, complementary="all", prototype_weight=1.0, moments_weight=3.0, adversary_weight=1.0, modulated=True,
            posed_weight=30.0, average_decay=0.9,
        ),
        "paper": dataclasses.replace(GPU, recipe="paper", sum_tolerance=0.01, smoothness_weight=0.0),
        "q-only": dataclasses.replace(GPU, method="q-only"),
    }[name]  # fmt: skip


KINDS = ("semi-supervised", "supervised", "m2", "open", "bf16", "improved", "paper", "q-only")


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_steps_give_the_bits_of_eager_ones(tmp_path, kind):
    config = of(kind)
    recorded, eager = (run(one, tmp_path / str(one.eager)) for one in (config, dataclasses.replace(config, eager=True)))
    assert recorded["status"] == eager["status"] == "trained"
    left, right = weights(tmp_path / "False"), weights(tmp_path / "True")
    apart = {name: float((left[name].float() - right[name].float()).abs().max()) for name in left}
    assert max(apart.values()) == 0, apart


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bits(tmp_path, kind):
    first, again = (run(of(kind), tmp_path / name) for name in ("a", "b"))
    assert first["model_sha256"] == again["model_sha256"]


@pytest.mark.parametrize("every", [5.0, 0.0])  # between epochs, and within them
@pytest.mark.parametrize("killed_in", [0, 1, 2])
def test_killed_and_resumed_is_the_same_as_never_killed(tmp_path, monkeypatch, every, killed_in):
    monkeypatch.setattr(journal, "SECONDS_ELSEWHERE", every)
    whole = run(GPU, tmp_path / "whole")

    def kill(epoch, share, row):
        if epoch == killed_in and share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(GPU, tmp_path / "killed", kill)
    assert run(GPU, tmp_path / "killed")["model_sha256"] == whole["model_sha256"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eager", [False, True])
def test_no_step_waits_for_the_gpu(kind, eager):
    config = dataclasses.replace(of(kind), eager=eager)
    device = prepare(config)
    images = training.to_device(small_training(config, None), device)
    model, optimiser = training.new_model(config, device)
    take = training.step_of(config, model.train(), optimiser, images)
    counts = []

    def watched(epoch, share, row):
        if share < 1:  # between the first and the last step: outside them an epoch may read what it likes
            torch.cuda.set_sync_debug_mode("error")
            counts.append(share)
        else:
            torch.cuda.set_sync_debug_mode("default")

    try:
        training.train_epoch(config, 0, take, images, silent)  # kernels are chosen and graphs recorded here
        training.train_epoch(config, 1, take, images, silent)
        training.train_epoch(dataclasses.replace(config, smoothness_until=1.0), 1, take, images, watched)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert counts


def test_the_gpu_computes_what_the_processor_does(tmp_path):
    one = dataclasses.replace(GPU, epochs=1, epoch_images=200, control_steps=0, warm_up_steps=0)
    device = prepare(one)
    rows = []
    for config, place in ((dataclasses.replace(one, device="cpu"), torch.device("cpu")), (one, device)):
        images = training.to_device(small_training(config, None), place)
        model, optimiser = training.new_model(config, place)
        rows.append(
            training.train_epoch(config, 0, training.step_of(config, model.train(), optimiser, images), images, silent)
        )
    # the noise differs: each device draws its own
    assert rows[1]["bound"] == pytest.approx(rows[0]["bound"], rel=0.05)

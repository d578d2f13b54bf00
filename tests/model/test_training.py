"""Training: it learns, repeats bit for bit, goes on exactly where it was killed, and never sees a hidden label."""

import contextlib
import dataclasses
import itertools
import math

import pytest
import torch
from small_training import CONFIG, run, silent, small_training
from torch.utils._python_dispatch import TorchDispatchMode

from ie_model import training
from ie_model.config import Config
from ie_model.data import glyphs, tensors
from ie_model.objective import schedules
from ie_model.run import checkpoint, journal, run_folder


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(tensors, "load_training", small_training)


def epoch_of(config: Config, model, optimiser, images: tensors.Training) -> dict:
    return training.train_epoch(config, 0, training.step_of(config, model.train(), optimiser, images), images, silent)


@pytest.mark.parametrize("method", ["equivae", "m2", "q-only"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(tmp_path, method):
    config = dataclasses.replace(CONFIG, method=method)
    first, again = run(config, tmp_path / "a"), run(config, tmp_path / "b")
    assert first["model_sha256"] == again["model_sha256"]
    other = run(dataclasses.replace(config, seed=1), tmp_path / "c")
    assert other["model_sha256"] != first["model_sha256"]


def test_what_is_free_is_gone_where_the_kl_has_its_full_weight():
    config = dataclasses.replace(CONFIG, free_nats=0.4, kl_until=0.8)
    left = [schedules.scheduled(config, done)[4] for done in (0.0, 0.4, 0.8, 1.0)]
    assert left == pytest.approx([0.4, 0.2, 0.0, 0.0])
    assert schedules.kl_weight(config, 0.8) == 1.0


def test_copies_count_more_and_more_until_the_ramp_ends():
    config = dataclasses.replace(CONFIG, moved_weight=10.0, moved_ramp=0.4)
    assert [schedules.scheduled(config, done)[5] for done in (0.0, 0.2, 0.4, 1.0)] == pytest.approx([0, 5, 10, 10])
    at_once = dataclasses.replace(config, moved_ramp=0.0)
    assert [schedules.moved_weight(at_once, done) for done in (0.0, 1.0)] == [10, 10]


def test_the_optimiser_has_the_settings_of_the_run():
    _, optimiser = training.new_model(
        dataclasses.replace(CONFIG, adam_beta2=0.5, learning_rate=0.125), torch.device("cpu")
    )
    assert (optimiser.betas, optimiser.lr) == ((0.9, 0.5), 0.125)


@pytest.mark.parametrize("supervision", ["semi-supervised", "supervised"])
@pytest.mark.parametrize("killed_in", [0, 1, 2])
def test_killed_and_resumed_is_the_same_as_never_killed(tmp_path, supervision, killed_in):
    labels = 40 if supervision == "semi-supervised" else "all"
    config = dataclasses.replace(CONFIG, supervision=supervision, labels=labels)
    whole = run(config, tmp_path / "whole")

    def kill(epoch: int, share: float, row: dict | None) -> None:
        if epoch == killed_in and share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "killed", kill)
    assert not (tmp_path / "killed" / run_folder.RUN).exists()
    resumed = run(config, tmp_path / "killed")
    assert resumed["model_sha256"] == whole["model_sha256"]
    rows = [run_folder.read_metrics(tmp_path / name) for name in ("whole", "killed")]
    clock = ("seconds", "images_per_second")
    assert [{k: v for k, v in row.items() if k not in clock} for row in rows[0]] == [
        {k: v for k, v in row.items() if k not in clock} for row in rows[1]
    ]


@pytest.mark.parametrize("supervision", ["semi-supervised", "supervised"])
def test_killed_in_every_epoch_and_resumed_within_it_is_the_same(tmp_path, monkeypatch, supervision):
    labels = 40 if supervision == "semi-supervised" else "all"
    config = dataclasses.replace(CONFIG, supervision=supervision, labels=labels)
    whole = run(config, tmp_path / "whole")
    monkeypatch.setattr(journal, "SECONDS", {"cpu": 0.0})
    monkeypatch.setattr(journal, "SHARE", math.inf)
    taken: list[tuple[int, float]] = []

    def kill(epoch: int, share: float, row: dict | None) -> None:
        if row is None:
            taken.append((epoch, share))
            if len(taken) % 3 == 0:  # two steps further in each of its lives
                raise KeyboardInterrupt

    while not (tmp_path / "killed" / run_folder.RUN).exists():
        with contextlib.suppress(KeyboardInterrupt):
            run(config, tmp_path / "killed", kill)
    assert len(taken) == len(set(taken)) > 6, "no step is taken twice"
    resumed = run_folder.read_run(tmp_path / "killed")
    assert resumed["model_sha256"] == whole["model_sha256"]
    rows = [run_folder.read_metrics(tmp_path / name) for name in ("whole", "killed")]
    clock = ("seconds", "images_per_second")
    assert [{k: v for k, v in row.items() if k not in clock} for row in rows[0]] == [
        {k: v for k, v in row.items() if k not in clock} for row in rows[1]
    ]


def test_a_slow_disk_is_written_to_less_often(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    written: list[float] = []

    def slow(path, tensors, about):
        now[0] += 3.0
        written.append(now[0])

    monkeypatch.setattr(checkpoint, "write", slow)
    kept = journal.Journal(tmp_path, torch.device("cpu"), dict)
    kept.begin(0)
    for step in range(1, 1000):
        now[0] += 1.0
        kept.stepped(step, dict)
    between = [after - before for before, after in itertools.pairwise(written)]
    assert written[0] == 133.0, "the first after 30 s, and the 3 s that it took"
    assert between
    assert all(150 <= gap <= 155 for gap in between), "then 3 s in 150"


def test_metrics_written_after_the_last_checkpoint_are_cut(tmp_path):
    whole = run(CONFIG, tmp_path / "whole")

    def kill(epoch: int, share: float, row: dict | None) -> None:
        if row is None and epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(CONFIG, tmp_path / "killed", kill)
    run_folder.append_metrics(tmp_path / "killed", {"epoch": 3, "half": "written"})
    assert run(CONFIG, tmp_path / "killed")["model_sha256"] == whole["model_sha256"]
    assert [row["epoch"] for row in run_folder.read_metrics(tmp_path / "killed")] == [1, 2, 3]


class Reads(TorchDispatchMode):
    """Counts what makes a host wait for its device: numbers read from tensors, and sizes that depend on values."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        waits = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero")
        masks = arguments[1] if function.name().startswith("aten::index.Tensor") else ()
        masked = any(mask is not None and mask.dtype == torch.bool for mask in masks)
        self.count += masked or function.name().split(".")[0] in waits
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("method", ["equivae", "m2"])
@pytest.mark.parametrize("supervision", ["semi-supervised", "supervised"])
def test_no_step_waits_for_the_device(method, supervision):
    labels = 40 if supervision == "semi-supervised" else "all"
    config = dataclasses.replace(CONFIG, method=method, supervision=supervision, labels=labels)
    images = small_training(config, None)

    def reads(steps: int) -> int:
        batch = config.batch_size if config.semi_supervised else 40
        model, optimiser = training.new_model(config, torch.device("cpu"))
        with Reads() as counted:
            few = dataclasses.replace(config, epoch_images=steps * batch)
            training.train_epoch(few, 0, training.step_of(few, model.train(), optimiser, images), images, silent)
        return counted.count

    assert reads(3) == reads(6) > 0, "an epoch reads its means once, at its end"


def test_a_wait_would_be_counted():
    with Reads() as counted:
        float(torch.ones(1).sum())
        torch.ones(3)[torch.tensor([True, False, True])]
    assert counted.count == 2


@pytest.mark.parametrize("supervision", ["semi-supervised", "supervised"])
def test_bf16_is_fp32_but_for_rounding(supervision):
    labels = 40 if supervision == "semi-supervised" else "all"
    config = dataclasses.replace(CONFIG, supervision=supervision, labels=labels, epoch_images=100)
    images = small_training(config, None)
    rows = []
    for bf16 in (False, True):
        one = dataclasses.replace(config, bf16=bf16)
        model, optimiser = training.new_model(one, torch.device("cpu"))
        rows.append(epoch_of(one, model, optimiser, images))
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert rows[1]["bound"] == pytest.approx(rows[0]["bound"], rel=0.02)
    assert rows[1]["bound"] != rows[0]["bound"]


def test_compiled_networks_train_alike(monkeypatch):
    compiled = []
    honest = torch.nn.Module.compile

    def compile(self, *arguments, **keywords):
        compiled.append(self)
        honest(self, backend="eager")  # the tracing without the C++ compiler, which not every machine has

    monkeypatch.setattr(torch.nn.Module, "compile", compile)
    images = small_training(CONFIG, None)
    bounds = []
    for wanted in (False, True):
        one = dataclasses.replace(CONFIG, compile=wanted, epoch_images=100)
        model, optimiser = training.new_model(one, torch.device("cpu"))
        bounds.append(epoch_of(one, model, optimiser, images)["bound"])
        assert set(checkpoint.module_tensors("m", model)) == set(
            checkpoint.module_tensors("m", training.new_model(CONFIG, torch.device("cpu"))[0])
        )
    assert len(compiled) == 3
    assert bounds[1] == pytest.approx(bounds[0], rel=1e-4)


def test_it_overfits_a_few_images():
    config = dataclasses.replace(CONFIG, supervision="supervised", labels="all", hidden=128, epochs=40, kl_start=1.0)
    images, labels, _ = glyphs.generate(20, 0)
    x = images.unsqueeze(1).float() / 255
    few = tensors.Training(tensors.Labelled(x, labels), x.repeat(20, 1, 1, 1), tensors.Labelled(x, labels), "")
    model, optimiser = training.new_model(config, torch.device("cpu"))
    take = training.step_of(config, model, optimiser, few)
    bounds = [training.train_epoch(config, epoch, take, few, silent)["bound"] for epoch in range(40)]
    assert bounds[0] < -200, "these images cannot be this easy from the start"
    assert bounds[-1] > -70


def test_the_control_learns_its_labels_and_sees_nothing_else():
    config = dataclasses.replace(CONFIG, control_steps=150)
    labelled = small_training(config, None).labelled
    control = training.train_control(config, labelled, torch.device("cpu"))
    with torch.no_grad():
        assert (control(labelled.images).argmax(1) == labelled.labels).float().mean() > 0.95


def test_an_unlabelled_image_has_no_label_to_leak():
    names = {field.name for field in dataclasses.fields(tensors.Training)}
    assert names == {"labelled", "unlabelled", "valid", "split_sha256"}
    assert isinstance(small_training(CONFIG, None).unlabelled, torch.Tensor)


def test_labelled_batches_are_balanced_and_hold_no_image_twice():
    labels = torch.arange(10).repeat(7)
    order = training.labelled_order(labels, 3, 20, torch.Generator().manual_seed(0))
    assert order.shape == (20, 10, 3)
    assert (labels[order] == torch.arange(10)[None, :, None]).all()
    for batch in order.flatten(1):
        assert len(set(batch.tolist())) == 30
    first_pass = order[:2].flatten().tolist()
    assert len(set(first_pass)) == len(first_pass), "each image once before any comes again"


def test_too_few_images_of_a_class_are_refused():
    with pytest.raises(ValueError, match="expected at least per_class"):
        training.labelled_order(torch.arange(10).repeat(2), 3, 1, torch.Generator())


def test_schedules_start_and_end_where_they_say():
    assert schedules.kl_weight(CONFIG, 0) == CONFIG.kl_start
    assert schedules.kl_weight(CONFIG, CONFIG.kl_until) == 1
    assert schedules.kl_weight(CONFIG, 1) == 1
    assert schedules.kl_weight(dataclasses.replace(CONFIG, kl_until=0.0), 0) == 1
    assert schedules.balance_weight(CONFIG, 0) == CONFIG.balance_weight
    assert schedules.balance_weight(CONFIG, CONFIG.kl_until) == 0
    assert schedules.smoothness_weight(CONFIG, 0) == CONFIG.smoothness_weight
    assert schedules.smoothness_weight(CONFIG, CONFIG.smoothness_until) == 0
    assert schedules.smoothness_weight(CONFIG, CONFIG.kl_until) > 0
    assert schedules.learning_rate(CONFIG, 0) == CONFIG.learning_rate
    assert schedules.learning_rate(CONFIG, 1) == pytest.approx(0)


@pytest.mark.parametrize("first", [1, 2])
def test_a_training_that_diverges_ends_as_a_failed_run_with_a_reason(tmp_path, monkeypatch, first):
    honest = training.train_epoch

    def broken(config, epoch, *arguments):
        row = honest(config, epoch, *arguments)
        return row | {"bound": math.nan} if epoch + 1 == first else row

    monkeypatch.setattr(training, "train_epoch", broken)
    result = run(CONFIG, tmp_path / "diverged")
    assert (result["status"], result["epochs"], result["metrics"]) == ("failed", first - 1, {})
    assert f"epoch {first}: the training diverged" in result["error"]
    assert "--learning-rate" in result["error"]
    assert result["model_sha256"] is None
    assert {path.name for path in (tmp_path / "diverged").iterdir()} == {"config.json", "metrics.jsonl", "run.json"}
    with pytest.raises(ValueError, match="holds a run that failed"):
        run_folder.read_run(tmp_path / "diverged")


def test_weights_that_are_no_numbers_are_found_though_the_bound_before_them_was_one(tmp_path, monkeypatch):
    honest, made = training.train_epoch, []
    new_model = training.new_model
    monkeypatch.setattr(training, "new_model", lambda *given: (made.append(new_model(*given)), made[0])[1])

    def poisoned(config, epoch, *rest):
        row = honest(config, epoch, *rest)
        if epoch + 1 == config.epochs:  # as the very last step would
            with torch.no_grad():
                made[0][0].decoder.dense.weight[0, 0] = math.inf
        return row

    monkeypatch.setattr(training, "train_epoch", poisoned)
    result = run(CONFIG, tmp_path / "diverged")
    assert result["status"] == "failed"
    assert not (tmp_path / "diverged" / run_folder.MODEL).exists()

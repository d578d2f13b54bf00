"""The benchmark: what it counts, what it compares, and that it goes on where it was killed. Nothing here is timed."""

import dataclasses
import json
import math
import subprocess
import sys

import pytest
import torch

from ie_model import __main__ as command_line
from ie_model import training
from ie_model.bench import (
    command,
    flops,
    grid,
    matmul,
    spread,
    startup,
    step_variants,
    table,
    time_to_error,
    timing,
    usual_m2,
)
from ie_model.config import Config
from ie_model.data import glyphs, tensors
from ie_model.model import EquiVAE
from ie_model.objective import bounds, class_sums

SMALL = {"dataset": "glyphs", "labels": 40, "channels": 4, "hidden": 32, "invariant_dim": 4, "equivariant_dim": 4}
CONFIG = Config.resolve(**SMALL, per_class=3, batch_size=20, epochs=2, warm_up_steps=2, threads=1)
WHOLE = dataclasses.replace(
    CONFIG, likeliest=10, pairs_per_image=10.0, labelled_decoded=3, complementary="labelled", moments_weight=0.0
)  # the bounds alone


def images(config=CONFIG, folder=None):
    drawn, labels, _ = glyphs.generate(200, 0)
    x = drawn.unsqueeze(1).float() / 255
    known = tensors.draw_labelled(labels, config.labels, config.label_seed)
    part = tensors.Labelled(x[:60], labels[:60])
    return tensors.Training(tensors.Labelled(x[known], labels[known]), x, part, "0" * 64)


def silent(*_):
    return None


# What is said of measurements


def test_rates_and_ratios_by_hand():
    ours = [spread.Measured(100, 1.0, 2.0), spread.Measured(100, 2.0, 2.0), spread.Measured(100, 4.0, 1.0)]
    theirs = [spread.Measured(10, 1.0, 1.0), spread.Measured(50, 1.0, 1.0), spread.Measured(5, 1.0, 1.0)]
    assert spread.rates(ours)["per_second"] == {"median": 50, "low": 25, "high": 100, "n": 3}
    assert spread.rates(ours)["per_cpu_second"]["median"] == 50
    assert spread.ratios(ours, theirs)["wall"] == {"median": 5, "low": 1, "high": 10, "n": 3}
    assert spread.ratios(ours, theirs)["cpu"]["median"] == 5


def test_forms_take_turns():
    calls = []
    made = {name: (lambda name=name: calls.append(name) or 2.0) for name in "abc"}
    found = timing.alternate(made, 2, torch.device("cpu"), silent)
    assert calls == ["a", "b", "c", "a", "b", "c"]
    assert [one.work for one in found["b"]] == [2.0, 2.0]


# What is counted


def test_the_arithmetic_of_a_step_by_hand():
    layers = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.Flatten(), torch.nn.Linear(3 * 2 * 2, 5))
    x = torch.rand(7, 1, 4, 4)
    convolution, linear = 2 * 7 * 3 * 2 * 2 * 9, 2 * 7 * 12 * 5
    assert flops.counted(lambda: layers(x)) == convolution + linear
    # backward: gradients of both weights, and of the linear layer's input, but not of the image
    assert flops.counted(lambda: layers(x).sum().backward()) == 2 * convolution + 3 * linear

    def of_image_alone():
        step = torch.zeros_like(x).requires_grad_()
        torch.autograd.grad(layers(x + step).sum(), step)

    assert flops.counted(of_image_alone) == 2 * convolution + 2 * linear


def test_the_arithmetic_of_our_step_has_its_extra_terms():
    plain = step_variants.shared(dataclasses.replace(CONFIG, smoothness_weight=0.0), images())
    assert (
        step_variants.shared(dataclasses.replace(CONFIG, smoothness_weight=1.0), images()).operations > plain.operations
    )


def test_matrix_products_are_counted():
    made = matmul.forms([8], torch.device("cpu"), operations=3 * 2 * 8**3)
    assert made["8 × 8"]() == 3 * 2 * 8**3
    assert list(matmul.forms([8, 16], torch.device("cpu"), operations=3 * 2 * 8**3)) == ["8 × 8", "16 × 16"]
    slow, fast = ([spread.Measured(100, seconds, seconds)] for seconds in (2.0, 1.0))
    assert matmul.summary({"8": slow, "16": fast})["best"] == "16"


def test_no_larger_product_is_tried_after_a_slow_one(monkeypatch):
    monkeypatch.setattr(matmul, "SLOW", 0.0)
    found = matmul.forms([8, 16], torch.device("cpu"), operations=1e9)
    assert list(found) == ["8 × 8"]
    assert found["8 × 8"]() == 2 * 8**3, "once"


# What is compared


def test_the_plain_step_is_ours_where_nothing_is_cut():
    torch.manual_seed(0)
    model = EquiVAE(WHOLE).eval()
    known, unknown = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28)
    draw = torch.randn(bounds.pairs_of_step(WHOLE, 3, 4), 4)
    ours = bounds.semi_supervised_step(model, known, unknown, draw, WHOLE, kl_weight=1.7).loss
    pairs = class_sums.likeliest_pairs(model.classify(model.features(unknown)), 10, 40)

    def noise(y, n):
        rows = [3 * y + i for i in range(3)]
        rows += [30 + int(((pairs.image == i) & (pairs.label == y)).nonzero()) for i in range(n - 3)]
        return draw[rows]

    plain = step_variants.plain_loss(model, known, unknown, WHOLE, 1.7, noise)
    torch.testing.assert_close(ours, plain)
    parameters = list(model.parameters())
    for a, b in zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(plain, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()) + 1e-6)


def test_the_usual_m2_has_the_objective_of_the_shared_step(monkeypatch):
    config = dataclasses.replace(WHOLE, method="m2", labelled_weight=1.0)
    torch.manual_seed(0)
    model = EquiVAE(config).eval()
    known, unknown = torch.rand(10, 3, 1, 28, 28), torch.rand(4, 1, 28, 28)
    draw = torch.zeros(bounds.pairs_of_step(config, 3, 4), 4)
    ours = bounds.semi_supervised_step(model, known, unknown, draw, config, kl_weight=1.0).loss
    monkeypatch.setattr(usual_m2.torch, "randn_like", torch.zeros_like)
    labels = torch.arange(10).repeat_interleave(3)
    usual = usual_m2.loss(model, known.flatten(0, 1), labels, unknown, config.classifier_weight)
    torch.testing.assert_close(ours, usual)


def test_the_usual_m2_learns_and_sees_no_hidden_label():
    trainer = usual_m2.Trainer(dataclasses.replace(CONFIG, method="m2"), images())
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    assert trainer.step() == 20
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    assert usual_m2.Images(torch.rand(3, 1, 28, 28), None)[1][1] == -1


def test_every_form_trains_as_many_images_as_it_says():
    built = step_variants.build(CONFIG, images())
    assert {name: form.run(2) for name, form in built.items()} == dict.fromkeys(built, 40)
    assert built[step_variants.OURS].operations < built[step_variants.PLAIN].operations
    assert built[step_variants.USUAL].operations is None


# Time to an error


def test_the_model_chosen_at_a_moment_is_the_best_on_validation_images_so_far():
    assert time_to_error.chosen([9.0, 7.0, 8.0, 7.0, 3.0]) == [0, 1, 4]
    states = [
        {"seconds": 1.0, "valid_error": 9.0, "test_error": 11.0},
        {"seconds": 2.0, "valid_error": 9.5},  # never chosen: it may be as good as it likes
        {"seconds": 3.0, "valid_error": 5.0, "test_error": 7.0},
        {"seconds": 4.0, "valid_error": 4.0, "test_error": 6.0},
    ]
    assert time_to_error.seconds_to(states, (11.97, 11.0, 6.8, 2.0)) == {"11.97": 1, "11": 3, "6.8": 4, "2": None}


def test_a_draw_that_never_gets_there_is_later_than_all():
    assert time_to_error._median([1.0, None, 3.0]) == 3.0
    assert time_to_error._median([1.0, None, None]) is None
    assert time_to_error._median([1.0, 2.0]) == 1.5
    assert time_to_error._median([1.0, None]) is None


@pytest.fixture
def few_images(monkeypatch):
    monkeypatch.setattr(tensors, "load_training", images)
    monkeypatch.setattr(tensors, "load_test", lambda config, folder: images().valid)


def measure(out, methods=("equivae",), report=silent, say=silent, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    return time_to_error.measure(config, None, 1, methods, 1e9, out, report, say)


def without_clock(found):
    return [[{k: v for k, v in state.items() if k != "seconds"} for state in row["states"]] for row in found["rows"]]


def test_it_goes_on_where_it_was_killed_and_reads_what_is_done(tmp_path, few_images, monkeypatch):
    whole = measure(tmp_path / "whole")
    epochs = [state["epoch"] for state in whole["rows"][0]["states"]]
    assert epochs == sorted(set(epochs))
    assert (epochs[0], epochs[-1], 1.5 in epochs) == (0.0, 2.0, True)
    clock = [state["seconds"] for state in whole["rows"][0]["states"]]
    assert clock == sorted(clock)
    assert "test_error" in whole["rows"][0]["states"][0]

    def kill(said):
        if said.startswith("epoch 1.5"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path / "killed", report=kill)
    seen, said = [], []
    honest = training.train_epoch
    monkeypatch.setattr(time_to_error, "estimate", lambda *_: 120.0)
    monkeypatch.setattr(
        training, "train_epoch", lambda config, epoch, *rest: (seen.append(epoch), honest(config, epoch, *rest))[1]
    )
    again = measure(tmp_path / "killed", say=said.append)
    assert seen == [1]
    assert said[0] == "1 training to do, in about 2 minutes"
    assert said[1].startswith("equivae, draw 1 of 1: 11.97 % ")
    assert without_clock(again) == without_clock(whole)
    assert measure(tmp_path / "killed", say=said.append) == again
    assert len(said) == 2
    assert seen == [1]
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["equivae-0.json", "settings.json"]


def test_its_training_is_the_training(tmp_path, few_images, monkeypatch):
    kept = {}
    honest = time_to_error._read

    def read(model, *rest):
        kept["model"] = {name: value.clone() for name, value in model.state_dict().items()}
        return honest(model, *rest)

    monkeypatch.setattr(time_to_error, "_read", read)
    measure(tmp_path / "out")
    model, optimiser = training.new_model(CONFIG, torch.device("cpu"))
    training.warm_up(CONFIG, model.train(), optimiser, images().labelled)
    take = training.step_of(CONFIG, model, optimiser, images())
    for epoch in range(CONFIG.epochs):
        training.train_epoch(CONFIG, epoch, take, images(), silent)
    assert all(torch.equal(value, kept["model"][name]) for name, value in model.state_dict().items())


def test_the_open_recipe_has_marks_of_its_own(tmp_path, few_images):
    found = measure(tmp_path / "open", recipe="open", moved_weight=1.0)
    assert found["marks"] == [2.0, 0.8]
    assert set(found["rows"][0]["seconds_to"]) == {"2", "0.8"}


def test_baselines_are_measured_the_same_way(tmp_path, few_images):
    found = measure(tmp_path / "out", ("m2", "usual-m2"), epochs=1)
    assert [row["method"] for row in found["rows"]] == ["m2", "usual-m2"]
    assert set(found["median_seconds_to"]) == {"m2", "usual-m2"}
    assert all(math.isfinite(state["valid_error"]) for row in found["rows"] for state in row["states"])


def test_measurements_with_other_settings_are_not_mixed(tmp_path, few_images):
    measure(tmp_path / "out", epochs=1)
    with pytest.raises(ValueError, match="another epochs"):
        measure(tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="no measurements"):
        measure(tmp_path / "other")
    assert (tmp_path / "other" / "mine.txt").read_text() == "mine"


# Several draws


def test_every_way_fills_the_cores():
    assert grid.ways(2) == [(1, 2), (2, 1), (1, 1)]
    assert grid.ways(4) == [(1, 4), (2, 2), (4, 1), (1, 1)]
    assert grid.ways(1) == [(1, 1)]


def test_a_grid_trains_every_draw_and_no_more_at_once_than_it_says(monkeypatch):
    alive, most, started = [], [], []

    def start(config, folder, images, threads, seed, place):
        alive[:] = [one for one in alive if one.poll() is None]
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.2)"])
        alive.append(process)
        most.append(len(alive))
        started.append((threads, seed))
        return process

    monkeypatch.setattr(grid, "_start", start)
    found = grid.measure(CONFIG, None, 2, 100, 1, silent)
    assert started == [(threads, seed) for threads in (2, 1, 1) for seed in range(grid.DRAWS)]
    assert most[:4] == [1, 1, 1, 1]
    assert max(most[4:8]) == 2
    assert [(row["processes"], row["threads"]) for row in found["ways"]] == [(1, 2), (2, 1), (1, 1)]
    assert found["fastest"] in [{"processes": p, "threads": t} for p, t in grid.ways(2)]


def test_a_training_that_fails_ends_the_others(monkeypatch):
    made = []

    def start(config, folder, images, threads, seed, place):
        code = "raise SystemExit(3)" if seed == 1 else "import time; time.sleep(60)"
        made.append(subprocess.Popen([sys.executable, "-c", code]))
        return made[-1]

    monkeypatch.setattr(grid, "_start", start)
    monkeypatch.setattr(grid, "ways", lambda cores: [grid.Way(2, 1)])
    with pytest.raises(RuntimeError, match="exit code 3"):
        grid.measure(CONFIG, None, 2, 100, 1, silent)
    assert all(process.poll() is not None for process in made)


# The command


def test_parts_are_measured_into_json_and_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.Config, "resolve", classmethod(lambda cls, **given: CONFIG))
    monkeypatch.setattr(tensors, "load_training", images)
    monkeypatch.setattr(matmul, "SIZES", (16,))
    monkeypatch.setattr(matmul, "PRODUCTS_PER_REPEAT", 1e5)
    argv = ["bench", "step", "matmul", "--dataset=glyphs", "--repeats=2", "--seconds=0.01", "--threads=1", "--quiet"]
    assert command_line.main([*argv, "--json=b.json", "--profile=p", "--device=cpu"]) == 0
    found = json.loads((tmp_path / "b.json").read_text())
    [row] = found["parts"]["step"]
    assert set(row["forms"]) == {step_variants.OURS, step_variants.PLAIN, step_variants.M2, step_variants.USUAL}
    assert row["forms"][step_variants.USUAL]["times_usual_m2"]["wall"] == {"median": 1, "low": 1, "high": 1, "n": 2}
    assert row["forms"][step_variants.OURS]["operations_per_step"] > 0
    assert {one["type"] for one in found["parts"]["matmul"]} == {"float32", "bfloat16"}
    assert found["machine"]["torch"] == torch.__version__.split("+")[0]
    shown = capsys.readouterr().out
    assert "Training step, 1 thread" in shown
    assert "aten::convolution_backward" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"trace.json", "table.txt"}
    assert json.loads((tmp_path / "p" / "trace.json").read_text())["traceEvents"]


def test_startup_without_cm_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(startup.shutil, "which", lambda name: None)
    monkeypatch.setattr(startup, "COMMANDS", {"--help": ["--help"], "a wrong flag": ["train", "--nonsense"]})
    found = startup.measure("glyphs", None, 1, silent)
    assert set(found["commands"]) == {"--help", "a wrong flag"}
    assert (found["recipe"], found["why"]) == (None, "cm is not installed")


def test_startup_takes_training_and_evaluation_out_of_the_recipes_time(monkeypatch, tmp_path):
    program, body = tmp_path / "cm", tmp_path / "body.py"
    # not named on the first line itself, where no path may have a space
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{body}' \"$@\"\n")
    body.write_text(
        "import json, pathlib, sys\n"
        "out = pathlib.Path(next(a for a in sys.argv if a.startswith('--outdir=')).split('=', 1)[1]) / 'runs' / '0'\n"
        "out.mkdir(parents=True)\n"
        "(out / 'run.json').write_text(json.dumps({'wall_seconds': 100.0, 'evaluation_seconds': 50.0}))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(startup, "COMMANDS", {})
    recipe = startup.measure("glyphs", None, 2, silent)["recipe"]
    assert recipe["command"] == "cm run script 'reproduce ie-repr glyphs _smoke' --quiet"
    assert recipe["training"]["n"] == 2
    assert recipe["rest"]["median"] == pytest.approx(recipe["seconds"]["median"] - 150, abs=1)
    body.write_text("import sys\nsys.exit('no network here')\n")
    found = startup.measure("glyphs", None, 1, silent)
    assert found["recipe"] is None
    assert "no network here" in found["why"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nonsense"], "no part 'nonsense'; expected one of: step, matmul"),
        (["time-to-error"], "needs --outdir"),
        (["time-to-error", "--outdir=x", "--methods=m3", "--dataset=glyphs"], "got 'm3', expected some of: equivae"),
        (["step", "--repeats=0"], "not a whole number above 0"),
        (["step", "--threads=1,x"], "not a whole number above 0"),
    ],
)
def test_a_mistake_is_one_line(arguments, named, capsys):
    try:
        code = command_line.main(["bench", *arguments])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


def test_every_part_has_a_table_and_nothing_heavy_is_loaded_to_say_what_there_is():
    assert set(table.PARTS) == set(command.PARTS)
    code = "import sys, ie_model.__main__; sys.exit(bool({'torch', 'numpy', 'rich', 'psutil'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

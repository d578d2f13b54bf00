"""Part `time-to-error`: seconds of training until a model, chosen on validation images, errs less than a mark on test.

The clock runs while `ie_model train`'s own code trains, the warm-up included, and stands still while states are saved;
the labels-only control, which is no part of the model, is left out. States are saved often: every few steps of the
first epoch, then every half epoch. When a training has ended, each state is read on the validation images; the model
"chosen" at a moment is the one of least validation error so far, and only those are read on the test images.

What is done stays in a folder: one file for each finished training, and for one that was killed the state after its
last whole epoch. The same command goes on with it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ie_model import training
from ie_model.bench import step_variants, timing, usual_m2
from ie_model.config import Config
from ie_model.data import tensors as image_tensors
from ie_model.metrics import inference, scores
from ie_model.model import EquiVAE
from ie_model.run import checkpoint, run_folder

MARKS = (11.97, 6.8, 3.33, 2.0)  # %: published M2, Pyro's M2 example, M1+M2 at 100 labels; and a fiftieth
OPEN_MARKS = (2.0, 0.8)
FIRST_EPOCH_STATES = 22  # 20 steps of 440
USUAL_STEPS, USUAL_GROWTH = 10, 1.15  # the first state of the usual M2, and how many times as many steps to the next
STATE = "state-"
ESTIMATE_STEPS = 40
READING_SECONDS = 30.0  # of the states of one training
METHODS = ("equivae", "m2", "usual-m2")
SETTINGS = "settings.json"


def measure(
    config: Config,
    folder: Path | None,
    draws: int,
    methods: Sequence[str],
    cap: float,
    out: Path,
    report: Callable[[str], None],
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Trains and reads every (method, draw) that is not in ``out`` yet; returns the rows and their summary.

    ``report`` hears what is going on, ``say`` an estimate at the start and a line for each training that has ended.

    ``cap``: seconds of training after which the usual M2 is stopped; the others end by themselves. Raises ValueError
    when ``out`` holds measurements with other settings.
    """
    _claim(out, config, cap)
    missing = [(method, draw) for method in methods for draw in range(draws) if not _result(out, method, draw).exists()]
    if missing:
        minutes = estimate(config, folder, missing, cap) / 60
        say(f"{len(missing)} {'training' if len(missing) == 1 else 'trainings'} to do, in about {minutes:.0f} minutes")
    rows = []
    for method in methods:
        for draw in range(draws):
            report(f"{method}, draw {draw + 1} of {draws}")
            row = _one(config, folder, method, draw, cap, out, report)
            rows.append(row)
            if (method, draw) in missing:
                reached = ", ".join(f"{mark} % {_shown(at)}" for mark, at in row["seconds_to"].items())
                say(f"{method}, draw {draw + 1} of {draws}: {reached}")
    marks, summary = marks_of(config), {}
    for method in methods:
        own = [row["seconds_to"] for row in rows if row["method"] == method]
        summary[method] = {f"{mark:g}": _median([row[f"{mark:g}"] for row in own]) for mark in marks}
    return {"marks": list(marks), "draws": draws, "cap": cap, "rows": rows, "median_seconds_to": summary}


def marks_of(config: Config) -> tuple[float, ...]:
    """The errors that are waited for, in %."""
    return OPEN_MARKS if config.recipe == "open" else MARKS


def estimate(config: Config, folder: Path | None, missing: Sequence[tuple[str, int]], cap: float) -> float:
    """Seconds that these trainings will take, from a few steps of ours and what reading the states took elsewhere."""
    form = step_variants.shared(config, step_variants.load(config, folder))
    form.run(ESTIMATE_STEPS // 4)
    began = time.perf_counter()
    images = form.run(ESTIMATE_STEPS)
    whole = config.epochs * (config.epoch_images or config.facts.train) * (time.perf_counter() - began) / images
    return sum((cap if method == "usual-m2" else whole) + READING_SECONDS for method, _ in missing)


def seconds_to(states: Sequence[dict[str, float]], marks: Sequence[float]) -> dict[str, float | None]:
    """For each mark the clock at the first state whose test error is below it, of those that were chosen; else None.

    states: in order of time, {"seconds", "valid_error", "test_error"}; a state that was never the best on validation
    images has no test error, for it was never chosen.
    """
    found: dict[str, float | None] = {}
    for mark in marks:
        below = (state["seconds"] for state in states if "test_error" in state and state["test_error"] < mark)
        found[f"{mark:g}"] = next(below, None)
    return found


def chosen(valid_errors: Sequence[float]) -> list[int]:
    """Indices of the states that were the best so far when they were saved; of equals the first."""
    best, found = math.inf, []
    for index, error in enumerate(valid_errors):
        if error < best:
            best = error
            found.append(index)
    return found


def _result(out: Path, method: str, draw: int) -> Path:
    return out / f"{method}-{draw}.json"


def _shown(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"after {seconds:.0f} s"


def _one(
    config: Config, folder: Path | None, method: str, draw: int, cap: float, out: Path, report: Callable[[str], None]
) -> dict[str, Any]:
    result = _result(out, method, draw)
    if result.exists():
        row: dict[str, Any] = json.loads(result.read_bytes())
        return row
    own = dataclasses.replace(config, method="m2" if "m2" in method else method, seed=draw, label_seed=draw)
    device = training.prepare(own)
    images = training.to_device(image_tensors.load_training(own, folder), device)
    place = out / f"{method}-{draw}"
    place.mkdir(exist_ok=True)
    if method == "usual-m2":
        model = _train_usual(own, images, place, cap, report)
    else:
        model = _train_ours(own, images, place, report)
    states = _read(model, place, images.valid, image_tensors.load_test(own, folder), report)
    row = {"method": method, "draw": draw, "states": states, "seconds_to": seconds_to(states, marks_of(own))}
    run_folder.write_json(result, row)
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
    return row


def _train_ours(config: Config, images: image_tensors.Training, place: Path, report: Callable[[str], None]) -> EquiVAE:
    """`train_epoch` after `train_epoch`, as `training.train` does; resumable after each."""
    device = images.unlabelled.device
    model, optimiser = training.new_model(config, device)
    assert isinstance(model, EquiVAE)
    kept = place / run_folder.CHECKPOINT
    first, spent = 0, 0.0
    if kept.exists():
        tensors, about = checkpoint.read(kept)
        checkpoint.load_module("model", model, tensors)
        checkpoint.load_optimiser(optimiser, tensors)
        first, spent = int(about["epoch"]), float(about["seconds"])
    clock = Clock(device, spent)
    if first == 0:
        training.warm_up(config, model.train(), optimiser, images.labelled)
        clock.save(model, place, 0.0)
    take = training.step_of(config, model.train(), optimiser, images)
    for epoch in range(first, config.epochs):
        due = _moments(epoch)

        def progress(epoch: int, share: float, row: dict[str, Any] | None, due: list[float] = due) -> None:
            if due and share >= due[0]:
                del due[0]
                clock.save(model, place, epoch + share)
                report(f"epoch {epoch + share:.2f} of {config.epochs}, {clock.now():.0f} s")

        model.train()
        training.train_epoch(config, epoch, take, images, progress)
        with clock.standing_still():
            about = {"epoch": str(epoch + 1), "seconds": repr(clock.now())}
            tensors = checkpoint.module_tensors("model", model) | checkpoint.optimiser_tensors(optimiser)
            checkpoint.write(kept, tensors, about)
    kept.unlink(missing_ok=True)
    return model


def _train_usual(
    config: Config, images: image_tensors.Training, place: Path, cap: float, report: Callable[[str], None]
) -> EquiVAE:
    """The usual M2 until ``cap`` seconds or as many images as ours sees; a killed one begins again."""
    for old in place.iterdir():
        old.unlink()
    trainer = usual_m2.Trainer(config, images)
    trainer.model.train()
    clock, seen, steps, next_state = Clock(images.unlabelled.device), 0, 0, USUAL_STEPS
    clock.save(trainer.model, place, 0.0)
    most = config.epochs * (config.epoch_images or len(images.unlabelled))
    while seen < most and clock.now() < cap:
        seen += trainer.step()
        steps += 1
        if steps >= next_state:
            clock.save(trainer.model, place, seen / len(images.unlabelled))
            report(f"{seen:,} images, {clock.now():.0f} s of at most {cap:.0f}")
            next_state = math.ceil(USUAL_GROWTH * steps)
    clock.save(trainer.model, place, seen / len(images.unlabelled))
    return trainer.model


class Clock:
    """Seconds of training: of the wall, but for what is done with it standing still."""

    def __init__(self, device: torch.device, spent: float = 0.0) -> None:
        self.device = device
        self.began = time.perf_counter() - spent

    def now(self) -> float:
        """Seconds so far."""
        timing.finish(self.device)
        return time.perf_counter() - self.began

    @contextmanager
    def standing_still(self) -> Iterator[float]:
        """What is done inside takes no time of this clock. Yields what it shows."""
        stopped = self.now()
        yield stopped
        self.began = time.perf_counter() - stopped

    def save(self, model: EquiVAE, place: Path, epoch: float) -> None:
        """Writes the weights of this moment, under a name that sorts by ``epoch``, with the clock standing still."""
        with self.standing_still() as seconds:
            about = {"seconds": repr(seconds), "epoch": repr(epoch)}
            checkpoint.write(
                place / f"{STATE}{epoch:09.4f}.safetensors", checkpoint.module_tensors("model", model), about
            )


def _moments(epoch: int) -> list[float]:
    """After which shares of an epoch a state is saved."""
    parts = FIRST_EPOCH_STATES if epoch == 0 else 2
    return [part / parts for part in range(1, parts + 1)]


def _read(
    model: EquiVAE,
    place: Path,
    valid: image_tensors.Labelled,
    test: image_tensors.Labelled,
    report: Callable[[str], None],
) -> list[dict[str, float]]:
    """The saved states in their order, each with its validation error; those that were chosen with their test error."""
    paths = sorted(place.glob(f"{STATE}*"))
    states: list[dict[str, float]] = []

    def error(path: Path, images: image_tensors.Labelled) -> float:
        checkpoint.load_module("model", model, checkpoint.read(path)[0])
        predicted = inference.predicted(model.eval(), images.images.to(valid.images.device))
        return scores.percent_wrong(predicted, images.labels.to(predicted.device))

    for number, path in enumerate(paths):
        report(f"reading state {number + 1} of {len(paths)}")
        about = checkpoint.read(path)[1]
        facts = {name: float(about[name]) for name in ("seconds", "epoch")}
        states.append({**facts, "valid_error": error(path, valid)})
    for index in chosen([state["valid_error"] for state in states]):
        states[index]["test_error"] = error(paths[index], test)
    return states


def _claim(out: Path, config: Config, cap: float) -> None:
    """Makes the folder, or goes on in one that was made with the same settings."""
    out.mkdir(parents=True, exist_ok=True)
    asked: dict[str, Any] = {"config": config.to_dict(), "cap": cap, "torch": torch.__version__}
    path = out / SETTINGS
    if not path.exists():
        if any(out.iterdir()):
            raise ValueError(f"outdir: {out} holds files that are no measurements; choose an empty folder")
        run_folder.write_json(path, asked)
    elif (there := json.loads(path.read_bytes())) != asked:
        both = {**there.get("config", {}), **there}, {**asked["config"], **asked}
        changed = [name for name in both[1] if name != "config" and both[0].get(name) != both[1][name]]
        raise ValueError(f"outdir: {out} holds measurements with another {changed[0]}; choose another folder")


def _median(values: Sequence[float | None]) -> float | None:
    """The median, where one that was not reached counts as later than all; None where that is not reached."""
    ordered = sorted(math.inf if value is None else value for value in values)
    middle = len(ordered) // 2
    low, high = ordered[(len(ordered) - 1) // 2], ordered[middle]
    return None if math.isinf(high) else (low + high) / 2

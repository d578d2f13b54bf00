"""What each part of a recipe brings: the whole recipe, and the recipe without the part, trained on the same draws.

Judged on the validation images: the test images are for results. Every training is a run folder like any other, so that
a command that was stopped goes on, and asking for more draws or parts trains only what is missing.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from ie_model import entry
from ie_model.config import Config
from ie_model.run import processes, run_folder

PARTS: dict[str, dict[str, Any]] = {
    "pose": {"pose_gain": 0.0, "posed_weight": 0.0},
    "free-nats": {"free_nats": 0.0},
    "f-of-all": {"complementary": "labelled", "complementary_groups": 1},
    "groups": {"complementary_groups": 1},
    "moments": {"moments_weight": 0.0},
    "modulation": {"modulated": False},
    "posed-copies": {"posed_weight": 0.0},
    "dear-v": {"kl_start": 1.0, "free_nats": 0.0},  # nothing of a KL at its own weight is to be given back
    "smoothness": {"smoothness_weight": 0.0},
    "balance": {"balance_weight": 0.0},
    "light-labels": {"labelled_weight": 1.0},
    "warm-up": {"warm_up_steps": 0},
    "moved-copies": {"moved_weight": 0.0},
    "ramp": {"moved_ramp": 0.0},
    "sharpness": {"moved_sharpness": 1.0},
    "cut-sums": {"likeliest": 1000, "pairs_per_image": 1000.0},
}
WITH_ALL_LABELS = ("pose", "free-nats", "dear-v", "moments", "modulation")  # the others have no effect there
OF_COPIES = ("ramp", "sharpness")  # have no effect without copies
OF_Q = ("smoothness", "balance", "warm-up", "moved-copies", *OF_COPIES)  # what is asked of q(y|x) by itself
COSTLY = ("cut-sums",)  # three times the time: only where it is asked for
WHOLE, WITHOUT, AND = "whole", "without-", "+"
RESULT, RUNS = "ablation.json", "runs"
ON_BY_DEFAULT = {spec.name for spec in dataclasses.fields(Config) if spec.default is True}


def parts_of(config: Config) -> list[str]:
    """The parts that this recipe has: without them its settings would be others."""
    own = config.to_dict()
    return [
        part
        for part, changes in PARTS.items()
        if any(own[name] != value for name, value in changes.items())
        and (config.semi_supervised or part in WITH_ALL_LABELS)
        and (config.moved_weight + config.posed_weight * config.generative > 0 or part not in OF_COPIES)
        and (config.generative or part in OF_Q)
        and config.recipe != "paper"  # it has nothing that could be left out
    ]


def variants(config: Config, parts: Sequence[str] | None = None) -> dict[str, Config]:
    """The recipe, the recipe without each part, and without all of them, by names that say which parts are left out.

    Without ``parts``: all that it has, but for those that cost far more time. Raises ValueError for a part it has not.
    """
    there = parts_of(config)
    if odd := [part for part in parts or () if part not in there]:
        raise ValueError(f"parts: this recipe has no {odd[0]!r}; expected some of: {', '.join(there)}")
    chosen = [part for part in there if (part not in COSTLY if parts is None else part in parts)]
    names = [WITHOUT + part for part in chosen] + [WITHOUT + AND.join(chosen)] * (len(chosen) > 1)
    return {WHOLE: config} | {name: dataclasses.replace(config, **changes(name)) for name in names}


def changes(name: str) -> dict[str, Any]:
    """The settings by which a variant departs from the whole recipe."""
    if name == WHOLE:
        return {}
    return {key: value for part in name.removeprefix(WITHOUT).split(AND) for key, value in PARTS[part].items()}


def measure(
    config: Config,
    data: Path | None,
    draws: int,
    parts: Sequence[str] | None,
    at_once: int,
    out: Path,
    report: Callable[[str], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Trains what is missing in ``out`` and writes ablation.json there, which is returned.

    Draw i has seed and label draw i. ``report`` hears what is going on, ``say`` a line for each training that ended.
    Raises ValueError where ``out`` holds other settings, RuntimeError for a training that could not be made; one that
    diverged is counted as failed and is in no mean.
    """
    every = variants(config, parts)
    runs: dict[tuple[str, int], Config] = {
        (name, draw): dataclasses.replace(variant, seed=draw, label_seed=draw, control_steps=1)  # the control is unread
        for draw in range(draws)
        for name, variant in every.items()
    }
    missing = [key for key in runs if not _is_done(_place(out, *key), runs[key])]
    if missing:
        try:
            (out / RUNS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"outdir: cannot make {out / RUNS} ({error.strerror}); choose another folder") from error
        many = "training" if len(missing) == 1 else "trainings"
        say(f"{len(missing)} {many} to do, {min(at_once, len(missing))} at once")
    began, ended = time.monotonic(), 0
    starts = [partial(_start, runs[key], _place(out, *key), data, _log(out, *key)) for key in missing]
    report(f"0 of {len(missing)} trainings")
    with closing(processes.together(starts, at_once)) as codes:
        for index, code in codes:
            name, draw = missing[index]
            if not _is_done(_place(out, name, draw), runs[name, draw]):
                raise RuntimeError(f"{name}, draw {draw}: {_last_words(_log(out, name, draw)) or f'exit code {code}'}")
            _log(out, name, draw).unlink(missing_ok=True)
            ended += 1
            left = (time.monotonic() - began) / ended * (len(missing) - ended) / 60
            report(f"{ended} of {len(missing)} trainings, about {left:.0f} min left")
            say(f"{name}, draw {draw}: {_shown(_read(_place(out, name, draw)))}")
    rows = {name: [_read(_place(out, name, draw)) for draw in range(draws)] for name in every}
    found = {"format": 1, "config": config.to_dict(), "draws": draws, "variants": summary(rows)}
    run_folder.write_json(out / RESULT, found)
    return found


def summary(rows: Mapping[str, Sequence[Mapping[str, Any] | None]]) -> list[dict[str, Any]]:
    """Of each variant's runs (None: failed) the means, and the mean difference to the whole recipe on the same draws.

    Every mean is {"mean", "half", "n"}, half of its 95 % interval by Student's t; None where there is nothing to say.
    """
    whole = rows[WHOLE]
    found = []
    for name, own in rows.items():
        both = [(one, other) for one, other in zip(own, whole, strict=True) if one and other]
        found.append(
            {
                "name": name,
                "changes": changes(name),
                "runs": list(own),
                "failed": sum(row is None for row in own),
                "valid_error": interval([row["valid_error"] for row in own if row]),
                "bound": interval([row["bound"] for row in own if row]),
                "difference": None
                if name == WHOLE
                else interval([one["valid_error"] - other["valid_error"] for one, other in both]),
            }
        )
    return found


def interval(values: Sequence[float]) -> dict[str, float | None] | None:
    """Mean, half of its 95 % interval (None for a single value) and number of some values; None where there is none."""
    if not values:
        return None
    half = None
    if len(values) > 1:
        from scipy.special import stdtrit

        half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": statistics.fmean(values), "half": half, "n": len(values)}


def table(found: Mapping[str, Any]) -> Any:
    """The means as a table of `rich`, for a terminal of 80 columns."""
    from rich.table import Table

    title = f"{found['draws']} draw{'s' if found['draws'] > 1 else ''}, validation images, mean ± 95 % interval"
    shown = Table(title=title, title_justify="left", width=80)
    for number, column in enumerate(("recipe", "error, %", "over whole", "bound, nats")):
        shown.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in found["variants"]:
        name = "without all of these" if AND in row["name"] else row["name"].replace("-", " ", 1)
        name += f" ({row['failed']} failed)" if row["failed"] else ""
        more = _mean(row["difference"], 2, "+")
        shown.add_row(name, _mean(row["valid_error"], 2), more, _mean(row["bound"], 1))
    shown.caption = "bound: of the last epoch, in training"
    return shown


def _mean(value: Mapping[str, Any] | None, digits: int, sign: str = "") -> str:
    if value is None:
        return ""
    half = "" if value["half"] is None else f" ± {value['half']:.{digits}f}"
    return f"{value['mean']:{sign}.{digits}f}{half}"


def _place(out: Path, name: str, draw: int) -> Path:
    return out / RUNS / f"{name}-{draw}"


def _is_done(place: Path, config: Config) -> bool:
    """Whether the run has ended, well or not. Raises ValueError where it is a run of other settings."""
    run_folder.check_contents(place, config)
    return (place / run_folder.RUN).exists()


def _read(place: Path) -> dict[str, Any] | None:
    """Validation error in %, bound and KL in nats of the last epoch, and seconds; None if the training failed."""
    run = json.loads((place / run_folder.RUN).read_bytes())
    if run["status"] == "failed":
        return None
    last = run_folder.read_metrics(place)[-1]
    return {name: last[name] for name in ("valid_error", "bound", "kl")} | {"seconds": run["wall_seconds"]}


def _shown(row: Mapping[str, Any] | None) -> str:
    return "failed" if row is None else f"{row['valid_error']:.2f} %, bound {row['bound']:.1f} nats"


def _log(out: Path, name: str, draw: int) -> Path:
    """Where a training's messages go: on a terminal those of several at once would stand between each other."""
    return out / RUNS / f"{name}-{draw}.log"


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1].removeprefix("ie_model: error: ") if lines else ""


def _start(config: Config, place: Path, data: Path | None, log: Path) -> subprocess.Popen[bytes]:
    """Starts `train` with every setting spelled out."""
    settings = []
    for name, value in config.to_dict().items():
        flag = "--" + name.replace("_", "-")
        if not isinstance(value, bool):
            settings.append(f"{flag}={value}")
        elif value or name in ON_BY_DEFAULT:
            settings.append(flag if value else "--no-" + flag[2:])
    argv = entry.arguments("train", *settings, f"--outdir={place}", "--quiet")
    argv += [f"--data={data}"] if data else []
    with log.open("wb") as messages:
        bound = processes.bound_to_parent()
        return subprocess.Popen(
            argv, env=entry.environment(), stdin=subprocess.DEVNULL, stderr=messages, preexec_fn=bound
        )

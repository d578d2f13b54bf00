"""A run's history and metrics for TensorBoard, MLflow or Weights & Biases (offline), from what lies in its folder.

The run's own files stay the source: whatever is written here can be written again, at any time, also of a run that is
still training. Nothing is sent anywhere. Epochs are the steps; metrics of an evaluation stand at the last one.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ie_model.run import run_folder

RUNS = "runs"  # of a results folder
NEEDED = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb-offline": "wandb"}
PROJECT = "ie-repr"


class History(NamedTuple):
    """A run: its name, its settings, and (metric, epoch, value) in order."""

    name: str
    config: dict[str, Any]
    scalars: list[tuple[str, int, float]]


def chosen(text: str) -> list[str]:
    """The trackers of a list with commas, each installed. Raises ValueError, one line, for any other."""
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in NEEDED:
            raise ValueError(f"log: got {name!r}, expected one or several of: {', '.join(NEEDED)}")
        if importlib.util.find_spec(NEEDED[name]) is None:
            raise ValueError(
                f"log: {name} needs {NEEDED[name]}, not installed here; pip install '.[log]' in a checkout"
            )
    if not names:
        raise ValueError(f"log: nothing is named; expected one or several of: {', '.join(NEEDED)}")
    return names


def prepared(folder: Path) -> Path:
    """The folder of the logs, made and tried, before work begins. Raises ValueError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be made ({error.strerror}); give another --log-dir") from None
    run_folder.refuse_unwritable(folder, "what is logged")
    return folder.absolute()


def write(place: Path, names: Sequence[str], folder: Path, title: str | None = None) -> int:
    """Write the run in ``place``, or each run of a results folder, for each tracker; returns how many runs.

    ``title``: what they are called, instead of the folder's name. Raises ValueError where there is no run.
    """
    runs = list(_runs(place, title or place.resolve().name))
    for name in names:
        for one in runs:
            _WRITERS[name](one, folder)
    return len(runs)


def _runs(place: Path, title: str) -> Iterator[History]:
    folders = [place]
    if not (place / run_folder.CONFIG).exists() and (place / RUNS).is_dir():
        folders = sorted((place / RUNS).iterdir(), key=lambda path: (len(path.name), path.name))
    for folder in folders:
        yield history(folder, title if folder == place else f"{title}-{folder.name}")


def history(folder: Path, name: str) -> History:
    """What lies in a run's folder, finished or not. Raises ValueError where that is no run."""
    try:
        config = json.loads((folder / run_folder.CONFIG).read_bytes())
        lines = (folder / run_folder.METRICS).read_bytes().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith(b"\n")]  # the last one may be half written
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: holds no run that can be read ({error}); expected a folder of `train`") from None
    found = [
        (key, int(row["epoch"]), float(value))
        for row in rows
        for key, value in row.items()
        if key != "epoch" and isinstance(value, int | float)
    ]
    if (folder / run_folder.RUN).exists():
        last = int(rows[-1]["epoch"]) if rows else 0
        measured = run_folder.read_run(folder).get("metrics", {})
        found += [(key, last, float(value)) for key, value in measured.items()]
    return History(name, config, found)


def _tensorboard(run: History, folder: Path) -> None:
    writer_of = importlib.import_module("torch.utils.tensorboard").SummaryWriter
    place = folder / "tensorboard" / run.name
    for old in place.glob("events.out.tfevents.*"):  # of an earlier call: TensorBoard would show both
        old.unlink()
    with writer_of(str(place)) as writer:
        writer.add_text("config", "```json\n" + json.dumps(run.config, indent=1) + "\n```")
        for key, epoch, value in run.scalars:
            writer.add_scalar(key, value, epoch)


def _mlflow(run: History, folder: Path) -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing phones home
    os.environ.setdefault("DO_NOT_TRACK", "true")
    mlflow = importlib.import_module("mlflow")
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # not a line for each table that is made
    place = folder / "mlflow"
    place.mkdir(exist_ok=True)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(PROJECT)
    number = experiment.experiment_id if experiment else client.create_experiment(PROJECT, (place / "files").as_uri())
    for old in client.search_runs([number], f"attributes.run_name = '{run.name.replace(chr(39), '_')}'"):
        client.delete_run(old.info.run_id)
    made = client.create_run(number, run_name=run.name.replace("'", "_")).info.run_id
    for key, value in run.config.items():
        client.log_param(made, key, value)
    for key, epoch, value in run.scalars:
        client.log_metric(made, key, value, step=epoch)
    client.set_terminated(made)


def _wandb(run: History, folder: Path) -> None:
    wandb = importlib.import_module("wandb")
    # whoever sends it with `wandb sync` sends no name of the machine, no command, no list of its hardware
    quiet = {"console": "off", "silent": True, "host": "not-said"}
    nothing_of_the_machine = (
        "disable_git",
        "disable_code",
        "x_disable_stats",
        "x_disable_meta",
        "x_disable_machine_info",
    )
    settings = wandb.Settings(**quiet, **dict.fromkeys(nothing_of_the_machine, True))
    session = wandb.init(
        project=PROJECT, name=run.name, config=run.config, dir=str(folder), mode="offline", settings=settings
    )
    by_epoch: dict[int, dict[str, float]] = {}
    for key, epoch, value in run.scalars:
        by_epoch.setdefault(epoch, {})[key] = value
    for epoch, values in sorted(by_epoch.items()):
        session.log(values, step=epoch)
    session.finish()


_WRITERS: dict[str, Callable[[History, Path], None]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb-offline": _wandb,
}

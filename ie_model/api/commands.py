"""`ie-model export` and `log`: what other programs read of a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ie_model.config import Config
from ie_model.device import threads

TRACKERS = "tensorboard, mlflow, wandb-offline"


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds both commands; ``command(name, run, about)`` makes a parser."""
    logging = command("log", _log, "Write a run's history, or all of a results folder, for tools that draw them.")
    logging.add_argument("run", type=Path, help="the folder of a training, finished or not, or a results folder")
    add_log(logging, "for", required=True)
    logging.add_argument("--name", dest="title", help="what the tools call it (default: the folder's name)")
    exporting = command("export", _export, "Write encoder, posterior and decoder for other programs, and check them.")
    exporting.add_argument("run", type=Path, help="the folder of a finished training")
    exporting.add_argument("--outdir", type=Path, required=True, help="folder for the files")
    exporting.add_argument(
        "--format",
        choices=("torch", "onnx", "hub"),
        action="append",
        help="torch.export's .pt2 (default), ONNX, or weights with a model card; may be repeated",
    )


def add_log(parser: argparse.ArgumentParser, what: str, *, required: bool = False) -> None:
    """Adds the flags that say for which tools a history is written, and where to."""
    about = f"{what} {TRACKERS}: one or several, with commas"
    parser.add_argument("--log", metavar="LIST", required=required, help=about)
    parser.add_argument(
        "--log-dir", type=Path, default=Path("ie-repr-logs"), help="folder for that (default: %(default)s)"
    )


def logger(options: argparse.Namespace) -> Callable[[Path], None]:
    """What writes a run's history as the flags ask; nothing where they do not. Raises ValueError before any work."""
    if not options.log:
        return lambda place: None
    from ie_model.api import trackers

    names, folder = trackers.chosen(options.log), trackers.prepared(options.log_dir)

    def write(place: Path) -> None:
        trackers.write(place, names, folder)

    return write


def _log(options: argparse.Namespace) -> None:
    from ie_model.api import trackers

    names, folder = trackers.chosen(options.log), trackers.prepared(options.log_dir)
    count = trackers.write(options.run, names, folder, options.title)
    print(f"{folder}: {count} run{'' if count == 1 else 's'}, for {', '.join(names)}")


def _export(options: argparse.Namespace) -> None:
    from ie_model.run import run_folder

    run_folder.read_run(options.run)
    threads.make_room(Config.read(options.run / "config.json").threads)
    from ie_model.api import exported, model_card, runs

    run, formats = runs.load(options.run), options.format or ["torch"]
    if "hub" in formats:
        print(model_card.write(run, options.outdir)[-1])
    for file in exported.export(run, options.outdir, [one for one in formats if one != "hub"]):
        print(f"{file.path}  differs from torch by at most {file.difference:.1e}")

"""`ie-model`: train, evaluate, figures, sample, export, log, curve, ablate, bench and info, each usable by itself.

    ie-model train --dataset mnist --labels 100 --outdir my-run
    ie-model evaluate my-run
    ie-model figures my-run --outdir my-run-figures
    ie-model sample my-run --out digits.png
    ie-model ablate --open --draws=3 --outdir my-ablation
    ie-model info

Exit codes: 0 done; 1 it failed while running; 2 a wrong argument or value; 130 and 143 interrupted, to be gone on with;
and those of every end that no command foresees (entry.py): 70, 74, 141. `python -m ie_model` is the same program.
torch is imported only by the commands that compute, so that help and wrong values answer at once.
"""

# Nothing else is imported while the current folder, or this file's, may be on the path; not even __future__, which is a
# module like others.
if __name__ == "__main__":
    import sys

    if sys.version_info < (3, 11):  # noqa: UP036 so that an older Python says it, too
        sys.stderr.write("ie_model: error: Python 3.11 or newer is needed, and this is %s\n" % sys.version.split()[0])  # noqa: UP031
        raise SystemExit(2)
    if not __package__:  # started by this file's name, as the recipes do
        sys.path.insert(0, __file__[: -len("/ie_model/__main__.py")])
    from ie_model import entry

    raise SystemExit(entry.main(by_name=bool(__package__), by_file=not __package__))

import argparse
import dataclasses
import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ie_model import __version__, entry, setting_flags
from ie_model.api import commands as api
from ie_model.api import sources
from ie_model.bench import command as bench
from ie_model.config import Config
from ie_model.device import detect, threads

ABLATE_EXAMPLES = """It reads validation images, never test images. Draw i has seed and label draw i. Stopped, the same
command goes on; with more draws or parts it trains what is missing. Means lie in OUTDIR/ablation.json.

examples:
  ie-model ablate --outdir=closed
  ie-model ablate --open --draws=5 --parts=moved-copies,smoothness --outdir=open
  ie-model ablate --dataset=glyphs --supervision=supervised --outdir=glyphs     # no download"""

# Read by OpenMP when torch is loaded. Threads that wait by spinning take the core from those they wait for as soon as
# anything else runs on the machine: a training step was then 5 to 10 times slower than with threads that sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Parser(argparse.ArgumentParser):
    """argparse, with errors in the project's form: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Prints one line and exits with 2."""
        print(f"ie_model: error: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit code; errors become one line on stderr."""
    options = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        options.command(options)
    except ValueError as error:
        return _fail(str(error), 2)
    except RuntimeError as error:
        return _fail(str(error), 1)
    except MemoryError:
        return _fail("out of memory; try a smaller --batch-size", 1)
    except OSError as error:
        hint = "; free some space and run the same command again" if error.errno == errno.ENOSPC else ""
        return _fail(f"{error.filename or 'file'}: {error.strerror or error}{hint}", 1)
    except KeyboardInterrupt:
        return _stopped(options, 130)
    except _Terminated:
        return _stopped(options, 143)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command line; the settings of `train` are the fields of Config."""
    about = (__doc__ or "").split("\n\n")  # PYTHONOPTIMIZE=2 leaves no docstring
    parser = Parser(
        prog="ie-model",
        description=about[0],
        epilog="examples:\n" + about[1] if about[1:] else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ie_model {__version__}")
    entry.add_completion(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, run: Callable[[argparse.Namespace], None], about: str) -> argparse.ArgumentParser:
        new = commands.add_parser(name, help=about, description=about)
        new.set_defaults(command=run, name=name)
        return new

    training = command("train", _train, "Train one model. An interrupted training goes on when called again.")
    setting_flags.add(training)
    training.add_argument(
        "--config", type=Path, help="config.json of another run: its settings, where no flag says else"
    )
    training.add_argument("--outdir", type=Path, required=True, help="the run's folder: new, empty or unfinished")
    api.add_log(training, "then write its history for")
    training.add_argument("--evaluate", action="store_true", help="then compute every metric, as `evaluate` does")
    _add_common(training)

    evaluation = command("evaluate", _evaluate, "Compute every metric of a trained model, into its run.json.")
    evaluation.add_argument("run", type=Path, help="the folder of a finished training")
    _add_common(evaluation)
    _add_device(evaluation)

    drawing = command("figures", _figures, "Draw the figures of a trained model.")
    drawing.add_argument("run", type=Path, help="the folder of a finished training")
    drawing.add_argument("--outdir", type=Path, required=True, help="folder for the PNG and SVG files")
    _add_common(drawing)
    _add_device(drawing)

    sampling = command("sample", _sample, "Decode styles from the prior under every class into one picture.")
    sampling.add_argument("run", type=Path, help="the folder of a finished training")
    sampling.add_argument("--out", type=Path, default=Path("samples.png"), help="PNG to write (default: %(default)s)")
    sampling.add_argument("--rows", type=int, default=8, help="styles to draw (default: %(default)s)")
    sampling.add_argument("--seed", type=int, default=0, help="seed of the styles (default: %(default)s)")

    api.add(command)

    curve = command("curve", _curve, "Draw error by number of labels, from a file of series (see plots.read_curve).")
    curve.add_argument("series", type=Path, help="JSON file with title, measured and published")
    curve.add_argument("--out", type=Path, action="append", required=True, help="PNG or SVG; may be repeated")

    without = command("ablate", _ablate, "Train a recipe without each of its parts, on several draws, and compare.")
    without.formatter_class, without.epilog = argparse.RawDescriptionHelpFormatter, ABLATE_EXAMPLES
    setting_flags.add(without)
    without.add_argument("--outdir", type=Path, required=True, help="folder of the trainings; it goes on in it")
    without.add_argument("--draws", type=bench.positive, default=3, help="seeds, from 0 (default: %(default)s)")
    without.add_argument("--parts", help="some of the parts, with commas between (default: all but cut-sums)")
    without.add_argument(
        "--at-once", type=bench.positive, help="trainings at once (default: as many as there is room for)"
    )
    _add_common(without)

    bench.add(command)

    information = command("info", _info, "Versions, device and the settings that `train` would use.")
    setting_flags.add(information)
    information.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="folder with the data set's files (default: cache, then download)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=detect.REQUESTS, help="compute on another device than the training did")


def _settings(options: argparse.Namespace) -> tuple[Config, detect.Device]:
    """The configuration that the command line asks for, on the device that was found. Values are checked first.

    A configuration file gives every setting that no flag does, but not the device: it may be of another machine.
    """
    given = {spec.name: getattr(options, spec.name, None) for spec in dataclasses.fields(Config)}
    del given["device"]
    if getattr(options, "config", None):
        stored = Config.read(options.config).to_dict()
        given = {name: stored.get(name) if value is None else value for name, value in given.items()}
    given = sources.counted(given, getattr(options, "data", None))
    checked = Config.resolve(**given)
    if options.name != "info":
        threads.make_room(checked.threads)
    found = detect.detect(options.device)
    return Config.resolve(**given, device=found.kind), found


def _trained_config(options: argparse.Namespace) -> Config:
    """The configuration of a finished run, on the device that the command line asks for if it does."""
    config = Config.read(options.run / "config.json")
    threads.make_room(config.threads)
    asked = vars(options).get("device")  # `sample` takes none
    return dataclasses.replace(config, device=detect.detect(asked).kind) if asked else config


def _data_folder(config: Config, options: argparse.Namespace) -> Path | None:
    say = (lambda line: None) if options.quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    return sources.folder(config, options.data, say)


def _train(options: argparse.Namespace) -> None:
    config, found = _settings(options)
    from ie_model.run import run_folder

    log = api.logger(options)

    with run_folder.opened(options.outdir, config) as finished:
        if finished:
            completed = run_folder.read_run(options.outdir)["status"] == "completed"
            if completed or not options.evaluate:
                print(f"{options.outdir}: this run is trained already", file=sys.stderr)
                return
        folder = _data_folder(config, options)
        if not finished:
            from ie_model.api import runs

            runs.begin(config, found, folder, options.outdir, options.quiet)
    if options.evaluate:
        from ie_model.api import runs

        options.name = "evaluate"  # what is interrupted from here on
        runs.measure(config, options.outdir, folder, options.quiet)
    log(options.outdir)


def _evaluate(options: argparse.Namespace) -> None:
    from ie_model.run import run_folder

    run_folder.read_run(options.run)
    config = _trained_config(options)
    run_folder.refuse_unwritable(options.run, f"what is measured ({run_folder.RUN})")
    from ie_model.api import runs

    runs.measure(config, options.run, _data_folder(config, options), options.quiet)


def _figures(options: argparse.Namespace) -> None:
    from ie_model.run import progress, run_folder

    run_folder.read_run(options.run)
    config = _trained_config(options)
    folder = _data_folder(config, options)
    if config.facts.unseen:
        from ie_model.new_classes.drawing import draw_all
    else:
        from ie_model.figures.draw import draw_all

    with progress.steps("drawing", options.quiet) as report:
        draw_all(config, options.run, folder, options.outdir, report)


def _sample(options: argparse.Namespace) -> None:
    from ie_model.run import run_folder

    if options.rows < 1:
        raise ValueError(f"rows: got {options.rows}, expected at least 1")
    run_folder.read_run(options.run)
    config = _trained_config(options)
    if config.facts.unseen:
        raise ValueError(
            f"{options.run}: is of {config.dataset}, whose new classes `figures` draws; expected another run"
        )
    from ie_model.data import tensors
    from ie_model.figures import draw, mosaics
    from ie_model.run import checkpoint

    model, _, r = checkpoint.read_model(options.run, config)
    chosen, all_names = draw.some_classes(len(r)), tensors.class_names(config, None)
    names = [draw.short(all_names[c]) for c in chosen.tolist()]
    draw.write(mosaics.samples(config, model, r[chosen], names, options.rows, options.seed), options.out)


def _curve(options: argparse.Namespace) -> None:
    from ie_model.figures import draw, plots

    if odd := [path for path in options.out if path.suffix not in (".png", ".svg")]:
        raise ValueError(f"--out={odd[0]}: expected a name that ends in .png or .svg")
    draw.write(plots.label_curve(*plots.read_curve(options.series)), *options.out)


def _ablate(options: argparse.Namespace) -> None:
    if options.seed is not None or options.label_seed is not None:
        raise ValueError("--seed and --label-seed: draw i has both at i; expected --draws=N")
    if options.threads is None:
        options.threads = 1  # several at once, with one thread each, take less time than one after another with more
    config, _ = _settings(options)
    if config.facts.unseen:
        raise ValueError(f"dataset: {config.dataset} has no recipe to ablate; expected another data set")
    from rich.console import Console

    from ie_model import ablation
    from ie_model.run import processes, progress

    parts = None if options.parts is None else [part for part in options.parts.split(",") if part]
    ablation.variants(config, parts)  # a part that is not there is refused before anything is fetched
    folder = _data_folder(config, options)
    at_once = options.at_once or processes.how_many(
        sys.maxsize, config.threads, config.device, config.facts.image_bytes
    )

    def line(text: str) -> None:
        if not options.quiet:
            print(f"ablate: {text}", file=sys.stderr, flush=True)

    with progress.steps("training", options.quiet) as report:
        found = ablation.measure(config, folder, options.draws, parts, at_once, options.outdir, report, line)
    Console(width=80).print(ablation.table(found))


def _info(options: argparse.Namespace) -> None:
    config, device_found = _settings(options)
    from importlib.metadata import distributions

    wanted = ("ie-repr", "torch", "torchvision", "numpy", "safetensors")
    installed = {found.name: found.version for found in distributions()}
    versions = {name: installed.get(name) for name in wanted}
    facts = {"versions": versions, "device": dataclasses.asdict(device_found), "config": config.to_dict()}
    if options.json:
        print(json.dumps(facts, indent=2))
        return
    for title, values in facts.items():
        print(title)
        for name, value in values.items():
            print(f"  {name:<18} {'not known' if value is None else value}")


class _Terminated(BaseException):
    """SIGTERM, as an exception, so that files and locks are left in order."""


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _stopped(options: argparse.Namespace, code: int) -> int:
    how = {130: "interrupted", 143: "terminated"}[code]
    kept = (
        "finished epochs are kept; the same command goes on from there"
        if options.name in ("train", "ablate")
        else "run it again"
    )
    print(f"ie_model: {how}; {kept}", file=sys.stderr)
    return code


def _fail(message: str, code: int) -> int:
    print(f"ie_model: error: {' '.join(message.split())}", file=sys.stderr)
    return code

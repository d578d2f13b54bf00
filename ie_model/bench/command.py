"""The command line of `ie-model bench`. torch is imported only when a part needs it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ie_model.config import DATASETS, Config
from ie_model.data import fetch
from ie_model.device import detect, limits, threads

PARTS = ("step", "matmul", "startup", "grid", "time-to-error")
DEFAULT = ("step", "matmul", "startup")
ABOUT = """Measure how fast this machine trains, beside M2 as it is usually written and the machine's own limit.

parts (default: step matmul startup):
  step           images/s of the training step: ours, the same written plainly, M2 sharing ours, the usual M2;
                 alternated, with 1 thread and with all; and the share of the machine's fp32 matrix products
  matmul         that rate by itself, also in bf16
  startup        seconds of --help, a wrong flag, info; with cm, of the _smoke recipe beside its two steps
  grid           seconds for four short trainings by processes × threads
  time-to-error  seconds of training to a test error below some marks: hours of work, goes on where it was killed"""
EXAMPLES = """examples:
  ie-model bench
  ie-model bench step --dataset=glyphs --repeats=3        # no download
  ie-model bench step --profile=trace                     # torch.profiler: trace/trace.json, trace/table.txt
  ie-model bench grid --json=grid.json
  ie-model bench time-to-error --outdir=tte --draws=5     # killed, the same command goes on
  ie-model bench time-to-error --open --methods=equivae --outdir=tte-open"""


def add(command: Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]) -> None:
    """Adds the command's parser."""
    parser = command("bench", run, "Measure how fast this machine trains, and its limit.")
    parser.description, parser.epilog = ABOUT, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure, see above")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--dataset", choices=tuple(DATASETS), default="mnist", help="default: %(default)s")
    parser.add_argument("--data", type=Path, help="folder with the data set's files (default: cache, then download)")
    parser.add_argument("--device", choices=detect.REQUESTS, default="auto", help="what to compute on (default: auto)")
    parser.add_argument(
        "--threads", type=_counts, metavar="N,N", help="threads of step and matmul (default: 1 and all)"
    )
    parser.add_argument("--repeats", type=positive, default=7, help="rounds of alternation (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a form in one round (default: %(default)s)")
    parser.add_argument("--bf16", action="store_true", help="our forms with bf16, as `train --bf16`")
    parser.add_argument("--compile", action="store_true", help="our forms compiled, as `train --compile`")
    parser.add_argument("--eager", action="store_true", help="our forms without CUDA graphs, as `train --eager`")
    parser.add_argument("--open", action="store_true", help="our forms and trainings with the open recipe")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="profile ten steps too, into this folder")
    parser.add_argument(
        "--grid-images", type=positive, default=10_000, help="of each of its runs (default: %(default)s)"
    )
    parser.add_argument("--outdir", type=Path, help="folder of time-to-error, which goes on in it")
    parser.add_argument("--draws", type=positive, default=5, help="of time-to-error (default: %(default)s)")
    parser.add_argument("--methods", default="equivae,m2,usual-m2", help="of time-to-error (default: %(default)s)")
    parser.add_argument("--epochs", type=positive, help="of time-to-error's trainings (default: that of train)")
    parser.add_argument("--cap", type=float, default=600.0, help="seconds of the usual M2 (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(options: argparse.Namespace) -> None:
    """Measures the parts in their order, prints their tables, and writes the JSON after each part."""
    parts = tuple(dict.fromkeys(options.parts)) or DEFAULT
    if odd := [part for part in parts if part not in PARTS]:
        raise ValueError(f"bench: there is no part {odd[0]!r}; expected one of: {', '.join(PARTS)}")
    if "time-to-error" in parts and options.outdir is None:
        raise ValueError("bench: time-to-error needs --outdir=FOLDER, where it keeps what is done and goes on")
    found_device = detect.detect(options.device)
    given = {"dataset": options.dataset, "device": found_device.kind, "epochs": options.epochs}
    given |= {name: getattr(options, name) for name in ("bf16", "compile", "eager")}
    given["recipe"] = "open" if options.open else None
    config = Config.resolve(**given)
    folder = None
    if options.dataset != "glyphs" and set(parts) - {"matmul"}:
        folder = fetch.ensure(options.dataset, options.data)
    threads.make_room(max([config.threads, *(options.threads or [limits.cores()])]))
    from ie_model.bench import table
    from ie_model.run.progress import steps

    found: dict[str, Any] = {"format": 1, "machine": machine(found_device), "parts": {}}
    with steps("measuring", options.quiet) as say:
        for part in (name for name in PARTS if name in parts):
            found["parts"][part] = _measure(part, config, folder, options, say)
            if options.json:
                from ie_model.run import run_folder

                run_folder.write_json(options.json, found)
        if options.profile:
            from ie_model.bench import profile, step_variants

            rows = profile.write(config, step_variants.load(config, folder), options.profile, say)
            found["profile"] = [{"operator": name, "ms_per_step": own, "calls": calls} for name, own, calls in rows]
    table.show(found)
    if options.json:
        print(f"written: {options.json}", file=sys.stderr)


def _measure(
    part: str, config: Config, folder: Path | None, options: argparse.Namespace, say: Callable[[str], None]
) -> Any:
    counts = options.threads or sorted({1, limits.cores()})
    if part == "step":
        from ie_model.bench import step

        return step.measure(config, folder, counts, options.repeats, options.seconds, say)
    if part == "matmul":
        from ie_model.bench import matmul

        return matmul.measure(config, counts, options.repeats, say)
    if part == "startup":
        from ie_model.bench import startup

        return startup.measure(options.dataset, options.data, min(options.repeats, 3), say)
    if part == "grid":
        from ie_model.bench import grid

        return grid.measure(config, folder, limits.cores(), options.grid_images, min(options.repeats, 3), say)
    if part == "time-to-error":
        from ie_model.bench import time_to_error

        methods = tuple(filter(None, options.methods.split(",")))
        if odd := [method for method in methods if method not in time_to_error.METHODS]:
            raise ValueError(f"--methods: got {odd[0]!r}, expected some of: {', '.join(time_to_error.METHODS)}")

        def line(text: str) -> None:
            if not options.quiet:
                print(f"time-to-error: {text}", file=sys.stderr, flush=True)

        return time_to_error.measure(config, folder, options.draws, methods, options.cap, options.outdir, say, line)
    raise AssertionError(part)


def machine(found: detect.Device) -> dict[str, Any]:
    """What was measured on: no name of the machine or of a person."""
    from importlib.metadata import version

    from ie_model.device import probes

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "device": dataclasses.asdict(found),
        "cpu": probes.cpu_name(),
        "cores": limits.cores(),
        "load_at_start": load,
        "python": platform.python_version(),
        "torch": version("torch"),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _counts(text: str) -> list[int]:
    return sorted({positive(part) for part in text.split(",")})

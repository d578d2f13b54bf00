"""Part `startup`: how long commands take that compute nothing, and a recipe beside training and evaluation."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ie_model import entry
from ie_model.bench import spread

COMMANDS = {
    "--help": ["--help"],
    "train --help": ["train", "--help"],
    "a wrong flag": ["train", "--nonsense"],
    "a wrong value": ["train", "--labels=7", "--outdir=x"],
    "info": ["info"],
}
RECIPE = "cm run script 'reproduce ie-repr {dataset} _smoke' --quiet"


def measure(dataset: str, data: Path | None, repeats: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of each command, and of the `_smoke` recipe where ``cm`` is installed: all of it, and beside its two
    steps. The recipe runs once more before, so that all that it needs is installed and cached."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory(prefix="ie-bench-") as scratch:
        for round_ in range(repeats):
            for name, arguments in COMMANDS.items():
                report(f"{name}, {round_ + 1} of {repeats}")
                found[name].append(_seconds(entry.arguments(*arguments), Path(scratch))[0])
        commands = {name: spread.of(seconds) for name, seconds in found.items()}
        if shutil.which("cm") is None:
            return {"commands": commands, "recipe": None, "why": "cm is not installed"}
        argv = [*shlex.split(RECIPE.format(dataset=dataset)), *([f"--data={data}"] if data else [])]
        recipe = [_recipe(argv, Path(scratch), n, report) for n in range(repeats + 1)][1:]
    if odd := next((one for one in recipe if "error" in one), None):
        return {"commands": commands, "recipe": None, "why": odd["error"]}
    parts = {name: spread.of([one[name] for one in recipe]) for name in recipe[0]}
    return {"commands": commands, "recipe": {"command": shlex.join(argv), **parts}, "why": None}


def _recipe(argv: Sequence[str], scratch: Path, n: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of one run of the recipe: whole, training, evaluation and the rest."""
    report(f"{argv[3]}, {n}" if n else f"{argv[3]}, once to fill its caches")
    outdir = scratch / f"results {n}"
    whole, code, said = _seconds([*argv, f"--outdir={outdir}"], scratch)
    try:
        run = json.loads((outdir / "runs" / "0" / "run.json").read_bytes())
        training, evaluation = float(run["wall_seconds"]), float(run["evaluation_seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        last = (said.strip().splitlines() or [""])[-1][:200]
        return {"error": f"{shlex.join(argv)} ended with {code} and no numbers ({type(error).__name__}; {last})"}
    return {
        "seconds": whole,
        "training": training,
        "evaluation": evaluation,
        "rest": whole - training - evaluation,
    }


def _seconds(argv: Sequence[str], cwd: Path) -> tuple[float, int, str]:
    """Wall-clock seconds of a command, its exit code and what it said on stderr."""
    began = time.perf_counter()
    done = subprocess.run(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    return time.perf_counter() - began, done.returncode, done.stderr

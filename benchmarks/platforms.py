"""By how much metrics differ when they are computed again from the same weights where sums round differently.

    python -m benchmarks.platforms RUN [RUN ...] --data=FOLDER [--python=PYTHON ...] [--json=FILE]

RUN: folders of finished runs (`runs/N` of a results folder). Each is evaluated again as it was, by other kernels of
torch, with two threads, and by each other Python that is named (another torch, in its own environment). Prints the
largest difference of each metric to what run.json holds, and the tolerance of the rules. The judge is trained anew each
time. About a minute a run and way on one core; `--json` keeps what is done, and the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ie_crowd.challenge import load
from ie_crowd.formats import strict

ROOT = Path(__file__).resolve().parents[1]
# What torch and the libraries below it choose by the processor; each is asked for the kernels of an older one.
WAYS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "as it was": ({}, {}),
    "AVX2 kernels": (
        {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"},
        {},
    ),
    "two threads": ({}, {"threads": 2}),
}


def evaluated(run: Path, python: str, data: Path, way: str) -> dict[str, float]:
    """The metrics of the weights in ``run``, computed anew by ``python`` in the named way."""
    environment, settings = WAYS.get(way, ({}, {}))
    stated = json.loads((run / "run.json").read_text())
    stated.update(status="trained", metrics={}, config={**stated["config"], **settings})
    with tempfile.TemporaryDirectory(prefix="ie-repr-platforms-") as place:
        copy = Path(place) / "run"
        copy.mkdir()
        shutil.copyfile(run / "model.safetensors", copy / "model.safetensors")
        strict.write_json(copy / "config.json", {**json.loads((run / "config.json").read_text()), **settings})
        strict.write_json(copy / "run.json", stated)
        # a cache of its own: no judge that was trained in another way
        variables = {**os.environ, **environment, "IE_REPR_CACHE": str(Path(place) / "cache")}
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from ie_model.entry import main; sys.exit(main())"
        argv = [python, "-P", "-c", code, "evaluate", str(copy), f"--data={data}", "--quiet"]
        subprocess.run(argv, env=variables, cwd=place, check=True)
        found: dict[str, float] = json.loads((copy / "run.json").read_text())["metrics"]
        return found


def main() -> int:
    """Evaluate what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run, with its weights")
    parser.add_argument("--python", action="append", default=[], help="another interpreter to evaluate by, too")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set's files")
    parser.add_argument("--json", type=Path, default=Path("platforms.json"), help="what is done (default: %(default)s)")
    given = parser.parse_args()
    if missing := [str(run) for run in given.runs if not (run / "model.safetensors").is_file()]:
        parser.error(f"no model.safetensors in {', '.join(missing)}; name folders of runs, such as DIR/runs/0")
    done: dict[str, dict[str, dict[str, float]]] = json.loads(given.json.read_text()) if given.json.exists() else {}
    ways = dict.fromkeys(WAYS, sys.executable) | {python: python for python in given.python}
    for run in given.runs:
        for way, python in ways.items():
            values = done.setdefault(str(run.resolve()), {})
            if way not in values:
                print(f"{run}: {way}", file=sys.stderr)
                values[way] = evaluated(run, python, given.data.resolve(), way)
                strict.write_json(given.json, done)
    rules = load.challenge(ROOT / "cm-repo/challenge/ie-repr").metrics
    print("| | " + " | ".join(ways) + " | tolerance |\n" + "|---" * (len(ways) + 2) + "|")
    stated = {run: json.loads((run / "run.json").read_text())["metrics"] for run in given.runs}
    for name in rules:
        if all(name in metrics for metrics in stated.values()):
            furthest = [
                max(abs(done[str(run.resolve())][way][name] - stated[run][name]) for run in given.runs) for way in ways
            ]
            print(f"| `{name}` | " + " | ".join(f"{value:.2g}" for value in furthest) + f" | {rules[name].recompute} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""What the commands bear: ``python -m benchmarks.robustness [--kills=60] [--faults=60] [--out=FOLDER] [--seed=0]``.

In a checkout, on Linux; one core is enough. Killed, the same command goes on. FOLDER holds trials.jsonl and table.md,
which is made anew after each trial. The exit code is 1 if something did not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "script"))

from benchmarks.robustness import disturbances, environments, phases, report


def main() -> int:
    """Make the trials that are not made yet, and print each, and the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description="What the commands bear.")
    parser.add_argument("--kills", type=int, default=60, help="signals at random moments (default: 60)")
    parser.add_argument("--faults", type=int, default=60, help="file operations that fail (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the trials: each is drawn from it and its number")
    parser.add_argument("--no-environments", action="store_true", help="leave settings of other programs out")
    parser.add_argument("--out", type=Path, default=Path("robustness-results"), help="goes on with what it holds")
    options = parser.parse_args()
    kept = report.Report(options.out.resolve(), options.seed)
    ready = phases.Ready(kept.folder / "ready")
    ready.make()
    if not ready.library.exists():
        print("no C compiler, or no Linux: no file operation can be made to fail", flush=True)
    with tempfile.TemporaryDirectory(prefix="ie-robustness-") as scratch:
        for row in _all(options, ready, Path(scratch), kept.done):
            kept.add(row)
            about = f"{row['key']}: {row.get('phase', '')} {row['what']}"
            print(f"{about}: {row['wrong'] or 'held'} ({row['seconds']} s, {len(kept.rows)} so far)", flush=True)
    print(kept.table())
    return int(any(row["wrong"] for row in kept.rows))


def _all(options: argparse.Namespace, ready: phases.Ready, scratch: Path, done: set[str]) -> Iterator[dict[str, Any]]:
    trials = disturbances.Trials(ready, scratch, options.seed)
    if options.kills or options.faults:
        trials.measure()
    kills, faults = trials.kills(options.kills, done), trials.faults(options.faults, done)
    # one of each in turn, so that a table made half way shows both
    yield from _timed(_in_turn(kills, faults))
    if not options.no_environments:
        yield from _timed(environments.trials(ready, scratch, done))


def _in_turn(*many: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    rest = list(many)
    while rest:
        for rows in list(rest):
            row = next(rows, None)
            if row is None:
                rest.remove(rows)
            else:
                yield row


def _timed(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    began = time.monotonic()
    for row in rows:
        yield {**row, "seconds": round(time.monotonic() - began, 2)}
        began = time.monotonic()


if __name__ == "__main__":
    raise SystemExit(main())

"""What a training bears: ``python -m benchmarks.robustness [--kills=60] [--faults=60] [--seed=0] [--json=FILE]``.

Each trial trains a small model on generated images. Killed at a random moment, or with one file operation that fails
(a preload library of our own, faulty.c, needs a C compiler and Linux), or under settings that belong to other programs;
then the same command is given again. What held: it ends well, with the same weights bit for bit as a training that
nothing happened to, no half-written file is left, and no trial that reports success has other weights.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TRAINING = (
    "train --dataset=glyphs --smoke --epochs=3 --epoch-images=300 --control-steps=5 --warm-up-steps=2 --channels=4 "
    "--hidden=32 --quiet"
).split()
PATIENCE = 300.0
CALLS = ("open", "write", "rename", "fsync")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EINTR, errno.EDQUOT)
ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {"OMP_THREAD_LIMIT": "1"}, {"OMP_DYNAMIC": "true"}, {"OMP_MAX_ACTIVE_LEVELS": "0"}, {"OMP_NUM_THREADS": "1"},
    {"MKL_NUM_THREADS": "1"}, {"OMP_PROC_BIND": "true"}, {"MPLBACKEND": "module://no.such.backend"},
    {"PYTHONSAFEPATH": "1"}, {"PYTHONOPTIMIZE": "2"}, {"PYTHONDEVMODE": "1"}, {"PYTHONHASHSEED": "7"},
    {"PYTHONWARNINGS": "default"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "LC_ALL": "C"},
    {"LC_ALL": "tr_TR.UTF-8"}, {"TZ": "Pacific/Kiritimati"}, {"COLUMNS": "1", "TERM": "dumb"}, {"HOME": "/nonexistent"},
    {"PIP_USER": "1"}, {"CUDA_VISIBLE_DEVICES": ""}, {"TMPDIR": "/nonexistent"}, {"GIT_DIR": "/nonexistent"},
)  # fmt: skip


def command(place: Path, threads: int) -> list[str]:
    """A training in a folder."""
    return [sys.executable, "-m", "ie_model", *TRAINING, f"--threads={threads}", f"--outdir={place}"]


def train(place: Path, threads: int, more: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit code (124: it did not end) and the last line on stderr of a training that nobody disturbs."""
    done = subprocess.Popen(
        command(place, threads), cwd=HERE.parent, env={**os.environ, **(more or {})}, stderr=subprocess.PIPE
    )
    try:
        _, errors = done.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        done.kill()
        done.communicate()
        return 124, "no end"
    return done.returncode, (errors.decode("utf-8", "replace").strip().splitlines() or [""])[-1]


def weights(place: Path) -> str:
    """SHA-256 of the weights of a run that ended; "" where there is none."""
    try:
        return str(json.loads((place / "run.json").read_bytes())["model_sha256"])
    except (OSError, ValueError, KeyError):
        return ""


def wrong(place: Path, threads: int, expected: str) -> str:
    """Gives the same command again, without trouble; says what does not hold then, "" if all does."""
    code, last = train(place, threads)
    if code != 0:
        return f"does not go on: exit {code}: {last}"
    if weights(place) != expected:
        return "goes on to other weights"
    left = [path.name for path in place.iterdir() if path.name.endswith((".part", ".tmp"))]
    return f"leaves {left[0]}" if left else ""


def kills(home: Path, many: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """SIGKILL at random moments of a training."""
    began = time.monotonic()
    train(home / "reference", 1)
    lasts, expected = time.monotonic() - began, weights(home / "reference")
    if not expected:
        raise RuntimeError("the undisturbed training failed: nothing can be compared")
    for number in range(many):
        place, moment = home / f"kill-{number}", draw.uniform(0, lasts)
        process = subprocess.Popen(command(place, 1), cwd=HERE.parent, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        epochs = len((place / "metrics.jsonl").read_bytes().splitlines()) if (place / "metrics.jsonl").exists() else 0
        yield {"trial": f"after {moment:.1f} s, {epochs} epochs", "wrong": wrong(place, 1, expected)}
        shutil.rmtree(place, ignore_errors=True)


def faults(home: Path, many: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """One file operation in the run's folder that fails, with an error drawn at random."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return
    library = home / "faulty.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "faulty.c", "-ldl"], check=True)
    counts = {}
    for call in CALLS:
        count, place = home / f"count-{call}", home / f"counted-{call}"
        base = {"LD_PRELOAD": str(library), "FAULTY_FOLDER": str(place), "FAULTY_CALL": call}
        train(place, 1, {**base, "FAULTY_COUNT": str(count)})
        counts[call], expected = count.stat().st_size if count.exists() else 0, weights(place)
    for number in range(many):
        call = draw.choice([call for call in CALLS if counts[call]])
        nth, code = draw.randint(1, counts[call]), draw.choice(ERRORS)
        place = home / f"fault-{number}"
        base = {"LD_PRELOAD": str(library), "FAULTY_FOLDER": str(place), "FAULTY_CALL": call}
        ended, last = train(place, 1, {**base, "FAULTY_NTH": str(nth), "FAULTY_ERRNO": str(code)})
        trial = f"{call} {nth} of {counts[call]}: {errno.errorcode[code]}"
        if ended == 0 and weights(place) != expected:
            problem = "success with other weights"
        elif ended not in (0, 1, 2, 74) or "Traceback" in last or "internal error" in last:
            problem = f"ended with {ended}: {last}"
        else:
            problem = wrong(place, 1, expected)
        yield {"trial": trial, "wrong": problem}
        shutil.rmtree(place, ignore_errors=True)


def environments(home: Path) -> Iterator[dict[str, Any]]:
    """Settings that belong to other programs: the same weights under each."""
    train(home / "two", 2)
    expected = weights(home / "two")
    for number, more in enumerate(ENVIRONMENTS):
        place = home / f"environment-{number}"
        code, last = train(place, 2, more)
        problem = f"exit {code}: {last}" if code else "" if weights(place) == expected else "other weights"
        yield {"trial": " ".join(f"{name}={value}" for name, value in more.items()), "wrong": problem}
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    """Runs the trials and prints a table; the exit code is 1 if something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description="What a training bears.")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--no-environments", action="store_true")
    parser.add_argument("--json", type=Path, help="write every trial there")
    options = parser.parse_args()
    draw = random.Random(options.seed)  # noqa: S311 (no secret)
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="ie-robustness-") as scratch:
        home = Path(scratch)
        parts = {"kills": kills(home, options.kills, draw), "faults": faults(home, options.faults, draw)}
        parts |= {} if options.no_environments else {"environments": environments(home)}
        for name, trials in parts.items():
            found[name] = []
            for trial in trials:
                found[name].append(trial)
                print(f"{name}: {trial['trial']}: {trial['wrong'] or 'held'}", flush=True)
    for name, rows in found.items():
        print(f"{name:<14} {len(rows):>5} tried, {sum(not row['wrong'] for row in rows):>5} held")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(row["wrong"] for rows in found.values() for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())

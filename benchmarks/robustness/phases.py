"""The commands that are disturbed: what each is given, how it is started, and a hash of what it must have made.

They are the real commands on a real, small result: a model trained in a second on generated images.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ie_recipes import flags

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SMALL = {
    "epoch_images": 300, "control_steps": 5, "warm_up_steps": 2, "channels": 4, "hidden": 32, "judge_epochs": 1,
    "probe_epochs": 1, "likelihood_images": 1, "likelihood_samples": 2,
}  # fmt: skip
EPOCHS = 3
PATIENCE = 300.0
PROGRAMS = {"ie_model": ROOT / "ie_model" / "__main__.py", "ie_crowd": ROOT / "cm-repo" / "ie_crowd" / "__main__.py"}
LEFT = ("*.part", "*.tmp", ".incomplete.json.*", ".publishing-*", "core", "core.[0-9]*")  # not to be left behind
CALLS = ("open", "read", "write", "rename", "fsync", "truncate", "mkdir", "unlink")


@dataclass(frozen=True)
class Phase:
    """One command: what it is given (a folder of `Ready` by the name it gets in a trial's place), and what it makes."""

    name: str
    share: int  # of the trials, in parts
    given: Mapping[str, str]
    argv: Callable[[Path], list[str]]
    product: Callable[[Path], str]
    once: bool = False  # what is complete is refused when it is asked for again


def program(package: str, *words: object) -> list[str]:
    """The command line of a package of this checkout, as the recipes start it."""
    return [sys.executable, "-P", str(PROGRAMS[package]), *map(str, words)]


def training(place: Path, threads: int = 1) -> list[str]:
    """A training into the folder `run` of a place."""
    words = [f"--{key.replace('_', '-')}={value}" for key, value in SMALL.items()]
    more = ("--dataset=glyphs", "--recipe=open", "--smoke", f"--epochs={EPOCHS}", f"--threads={threads}", "--quiet")
    return program("ie_model", "train", *more, *words, f"--outdir={place / 'run'}")


def flow(folder: Path) -> list[str]:
    """All of one task, into a folder: what `cm run script "reproduce ie-repr glyphs"` starts when all is installed."""
    request = flags.Request(
        "glyphs", "semi-supervised", smoke=True, threads=1, recipe="open", epochs=EPOCHS, quiet=True, more=SMALL
    )
    file = ROOT / "script" / "ie_recipes" / "workflow.py"
    return [sys.executable, "-P", str(file), f"--request={request.text()}", f"--folder={folder}"]


def weights(place: Path) -> str:
    """The hash that a training says of its weights, if they are that."""
    said = str(_json(place / "run" / "run.json").get("model_sha256", ""))
    return said if said and said == _sha256(place / "run" / "model.safetensors") else ""


def metrics(place: Path) -> str:
    """Hash of all metrics of an evaluated run, and of its predictions."""
    run = _json(place / "run" / "run.json")
    if run.get("status") != "completed":
        return ""
    numbers = json.dumps(run.get("metrics"), sort_keys=True) + _sha256(place / "run" / "predictions.safetensors")
    return hashlib.sha256(numbers.encode()).hexdigest()


def tree(folder: Path, last: str) -> str:
    """Hash of names and contents of all files below a folder; "" while its last one (a pattern) is not there."""
    if not list(folder.glob(last)):
        return ""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not any(map(path.match, LEFT)))
    lines = "".join(f"{path.relative_to(folder)} {_sha256(path)}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def finished(folder: Path) -> bool:
    """Whether a results folder does not say that something is missing."""
    return not (folder / "incomplete.json").exists()


def stored(place: Path) -> str:
    """Hash of the results in a sound store, which must be published; "" for none."""
    if not (place / "store.db").exists():
        return ""
    connection = sqlite3.connect(place / "store.db")
    try:
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            return "damaged"
        rows = connection.execute("SELECT id, state FROM result ORDER BY id").fetchall()
    except sqlite3.OperationalError:  # it holds no table yet
        return ""
    finally:
        connection.close()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest() if rows else ""


PHASES = (
    Phase("train", 4, {}, training, weights),
    Phase(
        "evaluate", 1, {"run": "trained"},
        lambda place: program("ie_model", "evaluate", place / "run", "--quiet"), metrics,
    ),
    Phase(
        "figures", 1, {"run": "evaluated"},
        lambda place: program("ie_model", "figures", place / "run", f"--outdir={place / 'figures'}", "--quiet"),
        lambda place: tree(place / "figures", "*.png"),
    ),
    Phase(
        "assemble", 3, {"results": "unassembled"}, lambda place: flow(place / "results"),
        lambda place: tree(place / "results", "SHA256SUMS") if finished(place / "results") else "",
        once=True,
    ),
    Phase(
        "submit", 3, {"result": "result"},
        lambda place: program("ie_crowd", "submit", place / "result", f"--to={place / 'to'}", "--yes"),
        lambda place: tree(place / "to", "cm-repo/experiment/*/*/cm-result.json"),
    ),
    Phase(
        "ingest", 3, {"to": "published"},
        lambda place: program("ie_crowd", "ingest", place / "to", f"--store={place / 'store.db'}", "--jobs=1"), stored,
    ),
)  # fmt: skip


class Ready:
    """What the phases are given, made once in a folder, and the preload library where there is a compiler."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.library = home / "faulty.so"

    def make(self) -> None:
        """Make what is not there yet. Raises RuntimeError where a command fails that nobody disturbs."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not self.library.exists():
            compile_library(self.library)
        self._once("trained", lambda place: _done(training(place)), "run")
        self._once("evaluated", self._evaluate, "run")
        if self.library.exists():
            self._once("unassembled", self._stop_before_the_result, "results")
        self._once("result", lambda place: _done(flow(place / "results")), "results")
        self._once("published", self._publish, "to")

    def give(self, phase: Phase, place: Path) -> None:
        """Make a place for a trial, with what the phase is given."""
        shutil.rmtree(place, ignore_errors=True)
        (place / "tmp").mkdir(parents=True)
        for name, ready in phase.given.items():
            shutil.copytree(self.home / ready, place / name)

    def _once(self, name: str, make: Callable[[Path], None], part: str) -> None:
        if (self.home / name).exists():
            return
        place = self.home / f"{name}.made"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        make(place)
        (place / part).rename(self.home / name)
        shutil.rmtree(place)

    def _evaluate(self, place: Path) -> None:
        shutil.copytree(self.home / "trained", place / "run")
        _done(program("ie_model", "evaluate", place / "run", "--quiet"))

    def _stop_before_the_result(self, place: Path) -> None:
        """All of a task but result.json, the facts that it is made of kept: the disk was full then."""
        folder = place / "results"
        wrong = {
            "LD_PRELOAD": str(self.library), "FAULTY_FOLDER": str(folder / "result.json"), "FAULTY_CALL": "rename",
            "FAULTY_NTH": "1", "FAULTY_ERRNO": str(errno.ENOSPC),
        }  # fmt: skip
        code, errors = run(flow(folder), wrong)
        if "facts" not in _json(folder / "incomplete.json"):
            raise RuntimeError(f"the task did not come as far as its result: exit {code}: {errors}")

    def _publish(self, place: Path) -> None:
        _done(program("ie_crowd", "submit", self.home / "result", f"--to={place / 'to'}", "--yes"))


def compile_library(library: Path) -> None:
    """Compile faulty.c; nothing where there is no compiler, or no Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is not None and sys.platform.startswith("linux"):
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "faulty.c", "-ldl"], check=True)


def run(argv: list[str], more: Mapping[str, str] | None = None, cwd: Path | None = None) -> tuple[int, str]:
    """Exit code (124: it did not end) of a command that ends by itself, and all that it says."""
    env = {**os.environ, **(more or {})}
    process = subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return 124, f"no end within {PATIENCE:.0f} s"
    return process.returncode, said.decode("utf-8", "replace").strip()


def _done(argv: list[str]) -> None:
    code, errors = run(argv)
    if code != 0:
        raise RuntimeError(f"{' '.join(argv[2:4])}, which nobody disturbed, ended with {code}: {errors}")


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

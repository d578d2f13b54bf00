"""What sweeps on many machines bear and cost: ``python -m benchmarks.sweeps PART [--runs=N] [--json=FILE]``.

faults    a scheduler and three workers at 127.0.0.1 to .4, and small trainings. A worker killed, one frozen and woken,
          one cut off for a minute, the scheduler killed and started again: the weights must be those of an undisturbed
          training, bit for bit, and no epoch that was sent may be trained again
overhead  the same trainings one after the other, bare, on this machine's own engine, and on one worker: seconds each
speed     the same trainings on one worker and on two
nothing   tasks that do nothing through scheduler and workers into folders, and the index: time and memory of each step
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.sweep_machines import Machines, Wire

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "script"), str(ROOT / "cm-repo"), str(ROOT)]
from ie_recipes import own_code  # noqa: E402
from ie_recipes.sweep import cluster, engine, grid, journal, page, works  # noqa: E402
from ie_recipes.sweep import plan as plans  # noqa: E402

CARRIED = {"bytes": 0}
CUT_SECONDS = 60.0
TRAINING = (
    "--method=equivae --recipe=open --dataset=glyphs --supervision=semi-supervised --labels=100 --smoke --threads=1 "
    "--epoch-images=200 --control-steps=5 --warm-up-steps=2 --channels=4 --hidden=32"
).split()
NOTHING = """
from ie_recipes.sweep import works
def commands(work, place, figures, device, data):
    place.mkdir(parents=True, exist_ok=True)
    seed = next(word.partition("=")[2] for word in work.train if word.startswith("--seed="))
    (place / "config.json").write_text("{}")
    if BYTES:
        (place / "model.safetensors").write_bytes(bytes(BYTES))
    (place / "run.json").write_text(
        '{"status": "completed", "seed": %s, "task": {"dataset": "%s"}, "metrics": {"classification.error": 1.5}}'
        % (seed, work.dataset)
    )
    return
    yield
works.commands = commands
from ie_recipes.sweep.worker import dask_setup
"""


def trainings(count: int, epochs: int) -> list[works.Work]:
    """Small trainings of the real model, each of a seed of its own; nothing is measured."""
    words = [*TRAINING, f"--epochs={epochs}"]
    return [
        works.Work("cell", n, "glyphs", (*words, f"--seed={n}", f"--label-seed={n}"), evaluate=False)
        for n in range(count)
    ]


def weights(folder: Path, asked: Sequence[works.Work]) -> list[str]:
    """The hash of each run's weights."""
    runs = [folder / "cell" / "runs" / str(work.number) / "run.json" for work in asked]
    return [json.loads(path.read_bytes())["model_sha256"] for path in runs]


def faults(path: Path, runs: int) -> dict[str, Any]:
    """Each fault strikes the worker of a run of which there is a checkpoint; then the next fault."""
    asked = trainings(runs, 12)
    expected = _local(path / "undisturbed", asked)
    told: list[str] = []
    with Machines(path / "machines", DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="5 s") as machines:
        machines.scheduler()
        wire = Wire(machines.port)
        machines.worker(1)
        machines.worker(2)
        machines.worker(3, scheduler=wire.address)
        machines.ready(3)
        running: dict[str, str] = {}
        kept: list[tuple[Path, list[bytes]]] = []
        struck: dict[str, int] = {}

        def kill(name: str) -> None:
            machines.kill(name)
            machines.worker(int(name.split()[1]), scheduler=wire.address if name == "worker 3" else "")

        def freeze(name: str) -> None:
            frozen = machines.processes[name]
            frozen.send_signal(signal.SIGSTOP)
            threading.Timer(20.0, lambda: frozen.send_signal(signal.SIGCONT)).start()

        def scheduler(_: str) -> None:
            machines.kill("scheduler")
            machines.scheduler()

        def cut(_: str) -> None:
            wire.cut(CUT_SECONDS)

        plan: list[tuple[str, str, Callable[[str], None]]] = [
            ("killed", "", kill), ("frozen for 20 s", "", freeze), ("cut off for 60 s", "worker 3", cut),
            ("scheduler killed", "", scheduler), ("killed again", "", kill),
        ]  # fmt: skip

        def hear(work: works.Work, what: str, line: str) -> None:
            running.pop(work.name, None)
            if what == engine.RUNNING:
                running[work.name] = machines.where(line)
            elif what == engine.FAILED:
                told.append(f"{work.name} failed: {line}")

        def watch() -> None:
            for name, where in running.items():
                place = path / "out" / name
                epoch = _epoch(place / "checkpoint.safetensors")
                if plan and epoch > struck.get(name, 0) and plan[0][1] in ("", where):
                    struck[name] = epoch  # the next fault comes after more has been done
                    what, _, strike = plan.pop(0)
                    kept.append((place / "metrics.jsonl", (place / "metrics.jsonl").read_bytes().splitlines()[:epoch]))
                    told.append(f"{where} {what}, after epoch {epoch} of {name}")
                    print(told[-1], flush=True)
                    strike(where)
                    return

        began = time.monotonic()
        many = cluster.Cluster(path / "out", machines.address, "cpu", "again", travel=0.0)
        many.do(asked, hear, watch)
        seconds = time.monotonic() - began
    repeated = sum(file.read_bytes().splitlines()[: len(rows)] != rows for file, rows in kept)
    return {
        "faults": told, "faults that did not come": [what for what, _, _ in plan], "seconds": round(seconds, 1),
        "runs with other weights": sum(a != b for a, b in zip(weights(path / "out", asked), expected, strict=True)),
        "runs whose sent epochs were trained again": repeated,
    }  # fmt: skip


def _epoch(path: Path) -> int:
    """The epochs that a checkpoint holds, from its header; 0 where there is none."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return int(header["__metadata__"]["epoch"])


def _local(folder: Path, asked: Sequence[works.Work], at_once: int = 2) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    engine.Local(folder, "cpu", {}, at_once, "again", dict(os.environ)).do(asked, lambda *_: None, lambda: None)
    return weights(folder, asked)


def _on_workers(path: Path, asked: Sequence[works.Work], count: int) -> tuple[float, float]:
    """Seconds, and CPU seconds of all but the runs, of the works on so many workers, which are there already. A
    checkpoint travels each minute, as it does unless something else is asked for."""
    with Machines(path / f"{count} workers") as machines:
        machines.scheduler()
        for number in range(1, count + 1):
            machines.worker(number)
        machines.ready(count)
        began, before = time.monotonic(), machines.cpu() + time.process_time()
        many = cluster.Cluster(path / f"out {count}", machines.address, "cpu", "again", cluster.TRAVEL_SECONDS)
        many.do(asked, lambda *_: None, lambda: None)
        return time.monotonic() - began, machines.cpu() + time.process_time() - before


def overhead(path: Path, runs: int) -> dict[str, Any]:
    """Bare: the same commands, one after the other, and nothing else. In turns, so that a busy machine is fair."""
    asked = trainings(runs, 12)
    seconds = {"bare": 0.0, "this machine's engine": 0.0, "one worker": 0.0}
    engines = trained = 0.0
    half = len(asked) // 2
    for turn, some in enumerate((asked[:half], asked[half:])):
        place = path / str(turn)
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        for work in some:
            words = next(works.commands(work, place / "bare" / str(work.number), place / "none", "cpu", None))
            subprocess.run(own_code.command("ie_model", os.environ, *words), check=True)
        seconds["bare"] += time.monotonic() - began
        trained += resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        began = time.monotonic()
        _local(place / "local", some, at_once=1)
        seconds["this machine's engine"] += time.monotonic() - began
        took, cpu = _on_workers(place, some, 1)
        seconds["one worker"] += took
        engines += cpu
    return {
        "runs": len(asked), "CPU seconds of scheduler, worker and client for one": round(engines / len(asked), 3),
        "CPU seconds of one, bare": round(trained / len(asked), 3),
        "seconds of one": {name: round(total / len(asked), 3) for name, total in seconds.items()},
        "more than bare, percent": {
            name: round(100 * (total / seconds["bare"] - 1), 2) for name, total in seconds.items() if name != "bare"
        },
    }  # fmt: skip


def speed(path: Path, runs: int) -> dict[str, Any]:
    """One worker, then two."""
    asked = trainings(runs, 12)
    seconds = {count: _on_workers(path, asked, count)[0] for count in (1, 2)}
    same = weights(path / "out 1", asked) == weights(path / "out 2", asked)
    return {
        "runs": runs, "seconds": {str(count): round(took, 1) for count, took in seconds.items()},
        "times as fast": round(seconds[1] / seconds[2], 3), "same weights": same,
    }  # fmt: skip


@contextmanager
def _step(name: str, into: dict[str, Any]) -> Iterator[None]:
    began, before = time.monotonic(), time.process_time()
    yield
    here = round(psutil.Process().memory_info().rss / 2**20)
    took = {"seconds": round(time.monotonic() - began, 2), "CPU seconds here": round(time.process_time() - before, 2)}
    into[name] = {**took, "MiB of this process": here}
    print(name, into[name], flush=True)


def nothing(path: Path, runs: int) -> dict[str, Any]:
    """The grid's plan, the scheduler's queue, the parcels into folders, the page; the runs themselves are empty."""
    draws = 10
    steps: dict[str, Any] = {}
    out = path / "out"
    out.mkdir()
    with _step("plan", steps):
        axes = {"dataset": "glyphs", "labels": "100", "kl_start": f"1..{runs // draws}", "draws": str(draws)}
        plan = plans.make(grid.read(None, axes), device="cpu", data=None, yes=True)
        found = journal.cells(plan, out, "cpu", "", "again")
        left = journal.missing(plan, found)
    (path / "nothing.py").write_text(NOTHING.replace("BYTES", str(CARRIED["bytes"])))
    peak = {"scheduler": 0.0, "worker 1": 0.0}
    with Machines(path / "machines") as machines:
        machines.scheduler()
        for number in (1, 2):
            machines.plain_worker(number, str(path / "nothing.py"), f"--host=127.0.0.{number + 1}")
        machines.ready(2)
        state = page.State(plan, found, None, 2)

        def watch() -> None:
            for name in peak:
                peak[name] = max(peak[name], psutil.Process(machines.processes[name].pid).memory_info().rss / 2**20)

        with _step("do and collect", steps):
            cluster.Cluster(out, machines.address, "cpu", "again").do(left, state.told, watch)
        for name in peak:
            times = psutil.Process(machines.processes[name].pid).cpu_times()
            steps[f"CPU seconds of the {name}"] = round(times.user + times.system, 1)
    with _step("index", steps):
        page.write(out, state, {}, [])
    with _step("look what is missing", steps):
        left = journal.missing(plan, journal.cells(plan, out, "cpu", "", "again"))
    steps["peak MiB"] = {name: round(value) for name, value in peak.items()}
    return {"runs": len(plan.runs), "folders": len(plan.cells), "left": len(left), **steps}


PARTS: dict[str, tuple[Callable[[Path, int], dict[str, Any]], int]] = {
    "faults": (faults, 6), "overhead": (overhead, 20), "speed": (speed, 20), "nothing": (nothing, 10_000),
}  # fmt: skip


def main() -> int:
    """Do one part; returns 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--bytes", type=int, default=0, help="that each run of `nothing` carries home")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    CARRIED["bytes"] = options.bytes
    own_code.load(own_code.checkout())
    work, usual = PARTS[options.part]
    with tempfile.TemporaryDirectory(prefix="sweeps-") as place:
        told = work(Path(place), options.runs or usual)
    text = json.dumps(told, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return int(any(told.get(key) for key in ("runs with other weights", "runs whose sent epochs were trained again")))


if __name__ == "__main__":
    sys.exit(main())

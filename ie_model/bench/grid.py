"""Part `grid`: the fastest way to train several draws on this machine, by processes and threads of each."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from ie_model import entry
from ie_model.bench import spread
from ie_model.config import Config
from ie_model.run import processes as run_processes

DRAWS = 4


class Way(NamedTuple):
    """How many runs are trained at once, each with how many threads."""

    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.processes} at once, {self.threads} thread{'s' if self.threads > 1 else ''} each"


def ways(cores: int) -> list[Way]:
    """Every way that gives each core one thread, and one run at a time with one thread: the most threads first."""
    found = [Way(cores // threads, threads) for threads in range(cores, 0, -1) if cores % threads == 0]
    return list(dict.fromkeys([*found, Way(1, 1)]))


def measure(
    config: Config, data: Path | None, cores: int, images: int, repeats: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Trains DRAWS short runs (one epoch of ``images``) each way, alternated. Seconds for all, and memory at once."""
    every = ways(cores)
    seconds: dict[Way, list[float]] = {way: [] for way in every}
    memory: dict[Way, int] = dict.fromkeys(every, 0)
    with tempfile.TemporaryDirectory(prefix="ie-bench-") as scratch:
        for round_ in range(repeats):
            for way in every:
                report(f"{way}, {round_ + 1} of {repeats}")
                place = Path(scratch) / f"{round_}-{way.processes}-{way.threads}"
                took, most = _train(config, data, images, way, place)
                seconds[way].append(took)
                memory[way] = max(memory[way], most)
    rows = [
        {**way._asdict(), "seconds": spread.of(seconds[way]), "peak_rss_bytes_at_once": memory[way]} for way in every
    ]
    best = min(rows, key=lambda row: row["seconds"]["median"])
    fastest = {"processes": best["processes"], "threads": best["threads"]}
    return {"draws": DRAWS, "images": images, "cores": cores, "ways": rows, "fastest": fastest}


def _train(config: Config, data: Path | None, images: int, way: Way, place: Path) -> tuple[float, int]:
    """Seconds until all draws are trained, and the most memory that they held together. RuntimeError if one fails."""
    place.mkdir()
    most = 0

    def look(running: list[subprocess.Popen[bytes]]) -> None:
        nonlocal most
        most = max(most, sum(map(_memory, running)))

    starts = [partial(_start, config, data, images, way.threads, seed, place) for seed in range(DRAWS)]
    began = time.perf_counter()
    with closing(run_processes.together(starts, way.processes, look)) as ended:
        for _, code in ended:
            if code:
                raise RuntimeError(f"a training of the grid ended with exit code {code}")
    return time.perf_counter() - began, most


def _start(
    config: Config, data: Path | None, images: int, threads: int, seed: int, place: Path
) -> subprocess.Popen[bytes]:
    argv: Sequence[str] = [
        *entry.arguments("train", f"--dataset={config.dataset}", f"--labels={config.labels}"),
        *["--epochs=1", f"--epoch-images={images}", f"--threads={threads}", f"--device={config.device}", "--quiet"],
        *[
            f"--seed={seed}",
            f"--label-seed={seed}",
            f"--outdir={place / str(seed)}",
            *([f"--data={data}"] if data else []),
        ],
    ]
    bound = run_processes.bound_to_parent()
    return subprocess.Popen(argv, env=entry.environment(), stdin=subprocess.DEVNULL, preexec_fn=bound)


def _memory(process: subprocess.Popen[bytes]) -> int:
    try:
        return int(psutil.Process(process.pid).memory_info().rss)
    except psutil.Error:
        return 0

"""One run as a unit of work: the commands that are still to be done in its folder, wherever that is.

What is done is read from the folder's run.json, never remembered: a work that was killed anywhere goes on from what
lies there, a checkpoint too.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ie_crowd.formats import strict

RUN_JSON_BYTES_MAX = 1_000_000
ENDED = ("completed", "failed")


@dataclass(frozen=True)
class Work:
    """One run. ``train``: the words after `ie-model train` but for folder, device and data."""

    cell: str
    number: int
    dataset: str
    train: Sequence[str]
    evaluate: bool = True
    figures: bool = False  # then those of the whole folder are drawn from it

    @property
    def name(self) -> str:
        """How it is called in lines: the run's folder below the sweep's."""
        return f"{self.cell}/runs/{self.number}"

    def text(self) -> str:
        """The work as JSON; `from_text` reads it back."""
        return json.dumps(asdict(self), sort_keys=True)


def from_text(text: str) -> Work:
    """The Work that `Work.text` wrote."""
    return Work(**json.loads(text))


class WorkError(Exception):
    """A command of a work ended with this exit code, and its run.json does not say why."""

    def __init__(self, verb: str, code: int) -> None:
        super().__init__(f"{verb} ended with exit code {code}")
        self.code = code


def read_run(place: Path) -> dict[str, Any]:
    """run.json in a run's folder; {"status": "missing"} where there is none, or none that can be read."""
    try:
        with (place / "run.json").open("rb") as file:
            found = json.loads(file.read(RUN_JSON_BYTES_MAX))
    except (OSError, ValueError):
        return {"status": "missing"}
    return found if isinstance(found, dict) and "status" in found else {"status": "missing"}


def ended(work: Work, place: Path) -> bool:
    """Whether nothing of the run is left to do, but for figures."""
    status = read_run(place)["status"]
    return status in ENDED or (status == "trained" and not work.evaluate)


def refuse_other(work: Work, run_json: bytes | None) -> None:
    """Raise ValueError where what came as a run's run.json is not of this work. A run that is under way has none."""
    if run_json is None:
        return
    run = strict.parse_json(run_json, strict.RUN, "run.json") if len(run_json) <= RUN_JSON_BYTES_MAX else None
    seed = next((word.partition("=")[2] for word in work.train if word.startswith("--seed=")), None)
    if not isinstance(run, dict) or not isinstance(run.get("task"), dict):
        raise ValueError("what came as its run.json is none")
    if str(run.get("seed")) != str(seed) or run["task"].get("dataset") != work.dataset:
        raise ValueError(f"what came is of seed {run.get('seed')!r:.30}, expected {seed}")


def commands(work: Work, place: Path, figures: Path, device: str, data: Path | None) -> Generator[list[str], int, None]:
    """Yields the words of each `ie-model` command that is to be done, and is sent its exit code.

    place: the run's folder; figures: where they are drawn. Raises WorkError for a command that failed, but not for a
    run that failed and says so in its run.json: that is a result.
    """
    shared = common(device, data)
    run = read_run(place)
    if run["status"] == "missing":
        measured = ["--evaluate"] if work.evaluate else []
        code = yield ["train", *work.train, f"--outdir={place}", *measured, *shared]
        run = _after("train", code, place)
    if run["status"] == "trained" and work.evaluate:
        code = yield ["evaluate", str(place), *shared]
        run = _after("evaluate", code, place)
    if run["status"] == "completed" and work.figures and not figures.exists():
        code = yield drawing(place, figures, shared)
        if code:
            raise WorkError("figures", code)
        unfinished(figures).replace(figures)


def drawing(place: Path, figures: Path, common: Sequence[str]) -> list[str]:
    """The words that draw all figures, beside the place that they are then renamed to: they are all there or none."""
    return ["figures", str(place), f"--outdir={unfinished(figures)}", *common]


def unfinished(figures: Path) -> Path:
    """Where figures are drawn."""
    return figures.with_name(f".{figures.name}.drawn")


def common(device: str, data: Path | None) -> list[str]:
    """The words that all commands have."""
    return [f"--device={device}", "--quiet", *([f"--data={data}"] if data else [])]


def _after(verb: str, code: int, place: Path) -> dict[str, Any]:
    run = read_run(place)
    if code and run["status"] != "failed":
        raise WorkError(verb, code)
    return run

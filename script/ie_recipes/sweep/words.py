"""The words of the sweep's command line: its own flags, and the axes of the grid. Needs nothing heavy."""

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ie_recipes import bridge, flags
from ie_recipes.sweep import grid

FOLDERS = ("grid", "outdir", "data", "sbatch")
VALUES = ("device", "at_once", "scheduler", "travel", "search", "storage", "found_by", "last_words")
SWITCHES = ("plan", "yes", "quiet")
LOCAL_MAX = 10**6
TRIALS_MAX = 100_000
FOUND_BY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,.]{0,79}")


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    grid: grid.Grid
    flags: Mapping[str, str]
    words: Sequence[str]  # as typed, but for the folder of results

    @property
    def device(self) -> str:
        """The device that was asked for."""
        return self.flags.get("device", "auto")

    def command(self, folder: Path) -> str:
        """What goes on with a sweep."""
        return shlex.join(["cm", "run", "script", "sweep ie-repr", *self.words, f"--outdir={folder}"])


def parse(words: Sequence[str], here: Path) -> Asked:
    """The command line, checked; folders are seen from ``here``. Raises ValueError with one line."""
    own: dict[str, str] = {}
    axes: dict[str, Any] = {}
    known = (*FOLDERS, *VALUES, *SWITCHES)
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not word.startswith("--"):
            raise ValueError(f"{word!r} is one word too many: values stand behind '=' (--labels=100,600)")
        if name in SWITCHES:
            if equals and value.lower() not in ("true", "yes"):
                raise ValueError(f"{word}: takes no value, write just {bridge.typed(name)}")
            own[name] = "yes"
        elif name in grid.TYPES and grid.TYPES[name] == "bool" and not equals:
            axes[name] = "true"
        elif not equals or not value:
            _refuse_unknown(name, known)
            raise ValueError(f"{bridge.typed(name)}: the value is missing, write {bridge.typed(name)}=VALUE")
        elif name in FOLDERS or (name == "storage" and "://" not in value):
            own[name] = str(here / Path(value).expanduser())
        elif name in VALUES:
            own[name] = value
        else:
            _refuse_unknown(name, known)
            axes[name] = value
    if own.get("device", "auto") not in flags.DEVICES:
        raise ValueError(f"--device={own['device']}: expected one of {', '.join(flags.DEVICES)}")
    if not own.get("at_once", "1").isdigit() or not 1 <= int(own.get("at_once", "1")) <= LOCAL_MAX:
        raise ValueError(f"--at-once={own['at_once']}: expected a whole number of runs, at least 1")
    if not own.get("search", "1").isdigit() or not 1 <= int(own.get("search", "1")) <= TRIALS_MAX:
        raise ValueError(f"--search={own['search']}: expected a number of trials, 1 to {TRIALS_MAX:,}")
    if not FOUND_BY.fullmatch(own.get("found_by", "1 trial")):
        raise ValueError(f"--found-by={own['found_by']:.60}: expected a phrase such as '40 trials, 3.10 hours'")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", own.get("travel", "60")):
        raise ValueError(f"--travel={own['travel']}: expected seconds between two checkpoints that a run sends")
    for name in ("at_once", "sbatch"):
        if "scheduler" in own and name in own:
            raise ValueError(f"{bridge.typed(name)} contradicts --scheduler: leave one of them out")
    if "storage" in own and "search" not in own:
        raise ValueError("--storage is where a search keeps its trials: add --search=TRIALS, or leave it out")
    for name in ("scheduler", "sbatch", "plan", "found_by"):
        if "search" in own and name in own:
            more = "; on many machines give each the same --storage" if name == "scheduler" else ""
            raise ValueError(f"{bridge.typed(name)} contradicts --search: leave one of them out{more}")
    if "data" in own and "scheduler" in own:
        raise ValueError(
            "--data is of this machine, and --scheduler's workers have their own: IE_REPR_SWEEP_DATA there"
        )
    asked = grid.read(Path(own["grid"]) if "grid" in own else None, axes)
    told = [word for word in words if not word.startswith(("--outdir=", "--last-words="))]
    return Asked(asked, own, told)


def _refuse_unknown(name: str, known: Sequence[str]) -> None:
    if name in grid.NAMES or name in grid.NOT_AXES:
        grid.refuse_unknown(name)
        return
    near = difflib.get_close_matches(name, (*known, *grid.NAMES), n=1, cutoff=0.5)
    hint = f"did you mean {bridge.typed(near[0])}? " if near else ""
    raise ValueError(
        f"unknown flag {bridge.typed(name)}: {hint}flags are {', '.join(map(bridge.typed, known))}, and axes"
    )

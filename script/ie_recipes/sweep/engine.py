"""What does the works of a sweep. The interface is one method; this machine's own processes are one implementation.

`cluster.Cluster` is the other: the same works on many machines, through dask.distributed.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ie_recipes import own_code, program
from ie_recipes.run import processes
from ie_recipes.sweep import works

# Called with a work, what becomes of it (RUNNING, DONE, FAILED), and a line: where it runs, or why it failed.
Told = Callable[[works.Work, str, str], None]
RUNNING, DONE, FAILED = "running", "done", "failed"


class Engine(Protocol):
    """Does works until each has ended; the runs' folders below the sweep's folder hold what comes of them."""

    at_once: int

    def about(self) -> str:
        """What it is, in a phrase for the plan."""

    def do(self, asked: Sequence[works.Work], told: Told, watch: Callable[[], None]) -> None:
        """Do all works, in about their order. ``watch`` is called now and then. Raises StopError when told to stop."""


def places(folder: Path, work: works.Work) -> tuple[Path, Path]:
    """The folders of a work's run and figures below the sweep's folder."""
    return folder / work.cell / "runs" / str(work.number), folder / work.cell / "figures"


@dataclass
class Local:
    """Child processes of this machine, as many at once as there are cores and memory for."""

    folder: Path
    device: str
    data: Mapping[str, Path | None]  # data set to the folder of its verified files
    at_once: int
    command: str  # what goes on with it
    env: Mapping[str, str]

    def about(self) -> str:
        """What it is, in a phrase for the plan."""
        return f"{self.at_once} at once on this machine"

    def do(self, asked: Sequence[works.Work], told: Told, watch: Callable[[], None]) -> None:
        """Do all works; a run that fails leaves the others alone."""
        jobs = [self._job(work, told) for work in asked]
        processes.together(jobs, self.at_once, cwd=self.folder, env=self.env, watch=watch)

    def _job(self, work: works.Work, told: Told) -> processes.Job:
        place, figures = places(self.folder, work)
        told(work, RUNNING, "here")
        steps = works.commands(work, place, figures, self.device, self.data.get(work.dataset))
        try:
            words = next(steps)
            while True:
                ended = yield own_code.command("ie_model", self.env, *words)
                assert ended is not None
                if ended.code in program.STOPPED:
                    raise program.stopped(ended.code, self.folder, self.command)
                words = steps.send(ended.code)
        except StopIteration:
            told(work, DONE, "")
        except works.WorkError as error:
            told(work, FAILED, f"{error} (its message is above)")
            print(f"ie-repr sweep: {work.name}: {error}", file=sys.stderr, flush=True)

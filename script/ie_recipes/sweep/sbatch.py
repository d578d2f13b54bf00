"""The runs of a sweep as job arrays of Slurm: the same commands, with no dependency, on a disk that all nodes share.

Each run's commands go on from what lies in its folder, so a job that is requeued, or given again, repeats nothing.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from ie_crowd.formats import strict

from ie_recipes import own_code
from ie_recipes.sweep import engine, works

ARRAY_MAX = 1_000  # jobs of one array; Slurm's own limit is 1,001 unless its operator says otherwise
HEAD = """#!/bin/bash
#SBATCH --job-name=ie-repr-sweep
#SBATCH --array=0-{last}
#SBATCH --cpus-per-task={threads}
#SBATCH --requeue
#SBATCH --output={folder}/slurm-%A_%a.txt
# {count} runs. A job that is stopped goes on from its last checkpoint when it is given again. When all have ended:
#   {command}
set -eu
export PYTHONPATH={python_path}
case "$SLURM_ARRAY_TASK_ID" in
"""


def write(file: Path, left: Sequence[works.Work], local: engine.Local, command: str) -> list[Path]:
    """Writes one script for each thousand runs; returns their paths. Raises ValueError where nothing is left to do."""
    if not left:
        raise ValueError(f"no run is left to do, so there is nothing to put into {file}")
    logs = local.folder / "slurm"
    logs.mkdir(parents=True, exist_ok=True)
    chunks = [left[start : start + ARRAY_MAX] for start in range(0, len(left), ARRAY_MAX)]
    written = []
    for number, chunk in enumerate(chunks):
        path = file if len(chunks) == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")
        threads = max(
            int(next(w for w in work.train if w.startswith("--threads=")).partition("=")[2]) for work in chunk
        )
        head = HEAD.format(
            last=len(chunk) - 1,
            threads=threads,
            folder=logs,
            count=len(chunk),
            command=command,
            python_path=shlex.quote(local.env.get("PYTHONPATH", "")),
        )
        strict.write_text(path, head + "".join(_case(n, work, local) for n, work in enumerate(chunk)) + "esac\n")
        written.append(path)
    return written


def _case(n: int, work: works.Work, local: engine.Local) -> str:
    place, figures = engine.places(local.folder, work)
    data = local.data.get(work.dataset)
    lines = [f"{n}) # {work.name}"]
    words = next(works.commands(work, place, figures, local.device, data), None)
    if words is not None:
        lines.append(f"  {shlex.join(own_code.command('ie_model', local.env, *words))}")
    if work.figures:
        drawing = works.drawing(place, figures, works.common(local.device, data))
        renamed = shlex.join(["mv", "-T", str(works.unfinished(figures)), str(figures)])
        lines.append(f"  {shlex.join(own_code.command('ie_model', local.env, *drawing))}\n  {renamed}")
    return "\n".join([*lines, "  ;;"]) + "\n"

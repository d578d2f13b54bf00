"""`--profile=DIR`: what a few training steps spend their time on, as a table and as a trace for a viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from ie_model.bench import step_variants
from ie_model.config import Config
from ie_model.data import tensors
from ie_model.run import run_folder

STEPS = 10
ROWS = 25
TRACE, TABLE = "trace.json", "table.txt"


def write(
    config: Config, images: tensors.Training, folder: Path, report: Callable[[str], None]
) -> list[tuple[str, float, int]]:
    """Profiles a few steps of `ie_model train` into ``folder``: trace.json (chrome://tracing or Perfetto), table.txt.

    Returns (operator, its own milliseconds in a step, calls in a step), the longest first. Times are of the clock:
    whatever else the machine does is in them.
    """
    report("profiling: warming up")
    form = step_variants.shared(config, images)
    form.run(STEPS)
    report("profiling")
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=kinds, record_shapes=True) as seen:
        form.run(STEPS)
    folder.mkdir(parents=True, exist_ok=True)
    table = str(
        seen.key_averages(group_by_input_shape=True).table(
            sort_by="self_cpu_time_total", row_limit=ROWS, max_name_column_width=36, max_shapes_column_width=48
        )
    )
    run_folder.replace(folder / TABLE, (table + "\n").encode())
    seen.export_chrome_trace(str(folder / TRACE))
    own = [(str(one.key), one.self_cpu_time_total / 1000 / STEPS, one.count // STEPS) for one in seen.key_averages()]
    return sorted(own, key=lambda one: -one[1])

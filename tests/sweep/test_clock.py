"""A sweep on machines whose clocks are wrong: the same numbers, and times that were measured and not read off."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ie_recipes.sweep import cluster, engine

from benchmarks.sweep_faults import QUICK, Faults, real_works, weights
from benchmarks.sweep_machines import PATIENCE, Machines

DAY = 86_400
SOURCE = Path(__file__).parents[1] / "support" / "wrong_clock.c"


@pytest.fixture(scope="module")
def preload(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a C compiler on Linux makes the wrong clock")
    library = tmp_path_factory.mktemp("clock") / "wrong_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    told = [sys.executable, "-c", "import time; print(time.time())"]
    env = {"LD_PRELOAD": str(library), "CLOCK_OFF": str(DAY)}
    ahead = float(subprocess.run(told, env=env, capture_output=True, text=True, check=True).stdout) - time.time()
    assert DAY - 60 < ahead < DAY + 60
    return str(library)


def test_workers_a_day_ahead_and_a_year_behind_end_in_the_same_numbers(tmp_path, undisturbed, preload, capfd):
    """One is killed in the middle, so that its checkpoint goes on where it is another day."""
    asked = real_works(2)
    with Machines(tmp_path / "machines", **QUICK) as machines:
        machines.scheduler()
        machines.worker(1, LD_PRELOAD=preload, CLOCK_OFF=str(DAY))
        machines.worker(2, LD_PRELOAD=preload, CLOCK_OFF=str(-365 * DAY))
        faults = Faults(machines, tmp_path / "out", [machines.kill])
        many = cluster.Cluster(tmp_path / "out", machines.address, "auto", "again", travel=0.0, patience=PATIENCE)
        machines.ready(2)
        many.prepare()
        many.do(asked, faults.told, faults.watch)
    errors = capfd.readouterr().err
    assert sorted(faults.ended) == [(work.name, engine.DONE, "") for work in asked], errors
    assert not faults.plan, "one was killed"
    assert "Traceback" not in errors
    assert weights(tmp_path / "out", asked) == undisturbed
    for work in asked:
        run = json.loads((tmp_path / "out" / "cell" / "runs" / str(work.number) / "run.json").read_bytes())
        assert 0 < run["wall_seconds"] < PATIENCE

"""benchmarks.robustness: it goes on where it was killed, and 60 disturbances of real commands are borne."""

import json
import subprocess
import sys

import pytest
from paths import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the preload library is for Linux")
PATIENCE = 1500.0  # seconds; the machine may be busy


def run(*words):
    argv = [sys.executable, "-m", "benchmarks.robustness", *map(str, words)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def report(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.robustness import report

    def row(key, wrong=""):
        return {
            "key": key,
            "kind": "kill",
            "phase": "train",
            "how": "a way",
            "what": "",
            "wrong": wrong,
            "seconds": 1.0,
        }

    report.row = row
    return report


def test_a_report_goes_on_after_the_last_whole_trial(report, tmp_path):
    first = report.Report(tmp_path, 0)
    first.add(report.row("kill 0"))
    with (tmp_path / report.TRIALS).open("a") as file:
        file.write('{"key": "kill 1", "ki')  # killed while it wrote
    again = report.Report(tmp_path, 0)
    assert again.done == {"kill 0"}
    again.add(report.row("kill 2", "goes on to other contents"))
    rows = [json.loads(line) for line in (tmp_path / report.TRIALS).read_text().splitlines()]
    assert [row["key"] for row in rows] == ["kill 0", "kill 2"]
    table = (tmp_path / report.TABLE).read_text()
    assert "| kill | train | 2 | 1 | 1.0 |" in table
    assert "goes on to other contents" in table


def test_a_report_takes_no_trials_of_another_seed(report, tmp_path):
    report.Report(tmp_path, 0).add(report.row("kill 0"))
    with pytest.raises(SystemExit, match="choose another --out"):
        report.Report(tmp_path, 1)


@pytest.mark.real
def test_sixty_disturbances_are_borne(tmp_path):
    done = run("--kills=30", "--faults=30", "--no-environments", f"--out={tmp_path / 'out'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "out" / "trials.jsonl").read_text().splitlines()) == 60

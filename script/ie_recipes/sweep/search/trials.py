"""One trial after another, until the search has as many as it wants: `python …/search/trials.py FILE WORKER`.

A trial trains, as `ie-model train` does and on draws that no result is made on, and is judged by its last validation
error. Nothing is evaluated, so no test image is read. A curve that is worse than the median of the others is ended.
"""

if __name__ == "__main__":  # before everything else: it keeps the current folder and the checkout out of imports' way
    import sys

    sys.path.insert(0, __file__[: -len("/ie_recipes/sweep/search/trials.py")])
    from ie_recipes import own_code

    own_code.start()

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import filelock
import optuna
from optuna.trial import TrialState

from ie_recipes import own_code, workflow
from ie_recipes.run import processes
from ie_recipes.sweep import grid as grids
from ie_recipes.sweep import plan as plans
from ie_recipes.sweep import works
from ie_recipes.sweep.search import space
from ie_recipes.sweep.search import study as studies

POLL_SECONDS = 0.2
REPEATS_MAX = 20  # trials for each one that counts, where suggestions repeat what was tried


class WorseError(Exception):
    """The trial's curve is worse than the median of the others."""


def begun(study: optuna.Study, search: studies.Search) -> tuple[optuna.Trial, dict[str, Any]] | None:
    """The next trial and its values, which nobody has tried yet; None when there are enough, or the hours are over."""
    with filelock.FileLock(Path(search.folder) / ".asking.lock"):
        while True:
            trials = study.get_trials(deepcopy=False)
            enough = sum(map(studies.counts, trials)) >= search.trials or len(trials) >= REPEATS_MAX * search.trials
            seconds = sum(trial.duration.total_seconds() for trial in trials if trial.duration)
            if enough or (search.hours is not None and seconds >= 3600 * search.hours * search.at_once):
                return None
            trial = study.ask()
            values = space.suggested(trial, search.axes)
            same = [other for other in trials if studies.counts(other) and other.params == trial.params]
            if not same:
                trial.set_user_attr(studies.OWNER, search.owner)
                return trial, values
            trial.set_user_attr(studies.SAME, same[0].number)
            known = same[0].state == TrialState.COMPLETE
            study.tell(trial, same[0].value if known else None, state=None if known else TrialState.PRUNED)


def attempt(study: optuna.Study, trial: optuna.Trial, values: dict[str, Any], search: studies.Search) -> str:
    """Do one trial to its end and tell the study. Returns what became of it, in a phrase."""
    place = Path(search.folder) / "trials" / str(trial.user_attrs.get(studies.PLACE, trial.number))
    told = " ".join(f"{name}={values[name]}" for name in space.searched(search.axes))
    try:
        error = _trained(trial, values, place, search)
    except WorseError as worse:
        study.tell(trial, state=TrialState.PRUNED)
        phrase = str(worse)
    except (ValueError, works.WorkError) as failed:
        trial.set_user_attr(studies.REASON, str(failed)[:200])
        study.tell(trial, state=TrialState.FAIL)
        phrase = f"failed ({failed})"
    else:
        study.tell(trial, error)
        phrase = f"{error:.2f} %"
    shutil.rmtree(place, ignore_errors=True)
    return f"{phrase}: {told}"


def _trained(trial: optuna.Trial, values: dict[str, Any], place: Path, search: studies.Search) -> float:
    """Mean validation error of its draws at the end of their training, %."""
    asked = grids.Grid(axes={}, draws=search.draws, left_out=search.left_out, only=search.only)
    if not asked.keeps(values):
        raise ValueError("left out by --except or --only")
    request = plans.request(values, search.draws, None, search.device, search.data)
    request.config()  # ValueError: settings that contradict one another
    errors = []
    for number, draw in enumerate(search.draws):
        run = place / str(draw)
        run.parent.mkdir(parents=True, exist_ok=True)
        words = ["train", *workflow.training(request, number), f"--outdir={run}"]
        words += works.common(search.device, Path(search.data) if search.data else None)
        judged = trial if number == 0 else None  # another draw's curve is compared with no first one's
        errors.append(_followed(own_code.command("ie_model", os.environ, *words), run, judged))
    return sum(errors) / len(errors)


def _followed(argv: Sequence[str], run: Path, trial: optuna.Trial | None) -> float:
    """The last validation error of one training, which is ended where its curve is worse than the others."""
    child = subprocess.Popen(argv, cwd=run.parent, stdout=2, preexec_fn=processes.bound_to_parent())
    reported = 0
    while True:
        code = child.poll()
        curve = validation_errors(run)
        for epoch, error in enumerate(curve[reported:], reported + 1):
            if trial is not None:
                trial.report(error, epoch)
        if trial is not None and code is None and len(curve) > reported and trial.should_prune():
            child.kill()
            child.wait()
            raise WorseError(f"ended after {len(curve)} epochs at {curve[-1]:.2f} %")
        reported = len(curve)
        if code is not None:
            break
        time.sleep(POLL_SECONDS)
    document = works.read_run(run)
    if document["status"] == "failed":
        raise ValueError(str(document.get("error")))
    if code or not curve:
        raise works.WorkError("train", code or 0)
    return curve[-1]


def validation_errors(run: Path) -> list[float]:
    """Of each epoch that has ended, %; a line that is being written is none yet."""
    try:
        lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    except OSError:
        return []
    return [float(json.loads(line)["valid_error"]) for line in lines if line.endswith(b"\n")]


def main(typed: Sequence[str]) -> int:
    """Do trials until there are enough. Exit code 1 with one line where the storage is of no use."""
    search, worker = studies.read(Path(typed[0])), int(typed[1])
    try:
        with studies.explained(search.storage):
            study = studies.opened(search, worker)
            while (next_one := begun(study, search)) is not None:
                trial, values = next_one
                phrase = attempt(study, trial, values, search)
                if not search.quiet:
                    found = studies.summary(study)
                    best = "" if found.best is None else f" | best {found.value:.2f} %, trial {found.best}"
                    print(f"trial {trial.number} of {search.trials}: {phrase}{best}", file=sys.stderr, flush=True)
    except ValueError as error:
        print(f"ie-repr sweep: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

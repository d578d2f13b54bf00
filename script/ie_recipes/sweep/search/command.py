"""A search in its folder: trials on validation images, then an ordinary sweep of the setting that was found.

What was found is trained on the challenge's own draws, which no trial has seen, and evaluated once on test images. Its
result declares the search: `--found-by="40 trials, 3.10 hours"` stands in its command.
"""

import csv
import itertools
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path

import optuna
from ie_crowd.challenge import load
from ie_crowd.challenge.model import Challenge

from ie_model.data import fetch
from ie_model.device import detect
from ie_recipes import flags, program, workflow
from ie_recipes.run import processes, results_folder
from ie_recipes.sweep import grid as grids
from ie_recipes.sweep import plan as plans
from ie_recipes.sweep import words
from ie_recipes.sweep.search import space
from ie_recipes.sweep.search import study as studies

FOUND, FILE, TABLE, PICTURE, PAGE = "found", "search.json", "trials.csv", "trials.svg", "index.html"
FOUND_DRAWS = 5  # of the challenge, as its reference results have
ONE_TASK = ("dataset", "supervision", "labels", "smoke")
GENERATED = ("glyphs",)
LOOKED_AT = 1_000  # cells of the grid, to see that one of them can be


def found(given: words.Asked, folder: Path) -> tuple[words.Asked, str]:
    """Do the search that the flags ask for, and return the words of the sweep of what it found, with the command that
    goes on with both. Raises ValueError, OSError, StopError."""
    kind = detect.detect(given.device).kind
    searching = SearchInFolder(given, asked(given, folder, kind))
    best, declared = searching.run()
    grid = grids.Grid(axes={name: [value] for name, value in best.items()}, draws=FOUND_DRAWS)
    kept = {name: value for name, value in given.flags.items() if name not in ("search", "storage")}
    return replace(given, grid=grid, flags={**kept, "found_by": declared}), searching.command


def asked(given: words.Asked, folder: Path, kind: str) -> studies.Search:
    """What the flags ask for, for a kind of device. Raises ValueError: nothing to search, settings of several tasks,
    draws of results, no cell that can be."""
    grid, trials = given.grid, int(given.flags["search"])
    for name in ONE_TASK:
        if len(grid.axes.get(name, ())) > 1:
            raise ValueError(
                f"--search: {name} has several values, and errors of several tasks do not compare; give one"
            )
    challenge = load.challenge(load.find(flags.CHALLENGE))
    first = challenge.validity.first_seed or 0
    draws = grid.draw_list(0)
    if max(draws) >= first:
        raise ValueError(
            f"--draws: settings are chosen on draws below {first}, those of results; expected such as 0..2"
        )
    if not space.searched(grid.axes):
        raise ValueError("--search: no axis has several values; give some, such as --learning-rate=0.001..0.004/0.0005")
    cells = grid.size() // len(draws)
    if trials > cells:
        raise ValueError(f"--search={trials}: the grid has {cells} cells; without --search all are done")
    request = _possible(grid, given.device, challenge)
    if "storage" in given.flags:
        studies.refuse(given.flags["storage"])
    if "at_once" in given.flags:
        at_once = int(given.flags["at_once"])
    else:
        at_once = request.room(trials, request.config()["threads"], kind)
    data = None
    if request.dataset not in GENERATED:
        data = str(fetch.ensure(request.dataset, Path(given.flags["data"]) if "data" in given.flags else None))
    return studies.Search(
        axes={name: list(values) for name, values in grid.axes.items()},
        left_out=[dict(one) for one in grid.left_out],
        only=[dict(one) for one in grid.only],
        draws=draws,
        trials=trials,
        hours=grid.hours,
        at_once=at_once,
        device=kind,
        data=data,
        storage=given.flags.get("storage"),
        folder=str(folder),
        quiet="quiet" in given.flags,
    )


def _possible(grid: grids.Grid, device: str, challenge: Challenge) -> flags.Request:
    """The first cell that can be. Raises ValueError where none of the first thousand can."""
    problem = "the grid is empty: its filter lets no cell through"
    for values in itertools.islice(grid.combinations(), LOOKED_AT):
        request = plans.request(values, [0], None, device, None)
        try:
            plans.refuse_impossible(request, values, challenge)
        except ValueError as error:
            problem = str(error)
        else:
            return request
    raise ValueError(problem)


class SearchInFolder:
    """A search, and the sweep that follows it."""

    def __init__(self, given: words.Asked, search: studies.Search) -> None:
        self.given, self.search, self.folder = given, search, Path(search.folder)
        self.command = given.command(self.folder)

    def run(self) -> tuple[dict[str, object], str]:
        """Do the trials that are missing and write what they gave. Returns the best one's values, one for each axis,
        and the line that declares the search. Raises ValueError, OSError, StopError."""
        search, folder = self.search, self.folder
        print(
            f"ie-repr sweep: a search of {search.trials} trials among {self.given.grid.size() // len(search.draws):,} "
            f"settings ({', '.join(space.searched(search.axes))}), by validation error on draws "
            f"{', '.join(map(str, search.draws))}, {search.at_once} at once | results: {folder}",
            flush=True,
        )
        folder.mkdir(parents=True, exist_ok=True)
        identity = {"search": search.name, "device": search.device}
        results_folder.check(folder, identity, parts=[FOUND])
        with workflow.only_one(folder):
            results_folder.check(folder, identity, parts=[FOUND])
            marker = {
                "what": "a search of ie-repr, not complete; this file goes when it is",
                "task": "search",
                "identity": identity,
                "go_on_with": self.command,
            }
            results_folder.write_marker(folder, marker)
            study = studies.opened(search)
            studies.take_up(study, search)
            described = folder / ".search.asked.json"
            described.write_text(search.text(), encoding="utf-8")
            jobs = [self._worker(described, number) for number in range(search.at_once)]
            processes.together(jobs, search.at_once, cwd=folder, env=dict(os.environ))
            described.unlink()
            found = studies.summary(study)
            self._write(found, study)
        if found.best is None:
            raise program.StopError(1, f"none of {found.trials} trials came to its end; {self._reason(study)}")
        return self._best(study, found), found.line()

    def _worker(self, described: Path, number: int) -> processes.Job:
        argv = [sys.executable, "-P", str(Path(__file__).with_name("trials.py")), str(described), str(number)]
        ended = yield argv
        assert ended is not None
        if ended.code in program.STOPPED:
            raise program.stopped(ended.code, self.folder, self.command)
        if ended.code:
            raise program.StopError(
                ended.code, f"the trials ended with exit code {ended.code} (see above); go on with: {self.command}"
            )

    def _reason(self, study: optuna.Study) -> str:
        reasons = [trial.user_attrs.get(studies.REASON) for trial in study.get_trials(deepcopy=False)]
        return next((f"the first: {reason}" for reason in reasons if reason), "all were ended early")

    def _write(self, found: studies.Summary, study: optuna.Study) -> None:
        rows = list(self._rows(study))
        with (self.folder / TABLE).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["trial", "state", "valid_error", *space.searched(self.search.axes)], *rows])
        best = {"trial": found.best, "valid_error": found.value}
        document = {
            "trials": found.trials, "pruned": found.pruned, "failed": found.failed, "hours": round(found.hours, 4),
            "objective": "valid_error of the last epoch, %", "draws": self.search.draws, "study": self.search.name,
            "best": None if found.best is None else best | self._best(study, found),
        }  # fmt: skip
        (self.folder / FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        if found.best is not None:
            studies.picture(study, self.folder / PICTURE)
        (self.folder / PAGE).write_text(self._page(found, rows), encoding="utf-8")

    def _best(self, study: optuna.Study, found: studies.Summary) -> dict[str, object]:
        (best,) = [trial for trial in study.get_trials(deepcopy=False) if trial.number == found.best]
        return space.suggested(optuna.trial.FixedTrial(best.params), self.search.axes)

    def _rows(self, study: optuna.Study) -> Iterator[list[str]]:
        for trial in study.get_trials(deepcopy=False):
            if studies.counts(trial):
                value = "" if trial.value is None else f"{trial.value:.4f}"
                settings = [str(trial.params.get(name)) for name in space.searched(self.search.axes)]
                yield [str(trial.number), trial.state.name.lower(), value, *settings]

    def _page(self, found: studies.Summary, rows: list[list[str]]) -> str:
        names = ["trial", "state", "validation error, %", *space.searched(self.search.axes)]
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
        ranked = sorted(rows, key=lambda row: (row[2] == "", float(row[2] or 0), int(row[0])))
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in ranked)
        title = f"A search: {found.line()}"
        picture = f'<img src="{PICTURE}" alt="Validation error of each trial, and the best so far">' if rows else ""
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><style>body{font-family:sans-serif;'
            "max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}"
            "td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #ccc}img{max-width:100%}</style></head>"
            f"<body><h1>{escape(title)}</h1><p>{found.pruned} were ended early, {found.failed} failed. Settings were "
            "chosen by validation images alone, on draws that no result is made on. "
            f'<a href="{FOUND}/index.html">What was found</a>, on the draws of the challenge.</p>{picture}'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></body></html>\n"
        )

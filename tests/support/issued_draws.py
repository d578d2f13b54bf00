"""The toy challenge with label draws that a server issues in its open division, and results of that division."""

import shutil
from pathlib import Path

from ie_crowd.challenge import load
from ie_crowd.result import commitment
from ie_crowd.store import insert
from toy_challenge.documents import identified, text, toy
from toy_challenge.make import CONFIG, RULES, run_document, write_folder

KEY = """
  issued:
    draws: 3
    most: 4
    since: "2026-03-01T00:00:00Z"
    argv: [rivers, sweep, "--grid={grid}", "--damping={config.damping}"]
"""
CONTEST = "river-levels gauges supervised all open"


def folder(home):
    """A folder with the toy challenge's rules and that key."""
    made = home / "issuing"
    shutil.copytree(RULES.folder, made, ignore=shutil.ignore_patterns("__pycache__"))
    with (made / "rules.yaml").open("a") as file:
        file.write(KEY)
    return made


def rules(home):
    """The rules of that folder."""
    return load.challenge(folder(home))


def opened(draws, maes=(1.0, 2.0, 3.0), name="Ada", days=30, commit="e" * 40, tag="", **more):
    """A document of the open division whose runs have these draws as seeds and label draws."""
    made = toy(maes, submitter=name, tag=f"{tag}{name}{days}{draws}", **more)
    for run, draw in zip(made["runs"], draws, strict=True):
        run["seed"] = run["label_seed"] = draw
    made["config"] = {**made["config"], "window_days": days}
    made["challenge"] = {**made["challenge"], "division": "open", "departures": ["window_days"]}
    made["provenance"] = {**made["provenance"], "commit": commit}
    return identified(made)


def sha256(**how):
    """What is committed to for documents that are made so."""
    return commitment.digest(opened([0, 1, 2], **how))


def send(engine, document, account, by):
    """Upload a document as an account, published at once."""
    outcome = insert.submit(engine, text(document), account=account, publish=True, challenges={by.id: by})
    assert outcome.what == "published", outcome
    return outcome.id


def trial(name, draws=(0, 1, 2), config=CONFIG, days=30):
    """A results folder with another window than the rules pin: of the open division."""
    runs = [run_document(draw, 4.0 + number, 90.0) for number, draw in enumerate(draws)]
    for run in runs:
        run["config"] = {**config, "window_days": days, "seed": run["seed"], "label_seed": run["label_seed"]}
    write_folder(Path(name).absolute(), runs)

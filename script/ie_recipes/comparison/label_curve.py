"""Error against the number of labels, from the result.json of several folders, with published numbers beside it.

    python script/ie_recipes/comparison/label_curve.py mnist-100 m2-mnist-100 ours=mnist-100-of-another --out error.png

A folder counts for the method named before it, by default the one that its result names; the labels-only control
is read from the same results. `tasks.py` draws the same for its own tasks. The figure itself is ie_model's.
"""

if __name__ == "__main__":  # before everything else: it keeps the current folder and the checkout out of imports' way
    import sys

    sys.path.insert(0, __file__[: -len("/ie_recipes/comparison/label_curve.py")])
    from ie_recipes import own_code

    own_code.start()

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ie_model import recipes
from ie_recipes import flags, own_code
from ie_recipes.run import processes

METRIC, CONTROL = "classification.error", "control.error"
ALONE = "the same classifier, labels alone"


def series(results: Iterable[tuple[str, Mapping[str, Any]]], published: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `ie-model curve` draws, from (method, result.json) pairs of one data set and published rows.

    Each point is [labels, mean in %, half-width of the 95 % interval or null]. Raises ValueError when the results are
    of several data sets, or two are of the same method and number of labels.
    """
    measured: dict[str, dict[int, list[Any]]] = {}
    datasets = set()
    for method, document in results:
        task, metrics = document["task"], document["metrics"]
        datasets.add(task["dataset"])
        if not isinstance(task["labels"], int) or METRIC not in metrics:
            continue  # a supervised task has no such error
        for name, metric in ((method, METRIC), (ALONE, CONTROL)):
            if metric not in metrics:
                continue
            points = measured.setdefault(name, {})
            if task["labels"] in points and name == method:
                raise ValueError(f"{method}: two results with {task['labels']} labels; name one of them otherwise")
            points.setdefault(task["labels"], [task["labels"], metrics[metric]["value"], metrics[metric]["ci95"]])
    if len(datasets) != 1 or not measured:
        raise ValueError(
            f"expected semi-supervised results of one data set, got {', '.join(sorted(datasets)) or 'none'}"
        )
    dataset = datasets.pop()
    return {
        "title": f"{dataset}: test error, mean and 95 % interval over label draws; published numbers as reported",
        "measured": [{"name": name, "points": list(points.values())} for name, points in measured.items()],
        "published": [
            {
                "name": f"{row['method']} ({row['source']})",
                "points": [[point["labels"], point["value"], point["spread"]] for point in row["errors"]],
            }
            for row in published
            if row["dataset"] == dataset
        ],
    }


def method(document: Mapping[str, Any]) -> str:
    """The name of a result's method and recipe; results from before there was a choice are EquiVAE's, and closed."""
    config = document["config"]
    key = str(config.get("method", "equivae"))
    if "recipe" in config:
        return recipes.name(key, str(config["recipe"]))
    return recipes.METHOD_NAMES.get(key, key) + (", open recipe" if config.get("open") else "")


def published() -> list[dict[str, Any]]:
    """The published rows of the challenge's claims.yaml."""
    from ie_crowd.challenge import load
    from ie_crowd.formats import strict

    claims = strict.read_yaml(load.find(flags.CHALLENGE) / "claims.yaml")
    rows: list[dict[str, Any]] = claims.get("published", [])
    return rows


def draw(results: Iterable[tuple[str, Mapping[str, Any]]], out: Sequence[Path]) -> int:
    """Draws into the files `out` (PNG or SVG) and returns ie_model's exit code. ValueError as `series`."""
    from ie_crowd.formats import scratch

    described = series(results, published())
    with scratch.folder("curve") as place:
        file = place / "series.json"
        file.write_text(json.dumps(described), encoding="utf-8")
        argv = own_code.command(
            "ie_model", os.environ, "curve", str(file), *(f"--out={path.absolute()}" for path in out)
        )
        return processes.run(argv, cwd=place, env=os.environ)


def main(argv: Sequence[str]) -> int:
    """The command line; what is wrong is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("results", nargs="+", metavar="[METHOD=]FOLDER", help="a results folder with its result.json")
    parser.add_argument("--out", type=Path, action="append", required=True, help="PNG or SVG to write; may be repeated")
    options = parser.parse_args(argv)
    from ie_crowd.artifact import assemble
    from ie_crowd.formats import strict

    try:
        read = []
        for given in options.results:
            name, equals, folder = given.partition("=")
            name, folder = (name, folder) if equals and not Path(given).exists() else ("", given)
            found = strict.read_json(Path(folder) / assemble.RESULT)
            read.append((name or method(found), found))
        return draw(read, options.out)
    except (ValueError, OSError) as error:
        print(f"run-ie-repr: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    from ie_crowd import entry

    sys.exit(entry.guarded(lambda: main(sys.argv[1:]), "run-ie-repr"))

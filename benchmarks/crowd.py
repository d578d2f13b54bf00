"""How fast the store takes results in and answers: ``python -m benchmarks.crowd [--results=100000]``.

Makes plausible results (see crowd_results), takes them in as files, and asks what the pages of a site ask, and then for
the pages themselves (see crowd_pages), many times with varied questions. Prints a table, or JSON. The rate of
``ingest`` is that of all results, of which only some are files at a time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.crowd_pages import pages, questions
from benchmarks.crowd_results import documents, text
from benchmarks.crowd_served import served

AT_ONCE = 20_000  # files
REPEATS = 200
OPEN = """
import resource, sys, time
began = time.perf_counter()
from ie_crowd.store import database, query
page = query.results(database.connect(sys.argv[1]), metrics=sys.argv[2:])
if not page.rows: sys.exit("no rows")
print(time.perf_counter() - began)
"""


def main() -> int:
    """Run all of it; a folder given with --keep holds the store afterwards, and is used again."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--results", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--seconds", type=float, default=60.0, help="of asking a served site (default: 60)")
    parser.add_argument("--beside", type=int, default=10_000, help="results taken in meanwhile (default: 10000)")
    parser.add_argument("--jobs", type=int, help="processes that validate (default: one a core)")
    parser.add_argument("--challenge", default="ie-repr")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--store", help="a URL instead of an SQLite file in the folder")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="ie-crowd-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        figures = measure(folder, arguments)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        show(figures)
    return 0


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures, in seconds, results per second and bytes."""
    from ie_crowd.challenge import load
    from ie_crowd.store import database

    rules = load.challenge(load.find(arguments.challenge))
    store = arguments.store or str(folder / "crowd.sqlite3")
    engine = database.connect(store)
    figures: dict[str, Any] = {"results": arguments.results, "python": platform.python_version(), "store": engine.name}
    figures |= fill(engine, folder, rules, arguments)
    if engine.name == "sqlite":
        figures["bytes"] = (folder / "crowd.sqlite3").stat().st_size
    figures["queries"] = ask(engine, rules, arguments.repeats)
    figures["pages"] = pages(engine, rules, arguments.repeats)
    figures["served"] = served(store, rules, questions(engine, rules), folder, arguments.seconds, arguments.beside)
    figures["serving"] = sorted(serving(store, rules) for _ in range(3))[1]
    names = rules.tasks[0].metrics[:3]
    opened = [
        float(subprocess.run([sys.executable, "-c", OPEN, store, *names], check=True, capture_output=True).stdout)
        for _ in range(5)
    ]
    figures["open_and_first_page"] = sorted(opened)[2]
    figures["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return figures


def serving(store: str, rules: Any) -> float:
    """Seconds from starting ``serve`` to the whole first page of the list."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "ie_crowd", "serve", "--port=0", f"--store={store}", f"--challenge={rules.folder}"]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        address = next(line.split()[0] for line in server.stdout or () if line.startswith("http://"))
        with urllib.request.urlopen(f"{address}results") as answer:  # noqa: S310 our own server
            answer.read()
        return time.perf_counter() - began
    finally:
        server.terminate()
        server.communicate()


def fill(engine: Any, folder: Path, rules: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Bring the store to that many results, as files that are taken in."""
    from ie_crowd.store import ingest, query

    if query.totals(engine)["published"] >= arguments.results:
        return {}
    inbox, seconds, again = folder / "inbox", 0.0, 0.0
    made = enumerate(documents(rules, arguments.results))
    for start in range(0, arguments.results, AT_ONCE):
        for number, document in itertools.islice(made, AT_ONCE):
            place = inbox / f"{number // 500:03d}" / f"{number:06d}"
            place.mkdir(parents=True, exist_ok=True)
            (place / "result.json").write_bytes(text(document))
        report = ingest.ingest(engine, inbox, jobs=arguments.jobs)
        if report.refused or report.quarantined:
            raise ValueError(f"the generator makes results that are not valid: {report.remarks[0]}")
        seconds += report.seconds
        again = again or ingest.ingest(engine, inbox).seconds
        shutil.rmtree(inbox)
        there = min(start + AT_ONCE, arguments.results)
        print(
            f"{there:,} of {arguments.results:,} results taken in, {there / seconds:.0f}/s", file=sys.stderr, flush=True
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA optimize" if engine.name == "sqlite" else "ANALYZE")
    return {"ingest_results_per_second": arguments.results / seconds, "ingest_again_seconds": again}


def ask(engine: Any, rules: Any, repeats: int) -> dict[str, dict[str, float]]:
    """Median and 99th percentile, in milliseconds, of each kind of question; the questions vary."""
    from ie_crowd.ranking import compare
    from ie_crowd.store import chart_data, query, standings
    from ie_crowd.store.filters import Filter

    chance = random.Random(1)  # noqa: S311 made-up questions
    choices = query.facets(engine)
    columns = list(rules.tasks[0].metrics[:3])
    tasks = [task for task in rules.tasks if columns[0] in task.metrics]
    ids = [row["id"] for page in range(1, 5) for row in query.results(engine, page=page * 7, size=100).rows]
    last = -(-query.totals(engine)["published"] // 50)

    def asked(**more: Any) -> Filter:
        task = chance.choice(tasks)
        base = {"challenge": rules.id, "dataset": task.dataset, "supervision": task.supervision}
        return Filter(**{**base, **more})

    def side_by_side() -> None:
        left, right = (json.loads(query.original(engine, one) or b"") for one in chance.sample(ids, 2))
        compare.compare(left, right)

    def result_page() -> None:
        one = chance.choice(ids)
        query.one(engine, one)
        query.runs(engine, one)

    def results(asked_for: Filter, **more: Any) -> Callable[[], Any]:
        return lambda: query.results(engine, asked_for, metrics=columns, **more)

    questions: dict[str, Callable[[], Any]] = {
        "list, first pages": lambda: results(Filter(), page=chance.randrange(1, 20))(),
        "list, any page": lambda: results(Filter(), page=chance.randrange(1, last + 1))(),
        "list, filtered by task": lambda: results(asked(labels=chance.choice(tasks[0].labels), division="closed"))(),
        "list, filtered, sorted by metric": lambda: results(asked(), sort=columns[0], descending=False)(),
        "list, all, sorted by metric": lambda: results(Filter(), sort=columns[0], page=chance.randrange(1, 20))(),
        "list, of one submitter, sorted": lambda: results(
            Filter(submitter=chance.choice(choices["submitter"])), sort=columns[0]
        )(),
        "list, of one machine, sorted": lambda: results(
            Filter(cpu_model=chance.choice(choices["cpu_model"])), sort=columns[0]
        )(),
        "list, sorted by submitter": lambda: results(asked(), sort="submitter", page=chance.randrange(1, 20))(),
        "list, sorted by time it took": lambda: results(asked(), sort="wall_seconds")(),
        "chart, error by labels": lambda: chart_data.by_labels(engine, asked(), columns[0]),
        "chart, points of two metrics": lambda: chart_data.points(engine, asked(), columns[1], columns[0]),
        "chart, points of all": lambda: chart_data.points(engine, Filter(), "wall_seconds", columns[0]),
        "comparison": side_by_side,
        "result page": result_page,
        "choices of the filters": lambda: query.facets(engine),
        "ranks of one contest": lambda: standings.standings(
            engine,
            standings.Contest(rules.id, tasks[0].dataset, tasks[0].supervision, tasks[0].labels[0], "closed"),
            columns[0],
            rules.metrics[columns[0]],
            rules.evidence,
        ),
    }
    figures = {}
    for name, question in questions.items():
        question()
        times = []
        for _ in range(repeats if "ranks" not in name else max(1, repeats // 20)):
            began = time.perf_counter()
            question()
            times.append((time.perf_counter() - began) * 1000)
        times.sort()
        figures[name] = {"median_ms": times[len(times) // 2], "p99_ms": times[int(len(times) * 0.99)]}
    return figures


def show(figures: dict[str, Any]) -> None:
    """The figures as a small table."""
    print(f"{figures['results']:,} results, {figures['store']}, Python {figures['python']}")
    if "ingest_results_per_second" in figures:
        print(f"ingest: {figures['ingest_results_per_second']:,.0f} validated results/s")
        print(f"ingest of the same again: {figures['ingest_again_seconds']:.2f} s")
    print(f"open and first page: {figures['open_and_first_page']:.2f} s")
    print(f"peak memory of this process: {figures['peak_rss_bytes'] / 2**20:,.0f} MiB")
    if "bytes" in figures:
        print(f"size of the store: {figures['bytes'] / 2**20:,.0f} MiB")
    print(f"serve, from nothing to the first page: {figures['serving']:.2f} s")
    site = figures["served"]
    print(
        f"served, {site['clients']} clients that keep their connections, {site['beside']:,} results taken in beside: "
        f"median {site['p50_ms']:.1f} ms, p99 {site['p99_ms']:.1f} ms of {site['requests']:,} pages "
        f"({site['failed']} failed), {site['rss_bytes'] / 2**20:,.0f} MiB"
    )
    for what, rows in (("question", figures["queries"]), ("page", figures["pages"])):
        print(f"{what:<36}{'median':>10}{'p99':>10}")
        for name, row in rows.items():
            print(f"{name:<36}{row['median_ms']:>7.1f} ms{row['p99_ms']:>7.1f} ms")


if __name__ == "__main__":
    sys.exit(main())

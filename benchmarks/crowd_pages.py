"""How fast the pages of a site answer: each asked many times, with varied questions, from inside of the process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from ie_crowd.site import asgi_client

Question = Callable[[], tuple[str, dict[str, str]]]


def pages(engine: Any, rules: Any, repeats: int) -> dict[str, dict[str, float]]:
    """Median and 99th percentile, in milliseconds, of whole pages: the routing, the store, the template."""
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings

    app = create_app(Settings(challenges=(rules.folder,)), engine)
    return asyncio.run(_ask(app, questions(engine, rules), repeats))


def questions(engine: Any, rules: Any) -> dict[str, Question]:
    """The kinds of pages that are asked for, each a function that gives another path and query every time."""
    from ie_crowd.store import query

    chance = random.Random(2)  # noqa: S311 made-up questions
    ids = [row["id"] for page in (1, 7, 14) for row in query.results(engine, page=page, size=100).rows]
    choices = query.facets(engine)
    first = rules.tasks[0].metrics[0]
    tasks = [task for task in rules.tasks if first in task.metrics]
    last = -(-query.totals(engine)["published"] // 50)

    def task(*keys: str) -> dict[str, str]:
        one = chance.choice(tasks)
        whole = {"dataset": one.dataset, "supervision": one.supervision, "labels": str(chance.choice(one.labels))}
        whole["division"] = chance.choice(("closed", "open"))
        return {key: whole[key] for key in keys or whole}

    def compared() -> dict[str, str]:
        return dict(zip("ab", chance.sample(ids, 2), strict=True))

    return {
        "front page": lambda: ("/", {}),
        "list, any page": lambda: ("/results", {"page": str(chance.randrange(1, last + 1))}),
        "list, filtered by task": lambda: ("/results", task()),
        "list, filtered, sorted by metric": lambda: ("/results", {**task("dataset", "supervision"), "sort": first}),
        "list, all, sorted by metric": lambda: ("/results", {"sort": first, "page": str(chance.randrange(1, 20))}),
        "list, of one submitter": lambda: ("/results", {"submitter": chance.choice(choices["submitter"])}),
        "list, of one processor": lambda: ("/results", {"cpu_model": chance.choice(choices["cpu_model"])}),
        "chart, error by labels": lambda: ("/results", {"view": "chart", **task("dataset")}),
        "chart, two metrics of a task": lambda: (
            "/results",
            {"view": "chart", "x": chance.choice(tasks[0].metrics[1:]), "y": first, **task("dataset", "supervision")},
        ),
        "chart, metric by time, of all": lambda: ("/results", {"view": "chart", "x": "wall_seconds", "y": first}),
        "result": lambda: (f"/results/{chance.choice(ids)}", {}),
        "comparison": lambda: ("/compare", compared()),
        "ranking, seen before": lambda: ("/ranking", {}),
        "checklists": lambda: ("/checklists", {}),
        "challenge": lambda: ("/challenge", {}),
    }


async def _ask(app: Any, asked: dict[str, Question], repeats: int) -> dict[str, dict[str, float]]:
    figures = {}
    for name, question in asked.items():
        times = []
        for number in range(repeats + 2):
            path, query = question()
            began = time.perf_counter()
            # readers of one address may ask so often only: these are many
            status, body = await asgi_client.get(app, path, query, f"10.0.{number // 250}.{number % 250}")
            took = (time.perf_counter() - began) * 1000
            if status != 200:
                raise ValueError(f"{path} {query}: {status}")
            if number >= 2:  # the first ones fill caches
                times.append(took)
        times.sort()
        figures[name] = {
            "median_ms": times[len(times) // 2],
            "p99_ms": times[int(len(times) * 0.99)],
            "bytes": len(body),
        }
    return figures

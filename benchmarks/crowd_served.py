"""How fast a served site answers on real sockets: clients that keep their connections, while results are taken in.

The site is ``ie-crowd serve`` in a process of its own, as is the ingest; the clients are threads of this one. Each
question comes from another address (X-Forwarded-For), for one address may ask so often only.
"""

from __future__ import annotations

import http.client
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psutil

from benchmarks.crowd_pages import Question
from benchmarks.crowd_results import documents, text

CLIENTS = 8
SEED = 7  # of the results that are taken in beside


def served(
    store: str, rules: Any, questions: dict[str, Question], folder: Path, seconds: float, beside: int
) -> dict[str, Any]:
    """Milliseconds of every question (p50_ms, p99_ms) and of each page, the server's memory, how the ingest went."""
    inbox = folder / "beside"
    for number, document in enumerate(documents(rules, beside, seed=SEED)):
        place = inbox / f"{number // 500:03d}" / f"{number:06d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "result.json").write_bytes(text(document))
    here = ["--store", store, f"--challenge={rules.folder}"]
    command = [sys.executable, "-m", "ie_crowd", "serve", "--port=0", "--base-url=http://127.0.0.1", *here]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    taking = None
    try:
        address = next(line.split()[0] for line in server.stdout or () if line.startswith("http://"))
        ask(address, questions, len(questions) / 10, 1)  # the first ones fill caches
        began = time.monotonic()
        if beside:
            taking = subprocess.Popen(
                [sys.executable, "-m", "ie_crowd", "ingest", str(inbox), *here], stdout=subprocess.DEVNULL
            )
        times, failed = ask(address, questions, seconds, CLIENTS)
        figures: dict[str, Any] = {"rss_bytes": psutil.Process(server.pid).memory_info().rss, "failed": failed}
        if taking is not None:
            figures["ingest_still_running"] = taking.poll() is None
            if taking.wait() == 0:
                figures["ingest_results_per_second"] = beside / (time.monotonic() - began)
    finally:
        server.terminate()
        server.communicate()
    every = sorted(took for some in times.values() for took in some)
    figures |= {"requests": len(every), "clients": CLIENTS, "beside": beside, **_percentiles(every)}
    figures["pages"] = {name: _percentiles(sorted(some)) for name, some in times.items() if some}
    return figures


def ask(
    address: str, questions: dict[str, Question], seconds: float, clients: int
) -> tuple[dict[str, list[float]], int]:
    """What each question took, in milliseconds, by its name; and how many were not answered with 200."""
    parts = urlsplit(address)
    until = time.monotonic() + seconds
    guard = threading.Lock()
    times: dict[str, list[float]] = {name: [] for name in questions}
    failed = 0

    def client(number: int) -> None:
        nonlocal failed
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        chance = random.Random(number)  # noqa: S311 made-up addresses
        while time.monotonic() < until:
            with guard:  # the questions share their chance
                name = chance.choice(list(questions))
                path, query = questions[name]()
            who = ".".join(str(chance.randrange(1, 255)) for _ in range(4))
            began = time.perf_counter()
            connection.request("GET", f"{path}?{urlencode(query)}", headers={"X-Forwarded-For": who})
            answer = connection.getresponse()
            answer.read()
            took = (time.perf_counter() - began) * 1000
            with guard:
                times[name].append(took)
                failed += answer.status != 200
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, failed


def _percentiles(times: list[float]) -> dict[str, float]:
    return {"p50_ms": times[len(times) // 2], "p99_ms": times[int(len(times) * 0.99)]}

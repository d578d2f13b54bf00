"""Takes verifications from the queue, one after the other: each in a child with limits, and what came out is kept.

The worker holds what it works on by a lease that a thread renews. Killed at any moment, it leaves a row that another
takes when the lease has run out, and a temporary folder that the next start clears away; a child ends with its worker.
What is written at the end is one transaction: outcome, level, values, predictions, and a quarantine where it failed.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, insert, select, update

from ie_crowd import entry
from ie_crowd.challenge import evidence
from ie_crowd.challenge.model import Challenge
from ie_crowd.challenge.verification import FETCH
from ie_crowd.check import timeboxed
from ie_crowd.evidence import alike, files, job, plausible, queue, sandbox, taken
from ie_crowd.evidence.queue import Job
from ie_crowd.formats import checksums, humanize, scratch, strict
from ie_crowd.store import database, query, records, tables
from ie_crowd.store.people import moderation

MEMORY_BYTES = 16 * 2**30  # of address space; torch maps much more than it uses
SPARE_SECONDS = 120  # for what a child does beside the programs of the rules
LEVEL_OF = {"metrics": evidence.RECOMPUTED, "rerun": evidence.RERUN}


@dataclass
class Settings:
    """``data``: the files of a data set by its name, "" for any. ``challenges``: rules by id, beside those that come
    along. ``memory``: bytes that a child may have, None for any number."""

    data: Mapping[str, Path] = field(default_factory=dict)
    device: str | None = None
    challenges: Mapping[str, Challenge] = field(default_factory=dict)
    memory: int | None = MEMORY_BYTES
    say: Callable[[str], None] = lambda line: None


class Done(NamedTuple):
    """What came of one verification; ``held`` False: another worker had taken it over, and nothing was kept."""

    result_id: str
    depth: str
    outcome: str
    detail: str
    held: bool = True


def name() -> str:
    """A name for this worker that no other has."""
    return f"worker {os.getpid()}-{secrets.token_hex(4)}"


def work(engine: Engine, store: files.Files, settings: Settings, worker: str | None = None) -> Iterator[Done]:
    """Do what waits until nothing does; yields each when it is done."""
    worker, passed, problems = worker or name(), 0, dict[str, str]()
    while (held := queue.claim(engine, worker, after=passed)) is not None:
        with _renewed(engine, held, worker):
            try:
                challenge = _rules(engine, held, settings)
                document = queue.document(engine, held.result_id)
                dataset = document["task"]["dataset"]
                if dataset not in problems:
                    problems[dataset] = _fetch(dataset, challenge, settings)
                if problems[dataset]:
                    raise ValueError(problems[dataset])
            except LookupError as error:
                yield _broken(engine, held, worker, str(error.args[0]))
                continue
            except ValueError as error:  # for a worker that knows these rules and has the data
                passed = _left(engine, held, worker, passed, settings, error)
                continue
            try:
                done = _one(engine, store, held, worker, challenge, document, settings)
            except files.Away as error:
                passed = _left(engine, held, worker, passed, settings, error)
                continue
            yield done


def _left(engine: Engine, held: Job, worker: str, passed: int, settings: Settings, error: ValueError) -> int:
    """Leave a verification to others, with the reason; returns after which of them this worker goes on."""
    queue.give_back(engine, held, worker)
    settings.say(f"{held.result_id[:12]}: left to another worker: {error}")
    return max(passed, held.pk)


def _rules(engine: Engine, held: Job, settings: Settings) -> Challenge:
    row = query.one(engine, held.result_id)
    if row is None or row["state"] == tables.WITHDRAWN:
        raise LookupError("it was withdrawn")
    challenge = settings.challenges.get(row["challenge"]) or records.known(row["challenge"])
    if challenge is None:
        raise ValueError(f"the rules of {row['challenge']} are not here; pass --challenge=FOLDER")
    newest = max(row["judged_version"], row["rules_version"])
    if newest > challenge.rules_version:
        raise ValueError(f"it is of rules {newest}, here are {challenge.rules_version}; update this worker")
    return challenge


def _fetch(dataset: str, challenge: Challenge, settings: Settings) -> str:
    """Have the data where the programs of the rules look for them: a child has no network, and writes nowhere.

    The program is the local rules' and gets one of the names that they list. Returns what went wrong, "" if nothing:
    it is this machine's want, and says nothing on the result.
    """
    fetch = challenge.verification.get(FETCH)
    if fetch is None or dataset not in fetch.datasets or dataset in settings.data or "" in settings.data:
        return ""
    settings.say(f"fetching {dataset}, where it is not here yet")
    with scratch.folder("fetch") as place:
        problem = timeboxed.run(fetch.fill({"dataset": dataset}, {}), place.resolve(), fetch.seconds)
    return f"the data of {dataset} are not here: {problem}; or pass --data={dataset}=DIR" if problem else ""


class _renewed:
    """A thread that renews the lease while the worker works."""

    def __init__(self, engine: Engine, held: Job, worker: str) -> None:
        self.ended = threading.Event()
        self.engine, self.held, self.worker = engine, held, worker
        self.thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        if kind is not None:  # asked to stop, or something that nobody foresaw: the next attempt is another's
            queue.give_back(self.engine, self.held, self.worker)

    def _renew(self) -> None:
        while not self.ended.wait(queue.LEASE_SECONDS / 4):
            try:
                if not queue.renew(self.engine, self.held, self.worker):
                    return
            except database.SQLAlchemyError:  # the store is busy or away: the lease may last longer than that
                continue


def _one(
    engine: Engine,
    store: files.Files,
    held: Job,
    worker: str,
    challenge: Challenge,
    document: Mapping[str, Any],
    settings: Settings,
) -> Done:
    with scratch.folder("verify") as place:
        place = place.resolve()
        try:
            _lay_out(engine, store, held, document, challenge, settings, place)
            found = _run(engine, held, document, challenge, place, settings.say)
        except files.Away:
            raise
        except ValueError as error:
            return _broken(engine, held, worker, str(error))
        return _keep(engine, store, held, worker, challenge, document, found, place)


def _lay_out(
    engine: Engine,
    store: files.Files,
    held: Job,
    document: Mapping[str, Any],
    challenge: Challenge,
    settings: Settings,
    place: Path,
) -> None:
    """The folder that the child reads."""
    content = query.original(engine, held.result_id)
    assert content is not None
    (place / "result.json").write_bytes(content)
    wanted = files.asked(document)
    if held.depth == "metrics":
        for path, sha256 in files.stored(engine, held.result_id).items():
            if path in wanted and wanted[path].needed:
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                here = store.local(sha256)
                if not here.is_file():
                    raise files.Away(f"{path} is not where evidence lies")
                with (place / path).open("wb") as file:
                    file.writelines(files.read(here))
                if checksums.sha256_file(place / path)[0] != sha256:
                    raise ValueError(f"{path}: the stored file is not what it was")
    data = settings.data.get(document["task"]["dataset"]) or settings.data.get("")
    asked = {"depth": held.depth, "challenge": str(challenge.folder.resolve()), "memory": settings.memory}
    asked |= {"data": str(data.resolve()) if data else None, "device": _device(document, settings)}
    asked["other_digits"] = held.depth == "rerun" and queue.other_digits(engine, held, document)
    strict.write_json(place / job.JOB, asked)


def _device(document: Mapping[str, Any], settings: Settings) -> str | None:
    """What to compute on, None for the result's own device: without a word of the operator's the CPU, which every
    machine has. Accelerators do not give the same sums anyway."""
    own = document["config"].get("device")
    return settings.device or (None if own in (None, "cpu") else "cpu")


def _run(
    engine: Engine,
    held: Job,
    document: Mapping[str, Any],
    challenge: Challenge,
    place: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The child's outcome. Raises ValueError, one line, where it left none."""
    runs = sum(run["status"] == "completed" for run in document["runs"])
    challenge = challenge.of(document)
    kinds = ("recompute",) if held.depth == "metrics" else ("recompute", "rerun")
    seconds = runs * sum(challenge.verification[kind].seconds for kind in kinds if kind in challenge.verification)
    does = "computing its metrics again" if held.depth == "metrics" else "training it again"
    of = "1 run" if runs == 1 else f"{runs} runs"
    say(f"{held.result_id[:12]}: {does}, {of}, for {humanize.duration(seconds)} at most")
    hidden = []
    if engine.url.get_backend_name() == "sqlite":
        base = str(Path(str(engine.url.database)).resolve())
        hidden = [Path(base + end) for end in ("", "-wal", "-shm")]
    argv = sandbox.wrapped(entry.arguments("verify", f"--job={place}"), place, hidden)
    problem = timeboxed.run(argv, place, seconds + SPARE_SECONDS, sandbox.environment(place))
    if problem:
        raise ValueError(f"the verification gave nothing: {problem}")
    found = strict.read_json(place / job.OUTCOME, job.LIMITS, within=place)
    if not isinstance(found, dict) or set(found) != {"items", "values", "validation", "platform"}:
        raise ValueError("the verification left no outcome that can be read")
    return found


def _broken(engine: Engine, held: Job, worker: str, why: str) -> Done:
    with database.writing(engine) as connection:
        kept = queue.end(connection, held, worker, queue.BROKEN, why, {"confined": sandbox.kind()})
    return Done(held.result_id, held.depth, queue.BROKEN, why, kept)


def _keep(
    engine: Engine,
    store: files.Files,
    held: Job,
    worker: str,
    challenge: Challenge,
    document: Mapping[str, Any],
    found: Mapping[str, Any],
    place: Path,
) -> Done:
    kind = "recompute" if held.depth == "metrics" else "rerun"
    task = challenge.task(document["task"]["dataset"], document["task"]["supervision"])
    first = job.main_metric(task, document)
    outcome, detail = job.concluded(found["items"], kind, list(document["metrics"]), first)
    values = {
        int(number): {metric: float(value) for metric, value in metrics.items() if metric in challenge.metrics}
        for number, metrics in found["values"].items()
    }
    if outcome == queue.PASS:
        why = plausible.too_good(found["validation"], values, first, challenge.evidence.validation_gap)
        if why := why or plausible.better_than_the_reference(document, values, first, challenge):
            outcome, detail = queue.FAIL, why
    predictions = _predictions(store, values, place) if outcome == queue.PASS and held.depth == "metrics" else {}
    with database.writing(engine) as connection:
        platform = {**found["platform"], "confined": sandbox.kind()}
        if not queue.end(connection, held, worker, outcome, detail, platform):
            return Done(held.result_id, held.depth, outcome, detail, held=False)
        if outcome == queue.PASS:
            queue.keep_values(connection, held, values)
            _raise(connection, held)
            _note_files(connection, held, predictions)
            copies = alike.note(connection, store, held.result_pk, first)
            if copies:  # a reviewer says whose work it is; until then it is not shown
                detail = f"{detail}; copy: {copies[0]}"
                moderation.hold(connection, held.result_id, worker, f"copy: {copies[0]}")
            if held.depth == "metrics" and random.SystemRandom().random() < challenge.evidence.rerun_share:
                queue.ask(connection, held.result_pk, held.result_id, "rerun")
        elif outcome == queue.FAIL:
            moderation.hold(connection, held.result_id, worker, f"{held.depth}: {detail}")
    return Done(held.result_id, held.depth, outcome, detail)


def _predictions(store: files.Files, values: Mapping[int, Any], place: Path) -> dict[str, files.Asked]:
    """The predictions that came out, stored; by their path among the result's evidence."""
    kept = {}
    for number in values:
        path = place / job.FOUND / f"{number}.safetensors"
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= taken.MOST_BYTES:
            sha256, size = checksums.sha256_file(path)
            told = files.Asked(sha256, size, False)
            store.put(files.read(path), told)
            kept[alike.RECOMPUTED.format(number)] = told
    return kept


def _note_files(connection: Connection, held: Job, predictions: Mapping[str, files.Asked]) -> None:
    file = tables.evidence_file
    known = select(file.c.path).where(file.c.result_pk == held.result_pk)
    there = {row[0] for row in connection.execute(known)}
    rows = [
        {"result_pk": held.result_pk, "path": path, "sha256": told.sha256, "bytes": told.bytes}
        for path, told in predictions.items()
        if path not in there
    ]
    if rows:
        connection.execute(insert(file), rows)


def _raise(connection: Connection, held: Job) -> None:
    """Give the result the level that this verification shows, if it has a lower one."""
    result, level = tables.result.c, LEVEL_OF[held.depth]
    now = connection.execute(select(result.evidence).where(result.pk == held.result_pk)).scalar_one()
    if not evidence.at_least(now, level):
        connection.execute(update(tables.result).where(result.pk == held.result_pk).values(evidence=level))

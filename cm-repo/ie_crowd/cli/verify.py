"""``ie-crowd verify``: the operator's machine looks at what waits, by the rules; and ``--ask`` puts results there."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ie_crowd.cli.store import _command, _open, _positive, _say

VERIFY = """examples:
  ie-crowd verify                                    what waits: recompute the metrics from the weights
  ie-crowd verify --data=mnist=DIR --watch=60        go on, and look every minute; several may run at once
  ie-crowd verify --from=ie-repr-results             take the weights of these folders' results in first
  ie-crowd verify --ask=ID --depth=rerun             train a result again from its configuration and seeds
  ie-crowd verify --list                             what waits, and how many

Each is done in a child with limits of time and memory; with bubblewrap it has no network and writes into one folder.
Killed at any moment, nothing is lost: another worker takes over.
exit status: 0 nothing failed, 1 something did, 2 bad usage, 130 interrupted"""


def add(commands: Any) -> None:
    """Add the parser of the command to ``argparse``'s sub-commands."""
    parser = _command(commands, "verify", "verify results that wait, on this machine", VERIFY, run)
    parser.add_argument(
        "--data", action="append", default=[], metavar="[NAME=]DIR", help="files of a data set (default: the cache)"
    )
    parser.add_argument("--device", metavar="NAME", help="compute on this device instead of the result's")
    parser.add_argument(
        "--challenge", type=Path, action="append", default=[], metavar="FOLDER", help="these rules, too"
    )
    parser.add_argument(
        "--from", dest="folders", type=Path, action="append", default=[], metavar="DIR",
        help="first take in weights and predictions that lie in folders of results here",
    )  # fmt: skip
    parser.add_argument("--ask", action="append", default=[], metavar="ID", help="put this result into the queue first")
    parser.add_argument("--depth", choices=("metrics", "rerun"), default="metrics", help="of --ask (default: metrics)")
    parser.add_argument("--most", type=_positive, metavar="N", help="end after so many")
    parser.add_argument("--watch", type=_positive, metavar="SECONDS", help="do not end: look again after so long")
    parser.add_argument("--memory", type=_positive, default=16, metavar="GIB", help="of a child (default: 16)")
    parser.add_argument("--list", action="store_true", help="say what waits, and end")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # how a worker starts its child


def run(arguments: argparse.Namespace) -> int:
    """Verify, and return the exit status. Raises ValueError, one line, for what cannot be meant."""
    if arguments.job is not None:
        from ie_crowd.evidence import job

        return job.main(arguments.job)
    from ie_crowd.challenge import load
    from ie_crowd.evidence import files, queue, sandbox, worker
    from ie_crowd.evidence.folders import take
    from ie_crowd.store import database, query

    given = [load.challenge(folder) for folder in arguments.challenge]
    settings = worker.Settings(
        _data(arguments.data),
        arguments.device,
        {challenge.id: challenge for challenge in given},
        arguments.memory * 2**30,
        _err,
    )
    engine = _open(arguments, create=False)
    store = files.of(engine)
    for folder in arguments.folders:
        count = take(engine, store, folder, _err)
        _err(f"{folder.name}: {count} files of evidence taken in")
    for prefix in arguments.ask:
        found = query.by_prefix(engine, prefix) if prefix.isalnum() else []
        if len(found) != 1:
            raise ValueError(f"--ask={prefix[:64]}: {len(found) or 'no'} results begin so; expected the id of one")
        with database.writing(engine) as connection:
            queue.ask(connection, queue.key_of(connection, found[0]), found[0], arguments.depth, again=True)
    if arguments.list:
        counts = queue.counts(engine)
        _say(json.dumps(counts) if arguments.json else ", ".join(f"{count} {state}" for state, count in counts.items()))
        return 0
    files.prune(engine, store)
    if sandbox.kind() == sandbox.NONE:
        _err("no sandbox here (bubblewrap is not installed, or not allowed): children could write what you can")
    return _work(arguments, engine, store, settings)


def _work(arguments: argparse.Namespace, engine: Any, store: Any, settings: Any) -> int:
    from ie_crowd.evidence import queue, worker

    done: list[dict[str, Any]] = []
    try:
        while True:
            for one in worker.work(engine, store, settings):
                if one.held:
                    done.append(one._asdict())
                if not arguments.json:
                    _say(f"{one.result_id[:12]}  {one.depth:<8} {one.outcome:<14} {one.detail}")
                    sys.stdout.flush()  # a log shows it now, not when it is full
                if arguments.most is not None and len(done) >= arguments.most:
                    return _ended(arguments, done, 0)
            if arguments.watch is None:
                return _ended(arguments, done, queue.counts(engine)[queue.WAITING])
            time.sleep(arguments.watch)
    except KeyboardInterrupt:
        _err("interrupted; what was verified stays")
        return 130


def _ended(arguments: argparse.Namespace, done: list[dict[str, Any]], left: int) -> int:
    if arguments.json:
        print(json.dumps(done, indent=1))
    elif left:
        _say(f"{left} still wait{'s' if left == 1 else ''}, for another worker")
    elif not done:
        _say("nothing waits")
    return int(any(one["outcome"] in ("fail", "broken") for one in done))


def _data(given: list[str]) -> dict[str, Path]:
    found = {}
    for text in given:
        name, _, path = text.rpartition("=")
        if not Path(path).is_dir():
            raise ValueError(f"--data={text}: no such folder, expected the data set's files")
        found[name] = Path(path)
    return found


def _err(line: str) -> None:
    print(f"ie_crowd: {line}", file=sys.stderr, flush=True)

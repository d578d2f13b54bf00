"""``ie-crowd backup`` and ``restore``: a whole store in one file, and back."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ie_crowd.cli.store import _command, _open, _say

BACKUP = """examples:
  ie-crowd backup crowd-2026-12-01.zip               while the site runs; the file appears when it is whole
  ie-crowd backup crowd.zip --store=postgresql://crowd@db.example.org/crowd

It holds every row but log-ins, and the weights and predictions beside the store. It holds hashes of tokens: keep it as
you keep the store. exit status: 0 done, 2 bad usage"""

RESTORE = """examples:
  ie-crowd restore crowd-2026-12-01.zip --store=new.sqlite3
  ie-crowd restore crowd.zip --store=postgresql://crowd@db.example.org/crowd
                                                     also what comes from SQLite

The store must hold nothing yet. Killed, the same command does it again. exit status: 0 done, 2 bad usage"""


def add(commands: Any) -> None:
    """Add the parsers of both commands to ``argparse``'s sub-commands."""
    backup = _command(commands, "backup", "write a store and its evidence into one file", BACKUP, _backup)
    backup.add_argument("file", type=Path, metavar="FILE", help="the ZIP file to write; one that is there is replaced")
    restore = _command(commands, "restore", "fill an empty store from such a file", RESTORE, _restore)
    restore.add_argument("file", type=Path, metavar="FILE", help="what `ie-crowd backup` wrote")


def _backup(arguments: argparse.Namespace) -> int:
    engine = _open(arguments, create=False)
    from ie_crowd.evidence import backup

    try:
        done = backup.write(engine, arguments.file)
    finally:
        engine.dispose()
    return _told(arguments, f"{arguments.file}: ", done)


def _restore(arguments: argparse.Namespace) -> int:
    if not arguments.file.is_file():
        raise ValueError(f"{arguments.file}: is not a file; expected what `ie-crowd backup` wrote")
    engine = _open(arguments, create=True)
    from ie_crowd.evidence import backup

    try:
        done = backup.read(arguments.file, engine)
    finally:
        engine.dispose()
    return _told(arguments, "restored: ", done)


def _told(arguments: argparse.Namespace, what: str, done: Any) -> int:
    if arguments.json:
        print(json.dumps(done._asdict()))
    else:
        held = f"{done.results:,} results, {done.rows:,} rows, {done.evidence:,} files of evidence"
        _say(f"{what}{held}, {done.bytes:,} bytes")
    return 0

"""``ie-crowd refused``: the uploads that a server refused, for its operator."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ie_crowd.cli.store import _command, _open, _positive, _say

EXAMPLES = """examples:
  ie-crowd refused                                   the newest hundred: when, who, why, how large
  ie-crowd refused --most=1000 --json                for a program"""


def add(commands: Any) -> None:
    """Add the parser of this command to ``argparse``'s sub-commands."""
    parser = _command(commands, "refused", "list the uploads that the server refused", EXAMPLES, _refused)
    parser.add_argument("--most", type=_positive, default=100, metavar="N", help="(default: 100)")


def _refused(arguments: argparse.Namespace) -> int:
    engine = _open(arguments, create=False)
    from ie_crowd.store import rejected_uploads

    rows: list[dict[str, Any]] = []
    while len(rows) < arguments.most:
        before = rows[-1]["pk"] if rows else None
        more = rejected_uploads.read(engine, before=before, limit=arguments.most - len(rows))
        if not more:
            break
        rows += more
    if arguments.json:
        print(json.dumps([{key: value for key, value in row.items() if key != "pk"} for row in rows], indent=1))
        return 0
    for row in rows:
        sent = f"{row['size']:>9,} B  {row['sha256'][:12]:<12}"
        _say(f"{row['at']}  {row['by']:<24.24} {row['status']}  {sent}  {row['reason']}")
    if not rows:
        print("no upload was refused")
    return 0

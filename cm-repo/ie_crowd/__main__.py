"""Command line: ``python -m ie_crowd check DIR``. Exits 0 (nothing failed), 1 (something did) or 2."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ie_crowd import bundle, challenge, item, report, schema, schema_page, verify

EXAMPLES = """examples:
  python -m ie_crowd check ie-repr-results/RUN           check a results folder by the rules of its challenge
  python -m ie_crowd check RUN --json | jq .             the same, for a program
  python -m ie_crowd check RUN --challenge ./my-paper    by the rules.yaml of that folder

exit status: 0 nothing failed, 1 something failed, 2 bad usage or no readable result"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ie_crowd: error: {message}; see --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned."""
    parser = _Parser(
        prog="python -m ie_crowd",
        description="Checks result artifacts of reproduced papers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="verify a results folder: schema, hashes, aggregates, rules",
        description="Verifies a results folder: strict reading, schema, identity, hashes, aggregates and rules.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    check.add_argument("folder", type=Path, metavar="DIR", help="results folder that holds result.json")
    check.add_argument(
        "--challenge", type=Path, metavar="FOLDER", help="folder of a rules.yaml (default: the result's own)"
    )
    check.add_argument("--json", action="store_true", help="print the items as JSON")
    form = commands.add_parser(
        "schema",
        help="print the JSON Schema of result.json, or the page made from it",
        description="Prints the JSON Schema of result.json.",
        allow_abbrev=False,
    )
    form.add_argument("--markdown", action="store_true", help="print the page made from it (docs/result-format.md)")
    page = commands.add_parser(
        "report",
        help="make report.html and what else is made from a result.json",
        description="Makes cm-output.json, report.html and ro-crate-metadata.json of a results folder anew.",
        allow_abbrev=False,
    )
    page.add_argument("folder", type=Path, metavar="DIR", help="results folder that holds result.json")
    arguments = parser.parse_args(argv)
    if arguments.command == "report":
        return _report(arguments.folder)
    if arguments.command == "schema":
        print(schema_page.markdown() if arguments.markdown else schema.SCHEMA.read_text(encoding="utf-8"), end="")
        return 0
    try:
        rules = challenge.load(arguments.challenge) if arguments.challenge else None
        items = verify.check(arguments.folder, rules)
    except ValueError as error:
        print(f"ie_crowd: error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps([dataclasses.asdict(line) for line in items], indent=1, ensure_ascii=True))
    else:
        _print(items)
    return 1 if any(line.state == "fail" for line in items) else 0


def _report(folder: Path) -> int:
    try:
        bundle.remake(folder)
    except ValueError as error:
        print(f"ie_crowd: error: {error}", file=sys.stderr)
        return 2
    print(folder / report.REPORT)
    return 0


def _print(items: Sequence[item.Item]) -> None:
    """A table for a terminal or a log: plain text, one item a line."""
    width = max(len(line.name) for line in items)
    for line in items:
        text = f"{line.name:<{width}}  {line.state:<13}  {line.evidence:<26}  {line.detail}"
        print(text.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8"))
    counts = {state: sum(line.state == state for line in items) for state in ("pass", "fail", "not evidenced")}
    print(", ".join(f"{count} {state}" for state, count in counts.items()))


if __name__ == "__main__":
    sys.exit(main())

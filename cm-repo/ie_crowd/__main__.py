"""Command line: ``python -m ie_crowd check DIR``. Exits 0 (nothing failed), 1 (something did) or 2."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ie_crowd import (
    bundle,
    check_command,
    commands_refused,
    commands_site,
    commands_store,
    report,
    schema,
    schema_page,
    submit,
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ie_crowd: error: {message}; see --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned."""
    parser = _Parser(
        prog="python -m ie_crowd",
        description="Checks result artifacts of reproduced papers.",
        epilog=check_command.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check_command.add(commands)
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
    submit.add(commands)
    commands_store.add(commands)
    commands_site.add(commands)
    commands_refused.add(commands)
    arguments = parser.parse_args(argv)
    if arguments.command == "report":
        return _report(arguments.folder)
    if hasattr(arguments, "run"):
        try:
            return int(arguments.run(arguments))
        except ValueError as error:
            print(f"ie_crowd: error: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
    if arguments.command == "schema":
        print(schema_page.markdown() if arguments.markdown else schema.SCHEMA.read_text(encoding="utf-8"), end="")
        return 0
    try:
        return int(arguments.run(arguments)) if hasattr(arguments, "run") else check_command.run(arguments)
    except ValueError as error:
        print(f"ie_crowd: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"ie_crowd: error: {error.name} is not installed here; install ie-repr, which brings it", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ie_crowd: interrupted; nothing was written", file=sys.stderr)
        return 130


def _report(folder: Path) -> int:
    try:
        bundle.remake(folder)
    except ValueError as error:
        print(f"ie_crowd: error: {error}", file=sys.stderr)
        return 2
    print(folder / report.REPORT)
    return 0


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM as an exception, so that children and temporary folders go with this process."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stopped)
    sys.exit(main())

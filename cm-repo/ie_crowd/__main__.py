"""Command line: ``ie-crowd check DIR``. Exits 0 (nothing failed), 1 (something did), 2 or as entry.py says."""

# Nothing else is imported while the current folder, or this file's, may be on the path; not even __future__, which is a
# module like others.
if __name__ == "__main__":
    import sys

    if sys.version_info < (3, 11):  # noqa: UP036 so that an older Python says it, too
        sys.stderr.write("ie_crowd: error: Python 3.11 or newer is needed, and this is %s\n" % sys.version.split()[0])  # noqa: UP031
        raise SystemExit(2)
    if not __package__:  # started by this file's name, as the recipes do
        sys.path.insert(0, __file__[: -len("/ie_crowd/__main__.py")])
    from ie_crowd import entry

    raise SystemExit(entry.main(by_name=bool(__package__), by_file=not __package__))

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from ie_crowd import entry
from ie_crowd.cli import backup, rejected_uploads, site, store, verify

OF_A_STORE = ("ingest", "rank", "user", "serve", "site", "refused", "verify", "backup", "restore")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ie_crowd: error: {message}; see --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned. Without ``argv`` it is the process's own, with its signals."""
    if argv is None:
        signal.signal(signal.SIGTERM, _stopped)
        argv = sys.argv[1:]
    parser = _Parser(
        prog="ie-crowd",
        description="Checks result artifacts of reproduced papers.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    entry.add_completion(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if not argv or argv[0] not in OF_A_STORE:
        # A server, and each process of an ingest, would wait for what these import.
        from ie_crowd.cli import check, result

        parser.epilog = check.EXAMPLES
        result.add(commands)
    store.add(commands)
    site.add(commands)
    rejected_uploads.add(commands)
    verify.add(commands)
    backup.add(commands)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ValueError as error:
        print(f"ie_crowd: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"ie_crowd: error: {error.name} is not installed here; install ie-repr, which brings it", file=sys.stderr)
        return 2
    except Exception as error:
        if (said := _trouble_of_store(error)) is None:
            raise
        print(f"ie_crowd: error: {said}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ie_crowd: interrupted; nothing was written", file=sys.stderr)
        return 130


def _trouble_of_store(error: Exception) -> str | None:
    """One line where the store is what failed: busy, full, damaged, away; None for everything else."""
    if "sqlalchemy" not in sys.modules:  # no command of a store
        return None
    from ie_crowd.store import database

    found = database.trouble(error)
    return None if found is None else f"{found.text} ({database.one_line(error)})"


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM as an exception, so that children and temporary folders go with this process."""
    raise SystemExit(128 + number)

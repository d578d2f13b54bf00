"""The command line of the programs that `run-ie-repr` starts: their arguments, and how each foreseeable end is told."""

import argparse
import contextlib
import errno
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ie_recipes import flags

STOPPED = {128 + signal.SIGINT: "interrupted", 128 + signal.SIGTERM: "terminated"}
if hasattr(signal, "SIGHUP"):
    STOPPED[128 + signal.SIGHUP] = "the terminal is gone"


class StopError(Exception):
    """The flow ends here: exit code, and one line that says why and what to do."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


def stopped(code: int, folder: Path, command: str) -> StopError:
    """That a signal ended the work in ``folder`` (a code of STOPPED), and what goes on with it."""
    return StopError(code, f"{STOPPED[code]}: {folder} keeps what is done, go on with: {command}")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments: what was asked for, and what the dependencies found."""
    parser = argparse.ArgumentParser(
        description="Runs one task of ie-repr. Use `cm run script` or `mlcr` instead.", allow_abbrev=False
    )
    parser.add_argument("--request", required=True, type=flags.from_text, help="flags.Request as JSON")
    parser.add_argument("--folder", required=True, type=Path, help="results folder, absolute")
    parser.add_argument("--device", default="cpu", help="the device that was found")
    parser.add_argument("--reason", default="", help="why that device")
    parser.add_argument("--data", help="folder with the verified files")
    parser.add_argument("--downloaded", type=int, help="bytes that fetching them took over the network")
    parser.add_argument("--beside", action="store_true", help="another task is at work too: say nothing but errors")
    parser.add_argument("--command", default="", help="what to go on with, if it is more than this task")
    parser.add_argument("--last-words", type=Path, help="file for the error line, instead of stderr")
    return parser.parse_args(argv)


def ended(
    work: Callable[[], None], folder: Path | Callable[[], Path], last_words: Path | None, name: str = "run-ie-repr"
) -> int:
    """Do the work in ``folder``; every foreseeable end is an exit code and one line, on stderr or in ``last_words``."""
    line = ""
    try:
        work()
        return 0
    except StopError as stop:
        code, line = stop.code, str(stop)
    except ValueError as error:
        code, line = 2, str(error)
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
        code, line = 1, f"{why}: {_path(folder)} keeps what is done, the same flags go on with it"
    except KeyboardInterrupt:
        code, line = 130, f"interrupted: {_path(folder)} keeps what is done, the same flags go on with it"
    if last_words:
        with contextlib.suppress(OSError):  # a full disk: the exit code still says it
            last_words.write_text(line, encoding="utf-8")
    if not last_words or not last_words.exists():
        print(f"{name}: error: {line}", file=sys.stderr)
    return code


def _path(folder: Path | Callable[[], Path]) -> Path:
    return folder if isinstance(folder, Path) else folder()

"""``ie-crowd check DIR``: a verdict in the form that was asked for, and an exit status to gate on."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ie_crowd.artifact import statement, verdict_text
from ie_crowd.challenge import load
from ie_crowd.challenge.model import Challenge
from ie_crowd.check import opened, recompute, verdict
from ie_crowd.check.finding import Item
from ie_crowd.check.verdict import Verdict
from ie_crowd.formats import strict

EXAMPLES = """examples:
  ie-crowd check ie-repr-results/RUN           check a results folder by the rules of its challenge
  ie-crowd check RUN.zip                       the same of its ZIP file; of a result.json alone, what it can show
  ie-crowd check RUN --json | jq .summary      the same, for a program
  ie-crowd check RUN --depth=metrics --data=D  compute every metric again from the weights
  ie-crowd check RUN --against OTHER           is it a copy of another result?
  ie-crowd check RUN --statement=S.json --sign=KEY  a signed statement of it, to attach
  ie-crowd check RUN --challenge ./my-paper    by the rules.yaml and claims.yaml of that folder

exit status: 0 nothing that --fail-on names, 1 something, 2 bad usage or no readable result,
70 the check itself broke, 74 its output could not be written"""
# From what is asked least to what is asked most: each fails on what those before it do.
FAIL_ON = {
    "fail": ("fail",),
    "not-evidenced": ("fail", "not evidenced"),
    "needs-a-person": ("fail", "not evidenced", "needs a person"),
}


def add(commands: Any) -> None:
    """Add the command ``check`` to argparse's sub-commands."""
    parser = commands.add_parser(
        "check",
        help="verify and judge a results folder: integrity, validity, claims, checklists",
        description="Verifies a results folder and judges it: integrity, validity, the paper's claims, checklists.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="results folder, its ZIP file, or a result.json alone")
    parser.add_argument(
        "--challenge", type=Path, metavar="FOLDER", help="folder of a rules.yaml (default: the result's own)"
    )
    parser.add_argument(
        "--depth", choices=recompute.DEPTHS, default="hashes",
        help="hashes: read and compare; metrics: compute all metrics again from the weights; rerun: train again, too",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data set's files, for the deeper depths")
    parser.add_argument("--device", metavar="NAME", help="compute on this device instead of the result's")
    parser.add_argument("--runs", type=_count, metavar="N", help="look deeper at the first N completed runs only")
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR2",
        help="compare with these results: copies are flagged",
    )
    parser.add_argument(
        "--groups", type=_groups, metavar="NAMES", help="show and gate on these groups only, separated by commas"
    )
    parser.add_argument(
        "--fail-on", choices=list(FAIL_ON), default="fail", help="the mildest state that gives exit status 1"
    )
    parser.add_argument("--all", action="store_true", help="in the terminal also show what passed, with its details")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the verdict as JSON")
    form.add_argument("--markdown", action="store_true", help="print the verdict as Markdown")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write it as one page, by rename")
    parser.add_argument(
        "--statement", type=Path, metavar="FILE", help="also write an in-toto statement of it, by rename"
    )
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign the statement with this SSH key: FILE.sig")
    parser.add_argument("--verdict", type=Path, metavar="FILE", help="also write it as JSON, by rename")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print, and return the exit status. Raises ValueError, one line, for what cannot be read or written."""
    _check_places(arguments)
    challenge = load.challenge(arguments.challenge) if arguments.challenge else None
    request = recompute.Request(arguments.depth, arguments.data, arguments.device, arguments.runs, _say)
    with contextlib.ExitStack() as stack:
        places = [arguments.folder, *arguments.against]
        folder, *others = [stack.enter_context(opened.results_folder(place)) for place in places]
        found = verdict.judge(folder, challenge, request, others)
        if arguments.statement:
            _state(arguments, found, folder, challenge)
    # What the schema refuses is always shown and always fails, whichever groups were asked for.
    if arguments.groups and found.about:
        found = found.only(arguments.groups)
    if arguments.html:
        strict.write_text(arguments.html, verdict_text.page(found), typed=True)
    if arguments.verdict:
        strict.write_json(arguments.verdict, found.to_dict(), typed=True)
    if arguments.json:
        _write(json.dumps(found.to_dict(), indent=1, ensure_ascii=True) + "\n")
    elif arguments.markdown:
        _write(verdict_text.markdown(found))
    else:
        on_screen = sys.stdout.isatty()
        width = shutil.get_terminal_size((80, 24)).columns if on_screen else 80
        _write(verdict_text.terminal(found, width, colour=on_screen, every=arguments.all))
    return status(found.items, arguments.fail_on)


def _state(arguments: argparse.Namespace, found: Verdict, folder: Path, challenge: Challenge | None) -> None:
    """Write the statement, and its signature where a key is given."""
    challenge = challenge or load.challenge(load.find(found.about["challenge"])) if found.about else challenge
    if challenge is None:
        raise ValueError("--statement: the document is no result, so nothing is stated of it")
    statement.write(arguments.statement, statement.statement(found, folder, challenge))
    if arguments.sign:
        _say(f"signed: {statement.sign(arguments.statement, arguments.sign)}")


def status(items: Sequence[Item], fail_on: str) -> int:
    """The exit status: 1 if an Item is in one of the states that ``fail_on`` stands for."""
    return int(any(item.state in FAIL_ON[fail_on] for item in items))


def _check_places(arguments: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is computed."""
    if arguments.data is not None and not arguments.data.is_dir():
        raise ValueError(f"--data={arguments.data}: no such folder, expected the data set's files")
    if arguments.device is not None and not (arguments.device.isascii() and arguments.device.isalnum()):
        raise ValueError(f"--device={arguments.device!r}: expected a name of letters and digits, such as cpu")
    if arguments.sign is not None and arguments.statement is None:
        raise ValueError("--sign: signs a statement; expected --statement=FILE, too")
    for flag, path in (("html", arguments.html), ("statement", arguments.statement), ("verdict", arguments.verdict)):
        if path is None:
            continue
        if not path.resolve().parent.is_dir() or path.is_dir():
            raise ValueError(f"--{flag}={path}: expected a file in a folder that exists")
        if path.resolve().is_relative_to(arguments.folder.resolve()):
            raise ValueError(f"--{flag}={path}: lies in the results folder, which is never written to")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to 1000")
    return int(text)


def _groups(text: str) -> list[str]:
    known = verdict.group_ids()
    wrong = [name for name in text.split(",") if name not in known]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is no group: {', '.join(known)}")
    return text.split(",")


def _say(line: str) -> None:
    print(f"ie_crowd: {line}", file=sys.stderr, flush=True)


def _write(text: str) -> None:
    """Print what the terminal's encoding can show of ``text``."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()

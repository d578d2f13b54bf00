"""The commands of ``ie-crowd`` that work on a store: ingest, rank, user."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ie_crowd.entry import must_reach_reader

if TYPE_CHECKING:
    from sqlalchemy import Engine

INGEST = """examples:
  ie-crowd ingest ie-repr-results                    the results that this machine made
  ie-crowd ingest cm-repo/experiment --json          a git checkout of results; what it did, as JSON
  ie-crowd ingest inbox --hold                       leave what is valid to a reviewer
  ie-crowd ingest inbox --store=postgresql://crowd@db.example.org/crowd
                                                     (password: PGPASSFILE or PGPASSWORD)

Only what is new or changed since the last time is read. Killed, it goes on where it was.
exit status: 0 all taken in, 1 something was refused or quarantined, 2 bad usage, 130 interrupted"""

RANK = """examples:
  ie-crowd rank                                      every contest, by the first metric of its task
  ie-crowd rank --dataset=digits --labels=100        the contests of one data set and 100 labels
  ie-crowd rank --metric=control.error --json        by another metric, for a program"""

USER_ACTIONS = ("add", "list", "token", "role", "revoke", "disable", "enable", "keys", "add-key", "remove-key")
USER = """examples:
  ie-crowd user add "Ada L." --role=reviewer         prints the account's token, once
  ie-crowd user list --json
  ie-crowd user token "Ada L." --days=30             another token
  ie-crowd user revoke "Ada L."                      end all tokens and sessions
  ie-crowd user disable "Ada L."
  ie-crowd user keys "Ada L."                        the SSH keys that sign what the account sends
  ie-crowd user add-key "Ada L." --key=ada.pub
  ie-crowd user remove-key "Ada L." --key=SHA256:…   what it has signed stays signed

roles: contributor (submits, comments, objects), reviewer (also moderates and signs), operator (all of it)"""


KEY_FIELDS = ("fingerprint", "kind", "created", "revoked", "signed")


def add(commands: Any) -> None:
    """Add the parsers of these commands to ``argparse``'s sub-commands; each sets ``run``."""
    ingest = _command(commands, "ingest", "take results of folders and checkouts into the store", INGEST, _ingest)
    ingest.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folder or checkout that holds results")
    ingest.add_argument("--hold", action="store_true", help="do not publish what is valid: a reviewer will")
    ingest.add_argument("--again", action="store_true", help="read files that did not change, too")
    ingest.add_argument("--jobs", type=_positive, metavar="N", help="processes that validate (default: one a core)")
    ingest.add_argument(
        "--challenge", type=Path, action="append", default=[], metavar="FOLDER", help="judge by this rules.yaml"
    )
    rank = _command(commands, "rank", "print who is ranked where, by task and division", RANK, _rank)
    rank.add_argument("--dataset", help="only contests of this data set")
    rank.add_argument("--labels", help="only contests with this number of labels, or all")
    rank.add_argument("--division", choices=("closed", "open"))
    rank.add_argument("--metric", help="the metric to rank by (default: the first that the task's rules name)")
    rank.add_argument("--challenge", type=Path, metavar="FOLDER", help="folder of a rules.yaml")
    user = _command(commands, "user", "make and end accounts and tokens", USER, _user)
    user.add_argument("action", choices=USER_ACTIONS)
    user.add_argument("name", nargs="?", help="the account's name")
    user.add_argument("--role", choices=("contributor", "reviewer", "operator"))
    user.add_argument(
        "--key", metavar="FILE|SHA256:…", help="a .pub file to add, or the fingerprint of a key to remove"
    )
    user.add_argument("--days", type=_positive, help="for how long a new token works (default: 365)")


def _command(
    commands: Any, name: str, what: str, examples: str, run: Callable[..., int], *, json: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--store",
        metavar="URL|FILE",
        help="the store (default: $IE_CROWD_STORE, else a file in the user's data folder)",
    )
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 36_500:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from 1")
    return int(text)


def _open(arguments: argparse.Namespace, *, create: bool) -> Engine:
    try:
        from ie_crowd.store import database
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing: pip install '.[site]' in a checkout") from None
    return database.connect(arguments.store, create=create)


def _ingest(arguments: argparse.Namespace) -> int:
    engine = _open(arguments, create=True)
    from ie_crowd.evidence import files, folders
    from ie_crowd.store import database, ingest

    evidence = files.of(engine)
    total = ingest.Report()
    for folder in arguments.folders:
        with _Bar(f"ingest {folder.name}"[:30]) as bar:
            try:
                report = ingest.ingest(
                    engine,
                    folder,
                    publish=not arguments.hold,
                    again=arguments.again,
                    jobs=arguments.jobs,
                    challenges=arguments.challenge,
                    progress=bar,
                )
            except database.SQLAlchemyError as error:
                raise ValueError(f"the store cannot be written ({database.one_line(error)})") from None
            except KeyboardInterrupt:
                print("ie_crowd: interrupted; what was taken in stays, the same command goes on", file=sys.stderr)
                return 130
            folders.take(engine, evidence, folder, lambda line: print(f"ie_crowd: {line}", file=sys.stderr))
        total = total + report
    if arguments.json:
        print(json.dumps(total.as_dict(), indent=1))
    else:
        for path, what in total.remarks[:20]:
            _say(f"{path}: {what}")
        if len(total.remarks) > 20:
            print(f"and {len(total.remarks) - 20} more; --json lists them")
        counts = ("published", "valid", "quarantined", "known", "refused", "unchanged")
        said = ", ".join(f"{getattr(total, name):,} {name}" for name in counts if getattr(total, name))
        print(f"{total.files:,} results in {total.seconds:.1f} s: {said or 'none'}")
    return 1 if total.refused or total.quarantined else 0


class _Bar:
    """A progress bar on stderr where that is a terminal, nothing elsewhere; called as ``bar(done, total)``."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> _Bar:
        self.bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.what, total=None)
        return self

    def __call__(self, done: int, total: int) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()


def _rank(arguments: argparse.Namespace) -> int:
    engine = _open(arguments, create=False)
    from ie_crowd.challenge import load
    from ie_crowd.store import records, standings

    chosen = load.challenge(arguments.challenge) if arguments.challenge else None
    tables = []
    for row in standings.contests(engine, chosen.id if chosen else None):
        contest = standings.Contest(*(row[name] for name in standings.Contest._fields))
        challenge = chosen or records.known(contest.challenge)
        task = challenge.task(contest.dataset, contest.supervision) if challenge else None
        asked = (arguments.dataset, arguments.labels, arguments.division)
        if any(
            want not in (None, str(got)) for want, got in zip(asked, (contest[1], contest[3], contest[4]), strict=True)
        ):
            continue
        if challenge is None or task is None:
            continue  # the rules have dropped it
        name = arguments.metric or task.metrics[0]
        if name not in challenge.metrics:
            raise ValueError(f"there is no metric {name[:64]!r}; known: {', '.join(challenge.metrics)}")
        metric = challenge.metrics[name]
        entries = standings.standings(engine, contest, name, metric, challenge.evidence)
        tables.append((contest, name, metric, entries, row["nameless"]))
    if arguments.json:
        print(json.dumps([_as_json(*table) for table in tables], indent=1))
        return 0
    for contest, name, metric, entries, nameless in tables:
        _say(
            f"{contest.dataset}, {contest.supervision}, {contest.labels} labels, {contest.division}: "
            f"{name} in {metric.unit}"
        )
        for entry in entries[:50]:
            interval = "" if entry.ci95 is None else f" ± {entry.ci95:.3f}"
            place = f"{entry.rank}." if entry.rank else "–"
            marks = f"  {entry.level}" + (f", reproduced by {len(entry.reproduced_by)}" if entry.reproduced_by else "")
            if entry.awaiting_word:
                marks += f", agrees with {_names(entry.awaiting_word)}: waits for a reviewer's word"
            marks += f"; no rank: {entry.unranked}" if entry.unranked else ""
            failed = f", {entry.failed} failed" if entry.failed else ""
            who = f"{entry.submitter:<24.24} {entry.method:<16.16}"
            _say(f"  {place:>4} {who} {entry.mean:>9.3f}{interval:<10} n={entry.n}{failed}{marks}")
        if len(entries) > 50:
            print(f"       and {len(entries) - 50} more; --json lists them")
        if nameless:
            print(f"       {nameless} {'result names' if nameless == 1 else 'results name'} no submitter: no rank")
    if not tables:
        print("no published results of such contests; take some in with: ie-crowd ingest DIR")
    return 0


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _as_json(contest: Any, name: str, metric: Any, entries: list[Any], nameless: int) -> dict[str, Any]:
    fields = (
        "rank",
        "submitter",
        "method",
        "variant",
        "mean",
        "sd",
        "ci95",
        "n",
        "failed",
        "results",
        "reproduced_by",
        "awaiting_word",
        "evidence",
        "unranked",
    )
    rows = [{field: getattr(entry, field) for field in fields} for entry in entries]
    told = {"metric": name, "unit": metric.unit, "direction": metric.direction, "nameless": nameless}
    return {**contest._asdict(), **told, "entries": rows}


def _user(arguments: argparse.Namespace) -> int:
    from_name = arguments.action not in ("list",)
    if from_name and not arguments.name:
        raise ValueError(f"user {arguments.action} needs a name: ie-crowd user {arguments.action} NAME")
    engine = _open(arguments, create=arguments.action == "add")
    from ie_crowd.store.people import accounts

    name = arguments.name
    if arguments.action == "list":
        rows = [{key: value for key, value in row.items() if key != "pk"} for row in accounts.accounts(engine)]
        if arguments.json:
            print(json.dumps(rows, indent=1))
        for row in [] if arguments.json else rows:
            state = f"disabled {row['disabled'][:10]}" if row["disabled"] else f"{row['tokens']} tokens"
            _say(f"{row['name']:<32} {row['role']:<12} since {row['created'][:10]}  {state}")
        return 0
    if arguments.action in ("add", "token"):

        def show(token: str) -> None:
            print("ie_crowd: the token, which is shown this once:", file=sys.stderr)
            must_reach_reader(json.dumps({"name": name, "token": token}) if arguments.json else token)

        if arguments.action == "add":
            accounts.add(engine, name, arguments.role or "contributor", show=show)
        else:
            accounts.new_token(engine, name, days=arguments.days or accounts.TOKEN_DAYS, show=show)
        return 0
    if arguments.action in ("keys", "add-key", "remove-key"):
        return _keys(engine, arguments)
    if arguments.action == "role":
        if arguments.role is None:
            raise ValueError("user role needs --role=contributor, reviewer or operator")
        accounts.set_role(engine, name, arguments.role)
    else:
        {"revoke": accounts.revoke, "disable": accounts.disable, "enable": accounts.enable}[arguments.action](
            engine, name
        )
    print(f"ie_crowd: {arguments.action} {name!r}: done", file=sys.stderr)
    return 0


def _keys(engine: Engine, arguments: argparse.Namespace) -> int:
    from ie_crowd.formats import strict
    from ie_crowd.formats.ssh import keys as formats
    from ie_crowd.store.people.accounts import PROGRAM
    from ie_crowd.store.proofs import keys

    account, action = keys.named(engine, arguments.name), arguments.action
    if action == "keys":
        rows = [{name: row[name] for name in KEY_FIELDS} for row in keys.of(engine, account)]
        if arguments.json:
            print(json.dumps(rows, indent=1))
        for row in [] if arguments.json else rows:
            state = f"removed {row['revoked'][:10]}" if row["revoked"] else f"since {row['created'][:10]}"
            _say(f"{row['fingerprint']}  {row['kind']:<20} {state}, signed {row['signed']}")
        return 0
    if arguments.key is None:
        wanted = "a .pub file" if action == "add-key" else "its fingerprint, which user keys prints"
        raise ValueError(f"user {action} needs --key: {wanted}")
    if action == "add-key":
        content = strict.read_bytes(Path(arguments.key), formats.LONGEST)
        key = keys.add(engine, account, PROGRAM, content.decode("utf-8", "replace"), operator=True)
        print(f"ie_crowd: {arguments.name!r} signs with {key.fingerprint}", file=sys.stderr)
    else:
        keys.remove(engine, account, PROGRAM, arguments.key)
        print(f"ie_crowd: {arguments.key} of {arguments.name!r} is removed", file=sys.stderr)
    return 0


def _say(text: str) -> None:
    """Print what may come from others on a terminal of any encoding."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))

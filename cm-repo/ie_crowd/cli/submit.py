"""``ie-crowd submit DIR``: shows what will be published, asks, and writes a CM artifact or sends it."""

from __future__ import annotations

import argparse
import codecs
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from ie_crowd.challenge import load
from ie_crowd.cli import commit
from ie_crowd.formats import humanize, strict
from ie_crowd.formats.ssh import program, signatures
from ie_crowd.formats.upgrade import RESULT
from ie_crowd.result import signature
from ie_crowd.submit import client, cm_experiment, evidence, outbox, publication
from ie_crowd.submit.client import Server, UnreachableError
from ie_crowd.submit.publication import KEEP, Publication

TOKEN = "IE_CROWD_TOKEN"  # noqa: S105 the name of a variable
EXAMPLES = f"""examples:
  ie-crowd submit RUN --to=CHECKOUT            a CM experiment artifact, for a pull request
  ie-crowd submit RUN --server=https://crowd.example.org --token-file=token.txt
  ie-crowd submit RUN --server=URL --submitter="Ada L." --dry-run --show
  ie-crowd submit RUN --server=URL --sign=~/.ssh/id_ed25519
  ie-crowd submit --resume=FILE                what could not be sent before
  ie-crowd submit TRIAL --commit --server=URL  before the runs that count, where a contest ranks by issued label draws

The token of a server comes from --token-file or {TOKEN}. The results folder is never changed.
exit status: 0 published, received, or there already; 1 not; 2 bad usage or a result that does not hold together"""
_TOKEN = re.compile(r"[\x21-\x7e]{20,200}")
_ENDS = {"published": "published", "valid": "received; a reviewer will publish it", "quarantined": "received"}


class _NoToken(argparse.Action):
    """``--token`` is refused, and what stands behind it is not repeated."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        parser.error(
            "--token: a token on the command line is seen by everybody on this machine and stays in the shell's "
            f"history; use --token-file=FILE or {TOKEN}"
        )


def add(commands: Any) -> None:
    """Add the command to ``argparse``'s sub-commands."""
    parser = commands.add_parser(
        "submit",
        help="publish a result: as a CM artifact in a checkout, or on a server",
        description="Publishes a result, after it has shown what of it becomes public and asked.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="results folder that holds result.json")
    parser.add_argument("--to", type=Path, metavar="PATH", help="write a CM experiment into this folder or checkout")
    parser.add_argument("--server", metavar="URL", help="send it to this site")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="send what such a file kept")
    parser.add_argument(
        "--submitter", metavar="NAME", help='the public name to publish under; "" for none (default: the result\'s)'
    )
    parser.add_argument("--weights", action="store_true", help="with --to: also runs/, which holds the weights")
    parser.add_argument(
        "--weights-of", type=_runs, metavar="N", help="with --to: also runs/ of the first N runs, and not of the others"
    )
    parser.add_argument(
        "--no-weights",
        action="store_true",
        help="with --server: the result alone, without weights, predictions, curves and pictures: without a rank",
    )
    parser.add_argument(
        "--commit",
        action="store_true",
        help="with --server: commit to the code and settings of this trial run, and get the label draws that count",
    )
    parser.add_argument(
        "--sign", type=Path, metavar="KEY", help="with --server: sign the result's id with this SSH key of the account"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"file that holds the token (or {TOKEN})")
    parser.add_argument("--token", nargs="?", action=_NoToken, help=argparse.SUPPRESS)
    parser.add_argument("--challenge", type=Path, metavar="FOLDER", help="judge by this rules.yaml")
    parser.add_argument("--show", action="store_true", help="show the whole document, too")
    parser.add_argument("--dry-run", action="store_true", help="show it, write nothing and send nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask: for scripts")
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON, the rest on stderr")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Publish, and return the exit status. Raises ValueError, one line, for what cannot be published or asked."""
    _check(arguments)
    try:
        if arguments.to is not None:
            return _to_folder(arguments)
        return _to_server(arguments)
    except KeyboardInterrupt:
        print("ie_crowd: interrupted; the same command goes on", file=sys.stderr)
        return 130


def _check(arguments: argparse.Namespace) -> None:
    if arguments.commit:
        commit.check(arguments)
    if arguments.sign is not None and (arguments.commit or arguments.to is not None):
        raise ValueError("--sign=KEY goes with --server=URL and a result: the server keeps the signature with it")
    if arguments.resume is not None:
        wrong = [name for name in ("folder", "to", "submitter") if getattr(arguments, name) is not None]
        if wrong or arguments.weights or arguments.weights_of:
            raise ValueError("--resume sends a file as it is; leave everything but --server and the token out")
        return
    if arguments.folder is None:
        raise ValueError("which result? ie-crowd submit DIR --to=PATH or --server=URL")
    if (arguments.to is None) == (arguments.server is None):
        raise ValueError("expected one of --to=PATH and --server=URL")
    if bool(arguments.weights) + bool(arguments.weights_of) + bool(arguments.no_weights) > 1:
        raise ValueError("--weights, --weights-of=N and --no-weights: expected one of them")
    if arguments.weights_of and arguments.to is None:
        raise ValueError("--weights-of=N goes with --to=PATH; a server takes the weights of all runs")


def _publication(arguments: argparse.Namespace, *, figures: bool) -> Publication:
    challenge = load.challenge(arguments.challenge) if arguments.challenge else None
    name = KEEP if arguments.submitter is None else arguments.submitter or None
    of = arguments.weights_of
    weights = (arguments.weights or of is not None) and figures  # what goes to a server is told file by file
    return publication.prepare(arguments.folder, name, weights=weights, of=of, figures=figures, challenge=challenge)


def _runs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of runs from 1")
    return int(text)


# Into a folder


def _to_folder(arguments: argparse.Namespace) -> int:
    made, at = _publication(arguments, figures=True), cm_experiment.place(arguments.to)
    final = cm_experiment.folder_of(made.result, at)
    say = _speaker(arguments)
    say(publication.describe(made, full=arguments.show))
    below = os.path.relpath(final, at.root)
    say(f"\nGoes into {arguments.to} ({at.why}):\n  {below}/")
    sizes = [(RESULT, len(made.content())), *((file["path"], file["bytes"]) for file in made.files)]
    for path, size in [*sizes, (cm_experiment.CM_RESULT, None), ("SHA256SUMS", None)]:
        say(f"    {path:<44} {humanize.size(size) if size is not None else 'made from these'}")
    if not _agreed(arguments, say):
        return 0 if arguments.dry_run else 1
    folder, new = cm_experiment.write(made, at)
    where = os.path.relpath(folder, at.root)
    if new:
        say(f"Written: {where}")
        say(f"For a pull request: git add {os.path.relpath(folder.parent, at.root)}, then commit and push.")
    else:
        say(f"This very result is there already: {where}; nothing was changed.")
    outcome = {"id": made.result["id"], "outcome": "written" if new else "known", "path": where}
    return _done(arguments, outcome)


# To a server


def _to_server(arguments: argparse.Namespace) -> int:
    say = _speaker(arguments)
    if arguments.commit:
        made, url = _publication(arguments, figures=False), client.address(arguments.server)
        return commit.run(
            arguments, made, url, lambda: Server(url, _token(arguments)), lambda: _agreed(arguments, say), say
        )
    if arguments.resume is not None:
        kept, result = outbox.read(arguments.resume)
        url = client.address(arguments.server or kept)
        say(f"Result {result['id'][:12]}…, as it was kept in {strict.name_of(arguments.resume)}")
        if arguments.show:
            say(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        made = _publication(arguments, figures=False)
        url, result = client.address(arguments.server), made.result
        say(publication.describe(made, full=arguments.show))
    content = (json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    held = {} if arguments.no_weights or arguments.folder is None else evidence.held(arguments.folder, result)
    say(f"\nGoes to {url}:\n    {RESULT:<44} {humanize.size(len(content))}")
    for path, size in held.items():
        say(f"    {path:<44} {humanize.size(size)}")
    signed = ""
    if arguments.sign is not None:  # a key that does not work is said before anything is sent
        signed = program.sign(signature.message(result["id"]), arguments.sign, signature.NAMESPACE, "the result")
        by = signatures.parse(signed).key
        say(f"    {'its signature':<44} by {by.fingerprint}")
    if arguments.dry_run:
        say("A dry run: nothing was sent.")
        return 0
    server = Server(url, _token(arguments))
    if not _agreed(arguments, say):
        return 1
    kept_in = outbox.keep(url, result)
    try:
        owner = _owner(server, say)
        if owner is not None and result["submitter"]["name"] not in (None, owner):
            outbox.forget(kept_in)
            raise ValueError(
                f"the token is of {owner!r}, the result names {result['submitter']['name']!r}: pass "
                f'--submitter="{owner}", or --submitter= for no name'
            )
        answer = client.persist(lambda: client.send(server, content), say)
    except UnreachableError as error:
        return _unsent(arguments, f"{url}: {error}", kept_in)
    if answer.status in (*client.AGAIN, 401, 403):
        return _unsent(arguments, f"{url}: {answer.problem()}", kept_in)
    if answer.status in (200, 201, 202) and answer.body.get("id") == result["id"]:
        outbox.forget(kept_in)
        if arguments.resume is not None:
            outbox.forget(arguments.resume)
        status = _received(arguments, say, url, answer)
        if signed:
            status = _sign(server, result["id"], signed, say) or status
        return (evidence.send(server, arguments.folder, result["id"], held, say) or status) if held else status
    if 400 <= answer.status < 500 and answer.body:
        outbox.forget(kept_in)
        print(f"ie_crowd: {url} refuses the result: {answer.problem()}", file=sys.stderr)
        _done(arguments, {"id": result["id"], "outcome": "refused", "status": answer.status, "why": answer.problem()})
        return 1
    return _unsent(arguments, f"{url}: is no site that takes results (status {answer.status})", kept_in)


def _sign(server: Server, result_id: str, signed: str, say: Any) -> int:
    """Send the signature; the exit status. The result is there in any case."""
    try:
        answer = client.persist(lambda: client.sign(server, result_id, signed), say)
    except UnreachableError as error:
        print(f"ie_crowd: the signature was not sent: {error}; the same command goes on", file=sys.stderr)
        return 1
    if answer.status not in (200, 201):
        why = answer.problem() if answer.body else f"this server takes none (status {answer.status})"
        print(f"ie_crowd: the result is there, and not signed: {why}", file=sys.stderr)
        return 1
    say(f"Signed: {client.shown(str(answer.body.get('fingerprint')), 80)}")
    return 0


def _owner(server: Server, say: Any) -> str | None:
    """The name of the account whose token it is: a server would hold back a result of another name."""
    answer = client.persist(lambda: client.account(server), say)
    name = answer.body.get("name")
    return client.shown(name, 80) if answer.status == 200 and isinstance(name, str) else None


def _unsent(arguments: argparse.Namespace, why: str, kept: Path) -> int:
    print(
        f"ie_crowd: not sent: {why}. It is kept in {kept}; later: ie-crowd submit --resume='{kept}'",
        file=sys.stderr,
    )
    _done(arguments, {"outcome": "unsent", "why": why, "file": str(kept)})
    return 1


def _received(arguments: argparse.Namespace, say: Any, url: str, answer: client.Answer) -> int:
    result_id, state = str(answer.body["id"]), client.shown(str(answer.body.get("state")), 40)
    reasons = answer.body.get("reasons")
    reasons = [one for one in reasons if isinstance(one, dict)] if isinstance(reasons, list) else []
    if answer.status == 200:
        say(f"The server has this very result already ({state}); it is the same one.")
    else:
        say(f"Sent: {_ENDS.get(state, state)}.")
    for reason in reasons[:20]:
        said = ": ".join(client.shown(str(reason.get(key, ""))) for key in ("name", "detail"))
        say(f"  a reviewer has to look at: {said}")
    say(f"{url}/results/{result_id}")
    outcome = {"id": result_id, "outcome": "known" if answer.status == 200 else "sent", "state": state}
    return _done(arguments, {**outcome, "reasons": reasons, "url": f"{url}/results/{result_id}"})


def _token(arguments: argparse.Namespace) -> str:
    """The token, from a file or the environment. Raises ValueError, which does not repeat it."""
    if arguments.token_file is not None:
        given, where = _text(strict.read_bytes(arguments.token_file, 1024)), "--token-file"
        if os.name == "posix" and arguments.token_file.stat().st_mode & 0o077:
            print(
                f"ie_crowd: others on this machine can read {strict.name_of(arguments.token_file)}; chmod 600 it",
                file=sys.stderr,
            )
    else:
        given, where = os.environ.get(TOKEN, ""), TOKEN
    given = given.strip()
    if not given:
        raise ValueError(f"a server needs a token, which its operator gives out: --token-file=FILE or {TOKEN}")
    if not _TOKEN.fullmatch(given):
        raise ValueError(f"{where}: holds no token; expected one line of 20 to 200 letters, digits and signs")
    return given


def _text(content: bytes) -> str:
    """A text file as editors and shells of any system write it: UTF-8 with or without its mark, or UTF-16."""
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return content.decode("utf-16", "replace")
    if b"\0" in content[:4]:  # UTF-16 without a mark: every second byte of plain letters is zero
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le", "replace")
    return content.decode("utf-8-sig", "replace")


# Asking and saying


def _agreed(arguments: argparse.Namespace, say: Any) -> bool:
    """Whether to go on. Raises ValueError where nobody can be asked."""
    if arguments.dry_run:
        say("A dry run: nothing was written.")
        return False
    if arguments.yes:
        return True
    print(
        f"\n{'Commit to' if arguments.commit else 'Publish'} this? [y/N] ",
        end="",
        file=sys.stderr if arguments.json else sys.stdout,
        flush=True,
    )
    try:
        line = sys.stdin.readline() if sys.stdin is not None else ""
    except (OSError, ValueError):
        line = ""
    if not line:
        print(file=sys.stderr if arguments.json else sys.stdout)
        raise ValueError("nobody answers here (standard input is closed): pass --yes to publish without being asked")
    if line.strip().lower() in ("y", "yes"):
        return True
    say("Nothing was committed to." if arguments.commit else "Nothing was published.")
    return False


def _speaker(arguments: argparse.Namespace) -> Any:
    stream = sys.stderr if arguments.json else sys.stdout

    def say(text: str) -> None:
        encoding = stream.encoding or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)

    return say


def _done(arguments: argparse.Namespace, outcome: dict[str, Any]) -> int:
    if arguments.json:
        print(json.dumps(outcome, indent=1))
    return 0

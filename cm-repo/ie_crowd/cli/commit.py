"""``ie-crowd submit DIR --commit``: commits to code and settings of a trial run; the server issues label draws."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from ie_crowd.submit import client, commitment
from ie_crowd.submit.client import Server, UnreachableError
from ie_crowd.submit.publication import Publication

Say = Callable[[str], None]


def check(arguments: argparse.Namespace) -> None:
    """Raise ValueError for what does not go with --commit."""
    if arguments.to is not None:
        raise ValueError(
            "--commit goes with --server=URL: whoever owns a folder would know its draws beforehand, so a server "
            "issues them"
        )
    if arguments.resume is not None or arguments.no_weights or arguments.submitter is not None:
        raise ValueError("--commit sends a hash and nothing else; leave --resume, --no-weights and --submitter out")


def run(
    arguments: argparse.Namespace,
    made: Publication,
    url: str,
    server: Callable[[], Server],
    agreed: Callable[[], bool],
    say: Say,
) -> int:
    """Commit, and say with which command to train. Raises ValueError, one line, for what cannot be committed to."""
    asked = commitment.message(made)
    say(commitment.describe(made, asked))
    say(f"\nGoes to {url}: the contest and the hash. How many commitments an account makes is shown with its results.")
    if arguments.dry_run:
        say("A dry run: nothing was sent.")
        return 0
    to = server()
    if not agreed():
        return 1
    content = json.dumps(asked).encode()
    try:
        answer = client.persist(lambda: client.commit(to, content), say)
    except UnreachableError as error:
        print(f"ie_crowd: not committed: {url}: {error}; the same command goes on", file=sys.stderr)
        return 1
    got = commitment.receipt(answer.body, asked["sha256"]) if answer.status in (200, 201) else None
    if got is None:
        if answer.status in (200, 201) or not answer.body:
            why = f"is no site that issues draws (status {answer.status})"
        else:
            why = f"refuses the commitment: {answer.problem()}"
        print(f"ie_crowd: {url} {why}", file=sys.stderr)
        return 1
    draws, done = ", ".join(map(str, got.draws)), "Committed" if answer.status == 201 else "Committed before"
    say(f"{done}. Draws, each the seed and label draw of a run: {draws}")
    outcome = {
        "sha256": asked["sha256"],
        "draws": got.draws,
        "commitments": got.commitments,
        "handed_in": got.handed_in,
    }
    policy, command = made.challenge.evidence.issued, ""
    if policy is not None and policy.argv:
        path, command = commitment.keep(made, policy, asked["sha256"], got.draws, Path())
        say(f"Train with them, with the same code:\n    {command}")
        outcome |= {"file": str(path), "command": command}
    else:
        say("The rules here state no command: train one run with each of them, with the same code and settings.")
    say(
        "Only a result of this code and these settings with a completed run of each of these draws, and of no other, "
        f"has a rank:\n    ie-crowd submit RUN --server={shlex.quote(url)}\n"
        f"This account's commitments in this contest: {got.commitments}, handed in: {got.handed_in}."
    )
    if arguments.json:
        print(json.dumps(outcome, indent=1))
    return 0

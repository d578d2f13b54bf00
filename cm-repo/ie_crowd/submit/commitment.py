"""What ``submit --commit`` sends and says, and the file of settings and draws that a training is given."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd.challenge import issued
from ie_crowd.challenge.issued import Issued
from ie_crowd.formats import strict
from ie_crowd.result import commitment
from ie_crowd.submit.publication import Publication

MOST = issued.MOST_DRAWS


class Receipt(NamedTuple):
    """What a server answered."""

    draws: list[int]
    commitments: int
    handed_in: int


def message(made: Publication) -> dict[str, Any]:
    """What is sent: the contest and the hash. Raises ValueError where the result cannot be committed to."""
    result = made.result
    if result["challenge"]["division"] != issued.DIVISION:
        raise ValueError(
            "--commit is for the open division, and this result is of the closed one, whose rules fix the draws; "
            "submit it without --commit"
        )
    wrong = commitment.problem(result)
    if wrong:
        raise ValueError(f"--commit: {wrong}")
    task = result["task"]
    return {
        "challenge": result["challenge"]["id"],
        **{key: task[key] for key in ("dataset", "supervision", "labels")},
        "sha256": commitment.digest(result),
    }


def describe(made: Publication, asked: Mapping[str, Any]) -> str:
    """What is committed to, for a terminal."""
    result = made.result
    return (
        f"Commits to the code and the settings of result {result['id'][:12]}…, and publishes neither it nor them:\n"
        f"  contest       {asked['challenge']}, {made.task()}, open division\n"
        f"  code          commit {result['provenance']['commit']}\n"
        f"  settings      {len(result['config'])}, all but the seeds\n"
        f"  hash          {asked['sha256']}"
    )


def receipt(body: Mapping[str, Any], sha256: str) -> Receipt | None:
    """An answer of a server as far as it is one; None for anything else."""
    draws, counts = body.get("draws"), [body.get(key) for key in ("commitments", "handed_in")]
    whole = [one for one in (*(draws if isinstance(draws, list) else ()), *counts) if _count(one)]
    if body.get("sha256") != sha256 or not isinstance(draws, list) or not 1 <= len(draws) <= MOST:
        return None
    if len(whole) != len(draws) + 2 or len(set(draws)) != len(draws) or max(draws) >= 2**31:
        return None
    return Receipt(draws, *whole[-2:])


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def keep(made: Publication, policy: Issued, sha256: str, draws: Sequence[int], folder: Path) -> tuple[Path, str]:
    """Write settings and draws as the training reads them; returns the file, and the command that trains with it."""
    apart = policy.apart()
    settings = {key: value for key, value in made.result["config"].items() if key not in apart and value is not None}
    lines = [
        f"# Code and settings {sha256}: commit {made.result['provenance']['commit']}",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()),
        f"draws: {json.dumps(list(draws))}",
    ]
    path = folder / f"draws-{sha256[:8]}-{draws[0]}.yaml"
    strict.write_text(path, "\n".join(lines) + "\n")
    return path, shlex.join(policy.command(path.name, made.result["config"]))

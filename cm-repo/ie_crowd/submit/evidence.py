"""Send the files that a result rests on after it: weights, predictions, histories, pictures; what is there already is
not sent again.

The result itself is received before; what goes wrong here costs it its rank until the rest has come, and the same
command goes on where this one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ie_crowd.evidence import taken
from ie_crowd.formats import strict
from ie_crowd.result import provenance
from ie_crowd.submit import client
from ie_crowd.submit.client import Server, UnreachableError

MOST_BYTES = 32 * 2**20  # of one file that a server reads


def held(folder: Path, result: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of the files of a results folder that a server takes and that are small enough to be sent, by path.

    A history in which a text reads like a path is left out.
    """
    try:
        asked = taken.asked(result)
    except ValueError:
        return {}
    return {
        path: one.bytes
        for path, one in asked.items()
        if one.bytes <= MOST_BYTES
        and (folder / path).is_file()
        and not (taken.HISTORY.fullmatch(path) and _reveals(folder / path))
    }


def _reveals(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(provenance.reveals(word) for line in text.splitlines() for word in line.split('"'))


def send(server: Server, folder: Path, result_id: str, sizes: Mapping[str, int], say: Callable[[str], None]) -> int:
    """Send what the server lacks; returns the exit status: 0 if it has it all."""
    try:
        answer = client.persist(lambda: client.evidence(server, result_id), say)
        wanted = answer.body.get("files")
        if answer.status != 200 or not isinstance(wanted, list):
            say("This server takes no evidence: the result is stated, and has no rank there.")
            return 0
        lacks = {str(one.get("path")) for one in wanted if isinstance(one, dict) and one.get("here") is not True}
        for path in (one for one in sizes if one in lacks):
            strict.refuse_links(folder / path, folder)
            content = strict.read_bytes(folder / path, MOST_BYTES, within=folder)
            answer = client.persist(lambda p=path, c=content: client.send_evidence(server, result_id, p, c), say)  # type: ignore[misc]
            if answer.status == 422 and taken.to_show(path):  # the result can have its rank without it
                say(f"{path} will not be shown: {answer.problem()}")
            elif answer.status not in (200, 201):
                say(f"{path} was not taken: {answer.problem()}; the same command goes on from there")
                return 1
    except UnreachableError as error:
        say(f"the evidence was not sent: {error}; the same command goes on from there")
        return 1
    say(f"Sent: {len(sizes)} files of evidence; once they are verified the result can have a rank.")
    return 0

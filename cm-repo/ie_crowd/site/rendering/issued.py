"""Whether a result's label draws were issued to a commitment, as pages and the API show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ie_crowd.site.rendering import result_files
from ie_crowd.store import query, records, tables
from ie_crowd.store.proofs import commitments


class Shown(NamedTuple):
    """``sha256``: of code and settings. ``committed``: when; None where its draws were not issued, and ``why``.
    ``commitments``, ``handed_in``: of its account in this contest. ``since``: it is from before, and ranked as it was.
    """

    sha256: str
    committed: str | None
    why: str
    commitments: int
    handed_in: int
    since: str = ""


def of(state: Any, row: Mapping[str, Any]) -> Shown | None:
    """Of a result of a contest that asks for issued draws; None of any other. ``state``: of the site's application."""
    challenge = state.content.challenges.get(row["challenge"])
    issued = challenge.evidence.issues(row["dataset"], row["division"]) if challenge is not None else None
    if issued is None or row["state"] == tables.WITHDRAWN:
        return None
    runs = [(run["seed"], run["label_seed"], run["status"]) for run in query.runs(state.store, row["id"])]
    contest, sha256 = records.committed(result_files.parsed(state.store, row["id"]))
    found = commitments.of_result(state.store, row["id"], contest, sha256, runs)
    before = found.made is None and issued.stands(row["received"], row["created"], found.uploaded)
    return Shown(sha256, found.made, found.why, found.commitments, found.handed_in, issued.since if before else "")

"""Whether two results have predictions of their own: copied weights with a little noise predict almost the same.

Runs that were trained apart are wrong on different images. How many images two runs take for different classes is
compared with how many both together have wrong: copies differ on next to none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select

from ie_crowd.evidence.files import Files
from ie_crowd.result import predictions
from ie_crowd.store import tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECOMPUTED = "recomputed/{}/predictions.safetensors"
LEAST_SHARE = 0.1  # of the images that the two have wrong together: trained apart it is near 1, copied near 0
FEWEST_WRONG = 20  # together: below, two that were trained apart may differ on none
MOST_COMPARED = 20_000


def share(left: NDArray[Any], right: NDArray[Any], wrong: float) -> float:
    """Images on which two runs differ, over those that both have wrong together (``wrong``: their errors' sum, in %).

    Independent errors give almost 1, a copy 0. Two runs that are hardly ever wrong tell nothing: 1.
    """
    import numpy as np

    expected = wrong / 100 * len(left)
    return float(np.count_nonzero(left != right)) / expected if expected >= FEWEST_WRONG else 1.0


def note(connection: Connection, files: Files, result_pk: int, metric: str) -> list[str]:
    """Find results of others of the same task that a result looks like, and keep the pairs; returns what was said."""
    result, file, value = tables.result.c, tables.evidence_file.c, tables.verified_value.c
    contest = tables.contest.c
    own = connection.execute(
        select(contest.dataset, contest.supervision, contest.labels, contest.challenge, result.submitter_pk, result.id)
        .join(tables.contest, contest.pk == result.contest_pk)
        .where(result.pk == result_pk)
    ).one()
    error = select(value.value).join(tables.metric, tables.metric.c.pk == value.metric_pk)
    same = (contest.dataset == own.dataset, contest.supervision == own.supervision, contest.labels == own.labels)
    runs = (
        select(result.pk, result.id, result.submitter_pk, file.path, file.sha256)
        .join(tables.result, result.pk == file.result_pk)
        .join(tables.contest, contest.pk == result.contest_pk)
        .where(*same, contest.challenge == own.challenge, file.path.like("recomputed/%"))
        .order_by(result.pk.desc())
        .limit(MOST_COMPARED)
    )
    mine, others = [], []
    for row in connection.execute(runs).all():
        found = predictions.classes(files.path(row.sha256), [metric]).get(metric)
        number = int(row.path.split("/")[1])
        wrong = connection.execute(
            error.where(value.result_pk == row.pk, value.number == number, tables.metric.c.name == metric)
        ).scalar()
        if found is None or wrong is None:
            continue
        if row.pk == result_pk:
            mine.append((number, found, wrong))
        elif row.submitter_pk != own.submitter_pk or own.submitter_pk is None:
            others.append((row.pk, row.id, number, found, wrong))
    said: dict[int, str] = {}
    for other_pk, other_id, other_number, theirs, their_error in others:
        for number, ours, our_error in mine:
            if other_pk in said or len(ours) != len(theirs):
                continue
            if share(ours, theirs, our_error + their_error) < LEAST_SHARE:
                differ = int((ours != theirs).sum())
                said[other_pk] = f"run {number} and run {other_number} of {other_id[:12]}… differ on {differ} images"
    known = select(tables.look_alike.c.other_pk).where(tables.look_alike.c.result_pk == result_pk)
    there = {row[0] for row in connection.execute(known)}
    rows = [{"result_pk": result_pk, "other_pk": key, "detail": line} for key, line in said.items() if key not in there]
    if rows:
        connection.execute(insert(tables.look_alike), rows)
    return list(said.values())

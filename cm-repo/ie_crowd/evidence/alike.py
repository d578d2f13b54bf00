"""Whether two results have predictions of their own: copied weights with a little noise predict almost the same.

Runs that were trained apart are wrong on different images. How many images two runs take for different classes is
compared with how many both together have wrong: copies differ on next to none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, String, cast, func, insert, select

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
    """Find runs that a result's runs look like, and keep the pairs of results; returns what was said.

    Looked at are runs of others, of every task with the same test images (weights from more labels are a copy, too),
    and the submitter's own, this result's among them, unless they are of the same draw of the same task: that is one
    draw seen twice. One training shown under several seeds would have next to no spread, and the mean of its best.
    """
    own, rows = _runs(connection, result_pk)
    mine, others = [], []
    for row in rows:
        found = predictions.classes(files.local(row.sha256), [metric]).get(metric)
        wrong = None if found is None else _error(connection, row.pk, row.number, metric)
        if found is None or wrong is None:
            continue
        others.append((row, found, wrong))
        if row.pk == result_pk:
            mine.append((row, found, wrong))
    said: dict[int, str] = {}
    for other, theirs, their_error in others:
        for run, ours, our_error in mine:
            if other.pk in said or len(ours) != len(theirs) or _one_draw(run, other, own.submitter_pk):
                continue
            if share(ours, theirs, our_error + their_error) < LEAST_SHARE:
                differ = int((ours != theirs).sum())
                whose = "the same result" if other.pk == result_pk else f"{other.id[:12]}…"
                images = f"{differ} image{'' if differ == 1 else 's'}"
                said[other.pk] = f"run {run.number} and run {other.number} of {whose} differ on {images}"
    known = select(tables.look_alike.c.other_pk).where(tables.look_alike.c.result_pk == result_pk)
    there = {row[0] for row in connection.execute(known)} | {result_pk}
    new = [{"result_pk": result_pk, "other_pk": key, "detail": line} for key, line in said.items() if key not in there]
    if new:
        connection.execute(insert(tables.look_alike), new)
    return list(said.values())


def _runs(connection: Connection, result_pk: int) -> tuple[Any, list[Any]]:
    """The result's own row, and those of the predictions that came out here for runs on the same data, newest first."""
    result, file, run, contest = tables.result.c, tables.evidence_file.c, tables.run.c, tables.contest.c
    own = connection.execute(
        select(contest.dataset, contest.challenge, result.submitter_pk)
        .join(tables.contest, contest.pk == result.contest_pk)
        .where(result.pk == result_pk)
    ).one()
    kept = func.replace(RECOMPUTED, "{}", cast(run.number, String))
    wanted = (
        select(
            *(result.pk, result.id, result.submitter_pk, file.sha256, run.number, run.seed, run.label_seed),
            *(contest.supervision, contest.labels, contest.method),
        )
        .join(tables.result, result.pk == file.result_pk)
        .join(tables.contest, contest.pk == result.contest_pk)
        .join(tables.run, (run.result_pk == result.pk) & (file.path == kept))
        .where(contest.dataset == own.dataset, contest.challenge == own.challenge, file.path.like("recomputed/%"))
        .order_by(result.pk.desc(), run.number)
        .limit(MOST_COMPARED)
    )
    return own, list(connection.execute(wanted).all())


def _error(connection: Connection, result_pk: int, number: int, metric: str) -> float | None:
    """What came out of a run's weights here, in %."""
    value = tables.verified_value.c
    wanted = select(value.value).join(tables.metric, tables.metric.c.pk == value.metric_pk)
    wanted = wanted.where(value.result_pk == result_pk, value.number == number, tables.metric.c.name == metric)
    found = connection.execute(wanted).scalar()
    return None if found is None else float(found)


def _one_draw(run: Any, other: Any, submitter: int | None) -> bool:
    """Whether two runs are one run, or the submitter's own of the same draw of the same task, by the same method."""
    if run.pk == other.pk:
        return bool(run.number <= other.number)  # itself, and each pair once
    if submitter is None or other.submitter_pk != submitter:
        return False
    names = ("seed", "label_seed", "supervision", "labels", "method")
    return all(getattr(run, name) == getattr(other, name) for name in names)

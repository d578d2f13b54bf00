"""One result: what it measured, on what, how it came about, and what speaks for and against it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.artifact import report_html
from ie_crowd.challenge.evidence import STATED
from ie_crowd.challenge.model import Challenge
from ie_crowd.check import checklists, verdict
from ie_crowd.check.finding import STATES
from ie_crowd.check.verdict import Group, Verdict
from ie_crowd.evidence import files, image_intervals, queue
from ie_crowd.site.middleware import permissions
from ie_crowd.site.pages.paper import badge_of, cited
from ie_crowd.site.rendering import citations, evidence, issued, present, result_files
from ie_crowd.site.rendering.context import render
from ie_crowd.store import query, records, tables
from ie_crowd.store.filters import Filter
from ie_crowd.store.people import comments, independence, moderation
from ie_crowd.store.proofs import signatures as store_signatures

PREFIX = re.compile(r"[0-9a-f]{8,64}")
MOST_BESIDE = 12  # results of a contest whose comparisons the static copy holds
MOST_RUNS = 200  # shown in the table of runs; the download holds all


def identify(request: Request) -> str:
    """The whole id of the result that an address names, by itself or by its first characters. 404 if there is none."""
    given = request.path_params["id"]
    if not PREFIX.fullmatch(given):
        raise HTTPException(404, "There is no result of that name: an id is 64 characters from 0-9 and a-f.")
    found = [given] if len(given) == 64 else query.by_prefix(request.app.state.store, given)
    if len(found) > 1:
        raise HTTPException(404, f"Several results begin with {given}: give more characters.")
    if not found:
        raise HTTPException(404, f"There is no result {given}.")
    return found[0]


def result(request: Request) -> Response:
    """The page of one result, in whatever state it is."""
    return page(request)


def page(request: Request, typed: Mapping[str, str] | None = None, error: str = "") -> Response:
    """The same, with what somebody typed into a form on it and what is wrong with that."""
    state = request.app.state
    result_id = identify(request)
    found = query.one(state.store, result_id)
    if found is None:
        raise HTTPException(404, f"There is no result {result_id[:12]}….")
    account = getattr(request.state, "account", None)
    if found["state"] == tables.WITHDRAWN:
        return render(request, "result_gone.html.j2", 410, row=found)
    if not permissions.may_see(account, found):
        return render(request, "result_hidden.html.j2", 404, row=found)
    if not permissions.may_see_unpublished(account, found):
        found["uploaded_by"] = None  # somebody may publish under no name
    here = files.stored(state.store, result_id)
    document, challenge, judged, shown = read(state, found, here)
    runs = query.runs(state.store, result_id)
    signatures = comments.signatures(state.store, result_id)
    return render(
        request,
        "result.html.j2",
        422 if error else 200,
        headline=state.content.captions.headline if document["challenge"]["id"] == state.content.challenge.id else "",
        row=found,
        document=document,
        result_challenge=challenge,
        metrics=metrics(found, document, challenge),
        over_images=state.cached.get(
            ("images", result_id, len(here)), lambda: image_intervals.of(state.store, document), 0
        ),
        runs=runs[:MOST_RUNS],
        more_runs=len(runs) - MOST_RUNS,
        judged=judged,
        said=sentence(found, judged),
        signed=len({(one["checklist"], one["item"]) for one in signatures}),
        tallies=[(group, group.counts) for group in judged.groups] if judged else [],
        checklists={one.id for one in checklists.load()},
        evidence=shown,
        figures_elsewhere=_figures_elsewhere(document, shown),
        level=evidence.of(state, found, patient=True),
        draws=issued.of(state, found),
        verifications=[row for row in queue.history(state.store, result_id) if row["ended"]],
        files_here=here if not state.settings.static else {},
        signatures=_signed(signatures),
        note=moderation.note_of(state.store, result_id) if found["state"] == tables.PUBLISHED else None,
        objections=moderation.objections(state.store, result_id),
        comments=comments.threads(comments.comments(state.store, result_id, viewer=account, judged=True)),
        seal=store_signatures.of_result(state.store, result_id),
        independent=independence.of(state.store, found["submitter"]),
        typed={"text": "", "reply_to": "", "other": "", "note": "", **(typed or {})},
        errors={"text": "", "note": error},
        about=result_id,
        beside=_beside(state, found) if state.settings.static else [],
        total_bytes=sum(file["bytes"] for file in document["files"]),
    )


def read(
    state: Any, row: Mapping[str, Any], here: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], Challenge | None, Verdict | None, result_files.Evidence]:
    """A result's document, the rules it is judged by, the verdict, and what its folder or the files sent with it show.

    ``here``: what the store has of its files, where the caller has just asked.
    """
    here = files.stored(state.store, row["id"]) if here is None else here
    document = result_files.parsed(state.store, row["id"])
    challenge = state.content.challenges.get(row["challenge"]) or records.known(row["challenge"])
    judged, shown = state.cached.get(
        ("verdict", row["id"], len(here)), lambda: _judged(row, document, challenge, state, here), 0
    )
    return document, challenge, judged, shown


def sentence(row: Mapping[str, Any], judged: Verdict | None) -> str:
    """What the program's verdict comes to, in one or two sentences."""
    runs = f"{row['completed']} run{'' if row['completed'] == 1 else 's'}"
    if judged is None:
        return f"The numbers of {runs}; the rules of its challenge are not here, so nothing is judged."
    failed = sum(
        item.state == "fail" for group in judged.groups if group.id in ("integrity", "validity") for item in group.items
    )
    checked = "No check of integrity or validity fails"
    if failed:
        checked = (
            f"{failed} check{'' if failed == 1 else 's'} of integrity or validity {'fails' if failed == 1 else 'fail'}"
        )
    counts = {group.id: group.counts for group in judged.groups}
    told = [
        f"{counts[group][state]} {words[counts[group][state] > 1]}"
        for group, state, words in (
            ("claims", "pass", ("holds", "hold")), ("claims", "fail", ("does not hold", "do not hold")),
            ("kept", "pass", ("is kept", "are kept")), ("kept", "fail", ("is not kept", "are not kept")),
        )
        if counts.get(group, {}).get(state)
    ]  # fmt: skip
    if not told:
        return f"{checked}; it decides no claim of the paper."
    alone = " A single run supports nothing by itself." if row["completed"] == 1 else ""
    return f"{checked}; of the paper's claims {' and '.join(told)}, by {runs}.{alone}"


def _judged(
    found: Mapping[str, Any],
    document: Mapping[str, Any],
    challenge: Challenge | None,
    state: Any,
    here: Mapping[str, str],
) -> tuple[Verdict | None, result_files.Evidence]:
    """The verdict, on the folder where it is here and on the document alone elsewhere; and what the files show."""
    folder = result_files.folder_of(state.store, found, state.settings.folders)
    source = report_html.reader(folder) if folder else files.reader(state.store, here)
    shown = result_files.read(source, document, state.content.captions) if source else result_files.NONE
    if challenge is None:
        return None, shown
    stated = state.content.claims if challenge is state.content.challenge else None
    if folder:
        with contextlib.suppress(ValueError):  # a folder whose document no program of today would take in
            return _ordered(verdict.judge(folder, challenge)), shown
    return _ordered(verdict.of_document(document, challenge, stated)), shown


def _figures_elsewhere(document: Mapping[str, Any], shown: result_files.Evidence) -> int:
    """How many pictures the result lists, where none of them is here: an installed wheel holds the numbers only."""
    if shown.pictures or shown.drawn:
        return 0
    return sum(result_files.NAME.fullmatch(file["path"]) is not None for file in document["files"])


def _ordered(found: Verdict) -> Verdict:
    """What most needs a look first in each group."""
    from dataclasses import replace

    def sort(group: Group) -> Group:
        return replace(group, items=tuple(sorted(group.items, key=lambda item: STATES.index(item.state))))

    return replace(found, groups=tuple(sort(group) for group in found.groups))


def metrics(
    found: Mapping[str, Any], document: Mapping[str, Any], challenge: Challenge | None
) -> list[tuple[str, dict[str, Any], str, str, str]]:
    """(name, {mean, sd, n, ci95}, unit, direction, meaning) in the order of the task."""
    task = challenge.task(found["dataset"], found["supervision"]) if challenge else None
    order = list(task.metrics) if task else []
    names = sorted(found["metrics"], key=lambda name: (order.index(name) if name in order else len(order), name))
    rows = []
    for name in names:
        known = challenge.metrics.get(name) if challenge else None
        stated = document["metrics"].get(name, {"unit": "1", "direction": "higher"})
        rows.append(
            (name, found["metrics"][name], stated["unit"], stated["direction"], known.what if known is not None else "")
        )
    return rows


def _beside(state: Any, row: Mapping[str, Any]) -> list[str]:
    """Other results of the same contest that the static copy compares with this one; none where they are many."""
    task = Filter(**{key: row[key] for key in ("challenge", "dataset", "supervision", "labels", "division")})
    page = query.results(state.store, task, size=MOST_BESIDE + 1)
    return [one["id"] for one in page.rows if one["id"] != row["id"]] if page.total <= MOST_BESIDE else []


def _signed(signatures: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Signatures by checklist and item."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in signatures:
        found.setdefault((one["checklist"], one["item"]), []).append(one)
    return found


def cite(request: Request) -> Response:
    """A published result's citation, in a form that programs read."""
    found = published(request)
    settings = request.app.state.settings
    url = f"{settings.base_url.rstrip('/')}/results/{found['id']}" if settings.base_url else ""
    title = f"{found['dataset']}, {found['supervision']}, {present.labels(found['labels'])}"
    work = citations.result(found, title, request.app.state.content.challenge, url)
    return cited(work, request.path_params["form"])


def badge(request: Request) -> Response:
    """A published result's first metric, as a small picture for another page."""
    found = published(request)
    challenge = request.app.state.content.challenge
    task = challenge.task(found["dataset"], found["supervision"])
    name = next((one for one in (task.metrics if task else ()) if one in found["metrics"]), "")
    if not name:
        return badge_of("reproduced", f"{found['completed']} runs", citations.NEUTRAL)
    value, unit = found["metrics"][name], challenge.metrics[name].unit
    half = "" if value["ci95"] is None else f" ± {present.value(value['ci95'], unit)}"
    return badge_of(name, f"{present.value(value['mean'], unit)}{half} {present.in_unit(unit)}".strip(), citations.GOOD)


def evidence_badge(request: Request) -> Response:
    """A published result's evidence level, and how many reproduced it, as a small picture for another page."""
    shown = evidence.of(request.app.state, published(request), patient=True)
    return badge_of("evidence", shown.words, citations.NEUTRAL if shown.level == STATED else citations.GOOD)


def published(request: Request) -> dict[str, Any]:
    """The published result that an address names. 404 if there is none."""
    found = query.one(request.app.state.store, identify(request))
    if found is None or found["state"] != tables.PUBLISHED:
        raise HTTPException(404, "There is no published result of that name.")
    return found


def original(request: Request) -> Response:
    """The result.json as it came, byte for byte."""
    state = request.app.state
    result_id = identify(request)
    found = query.one(state.store, result_id)
    content = query.original(state.store, result_id) if found is not None else None
    if found is None or content is None or not permissions.may_see(getattr(request.state, "account", None), found):
        raise HTTPException(404, "There is no such file.")
    name = f'attachment; filename="result-{result_id[:12]}.json"'
    return Response(content, media_type="application/json", headers={"Content-Disposition": name})


def figure(request: Request) -> Response:
    """A picture of a published result whose folder is on this machine, or that was sent with it."""
    state = request.app.state
    result_id = identify(request)
    found = query.one(state.store, result_id)
    if found is not None and found["state"] == tables.PUBLISHED:
        here = files.stored(state.store, result_id)
        source = result_files.source_of(state.store, found, state.settings.folders, here)
        if source is not None:
            document = result_files.parsed(state.store, result_id)
            content = result_files.picture(source, document, request.path_params["name"])
            if content is not None:
                return Response(content, media_type="image/png", headers={"Cache-Control": "max-age=86400"})
    raise HTTPException(404, "There is no such picture.")


routes = [
    Route("/results/{id}", result),
    Route("/results/{id}/result.json", original),
    Route("/results/{id}/cite.{form}", cite),
    Route("/results/{id}/badge.svg", badge),
    Route("/results/{id}/evidence.svg", evidence_badge),
    Route("/results/{id}/figures/{name}", figure),
]

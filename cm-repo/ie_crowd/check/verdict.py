"""The whole verdict on a results folder, as plain data for a table, a page, a program or a report.

Integrity and validity come from ``integrity``, claims from the challenge's claims.yaml, then the depth that was asked
for, other results to compare with, and the checklists, which rest on all of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ie_crowd.challenge import claims as claims_yaml
from ie_crowd.challenge import load
from ie_crowd.challenge.claims import Claim
from ie_crowd.challenge.model import Challenge
from ie_crowd.check import checklist_probes, checklists, claims, duplicates, integrity, recompute, sentences
from ie_crowd.check.checklists import Conclusion
from ie_crowd.check.finding import STATES, Item, grouped
from ie_crowd.formats import checksums, strict, upgrade

FORMAT = 1
KEPT = "What the paper claims, asked of this version of its method"
GROUPS = {"integrity": "Integrity", "validity": "Validity", "claims": "Claims of the paper", "kept": KEPT}


@dataclass(frozen=True)
class Group:
    """Items of one kind: their title and how many are in each state."""

    id: str
    title: str
    about: str
    counts: Mapping[str, int]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Verdict:
    """``about``: what was checked (id, challenge, task, division, submitter, …; empty where the schema refused it)."""

    about: Mapping[str, Any]
    depth: str
    groups: tuple[Group, ...]
    conclusions: tuple[Conclusion, ...]

    @property
    def items(self) -> list[Item]:
        """All Items, in the order of the groups."""
        return [item for group in self.groups for item in group.items]

    def to_dict(self) -> dict[str, Any]:
        """JSON values: format, about, depth, summary (group to state to count), items, conclusions, sentences
        to quote, and the evidence level that this check itself has shown."""
        return {
            "format": FORMAT,
            "about": dict(self.about),
            "depth": self.depth,
            "summary": {group.id: dict(group.counts) for group in self.groups},
            "items": [item._asdict() for item in self.items],
            "conclusions": [dataclasses.asdict(conclusion) for conclusion in self.conclusions],
            "sentences": sentences.of(self),
            "evidence": sentences.level(self),
        }

    def only(self, groups: Sequence[str]) -> Verdict:
        """The same verdict with these groups alone."""
        kept = tuple(group for group in self.groups if group.id in groups)
        told = tuple(conclusion for conclusion in self.conclusions if conclusion.group in groups)
        return dataclasses.replace(self, groups=kept, conclusions=told)


def group_ids() -> list[str]:
    """The ids of all groups, in their order."""
    return [*GROUPS, *(checklist.id for checklist in checklists.load())]


def judge(
    folder: Path,
    challenge: Challenge | None = None,
    request: recompute.Request | None = None,
    against: Sequence[Path] = (),
) -> Verdict:
    """The verdict on the results folder ``folder``; nothing in it is changed.

    ``challenge``: the one to judge by, None for the one that the result names. ``against``: other results folders,
    whose raw values are compared. Raises ValueError, one line, if a result.json cannot be read, the challenge is not
    known here, or its claims.yaml is wrong.
    """
    request = request or recompute.Request()
    written = integrity.read(folder)
    items = integrity.check_read(folder, written, challenge)
    if any(item.name == "schema" and item.state == "fail" for item in items):
        return _assemble({}, request.depth, items)
    result = upgrade.accept(written)
    challenge = challenge or load.challenge(load.find(result["challenge"]["id"]))
    items += recompute.check(folder, result, challenge, items, request)
    for number, other in enumerate(against, 1):
        items.append(duplicates.compare(result, upgrade.read(other), f"{number}-{strict.name_of(other)}"))
    items += _of_claims(result, claims_yaml.load(challenge.folder, challenge), challenge)
    artifact = checklist_probes.Artifact(result, {item.name: item for item in items}, _paths(folder))
    return _assemble(_about(result), request.depth, items + checklists.check(artifact, checklists.load()))


def of_document(result: Mapping[str, Any], challenge: Challenge, stated: Sequence[Claim] | None = None) -> Verdict:
    """The verdict on a document alone, such as one that a store keeps: what its folder would show is not evidenced.

    ``stated``: the claims of the challenge, where the caller has read them. Expects a document of the present schema
    version that the schema accepts. Raises ValueError if claims.yaml is wrong.
    """
    found = dict(result)
    bands_of = {f"band.{name}" for name in challenge.metrics}
    items = [Item("schema", "pass", upgrade.RESULT, f"version {found['schema_version']}")]
    for item in integrity.check_document(found, challenge):
        items += grouped("validity", [item]) if item.name in bands_of else [item]
    known = claims_yaml.load(challenge.folder, challenge) if stated is None else stated
    items += _of_claims(result, known, challenge)
    artifact = checklist_probes.Artifact(result, {item.name: item for item in items}, frozenset())
    return _assemble(_about(result), "document", items + checklists.check(artifact, checklists.load()))


def _of_claims(result: Mapping[str, Any], stated: Sequence[Claim], challenge: Challenge) -> list[Item]:
    return grouped("claims", claims.check(result, stated, challenge)) + grouped(
        "kept", claims.kept(result, stated, challenge)
    )


def _assemble(about: Mapping[str, Any], deep: str, items: Sequence[Item]) -> Verdict:
    known = checklists.load()
    titles = {
        **{key: (title, "") for key, title in GROUPS.items()},
        **{one.id: (one.title, one.about) for one in known},
    }
    groups = []
    for key, (title, what) in titles.items():
        mine = tuple(item for item in items if item.group == key)
        if mine:
            counts: dict[str, int] = {
                state: count for state in STATES if (count := sum(item.state == state for item in mine))
            }
            groups.append(Group(key, title, what, counts, mine))
    return Verdict(about, deep, tuple(groups), tuple(checklists.conclude(items, known)))


def _about(result: Mapping[str, Any]) -> dict[str, Any]:
    task, challenged = result["task"], result["challenge"]
    runs = [run["status"] for run in result["runs"]]
    return {
        "id": result["id"],
        "paper": result["paper"]["title"],
        "challenge": challenged["id"],
        "rules_version": challenged["rules_version"],
        "division": challenged["division"],
        "dataset": task["dataset"],
        "supervision": task["supervision"],
        "labels": task["labels"],
        "runs": len(runs),
        "completed": runs.count("completed"),
        "created": result["created"],
        "submitter": result["submitter"]["name"],
    }


def _paths(folder: Path) -> frozenset[str]:
    """The files of the folder; none where one of them has no name that can be listed (an Item of its own says so)."""
    try:
        return frozenset(checksums.listing(folder))
    except ValueError:
        return frozenset()

"""Checklists of artifact evaluation: which points a program can see in an artifact, and which a person must sign."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ie_crowd.challenge.fields import Reader
from ie_crowd.check import checklist_probes
from ie_crowd.check.finding import Item
from ie_crowd.formats import strict

CHECKLISTS = Path(__file__).with_name("checklists.yaml")


@dataclass(frozen=True)
class Point:
    """One question: answered by a probe's name, or by a person, for whom it says what to do."""

    id: str
    asks: str
    probe: str | None
    person: str | None


@dataclass(frozen=True)
class Checklist:
    """A list of questions, by subject (a badge, a section)."""

    id: str
    title: str
    about: str
    subjects: Mapping[str, tuple[Point, ...]]


@dataclass(frozen=True)
class Conclusion:
    """What the evidence says on one subject; never that anything is awarded."""

    group: str
    subject: str
    text: str


@functools.cache
def load(path: Path = CHECKLISTS) -> tuple[Checklist, ...]:
    """The checklists of a file, by default those of this library. Raises ValueError naming the place."""
    reader = Reader(strict.name_of(path))
    top = reader.mapping(strict.read_yaml(path), "the file", "checklists")
    return tuple(
        _checklist(raw, f"checklists[{index}]", reader)
        for index, raw in enumerate(reader.items(top["checklists"], "checklists"))
    )


def _checklist(raw: object, where: str, reader: Reader) -> Checklist:
    value = reader.mapping(raw, where, "id title about subjects")
    reader.names({reader.text(value["id"], f"{where}.id"): None}, f"{where}.id")
    subjects = {}
    for index, one in enumerate(reader.items(value["subjects"], f"{where}.subjects")):
        place = f"{where}.subjects[{index}]"
        subject = reader.mapping(one, place, "name items")
        points = reader.items(subject["items"], f"{place}.items")
        subjects[reader.text(subject["name"], f"{place}.name")] = tuple(
            _point(point, f"{place}.items[{number}]", reader) for number, point in enumerate(points)
        )
    ids = [point.id for points in subjects.values() for point in points]
    if len(set(ids)) != len(ids):
        raise reader.fail(f"{where}.subjects", sorted(ids), "ids that are different")
    return Checklist(value["id"], reader.text(value["title"], where), reader.text(value["about"], where), subjects)


def _point(raw: object, where: str, reader: Reader) -> Point:
    value = reader.mapping(raw, where, "id asks", "probe person")
    reader.names({reader.text(value["id"], f"{where}.id"): None}, f"{where}.id")
    if ("probe" in value) == ("person" in value):
        raise reader.fail(where, sorted(value), "either a probe or a person")
    probe = (
        reader.one_of(value["probe"], f"{where}.probe", tuple(checklist_probes.PROBES)) if "probe" in value else None
    )
    person = reader.text(value["person"], f"{where}.person") if "person" in value else None
    return Point(value["id"], reader.text(value["asks"], f"{where}.asks"), probe, person)


def check(artifact: checklist_probes.Artifact, checklists: Sequence[Checklist]) -> list[Item]:
    """One Item for each point of each list, in their order."""
    return [
        _item(artifact, checklist.id, point)
        for checklist in checklists
        for points in checklist.subjects.values()
        for point in points
    ]


def _item(artifact: checklist_probes.Artifact, group: str, point: Point) -> Item:
    if point.probe is None:
        return Item(point.id, "needs a person", "", f"{point.asks} To sign: {point.person}", group)
    state, evidence, detail = checklist_probes.PROBES[point.probe](artifact)
    return Item(point.id, state, evidence, f"{point.asks} {detail}", group)


def conclude(items: Sequence[Item], checklists: Sequence[Checklist]) -> list[Conclusion]:
    """For each subject what its Items together are consistent with, and what is missing."""
    state = {(item.group, item.name): item.state for item in items}
    return [
        Conclusion(checklist.id, subject, _text({point.id: state[checklist.id, point.id] for point in points}))
        for checklist in checklists
        if any(item.group == checklist.id for item in items)
        for subject, points in checklist.subjects.items()
    ]


def _text(states: Mapping[str, str]) -> str:
    names = {
        state: [point for point, found in states.items() if found == state]
        for state in ("fail", "not evidenced", "needs a person")
    }
    people = f"; for a person: {', '.join(names['needs a person'])}" if names["needs a person"] else ""
    if names["fail"]:
        return f"evidence speaks against it: {', '.join(names['fail'])}{people}"
    if names["not evidenced"]:
        return f"not evidenced: {', '.join(names['not evidenced'])}{people}"
    return f"evidence is consistent with it, as far as a program sees{people}"

"""Finds a challenge's folder, and reads and checks its ``rules.yaml``, of which :class:`Challenge` is made."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ie_crowd.challenge import bands, evidence, fields, verification
from ie_crowd.challenge.fields import Reader
from ie_crowd.challenge.model import Added, Challenge, Methods, Metric, Pin, Task, Validity, Where
from ie_crowd.formats import strict

ANY = "any"  # label counts, where none is the task's own
DIRECTIONS = ("higher", "lower", "toward-chance")
CROWD_PACKAGE = (
    "cm_ie_repr_crowd"  # holds the challenge folders in an installed copy, where they do not lie beside ie_crowd
)


def find(challenge_id: str) -> Path:
    """The folder of a challenge: beside this library in a checkout, else in the installed crowd package.

    Raises ValueError with the challenges that are there if ``challenge_id`` is not.
    """
    known: set[str] = set()
    for folder in homes():
        names = {path.parent.name for path in folder.glob("*/rules.yaml")}
        if challenge_id in names:
            return folder / challenge_id
        known |= names
    there = ", ".join(sorted(known)) or "none"
    raise ValueError(f"no challenge {challenge_id!r:.80} here; known: {there}; or pass --challenge FOLDER")


def homes() -> list[Path]:
    """The folders that hold the challenges that come along: beside this library, or in the installed crowd package."""
    found = [Path(__file__).resolve().parents[2] / "challenge"]
    installed = importlib.util.find_spec(CROWD_PACKAGE)
    if installed is not None:
        found += [Path(place) / "challenge" for place in installed.submodule_search_locations or ()]
    return [home for home in found if home.is_dir()]


def challenge(folder: Path) -> Challenge:
    """Read and check ``folder/rules.yaml``, and the rules that stand for earlier results, ``rules-VERSION.yaml``.

    Raises ValueError naming the file, the key, what it holds and what was expected.
    """
    newest = _read(folder / "rules.yaml", folder)
    earlier = []
    for path in folder.glob("rules-*.yaml"):
        challenge = _read(path, folder)
        named = path.stem.removeprefix("rules-")
        if (
            named != str(challenge.rules_version)
            or challenge.rules_version >= newest.rules_version
            or challenge.id != newest.id
        ):
            raise ValueError(
                f"{strict.name_of(path)}: holds rules {challenge.rules_version} of {challenge.id}; expected those of "
                f"{newest.id} that it is named by, older than {newest.rules_version}"
            )
        earlier.append(challenge)
    return dataclasses.replace(newest, earlier=tuple(sorted(earlier, key=lambda challenge: challenge.rules_version)))


def _read(path: Path, folder: Path) -> Challenge:
    reader = Reader(strict.name_of(path))
    try:
        return _measured(_challenge(strict.read_yaml(path), reader, folder), reader)
    except (KeyError, TypeError, AttributeError) as error:  # a shape that no check below foresees is still one line
        raise ValueError(f"{reader.name}: does not have the form of rules ({type(error).__name__}: {error})") from None


def _challenge(raw: Any, reader: Reader, folder: Path) -> Challenge:
    keys = "id rules_version paper metrics datasets splits tasks config divisions validity"
    top = reader.mapping(raw, "the file", keys, "added methods verification evidence")
    if not isinstance(top["rules_version"], int) or isinstance(top["rules_version"], bool) or top["rules_version"] < 1:
        raise reader.fail("rules_version", top["rules_version"], "a whole number from 1")
    reader.names({top["id"]: None}, "id")
    paper = reader.mapping(top["paper"], "paper", "title url identifiers")
    metrics = {
        name: _metric(value, f"metrics.{name}", reader, top["rules_version"])
        for name, value in reader.names(top["metrics"], "metrics").items()
    }
    datasets = {
        name: {
            file: reader.hash(value, f"datasets.{name}.{file}")
            for file, value in reader.mapping(files, f"datasets.{name}").items()
        }
        for name, files in reader.names(top["datasets"], "datasets").items()
    }
    splits = {}
    for name, split in reader.names(top["splits"], "splits").items():
        validation = reader.mapping(split, f"splits.{name}", "validation")["validation"]
        splits[name] = reader.hash(validation, f"splits.{name}.validation")
    if set(splits) != set(datasets):
        raise reader.fail("splits", sorted(splits), f"one for each data set: {', '.join(datasets)}")
    config = reader.names(top["config"], "config")
    for key, kind in config.items():
        for part in reader.text(kind, f"config.{key}").split(" or "):
            reader.one_of(part, f"config.{key}", (*fields.TYPES, fields.NULL))
    divisions = reader.mapping(top["divisions"], "divisions", "closed open")
    closed = reader.mapping(divisions["closed"], "divisions.closed", "what pinned", "pinned_where")
    reader.mapping(divisions["open"], "divisions.open", "what")
    validity = reader.mapping(top["validity"], "validity", "completed_runs first_seed images_per_second")
    if validity["first_seed"] is not None:
        reader.number(validity["first_seed"], "validity.first_seed")
    pinned = _pins(closed["pinned"], "divisions.closed.pinned", reader, config)
    return Challenge(
        id=top["id"],
        rules_version=top["rules_version"],
        paper={
            "title": reader.text(paper["title"], "paper.title"),
            "url": reader.text(paper["url"], "paper.url"),
            "identifiers": [
                reader.text(item, "paper.identifiers")
                for item in reader.items(paper["identifiers"], "paper.identifiers")
            ],
        },
        metrics=metrics,
        datasets=datasets,
        splits=splits,
        tasks=tuple(
            _task(value, f"tasks[{index}]", reader, metrics, datasets, config)
            for index, value in enumerate(reader.items(top["tasks"], "tasks"))
        ),
        config=config,
        added={
            key: _added(value, f"added.{key}", reader, config.get(key), top["rules_version"])
            for key, value in reader.names(top.get("added", {}), "added").items()
        },
        methods={
            key: _methods(value, f"methods.{key}", reader, metrics, pinned.get(key))
            for key, value in reader.names(top.get("methods", {}), "methods").items()
        },
        pinned=pinned,
        pinned_where=_where(closed.get("pinned_where", []), "divisions.closed.pinned_where", reader, config),
        validity=Validity(
            completed_runs=int(reader.number(validity["completed_runs"], "validity.completed_runs")),
            first_seed=None if validity["first_seed"] is None else int(validity["first_seed"]),
            images_per_second=reader.number(validity["images_per_second"], "validity.images_per_second"),
        ),
        verification=verification.parse(top.get("verification", {}), reader, config),
        folder=folder,
        evidence=evidence.parse(top.get("evidence"), reader, metrics, datasets, config, top["rules_version"]),
    )


def _measured(challenge: Challenge, reader: Reader) -> Challenge:
    """The rules with what ``evidence.measured`` asks for in each task: the one value that the closed division pins."""
    asked = challenge.evidence.measured
    if asked is None:
        return challenge
    of = {}
    for task in challenge.tasks:
        pins = challenge.pins(task, None)
        loose = [key for key in asked.settings if len(pins[key].values if key in pins else ()) != 1]
        if loose:
            raise reader.fail(
                "evidence.measured.settings", loose[0], "settings of which the closed division pins one value"
            )
        of[task.dataset, task.supervision] = {key: pins[key].values[0] for key in asked.settings}
    policy = dataclasses.replace(challenge.evidence, measured=dataclasses.replace(asked, of=of))
    return dataclasses.replace(challenge, evidence=policy)


def _metric(raw: Any, where: str, reader: Reader, newest: int) -> Metric:
    value = reader.mapping(raw, where, "unit direction range what", "chance tolerance since")
    tolerance = reader.mapping(value.get("tolerance", {}), f"{where}.tolerance")
    for key, number in tolerance.items():
        reader.one_of(key, f"{where}.tolerance", ("recompute", "rerun"))
        if reader.number(number, f"{where}.tolerance.{key}") < 0:
            raise reader.fail(f"{where}.tolerance.{key}", number, "a number from 0")
    ends = reader.items(value["range"], f"{where}.range")
    if len(ends) != 2 or not reader.number(ends[0], f"{where}.range") < reader.number(ends[1], f"{where}.range"):
        raise reader.fail(f"{where}.range", ends, "the least and the largest value")
    direction = reader.one_of(value["direction"], f"{where}.direction", DIRECTIONS)
    if (direction == "toward-chance") != ("chance" in value):
        raise reader.fail(where, sorted(value), "the key chance exactly where direction is toward-chance")
    return Metric(
        unit=reader.text(value["unit"], f"{where}.unit"),
        direction=direction,
        low=ends[0],
        high=ends[1],
        chance=reader.number(value["chance"], f"{where}.chance") if "chance" in value else None,
        what=reader.text(value["what"], f"{where}.what"),
        recompute=tolerance.get("recompute"),
        rerun=tolerance.get("rerun"),
        since=_version(value.get("since", 1), f"{where}.since", reader, 1, newest),
    )


def _task(
    raw: Any,
    where: str,
    reader: Reader,
    metrics: Mapping[str, Metric],
    datasets: Mapping[str, Mapping[str, str | None]],
    config: Mapping[str, str],
) -> Task:
    value = reader.mapping(raw, where, "dataset supervision labels metrics", "pinned pinned_by_labels bands")
    labels = () if value["labels"] == ANY else reader.items(value["labels"], f"{where}.labels")
    for count in labels:
        if count != "all" and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise reader.fail(f"{where}.labels", count, "whole numbers or all")
    return Task(
        dataset=reader.one_of(value["dataset"], f"{where}.dataset", tuple(datasets)),
        supervision=reader.one_of(value["supervision"], f"{where}.supervision", ("supervised", "semi-supervised")),
        labels=tuple(labels),
        metrics=tuple(
            reader.one_of(name, f"{where}.metrics", tuple(metrics))
            for name in reader.items(value["metrics"], f"{where}.metrics")
        ),
        pinned=_pins(value.get("pinned", {}), f"{where}.pinned", reader, config),
        pinned_by_labels=_by_labels(
            value.get("pinned_by_labels", []), f"{where}.pinned_by_labels", reader, labels, config
        ),
        bands=bands.parse(
            value.get("bands", {}),
            f"{where}.bands",
            reader,
            {name: metric.direction for name, metric in metrics.items()},
            labels,
        ),
    )


def _by_labels(
    raw: Any, where: str, reader: Reader, known: Sequence[int | str], config: Mapping[str, str]
) -> dict[int | str, dict[str, Pin]]:
    """Label count to what is pinned for it, from a list of {labels, pinned}."""
    found: dict[int | str, dict[str, Pin]] = {}
    for index, one in enumerate(reader.items(raw, where)):
        value = reader.mapping(one, f"{where}[{index}]", "labels pinned")
        pins = _pins(value["pinned"], f"{where}[{index}].pinned", reader, config)
        for count in reader.items(value["labels"], f"{where}[{index}].labels"):
            if count not in known or count in found:
                raise reader.fail(f"{where}[{index}].labels", count, "label counts of the task, each once")
            found[count] = pins
    return found


def _where(raw: Any, where: str, reader: Reader, config: Mapping[str, str]) -> tuple[Where, ...]:
    """From a list of {config, pinned}."""
    found = []
    for index, one in enumerate(reader.items(raw, where)):
        value = reader.mapping(one, f"{where}[{index}]", "config pinned")
        asked = reader.mapping(value["config"], f"{where}[{index}].config")
        for key, wanted in asked.items():
            kind = config[reader.one_of(key, f"{where}[{index}].config", tuple(config))]
            if not fields.has_type(wanted, kind):
                raise reader.fail(f"{where}[{index}].config.{key}", wanted, kind)
        found.append(Where(asked, _pins(value["pinned"], f"{where}[{index}].pinned", reader, config)))
    return tuple(found)


def _added(raw: Any, where: str, reader: Reader, kind: str | None, newest: int) -> Added:
    value = reader.mapping(raw, where, "version before")
    if kind is None:
        raise reader.fail("added", where.removeprefix("added."), "keys that config lists")
    version = _version(value["version"], f"{where}.version", reader, 2, newest)
    if not fields.has_type(value["before"], kind):
        raise reader.fail(f"{where}.before", value["before"], kind)
    return Added(version, value["before"])


def _version(value: Any, where: str, reader: Reader, first: int, newest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not first <= value <= newest:
        raise reader.fail(where, value, f"a rules_version from {first} to {newest}")
    return value


def _methods(raw: Any, where: str, reader: Reader, metrics: Mapping[str, Metric], pin: Pin | None) -> Methods:
    value = reader.mapping(raw, where, "paper", "without unnamed keeps")
    known = tuple(map(str, pin.values)) if pin else ()
    if not known:
        raise reader.fail(where, sorted(value), "a key whose values the closed division lists")
    without = reader.mapping(value.get("without", {}), f"{where}.without")
    flags = {name: value.get(name, False) for name in ("unnamed", "keeps")}
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise reader.fail(f"{where}.{name}", flag, "true or false")
    return Methods(
        paper=reader.one_of(value["paper"], f"{where}.paper", known),
        **flags,
        without={
            reader.one_of(name, f"{where}.without", known): tuple(
                reader.one_of(metric, f"{where}.without.{name}", tuple(metrics))
                for metric in reader.items(listed, f"{where}.without.{name}")
            )
            for name, listed in without.items()
        },
    )


def _pins(value: Any, where: str, reader: Reader, config: Mapping[str, str]) -> dict[str, Pin]:
    pins = {}
    for key, asked in reader.names(value, where).items():
        if key not in config:
            raise reader.fail(where, key, "keys that config lists")
        if isinstance(asked, dict):
            reader.mapping(asked, f"{where}.{key}", "", "")
            if not asked or set(asked) - {"min", "max"}:
                raise reader.fail(f"{where}.{key}", sorted(asked), "min, max or both")
            low, high = (
                reader.number(asked[end], f"{where}.{key}") if end in asked else None for end in ("min", "max")
            )
            pins[key] = Pin(low=low, high=high)
        else:
            pins[key] = Pin(values=tuple(asked) if isinstance(asked, list) else (asked,))
    return pins

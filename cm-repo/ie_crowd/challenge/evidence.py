"""Evidence levels, and what the rules say about them: what a contest ranks, and what counts as reproduced.

**Levels**, each more than the one before: *stated* (a valid document, nothing more), *recomputed* (the operator's
machine has the weights and got the metrics itself), *rerun* (the operator's machine trained again from configuration
and seeds, and the numbers agree), *reproduced* (somebody else's result of at least the level that the contest ranks,
with weights and predictions of its own, agrees, and where the policy asks for it a reviewer said that the two are
independent). The first three are kept with a result; the fourth lies between
results, so it is found where they are ranked.

The key ``evidence`` of rules.yaml is the operator's policy about a store: it does not change how a result is checked,
and the newest rules' stands for the results of all rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ie_crowd.challenge import fixed as fixed_settings
from ie_crowd.challenge import issued as issued_draws
from ie_crowd.challenge import measured as measure
from ie_crowd.challenge import moments
from ie_crowd.challenge.fields import Reader
from ie_crowd.challenge.fixed import Fixed
from ie_crowd.challenge.issued import Issued
from ie_crowd.challenge.measured import Made, Measured

STATED, RECOMPUTED, RERUN, REPRODUCED = "stated", "recomputed", "rerun", "reproduced"
LEVELS = (STATED, RECOMPUTED, RERUN)  # that a result has by itself
DIVISIONS = ("closed", "open")
WHAT = {
    STATED: "a valid document: whoever sent it says so",
    RECOMPUTED: "the metrics were computed again here from the weights",
    RERUN: "trained again here from configuration and seeds, and it agrees",
    REPRODUCED: "an independent result with weights and predictions of its own agrees",
}


def at_least(level: str, asked: str) -> bool:
    """Whether a level is the one that is asked for, or more."""
    return LEVELS.index(level) >= LEVELS.index(asked)


@dataclass(frozen=True)
class Reference:
    """The standard deviation between ``runs`` runs of a reference result, in the metric's unit; and their mean, where
    they were made by the settings that the closed division pins for the method."""

    sd: float
    runs: int
    mean: float | None = None


@dataclass(frozen=True)
class Margin:
    """Two means agree if they differ by less than ``margin``; a result whose runs have an sd above ``spread`` is too
    noisy to rank or to reproduce anything. Both in the metric's unit."""

    margin: float
    spread: float


@dataclass(frozen=True)
class Policy:
    """What a contest asks of evidence. ``margin`` and ``spread`` are multiples of a reference's standard deviation.

    ``validation_gap``: standard errors by which a test error may be lower than the validation error. ``since``: the
    rules_version from which a check judges a rerun by the reference's spread, as a worker always does. ``prediction``:
    level of the interval in which one more run of the reference would lie; a better one of the closed division is not
    believed. 0: not asked. ``issued``: whether and how label draws are issued by the server; None: they are chosen.
    ``fixed``: settings that a rank of the closed division asks for, though the division leaves them free.
    ``reviewed``: two results reproduce each other only once a reviewer said that their submitters are independent.
    ``signed``: the moment from which a rank asks for the signature of whoever uploaded a result; "": it does not.
    ``measured``: settings that measure, of which a rank of the open division asks what the closed one pins.
    ``made_under``: the oldest rules whose results a rank is given to.
    """

    ranked: Mapping[str, str]
    rerun_share: float = 0.0
    margin: float = 0.0
    spread: float = 0.0
    validation_gap: float | None = None
    prediction: float = 0.0
    since: int = 10**9
    references: Mapping[tuple[str, str, int | str, str, str], Reference] | None = None
    issued: Issued | None = None
    fixed: Fixed | None = None
    reviewed: bool = False
    signed: str = ""
    measured: Measured | None = None
    made_under: Made | None = None

    def asked(self, division: str) -> str:
        """The level that a contest of the division ranks."""
        return self.ranked[division]

    def issues(self, dataset: str, division: str) -> Issued | None:
        """How a contest of that data set and division asks for issued label draws; None where it does not."""
        asked = self.issued is not None and self.issued.asked(dataset, division)
        return self.issued if asked else None

    def fixes(self, division: str, dataset: str, supervision: str) -> Fixed | None:
        """Which settings a contest of that division and task asks for; None where it leaves them free."""
        if self.measured is not None and division == measure.DIVISION:
            return self.measured.fixed(dataset, supervision)
        return self.fixed if self.fixed is not None and self.fixed.asked(division) else None

    def margins(self, dataset: str, supervision: str, labels: int | str, metric: str) -> dict[str, Margin]:
        """The margin of each method whose spread the rules state for that task and metric."""
        return {
            key[3]: Margin(self.margin * known.sd, self.spread * known.sd)
            for key, known in (self.references or {}).items()
            if key[:3] == (dataset, supervision, labels) and key[4] == metric
        }

    def spreads(self, task: Mapping[str, Any], method: str) -> dict[str, Reference]:
        """The reference of each metric for a task and method."""
        about = (task["dataset"], task["supervision"], task["labels"], method)
        return {key[4]: known for key, known in (self.references or {}).items() if key[:4] == about}


DEFAULT = Policy(dict.fromkeys(DIVISIONS, RECOMPUTED))  # of rules that say nothing
_FIELDS = "dataset supervision labels methods metric sd runs"


def parse(
    raw: Any,
    reader: Reader,
    metrics: Mapping[str, Any],
    datasets: Mapping[str, Any],
    config: Mapping[str, str],
    newest: int,
) -> Policy:
    """The key ``evidence`` of rules.yaml, ``newest`` their version. Raises ValueError naming the place."""
    if raw is None:
        return DEFAULT
    value = reader.mapping(
        raw,
        "evidence",
        "ranked",
        "rerun_share margin spread validation_gap prediction since reference issued fixed reviewed signed measured "
        "made_under",
    )
    ranked = reader.mapping(value["ranked"], "evidence.ranked", " ".join(DIVISIONS))
    references: dict[tuple[str, str, int | str, str, str], Reference] = {}
    for index, one in enumerate(reader.items(value.get("reference", []), "evidence.reference")):
        where = f"evidence.reference[{index}]"
        told = reader.mapping(one, where, _FIELDS, "mean")
        metric = reader.one_of(told["metric"], f"{where}.metric", tuple(metrics))
        sd, runs = reader.number(told["sd"], f"{where}.sd"), reader.number(told["runs"], f"{where}.runs")
        if not sd > 0 or runs < 2:
            raise reader.fail(where, [sd, runs], "a standard deviation above 0, of two runs at least")
        mean = None if told.get("mean") is None else float(reader.number(told["mean"], f"{where}.mean"))
        for method in reader.items(told["methods"], f"{where}.methods"):
            key = (str(told["dataset"]), str(told["supervision"]), told["labels"], str(method), metric)
            references[key] = Reference(float(sd), int(runs), mean)
    numbers = {
        name: reader.number(value.get(name, 0), f"evidence.{name}")
        for name in ("rerun_share", "margin", "spread", "prediction")
    }
    if not 0 <= numbers["rerun_share"] <= 1:
        raise reader.fail("evidence.rerun_share", numbers["rerun_share"], "a share from 0 to 1")
    if not 0 <= numbers["prediction"] < 1:
        raise reader.fail("evidence.prediction", numbers["prediction"], "a level from 0 to below 1, as 0.999")
    if any(one.mean is not None for one in references.values()) and not numbers["prediction"]:
        raise reader.fail("evidence", sorted(value), "prediction, where a reference has a mean")
    if references and not (numbers["margin"] > 0 and numbers["spread"] >= 1):
        raise reader.fail("evidence", sorted(value), "margin above 0 and spread from 1 where there are references")
    gap, reviewed = value.get("validation_gap"), value.get("reviewed", False)
    if not isinstance(reviewed, bool):
        raise reader.fail("evidence.reviewed", reviewed, "true or false")
    return Policy(
        ranked={name: reader.one_of(ranked[name], f"evidence.ranked.{name}", LEVELS) for name in DIVISIONS},
        validation_gap=None if gap is None else float(reader.number(gap, "evidence.validation_gap")),
        references=references,
        issued=issued_draws.parse(value.get("issued"), reader, datasets, config),
        reviewed=reviewed,
        signed=_signed(value.get("signed"), reader),
        fixed=fixed_settings.parse(value.get("fixed"), reader, config),
        measured=measure.parse(value.get("measured"), reader, config),
        made_under=measure.parse_made(value.get("made_under"), reader, newest),
        since=int(reader.number(value.get("since", 10**9), "evidence.since")),
        **{name: float(number) for name, number in numbers.items()},
    )


def _signed(raw: Any, reader: Reader) -> str:
    if raw is None:
        return ""
    return moments.parse(reader.mapping(raw, "evidence.signed", "since")["since"], "evidence.signed.since", reader)

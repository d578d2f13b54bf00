"""A verdict in three sentences to quote: whether it holds together, what its numbers rest on, how the claims stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ie_crowd.check.finding import Item

if TYPE_CHECKING:
    from ie_crowd.check.verdict import Verdict


def of(verdict: Verdict) -> list[str]:
    """The three; one where the document is no result."""
    if not verdict.about:
        return ["This is no result: the schema refuses it."]
    return [_holds_together(verdict), _rests_on(verdict), _claims(verdict)]


def level(verdict: Verdict) -> str:
    """What the check itself has shown of the numbers: "stated", "recomputed" or "rerun"."""
    for kind, name in (("rerun", "rerun"), ("recompute", "recomputed")):
        items = _computed(verdict.items, kind)
        if items and all(item.state == "pass" for item in items):
            return name
    return "stated"


def _computed(items: Sequence[Item], kind: str) -> list[Item]:
    """Of a kind, what stands for whole results: the item that says why nothing was started, or those of all metrics."""
    return [item for item in items if item.group == "integrity" and item.name.split(".")[0] == kind]


def _holds_together(verdict: Verdict) -> str:
    checked = [item for item in verdict.items if item.group in ("integrity", "validity")]
    failed = [item for item in checked if item.state == "fail"]
    short = verdict.about["id"][:12]
    if not checked:
        return f"Integrity and validity of result {short} were not looked at."
    if not failed:
        return f"Result {short} holds together: none of {len(checked)} checks of integrity and validity fails."
    several = "checks fail" if len(failed) > 1 else "check fails"
    return f"Result {short} does not hold together: {len(failed)} of {len(checked)} {several}, first {failed[0].name}."


def _rests_on(verdict: Verdict) -> str:
    said = []
    for kind, done in (("recompute", "computed again here from the weights"), ("rerun", "trained again here")):
        items = _computed(verdict.items, kind)
        if not items:
            continue
        agree, differ = (sum(item.state == state for item in items) for state in ("pass", "fail"))
        if differ:
            said.append(f"{done}, {differ} of {len(items)} metrics differ from what it states")
        elif agree == len(items):
            said.append(f"{done}, all {len(items)} metrics agree")
        elif agree:
            said.append(f"{done}, {agree} of {len(items)} metrics agree and the rest is not evidenced")
        else:
            said.append(f"{'training again' if kind == 'rerun' else 'computing again'} gave no evidence")
    if not said:
        return "Its numbers are stated: nothing was computed again (--depth=metrics does that)."
    whole = "; ".join(said)
    return f"{whole[0].upper()}{whole[1:]}."


def _claims(verdict: Verdict) -> str:
    asked = [item for item in verdict.items if item.group == "claims" and item.state != "not applicable"]
    runs = f"{verdict.about['completed']} run{'' if verdict.about['completed'] == 1 else 's'}"
    if not any(group.id == "claims" for group in verdict.groups):
        return "The paper's claims were not looked at."
    if not asked:
        return "None of the paper's claims is about this result."
    words = {"pass": "hold", "fail": "do not hold", "not evidenced": "are not evidenced"}
    counts = {state: sum(item.state == state for item in asked) for state in words}
    told = ", ".join(f"{count} {words[state]}" for state, count in counts.items() if count)
    alone = ": one run supports nothing by itself" if verdict.about["completed"] == 1 else ""
    return f"Of the paper's {len(asked)} claims about it, {told}, by {runs}{alone}."

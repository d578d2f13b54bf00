"""Validation of a result against the schema of its version, with errors of one line."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ie_crowd.formats import moments

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[1] / "result.schema.json"  # of the present version
# Every version that was ever written stays readable. When a version 2 comes, today's file becomes
# result.schema-1.json, and reader.UPGRADES gets the step from 1 to 2.
SCHEMAS = {1: SCHEMA}
SCHEMA_VERSION = 1


@functools.cache
def validator(version: int = SCHEMA_VERSION) -> Draft202012Validator:
    """The validator of a schema version. No reference in it leaves the file."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMAS[version].read_text(encoding="utf-8")))


@functools.cache
def _accepts(version: int = SCHEMA_VERSION) -> Callable[[Any], bool]:
    """Whether a document is valid, forty times as fast where jsonschema-rs is installed.

    It is trusted to accept only: what it refuses, the validator above judges and words.
    """
    try:
        import jsonschema_rs
    except ImportError:
        return lambda _: False
    # It compares with 1e12 written as a fraction twenty times as slowly as with the same whole number.
    limits = json.loads(SCHEMAS[version].read_text(encoding="utf-8"), parse_float=_whole)
    return jsonschema_rs.Draft202012Validator(limits).is_valid


def _whole(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def problems(result: Any, most: int = 20) -> list[str]:
    """What the schema says against ``result``: at most ``most`` lines ``/pointer: message``; none if it is valid."""
    if stranger := _no_result(result):
        return [stranger]
    version = result.get("schema_version", SCHEMA_VERSION) if isinstance(result, dict) else SCHEMA_VERSION
    if isinstance(version, bool) or not isinstance(version, (int, float)) or version not in SCHEMAS:
        known = f"this program reads {', '.join(map(str, SCHEMAS))}"
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        return [f"/schema_version: {_short(repr(version), 40)}, {known}{'; a newer one may read it' if newer else ''}"]
    if _accepts(version)(result):
        wrong = moments.problem(result["created"])
        return [f"/created: {wrong}"] if wrong else []
    found: list[str] = []
    for error in validator(version).iter_errors(result):
        place = "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in error.absolute_path)
        found.append(f"{_short(place, 120)}: {_message(error)}")
        if len(found) == most:
            break
    if not found and (wrong := moments.problem(result["created"])):
        found.append(f"/created: {wrong}")
    return found


# Keys that every version has had and will have; a document that lacks most of them was never meant to be a result.
_OURS = ("schema_version", "id", "challenge", "task", "runs", "metrics")


def _no_result(document: Any) -> str:
    """One line that says what a document is that is no result of any version; "" for one that may be."""
    if isinstance(document, dict) and sum(key in document for key in _OURS) > 1:
        return ""
    kind = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    what = kind.get(type(document), "a number")
    if isinstance(document, dict):
        keys = ", ".join(repr(key) for key in list(document)[:4])
        what += f" with {_short(keys, 80)}" if keys else " without keys"
    return f"/: this is no ie-repr result: it holds {what}; expected an object with {', '.join(_OURS)}"


def _message(error: Any) -> str:
    """What was wrong and what was expected, without printing a whole branch of the document."""
    if error.validator == "pattern":
        return f"{_short(repr(error.instance), 80)} does not match {error.validator_value}"
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema.get("properties", {})))
        return f"unknown key {_short(repr(unknown[0]), 80)}" if unknown else _short(error.message, 200)
    if error.validator in ("type", "enum", "const", "minimum", "maximum", "anyOf"):
        expected = error.schema.get("description", "") if error.validator == "anyOf" else error.validator_value
        return f"{_short(repr(error.instance), 80)}, expected {error.validator} {expected}"
    if error.validator in ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"):
        return f"{len(error.instance)} long, expected {error.validator} {error.validator_value}"
    return _short(error.message, 200)


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"

"""A page for people, made from result.schema.json: every field with its type, its limits and what it means."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ie_crowd.formats import schema, strict

INTRODUCTION = """\
<!-- Made by `ie-crowd schema --markdown`; change result.schema.json, not this page. -->

# The format of result.json

{description}

What is read is bounded before it is understood: UTF-8 without a byte order mark, {bounds};
NaN, Infinity, duplicate keys, unknown keys, control and text-direction characters are refused.
`ie-crowd check FOLDER` says what is wrong, in one line each. All keys are required; what is not
known is null, where null is allowed.

**Versions.** `schema_version` is {version}. A file of any earlier version stays readable for ever: it is read by the
schema of its own version, then brought to the present form. A newer one is refused in one line.

**Identity.** `id` is the SHA-256 of the document's canonical form (RFC 8785) without `id`: the same run gives the same
id, and one changed digit gives another.

In the tables `x[]` is each element of a list, and `x.*` is each value of a mapping whose keys are names.
"""


class Section(NamedTuple):
    """A key of the top level, and the fields below it as (path, type, limits, meaning)."""

    key: str
    kind: str
    limits: str
    what: str
    fields: list[tuple[str, str, str, str]]


def sections(version: int = schema.SCHEMA_VERSION) -> list[Section]:
    """The fields of a schema version for a page, as plain texts in which ` stands around code."""
    whole = schema.validator(version).schema
    assert isinstance(whole, Mapping)
    return [
        Section(
            key,
            _type(node),
            _limits(node),
            node["description"],
            [
                (path, _type(field), _limits(field), field["description"])
                for path, field in list(_fields(key, node))[1:]
            ],
        )
        for key, node in whole["properties"].items()
    ]


def markdown(version: int = schema.SCHEMA_VERSION) -> str:
    """The page for a schema version, in Markdown: one table for each key of the top level."""
    whole = schema.validator(version).schema
    assert isinstance(whole, Mapping)
    sections = {key: list(_fields(key, node))[1:] for key, node in whole["properties"].items()}
    names = {key: f"[`{key}`](#{key})" if fields else f"`{key}`" for key, fields in sections.items()}
    limits = strict.RESULT
    bounds = f"at most {limits.size // 2**20} MiB,\n{limits.depth} levels, {limits.values:,} values and "
    bounds += f"{limits.string:,} characters a string"
    introduction = INTRODUCTION.format(description=whole["description"], version=version, bounds=bounds)
    lines = [introduction, "## Top level", "", *_HEAD]
    lines += [_row(names[key], node) for key, node in whole["properties"].items()]
    for key, fields in sections.items():
        if fields:
            what = _text(whole["properties"][key]["description"])
            lines += ["", f"## {key}", "", what, "", *_HEAD, *(_row(f"`{path}`", node) for path, node in fields)]
    return "\n".join(lines) + "\n"


_HEAD = ("| Field | Type | Limits | What |", "|---|---|---|---|")


def _fields(path: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field at or below ``node`` with its path, in the order of the schema."""
    yield path, node
    for key, below in node.get("properties", {}).items():
        yield from _fields(f"{path}.{key}", below)
    if "items" in node:
        yield from _fields(f"{path}[]", node["items"])
    if isinstance(node.get("additionalProperties"), Mapping):
        yield from _fields(f"{path}.*", node["additionalProperties"])


def _row(name: str, node: Mapping[str, Any]) -> str:
    cells = (name, _type(node), _limits(node), _text(node["description"]))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text(description: str) -> str:
    """A description whose marks, such as <path>, are no HTML."""
    return description.replace("<", "&lt;").replace(">", "&gt;")


def _type(node: Mapping[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(_type(option) for option in node["anyOf"])
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return " or ".join(f"`{json.dumps(value)}`" for value in node["enum"])
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    names = {"array": "list", "object": "mapping", "integer": "whole number"}
    return " or ".join(names.get(kind, kind) for kind in kinds)


def _limits(node: Mapping[str, Any]) -> str:
    """The limits in words, empty if there are none."""
    if "anyOf" in node:
        return "; ".join(filter(None, map(_limits, node["anyOf"])))
    parts = []
    if "minimum" in node:
        parts.append(f"{_number(node['minimum'])} to {_number(node['maximum'])}")
    for what, unit in (("Length", "characters"), ("Items", "elements"), ("Properties", "keys")):
        if f"max{what}" in node:
            low, high = node.get(f"min{what}", 0), node[f"max{what}"]
            parts.append(f"{low} {unit}" if low == high else f"{low} to {_number(high)} {unit}")
    pattern = node.get("pattern") or node.get("propertyNames", {}).get("pattern")
    if pattern:
        parts.append(f"{'keys: ' if 'propertyNames' in node else ''}`{pattern}`")
    return ", ".join(parts)


def _number(value: float) -> str:
    """A limit as people read it: 1,000, 2^40 or 1e+15."""
    whole = int(value)
    if abs(whole) >= 2**30 and whole & (whole - 1) == 0:
        return f"2^{whole.bit_length() - 1}"
    return f"{whole:,}" if abs(whole) < 10**7 else f"{value:.10g}"

"""Reading of a result of any schema version there ever was: strictly, by the schema of its own version, then upgraded.

The one way in for whatever uses a result's values (pages, tables, stores). Identity and hashes belong to the document
as it was written, so ``verify`` looks at that one. So far there is one version and no upgrade.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ie_crowd.formats import schema, strict

RESULT = "result.json"
# From a version to the function that makes a document of the next one. It adds, renames or converts, and leaves `id`.
UPGRADES: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def read(folder: Path) -> dict[str, Any]:
    """``folder/result.json``, valid, in the form of the present schema version.

    Raises ValueError of one line if it cannot be read strictly, or is not what the schema of its version asks.
    """
    return accept(strict.read_json(folder / RESULT, strict.RESULT, within=folder), strict.name_of(folder / RESULT))


def accept(found: Any, name: str = RESULT) -> dict[str, Any]:
    """A parsed document, if it is valid, in the form of the present version. Raises ValueError of one line."""
    problems = schema.problems(found, most=1)
    if problems:
        raise ValueError(f"{name}: {problems[0]}")
    for version in range(int(found["schema_version"]), schema.SCHEMA_VERSION):
        found = {**UPGRADES[version](dict(found)), "schema_version": version + 1}
    return dict(found)

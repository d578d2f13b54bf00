"""What a result says of its code and settings, as one hash: what is committed to before label draws are issued.

It is a pure function of a result.json, so that the same comes out of a trial run before the draws are known and of the
result after them: challenge, task, the whole configuration (seeds are no part of it), and the commit of the code.
Versions of packages, the machine and the command are not in it: they may differ between the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ie_crowd.formats import canonical_json


def digest(result: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the code and settings of a result that the schema accepts."""
    challenge, code = result["challenge"], result["provenance"]
    about = {
        "challenge": {key: challenge[key] for key in ("id", "rules_version", "division")},
        "task": result["task"],
        "config": result["config"],
        "code": {key: code[key] for key in ("commit", "dirty")},
    }
    return hashlib.sha256(canonical_json.of_parsed(about).encode()).hexdigest()


def contest(result: Mapping[str, Any]) -> str:
    """The contest of a result in one line: challenge, data set, supervision, labels, division."""
    task, challenge = result["task"], result["challenge"]
    return name(challenge["id"], task["dataset"], task["supervision"], task["labels"], challenge["division"])


def name(*parts: Any) -> str:
    """A contest's line, of its parts in that order."""
    return " ".join(map(str, parts))


def problem(result: Mapping[str, Any]) -> str:
    """Why nobody can commit to the code of this result; "" where they can."""
    code = result["provenance"]
    if code["commit"] is None:
        return "it does not say which commit its code is of; run from a checkout, or from a package built from one"
    if code["dirty"]:
        return "its code differed from the commit that it names; commit the change and make the trial run again"
    return ""

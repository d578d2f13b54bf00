"""A verdict as a statement that can be attached and signed: in-toto's form, with the hashes of what was looked at.

The predicate is in-toto's *test result*; whoever reads statements reads this one. A signature is one of SSH's, made and
checked by ``ssh-keygen``, with keys that people have anyway. It says who vouches for the statement.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ie_crowd.challenge.model import Challenge
from ie_crowd.check import sentences
from ie_crowd.check.verdict import Verdict
from ie_crowd.formats import checksums, strict
from ie_crowd.formats.ssh import program
from ie_crowd.formats.upgrade import RESULT
from ie_crowd.result import system_info

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
NAMESPACE = "ie-crowd"  # what a signature is for


def statement(verdict: Verdict, folder: Path, challenge: Challenge) -> dict[str, Any]:
    """The statement about the results folder of a verdict. Raises ValueError where result.json cannot be read."""
    subjects = [(RESULT, checksums.sha256_file(folder / RESULT)[0])]
    document = strict.read_json(folder / RESULT, within=folder)
    listed = document.get("files", []) if isinstance(document, dict) and verdict.about else []
    subjects += [(file["path"], file["sha256"]) for file in listed if (folder / file["path"]).is_file()]
    states: dict[str, list[str]] = {"pass": [], "fail": [], "not evidenced": [], "needs a person": []}
    for item in verdict.items:
        if item.group in ("integrity", "validity", "claims") and item.state in states:
            states[item.state].append(item.name)
    failed = any(item.state == "fail" and item.group in ("integrity", "validity") for item in verdict.items)
    here = system_info.describe()
    return {
        "_type": TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects],
        "predicateType": PREDICATE,
        "predicate": {
            "result": "FAILED" if failed else "PASSED",
            "configuration": [
                {
                    "name": f"rules {challenge.rules_version} of {challenge.id}",
                    "digest": {"sha256": _rules_sha256(challenge)},
                }
            ],
            "passedTests": states["pass"],
            "warnedTests": [*states["not evidenced"], *states["needs a person"]],
            "failedTests": states["fail"],
            "about": dict(verdict.about),
            "depth": verdict.depth,
            "evidence": sentences.level(verdict),
            "sentences": sentences.of(verdict),
            "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "platform": {name: here[name] for name in ("os", "architecture", "cpu_model", "python")},
        },
    }


def _rules_sha256(challenge: Challenge) -> str:
    return checksums.sha256_file(challenge.folder / "rules.yaml")[0]


def write(path: Path, made: dict[str, Any]) -> None:
    """Write a statement, by rename."""
    strict.write_text(path, json.dumps(made, indent=1, ensure_ascii=True) + "\n")


def sign(path: Path, key: Path) -> Path:
    """Sign a statement with an SSH key; returns PATH.sig. Raises ValueError as ``program.sign_file`` does."""
    return program.sign_file(path, key, NAMESPACE, "the statement")

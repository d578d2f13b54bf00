"""Valid result documents of the toy challenge without a folder: what somebody uploads."""

import hashlib
import json

from ie_crowd.artifact import assemble
from ie_crowd.formats import canonical_json
from ie_crowd.result import runs as run_documents
from toy_challenge.make import CONFIG, FACTS, RULES, failed_run, run_document

MACHINES = ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Neoverse-N1", "Apple M2 Pro")


def toy(maes=(4.0, 6.0, 5.0), submitter="The Rivers Group", machine=0, tag="", **changes) -> dict:
    """A document whose run i has the error maes[i] (None: it failed); ``changes`` replace keys at the top.

    Weights differ by submitter and tag.
    """
    runs = []
    for number, mae in enumerate(maes):
        weights = hashlib.sha256(f"{submitter} {tag} {number} {maes}".encode()).hexdigest()
        run = failed_run(number) if mae is None else run_document(number, mae, 90.0, model_sha256=weights)
        runs.append(run_documents.entry(run))
    files = [
        {"path": f"runs/{number}/model.safetensors", "sha256": run["model_sha256"], "bytes": 10}
        for number, run in enumerate(runs)
        if run["model_sha256"]
    ]
    document = {
        "schema_version": 1,
        "paper": dict(RULES.paper),
        "challenge": {
            "id": RULES.id,
            "rules_version": RULES.rules_version,
            "division": "closed",
            "departures": [],
        },
        "task": {"dataset": "gauges", "supervision": "supervised", "labels": "all"},
        "config": dict(CONFIG),
        "runs": runs,
        "metrics": assemble.aggregate(runs, RULES.metrics),
        "datasets": run_document(0, 1.0, 1.0)["datasets"],
        **json.loads(json.dumps(FACTS)),
        "submitter": {"name": submitter},
        "files": files,
        **changes,
    }
    document["system"]["cpu_model"] = MACHINES[machine]
    return identified(document)


def identified(document: dict) -> dict:
    """The document with the id that its content gives."""
    return {**document, "id": canonical_json.identity(document)}


def text(document: dict) -> bytes:
    """Its bytes, as a file holds them."""
    return (json.dumps(document, indent=1) + "\n").encode()

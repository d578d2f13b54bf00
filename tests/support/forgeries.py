"""What somebody who wants a rank makes in thirty lines: a reference result with other numbers and hashes."""

import copy
import hashlib

from ie_crowd.artifact import assemble
from ie_crowd.formats import canonical_json


def forged(document, rules, name, change, *, machine=0):
    """A valid document under another name: ``change(metric, value)`` gives each number; weights, times, machine too."""
    made = copy.deepcopy(document)
    made["submitter"] = {"name": name}
    made["system"]["cores"]["logical"] += machine
    made["software_sha256"] = hashlib.sha256(name.encode()).hexdigest()
    new = {}
    for run in made["runs"]:
        run["metrics"] = {metric: change(metric, value) for metric, value in run["metrics"].items()}
        run["wall_seconds"] += 0.001
        run["cpu_seconds"] += 0.001
        old = run["model_sha256"]
        run["model_sha256"] = new[old] = hashlib.sha256(f"{name}{old}".encode()).hexdigest()
    for file in made["files"]:
        file["sha256"] = new.get(file["sha256"], hashlib.sha256(f"{name}{file['sha256']}".encode()).hexdigest())
    made["metrics"] = assemble.aggregate(made["runs"], rules.metrics)
    made["id"] = canonical_json.identity(made)
    return made

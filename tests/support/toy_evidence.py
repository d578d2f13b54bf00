"""Results of the toy challenge with weights, taken into a store and verified."""

import json

from ie_crowd.artifact import assemble
from ie_crowd.evidence import folders, worker
from ie_crowd.formats import checksums
from ie_crowd.result import system_info
from ie_crowd.store import ingest
from toy_challenge.make import FACTS, RULES, run_document, write_folder

MAE = "forecast.mae"


def make(home, name="The Rivers Group", maes=(4.0, 6.0, 5.0), cores=2, lie=None):
    """A results folder below ``home``; ``lie``: the numbers that it states instead of those of its weights."""
    folder = home / name.replace(" ", "-")
    system = {**system_info.describe(), "cores": {"physical": 1, "logical": cores, "usable": 1}}
    software = [one for one in system_info.software(["pytest"])["software"] if one["name"] == "pytest"]
    write_folder(folder, [run_document(number, mae, 90.0) for number, mae in enumerate(maes)])
    if lie:
        for number, mae in enumerate(lie):
            path = folder / "runs" / str(number) / "run.json"
            run = json.loads(path.read_text())
            path.write_text(json.dumps({**run, "metrics": {**run["metrics"], MAE: mae}}))
    facts = {**FACTS, "system": system, "software": software, "submitter": name}
    document = assemble.assemble(folder, challenge=RULES, **facts)
    checksums.write_sha256sums(folder)
    return document["id"]


def take_in(home, engine, store):
    report = ingest.ingest(engine, home, challenges=[RULES.folder], jobs=1)
    assert not report.refused, report.remarks
    folders.take(engine, store, home)
    return report


def verified(engine, store, **more):
    settings = worker.Settings(challenges={RULES.id: RULES}, **more)
    return {one.result_id: one for one in worker.work(engine, store, settings)}

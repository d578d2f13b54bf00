"""ro-crate-metadata.json: the results folder as a research object that other tools can read.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1), profile Process Run Crate 0.5 (https://w3id.org/ro/wfrun/process/0.5): one
action, the command, with the program as its instrument, data and configuration as its objects, and files and metrics as
its results. It says what result.json says and no more, so nobody's machine or name comes in here. Author and publisher
of the crate are the submitter; where nobody wants to be named, those of the program that wrote it (MAKERS).
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ie_crowd.formats import checksums, strict, upgrade

CRATE = "ro-crate-metadata.json"
ROCRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# The context of RO-Crate 1.1 has no word for a hash; the workflow-run terms have this one.
CONTEXT = [f"{ROCRATE}/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}]
FORMATS = {
    ".jsonl": "application/x-ndjson",
    ".safetensors": "application/octet-stream",
    ".json": "application/json",
    "SHA256SUMS": "text/plain",
}
WHAT = {
    upgrade.RESULT: "The result: metrics with raw values, configuration, data, machine, software, cost, provenance.",
    "report.html": "The result as a page for people, with curves and figures.",
    "cm-output.json": "The metrics as one flat mapping, for `cm run experiment`.",
    checksums.SUMS: "SHA-256 of every other file of the folder.",
}
MAKERS, LICENCE = "The ie-repr contributors", "Apache-2.0"  # as CITATION.cff says (a test asserts it)
ARCHIVE = "https://archive.softwareheritage.org"  # resolves the identifier of every commit that it knows
Entity = dict[str, Any]


def write(folder: Path, *, sums_follow: bool = False) -> Path:
    """Write the crate of a results folder (by rename); returns its path. The same folder gives the same bytes.

    It names the files that are here; with ``sums_follow``, SHA256SUMS too, which is written next. Raises ValueError if
    result.json is not valid.
    """
    strict.write_json(folder / CRATE, crate(*_folder(folder, sums_follow)))
    return folder / CRATE


def _folder(folder: Path, sums_follow: bool) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """The result, and its files that are here: with size and hash, but for SHA256SUMS, which covers this crate too."""
    result = upgrade.read(folder)
    found: list[Mapping[str, Any]] = []
    for name in WHAT:
        if name != checksums.SUMS and (folder / name).is_file():
            digest, size = checksums.sha256_file(folder / name, within=folder)
            found.append({"path": name, "sha256": digest, "bytes": size})
    if sums_follow or (folder / checksums.SUMS).is_file():
        found.append({"path": checksums.SUMS})
    return result, [*found, *(file for file in result["files"] if (folder / file["path"]).is_file())]


def crate(result: Mapping[str, Any], here: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON-LD document of a valid result and of the files ``here``: path, and sha256 and bytes where known."""
    files = [_file(file) for file in here]
    metrics = [_metric(name, metric) for name, metric in result["metrics"].items()]
    data = [_dataset(dataset) for dataset in result["datasets"]]
    software = [_package(package["name"], package["version"]) for package in result["software"]]
    program = _program(result, software)
    action = _action(result, program, files, metrics, data)
    paper = {"@id": result["paper"]["url"], "@type": "ScholarlyArticle", "name": result["paper"]["title"]}
    names = result["paper"]["identifiers"]
    paper |= {"identifier": names[0] if len(names) == 1 else names} if names else {}
    licence = {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "No licence is stated",
        "description": "Whoever made this run has not said under which terms it may be used.",
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": _name(result),
        "description": f"Result of a challenge on the paper: {result['paper']['title']}",
        "datePublished": result["created"].replace("Z", "+00:00"),
        "license": _to(licence),
        "conformsTo": {"@id": PROFILE},
        "identifier": f"sha256:{result['id']}",
        "hasPart": _links(files),
        "mentions": _links([action, *metrics]),
        "citation": _to(paper),
    }
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": ROCRATE},
    }
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    entities = [descriptor, root, profile, licence, paper, action, program]
    maker: Entity = {"@id": "#makers", "@type": "Organization", "name": MAKERS}
    maker |= {"url": program["url"]} if "url" in program else {}
    if result["submitter"]["name"]:
        maker = {"@id": "#submitter", "@type": "Organization", "name": result["submitter"]["name"]}
        action["agent"] = _to(maker)
    entities.append(maker)
    root["author"] = root["publisher"] = _to(maker)
    return {"@context": CONTEXT, "@graph": [*entities, *data, *metrics, *files, *software]}


def _name(result: Mapping[str, Any]) -> str:
    task = result["task"]
    return f"{result['challenge']['id']}: {task['dataset']}, {task['supervision']}, {task['labels']} labels"


def _to(entity: Mapping[str, Any]) -> Entity:
    return {"@id": entity["@id"]}


def _links(entities: Iterable[Mapping[str, Any]]) -> Entity | list[Entity]:
    """References to entities; to one alone without a list, as RO-Crate 1.1 wants it."""
    found = [_to(entity) for entity in entities]
    return found[0] if len(found) == 1 else found


def _package(name: str, version: str) -> Entity:
    """A package that the program ran on, by its page; this project's own with what CITATION.cff says of it."""
    page = f"https://pypi.org/project/{quote(name)}/{quote(version)}/"
    package = {"@id": page, "@type": "SoftwareApplication", "name": name, "softwareVersion": version, "url": page}
    package["identifier"] = f"pkg:pypi/{name}@{version}"
    if name == "ie-repr":
        package |= {"creator": MAKERS, "license": f"https://spdx.org/licenses/{LICENCE}"}
    return package


def _program(result: Mapping[str, Any], software: list[Entity]) -> Entity:
    """The instrument: the recipe at its commit, with the packages it ran on."""
    source = result["provenance"]
    commit = source["commit"] or "unknown"
    # A program with changes that were not committed is not the program of that commit.
    version = commit + (" with changes" if source["dirty"] else "")
    whole = len(commit) == 40 and not source["dirty"]
    # The identifier that Software Heritage gives every git commit (SWHID), wherever that lies.
    known = f"swh:1:rev:{commit}"
    program: Entity = {
        "@id": f"{ARCHIVE}/{known}" if whole else "#program",
        "@type": "SoftwareApplication",
        "name": source["cm"]["script"] or result["challenge"]["id"],
        "description": f"The recipe that was run, of the repository {source['cm']['repo'] or 'unknown'}.",
        "softwareVersion": version,
        "softwareRequirements": _links(software),
    }
    program |= {"identifier": known, "url": f"{ARCHIVE}/{known}"} if whole else {}
    if source["repository"]:
        program["url"] = source["repository"]
    return program


def _action(
    result: Mapping[str, Any], program: Entity, files: list[Entity], metrics: list[Entity], data: list[Entity]
) -> Entity:
    """What the command did. Runs that failed are told in the description: the command as a whole gave a result."""
    completed = sum(run["status"] == "completed" for run in result["runs"])
    given = [file for file in files if file["name"] == "config.json"]
    results = [file for file in files if file["name"] not in ("config.json", checksums.SUMS)]
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Reproduction of {_name(result)}",
        "description": f"{result['provenance']['command']} ({completed} of {len(result['runs'])} runs completed)",
        "instrument": _to(program),
        "object": _links([*data, *given]),
        "result": _links([*results, *metrics]),
        "endTime": result["created"].replace("Z", "+00:00"),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


def _metric(name: str, metric: Mapping[str, Any]) -> Entity:
    runs = "one run" if metric["n"] == 1 else f"{metric['n']} runs, 95 % interval ± {metric['ci95']:.4g}"
    return {
        "@id": f"#metric-{name}",
        "@type": "PropertyValue",
        "name": name,
        "value": metric["value"],
        "unitText": metric["unit"],
        "description": f"Mean over {runs}; better: {metric['direction']}.",
    }


def _dataset(dataset: Mapping[str, Any]) -> Entity:
    """The data that was read. It is no part of the folder, so it is told by the hashes of its files."""
    hashes = [f"{file['name']} sha256:{file['sha256']}" for file in dataset["files"]]
    return {
        "@id": f"#data-{dataset['name']}",
        "@type": "CreativeWork",
        "name": dataset["name"],
        "description": f"The data set that was read: {'; '.join(hashes) or 'generated'}",
    }


def _file(file: Mapping[str, Any]) -> Entity:
    path = file["path"]
    name = path.rpartition("/")[2]
    kind = FORMATS.get(name) or FORMATS.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
    entity = {"@id": quote(path), "@type": "File", "name": name, "encodingFormat": kind or "application/octet-stream"}
    if "sha256" in file:
        entity |= {"contentSize": str(file["bytes"]), "sha256": file["sha256"]}
    return entity | ({"description": WHAT[path]} if path in WHAT else {})

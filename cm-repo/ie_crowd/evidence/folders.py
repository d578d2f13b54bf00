"""Takes in the evidence that lies in folders of results, for whichever results of the store rest on it.

Files are known by their hash: the folder may hold the result under another name, or one of its runs, or several
results; a result whose document alone was taken in gets its weights from wherever they lie.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Engine, select

from ie_crowd.evidence import files as evidence_files
from ie_crowd.evidence import queue, taken
from ie_crowd.evidence.files import Files
from ie_crowd.formats import strict
from ie_crowd.store import database, ingest, tables

FILE = re.compile(r"runs/[0-9]{1,6}/((model|predictions)\.safetensors|metrics\.jsonl)|" + taken.PICTURE.pattern)
TOGETHER = 500


def take(engine: Engine, files: Files, root: Path, say: Callable[[str], None] = lambda line: None) -> int:
    """Take in what lies below ``root`` and a result of the store lists; returns how many files are new.

    Only results that nobody has verified yet are looked at. What is not what its folder lists is said and left.
    """
    home = root.resolve()
    here = {sha256: (folder, path) for folder, path, sha256 in _listed(home, say)}
    count = 0
    for result_id in _resting_on(engine, list(here)):
        try:
            for path, one in evidence_files.asked(queue.document(engine, result_id)).items():
                if one.sha256 in here:
                    folder, where = here[one.sha256]
                    strict.refuse_links(folder / where, home)
                    pieces = evidence_files.read(folder / where)
                    count += evidence_files.add(engine, files, result_id, path, pieces, "operator")
        except (ValueError, OSError) as error:
            say(f"{result_id[:12]}: its evidence is not taken in: {error}")
    return count


def _listed(home: Path, say: Callable[[str], None]) -> Iterator[tuple[Path, str, str]]:
    """(folder, path, hash) of the files that are evidence or for a page, and that folders of results list and hold."""
    for found in ingest.scan(home, ingest.Report()):
        folder = (home / found.path).parent
        if not (folder / "runs").is_dir():
            continue
        try:
            document = strict.read_json(folder / "result.json", strict.UPLOAD, within=home)
        except (ValueError, OSError) as error:
            say(f"{strict.name_of(folder)}: its evidence is not taken in: {error}")
            continue
        listed = document.get("files") if isinstance(document, dict) else None
        for one in listed if isinstance(listed, list) else []:
            path, sha256 = (one.get(key) if isinstance(one, dict) else None for key in ("path", "sha256"))
            if not isinstance(path, str) or not isinstance(sha256, str) or FILE.fullmatch(path) is None:
                continue
            if (folder / path).is_file():
                yield folder, path, sha256


def _resting_on(engine: Engine, hashes: list[str]) -> list[str]:
    """Ids of results that nobody has verified yet and that have weights of such hashes, oldest first."""
    result, run = tables.result.c, tables.run.c
    looked_at = select(tables.verification.c.result_pk)
    wanted = select(result.pk, result.id).join(tables.run, run.result_pk == result.pk)
    wanted = wanted.where(result.state != tables.WITHDRAWN, result.pk.not_in(looked_at)).distinct()
    found: dict[int, str] = {}
    with database.reading(engine) as connection:
        for start in range(0, len(hashes), TOGETHER):
            some = wanted.where(run.model_sha256.in_(hashes[start : start + TOGETHER]))
            found |= {row.pk: row.id for row in connection.execute(some)}
    return [found[key] for key in sorted(found)]

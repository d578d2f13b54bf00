"""Style sheet and pictures, read once; their addresses hold a hash of the content, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.formats import strict

FOLDER = Path(__file__).parents[1] / "assets"
TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json"}
LARGEST = 4 * 2**20
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Asset(NamedTuple):
    """One file: its name with the hash, its bytes, what they are."""

    name: str
    content: bytes
    media_type: str


def load(files: Mapping[str, Path]) -> dict[str, Asset]:
    """The assets by their plain names. Raises ValueError for a file that cannot be one."""
    found = {}
    for plain, path in files.items():
        suffix = Path(plain).suffix
        if suffix not in TYPES:
            raise ValueError(f"{strict.name_of(path)}: no picture or style sheet; expected {', '.join(TYPES)}")
        content = strict.read_bytes(path, LARGEST)
        digest = hashlib.sha256(content).hexdigest()[:12]
        found[plain] = Asset(f"{Path(plain).stem}.{digest}{suffix}", content, TYPES[suffix])
    return found


def own() -> dict[str, Path]:
    """The files that belong to the site itself, by plain name."""
    return {path.name: path for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}


async def asset(request: Request) -> Response:
    """One file, by its name with the hash; no other name leads anywhere."""
    found: Asset | None = request.app.state.by_address.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "There is no such file.")
    return Response(found.content, media_type=found.media_type, headers=FOR_EVER)


async def favicon(request: Request) -> Response:
    """Browsers ask for this one by themselves."""
    found = request.app.state.assets["icon.svg"]
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": "public, max-age=86400"})


routes = [Route("/assets/{name}", asset), Route("/favicon.ico", favicon)]

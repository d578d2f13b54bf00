"""The site as files: the same pages, found by following their links, published by one rename."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sqlalchemy import Engine

from ie_crowd.formats import strict
from ie_crowd.site import asgi_client
from ie_crowd.site.app import create_app
from ie_crowd.site.rendering import links
from ie_crowd.site.rendering.context import NAVIGATION
from ie_crowd.site.settings import Settings

MARK = ".ie-crowd-site"  # in a folder that an earlier export made, which the next one may replace
MADE = "Made by python -m ie_crowd site. The next one replaces all of this folder.\n"


class Written(NamedTuple):
    """How many files, how large, and the addresses that gave no page (status, path)."""

    files: int
    size: int
    failed: list[tuple[int, str]]


def export(
    engine: Engine, out: Path, settings: Settings, progress: Callable[[int, int], None] = lambda done, total: None
) -> Written:
    """Write every page of the site of that store to the folder ``out``, which appears whole or not at all.

    Raises ValueError for an ``out`` that holds something else, or that cannot be written.
    """
    _may_replace(out)
    app = create_app(dataclasses.replace(settings, static=True), engine)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise ValueError(f"--out: {strict.name_of(out)} cannot be made ({error.strerror})") from None
    try:
        written = asyncio.run(_crawl(app, scratch, progress))
        (scratch / MARK).write_text(MADE, encoding="utf-8")
        scratch.chmod(0o755)
        _put(scratch, out)
    except OSError as error:
        raise ValueError(f"--out: {strict.name_of(out)} cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return written


def _may_replace(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ValueError(f"--out: {strict.name_of(out)} is not a folder; expected a new or an empty one")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise ValueError(f"--out: {strict.name_of(out)} holds other files; expected a new folder, or an earlier site")


def _put(scratch: Path, out: Path) -> None:
    """Put the new folder in the place of the old one, which is there until then."""
    if not out.exists():
        os.replace(scratch, out)
        return
    old = scratch.with_name(f"{scratch.name}-old")
    os.replace(out, old)
    os.replace(scratch, out)
    shutil.rmtree(old, ignore_errors=True)


async def _crawl(app: Any, folder: Path, progress: Callable[[int, int], None]) -> Written:
    """Every page that a page leads to, from those of the navigation on."""
    waiting: deque[tuple[str, dict[str, str]]] = deque()
    seen: set[str] = set()

    def ask(path: str, query: dict[str, str]) -> None:
        name = links.file_of(path, query)
        if name not in seen:
            seen.add(name)
            waiting.append((path, query))

    app.state.asked = ask
    for _, path in NAVIGATION:
        ask(path, {})
    ask("/server.html", {})
    size, files, failed = 0, 0, []
    while waiting:
        path, query = waiting.popleft()
        status, body = await asgi_client.get(app, path, query)
        name = links.file_of(path, query)
        if status != 200:
            failed.append((status, path))
            continue
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        files, size = files + 1, size + len(body)
        progress(files, files + len(waiting))
    return Written(files, size, failed)

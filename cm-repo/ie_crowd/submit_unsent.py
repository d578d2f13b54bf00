"""Results that could not be sent yet: one file each in the user's data folder, to be sent later as it is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ie_crowd import canonical, document, places, reader
from ie_crowd.submit_publication import LARGEST
from ie_crowd.submit_server import envelope

LIMITS = document.Limits(size=2 * LARGEST, depth=document.RESULT.depth + 1)


def keep(server: str, result: dict[str, Any]) -> Path:
    """Write the result and where it was to go; returns the file. It holds no token, and only its owner reads it."""
    folder = places.data() / "unsent"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ValueError(f"{document.name_of(folder)}: cannot be made ({reason})") from None
    path = folder / f"{result['id']}.json"
    document.write_text(path, envelope(server, result))
    return path


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """The server and the result of such a file. Raises ValueError for any other file, and one that was changed."""
    found = document.read_json(path, LIMITS)
    if not isinstance(found, dict) or set(found) != {"format", "server", "result"} or found["format"] != 1:
        raise ValueError(f"{document.name_of(path)}: is no file that submit left; expected format, server and result")
    if not isinstance(found["server"], str):
        raise ValueError(f"{document.name_of(path)}: its server is no address")
    result = reader.accept(found["result"], document.name_of(path))
    if canonical.identity(result) != result["id"]:
        raise ValueError(f"{document.name_of(path)}: the result was changed; its id is not the hash of its content")
    return found["server"], result


def forget(path: Path) -> None:
    """It was sent."""
    with contextlib.suppress(OSError):
        path.unlink()

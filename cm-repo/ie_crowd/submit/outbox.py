"""Results that could not be sent yet: one file each in the user's data folder, to be sent later as it is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ie_crowd.formats import canonical_json, strict, upgrade
from ie_crowd.store import user_data
from ie_crowd.submit.client import envelope
from ie_crowd.submit.publication import LARGEST

LIMITS = strict.Limits(size=2 * LARGEST, depth=strict.RESULT.depth + 1)


def keep(server: str, result: dict[str, Any]) -> Path:
    """Write the result and where it was to go; returns the file. It holds no token, and only its owner reads it."""
    folder = user_data.data() / "unsent"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ValueError(f"{strict.name_of(folder)}: cannot be made ({reason})") from None
    path = folder / f"{result['id']}.json"
    strict.write_text(path, envelope(server, result))
    return path


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """The server and the result of such a file. Raises ValueError for any other file, and one that was changed."""
    found = strict.read_json(path, LIMITS)
    if not isinstance(found, dict) or set(found) != {"format", "server", "result"} or found["format"] != 1:
        raise ValueError(f"{strict.name_of(path)}: is no file that submit left; expected format, server and result")
    if not isinstance(found["server"], str):
        raise ValueError(f"{strict.name_of(path)}: its server is no address")
    result = upgrade.accept(found["result"], strict.name_of(path))
    if canonical_json.identity(result) != result["id"]:
        raise ValueError(f"{strict.name_of(path)}: the result was changed; its id is not the hash of its content")
    return found["server"], result


def forget(path: Path) -> None:
    """It was sent."""
    with contextlib.suppress(OSError):
        path.unlink()

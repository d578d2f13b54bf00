"""Where this project keeps what belongs to a user and not to one results folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data() -> Path:
    """The folder of the user's data; it need not exist. Raises ValueError where there is no home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        raise ValueError("there is no home folder to keep anything in; set HOME") from None
    if sys.platform == "darwin":
        folder = home / "Library" / "Application Support"
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return folder / "ie-repr"

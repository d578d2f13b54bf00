"""`--log`: a finished run's history for TensorBoard, MLflow or W&B (offline), by `ie-model log`, beside the results.

The tools are no part of the pins that everybody gets: get-ie-deps installs what the named ones need. They are written
for at the end, from the run's own files, so they cannot change a result; what goes wrong here leaves the run as it is.
"""

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ie_recipes import own_code
from ie_recipes.run import processes

# what each needs of requirements-log.txt; mlflow-skinny keeps its runs in SQLite with the other two
PACKAGES = {
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow-skinny", "alembic", "sqlalchemy"),
    "wandb-offline": ("wandb",),
}
EXPECTED = f"one or several of {', '.join(PACKAGES)}, with commas"
DEFAULT = "ie-repr-logs"


def named(text: str) -> list[str]:
    """The tools of a list with commas; raises ValueError for any other."""
    names = text.split(",")
    for name in names:
        if name not in PACKAGES:
            raise ValueError(f"--log={text}: got {name!r}, expected {EXPECTED}, such as --log=tensorboard")
    return names


def asked(texts: Mapping[str, str], here: Path) -> dict[str, Any]:
    """Of a request's flags as texts, those of this module; the folder as an absolute path. Raises ValueError."""
    if "log" not in texts:
        if "log_dir" in texts:
            raise ValueError(f"--log_dir={texts['log_dir']}: says where --log writes to: add --log=tensorboard")
        return {}
    named(texts["log"])
    return {"log": texts["log"], "log_dir": str(here / Path(texts.get("log_dir", DEFAULT)).expanduser())}


def refuse_unwritable(folder: str | None) -> None:
    """Raise ValueError, before any work, for a folder that cannot be made or written to; nothing is left."""
    if folder is None:
        return
    there = Path(folder)
    while not there.exists() and there != there.parent:
        there = there.parent
    why = "" if there.is_dir() else f"{there} is a file"
    if not why and not os.access(there, os.W_OK | os.X_OK):
        why = f"{there} is not writable"
    if not why:
        try:  # root may write anywhere, says the system, and then a folder of /proc or of a share takes nothing
            with tempfile.TemporaryDirectory(prefix=".ie-repr-probe-", dir=there):
                pass
        except OSError as error:
            why = f"{there}: {error.strerror}"
    if why:
        raise ValueError(f"--log_dir={folder}: cannot be written to ({why}); give another folder with --log_dir=FOLDER")


def write(request: Any, folder: Path, here: Path, env: Mapping[str, str]) -> str:
    """Log what a request's results folder holds; returns nothing, or one line that says what to do again."""
    if not request.log:
        return ""
    for place, name in _results(request, folder):
        words = ["log", str(place), f"--log={request.log}", f"--log-dir={request.log_dir}", f"--name={name}"]
        if code := processes.run(own_code.command("ie_model", env, *words), cwd=here, env=env):
            again = shlex.join(["ie-model", *words])
            return f"the run is complete in {folder}, but was not logged (exit code {code}, see above): {again}"
    return ""


def _results(request: Any, folder: Path) -> Iterator[tuple[Path, str]]:
    """Each results folder and what the tools call it: two commands of one task differ by their folders' names."""
    if not request.several:
        yield folder, folder.name
        return
    for part in request.parts():
        if (folder / part / "result.json").is_file():
            yield folder / part, f"{folder.name}-{part}"

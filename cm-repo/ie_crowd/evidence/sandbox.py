"""A child without network that can write into one folder only, by bubblewrap, where the system has it and allows it.

Where it does not, the child still has its limits of time and memory and an environment without secrets, but could
write what the worker's account can: whoever runs a worker is told so.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

SECRETS = (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config/gcloud", ".netrc", ".pgpass")
BUBBLEWRAP, NONE = "bubblewrap", "no sandbox"
# Of the worker's environment, what a child gets: no token, no password, no address of a store.
KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "IE_REPR_CACHE",
    "XDG_CACHE_HOME",
    "HOME",
    "CUDA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "TMPDIR",
)


@functools.cache
def kind() -> str:
    """How children are confined here."""
    program = shutil.which("bwrap")
    if program is None:
        return NONE
    try:
        done = subprocess.run(
            [program, "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "true"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return NONE
    return BUBBLEWRAP if done.returncode == 0 else NONE


def wrapped(argv: Sequence[str], folder: Path, hidden: Sequence[Path] = ()) -> list[str]:
    """``argv`` so that it has no network and writes into ``folder`` only; it cannot read ``hidden`` files, nor keys."""
    program = shutil.which("bwrap")
    if kind() == NONE or program is None:
        return list(argv)
    confined = [program, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/dev/shm"]  # noqa: S108
    for device in sorted(Path("/dev").glob("nvidia*")):
        confined += ["--dev-bind-try", str(device), str(device)]
    for path in (*hidden, *_secrets()):
        if path.is_dir():
            confined += ["--tmpfs", str(path)]
        elif path.is_file():
            confined += ["--ro-bind", os.devnull, str(path)]
    confined += ["--bind", str(folder), str(folder), "--chdir", str(folder)]
    return [*confined, "--unshare-all", "--die-with-parent", "--new-session", "--", *argv]


def _secrets() -> list[Path]:
    """Where people keep keys and passwords: what a child has no business to read."""
    named = [os.environ[name] for name in ("PGPASSFILE", "NETRC") if os.environ.get(name)]
    try:
        home = Path.home()
    except RuntimeError:
        return [Path(name) for name in named]
    return [*(Path(name) for name in named), *(home / name for name in SECRETS)]


def environment(folder: Path) -> dict[str, str]:
    """What a child's environment is."""
    found = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**found, "TMPDIR": str(folder), "PYTHONSAFEPATH": "1"}

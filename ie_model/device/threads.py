"""Remove OpenMP settings under which torch hangs, before torch is loaded.

torch asks for a team of threads and then waits for as many as it asked for. Where OpenMP gives it fewer, the backward
pass of small convolutions never ends. Three variables make it give fewer; images for OCR and batch systems set the
first. They are read once, when torch is loaded. One thread needs no team and works under all of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, MutableMapping

THREAD_LIMIT, DYNAMIC, LEVELS = "OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS"


def hindering(threads: int, environ: MutableMapping[str, str] | None = None) -> list[str]:
    """The variables that keep a team of so many threads from being whole, as NAME=VALUE."""
    environ = os.environ if environ is None else environ
    if threads < 2:
        return []
    limit, dynamic, levels = (environ.get(name, "").strip() for name in (THREAD_LIMIT, DYNAMIC, LEVELS))
    found = [f"{THREAD_LIMIT}={limit}"] if limit.isdigit() and int(limit) < threads else []
    found += [f"{DYNAMIC}={dynamic}"] if dynamic.lower() == "true" else []
    return found + ([f"{LEVELS}={levels}"] if levels.isdigit() and int(levels) == 0 else [])


def make_room(threads: int, say: Callable[[str], None] | None = None) -> None:
    """Takes such variables from this process and its children, and says so. ValueError where torch is loaded already.

    The number of threads is a setting of the run and part of its result: it is not lowered in silence.
    """
    found = hindering(threads)
    if not found:
        return
    refuse_hindered(threads)
    for setting in found:
        del os.environ[setting.partition("=")[0]]
    line = (
        f"ie_model: {', '.join(found)} is not heeded: {threads} threads would wait for ever (--threads=1 keeps to it)"
    )
    if say is None:
        print(line, file=sys.stderr, flush=True)
    else:
        say(line)


def refuse_hindered(threads: int) -> None:
    """Raises ValueError where torch has been loaded under such a variable: it is too late to take it away."""
    if (found := hindering(threads)) and "torch" in sys.modules:
        raise ValueError(
            f"threads: got {threads}, and under {', '.join(found)} torch waits for ever: unset it, or use threads=1"
        )

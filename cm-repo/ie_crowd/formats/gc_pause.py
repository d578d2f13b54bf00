"""Run the garbage collector rarely during bulk loads, whose documents hold no cycles, or stay."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

RARELY = (100_000, 50, 100)


@contextlib.contextmanager
def rare() -> Iterator[None]:
    """Within it the collector runs rarely: documents hold no cycles, and looking for them takes its time."""
    before = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)

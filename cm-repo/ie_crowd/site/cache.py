"""What pages compute from the store, kept until its results change: ranks, facets, totals."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Engine

from ie_crowd.store import audit

PATIENCE = 20
MOST = 256  # values; the least recently used goes first
T = TypeVar("T")


class Cached:
    """Values by name. Two threads that ask for the same missing one compute it once."""

    def __init__(self, engine: Engine, most: int = MOST) -> None:
        self.engine = engine
        self.most = most
        self._values: OrderedDict[Hashable, tuple[int, Any, float]] = OrderedDict()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, name: Hashable, make: Callable[[], T], revision: int | None = None, *, patient: bool = False) -> T:
        """The value of ``name`` for the results as they are now; ``revision`` where the caller has just asked for it.

        ``patient``: a value that took long to make is shown for PATIENCE times as long, even where results changed.
        """
        now = audit.results_revision(self.engine) if revision is None else revision
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            with self._guard:
                kept = self._values.get(name)
                if kept is not None and (kept[0] >= now or (patient and time.monotonic() < kept[2])):
                    self._values.move_to_end(name)
                    return kept[1]
            began = time.monotonic()
            value = make()
            ended = time.monotonic()
            with self._guard:
                self._values[name] = (now, value, ended + PATIENCE * (ended - began))
                self._values.move_to_end(name)
                while len(self._values) > self.most:
                    gone, _ = self._values.popitem(last=False)
                    self._locks.pop(gone, None)
            return value

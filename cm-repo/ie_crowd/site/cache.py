"""Cache of what pages compute from the store (ranks, facets, totals), kept until its results change."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ie_crowd.store import audit

PATIENCE, SLOW = 20, 0.05  # times as long as it took to make; seconds from which on a value is slow to make
REST = 3  # times as long as a renewal took, in which no other begins: they take a quarter of a processor at most
MOST = 1024  # values; the least recently used goes first
T = TypeVar("T")


class Kept(NamedTuple):
    """A value, of which revision it is, the seconds that it took, and until when it is good enough for the patient."""

    revision: int
    value: Any
    seconds: float
    until: float


class Cached:
    """Values by name. Two threads that ask for the same missing one compute it once."""

    def __init__(self, engine: Engine, most: int = MOST) -> None:
        self.engine = engine
        self.most = most
        self._values: OrderedDict[Hashable, Kept] = OrderedDict()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._guard = threading.Lock()
        self._renewing = threading.Lock()  # held while one value is made anew for the patient
        self._rests = 0.0  # until when no other is
        self._waiting: OrderedDict[Hashable, Callable[[], Any]] = OrderedDict()  # to be made by the one thread of later
        self._making = self._ended = False

    def get(self, name: Hashable, make: Callable[[], T], revision: int | None = None, *, patient: bool = False) -> T:
        """The value of ``name`` for the results as they are now; ``revision`` where the caller has just asked for it.

        ``patient``: where a value took long to make and results have changed, the old one is shown for PATIENCE times
        as long, and then until a thread has made the new one: nobody waits for it. One is made at a time, and then
        there is a rest, so that readers of other pages keep most of the processor while results are taken in.
        """
        now = audit.results_revision(self.engine) if revision is None else revision
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
            kept = self._values.get(name)
        if patient and kept is not None and kept.seconds > SLOW and kept.revision < now:
            if time.monotonic() > max(kept.until, self._rests) and self._renewing.acquire(blocking=False):
                threading.Thread(target=self._renew, args=(name, make, now, lock), daemon=True).start()
            return kept.value
        with lock:
            with self._guard:
                kept = self._values.get(name)
                if kept is not None and kept.revision >= now:
                    self._values.move_to_end(name)
                    return kept.value
            return self._made(name, make, now)

    def kept(self, name: Hashable) -> Any:
        """The value of ``name`` of whatever revision it is; None where there is none yet."""
        with self._guard:
            found = self._values.get(name)
        return None if found is None else found.value

    def later(self, name: Hashable, make: Callable[[], Any]) -> None:
        """Make a value in the background: one after the other, with rests as long, so that pages have the processor."""
        with self._guard:
            self._waiting.setdefault(name, make)
            if self._making or self._ended:
                return
            self._making = True
        threading.Thread(target=self._make_waiting, daemon=True).start()

    def end(self) -> None:
        """Begin nothing more in the background."""
        with self._guard:
            self._ended = True
            self._waiting.clear()

    def _make_waiting(self) -> None:
        try:
            while (waiting := self._next()) is not None:
                began = time.monotonic()
                with contextlib.suppress(SQLAlchemyError):  # whoever asks for it next is told
                    self.get(*waiting)
                time.sleep(time.monotonic() - began)
        except BaseException:
            self._making = False
            raise

    def _next(self) -> tuple[Hashable, Callable[[], Any]] | None:
        with self._guard:
            if self._waiting:
                return self._waiting.popitem(last=False)
            self._making = False
            return None

    def _renew(self, name: Hashable, make: Callable[[], Any], now: int, lock: threading.Lock) -> None:
        with lock_released(self._renewing), contextlib.suppress(SQLAlchemyError), lock:
            began = time.monotonic()
            try:
                self._made(name, make, now)
            finally:
                self._rests = time.monotonic() + REST * (time.monotonic() - began)

    def _made(self, name: Hashable, make: Callable[[], T], now: int) -> T:
        began = time.monotonic()
        value = make()
        ended = time.monotonic()
        with self._guard:
            self._values[name] = Kept(now, value, ended - began, ended + PATIENCE * (ended - began))
            self._values.move_to_end(name)
            while len(self._values) > self.most:
                gone, _ = self._values.popitem(last=False)
                self._locks.pop(gone, None)
        return value


@contextlib.contextmanager
def lock_released(lock: threading.Lock) -> Iterator[None]:
    """Give a lock back that somebody else took, however this ends."""
    try:
        yield
    finally:
        lock.release()

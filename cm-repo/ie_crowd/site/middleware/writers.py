"""Run changes of the store in a few threads of their own, so that no reader waits behind a writer.

A writer may have to wait for the store's write lock. The wait is short (``BUSY_SECONDS``), and who finds many waiting
is told at once to come again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

THREADS = 2
BUSY_SECONDS = 5  # for the write lock
MOST_WAITING = 16  # for a thread
T = TypeVar("T")


class Busy(Exception):
    """Too many changes wait already."""


def limiter() -> anyio.CapacityLimiter:
    """The places of an application's writers: ``app.state.writers``."""
    return anyio.CapacityLimiter(THREADS)


async def write(request: Request, change: Callable[..., T], *values: Any) -> T:
    """What ``change`` returns, run in a thread for changes. Raises Busy where too many wait for one."""
    places: anyio.CapacityLimiter = request.app.state.writers
    if places.statistics().tasks_waiting >= MOST_WAITING:
        raise Busy("many changes are waiting already")
    return await anyio.to_thread.run_sync(functools.partial(change, *values), limiter=places)

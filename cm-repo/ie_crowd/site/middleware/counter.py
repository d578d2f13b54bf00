"""Rate limit in memory: count each client's requests in a window of time, for all processes of a site together.

The table is an anonymous shared mapping, so processes that are forked after it was made count together, and it goes
with the last of them. Nothing is locked: a process that dies can hold nothing, and of two requests of one client that
are counted in the same microsecond by two processes one may be missed.
"""

from __future__ import annotations

import mmap
import secrets
import struct
import time
from hashlib import blake2b

MINUTE = 60
SLOTS = 2**16  # clients in one window; of more, some share the place of who did least
LOOKED_AT = 8  # slots for one client
_ENTRY = struct.Struct("=QII")  # whose (a keyed hash), which window, how many


class Counter:
    """``most`` requests of one client in ``seconds``."""

    def __init__(self, most: int, seconds: int = MINUTE) -> None:
        self.most, self.seconds = most, seconds
        self._key = secrets.token_bytes(16)
        self._table = mmap.mmap(-1, SLOTS * _ENTRY.size)

    def wait(self, who: str) -> int:
        """Count one request; 0, or the seconds to wait."""
        now = int(time.time())
        window = now // self.seconds & 0xFFFFFFFF
        hashed = blake2b(who.encode("utf-8", "replace"), key=self._key, digest_size=8).digest()
        whose = int.from_bytes(hashed, "little")
        place, count = self._place(whose, window)
        count = min(count + 1, 0xFFFFFFFF)
        _ENTRY.pack_into(self._table, place, whose, window, count)
        return 0 if count <= self.most else self.seconds - now % self.seconds

    def _place(self, whose: int, window: int) -> tuple[int, int]:
        """Where the count of a client lies, and what it is: its own slot, a free one, or that of who did least."""
        best, least = 0, 2**32
        for step in range(LOOKED_AT):
            place = (whose + step) % SLOTS * _ENTRY.size
            owner, when, count = _ENTRY.unpack_from(self._table, place)
            if when == window and owner == whose:
                return place, count
            count = count if when == window else -1
            if count < least:
                best, least = place, count
        return best, 0

"""Connections of the HTTP server: TCP_NODELAY, header, idle and stall timeouts, a limit for each address.

A connection ends when the head of a request does not come in time, when nothing is asked for a while, and when an
answer is not taken. Where all places are in use, the newcomer gets that of the connection that has been idle for
longest, of the address that has most: silence cannot keep others out. Only where every connection is being answered is
one refused.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10  # from connecting, or from the first byte of a further request, to the end of its head
IDLE_SECONDS = 20  # between two requests
STALL_SECONDS = 20  # in which the client takes nothing of an answer
MOST, MOST_OF_ONE = 200, 100  # connections in all, and of one address
LARGEST_HEAD = 16 * 1024  # bytes
REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\n"
    b"Retry-After: 5\r\nConnection: close\r\n\r\nall connections are in use; try again in a moment  \r\n"
)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, or a ValueError of one line that says why not.

    Its protocol is named: asyncio sends small answers at once (TCP_NODELAY) only on sockets that are known to be TCP;
    on others every answer that follows a request on the same connection waits 40 ms for an acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(256)  # who comes before the server is ready waits
    except OSError as error:
        listening.close()
        reason = (error.strerror or "unknown reason").lower()
        raise ValueError(f"--port={port}: cannot listen on {host} ({reason}); choose another with --port") from None
    return listening


def config(app: Any, *, proxies: tuple[str, ...] = ()) -> Config:
    """How uvicorn serves the application. ``proxies``: addresses whose word about who asks is taken."""
    return Config(
        app,
        http=Connection,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )


class Connection(H11Protocol):
    """One connection, with its deadlines."""

    since = 0.0  # the loop's time of the last thing that happened
    head: asyncio.TimerHandle | None = None
    stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or somebody's who does nothing with it."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self.head = self.loop.call_later(HEAD_SECONDS, self.end)
        if not self._has_room():
            transport.write(REFUSED)
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop("head")
        self._stop("stall")
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Some of a request: its head has to come to an end in time."""
        self.since = self.loop.time()
        if self.idle and self.head is None:
            self.head = self.loop.call_later(HEAD_SECONDS, self.end)
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self.idle:
            self._stop("head")

    def on_response_complete(self) -> None:
        """Between two requests again."""
        self.since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client takes less than there is: for how long is counted."""
        self._stop("stall")
        self.stall = self.loop.call_later(STALL_SECONDS, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It takes again."""
        self._stop("stall")
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for a while."""
        super().timeout_keep_alive_handler()
        self.end()

    @property
    def idle(self) -> bool:
        """Whether nothing is being answered here."""
        return self.cycle is None or self.cycle.response_complete

    def end(self) -> None:
        """Close it, after what waits to be sent, for which there is a deadline too."""
        self._stop("head")
        self.transport.close()
        self._stop("stall")
        self.stall = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def _stop(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def _has_room(self) -> bool:
        """Whether there is a place for this connection, after another one was ended where that helps."""
        there: list[Any] = list(self.connections)
        address = self.client[0] if self.client else ""
        proxies = self.config.forwarded_allow_ips if self.config.proxy_headers else []
        if address not in (proxies or []):
            mine = [one for one in there if one.client and one.client[0] == address]
            if len(mine) > MOST_OF_ONE and not self._replace(mine):
                return False
        return len(self.connections) <= MOST or self._replace(there)

    def _replace(self, there: list[Any]) -> bool:
        """End the one of these that is idle for longest, of the address that has most."""
        idle = [one for one in there if one is not self and one.idle]
        if not idle:
            return False
        counts = Counter(one.client[0] if one.client else "" for one in idle)
        gone = min(idle, key=lambda one: (-counts[one.client[0] if one.client else ""], one.since))
        self.connections.discard(gone)
        gone.transport.abort()
        return True

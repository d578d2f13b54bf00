"""Ask the ASGI application without a socket: for the static copy, and for benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message


async def get(app: ASGIApp, path: str, query: Mapping[str, str], client: str = "127.0.0.1") -> tuple[int, bytes]:
    """What the application answers, without a server; ``client`` is who it thinks asks."""
    parts: list[bytes] = []
    status = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": [(b"host", b"localhost")],
        "client": (client, 0),
        "server": ("localhost", 80),
    }
    await app(scope, receive, send)
    return status, b"".join(parts)

"""How one site is run. Everything has a default that suits a site on one's own machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Settings:
    """``store``: a file or URL (None: the user's default). ``challenges``: folders with a rules.yaml; the pages are
    about the first, and uploads may be of any; empty: the one that comes along.

    ``folders``: where results were taken in from, on this machine: for their curves and pictures.

    ``hosts``: names that a request may ask for. ``base_url``: the public address, such as https://example.org/crowd,
    where the site lies behind another server; its path is in front of every link. ``secure_cookies``: cookies are sent
    over TLS only. ``static``: the pages are made for files; what needs a server says so.
    """

    store: str | Path | None = None
    challenges: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    base_url: str = ""
    contact: str = ""  # how to reach the operator, in words: shown where content is reported
    secure_cookies: bool = False
    static: bool = False
    page_size: int = 50
    most_points: int = 500  # of a chart
    threads: int = 4  # that answer at once: each holds a connection with its own cache
    trusted_proxies: tuple[str, ...] = field(default=("127.0.0.1",))

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if self.base_url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query):
            raise ValueError(f"--base-url={self.base_url!r:.200}: expected an address like https://example.org/crowd")

    @property
    def base_path(self) -> str:
        """The path in front of every link, without a slash at its end: "" or "/crowd"."""
        return urlsplit(self.base_url).path.rstrip("/")

"""Where a link leads: on a server to a path with a query, in the static copy to a file, by a relative path."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

SAFE = re.compile(r"[A-Za-z0-9_-]{1,48}")
Link = Callable[..., str]


def live(base_path: str) -> Link:
    """``link("/results", page=2)`` on a server; values that are None or "" are left out."""

    def link(path: str, /, **query: Any) -> str:
        kept = {key: value for key, value in query.items() if value not in (None, "")}
        return f"{base_path}{path}" + (f"?{urlencode(kept)}" if kept else "")

    return link


def file_of(path: str, query: Mapping[str, Any] | None = None) -> str:
    """The file of a page in the static copy: results/index.html, results/dataset-mnist.page-2.html."""
    kept = {key: str(value) for key, value in sorted((query or {}).items()) if value not in (None, "")}
    plain = path.strip("/")
    last = plain.rpartition("/")[2]
    if "." in last and not kept:
        return plain  # a file already: /feed.atom, /results/ID/result.json, /assets/…
    name = ".".join(f"{key}-{_word(value)}" for key, value in kept.items()) or "index"
    return posixpath.join(plain, f"{name}.html")


def _word(value: str) -> str:
    return value if SAFE.fullmatch(value) else hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16]


def static(here: str, asked: Callable[[str, dict[str, str]], None] = lambda path, query: None) -> Link:
    """Links of the page that lies in the file ``here``; ``asked`` is told where each leads."""
    folder = posixpath.dirname(here)

    def link(path: str, /, **query: Any) -> str:
        kept = {key: str(value) for key, value in query.items() if value not in (None, "")}
        asked(path, kept)
        return posixpath.relpath(file_of(path, kept), folder or ".")

    return link

"""Where a link leads: on a server to a path with a query, in the static copy to a file, by a relative path."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

SAFE = re.compile(r"[A-Za-z0-9_-]{1,48}")
Link = Callable[..., str]


def live(base_path: str) -> Link:
    """``link("/results", page=2)`` on a server; values that are None or "" are left out."""

    def link(path: str, /, **query: Any) -> str:
        kept = {key: value for key, value in query.items() if value not in (None, "")}
        return f"{base_path}{path}" + (f"?{urlencode(kept)}" if kept else "")

    return link


def file_of(path: str, query: Mapping[str, Any] | None = None) -> str:
    """The file of a page in the static copy: results/index.html, results/dataset-digits.page-2.html."""
    kept = {key: str(value) for key, value in sorted((query or {}).items()) if value not in (None, "")}
    plain = path.strip("/")
    last = plain.rpartition("/")[2]
    if "." in last and not kept:
        return plain  # a file already: /feed.atom, /results/ID/result.json, /assets/…
    if "." in last:
        stem, _, form = plain.rpartition(".")
        return ".".join([stem, *(f"{key}-{_word(value)}" for key, value in kept.items()), form])
    name = ".".join(f"{key}-{_word(value)}" for key, value in kept.items()) or "index"
    return posixpath.join(plain, f"{name}.html")


def _word(value: str) -> str:
    return value if SAFE.fullmatch(value) else hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16]


def made(path: str, query: Mapping[str, str]) -> dict[str, str] | None:
    """The query of the page that the static copy has for a link: without what is not made ahead, None for no page."""
    if path in ("/login", "/logout", "/account", "/moderation"):
        return None
    if path in QUERIES:
        kept = {key: value for key, value in query.items() if key in QUERIES[path]}
        if path == "/compare":
            return dict(zip("ab", sorted(kept.values()), strict=True)) if len(kept) == 2 else None
        if path == "/results" and kept.get("view") == "chart" and kept.get("x", "labels") != "labels":
            return {key: value for key, value in kept.items() if key not in ("x", "y")}
        return kept
    return {} if not query else None


# The paths with a query, and what of it the static copy has pages for.
TASK = ("dataset", "supervision", "labels", "division")
QUERIES = {
    "/results": (*TASK, "page", "view", "x", "y"),
    "/ranking": (*TASK, "page", "metric"),
    "/compare": ("a", "b"),
    "/ranking/og.png": TASK,
    "/charts/og.png": ("y",),
    **dict.fromkeys((f"/charts/labels.{form}" for form in ("svg", "png", "csv")), ("dataset", "y")),
}
SERVER = "server.html"  # the page that says what needs a server


def absolute(base_url: str, link: Link, *, files: bool) -> Link:
    """Links as others need them, with the site's host in front. ``base_url``: of the site, "" where nobody said: then
    those of the copy of ``files`` stay relative."""
    parts = urlsplit(base_url)

    def whole(path: str, /, **query: Any) -> str:
        here = link(path, **query)
        if not files:
            return f"{parts.scheme}://{parts.netloc}{here}"
        kept = made(path, {key: str(value) for key, value in query.items() if value not in (None, "")})
        return f"{base_url.rstrip('/')}/{file_of(path, kept)}" if base_url else here

    return whole


def static(here: str, asked: Callable[[str, dict[str, str]], None] = lambda path, query: None) -> Link:
    """Links of the page that lies in the file ``here``; ``asked`` is told which page each leads to."""
    folder = posixpath.dirname(here)

    def link(path: str, /, **query: Any) -> str:
        kept = made(path, {key: str(value) for key, value in query.items() if value not in (None, "")})
        if kept is None:
            return posixpath.relpath(SERVER, folder or ".")
        asked(path, kept)
        return posixpath.relpath(file_of(path, kept), folder or ".")

    return link

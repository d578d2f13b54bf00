"""/feed.atom: the newest published results (RFC 4287).

An entry's id is a tag URI of the result's own id, so it stays when the site moves below another path; ``updated`` is
the moment it was published, so a reader that has it is not told again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.formats import humanize
from ie_crowd.site.rendering import links, present
from ie_crowd.store import audit, query

ENTRIES = 50
ATOM = "http://www.w3.org/2005/Atom"
SINCE = "2026"  # the year in tag URIs: that of the first entry that could be
NEVER = "2026-01-01T00:00:00Z"  # updated, of a feed without entries


def feed(request: Request) -> Response:
    """The feed; 304 where nothing was published since."""
    state = request.app.state
    tag = f'W/"{audit.revision(state.store)}"'
    if request.headers.get("if-none-match", "").strip() == tag:
        return Response(status_code=304, headers={"ETag": tag})
    rows = query.results(state.store, size=ENTRIES, metrics=list(state.content.challenge.metrics)).rows
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
    return Response(written(rows, request), media_type="application/atom+xml", headers=headers)


def written(rows: list[dict[str, Any]], request: Request) -> bytes:
    """The feed's XML."""
    settings, challenge = request.app.state.settings, request.app.state.content.challenge
    here = settings.base_url.rstrip("/") or str(request.base_url).rstrip("/")
    authority = urlsplit(here).hostname or "localhost"
    ElementTree.register_namespace("", ATOM)
    root = ElementTree.Element(f"{{{ATOM}}}feed")
    _text(root, "title", f"{challenge.paper['title']}: new results")
    _text(root, "id", f"tag:{authority},{SINCE}:{challenge.id}")
    _text(root, "updated", rows[0]["published"] if rows else NEVER)
    if settings.static:  # the addresses of files, beside this one where nobody knows the site's own

        def to(path: str) -> str:
            return f"{settings.base_url.rstrip('/')}/{links.file_of(path)}".removeprefix("/")
    else:

        def to(path: str) -> str:
            return here + path

    _link(root, "self", to("/feed.atom"), "application/atom+xml")
    _link(root, "alternate", to("/results"), "text/html")
    for row in rows:
        entry = ElementTree.SubElement(root, f"{{{ATOM}}}entry")
        _text(entry, "title", title(row))
        _text(entry, "id", f"tag:{authority},{SINCE}:{challenge.id}/result/{row['id']}")
        _text(entry, "updated", row["published"])
        _text(entry, "published", row["published"])
        _text(ElementTree.SubElement(entry, f"{{{ATOM}}}author"), "name", row["submitter"] or "not named")
        _link(entry, "alternate", to(f"/results/{row['id']}"), "text/html")
        _text(entry, "summary", summary(row, challenge))
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="utf-8") + b"\n"


def title(row: dict[str, Any]) -> str:
    """What was submitted, in a few words."""
    what = f"{row['dataset']}, {row['supervision']}, {present.labels(row['labels'])}, {row['division']} division"
    method = f", {row['method']}" if row["method"] else ""
    return f"{what}{method}, by {row['submitter'] or 'somebody who is not named'}"


def summary(row: dict[str, Any], challenge: Any) -> str:
    """Its metrics and its machine."""
    said = []
    for name, value in row["metrics"].items():
        if name in challenge.metrics:
            unit = present.in_unit(challenge.metrics[name].unit)
            said.append(f"{name} {humanize.short(value['mean'])} {unit}".strip())
    machine = row["accelerator"] or row["cpu_model"] or "a machine of which nothing is known"
    return f"{', '.join(said)}; {row['completed']} of {row['runs']} runs, on {machine}"


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{ATOM}}}{name}").text = _legal(text)


_LEGAL = ((" ", "\ud7ff"), ("\ue000", "\ufffd"), ("\U00010000", "\U0010ffff"))


def _legal(text: str) -> str:
    """Without the characters that no XML document may hold, however they are written."""
    return "".join(
        one if one in "\t\n\r" or any(low <= one <= high for low, high in _LEGAL) else "\ufffd" for one in text
    )


def _link(parent: ElementTree.Element, rel: str, href: str, kind: str) -> None:
    ElementTree.SubElement(parent, f"{{{ATOM}}}link", {"rel": rel, "href": href, "type": kind})


routes = [Route("/feed.atom", feed)]

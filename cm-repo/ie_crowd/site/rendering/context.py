"""What every template gets: navigation, links, who is logged in; and the one way to make a page of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ie_crowd.site.middleware import permissions
from ie_crowd.site.rendering import links, present, visible_text

TEMPLATES = Path(__file__).parents[1] / "templates"
# Text and address of the pages that every page leads to; the first is the site's name.
NAVIGATION = (
    ("Paper", "/"),
    ("Results", "/results"),
    ("Ranking", "/ranking"),
    ("Challenge", "/challenge"),
    ("Checklists", "/checklists"),
    ("Formats", "/formats"),
    ("Initiatives", "/initiatives"),
    ("Take part", "/take-part"),
    ("Comments", "/comments"),
)
# At the foot of every page, where their modules are there.
MORE = (("API", "/api"), ("Atom feed", "/feed.atom"), ("Formats", "/formats"))


@functools.cache
def environment() -> Environment:
    """Jinja2 with escaping on, undefined names an error, and the filters of ``present``."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=200,
    )
    found.filters.update(present.FILTERS, plain=visible_text.plain, linked=visible_text.linked)
    found.globals.update(states=present.STATES, near=present.near)
    return found


def render(
    request: Request, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """The page of a template. Beside ``values`` it gets what ``base`` says."""
    text = environment().get_template(template).render(**base(request), **values)
    return HTMLResponse(text, status, headers=headers)


def base(request: Request) -> dict[str, Any]:
    """What every template gets.

    settings, challenge, words; link(path, **query), absolute(path, **query) with the host, asset(name);
    navigation: (text, address, whether one is there);
    more: (text, path) for the foot; feeds: the paths that there are;
    chart_forms: those that charts are to be had in; account {name, role} or None;
    csrf: the token of the session's forms, "" without a session; flash: what the last form did, "";
    undo: the line of the log that can be undone, 0;
    may(name): whether this account may do that (see ``rights``); path.
    """
    state, path = request.app.state, request.url.path.removeprefix(request.app.state.settings.base_path) or "/"
    if state.settings.static:
        link = links.static(links.file_of(path, dict(request.query_params)), state.asked)
    else:
        link = state.link
    account = getattr(request.state, "account", None)
    return {
        "settings": state.settings,
        "challenge": state.content.challenge,
        "words": state.content.words,
        "link": link,
        "asset": lambda name: link(f"/assets/{state.assets[name].name}"),
        "navigation": [(text, link(to), _within(path, to)) for text, to in NAVIGATION],
        "more": [(text, to) for text, to in MORE if to in state.paths],
        "absolute": links.absolute(
            state.settings.base_url or ("" if state.settings.static else str(request.base_url)),
            link,
            files=state.settings.static,
        ),
        "feeds": state.paths,
        "chart_forms": ["svg", "png", "csv"] if state.draws_png else ["svg", "csv"],
        "account": account,
        "csrf": getattr(request.state, "csrf", ""),
        "flash": getattr(request.state, "flash", ""),
        "undo": getattr(request.state, "undo", 0) if getattr(request.state, "flash", "") else 0,
        "may": lambda name: permissions.may(account, name),
        "path": path,
    }


def _within(path: str, to: str) -> bool:
    return path == to or (to != "/" and path.startswith(f"{to}/"))

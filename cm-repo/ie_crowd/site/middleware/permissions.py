"""Who may do what: the one table that handlers ask, that the tests go through cell by cell, and that a page shows.

The store checks again: what it refuses to a role, no handler can let through. It alone knows whose something is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ie_crowd.store import tables
from ie_crowd.store.people.accounts import has_role

ANYBODY = "anybody"


class Right(NamedTuple):
    """The lowest role that may do it, and what else must hold (the store checks that)."""

    role: str
    also: str = ""


# The name of a route that changes something: see the tests for their addresses.
RIGHTS: Mapping[str, Right] = {
    "log in": Right(ANYBODY),
    "log out": Right("contributor"),
    "renew token": Right("contributor", "one's own"),
    "add key": Right("contributor", "one's own; a second with a signature by the first"),
    "remove key": Right("contributor", "one's own"),
    "upload": Right("contributor", "by a token, not by a session"),
    "withdraw": Right("contributor", "an upload of one's own; operators any"),
    "report": Right(ANYBODY),
    "settle report": Right("reviewer"),
    "comment on the paper": Right("contributor"),
    "comment on a result": Right("contributor", "a published one"),
    "delete comment": Right("contributor", "one's own"),
    "object": Right("contributor", "to a published result"),
    "publish": Right("reviewer", "not an upload of one's own, but for operators"),
    "quarantine": Right("reviewer"),
    "refuse": Right("reviewer", "what was never published"),
    "sign": Right("reviewer", "not a result of one's own"),
    "say independent": Right("reviewer", "not about results of one's own"),
    "judge comment": Right("reviewer"),
    "decide objection": Right("reviewer", "not one of one's own"),
    "undo": Right("reviewer", "what one did oneself"),
    "add account": Right("operator"),
    "change role": Right("operator", "not one's own"),
    "give token": Right("operator"),
    "end tokens": Right("operator"),
    "disable account": Right("operator", "not one's own"),
    "enable account": Right("operator"),
    "add related": Right("operator"),
    "edit related": Right("operator"),
}
# Pages that only some may read.
PAGES: Mapping[str, Right] = {
    "account": Right("contributor"),
    "withdraw page": Right("contributor"),
    "moderation": Right("reviewer"),
    "review": Right("reviewer"),
    "refused uploads": Right("reviewer"),
    "accounts": Right("operator"),
    "log": Right("operator"),
    "related": Right("operator"),
}


def may(account: Mapping[str, Any] | None, name: str) -> bool:
    """Whether somebody's role allows what this route does."""
    right = RIGHTS[name] if name in RIGHTS else PAGES[name]
    if right.role == ANYBODY:
        return True
    return has_role(account, right.role)


def may_see(account: Mapping[str, Any] | None, found: Mapping[str, Any]) -> bool:
    """Whether somebody may see this result (a row of ``query.one``): a published one everybody may."""
    return found["state"] == tables.PUBLISHED or may_see_unpublished(account, found)


def may_see_unpublished(account: Mapping[str, Any] | None, found: Mapping[str, Any]) -> bool:
    """Whether somebody may see it in any state, and who uploaded it: reviewers, and that account itself."""
    if account is None:
        return False
    return has_role(account, "reviewer") or found.get("uploaded_by") == account["name"]

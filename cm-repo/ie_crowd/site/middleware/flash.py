"""What a page says after a change, by the word that the cookie carries: only these texts can be shown."""

from __future__ import annotations

MESSAGES = {
    "logged-in": "You are logged in.",
    "logged-out": "You are logged out.",
    "comment-waits": "Thank you. A reviewer looks at your comment before others see it.",
    "comment-shown": "Your comment is shown.",
    "comment-deleted": "Your comment is deleted.",
    "objection-open": "Your objection is open. A reviewer decides on it.",
    "withdrawn": "The result is withdrawn. Its id and your reason stay.",
    "published": "The result is published.",
    "quarantined": "The result is quarantined.",
    "refused": "The result is refused. Its id and your reason stay.",
    "signed": "Your signature is kept.",
    "independent": "The two are said to be independent.",
    "not-independent": "The word is taken back.",
    "comment-visible": "The comment is shown.",
    "comment-hidden": "The comment is hidden.",
    "objection-upheld": "The objection is upheld; the result is quarantined.",
    "objection-dismissed": "The objection is dismissed.",
    "reported": "Thank you. A reviewer looks at what you reported.",
    "report-settled": "The report is settled.",
    "undone": "It is undone.",
    "role-changed": "The role is changed.",
    "tokens-ended": "The account's tokens and sessions are ended.",
    "account-disabled": "The account is disabled; its tokens and sessions are ended.",
    "related-added": "The entry is added.",
    "related-changed": "The entry is changed.",
    "related-moved": "The entry is moved.",
    "related-removed": "The entry is removed.",
    "account-enabled": "The account is enabled. Give it a new token.",
}

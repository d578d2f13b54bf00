"""The tables of the store, as the newest migration leaves them (a test compares the two).

Raw values (``run``, ``run_value``) and the original text (``original``) are what everything else is computed from.
``summary`` holds the aggregates of published results only, recomputed from the raw values when a result is published:
a list or a chart sorts and filters on it by one index. A row of ``contest`` is what one method has in one comparable
thing: challenge, data set, supervision, number of labels, division.

base      the metadata, and what every table has in common
evidence  the tables of what results rest on; all others are here
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import BigInteger

from ie_crowd.store.tables.base import Key, Moment
from ie_crowd.store.tables.base import key as _key
from ie_crowd.store.tables.base import metadata as metadata
from ie_crowd.store.tables.base import to as _to
from ie_crowd.store.tables.evidence import commitment as commitment
from ie_crowd.store.tables.evidence import evidence_file as evidence_file
from ie_crowd.store.tables.evidence import independence as independence
from ie_crowd.store.tables.evidence import look_alike as look_alike
from ie_crowd.store.tables.evidence import public_key as public_key
from ie_crowd.store.tables.evidence import upload_signature as upload_signature
from ie_crowd.store.tables.evidence import verification as verification
from ie_crowd.store.tables.evidence import verified_value as verified_value

VALID, QUARANTINED, PUBLISHED, WITHDRAWN = "valid", "quarantined", "published", "withdrawn"
STATES = (VALID, QUARANTINED, PUBLISHED, WITHDRAWN)
ROLES = ("contributor", "reviewer", "operator")
ALL_LABELS = -1  # contest.labels of a task that has them all

contest = Table(
    "contest",
    metadata,
    _key(),
    Column("challenge", String(64), nullable=False),
    Column("dataset", String(64), nullable=False),
    Column("supervision", String(20), nullable=False),
    Column("labels", BigInteger, nullable=False),
    Column("division", String(10), nullable=False),
    Column("method", String(64), nullable=False),  # as the challenge's rules tell methods apart; "" where they do not
    UniqueConstraint("challenge", "dataset", "supervision", "labels", "division", "method"),
)
submitter = Table(
    "submitter",
    metadata,
    _key(),
    Column("name", String(80), nullable=False, unique=True),
    Column("skeleton", String(400), nullable=False, index=True),  # what the name looks like: see names.py
)
machine = Table(
    "machine",
    metadata,
    _key(),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("cpu_model", String(120), nullable=False),
    Column("architecture", String(40), nullable=False),
    Column("cores", Integer, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("accelerator", String(200), nullable=False),  # "" for none; "2 × NAME" for several
)
config = Table(
    "config",  # of results, each once
    metadata,
    _key(),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("content", Text, nullable=False),  # JSON
)
metric = Table("metric", metadata, _key(), Column("name", String(64), nullable=False, unique=True))

result = Table(
    "result",
    metadata,
    _key(),
    Column("id", String(64), nullable=False, unique=True),
    Column("state", String(12), nullable=False),
    Column("received", Moment, nullable=False),
    Column("published", Moment),
    Column("created", Moment, nullable=False),
    _to("contest"),
    _to("submitter", nullable=True),  # null: nobody is named
    _to("machine", nullable=True),  # null: withdrawn
    _to("account", nullable=True),  # who uploaded it; null: the operator took it in
    Column("config_pk", Key),  # null: it came before the store kept configurations, or is withdrawn
    Column("rules_version", Integer, nullable=False),  # that the result was made under
    Column("judged_version", Integer, nullable=False),  # that it was judged by when it came
    Column("variant", String(16), nullable=False),  # "" in the closed division, else what tells configurations apart
    Column("os", String(100), nullable=False),
    Column("runs", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("wall_seconds", Float, nullable=False),
    Column("evidence", String(12), nullable=False, server_default="stated"),  # a level: see challenge/evidence.py
    Column("values_sha256", String(64), nullable=False, index=True),
    Column("place", String(500)),  # path in the folder or checkout that was taken in, for a reader of the repository
    Index("ix_result_published", "state", "published", "pk"),
    Index("ix_result_created", "state", "created", "pk"),
    Index("ix_result_wall", "state", "wall_seconds", "pk"),
    Index("ix_result_contest", "state", "contest_pk", "published", "pk"),
    Index("ix_result_submitter", "submitter_pk", "state", "contest_pk", "machine_pk"),
    Index("ix_result_account", "account_pk", "pk"),
    Index("ix_result_machine", "machine_pk", "state", "contest_pk", "submitter_pk"),
    CheckConstraint("state IN ('valid', 'quarantined', 'published', 'withdrawn')", name="state"),
)
# What a list shows of a result, in this order: the rows of pages, of the API and of its exports.
LISTED: Mapping[str, Column[Any]] = {
    **{name: result.c[name] for name in ("id", "state", "received", "published", "created")},
    **{name: contest.c[name] for name in ("challenge", "dataset", "supervision", "labels", "division", "method")},
    "submitter": submitter.c.name,
    **{name: machine.c[name] for name in ("cpu_model", "architecture", "cores", "memory_bytes", "accelerator")},
    **{name: result.c[name] for name in ("os", "variant", "runs", "completed", "wall_seconds", "evidence", "place")},
}
original = Table(
    "original",
    metadata,
    _to("result", primary=True),
    Column("size", Integer, nullable=False),
    Column("packed", LargeBinary, nullable=False),  # zlib of the bytes as they came
)
reason = Table(
    "reason",
    metadata,
    _key(),
    _to("result"),
    Column("name", String(80), nullable=False),
    Column("evidence", String(300), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_reason_result", "result_pk"),
)
run = Table(
    "run",
    metadata,
    _to("result", primary=True),
    Column("number", Integer, primary_key=True),
    Column("seed", BigInteger, nullable=False),
    Column("label_seed", BigInteger, nullable=False),
    Column("status", String(12), nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("wall_seconds", Float),
    Column("images_per_second", Float),
    Column("model_sha256", String(64)),
    Index("ix_run_model", "model_sha256"),
    sqlite_with_rowid=False,
)
run_value = Table(
    "run_value",
    metadata,
    _to("result", primary=True),
    Column("number", Integer, primary_key=True),
    Column("metric_pk", Key, primary_key=True),  # of a table from which nothing is deleted
    Column("value", Float, nullable=False),
    sqlite_with_rowid=False,
)
summary = Table(
    "summary",
    metadata,
    _to("result", primary=True),
    # copies of the result's own keys, which are checked there
    Column("metric_pk", Key, primary_key=True),
    Column("contest_pk", Key, nullable=False),
    Column("submitter_pk", Key),
    Column("machine_pk", Key),
    Column("mean", Float, nullable=False),
    Column("sd", Float),
    Column("n", Integer, nullable=False),
    Column("ci95", Float),
    # every filter and the order in one index each: a list reads nothing else until it knows its rows
    Index("ix_summary_contest", "metric_pk", "contest_pk", "mean", "result_pk", "submitter_pk", "machine_pk"),
    Index("ix_summary_mean", "metric_pk", "mean", "result_pk", "contest_pk", "submitter_pk", "machine_pk"),
    sqlite_with_rowid=False,
)
source = Table(
    "source",
    metadata,
    _key(),
    Column("root", String(64), nullable=False),  # SHA-256 of the absolute path of what was taken in: no path is kept
    Column("path", String(500), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("outcome", String(300), nullable=False),
    UniqueConstraint("root", "path"),
)

account = Table(
    "account",
    metadata,
    _key(),
    Column("name", String(80), nullable=False, unique=True),
    Column("skeleton", String(400), nullable=False, unique=True),
    Column("role", String(12), nullable=False),
    Column("created", Moment, nullable=False),
    Column("disabled", Moment),
    CheckConstraint("role IN ('contributor', 'reviewer', 'operator')", name="role"),
)
token = Table(
    "token",
    metadata,
    _key(),
    _to("account"),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("revoked", Moment),
)
session = Table(
    "session",
    metadata,
    _key(),
    _to("account"),
    _to("token"),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False, index=True),
)
comment = Table(
    "comment",
    metadata,
    _key(),
    _to("result", nullable=True),  # null: about the paper
    _to("account"),
    Column("text", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("state", String(8), nullable=False),
    Column("parent_pk", Key),  # of the comment that it answers, which its author may have deleted
    Index("ix_comment_result", "result_pk", "state", "pk"),
    Index("ix_comment_state", "state", "pk"),
    CheckConstraint("state IN ('pending', 'visible', 'hidden')", name="state"),
)
signature = Table(
    "signature",
    metadata,
    _key(),
    _to("result"),
    _to("account"),
    Column("checklist", String(64), nullable=False),
    Column("item", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", String(500), nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("result_pk", "account_pk", "checklist", "item"),
    CheckConstraint("state IN ('pass', 'fail', 'not applicable')", name="state"),
)
objection = Table(
    "objection",
    metadata,
    _key(),
    _to("result"),
    _to("account"),
    Column("reason", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("state", String(10), nullable=False),
    Column("decision", String(500)),
    _to("account", "decided_by_pk", nullable=True),
    Index("ix_objection_result", "result_pk", "pk"),
    CheckConstraint("state IN ('open', 'upheld', 'dismissed')", name="state"),
)
report = Table(
    "report",  # of inappropriate content: see people/reports.py
    metadata,
    _key(),
    Column("about", String(80), nullable=False),
    _to("account", nullable=True),  # null: somebody without an account
    Column("reason", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("state", String(8), nullable=False),
    Column("decision", String(500)),
    _to("account", "decided_by_pk", nullable=True),
    Index("ix_report_state", "state", "pk"),
    CheckConstraint("state IN ('open', 'settled')", name="state"),
)
related = Table(
    "related",  # data sets, code and work beside a challenge's paper: see people/related.py
    metadata,
    _key(),
    Column("challenge", String(64), nullable=False),
    Column("position", Integer, nullable=False),
    *(Column(key, String(n), nullable=False) for key, n in (("kind", 16), ("title", 160), ("url", 500), ("note", 300))),
    Index("ix_related_challenge", "challenge", "position"),
)
undo = Table(
    "undo",  # what a line of the log changed, as it was before: see people/undoable.py
    metadata,
    Column("line_pk", Key, primary_key=True, autoincrement=False),
    _to("account"),
    Column("about", String(100), nullable=False, index=True),
    Column("before", Text, nullable=False),  # JSON
)
attempt = Table(
    "attempt",
    metadata,
    Column("bucket", String(64), primary_key=True),
    Column("since", BigInteger, nullable=False),  # seconds since 1970
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)
refusal = Table(
    "refusal",  # of an upload: see refusals.py
    metadata,
    _key(),
    Column("at", Moment, nullable=False),
    Column("by", String(80), nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", String(300), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)
audit = Table(
    "audit",
    metadata,
    _key(),
    Column("at", Moment, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_subject", "subject", "pk"),
    Index("ix_audit_actor", "actor", "pk"),
)

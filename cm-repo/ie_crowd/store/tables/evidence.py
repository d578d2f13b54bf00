"""Tables of what results rest on: files, verifications and what they gave, commitments before draws were issued."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint
from sqlalchemy.types import BigInteger

from ie_crowd.store.tables.base import Key, Moment, metadata
from ie_crowd.store.tables.base import key as _key
from ie_crowd.store.tables.base import to as _to

evidence_file = Table(
    "evidence_file",  # of a result, stored beside the store under its hash: see evidence/files.py
    metadata,
    _to("result", primary=True),
    Column("path", String(200), primary_key=True),
    Column("sha256", String(64), nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
verification = Table(
    "verification",  # the queue of the workers, and what they found: see evidence/queue.py
    metadata,
    _key(),
    _to("result"),
    Column("depth", String(8), nullable=False),
    Column("state", String(8), nullable=False),
    Column("asked", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", String(80)),
    Column("lease", BigInteger),  # seconds since 1970 until which it is the worker's
    Column("ended", Moment),
    Column("outcome", String(16)),
    Column("detail", Text, nullable=False),
    Column("platform", Text, nullable=False),  # JSON: system, software, how it was confined
    Index("ix_verification_state", "state", "pk"),
    Index("ix_verification_result", "result_pk", "pk"),
    CheckConstraint("depth IN ('metrics', 'rerun')", name="depth"),
    CheckConstraint("state IN ('waiting', 'running', 'ended')", name="state"),
)
verified_value = Table(
    "verified_value",  # what the operator's machine got for a run: ranks are by these
    metadata,
    _to("result", primary=True),
    Column("number", Integer, primary_key=True),
    Column("metric_pk", Key, primary_key=True),
    Column("value", Float, nullable=False),
    sqlite_with_rowid=False,
)
look_alike = Table(
    "look_alike",  # two results whose predictions differ too little to be of weights of their own
    metadata,
    _to("result", primary=True),
    _to("result", "other_pk", primary=True),
    Column("detail", String(300), nullable=False),
    sqlite_with_rowid=False,
)
commitment = Table(
    "commitment",  # to code and settings, before draws were known: see proofs/commitments.py
    metadata,
    _key(),
    _to("account"),
    Column("contest", String(200), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("made", Moment, nullable=False),
    Column("draws", Text, nullable=False),  # JSON: what was issued for it
    _to("result", nullable=True),  # that was handed in for it
    Index("ix_commitment_account", "account_pk", "contest"),
    UniqueConstraint("result_pk"),
)
independence = Table(
    "independence",  # a reviewer's word about two submitters: see people/independence.py
    metadata,
    _key(),
    _to("submitter", "one_pk"),  # the lower key of the two
    _to("submitter", "other_pk"),
    _to("account"),  # whose word it is
    Column("note", String(500), nullable=False),
    Column("created", Moment, nullable=False),
    Index("ix_independence_other", "other_pk"),
    UniqueConstraint("one_pk", "other_pk"),
)
public_key = Table(
    "public_key",  # SSH keys that accounts sign uploads with: see proofs/keys.py
    metadata,
    _key(),
    _to("account"),
    Column("fingerprint", String(64), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("blob", Text, nullable=False),  # base64
    Column("created", Moment, nullable=False),
    Column("revoked", Moment),
    UniqueConstraint("account_pk", "fingerprint"),
)
upload_signature = Table(
    "upload_signature",  # that was checked: see proofs/signatures.py
    metadata,
    _to("result", primary=True),
    _to("public_key", "key_pk"),
    Column("content", Text, nullable=False),
    Column("received", Moment, nullable=False),
    Index("ix_upload_signature_key", "key_pk"),
    sqlite_with_rowid=False,
)

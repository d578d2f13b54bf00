"""Reviewers' words that two submitters are independent; public keys of accounts, and signatures of uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """From 0012. Until a reviewer said more, nobody is said to be independent, and nothing is signed."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "independence",
        sa.Column("pk", key, autoincrement=True, nullable=False),
        sa.Column("one_pk", key, nullable=False),
        sa.Column("other_pk", key, nullable=False),
        sa.Column("account_pk", key, nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["one_pk"], ["submitter.pk"], name=op.f("fk_independence_one_pk")),
        sa.ForeignKeyConstraint(["other_pk"], ["submitter.pk"], name=op.f("fk_independence_other_pk")),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_independence_account_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_independence")),
        sa.UniqueConstraint("one_pk", "other_pk", name=op.f("uq_independence_one_pk_other_pk")),
    )
    op.create_index("ix_independence_other", "independence", ["other_pk"])
    op.create_table(
        "public_key",
        sa.Column("pk", key, autoincrement=True, nullable=False),
        sa.Column("account_pk", key, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("revoked", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_public_key_account_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_public_key")),
        sa.UniqueConstraint("account_pk", "fingerprint", name=op.f("uq_public_key_account_pk_fingerprint")),
    )
    op.create_table(
        "upload_signature",
        sa.Column("result_pk", key, autoincrement=False, nullable=False),
        sa.Column("key_pk", key, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("received", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_upload_signature_result_pk")),
        sa.ForeignKeyConstraint(["key_pk"], ["public_key.pk"], name=op.f("fk_upload_signature_key_pk")),
        sa.PrimaryKeyConstraint("result_pk", name=op.f("pk_upload_signature")),
    )
    op.create_index("ix_upload_signature_key", "upload_signature", ["key_pk"])

"""Evidence levels: files that results rest on, the queue of verifications, what they found."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """From 0006. What is there was stated and nothing more."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("result", sa.Column("evidence", sa.String(length=12), server_default="stated", nullable=False))
    op.create_table(
        "evidence_file",
        sa.Column("result_pk", key, nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_evidence_file_result_pk_result")),
        sa.PrimaryKeyConstraint("result_pk", "path", name=op.f("pk_evidence_file")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_evidence_file_sha256"), "evidence_file", ["sha256"])
    op.create_table(
        "verification",
        sa.Column("pk", key, autoincrement=True, nullable=False),
        sa.Column("result_pk", key, nullable=False),
        sa.Column("depth", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("asked", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=80), nullable=True),
        sa.Column("lease", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.String(length=20), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.CheckConstraint("depth IN ('metrics', 'rerun')", name=op.f("ck_verification_depth")),
        sa.CheckConstraint("state IN ('waiting', 'running', 'ended')", name=op.f("ck_verification_state")),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_verification_result_pk_result")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_verification")),
    )
    op.create_index("ix_verification_state", "verification", ["state", "pk"])
    op.create_index("ix_verification_result", "verification", ["result_pk", "pk"])
    op.create_table(
        "verified_value",
        sa.Column("result_pk", key, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("metric_pk", key, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_verified_value_result_pk_result")),
        sa.PrimaryKeyConstraint("result_pk", "number", "metric_pk", name=op.f("pk_verified_value")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "look_alike",
        sa.Column("result_pk", key, nullable=False),
        sa.Column("other_pk", key, nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["other_pk"], ["result.pk"], name=op.f("fk_look_alike_other_pk_result")),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_look_alike_result_pk_result")),
        sa.PrimaryKeyConstraint("result_pk", "other_pk", name=op.f("pk_look_alike")),
        sqlite_with_rowid=False,
    )

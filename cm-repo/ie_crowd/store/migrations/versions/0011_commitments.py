"""Commitments to code and settings, and the label draws that were issued for them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """From 0010."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "commitment",
        sa.Column("pk", key, autoincrement=True, nullable=False),
        sa.Column("account_pk", key, nullable=False),
        sa.Column("contest", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("made", sa.String(length=20), nullable=False),
        sa.Column("draws", sa.Text(), nullable=False),
        sa.Column("result_pk", key, nullable=True),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_commitment_account_pk_account")),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_commitment_result_pk_result")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_commitment")),
        sa.UniqueConstraint("result_pk", name=op.f("uq_commitment_result_pk")),
    )
    op.create_index("ix_commitment_account", "commitment", ["account_pk", "contest"])
    op.create_index(op.f("ix_commitment_sha256"), "commitment", ["sha256"])

"""Reports of inappropriate content, by anybody."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """From 0005."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "report",
        sa.Column("pk", key, autoincrement=True, nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("account_pk", key, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("decision", sa.String(length=500), nullable=True),
        sa.Column("decided_by_pk", key, nullable=True),
        sa.CheckConstraint("state IN ('open', 'settled')", name=op.f("ck_report_state")),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_report_account_pk_account")),
        sa.ForeignKeyConstraint(["decided_by_pk"], ["account.pk"], name=op.f("fk_report_decided_by_pk_account")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_report")),
    )
    op.create_index("ix_report_state", "report", ["state", "pk"])

"""What moderation can undo: how a thing was before a line of the log."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """From 0009. What was done before cannot be undone by a button."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "undo",
        sa.Column("line_pk", key, nullable=False, autoincrement=False),
        sa.Column("account_pk", key, nullable=False),
        sa.Column("about", sa.String(length=100), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_undo_account_pk_account")),
        sa.PrimaryKeyConstraint("line_pk", name=op.f("pk_undo")),
    )
    op.create_index("ix_undo_about", "undo", ["about"])

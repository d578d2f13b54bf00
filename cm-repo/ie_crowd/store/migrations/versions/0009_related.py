"""What is related to a paper, as operators keep it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """From 0008. Until an operator changes something, pages show what the challenge's folder says."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "related",
        sa.Column("pk", key, autoincrement=True, nullable=False),
        sa.Column("challenge", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=160), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_related")),
    )
    op.create_index("ix_related_challenge", "related", ["challenge", "position"])

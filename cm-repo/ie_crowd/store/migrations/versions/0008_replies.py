"""Replies: which comment a comment answers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """From 0007. What is there answers nothing."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("comment", sa.Column("parent_pk", key, nullable=True))

"""An index for the list of what one account uploaded."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From the third schema."""
    op.create_index("ix_result_account", "result", ["account_pk", "pk"])

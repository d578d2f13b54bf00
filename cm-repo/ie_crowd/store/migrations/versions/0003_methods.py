"""Tell methods apart: a contest's results by method, and a result's variant, which was called its method before."""

import sqlalchemy as sa
from alembic import op
from ie_crowd.store import records

revision = "0003"
down_revision = "0002"

TASK = ("challenge", "dataset", "supervision", "labels", "division")


def upgrade() -> None:
    """From 0002. What is there is from before a challenge could name methods, and so of the paper's own."""
    op.alter_column("result", "method", new_column_name="variant", existing_type=sa.String(16), existing_nullable=False)
    with op.batch_alter_table("contest") as batch:  # SQLite takes no constraint away: the table is copied
        batch.add_column(sa.Column("method", sa.String(length=64), nullable=False, server_default=""))
        batch.drop_constraint(op.f("uq_contest_" + "_".join(TASK)), type_="unique")
        batch.create_unique_constraint(op.f("uq_contest_" + "_".join([*TASK, "method"])), [*TASK, "method"])
    with op.batch_alter_table("contest") as batch:
        batch.alter_column("method", server_default=None, existing_type=sa.String(64), existing_nullable=False)
    contest = sa.table("contest", sa.column("challenge"), sa.column("method"))
    for (name,) in op.get_bind().execute(sa.select(contest.c.challenge).distinct()).all():
        rules = records.known(name)
        if rules is not None:
            op.execute(contest.update().where(contest.c.challenge == name).values(method=rules.method({})))

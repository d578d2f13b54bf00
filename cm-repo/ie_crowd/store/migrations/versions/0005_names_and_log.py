"""An index for what one account did, and what names look like by Unicode's table."""

import sqlalchemy as sa
from alembic import op
from ie_crowd.formats import usernames

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From 0004. Two accounts whose names are told to look alike by now keep what they had."""
    op.create_index("ix_audit_actor", "audit", ["actor", "pk"])
    connection = op.get_bind()
    for name in ("submitter", "account"):
        table = sa.table(name, sa.column("pk"), sa.column("name"), sa.column("skeleton"))
        rows = connection.execute(sa.select(table).order_by(table.c.pk)).all()
        taken: set[str] = set()
        fresh = []
        for row in rows:
            skeleton = usernames.skeleton(row.name)
            if name == "account" and skeleton in taken:  # unique among accounts
                skeleton = f"{row.pk} {skeleton}"[: usernames.LONGEST_SKELETON]
            taken.add(skeleton)
            fresh.append({"key": row.pk, "new": skeleton})
        change = table.update().where(table.c.pk == sa.bindparam("key")).values(skeleton=sa.bindparam("new"))
        if fresh:  # first to what nobody has, then to what they have now: no two are alike at any moment
            connection.execute(change, [{"key": row["key"], "new": f"{row['key']} of before"} for row in fresh])
            connection.execute(change, fresh)

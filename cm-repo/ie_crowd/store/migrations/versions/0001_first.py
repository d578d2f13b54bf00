"""The first schema: results, their raw values, people, what they say, and the log that only grows."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# What refuses to change the log, in each database's own language.
SQLITE = (
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END",
)
POSTGRESQL = (
    """CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$""",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_only_grows()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()",
)


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "account",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("skeleton", sa.String(length=400), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("disabled", sa.String(length=20), nullable=True),
        sa.CheckConstraint("role IN ('contributor', 'reviewer', 'operator')", name=op.f("ck_account_role")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
        sa.UniqueConstraint("skeleton", name=op.f("uq_account_skeleton")),
    )
    op.create_table(
        "attempt",
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_attempt")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "pk"], unique=False)
    op.create_table(
        "contest",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("challenge", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("supervision", sa.String(length=20), nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("division", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_contest")),
        sa.UniqueConstraint(
            "challenge",
            "dataset",
            "supervision",
            "labels",
            "division",
            name=op.f("uq_contest_challenge_dataset_supervision_labels_division"),
        ),
    )
    op.create_table(
        "machine",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("cpu_model", sa.String(length=120), nullable=False),
        sa.Column("architecture", sa.String(length=40), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("accelerator", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_machine")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_machine_fingerprint")),
    )
    op.create_table(
        "metric",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_metric")),
        sa.UniqueConstraint("name", name=op.f("uq_metric_name")),
    )
    op.create_table(
        "source",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_source")),
        sa.UniqueConstraint("root", "path", name=op.f("uq_source_root_path")),
    )
    op.create_table(
        "submitter",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("skeleton", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_submitter")),
        sa.UniqueConstraint("name", name=op.f("uq_submitter_name")),
    )
    op.create_index(op.f("ix_submitter_skeleton"), "submitter", ["skeleton"], unique=False)
    op.create_table(
        "result",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("received", sa.String(length=20), nullable=False),
        sa.Column("published", sa.String(length=20), nullable=True),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("contest_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("submitter_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("machine_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("account_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rules_version", sa.Integer(), nullable=False),
        sa.Column("judged_version", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("os", sa.String(length=100), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("wall_seconds", sa.Float(), nullable=False),
        sa.Column("values_sha256", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=500), nullable=True),
        sa.CheckConstraint("state IN ('valid', 'quarantined', 'published', 'withdrawn')", name=op.f("ck_result_state")),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_result_account_pk")),
        sa.ForeignKeyConstraint(["contest_pk"], ["contest.pk"], name=op.f("fk_result_contest_pk")),
        sa.ForeignKeyConstraint(["machine_pk"], ["machine.pk"], name=op.f("fk_result_machine_pk")),
        sa.ForeignKeyConstraint(["submitter_pk"], ["submitter.pk"], name=op.f("fk_result_submitter_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_result")),
        sa.UniqueConstraint("id", name=op.f("uq_result_id")),
    )
    op.create_index("ix_result_contest", "result", ["state", "contest_pk", "published", "pk"], unique=False)
    op.create_index("ix_result_created", "result", ["state", "created", "pk"], unique=False)
    op.create_index("ix_result_machine", "result", ["machine_pk", "state", "contest_pk", "submitter_pk"], unique=False)
    op.create_index("ix_result_published", "result", ["state", "published", "pk"], unique=False)
    op.create_index(
        "ix_result_submitter", "result", ["submitter_pk", "state", "contest_pk", "machine_pk"], unique=False
    )
    op.create_index(op.f("ix_result_values_sha256"), "result", ["values_sha256"], unique=False)
    op.create_index("ix_result_wall", "result", ["state", "wall_seconds", "pk"], unique=False)
    op.create_table(
        "token",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("expires", sa.String(length=20), nullable=True),
        sa.Column("revoked", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_token_account_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_token_sha256")),
    )
    op.create_table(
        "comment",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("account_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'visible', 'hidden')", name=op.f("ck_comment_state")),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_comment_account_pk")),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_comment_result_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_comment")),
    )
    op.create_index("ix_comment_result", "comment", ["result_pk", "state", "pk"], unique=False)
    op.create_index("ix_comment_state", "comment", ["state", "pk"], unique=False)
    op.create_table(
        "objection",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("decision", sa.String(length=500), nullable=True),
        sa.Column("decided_by_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("state IN ('open', 'upheld', 'dismissed')", name=op.f("ck_objection_state")),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_objection_account_pk")),
        sa.ForeignKeyConstraint(["decided_by_pk"], ["account.pk"], name=op.f("fk_objection_decided_by_pk")),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_objection_result_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_objection")),
    )
    op.create_index("ix_objection_result", "objection", ["result_pk", "pk"], unique=False)
    op.create_table(
        "original",
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_original_result_pk")),
        sa.PrimaryKeyConstraint("result_pk", name=op.f("pk_original")),
    )
    op.create_table(
        "reason",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("evidence", sa.String(length=300), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_reason_result_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_reason")),
    )
    op.create_index("ix_reason_result", "reason", ["result_pk"], unique=False)
    op.create_table(
        "run",
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("label_seed", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("wall_seconds", sa.Float(), nullable=True),
        sa.Column("images_per_second", sa.Float(), nullable=True),
        sa.Column("model_sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_run_result_pk")),
        sa.PrimaryKeyConstraint("result_pk", "number", name=op.f("pk_run")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_model", "run", ["model_sha256"], unique=False)
    op.create_table(
        "run_value",
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("metric_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_run_value_result_pk")),
        sa.PrimaryKeyConstraint("result_pk", "number", "metric_pk", name=op.f("pk_run_value")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("expires", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_session_account_pk")),
        sa.ForeignKeyConstraint(["token_pk"], ["token.pk"], name=op.f("fk_session_token_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_session")),
        sa.UniqueConstraint("sha256", name=op.f("uq_session_sha256")),
    )
    op.create_index(op.f("ix_session_expires"), "session", ["expires"], unique=False)
    op.create_table(
        "signature",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("checklist", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.CheckConstraint("state IN ('pass', 'fail', 'not applicable')", name=op.f("ck_signature_state")),
        sa.ForeignKeyConstraint(["account_pk"], ["account.pk"], name=op.f("fk_signature_account_pk")),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_signature_result_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_signature")),
        sa.UniqueConstraint(
            "result_pk",
            "account_pk",
            "checklist",
            "item",
            name=op.f("uq_signature_result_pk_account_pk_checklist_item"),
        ),
    )
    op.create_table(
        "summary",
        sa.Column("result_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("metric_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contest_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("submitter_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("machine_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("mean", sa.Float(), nullable=False),
        sa.Column("sd", sa.Float(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("ci95", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["result_pk"], ["result.pk"], name=op.f("fk_summary_result_pk")),
        sa.PrimaryKeyConstraint("result_pk", "metric_pk", name=op.f("pk_summary")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_summary_contest",
        "summary",
        ["metric_pk", "contest_pk", "mean", "result_pk", "submitter_pk", "machine_pk"],
        unique=False,
    )
    op.create_index(
        "ix_summary_mean",
        "summary",
        ["metric_pk", "mean", "result_pk", "contest_pk", "submitter_pk", "machine_pk"],
        unique=False,
    )
    for statement in SQLITE if op.get_context().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)

"""What every table has in common: the metadata, kinds of columns, keys."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String
from sqlalchemy.types import BigInteger

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by themselves for INTEGER only
Moment = String(20)  # UTC, 2026-01-02T03:04:05Z: sorts as time, reads the same in both databases


def key() -> Column[int]:
    """A table's own key, which it counts up."""
    return Column("pk", Key, primary_key=True, autoincrement=True)


def to(table: str, name: str | None = None, *, nullable: bool = False, primary: bool = False) -> Column[int]:
    """A column that holds the key of a row of ``table``."""
    return Column(name or f"{table}_pk", Key, ForeignKey(f"{table}.pk"), nullable=nullable, primary_key=primary)

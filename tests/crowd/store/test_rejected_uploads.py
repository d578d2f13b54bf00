"""The log of refused uploads, and stores of the schema before it."""

import json

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")
from ie_crowd import __main__ as command_line  # noqa: E402
from ie_crowd.store import database, rejected_uploads  # noqa: E402


def test_newest_first_in_pages(engine):
    for number in range(5):
        rejected_uploads.record(engine, "Ada", 422, f"reason {number}", number, "a" * 64)
    rows = rejected_uploads.read(engine, limit=2)
    assert [row["reason"] for row in rows] == ["reason 4", "reason 3"]
    assert [row["reason"] for row in rejected_uploads.read(engine, before=rows[-1]["pk"])] == [
        "reason 2",
        "reason 1",
        "reason 0",
    ]
    assert rows[0] | {"pk": 0, "at": ""} == {
        "pk": 0, "at": "", "by": "Ada", "status": 422, "reason": "reason 4", "size": 4, "sha256": "a" * 64,
    }  # fmt: skip


def test_only_so_many_are_kept_and_of_a_reason_one_line(engine, monkeypatch):
    monkeypatch.setattr(rejected_uploads, "MOST", 3)
    for number in range(7):
        rejected_uploads.record(engine, "x" * 200, 400, f"{number}\n\x1b[31m" + "é" * 400)
    rows = rejected_uploads.read(engine, limit=1000)
    assert [row["reason"][0] for row in rows] == ["6", "5", "4"]
    assert all(len(row["reason"]) <= 300 and row["reason"].isprintable() and len(row["by"]) == 80 for row in rows)


def test_the_operator_reads_them(tmp_path, capsys):
    store = str(tmp_path / "store.sqlite3")
    engine = database.connect(store)
    assert command_line.main(["refused", f"--store={store}"]) == 0
    assert capsys.readouterr().out == "no upload was refused\n"
    for number in range(3):
        rejected_uploads.record(engine, "Ada", 422, f"why {number}", 12, "b" * 64)
    engine.dispose()
    assert command_line.main(["refused", f"--store={store}", "--most=2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in said] == ["2", "1"]
    assert command_line.main(["refused", f"--store={store}", "--json"]) == 0
    assert [row["by"] for row in json.loads(capsys.readouterr().out)] == ["Ada"] * 3

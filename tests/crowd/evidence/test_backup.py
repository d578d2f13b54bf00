"""A store and its evidence in one file, and back: on both databases, from one to the other, and what is refused."""

import hashlib
import json
import os
import zipfile

import numpy
import pytest
from databases import copied
from ie_crowd import __main__ as program
from ie_crowd.evidence import backup, files
from ie_crowd.store import database, tables
from paths import ROOT
from safetensors.numpy import save
from sites import fill
from sqlalchemy import select

WEIGHTS = save({"w": numpy.arange(5.0)})
HASH = hashlib.sha256(WEIGHTS).hexdigest()


def rows(engine):
    with database.reading(engine) as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in tables.metadata.sorted_tables
            if table.name not in backup.PASSING
        }


@pytest.fixture
def store(tmp_path):
    """A filled store with one file of evidence."""
    engine = fill(tmp_path / "old.sqlite3")
    files.of(engine).put(iter([WEIGHTS]), files.Asked(HASH, len(WEIGHTS), True))
    with database.writing(engine) as connection:
        key = connection.execute(select(tables.result.c.pk)).scalar()
        row = {"result_pk": key, "path": "runs/0/model.safetensors", "sha256": HASH, "bytes": len(WEIGHTS)}
        connection.execute(tables.evidence_file.insert(), row)
    yield engine
    engine.dispose()


def restored(path, url):
    engine = database.connect(url)
    try:
        return backup.read(path, engine), rows(engine), files.of(engine).has(HASH)
    finally:
        engine.dispose()


def test_what_is_restored_is_what_was_there(store, tmp_path):
    before = rows(store)
    made = backup.write(store, tmp_path / "b.zip")
    assert (made.results, made.evidence) == (6, 1)
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0, "it holds hashes of tokens"
    report, after, has = restored(tmp_path / "b.zip", f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert has
    assert report.results == 6
    assert "'restored'" in after["audit"].pop()
    assert after == before
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"


def test_a_store_moves_from_sqlite_to_postgresql_and_back(store, tmp_path, postgresql_template):
    before = rows(store)
    backup.write(store, tmp_path / "b.zip")
    with copied(postgresql_template, "template_store") as url:
        _, after, _ = restored(tmp_path / "b.zip", url)
        assert {name: len(found) for name, found in after.items() if name != "audit"} == {
            name: len(found) for name, found in before.items() if name != "audit"
        }
        engine = database.connect(url)
        with database.writing(engine) as connection:  # rows are numbered on behind those that came with numbers
            connection.execute(tables.metric.insert(), {"name": "a.new_one"})
        backup.write(engine, tmp_path / "again.zip")
        engine.dispose()
    _, again, has = restored(tmp_path / "again.zip", f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert has
    assert len(again["metric"]) == len(before["metric"]) + 1
    assert again["original"] == before["original"]


def test_the_commands(store, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store.dispose()
    assert program.main(["backup", "b.zip", "--store=old.sqlite3"]) == 0
    assert capsys.readouterr().out.startswith("b.zip: 6 results, ")
    assert program.main(["restore", "b.zip", "--store=new.sqlite3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evidence"] == 1
    for argv, said in (
        (["restore", "b.zip", "--store=old.sqlite3"], "the store holds something already"),
        (["restore", "none.zip", "--store=n.sqlite3"], "none.zip: is not a file"),
        (["backup", "no/b.zip", "--store=old.sqlite3"], "cannot be written"),
        (["backup", "b.zip", "--store=none.sqlite3"], "there is no store"),
        (["restore", "old.sqlite3", "--store=n.sqlite3"], "is no backup"),
    ):
        assert program.main(argv) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert (tmp_path / "b.zip").stat().st_size > 1000


def changed(path, to, change):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        held = {one.filename: old.read(one) for one in old.infolist()}
        change(held)
        for name, content in held.items():
            new.writestr(name, content)
    return to


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held.update({"../evil": b"x"}), "is nothing that a backup holds"),
        (lambda held: held.pop(backup.MANIFEST), "is no backup"),
        (lambda held: held.update({backup.MANIFEST: b"[]"}), "another version"),
        (lambda held: held.update({backup.STORE: held[backup.STORE] + b"x"}), "not the one that its manifest names"),
        (lambda held: held.update({f"evidence/{HASH}": WEIGHTS[:-1]}), "bytes; send it again"),
        (lambda held: held.update({f"evidence/{'0' * 64}": b"x"}), "no result of the backup rests on it"),
    ],
)
def test_a_changed_backup_is_refused_and_leaves_the_store_empty(store, tmp_path, change, said):
    backup.write(store, tmp_path / "b.zip")
    bad = changed(tmp_path / "b.zip", tmp_path / "bad.zip", change)
    engine = database.connect(tmp_path / "new.sqlite3")
    with pytest.raises(ValueError, match=said):
        backup.read(bad, engine)
    assert not any(rows(engine).values())
    engine.dispose()


def test_the_docs_name_the_commands():
    page = (ROOT / "docs" / "site.md").read_text(encoding="utf-8")
    assert "ie-crowd backup " in page
    assert "ie-crowd restore " in page


def test_no_backup_is_put_in_the_place_of_a_device(store, tmp_path):
    (tmp_path / "b.zip").symlink_to(os.devnull)
    with pytest.raises(ValueError, match="is a device or a pipe"):
        backup.write(store, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").is_symlink()

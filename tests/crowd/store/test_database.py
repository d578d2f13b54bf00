"""The store, on SQLite and on PostgreSQL: what comes in, in which state, and what can become of it."""

import os
import random
import stat
import threading
import zlib
from pathlib import Path

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")
from ie_crowd.store import audit, database, insert, records, rejected_uploads, tables  # noqa: E402
from ie_crowd.store.people import accounts, moderation, review_queue  # noqa: E402
from sqlalchemy import select  # noqa: E402
from sqlalchemy import text as sql  # noqa: E402
from sqlalchemy.exc import IntegrityError  # noqa: E402
from toy_challenge.documents import identified, text, toy  # noqa: E402
from toy_challenge.make import RULES  # noqa: E402

BY = {RULES.id: RULES}


def send(engine, document, **more):
    return insert.submit(engine, text(document), challenges=BY, **{"publish": True, **more})


def rows(engine, table, *columns):
    with database.reading(engine) as connection:
        return [tuple(row) for row in connection.execute(select(*columns or table.c).select_from(table))]


def state(engine, document):
    with database.reading(engine) as connection:
        query = select(tables.result.c.state).where(tables.result.c.id == document["id"])
        return connection.execute(query).scalar()


def account(engine, name, role="contributor"):
    accounts.add(engine, name, role)
    return next(one for one in accounts.accounts(engine) if one["name"] == name)


# The schema


def test_the_migrations_make_the_tables(empty_url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = database.connect(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        assert connection.execute(sql("SELECT version_num FROM alembic_version")).scalar() == database.VERSION
    engine.dispose()
    database.connect(empty_url, create=False).dispose()  # a second time, nothing is left to do


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_a_store_from_before_there_were_methods_keeps_its_results_and_references(empty_url, version):
    from alembic import command
    from alembic.config import Config

    engine = database._engine(database.address(empty_url))
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    with database.writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        for pk, name in ((1, "ie-repr"), (2, "forgotten")):
            connection.execute(
                sql("INSERT INTO contest VALUES (:pk, :name, 'digits', 'supervised', -1, 'closed')"),
                {"pk": pk, "name": name},
            )
            connection.execute(
                sql(
                    "INSERT INTO result (id, state, received, created, contest_pk, rules_version, judged_version,"
                    " method, os, runs, completed, wall_seconds, values_sha256)"
                    " VALUES (:name, 'published', '', '', :pk, 1, 1, 'abc', '', 1, 1, 1.0, '')"
                ),
                {"pk": pk, "name": name},
            )
    engine.dispose()
    engine = database.connect(empty_url)
    with database.writing(engine) as connection:
        query = "SELECT r.id, c.method, r.variant FROM result r JOIN contest c ON c.pk = r.contest_pk ORDER BY c.pk"
        assert [tuple(row) for row in connection.execute(sql(query))] == [
            ("ie-repr", "equivae", "abc"),
            ("forgotten", "", "abc"),
        ]
        with pytest.raises(IntegrityError):
            connection.execute(sql("DELETE FROM contest WHERE pk = 1"))
    rejected_uploads.record(engine, "Ada", 422, "why")
    assert len(rejected_uploads.read(engine)) == 1
    engine.dispose()


def test_two_who_make_one_store_at_once_take_turns(empty_url):
    problems = []

    def make():
        try:
            database.connect(empty_url).dispose()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_newer_store_is_refused_in_one_line(store_url):
    engine = database.connect(store_url)
    with database.writing(engine) as connection:
        connection.execute(sql("UPDATE alembic_version SET version_num = '0999'"))
    engine.dispose()
    with pytest.raises(ValueError, match=r"schema '0999', newer than .*update the program") as caught:
        database.connect(store_url)
    assert "\n" not in str(caught.value)


def test_the_database_of_another_program_is_left_alone(empty_url):
    engine = database._engine(database.address(empty_url))
    with engine.begin() as connection:
        connection.execute(sql("CREATE TABLE bills (amount INTEGER)"))
    engine.dispose()
    with pytest.raises(ValueError, match="belongs to another program"):
        database.connect(empty_url)


def test_what_is_no_store_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    for where, says in [
        (tmp_path / "notes.txt", "cannot be opened as a store"),
        (tmp_path, "is not a file"),
        (tmp_path / "notes.txt" / "x", "cannot be made"),
        ("mysql://root:secret@host/x", "no database for a store"),
        ("sqlite://", "no database for a store"),
        ("://", "no URL"),
        ("postgresql://me:secret@127.0.0.1:1/x", "cannot be opened"),
    ]:
        with pytest.raises(ValueError, match=says) as caught:
            database.connect(where)
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="there is no store"):
        database.connect(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("IE_CROWD_STORE", raising=False)
    database.connect(None).dispose()
    if os.name == "posix" and (tmp_path / "data").exists():
        made = tmp_path / "data" / "ie-repr" / "crowd.sqlite3"
        assert stat.S_IMODE(made.stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a store with a result."""
    path = tmp_path_factory.mktemp("whole") / "store.sqlite3"
    engine = database.connect(path)
    assert send(engine, toy((1.0, 2.0, 3.0), submitter="Ada")).what == "published"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sql("PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_are_one_line_that_says_what_helps(tmp_path, whole, capsys, seed):
    from ie_crowd.__main__ import main

    draw = random.Random(seed)  # noqa: S311 which bytes are flipped
    damaged = bytearray(whole)
    for _ in range(draw.choice([30, 300, 3000])):
        damaged[draw.randrange(100, len(damaged))] ^= draw.randrange(1, 256)
    path = tmp_path / "store.sqlite3"
    path.write_bytes(damaged)
    codes = [main([*command, f"--store={path}"]) for command in (["rank"], ["user", "list"], ["refused"])]
    said = capsys.readouterr().err
    assert set(codes) <= {0, 2}
    assert len(said.splitlines()) == codes.count(2)
    assert said.count("ie-crowd restore") == codes.count(2)


def test_a_page_that_nobody_reads_is_found_before_serving(tmp_path, whole):
    path = tmp_path / "store.sqlite3"
    path.write_bytes(whole)
    engine = database.connect(path)
    database.check_whole(engine)
    engine.dispose()
    size = int.from_bytes(whole[16:18], "big")
    last = len(whole) // size - 1
    path.write_bytes(whole[: last * size] + bytes(size) + whole[(last + 1) * size :])
    engine = database.connect(path)
    with pytest.raises(ValueError, match="the store is damaged") as error:
        database.check_whole(engine)
    assert "\n" not in str(error.value)
    engine.dispose()


def test_a_store_that_is_locked_is_one_line(tmp_path, whole, monkeypatch, capsys):
    from ie_crowd.__main__ import main

    path = tmp_path / "store.sqlite3"
    path.write_bytes(whole)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    engine = database.connect(path)
    with database.writing(engine):
        assert main(["user", "add", "Ada Lovelace", f"--store={path}"]) == 2
    assert capsys.readouterr().err.count("busy with other changes") == 1
    engine.dispose()


def test_sqlite_is_set_up_for_several_at_once(tmp_path):
    engine = database.connect(tmp_path / "x.sqlite3")
    with engine.connect() as connection:
        assert connection.execute(sql("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sql("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


# What comes in


def test_a_valid_result_is_kept_byte_for_byte_with_its_raw_values(engine):
    document = toy((4.0, 6.5, None), machine=1)
    assert send(engine, document).what == "published"
    ((size, packed),) = rows(engine, tables.original, tables.original.c.size, tables.original.c.packed)
    assert zlib.decompress(packed) == text(document)
    assert size == len(text(document))
    values = sorted(rows(engine, tables.run_value, tables.run_value.c.number, tables.run_value.c.value))
    assert values == [(0, 4.0), (0, 90.0), (1, 6.5), (1, 90.0)]
    runs = sorted(rows(engine, tables.run, tables.run.c.number, tables.run.c.status))
    assert runs == [(0, "completed"), (1, "completed"), (2, "failed")]
    names = dict(rows(engine, tables.metric, tables.metric.c.pk, tables.metric.c.name))
    c = tables.summary.c
    means = {names[key]: (mean, n) for key, mean, n in rows(engine, tables.summary, c.metric_pk, c.mean, c.n)}
    assert means == {"forecast.mae": (5.25, 2), "flood.recall": (90.0, 2)}


def test_the_same_again_is_one(engine):
    document = toy()
    assert send(engine, document).what == "published"
    log = audit.revision(engine)
    again = send(engine, document)
    assert (again.what, again.state) == ("known", "published")
    other_form = text(document).replace(b"\n", b"\n ")  # the same document, written otherwise
    assert insert.submit(engine, other_form, challenges=BY).what == "known"
    assert len(rows(engine, tables.result)) == 1
    assert audit.revision(engine) == log
    twice = toy(submitter="Somebody Else", maes=(1.0, 2.0))
    batch = [records.prepare(text(twice), BY)] * 2
    with database.writing(engine) as connection:
        assert [one.id for one in insert.write(connection, batch)] == [twice["id"]] * 2
    assert len(rows(engine, tables.result)) == 2


def test_without_leave_to_publish_it_waits(engine):
    reviewer, helper = account(engine, "Rosa", "reviewer"), account(engine, "Carl")
    document = toy(submitter="Carl")
    assert send(engine, document, publish=False, account=helper).what == "valid"
    assert rows(engine, tables.summary) == []
    with pytest.raises(PermissionError, match="needs the role reviewer"):
        moderation.publish(engine, document["id"], helper)
    moderation.publish(engine, document["id"], reviewer)
    assert state(engine, document) == "published"
    assert len(rows(engine, tables.summary)) == 2
    with pytest.raises(ValueError, match="is published, expected valid or quarantined"):
        moderation.publish(engine, document["id"], reviewer)
    with pytest.raises(LookupError, match="there is no result"):
        moderation.publish(engine, "f" * 64, reviewer)


def forged(document):
    document["metrics"]["forecast.mae"]["value"] = 0.1


def shrunk_interval(document):
    document["metrics"]["forecast.mae"]["ci95"] = 0.0


def other_data(document):
    document["datasets"][0]["files"][0]["sha256"] = "0" * 64


def huge(document):
    document["runs"][0]["metrics"]["forecast.mae"] = 1e11


def path(document):
    document["provenance"]["command"] = "cat /home/ada/.ssh/id_rsa"


def departs(document):
    document["config"]["window_days"] = 99


def without_weights(document):
    document["runs"][0]["model_sha256"] = "9" * 64


@pytest.mark.parametrize(
    ("change", "item"),
    [
        (forged, "aggregates"),
        (shrunk_interval, "aggregates"),
        (other_data, "rules.data"),
        (huge, "rules.ranges"),
        (path, "privacy"),
        (departs, "rules.division"),
        (without_weights, "weights"),
    ],
)
def test_what_is_wrong_is_quarantined_with_its_reason(engine, change, item):
    document = toy()
    change(document)
    outcome = send(engine, identified(document))
    assert outcome.what == "quarantined"
    assert item in {reason.name for reason in outcome.reasons}
    assert item in {row[0] for row in rows(engine, tables.reason, tables.reason.c.name)}
    assert rows(engine, tables.summary) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda document: document.update(id="0" * 64), "/id is 000000000000…, the content gives"),
        (lambda document: document.update(extra=1), "unknown key 'extra'"),
        (lambda document: document["challenge"].update(id="../../etc"), "does not match"),
        (lambda document: document["challenge"].update(id="another-paper"), "is not known here"),
        (lambda document: document["runs"][0].update(epochs=10**400), "beyond 2|is not|expected"),
        (lambda document: document["runs"][0]["metrics"].update({"forecast.mae": 1e300}), "expected maximum"),
        (lambda document: document["submitter"].update(name="<script>alert(1)</script>"), "does not match"),
        (lambda document: document["submitter"].update(name="evil\u202egnp.exe"), "is not text"),
    ],
)
def test_what_is_no_result_is_refused_and_leaves_nothing(engine, change, says):
    document = toy()
    change(document)
    with pytest.raises(ValueError, match=says) as caught:
        send(engine, document)
    assert "\n" not in str(caught.value)
    assert rows(engine, tables.result) == []


def test_a_document_over_the_limit_is_refused(engine):
    with pytest.raises(ValueError, match="at most 1,048,576 are read"):
        insert.submit(engine, b" " * (2**20) + text(toy()), challenges=BY)


def test_copied_results_are_quarantined(engine):
    mine = toy()
    assert send(engine, mine).what == "published"
    for other in (
        toy(submitter="A Copycat"),  # the values under another name
        toy((6.0, 5.0, 4.0), submitter="A Copycat"),  # in another order
        toy((4, 6, 5), submitter="A Copycat"),  # written otherwise
        identified({**mine, "created": "2026-02-02T00:00:00Z"}),  # by the same, again
    ):
        outcome = send(engine, other)
        assert outcome.what == "quarantined"
        assert f"holds the raw values of result {mine['id']}" in outcome.reasons[0].detail
    weights = toy((1.0, 2.0, 3.0), submitter="A Thief")
    for run, file in zip(weights["runs"][1:2], weights["files"][1:2], strict=True):
        run["model_sha256"] = file["sha256"] = mine["runs"][1]["model_sha256"]
    outcome = send(engine, identified(weights))
    assert (outcome.what, outcome.reasons[0].evidence) == ("quarantined", "/runs/1/model_sha256")


def test_copies_in_one_batch_are_seen(engine):
    batch = [records.prepare(text(toy(submitter=name)), BY) for name in ("First", "Second")]
    with database.writing(engine) as connection:
        outcomes = insert.write(connection, batch, publish=True)
    assert [one.what for one in outcomes] == ["published", "quarantined"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Тhe Rivers Group", "mixes scripts"),  # a Cyrillic T
        ("THE RIVERS GR0UP", "looks like 'The Rivers Group'"),
        ("The  Rivers Group", "two in a row"),
        ("Ｔhe Rivers Group", "drawn as others"),
        ("The\u200bRivers Group", "not shown"),
        ("T\u0336\u0335he", "piled up"),
        ("'; DROP TABLE result; --", None),
        ("Łukasz O’Neil", None),
        ("山田 太郎", None),
    ],
)
def test_names_that_deceive_are_quarantined(engine, name, says):
    send(engine, toy())
    outcome = send(engine, toy((1.0, 2.0, 3.0), submitter=name))
    assert outcome.what == ("quarantined" if says else "published")
    if says:
        assert [reason for reason in outcome.reasons if reason.name == "submitter" and says in reason.detail]
    assert len(rows(engine, tables.result)) == 2


def test_an_upload_carries_its_accounts_name(engine):
    ada = account(engine, "Ada")
    outcome = send(engine, toy(submitter="Somebody"), account=ada)
    assert (outcome.what, outcome.reasons[0].detail) == ("quarantined", "the name is not the account's, 'Ada'")
    assert send(engine, toy((1.0, 2.0, 3.0), submitter="Ada"), account=ada).what == "published"
    assert send(engine, toy((1.0, 2.0, 9.0), submitter=None), account=ada).what == "published"
    assert send(engine, toy((1.5, 2.0, 9.0), submitter="ADA")).what == "quarantined"
    account(engine, "Zoe")  # who has sent nothing yet
    outcome = send(engine, toy((1.5, 2.5, 9.0), submitter="Z0e"))
    assert (outcome.what, outcome.reasons[0].detail) == ("quarantined", "the name looks like 'Zoe', another one")


# What becomes of it


def test_a_withdrawn_result_leaves_id_and_reason_only(engine):
    ada, bob = account(engine, "Ada"), account(engine, "Bob", "reviewer")
    document = toy(submitter="Ada")
    send(engine, document, account=ada)
    with pytest.raises(PermissionError, match="needs the role operator"):
        moderation.withdraw(engine, document["id"], bob, "I do not like it")
    with pytest.raises(ValueError, match="give a reason"):
        moderation.withdraw(engine, document["id"], ada, " \n ")
    moderation.withdraw(engine, document["id"], ada, "a wrong\nconfiguration")
    for table in (tables.original, tables.run, tables.run_value, tables.summary, tables.submitter, tables.machine):
        assert rows(engine, table) == [], table.name
    assert rows(engine, tables.reason, tables.reason.c.detail) == [("a wrong configuration",)]
    assert rows(engine, tables.result, tables.result.c.id, tables.result.c.state) == [(document["id"], "withdrawn")]
    again = send(engine, document, account=ada)
    assert (again.what, again.state) == ("known", "withdrawn")
    with pytest.raises(ValueError, match="is withdrawn"):
        moderation.withdraw(engine, document["id"], ada, "again")
    # the same values under a new id are seen, too
    assert send(engine, identified({**document, "created": "2026-02-02T00:00:00Z"})).what == "quarantined"


def test_a_name_that_others_carry_stays(engine):
    boss = account(engine, "Boss", "operator")
    first, second = toy(), toy((1.0, 2.0, 3.0))
    send(engine, first)
    send(engine, second)
    moderation.withdraw(engine, first["id"], boss, "asked for")
    assert rows(engine, tables.submitter, tables.submitter.c.name) == [("The Rivers Group",)]


def test_objections_are_decided_by_somebody_else(engine):
    ada, bob, eve = account(engine, "Ada"), account(engine, "Bob", "reviewer"), account(engine, "Eve", "reviewer")
    document = toy()
    send(engine, document)
    number = moderation.object_to(engine, document["id"], bob, "trained on the test set")
    with pytest.raises(PermissionError, match="of your own"):
        moderation.decide(engine, number, bob, upheld=True, decision="yes")
    with pytest.raises(PermissionError):
        moderation.decide(engine, number, ada, upheld=True, decision="yes")
    dismissed = moderation.object_to(engine, document["id"], ada, "too good")
    moderation.decide(engine, dismissed, eve, upheld=False, decision="within the band")
    assert state(engine, document) == "published"
    moderation.decide(engine, number, eve, upheld=True, decision="the log shows it")
    assert state(engine, document) == "quarantined"
    assert rows(engine, tables.summary) == []
    assert [one["state"] for one in moderation.objections(engine, document["id"])] == ["upheld", "dismissed"]
    assert review_queue.objections(engine, eve) == ([], 0)
    with pytest.raises(LookupError):
        moderation.decide(engine, number, eve, upheld=False, decision="again")
    with pytest.raises(ValueError, match="give a note"):
        moderation.publish(engine, document["id"], eve)
    moderation.publish(engine, document["id"], eve, "the log was of another run")
    assert len(rows(engine, tables.summary)) == 2


def test_one_account_cannot_flood_with_objections(engine):
    ada, document = account(engine, "Ada"), toy()
    send(engine, document)
    first = moderation.object_to(engine, document["id"], ada, "no 0")
    for number in range(1, moderation.MOST_OPEN):
        moderation.object_to(engine, document["id"], ada, f"no {number}")
    assert moderation.object_to(engine, document["id"], ada, "no 0") == first  # sent twice, it is one
    with pytest.raises(ValueError, match="are open"):
        moderation.object_to(engine, document["id"], ada, "no")
    assert len(moderation.objections(engine, document["id"])) == moderation.MOST_OPEN
    with pytest.raises(ValueError, match="at most 500"):
        moderation.object_to(engine, document["id"], ada, "x" * 501)


def test_aggregates_are_what_the_raw_values_give(engine):
    send(engine, toy((1.0, 2.0, 4.5)))
    before = sorted(rows(engine, tables.summary))
    with database.writing(engine) as connection:
        connection.execute(sql("UPDATE summary SET mean = 0"))
        moderation.recompute(connection, [key for (key,) in rows(engine, tables.result, tables.result.c.pk)])
    assert sorted(rows(engine, tables.summary)) == before


# The log


def test_the_log_only_grows(engine):
    send(engine, toy())
    (line,) = audit.read(engine)
    assert (line["actor"], line["action"], line["subject"]) == ("operator", "published", toy()["id"])
    truncate = () if engine.dialect.name == "sqlite" else ("TRUNCATE audit",)  # SQLite has no such statement
    for statement in ("UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", *truncate):
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="only grows"), database.writing(engine) as connection:
            connection.execute(sql(statement))
    assert audit.read(engine, subject=toy()["id"]) == [line]
    assert audit.read(engine, before=line["pk"]) == []


def test_every_change_leaves_a_line(engine):
    boss, document = account(engine, "Boss", "operator"), toy()
    send(engine, document)
    moderation.quarantine(engine, document["id"], boss, "a look")
    moderation.publish(engine, document["id"], boss, "fine")
    moderation.withdraw(engine, document["id"], boss, "asked for")
    assert [(line["actor"], line["action"]) for line in audit.read(engine)] == [
        ("Boss", "withdrawn"),
        ("Boss", "published"),
        ("Boss", "quarantined"),
        ("operator", "published"),
        ("operator", "account added"),
    ]

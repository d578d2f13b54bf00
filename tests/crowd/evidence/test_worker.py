"""Verification by the operator's machine: what raises a level, what quarantines, and workers that are killed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from ie_crowd import entry
from ie_crowd.artifact import assemble
from ie_crowd.evidence import files, plausible, queue, sandbox, taken, worker
from ie_crowd.formats import checksums
from ie_crowd.result import system_info
from ie_crowd.store import database, ingest, query, standings
from ie_crowd.store.standings import Contest
from toy_challenge.make import RULES
from toy_evidence import MAE, make, take_in, verified

pytest.importorskip("sqlalchemy")
CONTEST = Contest(RULES.id, "gauges", "supervised", "all", "closed")


def entries(engine, level="recomputed"):
    from dataclasses import replace

    policy = replace(RULES.evidence, ranked={"closed": level, "open": level})
    return standings.standings(engine, CONTEST, MAE, RULES.metrics[MAE], policy)


def test_what_comes_out_of_the_weights_is_recomputed_and_what_does_not_is_quarantined(place):
    home, engine, store = place
    honest = make(home)
    liar = make(home, "Liar", maes=(41.0, 61.0, 51.0), cores=8, lie=(3.0, 3.1, 3.2))
    take_in(home, engine, store)
    assert [(one.submitter, one.rank) for one in entries(engine)] == [("Liar", None), ("The Rivers Group", None)]
    done = verified(engine, store)
    assert {name: one.outcome for name, one in done.items()} == {honest: "pass", liar: "fail"}
    assert "states 3.1, computed again 61.0" in done[liar].detail
    (entry_,) = entries(engine)
    assert (entry_.submitter, entry_.rank, entry_.level) == ("The Rivers Group", 1, "recomputed")
    row = query.one(engine, liar)
    assert (row["state"], row["reasons"][0]["name"]) == ("quarantined", "verification")
    (told,) = queue.history(engine, honest)
    assert told["outcome"] == "pass"
    assert told["platform"]["system"]["cpu_model"] == system_info.describe()["cpu_model"]
    assert told["platform"]["confined"] == sandbox.kind()
    assert verified(engine, store) == {}


def test_ranks_are_by_what_the_operator_got_not_by_what_is_stated(place):
    home, engine, store = place
    shaved = make(home, "Shaver", lie=(3.9, 5.9, 4.9))
    document = json.loads((home / "Shaver" / "result.json").read_text())
    document["system"]["cpu_model"] = "Another CPU"  # then the rules allow 0.5
    facts = {**assemble.facts_of(document), "system": document["system"]}
    shaved = assemble.assemble(home / "Shaver", challenge=RULES, **facts)["id"]
    checksums.write_sha256sums(home / "Shaver")
    take_in(home, engine, store)
    assert verified(engine, store)[shaved].outcome == "pass"
    (found,) = entries(engine)
    assert found.values == [4.0, 6.0, 5.0]


def test_trained_again_it_is_rerun_and_a_wide_spread_of_its_own_excuses_nothing(place):
    home, engine, store = place
    good = make(home, "Good", maes=(4.0, 6.0, 8.0))  # what the toy's training gives for these seeds
    wild = make(home, "Wild", maes=(1.0, 31.0, 61.0), cores=8)
    take_in(home, engine, store)
    verified(engine, store)
    with database.writing(engine) as connection:
        for one in (good, wild):
            queue.ask(connection, queue.key_of(connection, one), one, "rerun")
    done = verified(engine, store)
    assert {name: one.outcome for name, one in done.items()} == {good: "pass", wild: "fail"}
    assert query.one(engine, good)["evidence"] == "rerun"
    assert query.one(engine, wild)["state"] == "quarantined"


def test_copied_weights_are_known_by_their_predictions():
    import numpy as np
    from ie_crowd.evidence import alike

    chance = np.random.default_rng(0)
    truth = chance.integers(0, 10, 10_000)

    def run(wrong):
        found = truth.copy()
        at = chance.choice(10_000, wrong, replace=False)
        found[at] = (found[at] + 1) % 10
        return found

    mine = run(180)
    copy = mine.copy()
    copy[:5] = (copy[:5] + 1) % 10
    assert alike.share(mine, run(170), 3.5) > 0.9
    assert alike.share(mine, copy, 3.6) < alike.LEAST_SHARE
    assert alike.share(mine, mine, 0.1) == 1.0  # wrong hardly anywhere: tells nothing


def test_a_copy_with_noise_is_held_back_by_its_predictions(place, tmp_path):
    """Other weights, other numbers, another machine and name; but the classes that come out are those of another's."""
    import shutil

    from ie_crowd.challenge import load

    rules = tmp_path / "rules"
    shutil.copytree(RULES.folder, rules)
    program = rules / "compute.py"
    leave = """
    import numpy as np
    chance = np.random.default_rng(int(mae * 1000) // 4)  # a model that is almost this one predicts the same
    classes = chance.integers(0, 10, 10_000).astype("<i2")
    classes[: int(mae * 1000) % 4] += 1
    header = json.dumps({"forecast.mae": {"dtype": "I16", "shape": [10000], "data_offsets": [0, 20000]}}).encode()
    content = len(header).to_bytes(8, "little") + header + classes.tobytes()
    (options.run / "predictions.safetensors").write_bytes(content)
    path.write_text("""
    program.write_text(program.read_text().replace("    path.write_text(", leave, 1))
    by = load.challenge(rules)
    home, engine, store = place
    original = make(home, "Original", maes=(4.0, 6.0, 5.0))
    another = make(home, "Another", maes=(4.5, 6.5, 5.5), cores=4)
    copy = make(home, "Copyist", maes=(4.001, 6.002, 5.001), cores=8)
    take_in(home, engine, store)
    settings = worker.Settings(challenges={by.id: by})
    done = {one.result_id: one for one in worker.work(engine, store, settings)}
    assert {one.outcome for one in done.values()} == {"pass"}
    held = [name for name in done if query.one(engine, name)["state"] == "quarantined"]
    assert len(held) == 1
    assert held[0] in (original, copy)  # the later of the two; a reviewer says whose it is
    assert "differ on" in query.one(engine, held[0])["reasons"][0]["detail"]
    assert query.one(engine, another)["state"] == "published"


def test_weights_trained_on_test_images_are_known_by_the_validation_error():
    told = {"0": {"validation": 1.9, "validation_images": 5000, "test_images": 10000}}
    assert plausible.too_good(told, {0: {"e": 1.75}}, "e", 5) == ""
    found = plausible.too_good(told, {0: {"e": 0.1}}, "e", 5)
    assert found.startswith("run 0: test error 0.1 %, validation error 1.9 %")
    assert plausible.too_good(told, {0: {"e": 0.1}}, "e", None) == ""


# Evidence as it comes


@pytest.fixture
def sent(place):
    home, engine, store = place
    result_id = make(home)
    ingest.ingest(engine, home, challenges=[RULES.folder], jobs=1)
    path = "runs/0/model.safetensors"
    return engine, store, result_id, path, (home / "The-Rivers-Group" / path).read_bytes()


def test_an_upload_cut_off_at_any_byte_leaves_nothing(sent):
    engine, store, result_id, path, content = sent
    for end in range(len(content)):
        with pytest.raises(ValueError, match="send it again"):
            files.add(engine, store, result_id, path, [content[:end]], "Ada")
    assert [one for one in store.root.rglob("*") if one.is_file()] == []
    assert files.stored(engine, result_id) == {}
    assert files.add(engine, store, result_id, path, [content[:9], content[9:]], "Ada")
    assert not files.add(engine, store, result_id, path, [content], "Ada")


@pytest.mark.parametrize(
    ("path", "change", "says"),
    [
        ("runs/0/model.safetensors", lambda content: content + b"\0", "more than the"),
        ("runs/0/model.safetensors", lambda content: content[:-1] + b"\1", "SHA-256"),
        ("runs/0/run.json", lambda content: content, "none of that result's files that are taken"),
        ("../../../etc/passwd", lambda content: content, "none of that result's files that are taken"),
        ("runs/7/model.safetensors", lambda content: content, "none of that result's files that are taken"),
    ],
)
def test_other_evidence_than_is_listed_is_refused_in_one_line(sent, path, change, says):
    engine, store, result_id, _, content = sent
    with pytest.raises(ValueError, match=says) as told:
        files.add(engine, store, result_id, path, iter([change(content)]), "Ada")
    assert "\n" not in str(told.value)
    assert queue.counts(engine)["waiting"] == 0


def test_what_is_too_large_is_not_asked_for(sent, monkeypatch):
    engine, store, result_id, path, content = sent
    monkeypatch.setattr(taken, "MOST_BYTES", len(content) - 1)
    with pytest.raises(ValueError, match="at most"):
        files.add(engine, store, result_id, path, [content], "Ada")


# Workers


def test_two_workers_share_the_queue_and_a_dead_one_loses_its_place(place):
    home, engine, store = place
    ids = {make(home, name, maes=(number / 8 + 4.0, 6.0, 5.0)) for number, name in enumerate(("a1", "b1", "c1"))}
    take_in(home, engine, store)
    first, second = queue.claim(engine, "one"), queue.claim(engine, "two")
    assert first.pk != second.pk
    assert queue.renew(engine, first, "one")
    assert not queue.renew(engine, first, "two")
    later = time.time() + queue.LEASE_SECONDS + 5
    assert queue.renew(engine, second, "two", now=later)  # it lives
    again = queue.claim(engine, "three", now=later)
    assert (again.pk, again.attempt) == (first.pk, 2)
    with database.writing(engine) as connection:  # the first comes back, too late
        assert not queue.end(connection, first, "one", "pass", "", {})
    third = queue.claim(engine, "four", now=later)
    assert {job.result_id for job in (first, second, third)} == ids
    assert queue.claim(engine, "five", now=later) is None
    queue.give_back(engine, third, "four")
    assert queue.claim(engine, "five", now=later).attempt == 1


def test_what_three_workers_died_on_stops_nobody_else(place):
    home, engine, store = place
    result_id = make(home)
    take_in(home, engine, store)
    now = time.time()
    for number in range(queue.MOST_ATTEMPTS):
        assert queue.claim(engine, f"w{number}", now=now + number * 1000).attempt == number + 1
    assert queue.claim(engine, "last", now=now + 10_000) is None
    (told,) = queue.history(engine, result_id)
    assert (told["outcome"], query.one(engine, result_id)["evidence"]) == ("broken", "stated")


def test_a_worker_with_older_rules_leaves_it_to_others(place):
    from dataclasses import replace

    home, engine, store = place
    make(home)
    take_in(home, engine, store)
    said = []
    settings = worker.Settings(challenges={RULES.id: replace(RULES, rules_version=2)}, say=said.append)
    assert list(worker.work(engine, store, settings)) == []
    assert "it is of rules 3, here are 2; update this worker" in said[0]
    assert queue.counts(engine) == {"waiting": 1, "running": 0, "ended": 0}


def test_a_worker_that_is_killed_loses_nothing(place, monkeypatch, tmp_path):
    home, engine, store = place
    result_id = make(home)
    take_in(home, engine, store)
    argv = entry.arguments("verify", f"--store={tmp_path / 'store.sqlite3'}", f"--challenge={RULES.folder}")
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while queue.counts(engine)["running"] == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if queue.counts(engine)["running"] == 0:
        pytest.skip("it was faster than the kill")
    assert verified(engine, store) == {}  # its lease still runs
    monkeypatch.setattr(queue.time, "time", lambda: now + queue.LEASE_SECONDS + 5)
    now = 0.0
    from ie_crowd.store import tables
    from sqlalchemy import update

    with database.writing(engine) as connection:
        connection.execute(update(tables.verification).values(lease=0))
    monkeypatch.undo()
    assert verified(engine, store)[result_id].outcome == "pass"
    assert query.one(engine, result_id)["evidence"] == "recomputed"


@pytest.mark.skipif(sandbox.kind() == sandbox.NONE, reason="no bubblewrap here, or it is not allowed")
def test_a_child_has_no_network_writes_one_folder_and_knows_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("IE_CROWD_TOKEN", "secret")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "id_ed25519").write_text("a key")
    inside, outside, hidden = tmp_path / "inside", tmp_path / "outside", tmp_path / "store.sqlite3"
    inside.mkdir()
    outside.mkdir()
    hidden.write_text("hashes of tokens")
    program = f"""
import os, pathlib, socket, json
found = {{"token": "IE_CROWD_TOKEN" in os.environ}}
found["key"] = pathlib.Path({str(tmp_path)!r}, "home", ".ssh", "id_ed25519").exists()
try:
    found["read"] = pathlib.Path({str(hidden)!r}).read_text()
except OSError:
    found["read"] = ""
for name, place in (("inside", {str(inside)!r}), ("outside", {str(outside)!r}), ("home", "/var/tmp")):
    try:
        pathlib.Path(place, "made").write_text("x"); found[name] = True
    except OSError:
        found[name] = False
try:
    socket.create_connection(("1.1.1.1", 53), timeout=2); found["network"] = True
except OSError:
    found["network"] = False
print(json.dumps(found))
"""
    argv = sandbox.wrapped([sys.executable, "-c", program], inside, [hidden])
    done = subprocess.run(argv, env=sandbox.environment(inside), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found == {
        "token": False, "key": False, "read": "", "inside": True, "outside": False, "home": False, "network": False
    }  # fmt: skip


def test_on_postgresql_too(postgresql_template, tmp_path, monkeypatch):
    from databases import copied

    monkeypatch.setenv("IE_CROWD_EVIDENCE", str(tmp_path / "evidence"))
    home = tmp_path / "results"
    home.mkdir()
    result_id = make(home)
    with copied(postgresql_template, "template_store") as url:
        engine = database.connect(url)
        try:
            take_in(home, engine, files.of(engine))
            assert verified(engine, files.of(engine))[result_id].outcome == "pass"
            assert [(one.rank, one.level) for one in entries(engine)] == [(1, "recomputed")]
        finally:
            engine.dispose()


def test_of_earlier_rules_no_last_digit_is_asked(place):
    """What trains may have changed since: a rerun is held against the reference's spread, not against every digit."""
    from dataclasses import replace

    from ie_crowd.check import integrity, recompute

    home, _, _ = place
    make(home, maes=(4.1, 6.0, 8.0))  # training again gives 4, 6 and 8
    repeats = {**RULES.verification, "rerun": replace(RULES.verification["rerun"], exact=True)}
    now = replace(RULES, verification=repeats)
    items = {}
    for rules in (now, replace(now, rules_version=4, earlier=(now,))):
        folder = home / "The-Rivers-Group"
        document = json.loads((folder / "result.json").read_text())
        asked = recompute.Request("rerun", say=lambda line: None, policy=True)
        listed = integrity.check_read(folder, document, rules)
        found = recompute.check(folder, document, rules, listed, asked, kinds=("rerun",))
        items[rules.rules_version] = next(item for item in found if item.name == f"rerun.{MAE}")
    assert items[3].state == "fail"
    assert items[4].state == "pass"
    assert "rules 3, here 4" in items[4].detail
    assert "of the reference" in items[4].detail


def test_what_no_result_rests_on_is_removed(sent):
    from ie_crowd.store.people import moderation

    engine, store, result_id, path, content = sent
    files.add(engine, store, result_id, path, [content], "Ada")
    assert files.prune(engine, store, older=0) == 0
    with database.writing(engine) as connection:
        row = moderation._result(connection, result_id, "published")
        moderation._bury(connection, row, "withdrawn", "a mistake", "operator")
    assert files.prune(engine, store) == 0  # it has just come
    assert files.prune(engine, store, older=-1) == 1
    assert [one for one in store.root.rglob("*") if one.is_file()] == []

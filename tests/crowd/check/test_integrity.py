"""`ie-crowd check`: every tampering is caught by the item that can see it, and hostile input is one line."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ie_crowd import __main__ as command_line
from ie_crowd.artifact import assemble
from ie_crowd.challenge import load, model
from ie_crowd.check import integrity
from ie_crowd.formats import canonical_json, checksums, strict
from paths import ROOT, TOY
from toy_challenge import compute
from toy_challenge.make import CONFIG, RULES, failed_run, run_document, write_folder, write_run

GOOD_ITEMS = 26  # of integrity and validity


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / 'it\'s a "results" $(folder)'
    write_folder(home)
    return home


def states(home):
    return {item.name: item.state for item in integrity.check(home, RULES)}


def failed(home):
    return {item.name for item in integrity.check(home, RULES) if item.state == "fail"}


def rewrite(home, change, identify=True):
    """Apply ``change`` to result.json as an attacker would, who also corrects the id and SHA256SUMS."""
    found = json.loads((home / "result.json").read_text())
    change(found)
    if identify:
        found["id"] = canonical_json.identity(found)
    strict.write_json(home / "result.json", found)
    checksums.write_sha256sums(home)


# What passes


def test_a_good_folder_passes_everything(folder):
    found = states(folder)
    assert set(found.values()) == {"pass"}
    assert len(found) == GOOD_ITEMS


def test_sha256sum_itself_agrees(folder):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    (folder / "odd 'name' $(x) ü \"q\".html").write_text("x")
    checksums.write_sha256sums(folder)
    done = subprocess.run(["sha256sum", "--strict", "-c", checksums.SUMS], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(states(folder).values()) == {"pass"}
    (folder / "result.json").write_bytes((folder / "result.json").read_bytes() + b"\n")
    assert (
        subprocess.run(["sha256sum", "-c", checksums.SUMS], cwd=folder, capture_output=True, check=False).returncode
        == 1
    )


def test_result_json_alone_is_enough(folder):
    for name in ("runs", "figures"):
        shutil.rmtree(folder / name)
    (folder / checksums.SUMS).unlink()
    found = states(folder)
    assert {name for name, state in found.items() if state != "pass"} == {
        "files",
        "run files",
        "weights format",
        "checksums",
    }
    assert {found[name] for name in ("files", "run files", "weights format", "checksums")} == {"not evidenced"}


def test_failed_runs_are_checked_too(tmp_path):
    write_folder(tmp_path, [run_document(0, 4.0, 90.0), failed_run(1, "no space left in /home/ada/x")])
    assert set(states(tmp_path).values()) == {"pass"}


def test_data_and_a_split_that_the_rules_do_not_pin_are_not_evidenced(tmp_path):
    files = [{"name": "draws.bin", "sha256": "1" * 64, "bytes": 5}]
    run = run_document(0, 4.0, 90.0, datasets=[{"name": "synthetic", "files": files}], metrics={"forecast.mae": 1.0})
    run["task"] = {"dataset": "synthetic", "supervision": "semi-supervised", "labels": 50}
    write_folder(tmp_path, [run])
    found = states(tmp_path)
    assert {name for name, state in found.items() if state != "pass"} == {
        "rules.data",
        "rules.split",
        "band.forecast.mae",
    }
    assert {found[name] for name in ("rules.data", "rules.split", "band.forecast.mae")} == {"not evidenced"}
    rewrite(tmp_path, lambda found: found["datasets"][0]["files"].clear())
    assert failed(tmp_path) == {"run files", "rules.data"}


def test_an_unfinished_folder_says_so(folder):
    before = (folder / checksums.SUMS).read_bytes()
    (folder / checksums.MARKER).write_text("{}")
    assert failed(folder) == {"complete"}
    checksums.write_sha256sums(folder)  # as a workflow does, that takes the marker away last
    assert (folder / checksums.SUMS).read_bytes() == before
    (folder / checksums.MARKER).unlink()
    assert failed(folder) == set()


def test_checking_writes_nothing(folder):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
    integrity.check(folder, RULES)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")} == before


# Tampering


def test_an_edited_aggregate(folder):
    rewrite(folder, lambda found: found["metrics"]["forecast.mae"].update(value=1.0))
    assert failed(folder) == {"aggregates"}


@pytest.mark.parametrize(("key", "value"), [("sd", 0.1), ("ci95", 0.1), ("n", 5), ("sd", None)])
def test_an_edited_uncertainty(folder, key, value):
    rewrite(folder, lambda found: found["metrics"]["forecast.mae"].update({key: value}))
    assert failed(folder) == {"aggregates"}


def test_an_edited_run_with_its_aggregate(folder):
    def change(found):
        found["runs"][0]["metrics"]["forecast.mae"] = 1.0
        found["metrics"] = assemble.aggregate(found["runs"], RULES.metrics)

    rewrite(folder, change)
    assert failed(folder) == {"run files"}
    detail = next(item.detail for item in integrity.check(folder, RULES) if item.name == "run files")
    assert detail == "/runs is not what runs/*/run.json give at 0 at metrics/forecast.mae: 1.0, there 4.0"


def test_an_edited_config(folder):
    rewrite(folder, lambda found: found["config"].update(window_days=7))
    assert failed(folder) == {"run files"}
    rewrite(folder, lambda found: found["config"].update(window_days=21))
    assert failed(folder) == {"run files", "rules.division"}


def test_an_edited_config_json(folder):
    path = folder / "runs" / "0" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "window_days": 7}))
    assert failed(folder) == {"files", "run files", "checksums"}


def test_an_edit_without_a_new_id(folder):
    rewrite(folder, lambda found: found["submitter"].update(name="Somebody Else"), identify=False)
    assert failed(folder) == {"id"}


@pytest.mark.parametrize("same_size", [True, False])
def test_exchanged_weights(folder, same_size):
    path = folder / "runs" / "1" / "model.safetensors"
    path.write_bytes(compute.weights(1.0, 99.0) if same_size else b"x")
    broken = set() if same_size else {"weights format"}
    assert failed(folder) == {"files", "checksums"} | broken
    checksums.write_sha256sums(folder)
    assert failed(folder) == {"files"} | broken


def test_exchanged_weights_with_every_list_corrected(folder):
    (folder / "runs" / "1" / "model.safetensors").write_bytes(b"better weights")
    rewrite(folder, lambda found: found.update(files=assemble.files(folder)))
    assert failed(folder) == {"weights"}


def test_weights_of_one_run_moved_to_the_other(folder):
    first = folder / "runs" / "0" / "model.safetensors"
    (folder / "runs" / "1" / "model.safetensors").write_bytes(first.read_bytes())
    rewrite(folder, lambda found: found.update(files=assemble.files(folder)))
    assert failed(folder) == {"weights"}


def test_a_missing_and_an_extra_file(folder):
    (folder / "figures" / "levels.png").unlink()
    assert failed(folder) == {"files", "checksums"}
    (folder / "figures" / "levels.png").write_bytes(b"\x89PNG and so on")
    (folder / "runs" / "0" / "extra.bin").write_bytes(b"x")
    assert failed(folder) == {"files", "checksums"}
    (folder / "runs" / "0" / "extra.bin").unlink()
    (folder / "extra.html").write_bytes(b"x")
    assert failed(folder) == {"checksums"}


def test_a_hidden_run(folder):
    write_run(folder, run_document(2, 100.0, 1.0))
    assert failed(folder) == {"files", "run files", "checksums"}


def test_a_bad_run_taken_out(folder):
    def change(found):
        found["runs"].pop()
        found["metrics"] = assemble.aggregate(found["runs"], RULES.metrics)

    rewrite(folder, change)
    assert failed(folder) == {"run files"}


@pytest.mark.parametrize(
    ("change", "items"),
    [
        (lambda found: found["datasets"][0]["files"][0].update(sha256="f" * 64), {"run files", "rules.data"}),
        (lambda found: found["datasets"][0]["files"].pop(), {"run files", "rules.data"}),
        (lambda found: found["datasets"][0].update(name="synthetic"), {"run files", "rules.data"}),
        (lambda found: found["runs"][0].update(split_sha256="f" * 64), {"run files", "rules.split"}),
        (lambda found: found["runs"][1].update(seed=7), {"run files", "rules.seeds"}),
        (lambda found: found["runs"][1].update(seed=0, label_seed=0), {"run files", "rules.seeds"}),
        (lambda found: found["challenge"].update(departures=["damping"]), {"rules.division"}),
        (lambda found: found["challenge"].update(rules_version=4), {"rules.version"}),
        (lambda found: found["challenge"].update(id="other-paper"), {"rules.challenge"}),
        (lambda found: found["paper"].update(title="Another paper"), {"rules.challenge"}),
        (lambda found: found["task"].update(dataset="moon"), {"run files", "rules.task"}),
        (lambda found: found["config"].pop("season"), {"run files", "rules.config"}),
        (lambda found: found["metrics"]["flood.recall"].update(unit="1"), {"rules.units"}),
        (lambda found: found["metrics"]["flood.recall"].update(direction="lower"), {"rules.units"}),
        (lambda found: found["metrics"].pop("flood.recall"), {"aggregates"}),
        (lambda found: found["runs"][0].update(epochs=700), {"run files", "rules.runs"}),
        (lambda found: found["runs"][0].update(images_per_second=1e9), {"run files", "rules.throughput"}),
        (lambda found: found["provenance"].update(command="cm --data=/home/ada/x"), {"privacy"}),
        (lambda found: found["provenance"].update(command="cm --to=ada@enigma"), {"privacy"}),
        (lambda found: found["files"].append(found["files"][0]), {"files"}),
        (lambda found: found["files"][0].update(bytes=1), {"files"}),
    ],
)
def test_each_edit_is_caught_by_the_item_that_is_about_it(folder, change, items):
    rewrite(folder, change)
    assert failed(folder) == items


METHODS = {"season": model.Methods("wet, warm", {"dry": ("flood.recall",)})}


def test_what_another_method_cannot_have_is_neither_asked_nor_allowed(folder):
    rules = dataclasses.replace(RULES, methods=METHODS)

    def state(found):
        return {item.name: item for item in integrity.check_document(found, rules)}["rules.metrics"]

    found = json.loads((folder / "result.json").read_text())
    assert state(found).state == "pass"
    found["config"]["season"] = "dry"
    assert state(found).state == "fail"
    assert "/runs/0 has flood.recall, which dry has not" in state(found).detail
    for run in found["runs"]:
        del run["metrics"]["flood.recall"]
    assert state(found).state == "pass"
    found["config"]["season"] = "wet, warm"
    assert "/runs/0 has no flood.recall" in state(found).detail


def test_a_metric_that_came_later_is_not_asked_of_older_results(folder):
    newer = dataclasses.replace(RULES.metrics["flood.recall"], since=3)
    rules = dataclasses.replace(RULES, metrics={**RULES.metrics, "flood.recall": newer})
    found = json.loads((folder / "result.json").read_text())
    for run in found["runs"]:
        del run["metrics"]["flood.recall"]

    def items():
        return {item.name: item for item in integrity.check_document(found, rules)}

    assert "/runs/0 has no flood.recall" in items()["rules.metrics"].detail  # made under version 3, which has it
    found["challenge"]["rules_version"] = 2
    assert items()["rules.metrics"].state == "pass"
    assert "all 1 metrics" in items()["rules.metrics"].detail
    assert items()["band.flood.recall"].state == "not evidenced"
    del found["runs"][0]["metrics"]["forecast.mae"]
    assert "/runs/0 has no forecast.mae" in items()["rules.metrics"].detail


@pytest.mark.parametrize("since", ["0", "4", "true", "soon"])
def test_a_metric_comes_with_a_version_of_the_rules(tmp_path, since):
    text = (RULES.folder / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(text.replace("flood.recall: {unit", f"flood.recall: {{since: {since}, unit"))
    with pytest.raises(ValueError, match=r"metrics\.flood\.recall\.since is .*, expected a rules_version from 1 to 3"):
        load.challenge(tmp_path)
    (tmp_path / "rules.yaml").write_text(text.replace("flood.recall: {unit", "flood.recall: {since: 3, unit"))
    assert load.challenge(tmp_path).metrics["flood.recall"].since == 3


def test_a_result_is_judged_by_the_rules_that_it_was_made_under_where_they_are_kept(folder):
    found = json.loads((folder / "result.json").read_text())
    key = next(key for key, pin in RULES.pinned.items() if pin.values)
    other = dataclasses.replace(RULES, rules_version=4, pinned={**RULES.pinned, key: model.Pin(values=("other",))})
    kept = dataclasses.replace(other, earlier=(RULES,))
    assert judged(found, other)[1].state == "fail"
    assert judged(found, kept)[1].state == "pass"  # made under version 3, which is kept
    found["challenge"]["rules_version"] = 4
    assert judged(found, kept)[1].state == "fail"
    assert key in judged(found, kept)[1].detail
    assert kept.of(found) is kept


def test_earlier_rules_are_read_beside_the_newest(tmp_path):
    text = (RULES.folder / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(text)
    (tmp_path / "rules-2.yaml").write_text(text.replace("rules_version: 3", "rules_version: 2"))
    (tmp_path / "rules-1.yaml").write_text(text.replace("rules_version: 3", "rules_version: 1"))
    read = load.challenge(tmp_path)
    versions = [read.of({"challenge": {"rules_version": made}}).rules_version for made in (1, 2, 3, 4)]
    assert versions == [1, 2, 3, 3]


@pytest.mark.parametrize(("name", "version"), [("rules-3.yaml", 3), ("rules-2.yaml", 1), ("rules-old.yaml", 2)])
def test_earlier_rules_are_named_by_their_version(tmp_path, name, version):
    text = (RULES.folder / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(text)
    (tmp_path / name).write_text(text.replace("rules_version: 3", f"rules_version: {version}"))
    with pytest.raises(ValueError, match=rf"{name}: holds rules {version} of .*; expected those of .* older than 3"):
        load.challenge(tmp_path)


def test_other_values_may_be_pinned_where_a_key_has_a_certain_value():
    (task, *_) = RULES.tasks
    where = model.Where({"season": "dry", "soil": "clay"}, {"epochs": model.Pin(values=(5,))})
    rules = dataclasses.replace(RULES, pinned_where=(where,))
    config = {**CONFIG, "epochs": 5, "soil": "clay"}
    assert rules.departures(task, "all", {**config, "season": "wet"}) == RULES.departures(task, "all", config)
    assert "epochs" in rules.departures(task, "all", {**config, "season": "wet"})
    assert "epochs" not in rules.departures(task, "all", {**config, "season": "dry"})
    assert "epochs" in rules.departures(task, "all", {**config, "epochs": 7, "season": "dry"})
    assert "epochs" in rules.departures(task, "all", {**config, "season": "dry", "soil": "sand"})


def test_a_key_may_leave_older_results_unnamed():
    methods = {**METHODS, "recipe": model.Methods("paper", {}, unnamed=True)}
    rules = dataclasses.replace(RULES, methods=methods)
    assert rules.method({"season": "dry"}) == "dry"
    assert rules.method({"season": "dry", "recipe": "own"}) == "dry, own"
    assert rules.method({}) == "wet, warm"
    assert rules.other_method({}) == ""
    assert rules.other_method({"recipe": "own"}) == "recipe own (the paper's: paper)"


def test_an_older_version_of_the_rules_is_said(folder):
    rewrite(folder, lambda found: found["challenge"].update(rules_version=2))
    assert states(folder)["rules.version"] == "not evidenced"


WITH_A_NEW_KEY = dataclasses.replace(
    RULES,
    config={**RULES.config, "altitude": "number"},
    added={"altitude": model.Added(3, 80.0)},
    pinned={**RULES.pinned, "altitude": model.Pin(values=(80.0,))},
)


def judged(found, rules=WITH_A_NEW_KEY):
    items = {item.name: item for item in integrity.check_document(found, rules)}
    return items["rules.config"].state, items["rules.division"]


def test_some_label_counts_have_pins_of_their_own():
    (task, *_), config = RULES.tasks, {**CONFIG, "epochs": 9}
    assert RULES.departures(task, 50, config) == []
    assert RULES.departures(task, "all", config) == ["epochs"]
    assert RULES.departures(task, 50, {**CONFIG, "epochs": 7}) == ["epochs"]
    assert str(RULES.pins(task, 50)["epochs"]) == "9"


def test_a_result_from_before_a_key_counts_as_having_what_all_had_then(folder):
    found = json.loads((folder / "result.json").read_text())
    assert judged(found)[0] == "fail"  # made under version 3, which has the key
    found["challenge"]["rules_version"] = 2
    assert [judged(found)[0], judged(found)[1].state] == ["pass", "pass"]
    higher = dataclasses.replace(WITH_A_NEW_KEY, pinned={**RULES.pinned, "altitude": model.Pin(values=(90.0,))})
    config, division = judged(found, higher)
    assert (config, division.state) == ("pass", "fail")
    assert "closed division, but altitude is 80.0, pinned: 90.0" in division.detail
    found["challenge"] |= {"division": "open", "departures": ["season"]}
    found["config"]["window_days"] = 3
    assert judged(found, higher)[1].state == "fail"
    found["challenge"]["departures"] = ["window_days"]  # nobody could state a departure in a key that was not there
    assert judged(found, higher)[1].state == "pass"
    found["config"]["altitude"] = 80.0
    assert judged(found, higher)[1].state == "fail"
    found["config"]["altitude"] = 90.0  # stated, whatever the version: that is what counts
    assert judged(found, higher)[1].state == "pass"


def test_the_same_settings_are_the_same_variant_before_and_after_a_key_came(folder):
    prepare = pytest.importorskip("ie_crowd.store.records")
    found = json.loads((folder / "result.json").read_text())
    found["challenge"] |= {"division": "open", "rules_version": 2}
    old = prepare.variant(found, WITH_A_NEW_KEY)
    found["challenge"]["rules_version"] = 3
    found["config"]["altitude"] = 80.0
    assert prepare.variant(found, WITH_A_NEW_KEY) == old
    found["config"]["altitude"] = 81.0
    assert prepare.variant(found, WITH_A_NEW_KEY) != old


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("{depth: {version: 3, before: 1}}", "added is 'depth', expected keys that config lists"),
        ("{epochs: {version: 4, before: 1}}", "added.epochs.version is 4, expected a rules_version from 2 to 3"),
        ("{epochs: {version: true, before: 1}}", "added.epochs.version is True"),
        ("{epochs: {version: 2, before: often}}", "added.epochs.before is 'often', expected integer"),
        ("{epochs: {version: 2}}", "expected the keys: version before"),
    ],
)
def test_a_wrong_list_of_added_keys_is_one_line(tmp_path, added, said):
    text = (RULES.folder / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(f"{text}\nadded: {added}\n")
    with pytest.raises(ValueError, match=re.escape(said)):
        load.challenge(tmp_path)


def leaves(value, place=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*place, index))
    else:
        yield place


def test_every_single_edit_breaks_the_identity(folder):
    original = (folder / "result.json").read_text()
    places = list(leaves(json.loads(original)))
    assert len(places) > 100
    for place in places:
        if place == ("id",):
            continue
        found = json.loads(original)
        parent = found
        for step in place[:-1]:
            parent = parent[step]
        old = parent[place[-1]]
        parent[place[-1]] = (not old) if isinstance(old, bool) else old + 1 if isinstance(old, (int, float)) else "x"
        (folder / "result.json").write_text(json.dumps(found))
        assert failed(folder) & {"schema", "id"}, place


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(extra=1),
        lambda found: found.pop("system"),
        lambda found: found["runs"][0].update(extra=1),
        lambda found: found["system"].update(hostname="x"),
        lambda found: found["system"]["cores"].update(virtual=1),
        lambda found: found["submitter"].update(mail="x"),
        lambda found: found["files"][0].update(path="runs/../../x"),
        lambda found: found["files"][0].update(path="/etc/passwd"),
        lambda found: found["files"][0].update(path="result.json"),
        lambda found: found["files"][0].update(path="runs/0/.hidden"),
        lambda found: found["files"][0].update(path="runs\\0"),
        lambda found: found["challenge"].update(id="../x"),
        lambda found: found.update(schema_version=2),
        lambda found: found.update(schema_version=True),
        lambda found: found["runs"].clear(),
        lambda found: found["runs"].extend(found["runs"] * 600),
        lambda found: found["metrics"].update({"Bad Name": found["metrics"]["flood.recall"]}),
        lambda found: found["metrics"]["flood.recall"].update(n=1.5),
        lambda found: found["metrics"]["flood.recall"].update(value="80"),
        lambda found: found["metrics"]["flood.recall"].update(value=True),
        lambda found: found["cost"].update(wall_seconds=-1),
        lambda found: found["config"].update(x=[1]),
        lambda found: found["config"].update(x={"y": 1}),
        lambda found: found["config"].update({"a" * 65: 1}),
        lambda found: found["provenance"].update(repository="https://ada:pw@example.org/x"),
        lambda found: found["provenance"].update(repository="javascript:alert(1)"),
        lambda found: found["submitter"].update(name="a" * 81),
        lambda found: found["software"][0].update(version="file:///home/ada/x"),
    ],
)
def test_what_the_schema_refuses(folder, change):
    rewrite(folder, change)
    items = integrity.check(folder, RULES)
    assert [(item.name, item.state) for item in items] == [("schema", "fail")]
    assert "\n" not in items[0].detail
    assert len(items[0].detail) < 400


# Hostile documents


def read(tmp_path, content, limits=strict.RESULT):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    return strict.read_json(path, limits, within=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "is not JSON"),
        (b'{"a": 1', "is not JSON"),
        (b'{"a": "b', "is not JSON"),
        (b'{"a": 1} {"b": 2}', "Extra data"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": -1e999}', "too large"),
        (b'{"a": 9007199254740992}', "beyond 2^53"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "beyond 2^53"),
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b'{"b": {"a": 1, "\\u0061": 2}}', "'a' appears twice"),
        ('{"a": "é"}'.encode("latin-1"), "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "is not JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
        (b'{"a": "\\ud800"}', "U+D800"),
        (b'{"a": "\\u0000"}', "U+0000"),
        (b'{"a\\u001b[2J": 1}', "U+001B"),
        (b'{"a": "line\\nline"}', "U+000A"),
        ('{"a": "\u202egnp.exe"}'.encode(), "U+202E"),
        (b'{"a": "\n"}', "is not JSON"),
        (b"[" * 100_000, "nested more than"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested more than"),
        (b"[" + b"[]," * 300_000 + b"0]", "more than 100,000 values"),
        (b"[" + b"0," * 300_000 + b"0]", "more than 100,000 values"),
        (b'["' + b"x" * 10_000 + b'"]', "a string of 10,000 characters"),
        (b"'a'", "is not JSON"),
        (b'{"a": 01}', "is not JSON"),
    ],
)
def test_hostile_documents_are_one_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=r"result\.json: ") as caught:
        read(tmp_path, content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_huge_sparse_file_costs_nothing(tmp_path):
    path = tmp_path / "result.json"
    with path.open("wb") as file:
        file.truncate(2**30)
    tracemalloc.start()
    with pytest.raises(ValueError, match="holds 1,073,741,824 bytes, at most 4,194,304 are read"):
        strict.read_json(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_the_largest_document_that_is_read_stays_small_in_memory(tmp_path):
    content = b"[" + b",".join([b'"' + b"x" * 3990 + b'"'] * 900) + b',{"a":{}}' * 30_000 + b"]"
    tracemalloc.start()
    assert len(read(tmp_path, content)) == 30_900
    assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    tracemalloc.stop()


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    home, outside = tmp_path / "home", tmp_path / "outside"
    write_folder(outside)
    home.mkdir()
    (home / "result.json").symlink_to(outside / "result.json")
    with pytest.raises(ValueError, match="symbolic link, which is not followed"):
        integrity.check(home, RULES)
    (home / "result.json").unlink()
    (home / "result.json").write_bytes((outside / "result.json").read_bytes())
    for name in ("runs", "figures"):
        (home / name).symlink_to(outside / name)
    assert {"files", "run files"} <= failed(home)
    (home / checksums.SUMS).write_bytes((outside / checksums.SUMS).read_bytes())
    assert "checksums" in failed(home)


def test_a_link_in_the_folder_is_refused(folder):
    (folder / "runs" / "0" / "model.safetensors").unlink()
    (folder / "runs" / "0" / "model.safetensors").symlink_to(folder / "runs" / "1" / "model.safetensors")
    assert failed(folder) == {"files", "checksums", "weights format"}
    with pytest.raises(ValueError, match="is a symbolic link"):
        checksums.write_sha256sums(folder)
    with pytest.raises(ValueError, match="is a symbolic link"):
        assemble.files(folder)


def test_a_results_folder_behind_a_link_is_fine(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert set(states(tmp_path / "link").values()) == {"pass"}


def test_pipes_and_folders_in_the_place_of_files(folder):
    path = folder / "runs" / "0" / "metrics.jsonl"
    path.unlink()
    os.mkfifo(path)  # opening it must not wait for a writer
    assert failed(folder) == {"files", "checksums"}
    (folder / "result.json").unlink()
    os.mkfifo(folder / "result.json")
    with pytest.raises(ValueError, match="is not a regular file"):
        integrity.check(folder, RULES)
    (folder / "result.json").unlink()
    (folder / "result.json").mkdir()
    with pytest.raises(ValueError, match=r"result\.json: "):
        integrity.check(folder, RULES)


def test_hostile_lists_of_sums(folder):
    good = (folder / checksums.SUMS).read_text()
    for bad in (
        good[:-1],  # cut off
        good + good,
        good + "x\n",
        good + f"{'a' * 64}  ../outside\n",
        good + f"{'a' * 64}  /etc/passwd\n",
        good + f"\\{'a' * 64}  a\\nb\n",
        good.replace("  ", "\t"),
        good.upper(),
        "",
    ):
        (folder / checksums.SUMS).write_text(bad)
        assert failed(folder) == {"checksums"}, bad[-80:]
    (folder / checksums.SUMS).write_bytes(b"\xff")
    assert failed(folder) == {"checksums"}


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\x1b[2J", " a", "a ", "a\u202eb"])
def test_names_that_no_list_can_hold_are_refused(folder, name):
    (folder / name).touch()
    with pytest.raises(ValueError, match="a name with control characters"):
        checksums.write_sha256sums(folder)
    assert "checksums" in failed(folder)


def test_a_name_that_is_not_unicode_is_refused(folder):
    if sys.platform != "linux":
        pytest.skip("only Linux allows any bytes in a name")
    (folder / os.fsdecode(b"\xff.png")).touch()
    with pytest.raises(ValueError, match="a name with control characters"):
        checksums.write_sha256sums(folder)


def test_a_name_that_the_schema_refuses_is_named(folder):
    (folder / "figures" / "my figure.png").touch()
    with pytest.raises(ValueError, match=r"/files/1/path: 'figures/my figure\.png' does not match"):
        assemble.assemble(folder, challenge=RULES, **assemble.facts_of(strict.read_json(folder / "result.json")))


def test_deep_folders_end(folder):
    deep = folder / "runs" / "0" / "/".join("d" * 20)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    assert failed(folder) == {"files", "checksums"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
)
def test_the_reader_gives_a_document_or_one_line(content):
    try:
        found = strict.parse_json(content)
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        assert json.loads(canonical_json.canonical(found), parse_int=float) == found
    assert "\n" not in message


@given(data=st.data())
def test_a_document_with_any_part_replaced_never_breaks_the_check(tmp_path_factory, data):
    home = tmp_path_factory.getbasetemp() / "mutated"
    if not home.exists():
        write_folder(home)
        shutil.copy(home / "result.json", home.parent / "original.json")
    found = json.loads((home.parent / "original.json").read_text())
    place = data.draw(st.sampled_from([place[:depth] for place in leaves(found) for depth in range(1, len(place) + 1)]))
    parent = found
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = data.draw(json_values)
    (home / "result.json").write_text(json.dumps(found), encoding="utf-8")
    try:
        messages = [item.detail for item in integrity.check(home, RULES)]
    except ValueError as error:
        messages = [str(error)]
    assert not any("\n" in message for message in messages)


# The command line


def check(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "cm-repo"), "PYTHONIOENCODING": "ascii"}
    argv = [sys.executable, "-m", "ie_crowd", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, env=environment, check=False, timeout=60)


def test_the_command_end_to_end(folder):
    done = check("check", folder, "--challenge", TOY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nIntegrity: 10 pass\nValidity: 16 pass\n" in done.stdout
    rewrite(folder, lambda found: found["metrics"]["forecast.mae"].update(value=1.0))
    done = check("check", folder, "--challenge", TOY, "--json")
    assert done.returncode == 1
    [item] = [item for item in json.loads(done.stdout)["items"] if item["state"] == "fail"]
    assert item == {
        "name": "aggregates",
        "state": "fail",
        "evidence": "/metrics",
        "detail": "/metrics/forecast.mae/value is 1.0, the runs give 5.0",
        "group": "integrity",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["chekc", "x"], "invalid choice"),
        (["check"], "the following arguments are required: DIR"),
        (["check", "x", "--jason"], "unrecognized arguments: --jason"),
        (["check", "x", "--js"], "unrecognized arguments: --js"),
        (["check", "no such\nfolder"], "is not a folder"),
        (["check", "a\x00b"], "is not a folder"),
        (["check", "."], "result.json: cannot be read (no such file or directory)"),
        (["check", ".", "--challenge", "."], "rules.yaml: cannot be read"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    try:
        code = command_line.main(arguments)
    except SystemExit as ended:
        code = ended.code
    out = capsys.readouterr()
    assert (code, out.out) == (2, "")
    assert out.err.startswith("ie_crowd: error: ")
    assert message in out.err
    assert out.err.count("\n") == 1


def test_a_result_of_an_unknown_challenge(folder, capsys):
    assert command_line.main(["check", str(folder)]) == 2
    assert (
        "no challenge 'river-levels' here; known: ie-repr, own-data; or pass --challenge FOLDER"
        in capsys.readouterr().err
    )


def test_help_shows_examples(capsys):
    for arguments in (["--help"], ["check", "--help"]):
        with pytest.raises(SystemExit) as ended:
            command_line.main(arguments)
        assert ended.value.code == 0
        assert "ie-crowd check" in capsys.readouterr().out


def test_the_config_of_the_toy_is_what_the_tests_say():
    assert RULES.departures(RULES.tasks[0], "all", CONFIG) == []

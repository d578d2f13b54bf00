"""Assembly of result.json: aggregates by hand, the same id again, and what is refused before anything is written."""

import json
import math
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ie_crowd.artifact import assemble
from ie_crowd.challenge import load
from ie_crowd.formats import canonical_json, schema, strict
from ie_crowd.result import aggregate
from ie_crowd.result import runs as run_documents
from ie_crowd.result.aggregate import mean_sd_ci95
from paths import TOY
from toy_challenge.make import CONFIG, FACTS, RULES, failed_run, run_document, write_folder, write_run

LIBRARY = Path(assemble.__file__).parent
HERE = load.find("ie-repr")


def completed(*values):
    return [{"status": "completed", "metrics": {"forecast.mae": value}} for value in values]


# Aggregates


def test_the_quantiles_of_t_are_those_of_scipy():
    from scipy.special import stdtrit

    for freedom in (*range(1, 40), 999):
        assert aggregate.t_quantile(freedom) == stdtrit(freedom, 0.975)  # to the last bit: results have these


def test_aggregate_by_hand():
    # mean 3, squared deviations 4 + 0 + 4, sd sqrt(8 / 2) = 2; t(0.975, 2) = 4.302653 from a printed table
    got = assemble.aggregate(completed(1, 3, 5), RULES.metrics)["forecast.mae"]
    assert (got["value"], got["sd"], got["n"]) == (3, 2, 3)
    assert got["ci95"] == pytest.approx(4.302653 * 2 / math.sqrt(3), rel=1e-6)
    assert (got["unit"], got["direction"]) == ("cm", "lower")


def test_two_runs_have_a_wide_interval():
    # sd of 4 and 6 is sqrt(2), so the half-width is t(0.975, 1) = 12.706205 times sqrt(2) / sqrt(2)
    assert assemble.aggregate(completed(4, 6), RULES.metrics)["forecast.mae"]["ci95"] == pytest.approx(
        12.706205, rel=1e-6
    )


def test_one_run_has_no_spread():
    got = assemble.aggregate(completed(4.5), RULES.metrics)["forecast.mae"]
    assert got == {"value": 4.5, "sd": None, "n": 1, "ci95": None, "unit": "cm", "direction": "lower"}


def test_failed_runs_are_not_averaged():
    runs = [*completed(4, 6), {"status": "failed", "metrics": {"forecast.mae": 1000}}]
    assert assemble.aggregate(runs, RULES.metrics)["forecast.mae"]["value"] == 5


def test_a_metric_that_some_runs_lack_counts_those_that_have_it():
    runs = [*completed(4), {"status": "completed", "metrics": {"flood.recall": 50}}]
    got = assemble.aggregate(runs, RULES.metrics)
    assert {name: metric["n"] for name, metric in got.items()} == {"forecast.mae": 1, "flood.recall": 1}


def test_a_metric_without_rules_is_named():
    with pytest.raises(ValueError, match=r"'forecast\.mea' is not in the rules; known: forecast\.mae"):
        assemble.aggregate([{"status": "completed", "metrics": {"forecast.mea": 1}}], RULES.metrics)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.randoms())
def test_the_order_of_the_runs_does_not_matter(values, random):
    shuffled = random.sample(values, len(values))
    assert mean_sd_ci95(values) == mean_sd_ci95(shuffled)


# Canonical form and identity


@pytest.mark.parametrize(
    ("value", "text"),
    [  # the samples of RFC 8785 (appendix B) and the edges of ECMAScript's notation
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-1.7976931348623157e308, "-1.7976931348623157e+308"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1.0000000000000001e23, "1.0000000000000001e+23"),
        (999999999999999700000.0, "999999999999999700000"),
        (1e21, "1e+21"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (0.000001, "0.000001"),
        (333333333.33333325, "333333333.33333325"),
        (1424953923781206.2, "1424953923781206.2"),
        (1e-7, "1e-7"),
        (100.0, "100"),
        (0.25, "0.25"),
        (-12.5, "-12.5"),
    ],
)
def test_numbers_are_written_as_ecmascript_does(value, text):
    assert canonical_json.canonical(value) == text.encode()
    assert float(text) == value


def test_canonical_documents():
    assert (
        canonical_json.canonical({"b": [1.0, True, None], "a": 'é\n\x1f"/'})
        == '{"a":"é\\n\\u001f\\"/","b":[1,true,null]}'.encode()
    )
    # RFC 8785 sorts by UTF-16 units: the surrogates of an emoji come before U+FB33, though its code point is larger
    assert list(json.loads(canonical_json.canonical({"\ufb33": 1, "\U0001f600": 2}))) == ["\U0001f600", "\ufb33"]
    for odd in (float("nan"), float("inf"), 2**53, "\ud800", {1: 2}, {1, 2}, b"x"):
        with pytest.raises(ValueError, match=r"canonical form|not a JSON number|beyond"):
            canonical_json.canonical(odd)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_canonical_number_is_the_same_number(value):
    assert float(canonical_json.canonical(value)) == value


def test_identity_covers_everything_but_itself():
    base = {"id": "x", "a": 1, "b": {"c": [1, 2]}}
    assert canonical_json.identity(base) == canonical_json.identity({"b": {"c": [1.0, 2]}, "a": 1, "id": "y"})
    assert canonical_json.identity(base) != canonical_json.identity({**base, "b": {"c": [2, 1]}})


# Assembly


def test_a_result_is_valid_and_written_as_it_is_returned(tmp_path):
    assembled = write_folder(tmp_path)
    assert strict.read_json(tmp_path / "result.json") == assembled
    assert schema.problems(assembled) == []
    assert assembled["metrics"]["forecast.mae"]["value"] == 5
    assert assembled["config"] == CONFIG  # without the seeds, which the runs have
    assert [(run["seed"], run["label_seed"]) for run in assembled["runs"]] == [(0, 0), (1, 1)]
    assert assembled["challenge"] == {"id": "river-levels", "rules_version": 3, "division": "closed", "departures": []}
    assert [file["path"] for file in assembled["files"]][:3] == [
        "figures/levels.png",
        "runs/0/config.json",
        "runs/0/metrics.jsonl",
    ]


def test_the_same_run_gives_the_same_bytes_and_id(tmp_path):
    first = write_folder(tmp_path)
    content = (tmp_path / "result.json").read_bytes()
    again = assemble.assemble(tmp_path, challenge=RULES, **assemble.facts_of(first))
    assert again["id"] == first["id"]
    assert (tmp_path / "result.json").read_bytes() == content


def test_another_value_gives_another_id(tmp_path):
    first = write_folder(tmp_path / "a", [run_document(0, 4.0, 90.0)])
    second = write_folder(tmp_path / "b", [run_document(0, 4.0000001, 90.0)])
    assert first["id"] != second["id"]


def test_eleven_runs_keep_their_order(tmp_path):
    assembled = write_folder(tmp_path, [run_document(number, 4.0 + number, 90.0) for number in range(11)])
    assert [run["seed"] for run in assembled["runs"]] == list(range(11))  # not 0, 1, 10, 2, …


def test_hidden_files_are_no_part_of_a_result(tmp_path):
    first = write_folder(tmp_path)
    (tmp_path / "runs" / "0" / ".lock").touch()
    (tmp_path / "figures" / ".DS_Store").touch()
    assert assemble.assemble(tmp_path, challenge=RULES, **FACTS)["id"] == first["id"]


def test_a_failed_run_is_listed_with_a_scrubbed_reason(tmp_path):
    error = "cannot open '/home/ada/my data/levels.csv' at ~/rivers/load.py"
    assembled = write_folder(tmp_path, [run_document(0, 4.0, 90.0), failed_run(1, error)])
    assert assembled["runs"][1]["error"] == "cannot open '<path>' at <path>"
    assert assembled["runs"][1]["metrics"] == {}
    assert assembled["metrics"]["forecast.mae"]["n"] == 1


def test_departures_make_it_open_and_closed_is_then_refused(tmp_path):
    config = {**CONFIG, "window_days": 30, "damping": None, "seed": 0, "label_seed": 0}
    assembled = write_folder(tmp_path, [run_document(0, 4.0, 90.0, config=config)])
    assert assembled["challenge"]["division"] == "open"
    assert assembled["challenge"]["departures"] == ["damping", "window_days"]
    with pytest.raises(ValueError, match=r"closed division, but damping is None, pinned: 0\.1 to 0\.5"):
        assemble.assemble(tmp_path, challenge=RULES, division="closed", **FACTS)


def test_an_unusual_label_count_is_open(tmp_path):
    task = {"dataset": "gauges", "supervision": "supervised", "labels": 60}
    assembled = write_folder(tmp_path, [run_document(0, 4.0, 90.0, task=task)])
    assert assembled["challenge"] == {
        "id": "river-levels",
        "rules_version": 3,
        "division": "open",
        "departures": ["labels"],
    }


def refused(tmp_path, *runs):
    """The message with which assembling these runs is refused; nothing may have been written."""
    with pytest.raises(ValueError, match=r".") as caught:
        write_folder(tmp_path, list(runs))
    assert not (tmp_path / "result.json").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "trained"}, "status is 'trained', expected completed or failed"),
        ({"format": 2}, "is not a run of format 1"),
        ({"format": True}, "is not a run of format 1"),
        ({"metrics": {"forecast.mae": 4.0}}, "has no flood.recall"),
        ({"metrics": {"forecast.mae": "4", "flood.recall": 1}}, "'forecast.mae' is '4', expected a number"),
        ({"metrics": {"forecast.mae": True, "flood.recall": 1}}, "'forecast.mae' is True, expected a number"),
        ({"metrics": {"forecast.mae": 4, "flood.recall": 100.5}}, "is 100.5, expected 0 to 100"),
        ({"metrics": {"forecast.mae": -1, "flood.recall": 1}}, "is -1, expected 0 to 1000"),
        ({"metrics": {"forecast.mae": float("nan"), "flood.recall": 1}}, "NaN is not a JSON number"),
        ({"metrics": {"mae": 1}}, "metric 'mae' is not in the rules"),
        ({"metrics": []}, "metrics is list, expected dict"),
        ({"task": {"dataset": "seas", "supervision": "supervised", "labels": "all"}}, "no task seas"),
        ({"task": {"dataset": "gauges", "labels": "all"}}, "required"),
        ({"config": {**CONFIG, "seed": 0, "label_seed": 0, "colour": 1}}, "unknown key 'colour'"),
        ({"config": {**CONFIG, "seed": 0, "label_seed": 0, "season": "/home/ada"}}, "/config/season: '/home/ada'"),
        ({"config": {**CONFIG, "seed": 0, "label_seed": 0, "season": 3}}, "season is 3, expected string"),
        ({"config": {**CONFIG, "seed": 0, "label_seed": 0, "detrend": 1}}, "detrend is 1, expected boolean"),
        ({"config": {**CONFIG, "seed": 0, "label_seed": 0, "damping": [0.25]}}, "/config/damping: [0.25]"),
        ({"config": {**CONFIG, "seed": False, "label_seed": 0}}, "seed is 0, but its config says False"),
        ({"config": {**CONFIG, "seed": 5, "label_seed": 0}}, "seed is 0, but its config says 5"),
        ({"epochs": 6}, "6 epochs, config says 7"),
        ({"label_seed": None}, "label_seed is None, but its config says 0"),
        ({"model_sha256": "F" * 64}, "/runs/0/model_sha256"),
        ({"model_sha256": None}, "completed, so error is null and model_sha256"),
        ({"split_sha256": "d" * 64}, "split_sha256 is dddddddddddd…, expected cccccccccccc…"),
        ({"datasets": []}, "/datasets: 0 long"),
        ({"datasets": [{"name": "gauges", "files": []}]}, "gauges: no file levels.csv"),
        ({"images_per_second": 1e9}, "is not believed"),
        ({"wall_seconds": -1}, "/runs/0/wall_seconds: -1"),
    ],
)
def test_a_bad_run_is_refused_in_one_line(tmp_path, changes, message):
    assert message in refused(tmp_path, run_document(0, 4.0, 90.0, **changes))


def test_runs_that_disagree_are_refused(tmp_path):
    other = run_document(1, 6.0, 80.0)
    other["config"]["damping"] = 0.3
    assert "runs/1: config damping is 0.3, in runs/0 it is 0.25" in refused(tmp_path, run_document(0, 4.0, 90.0), other)


def test_chosen_seeds_are_refused_in_the_closed_division(tmp_path):
    run = run_document(0, 4.0, 90.0, label_seed=9, config={**CONFIG, "seed": 0, "label_seed": 9})
    assert "run i has seed = label_seed = 0 + i" in refused(tmp_path, run)


def test_the_same_weights_twice_are_refused(tmp_path):
    first = run_document(0, 4.0, 90.0)
    assert "has the weights of /runs/0" in refused(
        tmp_path, first, run_document(1, 4.0, 90.0, model_sha256=first["model_sha256"])
    )


def test_no_completed_run_is_no_result(tmp_path):
    assert refused(tmp_path, failed_run(0, "out of memory")).endswith("out of memory")


def test_a_gap_a_folder_without_run_json_and_an_empty_folder_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no folder runs/"):
        run_documents.read_runs(tmp_path / "empty")
    write_run(tmp_path, run_document(1, 4.0, 90.0))
    with pytest.raises(ValueError, match="expected the folders 0, 1, 2, …; it holds 1"):
        run_documents.read_runs(tmp_path)
    (tmp_path / "runs" / "0").mkdir()
    with pytest.raises(ValueError, match=r"0/run\.json: cannot be read \(no such file"):
        run_documents.read_runs(tmp_path)


def test_facts_with_a_path_or_a_secret_do_not_get_in(tmp_path):
    for number, change in enumerate(
        [
            {"provenance": {**FACTS["provenance"], "repository": "https://ada:token@example.org/x"}},
            {"provenance": {**FACTS["provenance"], "host": "ada-laptop"}},
            {"system": {**FACTS["system"], "hostname": "ada-laptop"}},
            {"cost": {**FACTS["cost"], "wall_seconds": float("nan")}},
            {"created": "yesterday"},
            {"submitter": "<script>alert(1)</script>"},
            {"submitter": "a\nb"},
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_run(folder, run_document(0, 4.0, 90.0))
        with pytest.raises(ValueError, match=r"result\.json|not a JSON number"):
            assemble.assemble(folder, challenge=RULES, **{**FACTS, **change})
        assert not (folder / "result.json").exists()


def test_a_disk_that_refuses_leaves_the_old_result(tmp_path, monkeypatch):
    write_folder(tmp_path)
    before = (tmp_path / "result.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ValueError, match=r"result\.json: cannot be written \(no space left"):
        assemble.assemble(tmp_path, challenge=RULES, **{**FACTS, "submitter": None})
    assert (tmp_path / "result.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_cost_is_the_sum_over_the_runs():
    runs = [run_document(0, 4.0, 90.0), run_document(1, 6.0, 80.0)]
    got = assemble.cost(runs, download_bytes=5)
    assert (got["wall_seconds"], got["cpu_seconds"], got["peak_rss_bytes"], got["download_bytes"]) == (
        12.5,
        20.25,
        2**28,
        5,
    )
    assert assemble.cost([{"wall_seconds": None}])["cpu_seconds"] is None


def test_table(tmp_path):
    rows = assemble.table(write_folder(tmp_path))
    assert rows[0] == ("forecast.mae", "5.00 ± 12.71", "cm", "lower", 2)
    assert assemble.table(write_folder(tmp_path / "one", [run_document(0, 4.0, 90.0)]))[1].value == "90.00"


# The schema and the rules


def subschemas(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from subschemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from subschemas(value)


def test_the_schema_bounds_and_describes_everything():
    whole = json.loads(schema.SCHEMA.read_text(encoding="utf-8"))
    fields = 0
    for node in subschemas(whole):
        kinds = node.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
            continue  # a property that is named "type"
        if "object" in kinds:
            assert "additionalProperties" in node, node
            for name, field in node.get("properties", {}).items():
                fields += 1
                assert field.get("description", "").endswith((".", "]")), f"{name} has no description"
        if "string" in kinds:
            assert node["maxLength"] <= 2000, node
        if "array" in kinds:
            assert node["maxItems"] <= 10_000, node
        if {"integer", "number"} & set(kinds):
            assert {"minimum", "maximum"} <= set(node), node
    assert fields > 70


def test_no_pattern_of_the_schema_is_slow():
    patterns = {
        node["pattern"]
        for node in subschemas(json.loads(schema.SCHEMA.read_text()))
        if isinstance(node.get("pattern"), str)
    }
    assert len(patterns) > 10
    for pattern in patterns:  # the classic ways to make a pattern backtrack; the suite's time limit is the assertion
        for piece in ("a", "a.", "a-", "A ", "1.", "/a", "a/a", " ", "0", "https://a"):
            assert re.search(pattern, piece * 2000 + "<\x00") is None


def test_metrics_may_not_be_named_by_a_newline(tmp_path):
    good = write_folder(tmp_path)
    good["metrics"]["forecast.mae\n"] = good["metrics"].pop("forecast.mae")
    with pytest.raises(ValueError, match=r"U\+000A"):  # "$" in a pattern would let it through; the reader does not
        assemble.refuse(good, RULES)


def test_the_rules_here_are_the_defaults_of_the_model():
    config = pytest.importorskip("ie_model.config")
    rules = load.challenge(HERE)
    for task, labels in ((one, labels) for one in rules.tasks for labels in one.labels):
        values = config.Config.resolve(dataset=task.dataset, supervision=task.supervision, labels=labels).to_dict()
        expected = set(rules.config) | set(run_documents.PER_RUN)
        assert set(values) == expected, (
            "config.py and the keys of rules.yaml differ: update rules.yaml and rules_version"
        )
        assert rules.departures(task, values["labels"], values) == [], (
            "pins of rules.yaml are not the defaults of config.py"
        )
    assert {task.dataset for task in rules.tasks} <= set(config.DATASETS)


def test_the_files_here_have_the_hashes_of_the_model():
    fetch = pytest.importorskip("ie_model.data.fetch")
    rules = load.challenge(HERE)
    for name, files in fetch.FILES.items():
        pinned = {file: digest if len(digest) == 64 else None for file, digest in files.items()}  # an MD5 pins nothing
        assert dict(rules.datasets[name]) == pinned


def test_the_claims_here_are_about_known_tasks_and_metrics():
    rules = load.challenge(HERE)
    claims = strict.read_yaml(HERE / "claims.yaml")["claims"]
    tasks = {f"{task.dataset}/{task.supervision}": task for task in rules.tasks}
    assert len({claim["id"] for claim in claims}) == len(claims)
    for claim in claims:
        assert claim["comparison"] in ("at-most", "at-least", "below-metric", "near-chance")
        for task in claim["tasks"]:
            assert claim["metric"] in tasks[task].metrics, claim["id"]
        if claim["source"] == "not available":
            assert claim["value"] is None, "a number needs a source"
            assert claim["tolerance"] is None
        else:
            assert {"threshold", "tolerance"} <= set(claim), claim["id"]


def test_the_challenge_is_an_artifact_of_cm():
    meta = yaml.safe_load((HERE / "_cm.yaml").read_text())
    repository = yaml.safe_load((HERE.parents[1] / "cmr.yaml").read_text())
    assert (meta["automation_alias"], meta["automation_uid"]) == ("challenge", "3d84abd768f34e08")
    for uid in (meta["uid"], repository["uid"]):
        assert isinstance(uid, str)
        assert re.fullmatch("[0-9a-f]{16}", uid)
    assert {"title", "tags", "date_open", "alias"} <= set(meta)


def test_the_library_knows_nothing_of_this_paper():
    for path in LIBRARY.rglob("*.py"):
        text = path.read_text(encoding="utf-8").lower()
        for word in ("mnist", "torch", "equivariant", "glyph", "swap", "leakage", "elbo", "ie_model"):
            assert word not in text, f"{path.name} speaks of {word}"
    assert "mnist" not in schema.SCHEMA.read_text(encoding="utf-8").lower()


BY_LABELS = "pinned_by_labels: [{labels: [50], pinned: {epochs: 9}}]"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("unit: cm", "units: cm", "metrics.forecast.mae"),
        ("direction: lower", "direction: down", "'down', expected higher or lower"),
        ("range: [0, 1000]", "range: [1000, 0]", "metrics.forecast.mae.range"),
        ("range: [0, 1000]", "range: [0, .inf]", "not numbers here"),
        ("chance: 25, ", "", "metrics.season.guess"),
        ("a" * 64, "a" * 63, "datasets.gauges.levels.csv"),
        ("metrics: [forecast.mae, flood", "metrics: [forecast.mea, flood", "tasks[0].metrics is 'forecast.mea'"),
        ("labels: [50], metrics", "labels: [0], metrics", "tasks[1].labels is 0"),
        ("pinned: {epochs: 7}", "pinned: {epoch: 7}", "tasks[0].pinned is 'epoch'"),
        ("{min: 0.1, max: 0.5}", "{least: 0.1}", "expected min, max or both"),
        (BY_LABELS, BY_LABELS.replace("50", "60"), "pinned_by_labels[0].labels is 60"),
        (BY_LABELS, BY_LABELS.replace("[50]", "[50, 50]"), "pinned_by_labels[0].labels is 50"),
        (BY_LABELS, BY_LABELS.replace("epochs", "epoch"), "pinned_by_labels[0].pinned is 'epoch'"),
        (BY_LABELS, BY_LABELS.replace("pinned: {", "pins: {"), "the keys: labels pinned"),
        ("season: string", "season: text", "config.season is 'text'"),
        ("divisions:", "methods: {season: {paper: wet}}\ndivisions:", "methods.season is ['paper']"),
        ("divisions:", "methods: {window_days: {paper: '8'}}\ndivisions:", "methods.window_days.paper is '8'"),
        (
            "divisions:",
            "methods: {window_days: {paper: '7', without: {'14': [forecast.mea]}}}\ndivisions:",
            "methods.window_days.without.14 is 'forecast.mea'",
        ),
        ("rules_version: 3", "rules_version: '3'", "rules_version is '3'"),
        ("id: river-levels", "id: ../rivers", "id is '../rivers'"),
        ("id: river-levels", "id: river-levels\nid: other", "'id' appears twice"),
        ("id: river-levels", "id: !!python/object/apply:os.system ['true']", "a YAML tag at line 2"),
        ("id: river-levels", "id: &a river-levels", "a YAML anchor"),
        ("id: river-levels", "1: river-levels", "the key 1 is not a string"),
        ("rules_version: 3", "rules_version: 3\nextra: 1", "the file is"),
        ("first_seed: 0", "first_seed: true", "validity.first_seed is True"),
        ("splits:", "splits: []\nx:", "the file is"),
        ("id: river-levels", "id: [" * 3000, "nested too deeply"),
        ("id: river-levels", "id: 2026-01-01", "bare date"),
        ("rules_version: 3", "rules_version: " + "9" * 5000, "an integer beyond 2^53 - 1"),
        ("rules_version: 3", "rules_version: 0x" + "f" * 50_000, "an integer beyond 2^53 - 1"),
        ("id: river-levels", "---\nid: river-levels\n---\nid: two", "not YAML"),
    ],
)
def test_rules_that_are_wrong_are_refused_with_their_place(tmp_path, old, new, message):
    text = (TOY / "rules.yaml").read_text()
    assert old in text
    (tmp_path / "rules.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"rules\.yaml: ") as caught:
        load.challenge(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_challenge_lists_the_known():
    with pytest.raises(ValueError, match="no challenge 'moon' here; known: ie-repr"):
        load.find("moon")
    with pytest.raises(ValueError, match="no challenge"):
        load.find("../challenge/ie-repr")

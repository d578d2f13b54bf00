"""Claims, bands, copies and checklists: what a verdict says of a paper that is not this one, and how it is shown."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from ie_crowd import __main__ as command_line
from ie_crowd.artifact import assemble, verdict_text
from ie_crowd.challenge import claims as claims_yaml
from ie_crowd.challenge import load, model
from ie_crowd.check import bands, checklist_probes, checklists, claims, verdict
from ie_crowd.check.finding import STATES
from ie_crowd.formats import checksums
from ie_crowd.result import runs as run_documents
from paths import ROOT, TOY
from toy_challenge.make import FACTS, RULES, run_document, write_folder

CLAIMS = claims_yaml.load(TOY, RULES)
HOME = ROOT / "cm-repo"


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "the results"
    write_folder(home)
    return home


def result_of(*maes, recall=90.0, **changes):
    """A document as the schema accepts it, with one run for each mean absolute error."""
    runs = [run_documents.entry(run_document(number, mae, recall)) for number, mae in enumerate(maes)]
    task = {"dataset": "gauges", "supervision": "supervised", "labels": "all"}
    stated = {"division": "closed", "departures": [], "id": RULES.id, "rules_version": 3}
    return {"task": task, "challenge": stated, "config": {}, "runs": runs, **changes}


def claim(**changes):
    return dataclasses.replace(CLAIMS[0], **{"value": 10, "tolerance": 0, "comparison": "at-most", **changes})


def judged(found, asked):
    [item] = claims.check(found, [asked], RULES)
    return item


# Claims


@pytest.mark.parametrize(
    ("maes", "changes", "state"),
    [
        ((8, 9, 8.5), {}, "pass"),
        ((11, 12, 11.5), {}, "fail"),
        ((8, 12, 9), {}, "not evidenced"),  # the interval straddles 10
        ((9, 10, 9.5), {}, "not evidenced"),  # mean 9.5 ± 1.24
        ((11, 12, 11.5), {"tolerance": 3}, "pass"),
        ((11, 12, 11.5), {"comparison": "at-least"}, "pass"),
        ((8, 9, 8.5), {"comparison": "at-least"}, "fail"),
        ((8, 9, 8.5), {"comparison": "at-least", "tolerance": 3}, "pass"),
        ((10.5, 10.6, 10.4), {"comparison": "near-chance", "tolerance": 1}, "pass"),
        ((12, 12.1, 12.2), {"comparison": "near-chance", "tolerance": 1}, "fail"),
        ((7, 7.1, 7.2), {"comparison": "near-chance", "tolerance": 1}, "fail"),
        ((10.5, 11.5, 11), {"comparison": "near-chance", "tolerance": 1}, "not evidenced"),
        ((10,), {}, "not evidenced"),  # one run has no interval
        ((10.001,), {}, "not evidenced"),
        ((10, 10), {}, "pass"),
        ((10.001, 10.001), {}, "fail"),
        ((10, 10, 10), {}, "pass"),
    ],
)
def test_a_claim_against_the_interval_of_the_runs(maes, changes, state):
    item = judged(result_of(*maes), claim(**changes))
    assert (item.state, item.evidence, item.group) == (state, "/metrics/forecast.mae", "integrity")


def test_a_claim_is_not_about_another_method():
    rules = dataclasses.replace(RULES, methods={"season": model.Methods("wet", {})})
    [item] = claims.check(result_of(8, 9, 8.5, config={"season": "dry"}), [claim()], rules)
    assert item.state == "not applicable"
    assert item.detail == "is about the paper's method; this result has season dry (the paper's: wet)"
    [item] = claims.check(result_of(8, 9, 8.5, config={"season": "wet"}), [claim()], rules)
    assert item.state == "pass"


@pytest.mark.parametrize(("mae", "where"), [(8, "inside"), (11, "outside")])
def test_one_run_neither_supports_nor_contradicts(mae, where):
    item = judged(result_of(mae), claim())
    assert item.state == "not evidenced"
    assert item.detail == f"one run, {where} of what is asked: forecast.mae {mae} cm, asked: at most 10"


@pytest.mark.parametrize(("mae", "state"), [(8, "pass"), (11, "fail")])
def test_one_run_of_earlier_rules_is_judged_as_it_was(mae, state):
    rules = dataclasses.replace(RULES, rules_version=4, earlier=(RULES,))
    [item] = claims.check(result_of(mae), [claim()], rules)
    assert item.state == state


def test_a_later_claim_is_not_asked_of_earlier_results():
    assert judged(result_of(8, 8), claim(since=3)).state == "pass"
    item = judged(result_of(8, 8), claim(since=4))
    assert (item.state, item.detail) == ("not applicable", "is asked of results under rules 4 and later")


VERSIONS = dataclasses.replace(
    RULES, methods={"season": model.Methods("wet", {}), "soil": model.Methods("clay", {}, unnamed=True, keeps=True)}
)


@pytest.mark.parametrize(
    ("config", "maes", "kept"),
    [
        ({"season": "wet", "soil": "sand"}, (8, 9, 8.5), ["pass"]),
        ({"season": "wet", "soil": "sand"}, (11, 12, 11.5), ["fail"]),
        ({"season": "wet", "soil": "sand"}, (8,), ["not evidenced"]),
        ({"season": "wet", "soil": "clay"}, (8, 9, 8.5), []),  # the paper's own
        ({"season": "dry", "soil": "sand"}, (8, 9, 8.5), []),  # another method altogether
        ({"season": "wet"}, (8, 9, 8.5), []),  # from before there was a choice
    ],
)
def test_another_version_of_the_method_is_asked_whether_it_keeps_the_claims(config, maes, kept):
    found = result_of(*maes, config=config)
    found["challenge"].update(division="open", departures=["damping"])
    items = claims.kept(found, [claim(), claim(tasks=("synthetic/semi-supervised",))], VERSIONS)
    assert [(item.name, item.state) for item in items] == [(f"kept.{claim().id}", state) for state in kept]


@pytest.mark.parametrize(
    ("recalls", "state"),
    [
        ((9, 9.5, 9.2), "pass"),
        ((5, 5.5, 5.2), "fail"),
        ((5, 9, 7), "not evidenced"),
        ((7, 7), "fail"),
        ((7.1, 7.1), "pass"),
    ],
)
def test_below_another_metric_compares_run_by_run(recalls, state):
    # the metrics vary widely from run to run, their differences do not: pairs decide
    runs = [run_document(i, 7 + 20 * i, recall + 20 * i) for i, recall in enumerate(recalls)]
    found = result_of() | {"runs": [run_documents.entry(run) for run in runs]}
    item = judged(found, claim(comparison="below-metric", value=None, other="flood.recall"))
    assert item.state == state
    assert item.detail.startswith("forecast.mae − flood.recall ")


def test_failed_runs_support_nothing():
    found = result_of(8)
    found["runs"][0].update(status="failed", metrics={})
    assert judged(found, claim()).state == "not evidenced"


def test_claims_of_other_tasks_and_label_counts_do_not_apply():
    assert judged(result_of(8), claim(tasks=("synthetic/semi-supervised",))).state == "not applicable"
    assert judged(result_of(8), claim(labels=50)).state == "not applicable"
    assert judged(result_of(8, 8), claim(labels="all")).state == "pass"


def test_a_claim_that_nobody_filled_in_is_not_evidenced():
    item = judged(result_of(8), claim(value=None, tolerance=None, source="not available"))
    assert (item.state, item.detail) == ("not evidenced", "no value in claims.yaml: source not available")


def test_another_method_says_nothing_of_the_claim():
    found = result_of(8, 8)
    found["challenge"].update(division="open", departures=["damping", "labels"])
    item = judged(found, claim())
    assert item.state == "not evidenced"
    assert item.detail.startswith("departs from the method in damping; forecast.mae 8 ± 0 cm")
    found["challenge"].update(departures=["labels"])
    assert judged(found, claim()).state == "pass"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("comparison: at-most", "comparison: below", "claims[0].comparison is 'below', expected at-most"),
        ("metric: forecast.mae", "metric: mae", "claims[0].metric is 'mae'"),
        ("value: 20", "value: twenty", "claims[0].value is 'twenty', expected a number"),
        ("value: 20\n", "other: flood.recall\n", "the key other with below-metric"),
        ("tolerance: 5", "tolerance: -5", "claims[0].tolerance is -5"),
        ("tasks: [gauges/supervised]", "tasks: [gauges]", "claims[0].tasks is 'gauges'"),
        ("id: forecasts-well", "id: sees-floods", "an id that no other claim has"),
        ("id: forecasts-well", "id: '<b>'", "claims[0].id"),
        ("claims:", "claim:", "the file is ['claim']"),
        ("claims:", "claims: !!python/name:os.system", "a YAML tag"),
    ],
)
def test_claims_that_are_wrong_are_refused_with_their_place(tmp_path, old, new, message):
    (tmp_path / "claims.yaml").write_text((TOY / "claims.yaml").read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=r"claims\.yaml: ") as caught:
        claims_yaml.load(tmp_path, RULES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_challenge_without_claims_has_none(tmp_path):
    assert claims_yaml.load(tmp_path, RULES) == ()


def test_the_claims_of_this_paper_can_be_read():
    rules = load.challenge(load.find("ie-repr"))
    found = claims_yaml.load(rules.folder, rules)
    assert {one.source for one in found if one.value is None and one.other is None} == {"not available"}
    assert sum(one.value is not None or one.other is not None for one in found) >= 4


# Bands


def states_of_bands(found):
    return {item.name: item.state for item in bands.check(found, RULES)}


@pytest.mark.parametrize(
    ("maes", "recall", "division", "expected"),
    [
        ((4, 6), 90.0, "closed", ("pass", "pass")),
        ((121, 125), 90.0, "closed", ("fail", "pass")),
        ((119, 120.5), 90.0, "closed", ("pass", "pass")),  # the mean counts
        ((121, 125), 90.0, "open", ("pass", "pass")),  # another method may be worse
        ((4, 0.04), 90.0, "closed", ("fail", "pass")),  # one run alone is enough
        ((4, 0.04), 90.0, "open", ("fail", "pass")),
        ((4, 6), 99.6, "closed", ("pass", "fail")),
        ((4, 6), 0.5, "closed", ("pass", "fail")),
    ],
)
def test_both_ends_of_a_band_are_flagged(maes, recall, division, expected):
    found = result_of(*maes, recall=recall)
    found["challenge"]["division"] = division
    assert tuple(states_of_bands(found).values()) == expected


def test_a_band_can_be_for_some_label_counts():
    found = result_of(4, recall=99.6)
    assert states_of_bands(found)["band.flood.recall"] == "fail"
    found["task"]["labels"] = 50
    assert states_of_bands(found)["band.flood.recall"] == "pass"
    found["challenge"]["division"] = "open"
    assert states_of_bands(found)["band.flood.recall"] == "not applicable"  # it may be worse, and has no other end
    found["task"]["labels"] = 7
    assert states_of_bands(found)["band.flood.recall"] == "not evidenced"


def test_a_result_outside_of_its_band_can_be_assembled(tmp_path):
    # a bad run is a result too: the band is for the verdict, not for the one who ran it
    write_folder(tmp_path, [run_document(0, 500.0, 90.0)])
    found = verdict.judge(tmp_path, RULES)
    assert [item.name for item in found.items if item.state == "fail" and item.group == "validity"] == [
        "band.forecast.mae"
    ]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("{worse: 1, implausible: 2}", "in the order of lower"),
        ("{}", "expected worse, implausible or both"),
        ("{better: 1}", "expected worse, implausible or both"),
        ("{worse: low}", "bands.forecast.mae.worse is 'low'"),
        ("{worse: 9, labels: [51]}", "bands.forecast.mae.labels is 51"),
        ("7", "bands.forecast.mae is 7, expected a mapping"),
    ],
)
def test_bands_that_are_wrong_are_refused_with_their_place(tmp_path, new, message):
    text = (TOY / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(text.replace("{worse: 120, implausible: 0.05}", new, 1))
    with pytest.raises(ValueError, match=r"tasks\[0\]\.bands") as caught:
        load.challenge(tmp_path)
    assert message in str(caught.value)


# Copies


def test_a_result_is_not_a_copy_of_itself_or_of_others(folder, tmp_path):
    other = tmp_path / "other"
    write_folder(other, [run_document(0, 4.5, 90.0, wall_seconds=7.5), run_document(1, 6.5, 81.0, wall_seconds=7.25)])
    found = {item.name: item.state for item in verdict.judge(folder, RULES, against=[folder, other]).items}
    assert [found[name] for name in found if name.startswith("copy.")] == ["not applicable", "pass"]


def copied(folder, other, change):
    """A copy of ``folder`` under another name, its runs changed and everything recomputed."""
    runs = json.loads((folder / "result.json").read_text())["runs"]
    documents = [run_document(run["seed"], *run["metrics"].values(), **change(run)) for run in runs]
    for run in documents:
        write = {**run}
        (other / "runs" / str(run["seed"])).mkdir(parents=True)
        for name in ("config.json", "metrics.jsonl", "model.safetensors"):
            source = folder / "runs" / str(run["seed"]) / name
            (other / "runs" / str(run["seed"]) / name).write_bytes(source.read_bytes())
        (other / "runs" / str(run["seed"]) / "run.json").write_text(json.dumps(write))
    assemble.assemble(other, challenge=RULES, **{**FACTS, "submitter": "Somebody Else"})
    checksums.write_sha256sums(other)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda run: {}, "fail"),  # times to the last digit
        (lambda run: {"wall_seconds": run["wall_seconds"] + 1}, "needs a person"),  # the same numbers, other times
    ],
)
def test_a_copy_under_another_name_is_flagged(folder, tmp_path, change, state):
    other = tmp_path / "other"
    copied(folder, other, change)
    alone = verdict.judge(other, RULES)
    assert {item.state for item in alone.items if item.group in ("integrity", "validity")} == {"pass"}
    [item] = [item for item in verdict.judge(other, RULES, against=[folder]).items if item.name.startswith("copy.")]
    assert (item.state, item.group) == (state, "validity")
    assert "(submitter The Rivers Group)" in item.detail


# Checklists


def test_no_badge_is_awarded_and_every_point_has_its_evidence(folder):
    found = verdict.judge(folder, RULES)
    points = [item for item in found.items if item.group not in verdict.GROUPS]
    assert {item.group for item in points} == {"acm-badges", "artifact-checklist", "ml-checklist"}
    assert all(item.evidence for item in points if item.state != "needs a person")
    assert all("To sign: " in item.detail for item in points if item.state == "needs a person")
    subjects = {one.subject: one.text for one in found.conclusions}
    badges = ["Available", "Functional", "Reusable", "Reproduced", "Replicated"]
    assert all(any(badge in subject for subject in subjects) for badge in badges)
    assert subjects["Artifacts Available"] == (
        "evidence is consistent with it, as far as a program sees; for a person: archive"
    )
    assert subjects["Results Reproduced"].startswith("not evidenced: uncertainty, rerun; for a person: other-team")
    assert not any(re.search(r"award|earned|granted", text) for text in subjects.values())


def test_every_probe_is_used_and_every_point_has_one_or_a_person():
    points = [point for one in checklists.load() for points in one.subjects.values() for point in points]
    assert {point.probe for point in points if point.probe} == set(checklist_probes.PROBES)
    assert all((point.probe is None) != (point.person is None) for point in points)


@pytest.mark.parametrize(
    ("change", "probe", "state"),
    [
        (lambda found: found["provenance"].update(repository=None), "public_code", "not evidenced"),
        (lambda found: found["provenance"].update(dirty=True), "exact_version", "not evidenced"),
        (lambda found: found["provenance"].update(commit=None, dirty=None), "exact_version", "not evidenced"),
        (lambda found: found["provenance"].update(cm=None), "recipe", "not evidenced"),
        (lambda found: found["software"].clear(), "software", "not evidenced"),
        (lambda found: found["system"].update(cpu_model="unknown"), "hardware", "not evidenced"),
        (lambda found: found["cost"].update(wall_seconds=0), "time_needed", "not evidenced"),
        (lambda found: found["files"].clear(), "curves", "not evidenced"),
        (lambda found: found["files"].clear(), "disk", "not evidenced"),
        (lambda found: found["runs"].append(found["runs"][0]), "several_runs", "pass"),
        (lambda found: found["metrics"]["forecast.mae"].update(ci95=None), "error_bars", "not evidenced"),
        (lambda found: None, "several_runs", "not evidenced"),
        (lambda found: None, "error_bars", "pass"),
        (lambda found: None, "packaged", "not evidenced"),
        (lambda found: None, "data", "not evidenced"),  # no Item says anything of the data
    ],
)
def test_a_probe_sees_what_is_missing(folder, change, probe, state):
    found = json.loads((folder / "result.json").read_text())
    change(found)
    assert checklist_probes.PROBES[probe](checklist_probes.Artifact(found, {}, frozenset()))[0] == state


def test_a_point_fails_where_what_it_rests_on_has_failed(folder):
    (folder / "runs/0/metrics.jsonl").write_text("edited")
    points = {item.name: item for item in verdict.judge(folder, RULES).items if item.group not in verdict.GROUPS}
    probe_of = {
        point.id: point.probe for one in checklists.load() for points_ in one.subjects.values() for point in points_
    }
    resting = [name for name, probe in probe_of.items() if probe == "files_complete"]
    assert resting
    assert {points[name].state for name in resting} == {"fail"}


def test_a_failed_claim_speaks_against_the_badge(tmp_path):
    write_folder(tmp_path, [run_document(number, 30.0 + number, 90.0) for number in range(3)])
    found = verdict.judge(tmp_path, RULES)
    [text] = [one.text for one in found.conclusions if one.subject == "Results Replicated"]
    assert text.startswith("evidence speaks against it: claims-again; for a person: independent")


def test_checklists_that_are_wrong_are_refused(tmp_path):
    path = tmp_path / "lists.yaml"
    text = checklists.CHECKLISTS.read_text(encoding="utf-8")
    for old, new, message in (
        ("probe: public_code}", "probe: os.system}", "probe is 'os.system'"),
        ("probe: public_code}", "probe: command, person: x}", "either a probe or a person"),
        ("id: version,", "id: address,", "ids that are different"),
    ):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match=r"lists\.yaml: ") as caught:
            checklists.load.__wrapped__(path)
        assert message in str(caught.value)


# How it is shown

HOSTILE = "<img src=x onerror=alert(1)> | `x` [red]*b*[/red] {{7*7}} \"'&"


@pytest.fixture
def hostile(folder):
    """A verdict whose texts are written to break out. The schema lets none of them in: this is the second line."""
    found = verdict.judge(folder, RULES)
    items = tuple(item._replace(detail=HOSTILE) for item in found.groups[2].items)
    evil = dataclasses.replace(found.groups[2], items=items, title=HOSTILE, about=HOSTILE)
    about = {**found.about, "submitter": HOSTILE, "paper": HOSTILE, "dataset": HOSTILE}
    return dataclasses.replace(found, about=about, groups=(*found.groups[:2], evil, *found.groups[3:]))


def test_the_terminal_gets_80_columns_and_no_markup(hostile):
    for width, most in ((80, 80), (10, 60), (400, 120)):
        lines = verdict_text.terminal(hostile, width, every=True).splitlines()
        assert max(map(len, lines)) <= most
    text = verdict_text.terminal(hostile, every=True)
    assert "\x1b" not in text
    assert "[red]*b*[/red]" in " ".join(text.split())
    for item in hostile.items:
        assert item.name in text
    assert "\nIntegrity: 10 pass\nValidity: 16 pass\n" in text
    assert len(verdict_text.terminal(hostile).splitlines()) < len(text.splitlines())
    assert "\x1b[" in verdict_text.terminal(hostile, colour=True)


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_escapes(hostile):
    page = Page()
    page.feed(verdict_text.page(hostile))
    assert not {"script", "img", "link", "iframe", "object", "form", "a"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href", "action")]
    assert HOSTILE in " ".join(page.text.split())
    assert page.tags.count("section") == len(hostile.groups) + 1
    for item in hostile.items:
        assert item.name in page.text


def test_markdown_shows_text_as_it_is(hostile):
    text = verdict_text.markdown(hostile)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert "<img" not in text
    assert not re.search(r"(?<!\\)`x", text)
    assert len(rows) == len(hostile.items) + 2 * len(hostile.groups)


def test_the_verdict_as_json(folder):
    found = json.loads(json.dumps(verdict.judge(folder, RULES).to_dict()))
    assert set(found) == {"format", "about", "depth", "summary", "items", "conclusions", "sentences", "evidence"}
    assert found["about"]["submitter"] == "The Rivers Group"
    for group, counts in found["summary"].items():
        for state in STATES:
            assert counts.get(state, 0) == sum(
                (item["group"], item["state"]) == (group, state) for item in found["items"]
            )


# The command line


def check(capsys, *arguments):
    code = command_line.main(["check", *map(str, arguments), "--challenge", str(TOY)])
    return code, capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--fail-on=fail"], 0),
        (["--fail-on=not-evidenced"], 1),  # the claim that nobody filled in
        (["--fail-on=needs-a-person", "--groups=integrity,validity"], 0),
        (["--fail-on=not-evidenced", "--groups=claims"], 1),
        (["--fail-on=not-evidenced", "--groups=artifact-checklist"], 0),
        (["--fail-on=needs-a-person", "--groups=artifact-checklist"], 1),
    ],
)
def test_a_job_can_gate_on_the_exit_code(folder, capsys, arguments, code):
    assert check(capsys, folder, *arguments)[0] == code


def test_a_refused_document_fails_whatever_is_asked_for(folder, capsys):
    (folder / "result.json").write_text("{}")
    code, out = check(capsys, folder, "--groups=claims", "--json")
    assert code == 1
    assert [item["name"] for item in json.loads(out)["items"]] == ["schema"]
    assert check(capsys, folder)[0] == 1
    assert check(capsys, folder, "--markdown")[0] == 1


def test_json_markdown_and_a_page(folder, capsys, tmp_path):
    target = tmp_path / "verdict of the run.html"
    code, out = check(capsys, folder, "--json", "--html", target)
    assert (code, json.loads(out)["depth"]) == (0, "hashes")
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    code, out = check(capsys, folder, "--markdown")
    assert (code, out.startswith("# Verdict on ")) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--depth=deep"], "invalid choice: 'deep'"),
        (["--fail-on=pass"], "invalid choice: 'pass'"),
        (["--groups=integrity,x"], "'x' is no group: integrity, validity, claims, kept, acm-badges"),
        (["--runs=0"], "expected a whole number from 1 to 1000"),
        (["--data=nowhere"], "--data=nowhere: no such folder"),
        (["--device=cpu --x"], "expected a name of letters and digits"),
        (["--json", "--markdown"], "not allowed with argument"),
        (["--html=nowhere/x.html"], "expected a file in a folder that exists"),
        (["--html=the results/x.html"], "lies in the results folder, which is never written to"),
        (["--against", "nowhere"], "result.json: cannot be read"),
    ],
)
def test_wrong_usage_is_one_line(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder.parent)
    try:
        code = command_line.main(["check", str(folder), "--challenge", str(TOY), *arguments])
    except SystemExit as ended:
        code = ended.code
    out = capsys.readouterr()
    assert (code, out.out) == (2, "")
    assert message in out.err
    assert out.err.count("\n") == 1


def test_a_terminal_that_knows_only_ascii(folder):
    environment = {**os.environ, "PYTHONPATH": str(HOME), "PYTHONIOENCODING": "ascii"}
    argv = [sys.executable, "-m", "ie_crowd", "check", str(folder), "--challenge", str(TOY)]
    done = subprocess.run(argv, capture_output=True, env=environment, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"forecast.mae 5 ? 13 cm" in done.stdout

"""What is made from a result.json: the research object, cm-output.json, sums, and making it again in any folder."""

import json
import os
import subprocess
import venv
import zipfile

import pytest
import yaml
from ie_crowd import __main__
from ie_crowd.artifact import bundle, cm_output, ro_crate
from ie_crowd.check import integrity
from ie_crowd.formats import canonical_json, checksums, strict
from paths import ROOT, SUPPORT
from toy_challenge.make import FACTS, RULES, failed_run, run_document, write_folder

VALIDATOR = SUPPORT / "validate_crate.py"


@pytest.fixture
def folder(tmp_path):
    """A whole results folder of the toy challenge, bundle included."""
    place = tmp_path / "results here"
    write_folder(place)
    bundle.write(place, RULES)
    return place


def read(folder, name="ro-crate-metadata.json"):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def by_id(document):
    found = {entity["@id"]: entity for entity in document["@graph"]}
    assert len(found) == len(document["@graph"]), "an @id appears twice"
    return found


def references(value):
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        else:
            for below in value.values():
                yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The whole


def test_a_bundle_is_checked_and_changes_nothing_else(tmp_path):
    write_folder(tmp_path / "a")
    before = contents(tmp_path / "a")
    bundle.write(tmp_path / "a", RULES)
    after = contents(tmp_path / "a")
    assert set(after) - set(before) == set(bundle.MADE)
    assert {name for name in before if before[name] != after[name]} == {"SHA256SUMS"}
    assert [item.name for item in integrity.check(tmp_path / "a", RULES) if item.state != "pass"] == []
    assert set(checksums.read_sha256sums(tmp_path / "a")) == set(after) - {"SHA256SUMS"}


def test_made_again_it_is_the_same(folder):
    before = contents(folder)
    bundle.write(folder, RULES)
    assert contents(folder) == before


@pytest.mark.parametrize("step", range(4))
def test_killed_at_any_file_it_is_mended_by_doing_it_again(tmp_path, folder, monkeypatch, step):
    whole = contents(folder)
    for name in [*bundle.MADE, checksums.SUMS]:
        (folder / name).unlink()
    replace, left = os.replace, [step]

    def killed(source, target):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        bundle.write(folder, RULES)
    monkeypatch.setattr(os, "replace", replace)
    partial = {name: content for name, content in contents(folder).items() if not name.startswith(".")}
    assert partial.items() <= whole.items(), "what is there is whole"
    bundle.write(folder, RULES)
    assert {name: content for name, content in contents(folder).items() if not name.startswith(".")} == whole


def test_no_report_says_for_ever_that_a_file_is_wrong_which_a_disk_hid_for_a_moment(tmp_path, folder, monkeypatch):
    before = contents(folder)
    real = strict.open_regular

    def hidden(path):
        if path.suffix == ".safetensors":
            raise strict.FileError(f"{path.name}: cannot be read (input/output error)")
        return real(path)

    for module in (strict, checksums):
        monkeypatch.setattr(module, "open_regular", hidden, raising=False)
    with pytest.raises(strict.FileError, match=r"^report.html is not written, .*cannot be read"):
        bundle.write(folder, RULES)
    monkeypatch.undo()
    bundle.write(folder, RULES)
    assert contents(folder) == before


def test_a_link_in_place_of_a_file_is_replaced_not_followed(folder, tmp_path):
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    for name in bundle.MADE:
        (folder / name).unlink()
        (folder / name).symlink_to(treasure)
        (folder / f".{name}.{os.getpid()}.tmp").symlink_to(treasure)
    bundle.remake(folder)
    assert treasure.read_text() == "mine"
    assert not any((folder / name).is_symlink() for name in bundle.MADE)


def test_remaking_in_anothers_folder_keeps_what_its_owner_said(folder):
    before = checksums.read_sha256sums(folder)
    (folder / "runs" / "0" / "model.safetensors").write_bytes(b"tampered")
    (folder / "report.html").write_text("an old page")
    bundle.remake(folder)
    after = checksums.read_sha256sums(folder)
    assert {name for name in before if before[name] != after[name]} <= set(bundle.MADE)
    failed = {item.name for item in integrity.check(folder, RULES) if item.state == "fail"}
    assert failed == {"files", "weights format", "checksums"}


# The research object


def test_the_crate_names_every_file_and_nothing_that_is_not_there(folder):
    document = read(folder)
    entities = by_id(document)
    named = {identifier for identifier, entity in entities.items() if entity["@type"] == "File"}
    assert named == set(contents(folder)) - {"ro-crate-metadata.json"}
    assert {part["@id"] for part in entities["./"]["hasPart"]} == named
    lists = [value for entity in document["@graph"] for value in entity.values() if isinstance(value, list)]
    assert all(len(value) != 1 for value in lists), "RO-Crate 1.1 has no list of one"
    for path in named - {"SHA256SUMS"}:
        digest, size = checksums.sha256_file(folder / path)
        assert (entities[path]["sha256"], entities[path]["contentSize"]) == (digest, str(size))
    outside = {ro_crate.ROCRATE}
    assert set(references(document["@graph"])) - set(entities) == outside


def test_the_crate_says_what_ran_on_what_and_what_came_out(folder):
    entities = by_id(read(folder))
    assert entities["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert entities["./"]["conformsTo"] == {"@id": "https://w3id.org/ro/wfrun/process/0.5"}
    action = entities["#run"]
    program = entities[action["instrument"]["@id"]]
    assert program["identifier"] == "swh:1:rev:" + "e" * 40
    assert program["@id"] == "https://archive.softwareheritage.org/swh:1:rev:" + "e" * 40
    assert program["name"] == "reproduce-rivers"
    assert {"@id": "#data-gauges"} in action["object"]
    assert {"@id": "runs/0/config.json"} in action["object"]
    assert {"@id": "runs/0/model.safetensors"} in action["result"]
    assert entities["#metric-forecast.mae"]["value"] == 5
    assert action["endTime"] == "2026-01-02T03:04:05+00:00"
    for link in (action["agent"], entities["./"]["author"], entities["./"]["publisher"]):
        assert entities[link["@id"]]["name"] == "The Rivers Group"


def test_nobody_is_named_who_did_not_ask_for_it(tmp_path):
    write_folder(tmp_path / "a", [run_document(0, 4.0, 90.0), failed_run(1)])
    path = tmp_path / "a" / "result.json"
    found = json.loads(path.read_text())
    found["submitter"]["name"] = None
    found["provenance"] |= {"dirty": True, "repository": None}
    found["id"] = canonical_json.identity(found)
    path.write_text(json.dumps(found))
    bundle.write(tmp_path / "a", RULES)
    entities = by_id(read(tmp_path / "a"))
    assert not {"agent", "author", "publisher"} & set(entities["#run"])
    # of the crate itself it is the program's authors, who are no person
    assert entities["./"]["author"] == entities["./"]["publisher"] == {"@id": "#makers"}
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert entities["#makers"]["name"] == cited["authors"][0]["name"]
    assert cited["license"] == ro_crate.LICENCE
    assert entities["#program"]["softwareVersion"] == "e" * 40 + " with changes"
    assert "1 of 2 runs completed" in entities["#run"]["description"]
    assert str(tmp_path) not in (tmp_path / "a" / "ro-crate-metadata.json").read_text()


def test_a_lone_result_has_a_crate_of_what_is_there(tmp_path, folder):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "result.json").write_bytes((folder / "result.json").read_bytes())
    bundle.remake(tmp_path / "alone")
    named = {entity["@id"] for entity in read(tmp_path / "alone")["@graph"] if entity["@type"] == "File"}
    assert named == {"result.json", "report.html", "cm-output.json"}


@pytest.fixture(scope="module")
def validate(tmp_path_factory, python_env):
    """A function that runs roc-validator on a crate, in an environment of its own: its pins are not ours."""
    place = tmp_path_factory.mktemp("validator")
    venv.create(place / "env", with_pip=True)
    python = place / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "install", "roc-validator==0.13.0"], check=True, env=python_env)
    # rocrate 0.13.0 holds the JSON-LD context of RO-Crate 1.1, which the validator would fetch
    subprocess.run([*pip, "download", "--no-deps", "-d", str(place), "rocrate==0.13.0"], check=True, env=python_env)
    with zipfile.ZipFile(next(place.glob("rocrate-*.whl"))) as wheel:
        (place / "context.jsonld").write_bytes(wheel.read("rocrate/data/ro-crate.jsonld"))

    def run(folder, scratch, severity="REQUIRED"):
        argv = [str(python), str(VALIDATOR), str(folder), str(place / "context.jsonld"), str(scratch), severity]
        offline = {**python_env, "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        return subprocess.run(argv, capture_output=True, text=True, env=offline)

    return run


@pytest.mark.real
def test_an_independent_validator_accepts_the_crate_and_refuses_a_broken_one(tmp_path, validate):
    folder = tmp_path / "crate"  # the validator itself cannot read a path with a space
    write_folder(folder)
    bundle.write(folder, RULES)
    done = validate(folder, tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    said = validate(folder, tmp_path, "RECOMMENDED").stdout.splitlines()
    assert [line.partition(" SHOULD ")[2] for line in said] == ["have a URL. ./#submitter"], said  # nobody gave it one
    document = read(folder)
    for entity in document["@graph"]:
        entity.pop("instrument", None)
    (folder / "ro-crate-metadata.json").write_text(json.dumps(document))
    done = validate(folder, tmp_path)
    assert done.returncode == 1
    assert "The Action MUST have an instrument property" in done.stdout
    (folder / "runs" / "0" / "run.json").unlink()
    assert "does not include the Data Entity 'runs/0/run.json'" in validate(folder, tmp_path).stdout


# cm-output.json


def test_cm_output_is_flat_and_has_every_metric_of_the_challenge(folder):
    columns = read(folder, "cm-output.json")
    assert all(isinstance(value, (str, int, float, type(None))) for value in columns.values())
    assert (columns["forecast.mae"], columns["forecast.mae.n"], columns["runs"]) == (5, 2, 2)
    assert columns["season.guess"] is None  # CM would else show the last step's
    assert (columns["Organization"], columns["SystemName"]) == ("The Rivers Group", "NVIDIA H100 80GB HBM3")
    assert not {"uid", "iso_datetime"} & set(columns), "CM's own"


def test_cm_output_goes_where_cm_started_the_command_and_nowhere_else(folder, tmp_path):
    columns = read(folder, "cm-output.json")
    started = tmp_path / "a step of cm"
    started.mkdir()
    cm_output.write(folder, columns, started)
    assert list(started.iterdir()) == []
    (started / "cm-input.json").write_text("{}")
    cm_output.write(folder, columns, started)
    assert read(started, "cm-output.json") == columns


# The command


def test_the_command_makes_it_again(folder, capsys):
    (folder / "report.html").unlink()
    assert __main__.main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"schema_version": 7}', b"[" * 100_000, b"\xff"])
def test_the_command_refuses_what_is_no_result_in_one_line(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "result.json").write_bytes(content)
    before = contents(tmp_path)
    assert __main__.main(["report", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("ie_crowd: error: ")
    assert captured.err.count("\n") == 1
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_one_line(folder, capsys, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert __main__.main(["report", str(folder)]) == 2
    assert capsys.readouterr().err.endswith("cm-output.json: cannot be written (permission denied)\n")


def test_facts_of_the_machine_come_from_the_result_alone(folder):
    # made on another machine, the bundle speaks of the machine of the run
    text = (folder / "report.html").read_text() + (folder / "cm-output.json").read_text()
    assert FACTS["system"]["cpu_model"] in text
    assert os.uname().nodename not in text or len(os.uname().nodename) < 4

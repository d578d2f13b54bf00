"""The format of a result over time: the page made from the schema, files of every version, and what is refused."""

import json
import re

import pytest
from ie_crowd import __main__
from ie_crowd.formats import canonical_json, schema, schema_docs, upgrade
from paths import DATA, ROOT
from toy_challenge.make import write_folder

PAGE = ROOT / "docs" / "result-format.md"
FIXTURES = DATA / "results"
OLD = sorted(FIXTURES.glob("schema-*/*.json"))


def place(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_bytes(content)
    return folder


def test_the_page_is_what_the_schema_gives():
    assert PAGE.is_file(), "docs/result-format.md is missing: ie-crowd schema --markdown > docs/result-format.md"
    assert PAGE.read_text(encoding="utf-8") == schema_docs.markdown(), (
        "docs/result-format.md is stale: ie-crowd schema --markdown > docs/result-format.md"
    )


def test_the_command_prints_page_and_schema(capsys):
    assert __main__.main(["schema", "--markdown"]) == 0
    assert capsys.readouterr().out == schema_docs.markdown()
    assert __main__.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$id"] == "urn:ie-crowd:result:1"


def test_the_page_names_every_field_of_a_result(tmp_path):
    def paths(value, path):
        yield path
        if isinstance(value, dict):
            for key, below in value.items():
                free = path in ("config", "metrics", "runs[].metrics")
                yield from paths(below, f"{path}.*" if free else f"{path}.{key}".lstrip("."))
        elif isinstance(value, list):
            for below in value:
                yield from paths(below, f"{path}[]")

    named = set(re.findall(r"^\| \[?`([^`]+)`", schema_docs.markdown(), re.MULTILINE))
    assert set(paths(write_folder(tmp_path), "")) - {""} - named == set()


def test_every_number_has_its_unit_in_words():
    words = r"seconds|[Bb]ytes|joules|examples a second|[Nn]umber|Seed|[Vv]ersion|cores|Epochs|`?unit`?"
    seen = 0
    for path, node in schema_docs._fields("", schema.validator().schema):
        kinds = node.get("type", [])
        if {"integer", "number"} & set([kinds] if isinstance(kinds, str) else kinds):
            assert re.search(words, node["description"]), path
            seen += 1
    assert seen > 20


# Files of every version stay readable for ever. They are never made anew: a change of the format adds a folder.


def test_there_are_old_files_of_every_version():
    assert {path.parent.name for path in OLD} == {f"schema-{version}" for version in schema.SCHEMAS}
    assert {path.stem for path in OLD} >= {
        "semi-supervised-one-run",
        "five-runs-one-failed",
        "supervised",
        "open-division-smoke",
    }


@pytest.mark.parametrize("path", OLD, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_old_file_stays_readable(tmp_path, path):
    found = upgrade.read(place(tmp_path / "a result", path.read_bytes()))
    assert found["schema_version"] == schema.SCHEMA_VERSION
    written = json.loads(path.read_bytes())
    assert canonical_json.identity(written) == written["id"] == found["id"], (
        "the identity is that of the file as written"
    )


def test_old_files_differ_in_what_they_exercise():
    results = {path.stem: json.loads(path.read_bytes()) for path in OLD}
    assert results["open-division-smoke"]["challenge"]["departures"]
    assert [run["status"] for run in results["five-runs-one-failed"]["runs"]].count("failed") == 1
    assert results["five-runs-one-failed"]["system"]["accelerators"]
    assert results["supervised"]["task"]["labels"] == "all"


def test_a_later_version_is_reached_step_by_step(monkeypatch):
    written = json.loads(OLD[0].read_bytes())
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(
        upgrade, "UPGRADES", {1: lambda old: {**old, "two": []}, 2: lambda old: {**old, "two": old["two"] + [3]}}
    )
    found = upgrade.accept(written)
    assert (found["schema_version"], found["two"]) == (3, [3])
    assert written["schema_version"] == 1
    assert "two" not in written


def test_a_version_written_with_a_point_is_the_same_number():
    assert upgrade.accept({**json.loads(OLD[0].read_bytes()), "schema_version": 1.0})["schema_version"] == 1


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, "/schema_version: 2, this program reads 1; a newer one may read it"),
        (10**15, "a newer one may read it"),
        (0, "/schema_version: 0, this program reads 1"),
        (-1, "/schema_version: -1"),
        (1.5, "/schema_version: 1.5"),
        (True, "/schema_version: True"),
        ("1", "/schema_version: '1'"),
        ([1], r"/schema_version: [1]"),
        ({}, "/schema_version: {}"),
        (None, "/schema_version: None"),
    ],
)
def test_an_unknown_version_is_one_line(tmp_path, version, message):
    content = json.dumps({**json.loads(OLD[0].read_bytes()), "schema_version": version}).encode()
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        upgrade.read(place(tmp_path / "a result", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"wall_seconds": ', '"wall_seconds": NaN, "x": ', "NaN is not a JSON number"),
        ('"wall_seconds": ', '"wall_seconds": -Infinity, "x": ', "-Infinity is not a JSON number"),
        ('"created": ', '"created": "x", "created": ', "'created' appears twice"),
        ('"created": ', '"creator": "x", "created": ', "unknown key 'creator'"),
        ('"created": ', '"created": "' + "x" * 5000 + '", "x": ', "a string of 5,000 characters"),
        ('"created": ', '"x": ' + "[" * 50 + "]" * 50 + ', "created": ', "more than 12 levels"),
        ('"created": ', '"x": [' + "1," * 200_000 + '1], "created": ', "more than 100,000 values"),
    ],
)
def test_reading_refuses_before_the_schema_looks(tmp_path, old, new, message):
    text = OLD[0].read_text(encoding="utf-8").replace(old, new, 1)
    with pytest.raises(ValueError, match=re.escape(message)):
        upgrade.read(place(tmp_path / "a result", text.encode()))


@pytest.mark.parametrize("content", [b"[]", b"1", b'"x"', b"null"])
def test_what_is_no_object_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="expected an object"):
        upgrade.read(place(tmp_path / "a result", content))

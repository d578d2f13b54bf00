"""What a release consists of: a small wheel that builds to the same bytes, metadata, a bill of materials."""

import email
import hashlib
import json
import os
import runpy
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml
from ie_crowd.check import integrity
from paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RELEASE = runpy.run_path(str(ROOT / ".ci" / "release"))


def test_the_wheel_is_small_and_has_the_metadata_that_an_index_shows(wheel):
    assert wheel.stat().st_size <= 3 * 10**6
    assert RELEASE["problems_of"](wheel) == []
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
        (name,) = (one for one in held if one.endswith(".dist-info/METADATA"))
        said = email.message_from_bytes(archive.read(name))
    assert {"ie_model/py.typed", "ie_crowd/py.typed"} <= set(held)
    assert said["License-Expression"] == "Apache-2.0"
    assert any("arxiv.org/abs/1902.03251" in one for one in said.get_all("Project-URL"))
    assert not any("/figures/" in one or "/runs/" in one for one in held if "/experiment/" in one)


def test_a_wheel_that_is_too_new_or_too_large_is_refused(tmp_path, monkeypatch):
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x.dist-info/METADATA", "Metadata-Version: 2.5\nName: x\nSummary: x\n")
    monkeypatch.setitem(RELEASE["problems_of"].__globals__, "LARGEST_WHEEL", 10)
    found = " ".join(RELEASE["problems_of"](wheel))
    for said in ("at most 10", "2.5", "no Author", "no License-Expression", "no Project-URL"):
        assert said in found


def test_a_reference_result_of_the_wheel_fails_nothing_and_its_figures_are_said_to_be_elsewhere(installed):
    folders = sorted(path.parent for path in installed.glob("cm_ie_repr_crowd/experiment/*/*/result.json"))
    assert len(folders) == len(list(ROOT.glob("cm-repo/experiment/*/*/result.json")))
    items = {item.name: item.state for item in integrity.check(folders[0])}
    assert "fail" not in items.values()
    assert (items["files"], items["checksums"]) == ("not evidenced", "not evidenced")


def test_a_second_build_gives_the_same_bytes(wheel, tmp_path):
    copy = wheel.parents[1] / "a copy of it"
    for path in copy.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (10**9, 10**9))
    code = f"import os; os.umask(0o077); from hatchling.build import build_wheel; build_wheel({str(tmp_path)!r})"
    for epoch in ({}, {"SOURCE_DATE_EPOCH": "1790000000"}, {"SOURCE_DATE_EPOCH": "1790000000"}):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=copy, env={**os.environ, **epoch}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        made = hashlib.sha256((tmp_path / wheel.name).read_bytes()).hexdigest()
        if not epoch:
            assert made == hashlib.sha256(wheel.read_bytes()).hexdigest(), "whatever the files' times and the umask"
            before = None
        assert before in (None, made)
        before = made if epoch else None


def test_the_bill_of_materials_names_each_pin_once():
    bill = runpy.run_path(str(ROOT / ".ci" / "sbom"))["bill"]()
    named = {one["purl"]: one["scope"] for one in bill["components"]}
    assert len(named) == len(bill["components"])
    lists = sorted((ROOT / "script" / "get-ie-deps").glob("requirements*.txt"))
    assert len(lists) == 5
    for path in lists:
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                scope = "required" if path.name == "requirements.txt" else "optional"
                assert named[f"pkg:pypi/{line.replace('==', '@')}"] == scope
    assert named["pkg:pypi/cmind@4.2.0"] == "required"
    assert bill["dependencies"][0]["dependsOn"] == list(named)
    assert bill["serialNumber"] == runpy.run_path(str(ROOT / ".ci" / "sbom"))["bill"]()["serialNumber"]


def test_all_metadata_states_one_version_and_one_licence():
    assert set(RELEASE["versions"](ROOT).values()) == {PROJECT["version"]}
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    about = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    assert about["license"].rpartition("/")[2] == cited["license"] == PROJECT["license"]
    assert about["author"][0]["name"] == cited["authors"][0]["name"] == PROJECT["authors"][0]["name"]
    assert (ROOT / "LICENSES/Apache-2.0.txt").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", ["ie_model", "cm-repo/ie_crowd"])
def test_both_libraries_are_typed(name):
    assert (ROOT / name / "py.typed").is_file()

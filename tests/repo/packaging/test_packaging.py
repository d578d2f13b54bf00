"""The wheel: what `pip install .` puts where, at a path with a space."""

import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import PurePosixPath

import pytest
from paths import ROOT

JUNK = ("__pycache__", ".pyc", "tests/", ".ci/", ".git")


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_holds_both_repositories_and_both_libraries(wheel):
    held = set(names(wheel))
    for path in [*ROOT.glob("script/**/*.*"), ROOT / "cmr.yaml"]:
        if path.is_file() and "__pycache__" not in path.parts:
            assert f"cm_ie_repr/{path.relative_to(ROOT).as_posix()}" in held
    for path in [*ROOT.glob("cm-repo/challenge/**/*.*"), ROOT / "cm-repo" / "cmr.yaml"]:
        if path.is_file():
            assert f"cm_ie_repr_crowd/{path.relative_to(ROOT / 'cm-repo').as_posix()}" in held
    assert {"cm_ie_repr/__init__.py", "cm_ie_repr_crowd/__init__.py"} <= held
    assert {"ie_model/config.py", "ie_crowd/result.schema.json"} <= held
    assert {"ie_crowd/artifact/templates/report.html.j2", "ie_crowd/artifact/templates/report.css"} <= held
    assert {f"ie_crowd/artifact/templates/{name}" for name in ("check.html", "verdict.html", "verdict.css")} <= held
    assert "ie_crowd/check/checklists.yaml" in held
    for path in [*ROOT.glob("cm-repo/ie_crowd/site/templates/*"), *ROOT.glob("cm-repo/ie_crowd/site/assets/**/*")]:
        assert path.is_dir() or path.relative_to(ROOT / "cm-repo").as_posix() in held


def test_wheel_holds_nothing_else(wheel):
    for name in names(wheel):
        assert not any(junk in name for junk in JUNK), name
        top = PurePosixPath(name).parts[0]
        assert top in ("ie_model", "ie_crowd", "cm_ie_repr", "cm_ie_repr_crowd") or top.endswith(".dist-info"), name
        assert ".." not in PurePosixPath(name).parts


def test_wheel_of_a_checkout_says_which_commit_it_is(tmp_path):
    place = tmp_path / "a clone"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(place)], check=True, capture_output=True)
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    for dirty in (False, True):
        for name in ("hatch_build.py", "cm-repo/ie_crowd/result/provenance.py"):  # as they are here, committed or not
            (place / name).write_bytes((ROOT / name).read_bytes())
        subprocess.run(["git", "-C", str(place), "update-index", "--assume-unchanged", "hatch_build.py"], check=True)
        hide = ["update-index", "--assume-unchanged", "cm-repo/ie_crowd/result/provenance.py"]
        subprocess.run(["git", "-C", str(place), *hide], check=True)
        if dirty:
            (place / "README.md").write_text("changed")
        code = "from hatchling.build import build_wheel; print(build_wheel('built'))"
        done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(place / "built" / done.stdout.split()[-1]) as archive:
            (source,) = (name for name in archive.namelist() if name.endswith("extra_metadata/source.json"))
            said = json.loads(archive.read(source))
        assert said == {"repository": None, "commit": head.stdout.strip(), "dirty": dirty}
        shutil.rmtree(place / "built")


def test_wheel_is_this_checkout(installed):
    for path in ROOT.glob("script/**/*.py"):
        assert (installed / "cm_ie_repr" / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def test_installed_copy_is_not_stale():
    spec = importlib.util.find_spec("cm_ie_repr")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the project is not pip-installed here")
    folder = spec.submodule_search_locations[0]
    for path in [*ROOT.glob("script/**/*.py"), *ROOT.glob("script/**/_cm.yaml")]:
        copy = (type(path)(folder) / path.relative_to(ROOT)).read_bytes()
        assert copy == path.read_bytes(), "the installed copy is older than this checkout: pip install . again"


def test_libraries_import_from_the_wheel_alone(installed, tmp_path):
    code = (
        "import ie_model.config as m; from ie_crowd.challenge import load; "
        "print(load.challenge(load.find('ie-repr')).id, m.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ie-repr ")
    assert str(installed) in done.stdout


def test_a_page_is_made_from_the_wheel_alone(installed, tmp_path):
    fixture = ROOT / "tests/data/results/schema-1/semi-supervised-one-run.json"
    (tmp_path / "result.json").write_bytes(fixture.read_bytes())
    argv = [sys.executable, "-m", "ie_crowd", "report", "."]
    done = subprocess.run(argv, cwd=tmp_path, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "test error of q(y|x)" in page, "the words of the challenge come from the wheel too"


def test_the_site_is_made_from_the_wheel_alone(installed, tmp_path):
    pytest.importorskip("starlette")
    argv = [sys.executable, "-m", "ie_crowd", "site", "--out=public", "--store=s.sqlite3", "--quiet"]
    environment = {"PYTHONPATH": str(installed), "HOME": str(tmp_path)}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    front = (tmp_path / "public" / "index.html").read_text(encoding="utf-8")
    assert 'alt="Diagram.' in front, "pages.yaml and the figures come from the wheel too"
    assert list((tmp_path / "public" / "assets").glob("figure-model.*.svg"))
    place = next(iter(sorted(ROOT.glob("cm-repo/experiment/*/*/result.json")))).parent
    found = json.loads((place / "result.json").read_text(encoding="utf-8"))
    said = (tmp_path / "public" / "results" / found["id"] / "index.html").read_text(encoding="utf-8")
    assert f"<code>{place.parent.name}/{place.name}/figures/</code>" in said, "its figures stay in the repository"
    assert "No check of integrity or validity fails" in said
    assert f"{found['metrics']['swap.accuracy']['value']:.2f}" in said, "its numbers are here"


def test_project_needs_light_things_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    light = " ".join(project["dependencies"])
    for heavy in ("torch", "matplotlib", "safetensors"):
        assert heavy not in light
        assert heavy in " ".join(project["optional-dependencies"]["test"])
    assert {"cmind==4.2.0", "cmx4mlops==1.0.1"} <= set(project["dependencies"])

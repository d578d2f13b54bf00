"""Workflows, the action and the GitLab template: what they run exists; what a pull request says is no command."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from paths import ROOT

ACTION = ROOT / ".github" / "actions" / "evaluate"
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
COMPOSITE = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((ROOT / ".gitlab" / "evaluate.yml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]] + COMPOSITE["runs"]["steps"]
[REFERENCE] = ROOT.glob("cm-repo/experiment/ie-repr-glyphs-supervised-all/*/result.json")


def evaluate_module():
    spec = importlib.util.spec_from_file_location("evaluate_results", ACTION / "evaluate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_expression_is_pasted_into_a_shell():
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]


def test_the_workflow_reads_only_and_says_what_we_never_ran():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    tried = WORKFLOW["jobs"]["linux"]["strategy"]["matrix"]["python"]
    named = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)]
    assert set(named) <= set(tried)
    lane = WORKFLOW["jobs"]["never-run-by-us"]
    assert {one.split("-")[0] for one in lane["strategy"]["matrix"]["os"]} == {"macos", "windows"}
    assert "never run by us" in lane["name"]
    assert lane["continue-on-error"] is True


def test_what_is_run_exists():
    said = "\n".join([*(step.get("run", "") for step in STEPS), *GITLAB["evaluate-results"]["script"]])
    for name in re.findall(r"(?<![\w/])\.ci/\w+", said):
        assert os.access(ROOT / name, os.X_OK)
    for name in re.findall(r"-r (\S+)", said):
        assert (ROOT / name).is_file()
    assert "/tmp/ie-repr/" + (ACTION / "evaluate.py").relative_to(ROOT).as_posix() in said
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)


@pytest.fixture
def repository(tmp_path):
    """A results repository with a branch that adds a good result in a folder with an odd name, and one that is none."""

    def git(*argv):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *argv], cwd=place, check=True)

    place = tmp_path / "results"
    place.mkdir()
    git("init", "-q", "-b", "main")
    (place / "README.md").write_text("results")
    git("add", ".")
    git("commit", "-qm", "first")
    good, bad = place / "good <b>`$(touch owned)`", place / "bad"
    good.mkdir()
    bad.mkdir()
    shutil.copy(REFERENCE, good)
    (bad / "result.json").write_text("{")
    git("checkout", "-qb", "more")
    git("add", "good*")
    git("commit", "-qm", "a good one")
    git("tag", "good")
    git("add", ".")
    git("commit", "-qm", "a bad one")
    return place


def run(place, base, page="page.md"):
    paths = os.pathsep.join([str(ROOT / "cm-repo"), str(ROOT)])
    argv = [sys.executable, ACTION / "evaluate.py", base, page]
    return subprocess.run(argv, cwd=place, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True)


def test_the_page_has_a_verdict_of_each_result_that_is_new(repository):
    done = run(repository, "main")
    assert done.returncode == 2, done.stderr
    page = (repository / "page.md").read_text(encoding="utf-8")
    assert page.startswith("<!-- ie-repr evaluate -->\n\n## 2 results of this change")
    assert "bad: cannot be checked" in page
    assert "good ?b????touch owned??: holds together" in page
    assert "integrity" in page
    assert not (repository / "owned").exists()
    assert "<b>" not in page
    done = run(repository, "HEAD")
    assert done.returncode == 0
    assert "## 0 results of this change" in (repository / "page.md").read_text(encoding="utf-8")


def test_a_result_that_was_changed_fails(repository):
    path = next(repository.glob("good*")) / "result.json"
    path.write_text(path.read_text().replace('"epochs": ', '"epochs": 1', 1))
    subprocess.run(["git", "rm", "-rq", "bad"], cwd=repository, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "c"], cwd=repository, check=True
    )
    done = run(repository, "main")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "owned??: fails" in (repository / "page.md").read_text(encoding="utf-8")


def test_a_base_that_is_not_there_is_one_line(repository):
    done = run(repository, "--output=owned")
    assert done.returncode == 1
    assert done.stderr.startswith("evaluate: git finds no way from '--output=owned' to HEAD")
    assert done.stderr.count("\n") == 1
    assert not (repository / "owned").exists()


def test_a_page_that_is_too_long_is_cut(repository, monkeypatch, capsys):
    module = evaluate_module()
    monkeypatch.chdir(repository)
    monkeypatch.setattr(module, "changed", lambda base: [repository / str(n) for n in range(30)])
    monkeypatch.setattr(module, "check", lambda folder: (0, "x" * 10_000))
    assert module.main("main", repository / "page.md") == 2, "those beyond the twentieth are not checked"
    assert len((repository / "page.md").read_text()) < 65_536
    assert len((repository / "page.whole.md").read_text()) > 200_000

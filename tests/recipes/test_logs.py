"""`--log` of the recipes: what it may name, where it writes, what is installed for it, and how a failure is told."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from ie_recipes import dry_run, flags, install
from ie_recipes.run import logs, processes

from ie_model.api import trackers

ENV = {"CM_IE_DATASET": "glyphs", "CM_IE_SUPERVISION": "semi-supervised", "CM_IE_SMOKE": "yes"}


def request(tmp_path, **env):
    return flags.from_env({**ENV, "CM_TMP_CURRENT_PATH": str(tmp_path), **env})


def test_the_recipes_name_the_tools_that_the_library_writes_for():
    assert list(logs.PACKAGES) == list(trackers.NEEDED)


def test_what_is_asked_is_in_the_request_and_in_the_command_that_goes_on(tmp_path):
    asked = request(tmp_path, CM_IE_LOG="tensorboard,mlflow")
    assert (asked.log, asked.log_dir) == ("tensorboard,mlflow", str(tmp_path / "ie-repr-logs"))
    assert "--log=tensorboard,mlflow" in asked.command()
    assert f"  history: for tensorboard,mlflow, in {asked.log_dir}" in dry_run.lines(asked, tmp_path, {})
    assert request(tmp_path, CM_IE_LOG="mlflow", CM_IE_LOG_DIR="a b").log_dir == str(tmp_path / "a b")
    assert request(tmp_path).log is None
    assert asked.identity() == request(tmp_path).identity(), "it is no part of a result"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CM_IE_LOG": "board"}, "--log=board: got 'board', expected one or several of tensorboard, mlflow"),
        ({"CM_IE_LOG": "mlflow,"}, "--log=mlflow,: got ''"),
        ({"CM_IE_LOG_DIR": "logs"}, "--log_dir=logs: says where --log writes to: add --log=tensorboard"),
        ({"CM_IE_LOG": "mlflow", "CM_IE_LOG_DIR": "file/logs"}, "file is a file); give another folder with --log_dir"),
    ],
)
def test_what_cannot_be_is_one_line_before_any_work(tmp_path, env, said):
    (tmp_path / "file").write_text("")
    env = {**ENV, "CM_TMP_CURRENT_PATH": str(tmp_path), **env}
    answer = flags.check({"input": {}, "env": env, "run_script_input": {"const": {}}})
    assert answer["return"] == 2
    assert said in answer["error"]
    assert "\n" not in answer["error"]


def test_an_unwritable_folder_is_one_line_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ValueError, match=f"^--log_dir={tmp_path}/logs/deep: cannot be written to .* is not writable"):
        logs.refuse_unwritable(str(tmp_path / "logs" / "deep"))
    assert not (tmp_path / "logs").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
def test_a_folder_that_root_may_write_and_that_takes_nothing_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"^--log_dir=/proc/logs: cannot be written to .* another folder"):
        logs.refuse_unwritable("/proc/logs")
    logs.refuse_unwritable(str(tmp_path / "logs"))
    assert not list(tmp_path.glob("*probe*"))
    assert not (tmp_path / "logs").exists()


def test_only_what_the_named_tools_need_is_installed():
    assert install.of_tools("") == {}
    assert set(install.of_tools("tensorboard")) == {"tensorboard"}
    assert set(install.of_tools("mlflow,tensorboard")) == {"tensorboard", "mlflow-skinny", "alembic", "sqlalchemy"}
    assert set(install.of_tools(",".join(logs.PACKAGES))) == set(install.pins(install.HERE / "requirements-log.txt"))
    site = install.pins(install.SITE)
    for name, pin in install.of_tools("mlflow").items():
        assert site.get(name, pin) == pin, "two lists of one environment agree"


def test_each_results_folder_is_logged_under_a_name_of_its_own(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(processes, "run", lambda argv, **more: started.append(argv[-5:]) or 0)
    one = request(tmp_path, CM_IE_LOG="tensorboard")
    assert logs.write(one, tmp_path / "a-run", tmp_path, {}) == ""
    assert started == [
        ["log", f"{tmp_path}/a-run", "--log=tensorboard", f"--log-dir={tmp_path}/ie-repr-logs", "--name=a-run"]
    ]
    assert logs.write(request(tmp_path), tmp_path, tmp_path, {}) == ""
    started.clear()
    parts = {"paper": None, "closed": None}
    both = SimpleNamespace(log="mlflow", log_dir="/l", several=True, parts=lambda: parts)
    (tmp_path / "both" / "closed").mkdir(parents=True)
    (tmp_path / "both" / "closed" / "result.json").write_text("{}")  # the other one failed
    assert logs.write(both, tmp_path / "both", tmp_path, {}) == ""
    assert [words[-1] for words in started] == ["--name=both-closed"]


def test_a_failure_says_that_the_run_is_complete_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "run", lambda argv, **more: 2)
    said = logs.write(request(tmp_path, CM_IE_LOG="mlflow"), tmp_path / "a run", tmp_path, {})
    assert said.startswith(
        f"the run is complete in {tmp_path / 'a run'}, but was not logged (exit code 2, see above): "
    )
    assert f"ie-model log '{tmp_path}/a run' --log=mlflow" in said

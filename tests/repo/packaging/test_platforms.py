"""What docs/platforms.md says runs, and the line where torch has no build."""

import os
import re
import subprocess
import tomllib

import pytest
from ie_recipes import install
from ie_recipes.run import platforms
from paths import ROOT

PAGE = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    ("machine", "where"),
    [
        (("darwin", "x86_64", "14.5", "cpython-312-darwin"), "Intel Macs"),
        (("darwin", "arm64", "13.6.1", "cpython-312-darwin"), "macOS 13.6.1, only for 14 or newer"),
        (("win32", "ARM64", "", "cp312-win_arm64"), "Windows on ARM"),
        (("linux", "x86_64", "", "cpython-312-x86_64-linux-musl"), "musl, as in Alpine Linux"),
    ],
)
def test_where_torch_has_no_build_it_is_one_line(machine, where):
    with pytest.raises(ValueError, match=r"docs/platforms\.md") as error:
        platforms.refuse(*machine)
    assert f"torch has no build for {where}: use " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "machine",
    [
        ("darwin", "arm64", "14.0", "cpython-312-darwin"),
        ("win32", "AMD64", "", None),
        ("linux", "aarch64", "", "cpython-311-aarch64-linux-gnu"),
        ("linux", "x86_64", "", None),
    ],
)
def test_elsewhere_nothing_is_said(machine):
    platforms.refuse(*machine)


def test_it_is_said_before_pip_is_asked_and_only_where_torch_is_missing(monkeypatch):
    def refuse():
        raise ValueError("no torch here")

    monkeypatch.setattr(platforms, "refuse_here", refuse)
    monkeypatch.setattr(install, "refuse_system_python", lambda allowed: None)
    monkeypatch.setattr(install, "_pip", lambda *_, **__: pytest.fail("pip was asked"))
    monkeypatch.setattr(install, "installed", lambda name: None)
    with pytest.raises(ValueError, match="no torch here"):
        install.ensure("cpu")
    everything = {**install.pins(), **install.of_a_site()}
    monkeypatch.setattr(install, "installed", everything.get)
    assert install.ensure("cpu").code == 0


def test_the_page_has_a_row_for_each_promised_python_and_each_machine_without_torch():
    for version in re.findall(r'Python :: (3\.\d+)"', str(PROJECT["classifiers"]).replace("'", '"')):
        assert f"Python {version}" in PAGE
    for word in ("Intel Macs", "Windows on ARM", "musl"):
        assert word in PAGE


def test_one_script_runs_all_promised_pythons(tmp_path):
    """With a pyenv that has none of them, and with one whose Python fails."""
    script = ROOT / ".ci" / "pythons"
    done = subprocess.run([script], env=os.environ | {"PYENV_ROOT": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[1:4] == [f"3.{minor}  not here: pyenv install 3.{minor}" for minor in (11, 12, 13)]


def test_the_ways_with_uv_and_conda_are_in_the_readme_as_they_were_tried():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for way in (
        "uv venv --seed && . .venv/bin/activate && uv pip install .",
        "conda create -n ie-repr python=3.11 pip",
    ):
        assert f"`{way}" in readme
        assert f"`{way}" in PAGE

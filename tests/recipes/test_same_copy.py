"""Two clones with two environments that share CM's list of repositories, and what cm meets on odd machines."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cm_repos import register
from ie_recipes import own_code
from paths import ROOT

CM = str(Path(sys.executable).with_name("cm"))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Returns a function that says from which folder pip has installed this project."""
    monkeypatch.delenv(own_code.ANY_COPY, raising=False)

    def say(url: str | None, **more) -> None:
        info = tmp_path / "site" / "ie_repr-0.1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ie-repr\nVersion: 0.1\n")
        if url is not None:
            (info / "direct_url.json").write_text(json.dumps({"url": url, **more}))
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

    return say


def clone(folder: Path) -> Path:
    (folder / "script" / "ie_recipes").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("editable", [True, False])
def test_a_recipe_of_another_clone_stops_with_the_line_that_mends(tmp_path, installed, editable):
    old, new = clone(tmp_path / "old"), clone(tmp_path / "a new one's")
    installed(new.as_uri(), dir_info={"editable": editable})
    answer = own_code.refuse_another(str(old))
    assert answer["return"] == 1
    for part in (str(old), str(new), "cm rm repo ie-repr", "cm import repo"):
        assert part in answer["error"]
    assert "\n" not in answer["error"]
    assert own_code.refuse_another(str(new)) == {}


def test_it_may_be_allowed(tmp_path, installed, monkeypatch):
    old, new = clone(tmp_path / "old"), clone(tmp_path / "new")
    installed(new.as_uri())
    monkeypatch.setenv(own_code.ANY_COPY, "yes")
    assert own_code.refuse_another(str(old)) == {}


@pytest.mark.parametrize("url", [None, "https://example.org/a.git", "file:///gone", "file:///", "[", 7])
def test_what_is_not_known_is_no_reason_to_stop(tmp_path, installed, url):
    installed(url)
    assert own_code.refuse_another(str(clone(tmp_path / "old"))) == {}


def test_a_link_to_the_same_clone_is_the_same(tmp_path, installed):
    new = clone(tmp_path / "new")
    (tmp_path / "link").symlink_to(new)
    installed((tmp_path / "link").as_uri())
    assert own_code.refuse_another(str(new)) == {}


def test_packages_of_two_environments(tmp_path, monkeypatch):
    old, new = tmp_path / "old" / own_code.RECIPES_PACKAGE, tmp_path / "new" / own_code.RECIPES_PACKAGE
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    monkeypatch.delenv(own_code.ANY_COPY, raising=False)
    monkeypatch.syspath_prepend(str(new.parent))
    assert "export CM_REPOS=" in own_code.refuse_another(str(old))["error"]
    assert own_code.refuse_another(str(new)) == {}


def cm(*words, cwd, **env):
    environment = {**os.environ, "CM_CORE_SKIP_INTERNAL_REPOS": "yes", **env}
    return subprocess.run(
        [CM, "run", "script", *words],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.real
@pytest.mark.parametrize("words", [["detect ie-device"], ["reproduce ie-repr glyphs _smoke"], ["evaluate ie-repr"]])
def test_every_recipe_of_another_clone_stops(tmp_path, words):
    """The real cm, whose list holds a clone that is not the one that pip has installed here."""
    record = json.loads(importlib.metadata.distribution("ie-repr").read_text("direct_url.json") or "{}")
    if not record.get("url", "").startswith("file:"):
        pytest.skip("pip does not know where it installed this project from")
    old = tmp_path / "an old clone"
    old.mkdir()
    shutil.copytree(ROOT / "script", old / "script")
    shutil.copy(ROOT / "cmr.yaml", old)
    register(tmp_path / "CM", old)
    done = cm(*words, cwd=tmp_path, CM_REPOS=str(tmp_path / "CM"), CM_IE_ANY_COPY="")
    assert done.returncode == 1
    assert f"CM knows the copy of ie-repr in {old}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ie-repr-results").exists()


@pytest.mark.real
def test_a_temporary_folder_with_a_space(tmp_path):
    scratch = tmp_path / "my tmp's $(touch hacked)"
    scratch.mkdir()
    register(tmp_path / "CM", ROOT)
    done = cm(
        "detect ie-device", cwd=tmp_path, CM_REPOS=str(tmp_path / "CM"), TMPDIR=str(scratch), CM_IE_ANY_COPY="yes"
    )
    assert done.returncode == 0, done.stderr
    assert "device: " in done.stdout
    assert not (tmp_path / "hacked").exists()

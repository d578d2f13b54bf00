"""`cm docker script`: the Dockerfile that CM writes from a recipe's `docker:`, and what it runs in there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cm_repos import register
from ie_recipes import bridge
from paths import ROOT

RECIPES = [
    path for name in ("reproduce-*", "run-*", "evaluate-*") for path in (ROOT / "script").glob(f"{name}/_cm.yaml")
]
PINS = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_what_recipes_say_of_containers(path):
    meta = yaml.safe_load(path.read_text(encoding="utf-8"))
    docker = meta["docker"]
    assert docker["base_image"] in (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"cmx4mlops==[0-9.]+", docker["cm_repos"])[0] in PINS
    assert set(docker["input_paths"]) <= set(meta["input_mapping"])
    if path.parent.name != "evaluate-ie-repr":
        variations = meta["variations"]
        assert variations["cuda"]["docker"]["all_gpus"] == "yes"
        for device in ("cpu", "cuda"):
            command = f"cm run script --tags=get,ie-deps,_{device} --quiet"
            assert variations[device]["docker"]["docker_run_final_cmds"] == [command]


def test_the_dockerfile_that_cm_writes(tmp_path, monkeypatch):
    """CM asks docker for its version only."""
    monkeypatch.delenv("CM_CORE_SKIP_INTERNAL_REPOS", raising=False)
    register(Path(os.environ["CM_REPOS"]), ROOT)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "docker").write_text("#!/bin/sh\necho 'Docker version 28.2.2, build e6534b4'\n", encoding="utf-8")
    (tools / "docker").chmod(0o755)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "cmr.yaml").write_bytes((ROOT / "cmr.yaml").read_bytes())
    asked = ["--tags=reproduce,ie-repr,glyphs,_smoke,_cpu", f"--docker_path={tmp_path}", f"--env.CM_REPO_PATH={copy}"]
    done = subprocess.run(
        [Path(sys.executable).with_name("cm"), "dockerfile", "script", *asked, "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = (tmp_path / "dockerfiles").glob("*.Dockerfile")
    lines = written.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "FROM python:3.11-slim-bookworm"
    order = [
        next(number for number, line in enumerate(lines) if line.startswith(start))
        for start in (
            "COPY --chown=cmuser:cm cm_repo ",
            "RUN python3 -m pip install cmx4mlops==",
            "RUN cm run script --tags=get,ie-deps,_cpu --quiet",
            "RUN cm pull repo && cm run script --tags=reproduce,ie-repr,glyphs,_smoke,_cpu ",
        )
    ]
    assert order == sorted(order)
    assert "--fake_run" in lines[order[-1]], "the image is built without a training"
    assert not any("sys-utils" in line for line in lines), "what the base lacks is not asked of sudo"


def test_the_key_that_cm_adds_in_a_container_is_no_flag_of_ours():
    bridge.refuse_unknown({"docker_run_deps": True, "quiet": "True", "tags": "a"}, ["labels"])
    bridge.refuse_unknown({"docker_run_deps": True, "mlc_run_cmd": "mlcr a"}, ["labels"])

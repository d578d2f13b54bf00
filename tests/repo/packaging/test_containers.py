"""containers/ and .devcontainer/: the README's commands, pyproject's pins, no root, and services that exist."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from ie_crowd import __main__ as ie_crowd
from paths import ROOT

DOCKERFILE = (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8")
APPTAINER = (ROOT / "containers" / "apptainer.def").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "containers" / "compose.yaml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(line.partition(" ")[0].split("==") for line in PROJECT["optional-dependencies"]["test"] if "==" in line)
STAGES = {
    found[1]: text
    for text in re.split(r"(?m)^(?=FROM )", DOCKERFILE)
    if (found := re.match(r"FROM \S+ AS (\S+)", text))
}
IMAGES = ("cpu", "cuda", "site")


def test_what_is_installed_is_what_the_readme_says():
    (first,) = re.findall(r"^(python3 -m venv \S+) && \. \S+ && (pip install \.) && cm run", README, re.MULTILINE)
    for made in (STAGES["installed"], APPTAINER):
        for command in (first[0].rpartition(" ")[0], "/bin/activate"):
            assert command in made
        assert re.search(r"pip install (--no-cache-dir )?\.(\n|$)", made)


def test_pins_are_those_of_the_project():
    pinned = re.findall(r'"?([a-z]+(?:\[binary\])?)==([0-9.]+)', DOCKERFILE)
    assert {name for name, _ in pinned} == {"torch", "torchvision", "psycopg[binary]"}
    assert all(PINS[name] == version for name, version in pinned)
    for text in (DOCKERFILE, APPTAINER):
        for name in re.findall(r"-r (\S+)", text):
            assert (ROOT / name).is_file()
    version = re.findall(r"python:(\d+\.\d+)-", DOCKERFILE)
    assert set(version) == {"3.11"}
    assert PROJECT["requires-python"] == f">={version[0]}"


def test_every_image_that_is_pulled_is_pinned_by_one_digest():
    named = [
        *re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE),
        *re.findall(r"^From: (\S+)", APPTAINER, re.MULTILINE),
        COMPOSE["services"]["postgres"]["image"],
    ]
    digests = [re.fullmatch(r"[a-z]+(?::[\w.-]+)?@(sha256:[0-9a-f]{64})", one)[1] for one in named]
    assert digests[0] == digests[1] != digests[2]
    assert not re.findall(r"^FROM (?!\$\{PYTHON\}|installed|base)", DOCKERFILE, re.MULTILINE)


@pytest.fixture
def pinning(tmp_path):
    """Runs `.ci/pin-images` of a copy, with a docker that says what is given."""
    for folder in (".ci", "containers"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()

    def run(script):
        docker.write_text(f"#!/bin/sh\n{script}\n")
        docker.chmod(0o755)
        environment = os.environ | {"PATH": f"{docker.parent}{os.pathsep}{os.environ['PATH']}"}
        argv = [sys.executable, tmp_path / ".ci" / "pin-images"]
        return subprocess.run(argv, env=environment, capture_output=True, text=True)

    return run


def test_images_are_pinned_anew_in_one_command(pinning, tmp_path):
    asked = 'case "$*" in *python:3.11-slim-bookworm) d=a;; *postgres:17-bookworm) d=b;; *) exit 1;; esac\n'
    done = pinning(asked + "printf 'sha256:'; for i in $(seq 64); do printf $d; done")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pinned anew") == 3
    for name, digit in (("Dockerfile", "a"), ("apptainer.def", "a"), ("compose.yaml", "b")):
        before, after = ((place / "containers" / name).read_text() for place in (ROOT, tmp_path))
        assert after == re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{digit * 64}", before)


@pytest.mark.parametrize(
    "script", ["echo 'no such host' >&2; exit 1", "echo latest", 'case "$*" in *python*) exit 1;; esac']
)
def test_a_registry_that_does_not_answer_is_one_line_and_changes_nothing(pinning, tmp_path, script):
    done = pinning(script)
    assert done.returncode == 2
    assert done.stderr.startswith("pin-images: ")
    assert done.stderr.endswith("nothing was written\n")
    assert done.stderr.count("\n") == 1
    for name in ("Dockerfile", "apptainer.def", "compose.yaml"):
        assert (tmp_path / "containers" / name).read_bytes() == (ROOT / "containers" / name).read_bytes()


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_no_root_and_starts_something_that_exists(name):
    assert re.findall(r"^USER (\S+)$", STAGES[name], re.MULTILINE) == ["10001"]
    assert STAGES[name].startswith("FROM base")
    (argv,) = [json.loads(one) for one in re.findall(r"^CMD (\[.*\])$", STAGES[name], re.MULTILINE)]
    if argv[0] == "cm":
        assert f'cm run script "{argv[3]}"' in README
    else:
        parsed(argv)
    assert "--uid 10001" in STAGES["base"]


def test_the_site_says_whether_it_is_healthy():
    (check,) = re.findall(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", STAGES["site"])
    program = json.loads(check)
    assert program[:2] == ["python", "-c"]
    compile(program[2], "healthcheck", "exec")
    assert "/healthz" in program[2]


def parsed(argv):
    """That `ie-crowd` knows a command and its flags, without running it."""
    assert argv[0] == "ie-crowd"
    with pytest.raises(SystemExit) as ended:
        ie_crowd.main([*argv[1:], "--help"])
    assert ended.value.code == 0


def test_the_services_are_images_of_the_dockerfile_and_commands_that_exist(capsys):
    assert set(COMPOSE["services"]) == {"postgres", "site", "verify", "backup"}
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "TLS stands in front"
        if name == "postgres":
            assert "healthcheck" in service
            continue
        assert service["build"]["target"] in STAGES
        assert (ROOT / "containers" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        words = service["command"][4:] or shlex.split(re.search(r"do (ie-crowd .*?); sleep", service["command"][2])[1])
        assert words[1] == {"site": "serve"}.get(name, name)
        parsed([re.sub(r"\$\{.*?\}", "http://x", word) for word in words])
    assert COMPOSE["secrets"]["postgres-password"]["file"].removeprefix("./") in " ".join(
        (ROOT / ".dockerignore").read_text().split()
    )
    assert "containers/postgres-password" in (ROOT / ".gitignore").read_text().split()


def test_the_dev_container_is_the_environment_of_contributors():
    made = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    wanted = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("```bash\n")[2].splitlines()[:2]
    assert made["postCreateCommand"] == " && ".join(wanted)

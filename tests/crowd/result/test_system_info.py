"""Facts about the machine, software and provenance: complete, and silent about who and where."""

import getpass
import importlib.metadata
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ie_crowd.formats import schema
from ie_crowd.result import provenance, system_info
from ie_crowd.result.provenance import Names, public_address, scrub, scrub_command
from toy_challenge.make import FACTS

ADA = Names(users=("ada",), hosts=("ada-laptop.example", "enigma"))
NO_CM = {"repo": None, "script": None, "version": None}


def valid(part, value):
    """The schema's complaints about one top-level part of a result."""
    whole = schema.validator()
    return [error.message for error in whole.evolve(schema=whole.schema["properties"][part]).iter_errors(value)]


# System


def test_this_machine_is_described_without_its_name():
    facts = system_info.describe()
    assert valid("system", facts) == []
    text = json.dumps(facts)
    assert socket.gethostname() not in text or len(socket.gethostname()) < 3
    if getpass.getuser() not in ("root", "user"):
        assert getpass.getuser() not in text
    assert facts["memory_bytes"] > 2**27
    assert 1 <= facts["cores"]["usable"] <= facts["cores"]["logical"]


EPYC = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: {family}
model\t\t: {model}
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu sse2 avx avx2 {more}

processor\t: 1
cpu family\t: 99
"""


def test_generations_of_processors_that_a_hypervisor_names_alike_are_told_apart():
    older = system_info.processor(EPYC.format(family=23, model=49, more=""))
    newer = system_info.processor(EPYC.format(family=26, model=2, more="avx512f"))
    hidden = system_info.processor(EPYC.format(family=26, model=2, more=""))
    assert older == "AMD EPYC (family 23, model 49, stepping 1, AVX2)"
    assert newer == "AMD EPYC (family 26, model 2, stepping 1, AVX-512)"
    assert hidden not in (older, newer)
    assert [system_info.words(name, 120) for name in (older, newer)] == [older, newer]  # nothing of it is cut away


@pytest.mark.parametrize(
    ("cpuinfo", "named"),
    [
        ("", ""),
        ("processor : 0\n", ""),
        ("model name : A CPU @ 2.10GHz\n", "A CPU @ 2.10GHz"),
        ("model : 7\n", "(model 7)"),  # a number names nothing
        (
            "CPU implementer : 0x41\nCPU variant : 0x3\nCPU part : 0xd0c\nFeatures : fp asimd\n",
            "(implementer 0x41, variant 0x3, part 0xd0c, NEON)",
        ),
        ("processor : 0\nModel : Raspberry Pi 5 Model B\n", "Raspberry Pi 5 Model B"),
        ("cpu model : MIPS 74Kc\n", "MIPS 74Kc"),
    ],
)
def test_processors_of_other_makers(cpuinfo, named):
    assert system_info.processor(cpuinfo) == named
    system = {**FACTS["system"], "cpu_model": system_info.words(named, 120)}
    assert valid("system", system) == []


def test_a_system_that_tells_nothing_is_unknown_not_an_error(monkeypatch):
    monkeypatch.setattr(system_info.platform, "system", lambda: "")
    for name in ("release", "machine", "processor"):
        monkeypatch.setattr(system_info.platform, name, lambda: "")
    monkeypatch.setattr(system_info.os, "cpu_count", lambda: None)
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: None)
    facts = system_info.describe()
    assert valid("system", facts) == []
    assert (facts["cpu_model"], facts["os"], facts["cores"]["physical"]) == ("unknown", "unknown", None)


def test_accelerators():
    gpu = {
        "kind": "cuda",
        "name": "NVIDIA H100",
        "memory_bytes": 2**36,
        "driver": "550.1",
        "count": 2,
        "reason": "found",
    }
    cpu = {"kind": "cpu", "name": "CPU", "memory_bytes": 1, "driver": None, "count": 1}
    assert system_info.accelerators([cpu, gpu, gpu]) == 2 * [
        {"kind": "cuda", "name": "NVIDIA H100", "memory_bytes": 2**36, "driver": "550.1"}
    ]
    odd = [
        {"kind": "CUDA/../x", "name": "\x1b[31m<b>\u202eGPU\n", "memory_bytes": -1, "driver": "a b", "count": 10**9},
        {},
    ]
    assert valid("system", {**system_info.describe(), "accelerators": system_info.accelerators(odd)}) == []
    assert len(system_info.accelerators(odd)) == 64


@given(st.text())
def test_any_text_becomes_words_that_the_schema_takes(text):
    assert (
        valid(
            "system", {**FACTS["system"], "cpu_model": system_info.words(text, 120), "os": system_info.words(text, 100)}
        )
        == []
    )


# Software


def test_software_is_the_closure_and_one_hash_of_everything():
    facts = system_info.software(["jsonschema", "No-Such_Thing"])
    assert valid("software", facts["software"]) == []
    names = [package["name"] for package in facts["software"]]
    assert names == sorted(names)
    assert {"jsonschema", "attrs", "referencing"} <= set(names)
    assert "pytest" not in names  # installed, but nothing that jsonschema depends on
    assert {"name": "jsonschema", "version": importlib.metadata.version("jsonschema")} in facts["software"]
    assert system_info.software([])["software_sha256"] == facts["software_sha256"]


def fake_distribution(folder, name, version, *requires):
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [f"Requires-Dist: {line}\n" for line in requires]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{''.join(lines)}")
    return info


def test_the_walk_ends_in_a_circle_and_leaves_extras_out(tmp_path, monkeypatch):
    fake_distribution(
        tmp_path, "One.Thing", "1.0", "two_thing>=1 ; python_version > '3'", "extra-thing ; extra == 'all'"
    )
    fake_distribution(tmp_path, "two-thing", "2.0", "one-thing", "not-installed[x] (>2)")
    fake_distribution(tmp_path, "extra-thing", "3.0")
    before = system_info.software([])["software_sha256"]
    monkeypatch.syspath_prepend(str(tmp_path))
    facts = system_info.software(["one_thing"])
    assert facts["software"] == [{"name": "one-thing", "version": "1.0"}, {"name": "two-thing", "version": "2.0"}]
    assert facts["software_sha256"] != before


# Provenance: the command


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/home/ada/.venv/bin/cm", "run", "script", "reproduce rivers"], "cm run script 'reproduce rivers'"),
        (["cm", "--data=/home/ada/my data/$(echo x)'s"], "cm --data=<path>"),
        (["cm", "--data", "/srv/x"], "cm --data <path>"),
        (["cm", "--data=~"], "cm --data=<path>"),
        (["cm", "--data=~/x"], "cm --data=<path>"),
        (["cm", "--data=~bob/x"], "cm --data=<path>"),
        (["cm", "--data=../../ada/x"], "cm --data=<path>"),
        (["cm", "--data=results/of/mine"], "cm --data=<path>"),
        (["cm", r"--data=C:\Users\Ada Lovelace\x"], "cm --data=<path>"),
        (["cm", r"--data=\\server\share"], "cm --data=<path>"),
        (["cm", "--data=C:/Users/Ada/x"], "cm --data=<path>"),
        (["cm", "--data=file:///home/ada/x"], "cm --data=<path>"),
        (["cm", "--data=FILE:/home/ada"], "cm --data=<path>"),
        (["cm", "-o/home/ada"], "cm <path>"),
        (["cm", "/opt/a=b/c"], "cm <path>"),
        (["cm", "--/home/ada=3"], "cm <path>=3"),
        (["cm", "--url=https://ada:secret@example.org/x?token=1#y"], "cm --url=https://example.org/x"),
        (["cm", "--url=http://10.0.0.7:8000/x"], "cm --url=<address>"),
        (["cm", "--to=ada@example.org"], "cm --to=<address>"),
        (["cm", "--server=192.168.1.7:80"], "cm --server=<address>"),
        (["cm", "--name=ada", "--on=ENIGMA", "--x=adamant"], "cm --name=<user> --on=<host> --x=adamant"),
        (["cm", "--outdir=ada-results"], "cm --outdir=<user>-results"),
        (["cm", "--epochs=3", "--lr=0.1", "_smoke"], "cm --epochs=3 --lr=0.1 _smoke"),
        (["cm", "a\nb", ""], "cm 'a b' ''"),
        (["cm", "--x=\udcffa\u202eb\x1b[2J"], "cm '--x= a b [2J'"),
        ([r"C:\Python\python.exe", "-m", "x"], "python.exe -m x"),
        ([], "<unknown>"),
    ],
)
def test_commands_keep_what_they_say_and_lose_where(argv, expected):
    assert scrub_command(argv, ADA) == expected


@pytest.mark.parametrize("name", ["script", "mnist", "run", "data", "Train", "device", "error", "fashion"])
def test_somebody_who_is_called_like_a_word_of_a_command_hides_none(monkeypatch, name):
    for variable in ("USER", "LOGNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(variable, name)
    monkeypatch.setattr(provenance.socket, "gethostname", lambda: name)
    argv = ["cm", "run", "script", "reproduce ie-repr mnist", "--data=/home/mnist/x", "--device=cpu"]
    assert scrub_command(argv) == "cm run script 'reproduce ie-repr mnist' --data=<path> --device=cpu"
    assert scrub("error: train fashion data on the device") == "error: train fashion data on the device"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot open /home/ada/x.bin: no such file", "cannot open <path> no such file"),
        ("cannot open '/home/ada/my data/x y': gone", "cannot open '<path>': gone"),
        ('in "C:\\Users\\Ada Lovelace\\x" line 3', 'in "<path>" line 3'),
        ("at /home/ada/my data/x now", "at <path> now"),
        (r"at C:\Users\Ada\My Files\x now", "at <path> now"),
        (r"on \\server\share\x", "on <path>"),
        ("under ~ and ~/x and ~bob/y", "under <path> and <path> and <path>"),
        ("in $HOME/x and %APPDATA%\\y", "in <path> and <path>"),
        ("see file:///home/ada/x y", "see <path>"),
        ("from https://ada:pw@example.org/a?b=c to b", "from https://example.org/a to b"),
        ("proxy http://proxy:3128/ failed", "proxy <address> failed"),
        ("host 10.1.2.3:80 said no", "host <address> said no"),
        ("user Ada on enigma", "user <user> on <host>"),
        ("in runs/0/model.bin", "in <path>"),
        ("a\n  b\tc", "a b c"),
        ("loss is nan at epoch 3/12, 50% of N", "loss is nan at epoch <path> 50% of N"),  # too much, never too little
        ("the loss is not a number: nan, expected < 1e3", "the loss is not a number: nan, expected < 1e3"),
        ("version 1.2.3 and 1 / 2", "version 1.2.3 and 1 / 2"),
    ],
)
def test_text_loses_paths_names_and_addresses(text, expected):
    assert scrub(text, ADA) == expected


@given(st.text(alphabet="ab /\\'\"~.:$%=<>-", max_size=60))
def test_scrubbing_again_changes_nothing_and_leaves_no_absolute_path(text):
    once = scrub(text, ADA)
    assert scrub(once, ADA) == once
    for word in once.replace("'", " ").replace('"', " ").split():
        assert not (word.startswith("/") and len(word.strip("/\\")) > 1), (text, once)


def test_this_user_and_this_machine_are_hidden(monkeypatch):
    monkeypatch.setenv("USER", "grace")
    monkeypatch.setattr(provenance.socket, "gethostname", lambda: "cobol.navy.example")
    assert scrub("grace at cobol, cobol.navy.example") == "<user> at <host>, <host>"
    monkeypatch.setenv("USER", "root")  # a name that names nobody
    assert scrub("the root of it") == "the root of it"


# Provenance: the repository


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/a/b.git\n", "https://github.com/a/b.git"),
        ("https://ada:ghp_secret@github.com/a/b.git?x=1#y", "https://github.com/a/b.git"),
        ("https://ghp_secret@github.com/a/b", "https://github.com/a/b"),
        ("git@github.com:a/b.git", "ssh://github.com/a/b.git"),
        ("ssh://git@example.org:2222/a/b", "ssh://example.org:2222/a/b"),
        ("/home/ada/b", None),
        ("../b", None),
        ("file:///home/ada/b", None),
        ("ssh://enigma/home/ada/b", None),
        ("ssh://example.org/home/ada/b", None),
        ("ada@example.org:/home/ada/b", None),
        ("http://localhost:3000/a/b", None),
        ("http://192.168.0.3/a/b", None),
        ("http://[::1]/a/b", None),
        ("https://nas.local/a/b", None),
        (r"C:\Users\Ada\b", None),
        ("https://example.org:port/a", None),
        ("https://example.org/a b", None),
        ("ext::sh -c touch% /tmp/x", None),
        ("", None),
    ],
)
def test_only_public_addresses_without_credentials(url, expected):
    assert public_address(url) == expected
    if expected is not None:
        assert valid("provenance", {**provenance.read(None, command=["x"], cm=NO_CM), "repository": expected}) == []


def git(folder, *arguments):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *names, "-C", str(folder), *arguments], check=True, capture_output=True, env=environment)


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "a checkout's $(folder)"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("results/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "x")
    git(folder, "remote", "add", "origin", "https://ada:secret@example.org/a/b.git")
    return folder


def test_git_is_read(checkout):
    facts = provenance.read(
        checkout, command=["cm", "x"], cm={"repo": "a", "script": "b", "version": "4.2.0"}, names=ADA
    )
    assert valid("provenance", facts) == []
    assert facts["repository"] == "https://example.org/a/b.git"
    assert len(facts["commit"]) == 40
    assert facts["dirty"] is False
    (checkout / "results").mkdir()
    (checkout / "results" / "x").touch()
    assert provenance.read(checkout, command=["x"], cm=NO_CM)["dirty"] is False  # ignored by git
    (checkout / "code.py").write_text("x = 2\n")
    assert provenance.read(checkout, command=["x"], cm=NO_CM)["dirty"] is True


def test_what_is_no_change_of_the_code_does_not_make_it_dirty(checkout):
    (checkout / ".idea").mkdir()
    (checkout / ".idea" / "workspace.xml").write_text("<x/>")
    (checkout / "my notes.txt").write_text("x")
    (checkout / "code.py").chmod(0o755)
    (checkout / "code.py").touch()
    assert provenance.read(checkout, command=["x"], cm=NO_CM)["dirty"] is False
    (checkout / "code.py").unlink()
    assert provenance.read(checkout, command=["x"], cm=NO_CM)["dirty"] is True


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_checkout_of_another_owner_says_its_commit_and_not_whether_it_was_changed(checkout, tmp_path):
    mark = tmp_path / "executed"
    git(checkout, "config", "filter.trap.clean", f"touch '{mark}'; cat")
    (checkout / ".gitattributes").write_text("*.py filter=trap\n")
    commit = provenance.read(checkout, command=["x"], cm=NO_CM)["commit"]
    mark.unlink(missing_ok=True)
    (checkout / "code.py").write_text("x = 3\n")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 54321, 54321)
    refused = subprocess.run(["git", "status"], cwd=checkout, capture_output=True, text=True, check=False)
    assert "dubious ownership" in refused.stderr, "this git does not refuse, so this test shows nothing"
    facts = provenance.read(checkout, command=["x"], cm=NO_CM, distribution="pytest")
    assert (facts["repository"], facts["commit"], facts["dirty"]) == ("https://example.org/a/b.git", commit, None)
    assert commit is not None
    assert not mark.exists()


def test_an_installed_copy_says_nothing_of_a_checkout(tmp_path, monkeypatch):
    """The checkout that runs is no repository: a ZIP download, or git is not there. Another copy has a record."""
    (tmp_path / "site").mkdir()
    info = fake_distribution(tmp_path / "site", "rivers-code", "1.0")
    (info / "extra_metadata").mkdir()
    source = {"repository": "https://example.org/a/b.git", "commit": "b" * 40, "dirty": False}
    (info / "extra_metadata" / "source.json").write_text(json.dumps(source))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert provenance.read(None, command=["x"], cm=NO_CM, distribution="rivers-code")["commit"] == "b" * 40
    (tmp_path / "unpacked").mkdir()
    facts = provenance.read(tmp_path / "unpacked", command=["x"], cm=NO_CM, distribution="rivers-code")
    assert (facts["repository"], facts["commit"], facts["dirty"]) == (None, None, None)


def test_another_repository_around_the_code_says_nothing(checkout):
    inside = checkout / "venv" / "site-packages"
    inside.mkdir(parents=True)
    facts = provenance.read(inside, command=["x"], cm=NO_CM)
    assert (facts["repository"], facts["commit"], facts["dirty"]) == (None, None, None)


def test_nothing_of_the_repository_is_executed(checkout, tmp_path):
    mark = tmp_path / "executed"
    program = tmp_path / "program.sh"  # git hands its name to a shell, so it lies at a plain path
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    program.chmod(0o755)
    git(checkout, "config", "core.fsmonitor", str(program))
    git(checkout, "status")
    assert mark.exists(), "this git does not start the program at all, so this test shows nothing"
    mark.unlink()
    assert provenance.read(checkout, command=["x"], cm=NO_CM)["commit"] is not None
    assert not mark.exists()


def test_variables_of_git_do_not_lead_elsewhere(checkout, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert provenance.read(other, command=["x"], cm=NO_CM)["commit"] is None


@pytest.mark.parametrize("how", ["no git", "no repository", "hangs"])
def test_without_git_all_is_null(tmp_path, monkeypatch, how):
    programs = tmp_path / "bin"
    programs.mkdir()
    if how == "no git":
        monkeypatch.setenv("PATH", str(programs))
    elif how == "hangs":
        (programs / "git").write_text("#!/bin/sh\nexec sleep 60\n")
        (programs / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(provenance, "_GIT_SECONDS", 0.2)
    facts = provenance.read(tmp_path, command=["x"], cm=NO_CM)
    assert valid("provenance", facts) == []
    assert (facts["repository"], facts["commit"], facts["dirty"]) == (None, None, None)


def test_a_wheel_from_version_control_knows_its_commit(tmp_path, monkeypatch):
    info = fake_distribution(tmp_path, "rivers-code", "1.0")
    record = {"url": "https://ada:pw@example.org/a/b.git", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}
    (info / "direct_url.json").write_text(json.dumps(record))
    monkeypatch.syspath_prepend(str(tmp_path))
    facts = provenance.read(None, command=["x"], cm=NO_CM, distribution="rivers-code")
    assert (facts["repository"], facts["commit"], facts["dirty"]) == ("https://example.org/a/b.git", "a" * 40, None)
    (info / "direct_url.json").write_text('{"url": "file:///home/ada/b", "dir_info": {}}')
    assert provenance.read(None, command=["x"], cm=NO_CM, distribution="rivers-code")["commit"] is None
    (info / "direct_url.json").write_text("[not json")
    assert provenance.read(None, command=["x"], cm=NO_CM, distribution="rivers-code")["commit"] is None
    (info / "direct_url.json").unlink()
    (info / "extra_metadata").mkdir()
    source = {"repository": "https://ada:pw@example.org/a/b.git", "commit": "b" * 40, "dirty": True}
    (info / "extra_metadata" / "source.json").write_text(json.dumps(source))
    facts = provenance.read(None, command=["x"], cm=NO_CM, distribution="rivers-code")
    assert (facts["repository"], facts["commit"], facts["dirty"]) == ("https://example.org/a/b.git", "b" * 40, True)
    for wrong in ({"commit": "HEAD"}, {"dirty": "no"}, {"repository": 7}):
        (info / "extra_metadata" / "source.json").write_text(json.dumps(source | wrong))
        facts = provenance.read(None, command=["x"], cm=NO_CM, distribution="rivers-code")
        assert (facts["repository"], facts["commit"], facts["dirty"]) == (None, None, None), wrong
    assert provenance.read(None, command=["x"], cm=NO_CM, distribution="not-installed")["commit"] is None


def test_the_library_starts_no_shell():
    for path in Path(system_info.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in (
            "shell=True",
            "eval(",
            "exec(",
            "import pickle",
            "pickle.",
            "yaml.load(",
            "extractall",
            "os.system",
        ):
            assert word not in text, f"{path.name} holds {word}"

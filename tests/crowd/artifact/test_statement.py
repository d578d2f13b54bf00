"""A verdict to quote and to attach: three sentences, an in-toto statement, a signature of SSH's."""

import hashlib
import json
import shutil
import subprocess

import pytest
from ie_crowd import __main__ as command_line
from ie_crowd.artifact import verdict_text
from ie_crowd.check import recompute, sentences, verdict
from toy_challenge.make import RULES, run_document, write_folder

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "run", [run_document(number, mae, 90.0) for number, mae in enumerate((4.0, 6.0, 5.0))])
    return tmp_path / "run"


def check(folder, *more):
    return command_line.main(["check", str(folder), f"--challenge={RULES.folder}", *more])


def test_a_verdict_ends_with_three_sentences(folder):
    found = verdict.judge(folder, RULES)
    first, second, third = sentences.of(found)
    assert first.startswith(f"Result {found.about['id'][:12]} holds together: none of ")
    assert second == "Its numbers are stated: nothing was computed again (--depth=metrics does that)."
    assert third.startswith("Of the paper's ")
    assert third.endswith("by 3 runs.")
    shown = " ".join(verdict_text.terminal(found, 120).split())
    assert shown.endswith(" ".join((first, second, third)))
    assert found.to_dict()["sentences"] == [first, second, third]
    assert sentences.level(found) == "stated"


def test_they_say_what_was_computed_again_and_what_fails(folder):
    deep = verdict.judge(folder, RULES, recompute.Request("metrics", say=lambda line: None))
    assert sentences.level(deep) == "recomputed"
    assert sentences.of(deep)[1] == "Computed again here from the weights, all 2 metrics agree."
    path = folder / "runs" / "0" / "metrics.jsonl"
    path.write_text('{"epoch": 2}\n')
    broken = verdict.judge(folder, RULES, recompute.Request("metrics", say=lambda line: None))
    first, second, _ = sentences.of(broken)
    assert "does not hold together" in first
    assert "first files" in first
    assert second == "Computing again gave no evidence."
    assert sentences.level(broken) == "stated"
    alone = verdict.judge(folder, RULES).only(["claims"])
    assert "were not looked at" in sentences.of(alone)[0]


def test_a_statement_holds_the_hashes_of_what_was_looked_at(folder, tmp_path):
    assert check(folder, f"--statement={tmp_path / 's.json'}", "--json") == 0
    found = json.loads((tmp_path / "s.json").read_text())
    assert (found["_type"], found["predicate"]["result"]) == ("https://in-toto.io/Statement/v1", "PASSED")
    subjects = {one["name"]: one["digest"]["sha256"] for one in found["subject"]}
    for name in ("result.json", "runs/0/model.safetensors"):
        assert subjects[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    rules = hashlib.sha256((RULES.folder / "rules.yaml").read_bytes()).hexdigest()
    assert found["predicate"]["configuration"] == [{"name": "rules 3 of river-levels", "digest": {"sha256": rules}}]
    assert len(found["predicate"]["sentences"]) == 3
    assert "id" in found["predicate"]["passedTests"]


def test_what_fails_is_stated_as_failed(folder, tmp_path):
    (folder / "runs" / "0" / "metrics.jsonl").write_text('{"epoch": 2}\n')
    assert check(folder, f"--statement={tmp_path / 's.json'}") == 1
    found = json.loads((tmp_path / "s.json").read_text())["predicate"]
    assert (found["result"], "files" in found["failedTests"]) == ("FAILED", True)


@needs_ssh
def test_a_signature_is_one_that_ssh_keygen_verifies(folder, tmp_path):
    key, made = tmp_path / "a key", tmp_path / "s.json"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for _ in range(2):  # the second replaces the first
        assert check(folder, f"--statement={made}", f"--sign={key}") == 0
    (tmp_path / "signers").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "ada@example.org", "-n", "ie-crowd"]
    verify += ["-s", str(tmp_path / "s.json.sig")]
    assert subprocess.run(verify, input=made.read_bytes(), capture_output=True).returncode == 0
    forged = made.read_bytes().replace(b'"PASSED"', b'"FAILED"')
    assert subprocess.run(verify, input=forged, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--sign=key"], "expected --statement=FILE, too"),
        (["--statement=run/s.json"], "lies in the results folder"),
        (["--statement=nowhere/s.json"], "expected a file in a folder that exists"),
        (["--statement=s.json", "--sign=nowhere"], "no such key"),
    ],
)
def test_what_cannot_be_stated_is_one_line(folder, monkeypatch, capsys, more, says):
    monkeypatch.chdir(folder.parent)
    assert check("run", *more) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1

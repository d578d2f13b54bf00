"""docs/submit.md speaks of commands, files, answers and limits that are there."""

import re
import shlex
from pathlib import Path

import pytest
from issued_draws import trial
from paths import ROOT

pytest.importorskip("starlette")
from ie_crowd import __main__ as command_line
from ie_crowd.challenge import load
from ie_crowd.cli import submit
from ie_crowd.site.api import endpoint, openapi, upload
from ie_crowd.store import records, rejected_uploads
from ie_crowd.store.proofs import commitments
from ie_crowd.submit import client
from toy_challenge.make import RULES, write_folder

DOCS = (ROOT / "docs" / "submit.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    ie-crowd (submit .*)$", DOCS, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "persist", lambda attempt, say: client.Answer(503, {}))
    Path("token.txt").write_text("x" * 40)
    write_folder(tmp_path / "RUN")
    trial("TRIAL")
    words = shlex.split(command)
    if "--resume=FILE" in words:
        assert command_line.main(words) == 2
        assert "FILE: cannot be read" in capsys.readouterr().err
        return
    code = command_line.main([*words, "--yes", f"--challenge={RULES.folder}"])
    assert code == (0 if "--dry-run" in words or "--to=CHECKOUT" in words else 1)


def test_there_are_commands_and_the_limits_are_the_codes():
    assert len(COMMANDS) == 5
    assert f"{endpoint.UPLOADS[0]} uploads an hour" in DOCS
    assert endpoint.UPLOADS[1] == 3600
    assert f"more than {records.LIMITS.size // 2**20} MiB" in DOCS
    assert f"the newest {rejected_uploads.MOST:,} are kept" in DOCS
    assert client.TRIES == 5
    assert "tried five times" in DOCS
    assert client.LONGEST_WAIT == 60
    assert submit.TOKEN in DOCS
    issued = load.challenge(load.find("ie-repr")).evidence.issued
    assert (issued.draws, issued.most, issued.since) == (5, 10, "2026-12-01T00:00:00Z")
    assert commitments.WINDOW.days == 30
    for said in ("The answer is five draws", "at most ten in one\ncontest within thirty days", "From 2026-12-01"):
        assert said in DOCS
    named = {int(number) for row in re.findall(r"^\| ([0-9, ]+) \|", DOCS, re.MULTILINE) for number in row.split(",")}
    assert named == openapi.statuses(upload.OPERATION) - {408, 414, 421, 431}

"""docs/store.md speaks of commands, options and numbers that are there."""

import re
import shlex

import pytest
from ie_crowd import __main__ as command_line
from paths import ROOT

DOCS = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    ie-crowd (.*?)(?:\s+#.*)?$", DOCS, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one(command, monkeypatch, tmp_path):
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("IE_CROWD_STORE", str(tmp_path / "store.sqlite3"))
    (tmp_path / "ie-repr-results").mkdir()
    (tmp_path / "cm-repo" / "experiment").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["ingest", "ie-repr-results"]) == 0
    assert command_line.main(shlex.split(command)) == 0


def test_there_are_commands_and_their_limits_are_the_codes():
    from ie_crowd.store import ingest, records

    assert len(COMMANDS) == 4
    assert f"transactions of {ingest.BATCH} to {ingest.MOST_TOGETHER:,} results" in DOCS
    assert f"at most {records.LIMITS.size // 2**20} MiB" in DOCS

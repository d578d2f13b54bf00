"""`ie-crowd submit --sign`: to a real server on this machine."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("starlette")
from ie_crowd import __main__ as command_line
from ie_crowd.store import database
from ie_crowd.store.people import accounts
from ie_crowd.store.proofs import keys, signatures
from served import serving
from ssh_keys import make, needs_ssh, public
from toy_challenge.make import RULES, write_folder

pytestmark = needs_ssh


@pytest.fixture
def place(tmp_path, monkeypatch):
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings

    engine = database.connect(tmp_path / "store.sqlite3")
    token = accounts.add(engine, "Ada")
    monkeypatch.setenv("IE_CROWD_TOKEN", token)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with serving(create_app(Settings(challenges=(RULES.folder,)), engine)) as port:
        yield engine, f"http://127.0.0.1:{port}", accounts.by_token(engine, token)
    engine.dispose()


def submit(*arguments):
    given = ["submit", "run", "--yes", "--json", "--submitter=Ada", "--no-weights", f"--challenge={RULES.folder}"]
    return command_line.main([*given, *arguments])


def test_a_result_is_sent_and_signed_once_the_key_is_known(place, tmp_path, capsys):
    engine, url, ada = place
    key = make(tmp_path)
    assert submit(f"--server={url}", f"--sign={key}") == 1
    out, error = capsys.readouterr()
    result = json.loads(out)["id"]
    assert error.splitlines()[-1].startswith("ie_crowd: the result is there, and not signed: ")
    assert "is not one of Ada: add it first" in error
    assert signatures.of_result(engine, result) is None
    keys.add(engine, ada["pk"], "Ada", public(key))
    assert submit(f"--server={url}", "--sign=~/ada") == 0  # a shell does not expand that
    fingerprint = signatures.of_result(engine, result)["fingerprint"]
    assert f"Signed: {fingerprint}" in capsys.readouterr().err
    assert keys.of(engine, ada["pk"])[0]["signed"] == 1


def test_what_cannot_be_signed_sends_nothing(place, tmp_path, capsys, monkeypatch):
    engine, url, _ = place
    Path("no key").write_text("nothing")
    for arguments, why in (
        ([f"--server={url}", "--sign=nowhere"], "no such key"),
        ([f"--server={url}", "--sign=no key"], "the result could not be signed"),
        (["--to=out", "--sign=nowhere"], "--sign=KEY goes with --server=URL"),
        ([f"--server={url}", "--commit", "--sign=nowhere"], "--sign=KEY goes with --server=URL"),
    ):
        try:
            status = command_line.main(["submit", "run", "--yes", f"--challenge={RULES.folder}", *arguments])
        except SystemExit as error:
            status = error.code
        assert status == 2
        assert why in capsys.readouterr().err
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert submit(f"--server={url}", "--sign=nowhere") == 2
    assert "install OpenSSH" in capsys.readouterr().err
    with database.reading(engine) as connection:
        from ie_crowd.store import tables

        assert connection.execute(tables.result.select()).all() == []

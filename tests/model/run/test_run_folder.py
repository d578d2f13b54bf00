"""A run's folder is claimed by one configuration and one process, and everything in it appears by rename."""

import dataclasses
import errno
import json
import os
import stat
import subprocess
import sys

import pytest

from ie_model.config import Config
from ie_model.run import run_folder

CONFIG = Config.resolve()
HOSTILE = "a folder with spaces, 'quotes' and $(touch owned)"


def test_a_new_folder_holds_the_configuration_and_can_be_opened_again(tmp_path):
    folder = tmp_path / HOSTILE / "run"
    for _ in range(2):
        with run_folder.opened(folder, CONFIG) as finished:
            assert not finished
    assert Config.read(folder / run_folder.CONFIG) == CONFIG
    assert {path.name for path in folder.iterdir()} == {run_folder.CONFIG}


def test_a_finished_run_is_known_as_such(tmp_path):
    with run_folder.opened(tmp_path / "run", CONFIG):
        run_folder.write_json(tmp_path / "run" / run_folder.RUN, {})
    with run_folder.opened(tmp_path / "run", CONFIG) as finished:
        assert finished


def test_another_configuration_is_refused_and_nothing_is_touched(tmp_path):
    with run_folder.opened(tmp_path / "run", CONFIG):
        pass
    before = (tmp_path / "run" / run_folder.CONFIG).read_bytes()
    with (
        pytest.raises(ValueError, match=f"epochs={CONFIG.epochs}, asked for epochs={CONFIG.epochs + 1}"),
        run_folder.opened(tmp_path / "run", dataclasses.replace(CONFIG, epochs=CONFIG.epochs + 1)),
    ):
        pass
    assert (tmp_path / "run" / run_folder.CONFIG).read_bytes() == before


@pytest.mark.parametrize("name", ["thesis.tex", "run.json", "metrics.jsonl"])
def test_a_folder_with_anything_else_in_it_is_refused(tmp_path, name):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(ValueError, match=name), run_folder.opened(folder, CONFIG):
        pass
    assert (folder / name).read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_file_in_the_place_of_a_folder_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ValueError, match="outdir"), run_folder.opened(folder, CONFIG):
            pass


def test_a_second_process_in_the_same_folder_is_refused(tmp_path):
    code = (
        "import sys, pathlib; from ie_model.run import run_folder; from ie_model.config import Config\n"
        "try:\n"
        "    with run_folder.opened(pathlib.Path(sys.argv[1]), Config.resolve()): pass\n"
        "except ValueError as error: sys.exit(str(error))\n"
    )
    with run_folder.opened(tmp_path / "run", CONFIG):
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=False
        )
    assert second.returncode == 1
    assert "in use by another run" in second.stderr


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    run_folder.write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        run_folder.write_json(path, {"new": float("nan")})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    run_folder.write_json(path, {"old": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_folder.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failed:
        run_folder.write_json(path, {"new": 2})
    assert failed.value.filename == str(path)
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.glob(".*.part")] == []


def test_reading_says_what_the_folder_holds_instead(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        run_folder.read_run(tmp_path)
    with run_folder.opened(tmp_path / "run", CONFIG):
        pass
    with pytest.raises(ValueError, match="an unfinished run"):
        run_folder.read_run(tmp_path / "run")
    (tmp_path / "run" / run_folder.RUN).write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        run_folder.read_run(tmp_path / "run")


def test_half_written_files_of_a_killed_process_are_swept(tmp_path):
    place = tmp_path / "run"
    place.mkdir()
    (place / ".checkpoint.safetensors.4711.part").write_bytes(b"half")
    with run_folder.opened(place, Config.resolve()):
        assert not list(place.glob(".*.part"))


def test_what_a_killed_process_probed_with_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".probe.{ended.pid}.part").touch()
    run_folder.refuse_unwritable(tmp_path, "run.json")
    assert not list(tmp_path.glob(".probe*"))


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    run_folder.refuse_unwritable(tmp_path, "x")
    assert not list(tmp_path.glob(".probe*"))

    def read_only(self):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(run_folder.Path, "touch", read_only)
    with pytest.raises(ValueError, match=r"cannot be written \(Read-only file system\), and x goes there; copy"):
        run_folder.refuse_unwritable(tmp_path, "x")


def test_a_device_or_pipe_is_never_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="is a device or a pipe"):
        run_folder.replace(pipe, b"text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    with pytest.raises(ValueError, match="is a device or a pipe"):
        run_folder.replace(link, b"text")
    assert link.is_symlink()


def test_what_a_killed_writer_of_the_same_file_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "here" / "a [file].json"
    path.parent.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f".{path.name}.{number}.part" for number in (gone.pid, os.getppid(), 9**30, "²")]
    for name in (*names, ".other.1.part"):
        (path.parent / name).write_text("half")
    run_folder.replace(path, b"text")
    assert {entry.name for entry in path.parent.iterdir()} == {path.name, *names[1:], ".other.1.part"}

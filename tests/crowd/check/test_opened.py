"""What people send: folders with strangers in them, ZIP files, a bare result.json, and files that are no result."""

import contextlib
import errno
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from ie_crowd import __main__ as command_line
from ie_crowd.check import integrity, opened
from ie_crowd.formats import checksums, strict
from paths import ROOT
from toy_challenge.make import RULES, write_folder

CRATE = "ro-crate-metadata.json"
EXPERIMENT = ROOT / "cm-repo/experiment/ie-repr-glyphs-supervised-all"


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / 'a "results" $(folder)'
    write_folder(home)
    return home


def items(home):
    return {item.name: item for item in integrity.check(home, RULES)}


# Files that nobody listed


@pytest.mark.parametrize("place", ["", "figures/", "runs/", "runs/0/"])
@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", "README.md", "readme", "notes.txt", ".DS_Store", "._x"])
def test_what_others_leave_in_a_folder_is_listed_and_not_counted(folder, place, name):
    (folder / place / name).write_bytes(b"\x00\x01")
    found = items(folder)
    assert {item.state for item in found.values()} == {"pass"}
    if not name.startswith("."):
        assert f"not listed, so not counted: '{place}{name}'" in found["checksums"].detail


def test_a_stranger_that_could_be_taken_for_a_part_still_fails(folder):
    (folder / "runs" / "0" / "model2.safetensors").write_bytes(b"x")
    (folder / "report2.html").write_bytes(b"x")
    found = items(folder)
    assert found["files"].state == found["checksums"].state == "fail"


def test_a_listed_file_that_was_exchanged_fails_whatever_it_is_called(folder):
    (folder / "README.md").write_text("one")
    checksums.write_sha256sums(folder)
    (folder / "README.md").write_text("two")
    assert items(folder)["checksums"].state == "fail"


@pytest.fixture
def published(tmp_path):
    """A reference result, with a crate as a results folder has it."""
    [source] = EXPERIMENT.glob("2*")
    home = tmp_path / "result"
    shutil.copytree(source, home)
    from ie_crowd.artifact import ro_crate

    ro_crate.write(home)
    checksums.write_sha256sums(home)
    return home


def written_again(home):
    """What ro-crate-py 0.16 does to a crate that it reads and writes: other key order, dates and indent, and a page."""
    found = json.loads((home / CRATE).read_text())
    root = next(entity for entity in found["@graph"] if entity["@id"] == "./")
    root["datePublished"] = "2026-01-01T00:00:00+00:00"
    (home / CRATE).write_text(json.dumps(found, indent=4, sort_keys=True))
    (home / "ro-crate-preview.html").write_text("<html></html>")


def test_a_crate_that_another_program_has_written_again(published):
    assert {item.name: item for item in integrity.check(published)}["checksums"].state == "pass"
    written_again(published)
    found = {item.name: item for item in integrity.check(published)}
    assert not [item for item in found.values() if item.state == "fail"]
    assert found["checksums"].state == "not evidenced"
    assert "ro-crate-metadata.json was written anew" in found["checksums"].detail
    assert "ro-crate-preview.html" in found["checksums"].detail
    (published / CRATE).write_text("{}")
    found = {item.name: item for item in integrity.check(published)}
    assert found["checksums"].state == "fail"


# ZIP files, a bare result.json


def pack(home: Path, target: Path, below: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(home.rglob("*")):
            archive.write(path, below + str(path.relative_to(home)))
    return target


def checked(place: Path) -> dict[str, str]:
    with opened.results_folder(place) as home:
        found = integrity.check(home, RULES)
        inside = home
    assert place.is_dir() or not inside.exists()  # nothing stays
    return {item.name: item.state for item in found}


@pytest.mark.parametrize("below", ["", "my result/", "a/b/"])
def test_a_zip_file_is_checked_as_its_folder_is(folder, tmp_path, below):
    expected = checked(folder)
    assert checked(pack(folder, tmp_path / "r.zip", below)) == expected
    assert checked(pack(folder, tmp_path / "without an ending", below)) == expected


def test_what_macs_put_into_zip_files_is_left_out(folder, tmp_path):
    archive = pack(folder, tmp_path / "r.zip", "r/")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("__MACOSX/r/._result.json", b"x")
        file.writestr("r/.DS_Store", b"x")
    assert checked(archive) == checked(folder)


def test_a_bare_document_is_checked_as_a_folder_that_holds_it_alone(folder, tmp_path):
    found = checked(folder / "result.json")
    shutil.copy(folder / "result.json", tmp_path / "from a friend.txt")
    assert checked(tmp_path / "from a friend.txt") == found
    assert {name for name, state in found.items() if state != "pass"} == {
        "files", "run files", "weights format", "checksums",
    }  # fmt: skip


def link(file):
    member = zipfile.ZipInfo("runs/0/model.safetensors")
    member.external_attr = 0o120777 << 16
    file.writestr(member, "/etc/passwd")


def crowd(file):
    for number in range(30):
        file.writestr(f"{number}", b"")


def lying(file):
    file.writestr("big", bytes(1 << 16))
    file.infolist()[-1].file_size = 10
    file.filelist[-1].file_size = 10


@pytest.mark.parametrize(
    ("add", "says"),
    [
        (lambda file: file.writestr("../evil", b"x"), "'..'"),
        (lambda file: file.writestr("/etc/evil", b"x"), "rename it"),
        (lambda file: file.writestr("a\nb", b"x"), "control characters"),
        (lambda file: file.writestr("1/2/3/4/5/6/7/8/9/10/11", b"x"), "levels deep"),
        (link, "is a link"),
        (crowd, "at most 20 are unpacked"),
        (lambda file: file.writestr("zeros", bytes(2 << 20)), "would unpack to"),
        (lambda file: file.writestr("RESULT.json", b"x"), "is there twice"),
        (lambda file: file.writestr("other/result.json", b"x"), None),  # the one at the top counts
        (lying, "cannot be unpacked|holds more than it says"),
    ],
)
def test_hostile_zip_files_are_one_line_and_leave_nothing(folder, tmp_path, monkeypatch, add, says):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(opened.tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(opened, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(checksums, "MOST_FILES", 20)
    shutil.rmtree(folder / "runs")
    archive = pack(folder, tmp_path / "r.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file:
        add(file)
    if says is None:
        assert checked(archive)["schema"] == "pass"
    else:
        with pytest.raises(ValueError, match=says) as caught, opened.results_folder(archive):
            pass
        assert "\n" not in str(caught.value)
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(50), "cannot be unpacked"),
        (b"\x89PNG", "is not a folder, a result.json or a ZIP file"),
        (b"", "is empty"),
    ],
)
def test_other_files_are_one_line(tmp_path, content, says):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=says), opened.results_folder(tmp_path / "x"):
        pass


def test_zip_files_without_a_result_or_with_two(folder, tmp_path):
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    (tmp_path / "e.zip").write_bytes(empty.getvalue())
    with pytest.raises(ValueError, match=r"holds no result\.json"), opened.results_folder(tmp_path / "e.zip"):
        pass
    archive = pack(folder, tmp_path / "r.zip", "a/")
    with zipfile.ZipFile(archive, "a") as file:
        file.write(folder / "result.json", "b/result.json")
    with pytest.raises(ValueError, match="several results"), opened.results_folder(archive):
        pass


def test_the_command_takes_all_three(tmp_path, capsys):
    [source] = EXPERIMENT.glob("2*")
    archive = pack(source, tmp_path / "r.zip", "r/")
    gate = "--groups=integrity,validity"
    codes = [command_line.main(["check", gate, str(place)]) for place in (source, archive, source / "result.json")]
    assert codes == [0, 0, 0]
    assert command_line.main(["check", str(archive), "--against", str(source / "result.json")]) in (0, 1)
    capsys.readouterr()


# Documents that are no result


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"name": "my-app", "version": "1.0"}, "an object with 'name', 'version'"),
        ({"id": 7, "login": "x"}, "an object with 'id', 'login'"),
        ([1, 2], "a list"),
        ("text", "a text"),
        (None, "null"),
        (3.5, "a number"),
        ({}, "an object without keys"),
    ],
)
def test_a_document_of_somebody_else_is_said_to_be_no_result(tmp_path, capsys, document, says):
    (tmp_path / "result.json").write_text(json.dumps(document))
    with contextlib.suppress(SystemExit):
        assert command_line.main(["check", str(tmp_path)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "this is no ie-repr result" in shown
    assert says.split("'")[0].strip() in shown


def test_a_result_with_one_wrong_key_is_still_judged_in_detail(folder):
    found = json.loads((folder / "result.json").read_text())
    found["extra"] = 1
    (folder / "result.json").write_text(json.dumps(found))
    assert "unknown key 'extra'" in items(folder)["schema"].detail


def test_pointers_of_git_lfs_and_dvc_are_named(folder):
    (folder / "result.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(ValueError, match=r"result\.json: is a Git LFS pointer, not the file: run git lfs pull"):
        items(folder)
    (folder / "result.json").unlink()
    (folder / "result.json.dvc").write_text("outs:\n- md5: 0\n  path: result.json\n")
    with pytest.raises(ValueError, match=r"only result\.json\.dvc is here, a link of DVC: run dvc pull"):
        items(folder)
    (folder / "result.json.dvc").unlink()
    with pytest.raises(ValueError, match=r"cannot be read \(no such file or directory\)"):
        items(folder)


def test_a_disk_that_fails_is_one_line(folder, monkeypatch):
    """EIO while result.json is read."""

    class Failing(io.BytesIO):
        def fileno(self):
            return (folder / "result.json").open("rb").fileno()

        def read(self, *_):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(strict.os, "fstat", lambda number: (folder / "result.json").stat())
    monkeypatch.setattr(strict, "open_regular", lambda path: Failing())
    with pytest.raises(ValueError, match=r"result\.json: cannot be read \(input/output error\)"):
        items(folder)


OTHERS = {
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n",
    "UTF-16": b'\xff\xfe{"a": 1}'.replace(b"{", b"{\0"),
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0",
    "tar": b"result.json".ljust(257, b"\0") + b"ustar\0" + b"\0" * 249,
    "7z": b"7z\xbc\xaf\x27\x1c\0\4",
    "RAR": b"Rar!\x1a\x07\0",
    "Zstandard": b"\x28\xb5\x2f\xfd\0\0",
    "web page": b"<!DOCTYPE html>\n<title>Sign in</title>",
    "merge conflict": b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n",
    "empty": b"",
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "DVC": b"outs:\n- md5: 0123\n  path: result.json\n",
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_file_that_is_none_of_them_is_called_by_its_name(what, tmp_path, capsys):
    (tmp_path / "result.json").write_bytes(OTHERS[what])
    assert command_line.main(["check", str(tmp_path / "result.json")]) == 2
    line = capsys.readouterr().err
    assert what in line
    assert line.count("\n") == 1

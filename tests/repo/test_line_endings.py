"""A clone on Windows: git must not rewrite line endings, and where it did, the check says so."""

import shutil
import subprocess

from ie_crowd.check import integrity
from ie_crowd.formats import checksums
from paths import ROOT

EXPERIMENT = "cm-repo/experiment/ie-repr-glyphs-supervised-all"


def test_a_clone_with_autocrlf_has_the_bytes_of_this_checkout(tmp_path):
    clone = tmp_path / "a clone"
    command = ["git", "clone", "--quiet", "-c", "core.autocrlf=true", "--", str(ROOT), str(clone)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(ROOT / ".gitattributes", clone)  # committed or not
    subprocess.run(["git", "rm", "-r", "-q", "--cached", "."], cwd=clone, check=True)
    subprocess.run(["git", "reset", "-q", "--hard"], cwd=clone, check=True)
    files = [path for path in (ROOT / EXPERIMENT).rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert (clone / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def changed(tmp_path, change):
    """The glyphs' reference result, with one change of every text file in it, and what the check says fails."""
    [source] = (ROOT / EXPERIMENT).glob("2*")
    folder = tmp_path / "result"
    shutil.copytree(source, folder)
    change(folder)
    return {item.name: item.detail for item in integrity.check(folder) if item.state == "fail"}


def test_changed_line_endings_are_named(tmp_path):
    def crlf(folder):
        for path in folder.rglob("*"):
            if path.suffix in (".svg", ".json") or path.name == checksums.SUMS:
                path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    said = changed(tmp_path, crlf)
    assert set(said) == {"files", "checksums"}
    for detail in said.values():
        assert "core.autocrlf=false" in detail
        assert "\\r" not in detail


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    def pointer(folder):
        path = next(folder.glob("figures/*.png"))
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")

    said = changed(tmp_path, pointer)
    assert "git lfs pull" in said["files"]

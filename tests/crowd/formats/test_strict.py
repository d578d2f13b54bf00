"""Readers and hostile bytes: seeds and what fuzzing found lie in tests/corpus and are replayed, then new ones are made.

A file of the corpus is named <reader>-<what it is>.<suffix>. To add one, save the bytes; nothing else is needed. Each
must end as a value or as one line, in bounded time and memory, with nothing executed and nothing written.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ie_crowd import __main__ as command_line
from ie_crowd.artifact import verdict_text
from ie_crowd.challenge import claims, load
from ie_crowd.check import verdict
from ie_crowd.formats import canonical_json, checksums, safetensors_header, strict
from paths import DATA, TOY
from toy_challenge import compute
from toy_challenge.make import RULES, write_folder

CORPUS = DATA / "corpus"
FILES = sorted(path for path in CORPUS.iterdir() if path.suffix != ".md")
MEMORY = 64 * 2**20  # bytes; the largest document that is read is 4 MiB


def read_json(path):
    found = strict.read_json(path)
    assert strict.parse_json(canonical_json.canonical(found)) == found
    return found


def read_folder(path):
    """The whole verdict on a folder whose result.json is these bytes, shown in every form."""
    home = path.parent / "folder"
    home.mkdir()
    shutil.copyfile(path, home / "result.json")
    found = verdict.judge(home, RULES)
    for text in (verdict_text.terminal(found, every=True), verdict_text.markdown(found), verdict_text.page(found)):
        assert "\x1b" not in text
    return json.dumps(found.to_dict(), allow_nan=False)


def read_rules(path):
    home = path.parent / "rules"
    home.mkdir()
    shutil.copyfile(path, home / "rules.yaml")
    return load.challenge(home)


def read_claims(path):
    home = path.parent / "claims"
    home.mkdir()
    shutil.copyfile(path, home / "claims.yaml")
    return claims.load(home, RULES)


def read_sums(path):
    shutil.copyfile(path, path.parent / checksums.SUMS)
    return checksums.read_sha256sums(path.parent)


READERS = {
    "json": (read_json, read_folder),
    "yaml": (strict.read_yaml,),
    "rules": (read_rules,),
    "claims": (read_claims,),
    "weights": (safetensors_header.read_header,),
    "sums": (read_sums,),
}


def outcome(reader, path):
    """The value, or the one line that was raised, for bytes at ``path``; anything else is a defect."""
    refused, value = None, None
    tracemalloc.start()
    try:
        value = reader(path)
    except ValueError as error:
        refused = error
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY
    if refused is not None:
        assert type(refused) is ValueError, f"{type(refused).__name__} is no line for a person"
        assert str(refused)
        assert str(refused).isprintable()
        assert len(str(refused)) < 600
    return value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_corpus_ends_as_a_value_or_one_line(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readers = READERS[path.name.partition("-")[0]]
    for number, reader in enumerate(readers):
        place = tmp_path / str(number)
        place.mkdir()
        shutil.copyfile(path, place / "input")
        value = outcome(reader, place / "input")
        # what is named good is a value: a reader that refuses everything would pass the rest
        if "good" in path.name:
            assert value is not None
        elif reader is not read_folder:
            assert value is None
    assert not (tmp_path / "owned").exists()


def test_every_reader_has_seeds():
    assert {path.name.partition("-")[0] for path in FILES} == set(READERS)
    for reader in READERS:
        mine = [path.name for path in FILES if path.name.startswith(reader + "-")]
        assert any("good" in name for name in mine)
        assert len(mine) >= 3


# Fuzzing: bytes, and good files cut, doubled, flipped and spliced

SEEDS = {reader: [path.read_bytes() for path in FILES if path.name.startswith(reader + "-")] for reader in READERS}
TOKENS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b":",
    b",",
    b"NaN",
    b"1e999",
    b"null",
    b"\xff",
    b"\x00",
    b"\n",
    b"&a ",
    b"*a",
]
TOKENS += [b"!!python/name:os.system ", b"<<: ", b"'", b"|", b"- ", b"? ", b"\xe2\x80\xae", b"\xed\xa0\x80", b"9" * 400]


@st.composite
def mutated(draw, reader):
    """A seed of a reader with a few edits."""
    content = draw(st.sampled_from(SEEDS[reader]))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        other = draw(st.integers(place, min(len(content), place + 200)))
        content = draw(
            st.sampled_from(
                (
                    content[:place] + content[other:],
                    content[:other] + content[place:],
                    content[:place] + draw(st.sampled_from(TOKENS)) + content[other:],
                    content[:place] + draw(st.binary(max_size=8)) + content[place:],
                    content[:place],
                )
            )
        )
    return content


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutations_of_the_corpus_end_as_a_value_or_one_line(reader, data, tmp_path_factory):
    content = data.draw(mutated(reader) | st.binary(max_size=300))
    for read in READERS[reader]:
        place = tmp_path_factory.mktemp("fuzz")
        (place / "input").write_bytes(content)
        outcome(read, place / "input")
        shutil.rmtree(place)


# The folder around it


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "results"
    write_folder(home)
    return home


def command(capsys, *arguments):
    code = command_line.main(["check", *map(str, arguments), f"--challenge={TOY}"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said


def test_a_gigabyte_of_nothing_is_one_line(folder, capsys):
    for name in ("result.json", "runs/0/run.json", "runs/0/model.safetensors", "SHA256SUMS"):
        original = (folder / name).read_bytes()
        with (folder / name).open("wb") as file:
            file.truncate(2**30)
        tracemalloc.start()
        code, said = command(capsys, folder, "--groups=integrity")
        assert tracemalloc.get_traced_memory()[1] < MEMORY
        tracemalloc.stop()
        assert code == (2 if name == "result.json" else 1), said
        (folder / name).write_bytes(original)
    assert command(capsys, folder)[0] == 0


@pytest.mark.parametrize("depth", ["hashes", "metrics"])
@pytest.mark.parametrize("target", ["result.json", "runs", "runs/0", "runs/0/model.safetensors", "SHA256SUMS"])
def test_links_out_of_the_folder_are_refused(folder, tmp_path, capsys, depth, target):
    outside = tmp_path / "outside"
    (folder / target).rename(outside)
    (folder / target).symlink_to(outside)
    code, said = command(capsys, folder, f"--depth={depth}")
    assert code == (2 if target == "result.json" else 1)
    assert "symbolic link" in " ".join((said.out + said.err).split())


@pytest.mark.parametrize(
    "name", ["runs/../../outside", "runs/0/../../../outside", "/etc/passwd", "runs/0/./x", "runs//0"]
)
def test_names_that_lead_out_are_refused_by_the_schema(folder, capsys, name):
    found = json.loads((folder / "result.json").read_text())
    found["files"][0]["path"] = name
    found["id"] = canonical_json.identity(found)
    (folder / "result.json").write_text(json.dumps(found))
    code, said = command(capsys, folder, "--json")
    assert code == 1
    assert [item["name"] for item in json.loads(said.out)["items"]] == ["schema"]


def test_weights_that_are_missing_or_a_pickle_fail_at_every_depth(folder, capsys, tmp_path):
    path = folder / "runs" / "0" / "model.safetensors"
    evil = b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    for content in (None, evil, b"\x80\x04" + evil, b"PK\x03\x04" + evil):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        for depth in ("hashes", "metrics", "rerun"):
            assert command(capsys, folder, f"--depth={depth}", "--groups=integrity")[0] == 1
    assert not (tmp_path / "owned").exists()


def test_a_challenge_folder_with_tags_or_links_is_one_line(folder, tmp_path, capsys):
    home = tmp_path / "evil"
    home.mkdir()
    owned = tmp_path / "owned"
    good = (TOY / "rules.yaml").read_text()
    for rules, claimed in (
        (f"!!python/object/apply:os.system ['touch {owned}']", None),
        (good.replace("id: river-levels", "id: &a river-levels"), None),
        (good, f"claims: !!python/object/apply:os.system ['touch {owned}']"),
        (good, "claims: [*a]"),
        (good, "\x00"),
        ("", None),
    ):
        (home / "rules.yaml").write_text(rules)
        (home / "claims.yaml").unlink(missing_ok=True)
        if claimed is not None:
            (home / "claims.yaml").write_text(claimed)
        assert command_line.main(["check", str(folder), f"--challenge={home}"]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
    assert not owned.exists()


def test_a_folder_that_cannot_be_read(folder, capsys):
    if os.geteuid() == 0:
        (folder / "result.json").unlink()
        (folder / "result.json").mkdir()  # root may read anything but this
    else:
        (folder / "result.json").chmod(0)
    assert command(capsys, folder)[0] == 2


def test_the_seeds_are_what_they_say():
    assert safetensors_header.read_header(CORPUS / "weights-good.safetensors") == {"gauge": (2,)}
    assert (CORPUS / "weights-good.safetensors").read_bytes() == compute.weights(4.0, 90.0)


def test_a_folder_of_results_is_told_from_a_result(tmp_path):
    for name in ("closed", "paper"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text("{}")
    with pytest.raises(ValueError, match="the folders in it hold one each: give one of closed, paper"):
        strict.read_json(tmp_path / "result.json")


def test_a_device_or_pipe_is_never_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="is a device or a pipe"):
        strict.write_text(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    with pytest.raises(ValueError, match="is a device or a pipe"):
        strict.write_text(link, "text")
    assert link.is_symlink()


def test_what_a_killed_writer_of_the_same_file_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "here" / "a [file].json"
    path.parent.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f".{path.name}.{number}.tmp" for number in (gone.pid, os.getppid(), 9**30, "²")]
    for name in (*names, ".other.1.tmp"):
        (path.parent / name).write_text("half")
    strict.write_text(path, "text")
    assert {entry.name for entry in path.parent.iterdir()} == {path.name, *names[1:], ".other.1.tmp"}


@pytest.mark.parametrize("flag", ["html", "verdict"])
def test_what_is_asked_for_on_a_device_is_written_to_it(flag, tmp_path):
    write_folder(tmp_path / "result")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command_line.main(["check", str(tmp_path / "result"), f"--challenge={TOY}", f"--{flag}={pipe}"])
    assert os.read(reader, 1)
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)

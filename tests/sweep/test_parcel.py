"""A run's files as they travel: everything that comes from another machine is data, and judged before it is written."""

import json

import pytest
from ie_recipes.sweep import parcel, works

GOOD = {"config.json": b"{}", "metrics.jsonl": b"", "checkpoint.safetensors": b"c", "figures/swap.png": b"p"}
RUN = {"run.json": b'{"status": "trained"}'}
SYSTEM = json.dumps({"cpu_model": "a processor"}).encode()


def places(path):
    return path / "out" / "cell" / "runs" / "0", path / "out" / "cell" / "figures"


def test_what_is_packed_comes_out_again(tmp_path):
    place, figures = places(tmp_path)
    parcel.unpack(parcel.packed(GOOD), place, figures)
    assert parcel.read(place, figures) == GOOD
    assert set(parcel.read(place, None)) == {"config.json", "metrics.jsonl", "checkpoint.safetensors"}
    parcel.unpack(parcel.packed({**GOOD, **RUN, "system.json": SYSTEM}), place, figures)
    assert not (place / "checkpoint.safetensors").exists(), "a run that has ended has none"
    assert (tmp_path / "out" / "cell" / ".system-0.json").read_bytes() == SYSTEM
    assert sorted(path.name for path in place.iterdir()) == ["config.json", "metrics.jsonl", "run.json"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../../x": b""}, "no file of a run"),
        ({"/etc/passwd": b""}, "no file of a run"),
        ({"figures/../x.png": b""}, "no file of a run"),
        ({"figures/a/b.png": b""}, "no file of a run"),
        ({"figures/x.html": b""}, "no file of a run"),
        ({"incomplete.json": b""}, "no file of a run"),
        ({"run.json": "text"}, "no file of a run"),
        ({1: b""}, "no file of a run"),
        ({f"figures/{n}.png": b"" for n in range(200)}, "201 files for one run, expected at most 100"),
        ({"system.json": b"[]"}, "no description of one"),
        ({"system.json": b'{"cpu_model": NaN}'}, "what a worker says of its machine"),
    ],
)
def test_other_names_and_kinds_are_refused_before_anything_is_written(tmp_path, files, message):
    place, figures = places(tmp_path)
    sent = {"files": {**RUN, **files}, "sha256": {}}
    sent["sha256"] = {
        name: parcel.packed({"x": content})["sha256"]["x"] if isinstance(content, bytes) else ""
        for name, content in sent["files"].items()
    }
    with pytest.raises(ValueError, match=message):
        parcel.unpack(sent, place, figures)
    assert not (tmp_path / "out").exists()


def test_a_flipped_bit_too_many_bytes_and_no_parcel_are_refused(tmp_path, monkeypatch):
    place, figures = places(tmp_path)
    sent = parcel.packed(GOOD)
    sent["files"]["checkpoint.safetensors"] = b"b"
    with pytest.raises(ValueError, match=r"checkpoint.safetensors of a run has another SHA-256"):
        parcel.unpack(sent, place, figures)
    for what in (None, [], {}, {"files": GOOD}, {"files": GOOD, "sha256": {}}):
        with pytest.raises(ValueError, match="expected the files of a run with their hashes"):
            parcel.unpack(what, place, figures)
    monkeypatch.setattr(parcel, "PARCEL_BYTES_MAX", 3)
    with pytest.raises(ValueError, match="more than 3 bytes"):
        parcel.unpack(parcel.packed({**GOOD, **RUN}), place, figures)
    monkeypatch.setattr(parcel, "FILE_BYTES_MAX", 10)
    with pytest.raises(ValueError, match="no file of a run"):
        parcel.unpack(parcel.packed(RUN), place, figures)
    assert not (tmp_path / "out").exists()


def test_a_run_of_another_seed_or_none_is_refused():
    work = works.Work("cell", 0, "glyphs", ("--seed=100",))
    works.refuse_other(work, None)
    works.refuse_other(work, b'{"seed": 100, "task": {"dataset": "glyphs"}}')
    for run_json in (b"", b"[]", b'{"seed": 100}', b'{"seed": 101, "task": {"dataset": "glyphs"}}'):
        with pytest.raises(ValueError, match=r"run\.json|what came is of seed 101, expected 100"):
            works.refuse_other(work, run_json)

"""Weights and optimiser states on disk: what was damaged since it was written is never used."""

import json

import pytest
import torch
from safetensors.torch import save_file

from ie_model.config import Config
from ie_model.run import checkpoint, run_folder

TENSORS = {"a": torch.arange(1000.0).view(10, 100), "b": torch.tensor(3), "empty": torch.zeros(0)}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / run_folder.CHECKPOINT
    checkpoint.write(file, TENSORS, {"epoch": "3"})
    return file


def test_what_is_written_is_read(path):
    tensors, about = checkpoint.read(path)
    assert about == {"epoch": "3"}
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("place", [-1, -400, -3999])
def test_one_flipped_bit_is_seen(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged.*delete it") as caught:
        checkpoint.read(path)
    assert "\n" not in str(caught.value)


def test_exchanged_names_are_seen(path):
    one = {"a": torch.zeros(2), "b": torch.ones(2)}
    checkpoint.write(path, one)
    path.write_bytes(path.read_bytes().replace(b'"a":', b'"c":').replace(b'"b":', b'"a":').replace(b'"c":', b'"b":'))
    with pytest.raises(ValueError, match="is damaged"):
        checkpoint.read(path)


def test_a_file_of_an_older_version_is_read_only_where_it_may_be_without_a_hash(tmp_path):
    for name in (run_folder.CHECKPOINT, run_folder.MODEL):
        save_file({"a": torch.zeros(2)}, tmp_path / name)
        assert checkpoint.read(tmp_path / name)[1] == {}
    save_file({"a": torch.zeros(2)}, tmp_path / "mnist-00.safetensors")
    with pytest.raises(ValueError, match="without a hash"):
        checkpoint.read(tmp_path / "mnist-00.safetensors")


def test_the_weights_of_a_finished_run_keep_their_bytes(tmp_path):
    """Their hash is in run.json and in results: the file must be the one that it was."""
    checkpoint.write(tmp_path / "x", {"a": torch.zeros(2)}, proved=False)
    save_file({"a": torch.zeros(2)}, tmp_path / "y")
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_damaged_weights_of_a_finished_run_are_not_used(tmp_path):
    config = Config.resolve(dataset="glyphs", smoke=True)
    weights = tmp_path / run_folder.MODEL
    save_file({"a": torch.zeros(2)}, weights)
    (tmp_path / run_folder.RUN).write_text(json.dumps({"model_sha256": "0" * 64}))
    with pytest.raises(ValueError, match=r"is damaged or another run's.*train again"):
        checkpoint.read_model(tmp_path, config)
    (tmp_path / run_folder.RUN).write_text(json.dumps({"model_sha256": run_folder.sha256_of(weights)}))
    with pytest.raises(ValueError, match="does not fit this configuration"):  # and so was read
        checkpoint.read_model(tmp_path, config)


@pytest.mark.parametrize(
    "damage", ["", '{"epoch": 1}\n', '{"epoch": 1}\n{"epo', '{"epoch": 1}\n{"epoch": 3}\n', "x\ny\n"]
)
def test_metrics_that_lack_a_counted_line_are_said_with_a_way_on(tmp_path, damage):
    (tmp_path / run_folder.METRICS).write_text(damage)
    with pytest.raises(ValueError, match=r"no 2 whole lines.*delete checkpoint\.safetensors and metrics\.jsonl"):
        run_folder.cut_metrics(tmp_path, 2)
    assert (tmp_path / run_folder.METRICS).read_text() == damage


def test_metrics_behind_the_checkpoint_are_cut(tmp_path):
    (tmp_path / run_folder.METRICS).write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    assert run_folder.cut_metrics(tmp_path, 2) == [{"epoch": 1}, {"epoch": 2}]
    assert (tmp_path / run_folder.METRICS).read_text() == '{"epoch": 1}\n{"epoch": 2}\n'

"""The judge's cache: two runs that end together train one judge, and a cache that cannot be written stops nobody."""

import threading

import torch

from ie_model.config import Config
from ie_model.data import tensors
from ie_model.metrics import judge

CONFIG = Config.resolve(dataset="glyphs", smoke=True)
IMAGES = tensors.Labelled(torch.rand(20, 1, 28, 28), torch.arange(20) % 10)


def test_two_runs_that_end_together_train_one_judge(tmp_path, monkeypatch):
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path))
    real, begun, go_on, found = judge.train, threading.Event(), threading.Event(), []

    def slow(config, images):
        begun.set()
        assert go_on.wait(60)
        return real(config, images)

    monkeypatch.setattr(judge, "train", slow)
    first = threading.Thread(target=lambda: found.append(judge.trained(CONFIG, IMAGES)))
    second = threading.Thread(target=lambda: found.append(judge.trained(CONFIG, IMAGES)))
    first.start()
    assert begun.wait(60)
    second.start()
    second.join(0.5)
    assert second.is_alive(), "it waits"
    go_on.set()
    first.join(60)
    second.join(60)
    assert sorted(one.cached for one in found) == [False, True]
    assert len({one.sha256 for one in found}) == 1


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "a file"))
    assert [judge.trained(CONFIG, IMAGES).cached for _ in range(2)] == [False, False]

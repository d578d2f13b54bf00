"""Recorded steps: kept by kind, fed through the tensors that were recorded. A fake records where there is no GPU."""

import dataclasses

import pytest
import torch

from ie_model import cuda_graphs
from ie_model.config import Config
from ie_model.cuda_graphs import FIRST, Repeated

CPU = Config.resolve()
GPU = dataclasses.replace(CPU, device="cuda")


class Graph:
    """Does what it was told while it was recorded, with what its tensors hold now: as a CUDA graph does."""

    def __init__(self):
        self.told, self.generators = None, []

    def register_generator_state(self, generator):
        self.generators.append(generator)

    def replay(self):
        step, kind, inputs, output = self.told
        output.copy_(step(kind, *inputs))


class Stream:
    def wait_stream(self, other):
        assert isinstance(other, Stream)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@pytest.fixture
def recorded(monkeypatch):
    graphs = []

    class Recorder(Stream):
        def __init__(self, graph, capture_error_mode):
            graphs.append(graph)

    fake = {"CUDAGraph": Graph, "graph": Recorder, "Stream": Stream, "current_stream": Stream, "stream": lambda s: s}
    for name, stand_in in fake.items():
        monkeypatch.setattr(cuda_graphs.torch.cuda, name, stand_in)
    record = Repeated._record

    def told(self, kept, kind, inputs):
        record(self, kept, kind, inputs)
        kept.graph.told = (self.step, kind, kept.inputs, kept.output)

    monkeypatch.setattr(Repeated, "_record", told)
    return graphs


def doubled(kind, x, numbers):
    (factor,) = numbers
    return (x * factor).sum() + (1000 if kind else 0)


@pytest.mark.parametrize("config", [CPU, dataclasses.replace(GPU, eager=True)])
def test_elsewhere_a_step_is_just_called(config, recorded):
    take = Repeated(config, doubled)
    rows = take.numbers([[2.0], [3.0]], torch.device("cpu"))
    assert rows == [[2.0], [3.0]], "numbers stay numbers, and round as they did"
    assert [float(take(False, torch.ones(2), row)) for row in rows] == [4.0, 6.0]
    assert recorded == []


def test_after_the_first_steps_of_a_kind_its_graph_does_the_same_with_new_inputs(recorded):
    take = Repeated(GPU, doubled)
    rows = take.numbers([[float(n)] for n in range(8)], torch.device("cpu"))
    got = [float(take(False, torch.full((2,), float(n)), row)) for n, row in enumerate(rows)]
    assert got == [2.0 * n * n for n in range(8)]
    assert len(recorded) == 1
    assert take.kinds[False].taken == FIRST


def test_every_kind_has_a_graph_of_its_own(recorded):
    take = Repeated(GPU, doubled)
    (row,) = take.numbers([[1.0]], torch.device("cpu"))
    for kind in [False] * 5 + [True] * 5 + [False]:
        assert float(take(kind, torch.ones(3), row)) == (1003 if kind else 3)
    assert len(recorded) == 2


def test_the_noise_of_a_step_is_part_of_its_graph(recorded):
    noise = torch.Generator().manual_seed(0)
    take = Repeated(GPU, doubled, noise)
    for _ in range(FIRST + 1):
        take(None, torch.ones(1), torch.ones(1))
    assert recorded[0].generators == [noise]


def test_a_number_that_a_graph_could_not_see_change_is_refused(recorded):
    with pytest.raises(AssertionError, match="tensors only"):
        Repeated(GPU, doubled)(None, torch.ones(1), [2.0])

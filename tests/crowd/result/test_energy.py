"""Energy from counters: wrap-around, counters that fail, and what counts as a counter. Made-up files, no hardware."""

import sys
import types

import pytest
from ie_crowd.result import energy


class Fake:
    """A counter that gives these joules one after the other; an exception among them is raised."""

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self):
        value = self.values.pop(0)
        if isinstance(value, Exception):
            raise value
        return value


def metered(*counters):
    with energy.Meter([energy.Counter(read, wraps) for read, wraps in counters]) as meter:
        pass
    return meter.joules


def test_the_difference_of_all_counters():
    assert metered((Fake(10.0, 12.5), 100.0), (Fake(1000.0, 1001.0), None)) == 3.5


def test_a_counter_that_starts_again():
    assert metered((Fake(90.0, 5.0), 100.0)) == 15.0


@pytest.mark.parametrize(
    "values", [(OSError(), 1.0), (1.0, OSError()), (1.0, ValueError("not a number")), (5.0, 1.0), (RuntimeError(), 1.0)]
)
def test_a_counter_that_fails_or_runs_backwards_makes_it_unknown(values):
    assert metered((Fake(*values), None)) is None


def test_one_that_fails_makes_all_unknown():
    assert metered((Fake(1.0, 2.0), None), (Fake(1.0, OSError()), None)) is None


def test_without_counters_nothing_is_known():
    with energy.Meter(None) as meter:
        pass
    assert meter.joules is None


def test_long_steps_are_sampled(monkeypatch):
    monkeypatch.setattr(energy, "SECONDS", 0.001)
    left = iter(range(0, 10_000_000, 60))  # wraps at 100: only samples in between tell how often
    meter = energy.Meter([energy.Counter(lambda: float(next(left) % 100), 100.0)])
    with meter:
        while meter._last[0] < 1 or meter.joules < 600:
            pass
    assert meter.joules % 60 == 0


def zone(powercap, name, label, microjoules="5000000", wraps="262143328850"):
    (powercap / name).mkdir(parents=True)
    for file, content in (("name", label), ("energy_uj", microjoules), ("max_energy_range_uj", wraps)):
        (powercap / name / file).write_text(content + "\n")


def test_packages_and_their_memory_are_counted_once(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:0:1", "dram", "7000000")
    zone(tmp_path, "intel-rapl:1", "psys")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    found = energy.counters("cpu", tmp_path)
    assert sorted(counter.read() for counter in found) == [5.0, 7.0]
    assert found[0].wraps == pytest.approx(262143.32885)


@pytest.mark.parametrize("broken", ["", "many", "-"])
def test_a_counter_that_cannot_be_read_is_no_counter(tmp_path, broken):
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:1", "package-1", microjoules=broken)
    assert energy.counters("cpu", tmp_path) is None


def test_no_counters_here_and_kinds_without_one(tmp_path):
    assert energy.counters("cpu", tmp_path / "nothing") is None
    zone(tmp_path, "intel-rapl:0", "package-0")
    assert energy.counters("mps", tmp_path) is None
    assert energy.counters("rocm", tmp_path) is None


def test_a_gpu_counts_together_with_the_processor(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")
    asked = []
    fake = types.SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: asked.append(index) or index,
        nvmlDeviceGetHandleByUUID=lambda uuid: asked.append(uuid) or uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda _: 3000,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    for visible, first in (("2,3", 2), ("GPU-12,GPU-13", "GPU-12")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert [counter.read() for counter in energy.counters("cuda", tmp_path)] == [5.0, 3.0]
        assert asked.pop() == first

    def broken(_):
        raise RuntimeError("Not Supported")

    fake.nvmlDeviceGetTotalEnergyConsumption = broken
    assert energy.counters("cuda", tmp_path) is None, "the processor alone would be half of it"

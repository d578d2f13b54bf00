"""Stroke glyphs: a class and its instances are the same whatever else is drawn, and are what the factors say."""

import pytest
import torch

from ie_model.data import strokes


def test_a_class_is_a_few_strokes_in_its_square():
    for number in range(50):
        program = strokes.program(number)
        assert strokes.FEWEST <= len(program) <= strokes.MOST
        assert program.shape[1:] == (3, 2)
        assert abs(program).max() <= 0.9500001


def test_instances_do_not_depend_on_how_many_are_drawn():
    few, some = strokes.instances(7, 2), strokes.instances(7, 5)
    later = strokes.instances(7, 2, first=3)
    assert torch.equal(few[0], some[0][:2])
    assert torch.equal(few[1], some[1][:2])
    assert torch.equal(later[0], some[0][3:])
    assert torch.equal(later[1], some[1][3:])
    assert not torch.equal(some[0], strokes.instances(8, 5)[0])


def test_factors_lie_in_their_ranges():
    _, factors = strokes.instances(3, 40)
    for column, (_, low, high, _) in zip(factors.T, strokes.FACTORS, strict=True):
        assert low <= column.min() < column.max() <= high


@pytest.mark.parametrize(("factor", "axis"), [("shift_x", 1), ("shift_y", 0)])
def test_a_shift_moves_the_ink(factor, axis):
    points = torch.tensor(strokes.program(0), dtype=torch.float32).repeat(2, 1, 1, 1)
    factors = torch.tensor([[0.0, 0.0, 0.0, 0.8, 0.0, 1.0]]).repeat(2, 1)
    factors[1, [name for name, *_ in strokes.FACTORS].index(factor)] = 2.0
    before, after = strokes.render(points, factors)
    assert (before.roll(2, dims=axis).int() - after.int()).abs().max() <= 1, "rounding"
    assert before.max() == 255


def test_ink_is_the_distance_to_the_nearest_piece():
    starts, along = torch.tensor([[[4.0, 10.0]]]), torch.tensor([[[16.0, 0.0]]])
    ink = strokes.ink(starts, along, torch.tensor([1.0])).view(28, 28)
    assert torch.allclose(ink[10, 4:21], torch.ones(17), atol=1e-4)
    assert torch.allclose(ink[11, 4:21], torch.full((17,), 0.5), atol=1e-3)  # 1 px away: 1 + 0.5 - 1
    assert ink[12].max() == 0
    assert ink[10, 23] == 0  # 3 px beyond its end

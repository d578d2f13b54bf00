"""Episodes: the same for every method, examples never among what is asked about, and scores worked by hand."""

import pytest
import torch

from ie_model.new_classes import episodes
from ie_model.new_classes.images import Classes


def numbered(classes=40, images=30):
    """Images whose only pixel says which they are."""
    return Classes(torch.arange(classes * images, dtype=torch.float32).view(classes, images, 1, 1, 1))


def test_draws_repeat_and_keep_examples_apart_from_what_is_asked():
    first, again = (list(episodes.draws(numbered(), 20, 5)) for _ in range(2))
    assert len(first) == episodes.DRAWS
    for one, two in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
        assert sorted(one.groups.flatten().tolist()) == list(range(40))
        assert one.examples.shape == (40, 20)
        for examples, asked in zip(one.examples.tolist(), one.asked.tolist(), strict=True):
            assert sorted(examples) == list(range(20))
            assert not set(examples) & set(asked)
            assert len(set(asked)) == episodes.ASKED
    assert not torch.equal(first[0].groups, first[1].groups)


def test_more_ways_than_classes_is_refused():
    with pytest.raises(ValueError, match=r"ways: got 50, more than the 40 unseen classes"):
        list(episodes.draws(numbered(), 50, 0))


def test_a_perfect_a_useless_and_a_partly_right_method():
    draw = next(episodes.draws(numbered(), 20, 1))
    images = numbered().images

    def perfect(x, group):
        return (x.flatten().long()[:, None] // 30 == group[None, :]).float()

    def useless(x, group):
        return torch.zeros(len(x), len(group))

    def pairs(x, group):  # sees no difference between two classes that stand side by side in the group
        place = perfect(x, group).argmax(dim=1)
        return (torch.arange(len(group)) == (place // 2 * 2)[:, None]).float()

    for method, expected in ((perfect, {5: 100.0, 20: 100.0}), (useless, {5: 20.0, 20: 5.0})):
        tally = episodes.Tally({})
        episodes.tallied(images, draw, (5, 20), method, tally)
        assert {ways: len(found) for ways, found in tally.found.items()} == {5: 8, 20: 2}
        for ways, found in tally.found.items():
            assert episodes.mean_and_error(found) == pytest.approx((expected[ways], 0.0), abs=1e-4)
    tally = episodes.Tally({})
    episodes.tallied(images, draw, (20,), pairs, tally)
    assert episodes.mean_and_error(tally.found[20])[0] == pytest.approx(50.0, abs=1e-4)


def test_taken_images_are_those_of_the_class():
    images = numbered(3, 4).images
    got = episodes.taken(images, torch.tensor([[0], [2], [3]])).flatten()
    assert got.tolist() == [0.0, 6.0, 11.0]

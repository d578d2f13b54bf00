"""r_y from labelled and unlabelled images of a step: by hand, and against leaving out each image by itself."""

import math

import pytest
import torch

from ie_model.objective import representations
from ie_model.objective.representations import LITTLE, pooled


def test_only_an_image_that_q_is_sure_of_counts_and_by_how_sure_it_is():
    log_q = torch.tensor([[0.7, 0.2, 0.1], [0.4, 0.3, 0.3], [0.5, 0.5, 0.0]], requires_grad=True).log()
    counts = representations.counted(log_q)
    assert counts.tolist() == [pytest.approx([0.7, 0, 0]), [0, 0, 0], [0, 0, 0]]
    assert not counts.requires_grad, "q(y|x) does not learn by what it lets r_y be"


def test_one_group_by_hand():
    known = torch.tensor([[[1.0], [3.0]], [[10.0], [20.0]]])  # two classes of two images
    unknown, counts = torch.tensor([[5.0], [40.0]]), torch.tensor([[0.5, 0.0], [0.0, 1.0]])
    own, pool = pooled(known, unknown, counts, 1)
    assert own.flatten().tolist() == pytest.approx(
        [(3 + 0.5 * 5) / 1.5, (1 + 0.5 * 5) / 1.5, (20 + 40) / 2, (10 + 40) / 2]
    )
    image, label = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    # in its own class without itself, in the other with all
    expected = [(1 + 3) / 2, (10 + 20 + 40) / 3, (1 + 3 + 0.5 * 5) / 2.5, (10 + 20) / 2]
    assert pool.without(image, label).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_each_r_is_the_weighted_mean_of_all_other_images(groups):
    torch.manual_seed(0)
    classes, k, images, size = 3, 4, 7, 2
    known, unknown = torch.randn(classes, k, size), torch.randn(images, size)
    counts = representations.counted(torch.log_softmax(torch.randn(images, classes), dim=1))
    assert 0 < (counts > 0).sum() < images, "some count, some do not"
    own, pool = pooled(known, unknown, counts, groups)

    def mean(label, group, left_out):
        parts = [
            (1.0 if i % groups == group else LITTLE, known[label, i]) for i in range(k) if ("k", label, i) != left_out
        ]
        parts += [
            ((1.0 if j % groups == group else LITTLE) * counts[j, label], unknown[j])
            for j in range(images)
            if ("u", j) != left_out
        ]
        return sum(weight * value for weight, value in parts) / sum(weight for weight, _ in parts)

    for label in range(classes):
        for i in range(k):
            torch.testing.assert_close(own[label, i], mean(label, i % groups, ("k", label, i)))
        for j in range(images):
            found = pool.without(torch.tensor([j]), torch.tensor([label]))[0]
            torch.testing.assert_close(found, mean(label, j % groups, ("u", j)))


def test_no_image_is_part_of_its_own_r():
    known = torch.zeros(2, 2, 1, requires_grad=True)
    unknown = torch.zeros(3, 1, requires_grad=True)
    counts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.0]])
    own, pool = pooled(known, unknown, counts, 2)
    (by_known,) = torch.autograd.grad(own[0, 1].sum(), known, retain_graph=True)
    assert by_known[0, 1] == 0
    assert by_known[0, 0] > 0
    (by_unknown,) = torch.autograd.grad(pool.without(torch.tensor([2]), torch.tensor([0])).sum(), unknown)
    assert by_unknown[2] == 0
    assert by_unknown[0] > 0


def test_one_image_of_a_class_has_no_complementary_sample():
    with pytest.raises(ValueError, match="got 1 image per class, expected at least 2"):
        pooled(torch.zeros(2, 1, 1), torch.zeros(1, 1), torch.zeros(1, 2), 1)


def test_every_group_has_something_of_every_class():
    known, nothing = torch.arange(2.0).view(1, 2, 1), torch.zeros(5, 1)
    own, pool = pooled(known, nothing, torch.zeros(5, 1), 4)
    assert own.isfinite().all()
    assert math.isfinite(pool.without(torch.tensor([3]), torch.tensor([0])).item())

"""r_y of a step comes from other images of the class; q(y|x) is by the distance to it."""

import math

import torch

from ie_model.new_classes import objective


def test_no_image_is_part_of_its_own_r_and_each_number_of_others_comes_up():
    generator = torch.Generator().manual_seed(0)
    counts = set()
    for _ in range(30):
        weights = objective.complementary_weights(5, generator)
        assert torch.equal(weights.diagonal(), torch.zeros(5))
        assert torch.allclose(weights.sum(dim=1), torch.ones(5))
        for row in weights:
            assert len(set(row[row > 0].tolist())) == 1, "those that count count alike"
            counts.add(int((row > 0).sum()))
    assert counts == {1, 2, 3, 4}


def test_r_is_the_mean_of_the_others_that_count():
    features = torch.tensor([[[1.0], [2.0], [4.0]]])
    weights = torch.tensor([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert objective.representations(features, weights).flatten().tolist() == [3.0, 1.0, 2.0]


def test_q_is_the_softmax_of_distances_worked_by_hand():
    # two classes of two images on a line; r of image i of each class is the other image's f
    features = torch.tensor([[[0.0], [1.0]], [[3.0], [5.0]]])
    weights = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    got = objective.log_q(features, weights)
    first = -1.0 - math.log(math.exp(-1.0) + math.exp(-25.0))  # f = 0: r of its class 1, of the other 5
    last = -4.0 - math.log(math.exp(-4.0) + math.exp(-25.0))  # f = 5: r of its class 3, of the other 0
    assert torch.allclose(got[0, 0], torch.tensor(first), atol=1e-6)
    assert torch.allclose(got[1, 1], torch.tensor(last), atol=1e-6)

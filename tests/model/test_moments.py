"""The term that brings the moments of each class's v to the prior's."""

import pytest
import torch

from ie_model.moments import DECAY, Moments


def settled(v, labels, classes):
    """Moments that are those of v, as after many steps."""
    moments = Moments(classes, v.shape[1])
    for label in range(classes):
        own = v[labels == label]
        moments.mean[label] = own.mean(dim=0)
        moments.second[label] = (own.T @ own) / len(own)
    return moments


def distance(v, labels, classes):
    """|E v|²/2 + |E vv' - I|²/4, mean over classes."""
    total = 0.0
    for label in range(classes):
        own = v[labels == label]
        apart = (own.T @ own) / len(own) - torch.eye(v.shape[1])
        total = total + own.mean(dim=0).square().sum() / 2 + apart.square().sum() / 4
    return total / classes


def test_its_gradient_is_that_of_the_distance_from_the_prior():
    torch.manual_seed(0)
    labels = torch.arange(40) % 2
    v = (0.3 * torch.randn(40, 3) + labels[:, None]).requires_grad_()
    moments = settled(v.detach(), labels, 2)
    (found,) = torch.autograd.grad(moments(v, labels, torch.ones(40)), v)
    (expected,) = torch.autograd.grad(distance(v, labels, 2), v)
    torch.testing.assert_close(found, expected)
    assert expected.norm() > 0.01


def test_to_second_order_the_distance_is_the_kl_to_the_prior():
    mean, second = torch.tensor([0.02, -0.01]), torch.eye(2) + torch.tensor([[0.02, 0.01], [0.01, -0.03]])
    covariance = second - torch.outer(mean, mean)
    normal = torch.distributions.MultivariateNormal
    kl = torch.distributions.kl_divergence(normal(mean, covariance), normal(torch.zeros(2), torch.eye(2)))
    close = mean.square().sum() / 2 + (second - torch.eye(2)).square().sum() / 4
    assert close.item() == pytest.approx(kl.item(), rel=0.1)


def test_samples_of_the_prior_ask_for_nothing_on_average():
    torch.manual_seed(0)
    v = torch.randn(50_000, 2, requires_grad=True)
    labels = torch.zeros(50_000, dtype=torch.long)
    (gradient,) = torch.autograd.grad(Moments(1, 2)(v, labels, torch.ones(50_000)) * 50_000, v)
    assert gradient.norm(dim=1).mean() < 0.02  # the running moments have moved by a hundredth toward the step's


def test_the_running_moments_follow_slowly_and_counts_weigh():
    moments = Moments(2, 1)
    v = torch.tensor([[1.0], [3.0], [7.0]])
    moments(v, torch.tensor([0, 0, 1]), torch.tensor([1.0, 0.5, 0.4]))
    pace = 1 - DECAY
    assert moments.mean[0].item() == pytest.approx(pace * (1 + 0.5 * 3) / 1.5)
    assert moments.second[0].item() == pytest.approx(DECAY + pace * (1 + 0.5 * 9) / 1.5)
    assert moments.mean[1].item() == 0, "a class that hardly occurs in a step moves nothing"

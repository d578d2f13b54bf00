"""The optimiser is torch's own, bit for bit, and remembers what a resumed run needs."""

import pytest
import torch
from torch import nn

from ie_model.adam import Adam


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))
    return made.to(memory_format=torch.channels_last)


def train(network, optimiser, steps, rate, first=0):
    """Steps with another step size each, on images that the step's number decides."""
    for step in range(first, first + steps):
        x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(step))
        rate(step)
        optimiser.zero_grad()
        network(x).square().sum().backward()
        optimiser.step()


def weights(network):
    return [parameter.detach() for parameter in network.parameters()]


def set_rate(optimiser):
    return lambda step: setattr(optimiser, "lr", 0.01 / (1 + step))


@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.5, 0.999)])
def test_it_is_torchs_bit_for_bit(betas):
    ours, theirs = network(), network()
    adam = Adam(ours.parameters(), 0.1, betas)
    reference = torch.optim.Adam(theirs.parameters(), 0.1, betas, fused=True)
    train(ours, adam, 20, set_rate(adam))
    train(theirs, reference, 20, lambda step: reference.param_groups[0].update(lr=0.01 / (1 + step)))
    assert all(torch.equal(a, b) for a, b in zip(weights(ours), weights(theirs), strict=True))


def test_what_it_remembers_is_all_that_going_on_needs():
    whole, part = network(), network()
    adam, first = Adam(whole.parameters()), Adam(part.parameters())
    train(whole, adam, 10, set_rate(adam))
    train(part, first, 6, set_rate(first))
    kept = {name: tensor.clone().contiguous() for name, tensor in first.tensors().items()}
    again = Adam(part.parameters())
    again.load(kept)
    train(part, again, 4, set_rate(again), first=6)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(part), strict=True))
    assert again.first[0].stride() == part[0].weight.stride(), "laid out as the weights are"


@pytest.mark.parametrize(
    "change", [lambda kept: kept.pop("steps"), lambda kept: kept.update({"first.0": torch.ones(2)})]
)
def test_the_state_of_another_network_is_refused(change):
    adam = Adam(network().parameters())
    kept = {name: tensor.clone() for name, tensor in adam.tensors().items()}
    change(kept)
    with pytest.raises(ValueError, match="does not fit"):
        adam.load(kept)


def test_a_parameter_without_a_gradient_is_a_mistake():
    unused = nn.Linear(1, 1)
    adam = Adam(unused.parameters())
    with pytest.raises(ValueError, match="no gradient"):
        adam.step()

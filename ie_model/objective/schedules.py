"""What changes from step to step of a training: Adam's step size, and the weights of what the loss is made of."""

from __future__ import annotations

import math

from ie_model.config import Config


def scheduled(config: Config, done: float) -> tuple[float, float, float, float, float, float, float]:
    """Step size, weights of KL, balance and smoothness, free nats, and weights of moved and of posed copies, when the
    share ``done`` of the steps lies behind."""
    return (
        learning_rate(config, done),
        kl_weight(config, done),
        balance_weight(config, done),
        smoothness_weight(config, done) if config.semi_supervised else 0.0,
        config.free_nats * _left(config.kl_until, done),
        moved_weight(config, done),
        config.posed_weight * ramp(config, done),
    )


def kl_weight(config: Config, done: float) -> float:
    """Weight of the KL term when the share ``done`` in [0, 1] of all steps lies behind: kl_start, falling to 1."""
    if config.kl_until == 0:
        return 1.0
    return config.kl_start + (1 - config.kl_start) * min(1.0, done / config.kl_until)


def balance_weight(config: Config, done: float) -> float:
    """Weight of the batch's balance term when the share ``done`` of all steps lies behind: falls to 0 with the KL's."""
    return config.balance_weight * _left(config.kl_until, done)


def smoothness_weight(config: Config, done: float) -> float:
    """Weight of q(y|x)'s smoothness when the share ``done`` of all steps lies behind: falls to 0, a little later."""
    return config.smoothness_weight * _left(config.smoothness_until, done)


def moved_weight(config: Config, done: float) -> float:
    """Weight of what moved copies are to agree with when the share ``done`` of all steps lies behind: rises from 0."""
    return config.moved_weight * ramp(config, done)


def ramp(config: Config, done: float) -> float:
    """Share of the weight of copies when the share ``done`` of all steps lies behind: rises to 1."""
    return min(1.0, done / config.moved_ramp) if config.moved_ramp else 1.0


def _left(until: float, done: float) -> float:
    """What is left of a weight that falls to 0 along a line until the share ``until`` of the steps is done."""
    return max(0.0, 1 - done / until) if until else 0.0


def learning_rate(config: Config, done: float) -> float:
    """Adam's step size when the share ``done`` of all steps lies behind: a half cosine that ends at zero."""
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

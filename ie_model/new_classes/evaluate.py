"""What a run on unseen classes is measured by: which class, new images of it, and styles given to and taken from it.

The classes of the test part are read here and nowhere else, once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ie_model.config import Config
from ie_model.data import tensors
from ie_model.device.runtime import prepare
from ie_model.evaluate import Measured, swapped_styles
from ie_model.metrics import inference, judge, scores
from ie_model.model import EquiVAE
from ie_model.new_classes import comparators, episodes, images
from ie_model.new_classes.train import read_networks
from ie_model.training import derived_seed

GENERATED = 10  # images of each unseen class that are judged
EPISODES_SEED = 20190609  # the episodes belong to the task, not to a run
SMOKE_ROW_STEPS = 5
COMPARED = ("row_fitted", "prototypical")  # what accuracies are compared with episode by episode
OTHERS = 5  # images that r_y of a class is the mean of, where styles are asked about


def evaluate(
    config: Config, run: Path, folder: Path | None, report: Callable[[str], None], part: str = "test"
) -> Measured:
    """Every metric of a finished run. part: "test", or "valid" for the classes that settings are chosen by."""
    device = prepare(config)
    report("reading")
    seen, asked = images.seen(config, folder).to(device), images.unseen(config, folder, part).to(device)
    networks = read_networks(config, run).to(device)
    values, details = _classified(config, networks, asked, report)
    report("judge")
    real, labels = images.for_judge(config, asked, part)
    trained = judge.trained(config, tensors.Labelled(real.to(device), labels.to(device)))
    held_out = asked.images[:, asked.pool :]
    truth = torch.arange(len(asked.images), device=device)
    predicted = judge.predict(trained.network, held_out.flatten(0, 1))
    values["judge.accuracy"] = 100 - scores.percent_wrong(predicted, truth.repeat_interleave(held_out.shape[1]))
    report("generation")
    generator = torch.Generator().manual_seed(derived_seed(config.seed, "generation"))
    for shots in config.facts.shots:
        r = comparators.prototypes(networks.model.f, asked.images[:, :shots])
        v = torch.randn(GENERATED * len(r), config.equivariant_dim, generator=generator).to(device)
        wanted = truth.repeat(GENERATED)
        drawn = judge.predict(trained.network, decoded(networks, r[wanted], v))
        values[f"generated.accuracy_{shots}"] = 100 - scores.percent_wrong(drawn, wanted)
    report("styles")
    values |= _styles(networks, seen, asked, trained.network)
    report("bound")
    x, r = _with_others(networks, asked, asked.pool)
    noise = torch.randn(len(x), config.equivariant_dim, generator=generator).to(device)
    values["unseen.elbo"] = float(inference.infer(networks.model, x, r, noise)[1].double().mean())
    return Measured(values, details, {"sha256": trained.sha256, "cached": trained.cached}, {})


Score = Callable[[Tensor, Tensor], Tensor]  # x (n, *shape) and classes of a group (W,) to scores (n, W)


def _likeliest(model: EquiVAE, r: Tensor, x: Tensor, group: Tensor) -> Tensor:
    return episodes.bound_scores(model, x, r[group])


def _objective(model: EquiVAE, drawn_by: Tensor, r: Tensor, weight: float, x: Tensor, group: Tensor) -> Tensor:
    """L(x, y) and the weighted log q(y|x) together, as in training. log q is the distance to r but for a constant."""
    apart = torch.cdist(model.f(x), r[group]).square()
    return episodes.bound_scores(model, x, drawn_by[group]) - weight * apart


def _nearest(encoder: Callable[[Tensor], Tensor], r: Tensor, x: Tensor, group: Tensor) -> Tensor:
    return -torch.cdist(encoder(x), r[group])


def _pixels(examples: Tensor, x: Tensor, group: Tensor) -> Tensor:
    """Minus the distance to the nearest example of each class."""
    known = examples[group].flatten(2)  # (W, m, D)
    return -torch.cdist(x.flatten(1), known.flatten(0, 1)).view(len(x), *known.shape[:2]).amin(dim=2)


def _classified(
    config: Config, networks: comparators.Networks, asked: images.Classes, report: Callable[[str], None]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Accuracies of every method by ways and examples, and standard errors over episodes."""
    ways, x = config.facts.ways, asked.images
    model, m2 = networks.model, networks.m2
    tallies: dict[tuple[str, int], episodes.Tally] = {}
    many, steps = (1, SMOKE_ROW_STEPS) if config.smoke else (episodes.DRAWS, comparators.ROW_STEPS)
    for number, draw in enumerate(episodes.draws(asked, max(ways), EPISODES_SEED, many)):
        report(f"episodes {number + 1} of {many}")
        generator = torch.Generator().manual_seed(derived_seed(config.seed, "rows", number))
        for shots in config.facts.shots:
            examples = episodes.taken(x, draw.examples[:, :shots])
            r = comparators.prototypes(model.f, examples)
            centres = comparators.prototypes(networks.prototypical, examples)
            rows = comparators.fitted_rows(m2, examples, generator, steps)
            refined = comparators.fitted_rows(model, examples, generator, steps // 2, r)
            weight = config.classifier_weight
            methods: dict[str, Score] = {
                "likeliest": partial(_likeliest, model, r),
                "objective": partial(_objective, model, r, r, weight),
                "refined": partial(_objective, model, refined, r, weight),
                "nearest": partial(_nearest, model.f, r),
                "prototypical": partial(_nearest, networks.prototypical, centres),
                "row_fitted": partial(_likeliest, m2, rows),
                "pixels": partial(_pixels, examples),
            }
            for name, score in methods.items():
                tally = tallies.setdefault((name, shots), episodes.Tally({}))
                with torch.no_grad():
                    episodes.tallied(x, draw, ways, score, tally)
    values: dict[str, float] = {}
    details: dict[str, dict[str, float]] = {}
    for (name, shots), tally in tallies.items():
        for some, found in tally.found.items():
            key = f"{name}.{some}way_{shots}"
            mean, error = episodes.mean_and_error(found)
            values[key], details[key] = mean, {"episodes": len(found), "standard_error": error}
            for other in COMPARED:  # in the same episodes
                apart = [a - b for a, b in zip(found, tallies[other, shots].found[some], strict=True)]
                difference, error = episodes.mean_and_error(apart)
                details[key] |= {f"minus_{other}": difference, f"minus_{other}_standard_error": error}
    return dict(sorted(values.items())), details


def _with_others(networks: comparators.Networks, classes: images.Classes, first: int) -> tuple[Tensor, Tensor]:
    """Images from ``first`` on, flat, and r_y from the first OTHERS of each class, which they are none of."""
    r = comparators.prototypes(networks.model.f, classes.images[:, :OTHERS])
    x = classes.images[:, max(first, OTHERS) :]
    return x.flatten(0, 1), r.repeat_interleave(x.shape[1], dim=0)


@torch.no_grad()
def _styles(
    networks: comparators.Networks, seen: images.Classes, asked: images.Classes, judged_by: judge.Judge
) -> dict[str, float]:
    """Styles of images of trained classes given to unseen ones and the reverse.

    What is told of v: its linear map to the generator's factors, fitted on classes that are trained on; where they are
    not known, v itself as q(v|r,x) finds it again.
    """
    model = networks.model
    sources = {"seen": _with_others(networks, seen, OTHERS), "unseen": _with_others(networks, asked, asked.pool)}
    of_classes = {
        "seen": comparators.prototypes(model.f, seen.images[:, :OTHERS]),
        "unseen": comparators.prototypes(model.f, asked.images[:, :OTHERS]),
    }
    v = {name: inference.posterior_means(model, x, r) for name, (x, r) in sources.items()}
    factors = {}
    if seen.factors is not None and asked.factors is not None:
        factors = {
            "seen": seen.factors[:, OTHERS:].flatten(0, 1).to(v["seen"].device),
            "unseen": asked.factors[:, asked.pool :].flatten(0, 1).to(v["seen"].device),
        }
    values, kept = {}, []
    for source, target in (("seen", "unseen"), ("unseen", "seen")):
        wanted = torch.arange(len(v[source]), device=v[source].device) % len(of_classes[target])
        again = swapped_styles(model, of_classes[target], v[source], wanted)
        if factors:
            kept.append(float(scores.ridge_r2(v["seen"], factors["seen"], again, factors[source]).mean()))
        else:
            kept.append(scores.variance_explained(again, v[source]))
        if target == "unseen":
            drawn = decoded(networks, of_classes[target][wanted], v[source])
            values["unseen.swap_accuracy"] = 100 - scores.percent_wrong(judge.predict(judged_by, drawn), wanted)
    values["unseen.style_r2"] = sum(kept) / len(kept)
    if factors:
        r2 = scores.ridge_r2(v["seen"], factors["seen"], v["unseen"], factors["unseen"])
        values["unseen.equivariance_r2"] = float(r2.mean())
    return values


@torch.no_grad()
def decoded(networks: comparators.Networks, r: Tensor, v: Tensor) -> Tensor:
    """Mean images of (r, v), in bounded memory: (n, *shape)."""
    parts = zip(r.split(inference.CHUNK), v.split(inference.CHUNK), strict=True)
    return torch.cat([networks.model.decoder.mean_image(some, style) for some, style in parts])

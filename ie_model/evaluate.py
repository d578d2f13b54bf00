"""What a finished run is measured by: applies `metrics`, `probes` and `transforms` to what `inference` says of images.

The test images are read here and nowhere else, once. Class representations r_y come from the labelled training images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ie_model.config import Config
from ie_model.data import glyphs, tensors
from ie_model.device.runtime import prepare
from ie_model.metrics import inference, judge, likelihood, probes, scores, transforms
from ie_model.model import Classifier, EquiVAE
from ie_model.run import checkpoint
from ie_model.training import derived_seed

TRUTH = "truth"  # among predictions: the classes that the images are
TRANSFORMED = 5000  # images of each part that are transformed, at most; evenly spaced


@dataclass(frozen=True)
class Subject:
    """One run and the images it is measured on, all on one device."""

    config: Config
    model: EquiVAE
    control: Classifier | None
    r: Tensor  # (C, R): r_y of every class
    known: tensors.Labelled  # all training images with all their labels: for probes, never for training
    labelled: Tensor  # indices of the labelled images among them
    test: tensors.Labelled
    part: str = "test"  # which images these are: test, or valid while settings are chosen

    def generator(self, purpose: str, device: torch.device | str | None = None) -> torch.Generator:
        """A generator of its own for each purpose, so that one more metric changes no other."""
        return torch.Generator(device or self.r.device).manual_seed(derived_seed(self.config.seed, purpose))


@torch.no_grad()
def swap_accuracy(model: EquiVAE, judged_by: nn.Module, r: Tensor, v: Tensor, labels: Tensor) -> float:
    """How often the judge sees class j in the image decoded from (r_j, v of another class's image), in %.

    r: (C, R) of every class, v: (n, V) inferred under the true ``labels`` (n,). The judge sees the mean image.
    """
    wanted = scores.swapped_classes(labels, len(r))
    seen = []
    for style, target in zip(v.split(inference.CHUNK), wanted.split(inference.CHUNK), strict=True):
        seen.append(judged_by(model.decoder.mean_image(r[target], style)).argmax(dim=1))
    return 100 - scores.percent_wrong(torch.cat(seen), wanted)


@torch.no_grad()
def swapped_styles(model: EquiVAE, r: Tensor, v: Tensor, targets: Tensor) -> Tensor:
    """The mean of q(v | r_j, x'), x' the image decoded from (r_j, v) and j the ``targets`` (n,). Returns (n, V)."""
    again = []
    for style, own in zip(v.split(inference.CHUNK), r[targets].split(inference.CHUNK), strict=True):
        again.append(inference.posterior_means(model, model.decoder.mean_image(own, style), own))
    return torch.cat(again)


def style_r2(subject: Subject, train_r: Tensor) -> dict[str, float]:
    """Whether swapped images keep the style of their source, by name: R² of what v of the swapped image tells of it.

    Images: v itself, all dimensions together, as q(v|r,x) finds it again. Glyphs: the generator's own factors, by the
    linear map that reads them from v of real training images; factors that the source and the target shape both show.
    train_r: (n, R), r of each training image without itself.
    """
    model, r, test = subject.model, subject.r, subject.test
    chosen = evenly(len(test.labels), TRANSFORMED, r.device)
    labels = test.labels[chosen]
    v = inference.posterior_means(model, test.images[chosen], r[labels])
    targets = scores.swapped_classes(labels, len(r))
    again = swapped_styles(model, r, v, targets)
    if subject.config.dataset != "glyphs":
        return {"v": scores.variance_explained(again, v)}
    train = evenly(len(subject.known.labels), TRANSFORMED, r.device)
    train_v = inference.posterior_means(model, subject.known.images[train], train_r[train])
    train_factors, test_factors = (part.to(r.device) for part in tensors.load_factors(subject.config, subject.part))
    found = {}
    for column, (name, *_) in enumerate(glyphs.FACTORS):
        in_train = transforms.seen(name, subject.known.labels[train])
        in_test = transforms.seen(name, labels) & transforms.seen(name, targets)
        known = train_factors[train][in_train, column : column + 1]
        asked = test_factors[chosen][in_test, column : column + 1]
        found[name] = float(scores.ridge_r2(train_v[in_train], known, again[in_test], asked))
    return found


def evenly(count: int, most: int, device: torch.device) -> Tensor:
    """Indices of at most ``most`` of ``count`` items, evenly spaced: every part of a file is read."""
    chosen = min(count, most)
    return torch.arange(chosen, device=device) * count // chosen


def equivariance(subject: Subject, train_r: Tensor) -> tuple[dict[str, float], float | None]:
    """R² of each known transformation regressed from v, by name, and how far f(x) moves, where there is an f.

    train_r: (n, R), r of each training image without itself. Images: how v moves, v(Tx) - v(x), tells the amounts of
    T, whatever pose x itself had. Glyphs: v(x) tells x's own factors; f(x) is compared with f of the shape redrawn.
    """
    model, r, device = subject.model, subject.r, subject.r.device
    train = evenly(len(subject.known.labels), TRANSFORMED, device)
    test = evenly(len(subject.test.labels), TRANSFORMED, device)
    train_x, test_x, test_y = subject.known.images[train], subject.test.images[test], subject.test.labels[test]
    v = [inference.posterior_means(model, train_x, train_r[train]), inference.posterior_means(model, test_x, r[test_y])]
    generator = subject.generator("transformations", "cpu")
    if subject.config.dataset == "glyphs":
        names = [name for name, *_ in glyphs.FACTORS]
        targets = [
            part[chosen.cpu()].to(device)
            for part, chosen in zip(tensors.load_factors(subject.config, subject.part), (train, test), strict=True)
        ]
        moved = transforms.redraw_glyphs(test_y, generator).to(device)
        shown = [(transforms.seen(name, subject.known.labels[train]), transforms.seen(name, test_y)) for name in names]
    else:
        names = [name for name, *_ in transforms.AMOUNTS]
        targets = [transforms.draw_amounts(len(part), generator).to(device) for part in (train, test)]
        moved = transforms.apply(test_x, targets[1])
        v[0] = inference.posterior_means(model, transforms.apply(train_x, targets[0]), train_r[train]) - v[0]
        v[1] = inference.posterior_means(model, moved, r[test_y]) - v[1]
        shown = [(torch.ones_like(train, dtype=torch.bool), torch.ones_like(test, dtype=torch.bool)) for _ in names]
    r2 = {}
    for column, (name, (in_train, in_test)) in enumerate(zip(names, shown, strict=True)):
        known, asked = targets[0][in_train, column : column + 1], targets[1][in_test, column : column + 1]
        r2[name] = float(scores.ridge_r2(v[0][in_train], known, v[1][in_test], asked))
    if not subject.config.has_f:
        return r2, None
    return r2, scores.relative_movement(inference.invariants(model, test_x), inference.invariants(model, moved), r)


@dataclass(frozen=True)
class Measured:
    """Every metric by name, what lies behind some, who judged the swaps, and what was predicted of each image."""

    metrics: dict[str, float]
    details: dict[str, dict[str, float]]
    judge: dict[str, Any] | None
    predictions: dict[str, Tensor]  # classes (n,) by metric, and TRUTH

    def document(self) -> dict[str, Any]:
        """What run.json says of it."""
        judged = {} if self.judge is None else {"judge": self.judge}
        return {"metrics": self.metrics, "details": self.details, **judged}


def evaluate(
    config: Config, run: Path, folder: Path | None, report: Callable[[str], None], part: str = "test"
) -> Measured:
    """Every metric of a finished run that its method can have.

    run: the run's folder; folder: the verified data set, None for one that is generated. part: "test", or "valid" for
    the images that settings are chosen by.
    """
    report("classification")
    if not config.generative:
        return _of_classifiers(config, run, folder, part)
    subject = _subject(config, run, folder, part)
    model, r, known, test = subject.model, subject.r, subject.known, subject.test
    values: dict[str, float] = {}
    details: dict[str, dict[str, float]] = {}
    predictions: dict[str, Tensor] = {}

    if config.semi_supervised:
        assert subject.control is not None
        test_classes = predictions["classification.error"] = inference.predicted(model, test.images)
        predictions["control.error"] = inference.predicted(subject.control, test.images)
        if part == "test":
            details["classification.error"] = _validated(config, model, folder, len(test.labels))
    if config.has_f:
        reference = inference.invariants(model, known.images[subject.labelled])
        reference_labels = known.labels[subject.labelled]
        predictions["invariant.knn_error"] = scores.nearest_neighbours(
            reference, reference_labels, inference.invariants(model, test.images), config.neighbours
        )
        if part == "test" and not config.semi_supervised:  # there this is the metric that ranks
            valid = tensors.load_training(config, folder).valid
            found_classes = scores.nearest_neighbours(
                reference, reference_labels, inference.invariants(model, valid.images.to(r.device)), config.neighbours
            )
            wrong = scores.percent_wrong(found_classes, valid.labels.to(r.device))
            details["invariant.knn_error"] = _of_validation(wrong, len(valid.labels), len(test.labels))
    values |= {name: scores.percent_wrong(predicted, test.labels) for name, predicted in predictions.items()}

    report("bound")
    generator = subject.generator("evaluation")

    def noise(n: int) -> Tensor:
        return torch.randn(n, config.equivariant_dim, generator=generator, device=r.device)

    test_v, bounds = inference.infer(model, test.images, r[test.labels], noise(len(test.labels)))
    values["elbo"] = float(bounds.double().mean())

    report("likelihood")
    chosen = evenly(len(test.labels), config.likelihood_images, r.device)
    found = likelihood.estimates(
        model, test.images[chosen], test.labels[chosen], r, config.likelihood_samples, subject.generator("likelihood")
    )
    # How far the bound lies below differs little between images; the bound itself, which is known of all, much.
    own = bounds[chosen].double()
    for name, estimated in (("log_likelihood", found.conditional), ("log_likelihood_marginal", found.marginal)):
        gaps = estimated.double() - own
        values[name] = values["elbo"] + float(gaps.mean())
        details[name] = {
            "images": len(chosen),
            "samples": config.likelihood_samples,
            "of_these_images": float(estimated.double().mean()),
            "standard_error": float(gaps.std(correction=min(1, len(chosen) - 1)) / len(chosen) ** 0.5),
        }

    report("swaps")
    trained = judge.trained(config, known)
    values["swap.accuracy"] = swap_accuracy(model, trained.network, r, test_v, test.labels)
    values["judge.accuracy"] = 100 - scores.percent_wrong(judge.predict(trained.network, test.images), test.labels)

    report("leakage")
    train_r = inference.complementary_representations(config, model, known, subject.labelled, r, known.labels)
    train_v, _ = inference.infer(model, known.images, train_r, noise(len(known.labels)))
    seed = derived_seed(config.seed, "probe")

    def leakage(train: Tensor, held_out: Tensor, hidden: int | None) -> float:
        return probes.accuracy(train, known.labels, held_out, test.labels, hidden, config.probe_epochs, seed)

    values["equivariant.leakage"] = leakage(train_v, test_v, probes.HIDDEN)
    values["equivariant.leakage_linear"] = leakage(train_v, test_v, None)
    report("leakage of means")
    means = [
        inference.posterior_means(model, x, own) for x, own in ((known.images, train_r), (test.images, r[test.labels]))
    ]
    values["equivariant.leakage_means"] = leakage(means[0], means[1], probes.HIDDEN)
    if config.semi_supervised:
        report("leakage under the predicted class")
        classes = inference.predicted(model, known.images)
        under = inference.complementary_representations(config, model, known, subject.labelled, r, classes)
        generator = subject.generator("under the predicted class")
        train_v, _ = inference.infer(model, known.images, under, noise(len(known.labels)))
        test_v, _ = inference.infer(model, test.images, r[test_classes], noise(len(test.labels)))
        values["equivariant.leakage_predicted"] = leakage(train_v, test_v, probes.HIDDEN)

    report("equivariance")
    details["equivariance.r2"], moved = equivariance(subject, train_r)
    details["swap.style_r2"] = style_r2(subject, train_r)
    if moved is not None:
        values["invariance.shift"] = moved
    for name in ("equivariance.r2", "swap.style_r2"):
        values[name] = sum(details[name].values()) / len(details[name])
    judged = {"sha256": trained.sha256, "cached": trained.cached}
    return Measured(values, details, judged, predictions | {TRUTH: test.labels} if predictions else {})


def _of_classifiers(config: Config, run: Path, folder: Path | None, part: str) -> Measured:
    """What can be measured where there is q(y|x) alone."""
    device = prepare(config)
    model, control = checkpoint.read_classifiers(run, config)
    test = _asked(config, folder, part)
    images, labels = test.images.to(device), test.labels.to(device)
    predictions = {
        "classification.error": inference.predicted(model.to(device), images),
        "control.error": inference.predicted(control.to(device), images),
    }
    values = {name: scores.percent_wrong(predicted, labels) for name, predicted in predictions.items()}
    details = {"classification.error": _validated(config, model, folder, len(labels))} if part == "test" else {}
    return Measured(values, details, None, predictions | {TRUTH: labels})


def _validated(config: Config, model: EquiVAE | Classifier, folder: Path | None, test_images: int) -> dict[str, float]:
    """The error of q(y|x) on the validation images, in %, beside how many images it and the test error are of.

    Nothing is trained on either, so the two differ by chance: who looks at a result sees whether they do.
    """
    valid = tensors.load_training(config, folder).valid
    device = next(model.parameters()).device
    wrong = scores.percent_wrong(inference.predicted(model, valid.images.to(device)), valid.labels.to(device))
    return _of_validation(wrong, len(valid.labels), test_images)


def _of_validation(wrong: float, images: int, test_images: int) -> dict[str, float]:
    return {"validation": wrong, "validation_images": images, "test_images": test_images}


def _asked(config: Config, folder: Path | None, part: str) -> tensors.Labelled:
    if part == "test":
        return tensors.load_test(config, folder)
    if part == "valid":
        return tensors.load_training(config, folder).valid
    raise ValueError(f"part: got {part!r}, expected test or valid")


def _subject(config: Config, run: Path, folder: Path | None, part: str) -> Subject:
    device = prepare(config)
    model, control, r = checkpoint.read_model(run, config)
    known = tensors.load_for_probes(config, folder)
    labelled = tensors.draw_labelled(known.labels, config.labels, config.label_seed)
    test = _asked(config, folder, part)
    return Subject(
        config,
        model.to(device),
        None if control is None else control.to(device),
        r.to(device),
        tensors.Labelled(known.images.to(device), known.labels.to(device)),
        labelled.to(device),
        tensors.Labelled(test.images.to(device), test.labels.to(device)),
        part,
    )

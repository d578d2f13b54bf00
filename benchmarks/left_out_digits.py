"""MNIST with two digits left out: what r_y from examples is worth where there are only eight classes to learn from.

    python -m benchmarks.left_out_digits --outdir=DIR [--pairs=0,1] [--smoke]

Pair i leaves digits 2i and 2i + 1 out, so five pairs leave each digit out once. Trains what `new-classes` trains, with
its settings, none of which was chosen here; asks about test images of the digits that were left out, among all ten
digits and among the two, r_y of each digit from 1, 5 or 20 training images. Prints the table of docs/experiments.md and
draws its picture. Killed, the same command goes on; what is done is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import torch
from ie_crowd.result.aggregate import mean_sd_ci95
from torch import Tensor
from tqdm import tqdm

from ie_model.api import sources
from ie_model.config import Config
from ie_model.data import tensors
from ie_model.device.runtime import prepare
from ie_model.facts.datasets import DATASETS, DatasetFacts
from ie_model.figures import draw, mosaics
from ie_model.metrics import judge
from ie_model.new_classes import comparators, episodes, train
from ie_model.new_classes.evaluate import decoded
from ie_model.run import checkpoint, run_folder
from ie_model.run.journal import Journal

NAME = "mnist-left-out"  # an experiment, and no task of the challenge: known to this script alone
EACH, SHOTS = 4_900, (1, 5, 20)
# as in `new-classes`, but a step of 96 images is 12 of each of 8 classes, not 6 of each of 16
STEP = {"per_class": 12, "batch_size": 96}
SEED, DRAWS, ASKED, STYLES = 20190609, 3, 300, 10  # test images of each digit; new images of each in the picture
JUDGED = 200  # new images of each digit
VALUES, DRAWN, WEIGHTS = "values.json", "drawn.safetensors", "weights.safetensors"
METHODS = {
    "likeliest": "EquiVAE, highest bound L(x, y)",
    "nearest": "EquiVAE, nearest r",
    "objective": "EquiVAE, L(x, y) and log q together",
    "prototypical": "prototypical network on the encoder of f",
    "row_fitted": "M2, rows of the new digits fitted in 40 steps",
    "pixels": "nearest pixels",
}


def train_pair(config: Config, seen: Tensor, folder: Path, label: str) -> comparators.Networks:
    """The networks of one pair, trained on ``seen`` (8, EACH, 1, 28, 28), from where ``folder`` stands."""
    device = prepare(config)
    networks, optimisers = train.new_networks(config, device)
    if (folder / WEIGHTS).exists():
        train.load(checkpoint.read(folder / WEIGHTS)[0], networks, [])
        networks.train(False)
        return networks
    journal = Journal(folder, device, lambda: train.tensors_of(networks, optimisers))
    if (tensors_ := journal.resume()) is not None:
        train.load(tensors_, networks, optimisers)
    with tqdm(total=config.epochs, initial=journal.position.epochs, desc=label, unit="epoch") as bar:
        for epoch in range(journal.position.epochs, config.epochs):
            networks.train()
            train.train_epoch(config, epoch, networks, optimisers, seen, lambda *_: None, journal)
            journal.ended(epoch + 1)
            bar.update()
    networks.train(False)
    checkpoint.write(folder / WEIGHTS, train.tensors_of(networks, []))
    journal.path.unlink(missing_ok=True)
    return networks


@torch.no_grad()
def scored(
    networks: comparators.Networks, weight: float, examples: Tensor, rows: Tensor, x: Tensor
) -> dict[str, Tensor]:
    """Scores (n, 10) of images x under every digit, by method; examples: (10, m, *shape); rows: (10, R) of M2."""
    r = comparators.prototypes(networks.model.f, examples)
    bound = episodes.bound_scores(networks.model, x, r)
    apart = torch.cdist(networks.model.f(x), r)
    centres = comparators.prototypes(networks.prototypical, examples)
    each = torch.cdist(x.flatten(1), examples.flatten(0, 1).flatten(1))
    return {
        "likeliest": bound,
        "nearest": -apart,
        "objective": bound - weight * apart.square(),
        "prototypical": -torch.cdist(networks.prototypical(x), centres),
        "row_fitted": episodes.bound_scores(networks.m2, x, rows),
        "pixels": -each.unflatten(1, examples.shape[:2]).amin(dim=2),
    }


def asked(
    config: Config, networks: comparators.Networks, order: list[int], train_part: list[Tensor], test_part: list[Tensor]
) -> dict[str, float]:
    """Accuracies in %: of the digits that were left out, the last two of ``order``, and of those trained on."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.cat([test_part[digit][:ASKED] for digit in order])
    truth = torch.arange(10).repeat_interleave(ASKED)
    new = truth >= 8
    found: dict[str, list[float]] = {}
    for number in range(DRAWS):
        for shots in SHOTS:
            chosen = [
                train_part[digit][torch.randperm(len(train_part[digit]), generator=generator)[:shots]]
                for digit in order
            ]
            examples = torch.stack(chosen)
            fitted = comparators.fitted_rows(networks.m2, examples[8:], torch.Generator().manual_seed(number))
            rows = torch.cat([networks.m2.state_dict()["table"], fitted])
            for name, scores in scored(networks, config.classifier_weight, examples, rows, x).items():
                right = scores.argmax(dim=1) == truth
                of_two = scores[new][:, 8:].argmax(dim=1) == truth[new] - 8
                for key, value in (("ten", right[new]), ("two", of_two), ("trained", right[~new])):
                    found.setdefault(f"{name}.{key}.{shots}", []).append(100 * float(value.float().mean()))
    return {key: sum(values) / len(values) for key, values in found.items()}


@torch.no_grad()
def drawn(
    config: Config, networks: comparators.Networks, order: list[int], train_part: list[Tensor], judged_by: judge.Judge
) -> tuple[dict[str, float], Tensor]:
    """Share of new images of the left-out digits that a judge of all ten digits takes for them, and rows of a picture.

    The rows (2, 5 + STYLES, 1, 28, 28): five examples of each, and new images of it.
    """
    examples = torch.stack([train_part[digit][:20] for digit in order])
    generator = torch.Generator().manual_seed(SEED)
    values = {}
    for shots in SHOTS:
        r = comparators.prototypes(networks.model.f, examples[:, :shots])
        for part, numbers in (("new", (8, 9)), ("trained", tuple(range(8)))):
            wanted = torch.tensor(numbers).repeat_interleave(JUDGED)
            v = torch.randn(len(wanted), config.equivariant_dim, generator=generator)
            said = judge.predict(judged_by, decoded(networks, r[wanted], v))
            values[f"generated.{part}.{shots}"] = 100 * float((said == torch.tensor(order)[wanted]).float().mean())
    r = comparators.prototypes(networks.model.f, examples[8:, :5])
    v = torch.randn(STYLES, config.equivariant_dim, generator=torch.Generator().manual_seed(0))
    images = networks.model.decoder.mean_image(r.unsqueeze(1), v.unsqueeze(0))
    return values, torch.cat([examples[8:, :5], images], dim=1)


def main() -> int:
    """Train what is missing, ask, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outdir", type=Path, required=True, help="folder of this experiment: new, or unfinished")
    parser.add_argument("--data", type=Path, help="folder with MNIST's files; else they are fetched")
    parser.add_argument("--pairs", default="0,1,2,3,4", help="which pairs of digits, 0 to 4 (default: all)")
    parser.add_argument("--smoke", action="store_true", help="two short epochs: whether it runs")
    options = parser.parse_args()
    asked_pairs = {pair.strip() for pair in options.pairs.split(",")}
    if not asked_pairs <= set("01234"):
        parser.error(f"--pairs={options.pairs}: expected numbers from 0 to 4 with commas between")
    pairs = sorted(map(int, asked_pairs))

    DATASETS[NAME] = DatasetFacts(8, 8 * EACH, 0, 0, EACH, (8 * EACH,), unseen=2, each=EACH, ways=(2,), shots=SHOTS)
    short = {"epochs": 2, "epoch_images": 1920} if options.smoke else {}
    mnist = Config.resolve(dataset="mnist", threads=1, device="cpu", smoke=options.smoke)
    folder = sources.folder(mnist, options.data, print)
    known = tensors.load_for_probes(mnist, folder)
    parts = [
        [some.images[some.labels == digit] for digit in range(10)] for some in (known, tensors.load_test(mnist, folder))
    ]
    judged_by = judge.trained(mnist, known).network
    del known

    measured, rows = [], []
    for pair in pairs:
        new = [2 * pair, 2 * pair + 1]
        order = [digit for digit in range(10) if digit not in new] + new
        config = Config.resolve(
            dataset=NAME,
            labels=8 * EACH,
            threads=1,
            device="cpu",
            seed=100 + pair,
            label_seed=100 + pair,
            **STEP,
            **short,
        )
        place = options.outdir / f"without-{new[0]}-{new[1]}"
        place.mkdir(parents=True, exist_ok=True)
        if not (place / VALUES).exists():
            seen = torch.stack([parts[0][digit][:EACH] for digit in order[:8]])
            networks = train_pair(config, seen, place, f"without {new[0]} and {new[1]}")
            del seen
            values = asked(config, networks, order, *parts)
            judged, images = drawn(config, networks, order, parts[0], judged_by)
            checkpoint.write(place / DRAWN, {"images": images})
            run_folder.write_json(place / VALUES, {"config": dataclasses.asdict(config), "values": values | judged})
        kept = json.loads((place / VALUES).read_text(encoding="utf-8"))
        if kept["config"] != dataclasses.asdict(config):
            parser.error(
                f"--outdir={options.outdir}: {place.name} was trained with other settings; name another folder"
            )
        measured.append(kept["values"])
        rows.append(checkpoint.read(place / DRAWN)[0]["images"])

    for title, key in (
        ("Of the two that were left out, among all ten digits", "ten"),
        ("Of the two that were left out, among the two", "two"),
        ("Of the eight that were trained on, among all ten", "trained"),
    ):
        print(f"\n| {title} | 1 example | 5 | 20 |\n|---|---|---|---|")
        for name, words in METHODS.items():
            print(
                f"| {words} | "
                + " | ".join(told([m[f"{name}.{key}.{shots}"] for m in measured]) for shots in SHOTS)
                + " |"
            )
    print("\n| New images that a judge takes for the digit | 1 example | 5 | 20 |\n|---|---|---|---|")
    for part, words in (("new", "left out"), ("trained", "trained on")):
        print(
            f"| {words} | "
            + " | ".join(told([m[f"generated.{part}.{shots}"] for m in measured]) for shots in SHOTS)
            + " |"
        )
    names = [f"example {i + 1}" if i == 0 else str(i + 1) for i in range(5)]
    names += [f"style {i + 1}" if i == 0 else str(i + 1) for i in range(STYLES)]
    title = "MNIST, each digit when it was left out: five examples of it, and ten new images"
    digits = [str(digit) for pair in pairs for digit in (2 * pair, 2 * pair + 1)]
    draw.written(
        {"left_out_digits": lambda: mosaics.grid(torch.cat(rows), title, digits, names)}, options.outdir, lambda _: None
    )
    print(f"\n{options.outdir / 'left_out_digits.png'}")
    return 0


def told(values: list[float]) -> str:
    """Mean over the pairs and its 95 % interval, in %."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    mean, _, half = mean_sd_ci95(values)
    return f"{mean:.1f} ± {half:.1f}"


if __name__ == "__main__":
    raise SystemExit(main())

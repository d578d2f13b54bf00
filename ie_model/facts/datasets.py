"""What a configuration has to know of a data set without opening it. Only the standard library is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetFacts:
    """What a configuration has to know of a data set without opening it (counts of images)."""

    classes: int
    train: int  # images to train on, after the validation images are taken out
    valid: int  # labelled images to choose settings by; never trained on
    test: int  # read once, at the end
    smallest_class: int  # training images of the rarest class: bounds a class-balanced draw of labels
    label_grid: tuple[int, ...]  # label counts of the semi-supervised table; the first is the default
    channels: int = 1  # 1: grey values, read as probabilities of ink; 3: colours of 8 bits
    side: int = 28  # pixels along each side of an image
    known_factors: bool = False  # drawn by a generator that knows what it varied
    # Where classes are not all trained on: how many are asked about that no model has seen, images of each one that is
    # trained on, and of how many classes and examples an episode is. `valid` and `test` count images of unseen classes
    # then, and the label count says how many classes are trained on.
    unseen: int = 0
    each: int = 0
    ways: tuple[int, ...] = ()
    shots: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: channels, height, width."""
        return self.channels, self.side, self.side

    @property
    def pixels(self) -> int:
        """Values in one image."""
        return self.channels * self.side * self.side

    @property
    def image_bytes(self) -> int:
        """Memory that the training and validation images take as floats."""
        return 4 * self.pixels * (self.train + self.valid)


DATASETS = {
    "mnist": DatasetFacts(10, 55_000, 5_000, 10_000, smallest_class=4_921, label_grid=(100, 600, 1000, 3000)),
    "fashion-mnist": DatasetFacts(10, 55_000, 5_000, 10_000, smallest_class=5_500, label_grid=(100, 600, 1000, 3000)),
    # Its classes are not equally frequent: the commonest has 13,861 training images, the rarest 4,659.
    "svhn": DatasetFacts(10, 68_257, 5_000, 26_032, smallest_class=4_159, label_grid=(1000, 3000), channels=3, side=32),
    "glyphs": DatasetFacts(
        10, 15_000, 5_000, 5_000, smallest_class=1_500, label_grid=(100, 600, 1000, 3000), known_factors=True
    ),
    "strokes": DatasetFacts(
        1000, 20_000, 4_000, 4_000, 20, (200, 1000, 4000, 20_000), 1, 28, True, 100, 20, (5, 20), (1, 5, 20)
    ),
    # Alphabets apart: 5 to train on, each character turned by 0, 90, 180 and 270 degrees a class of its own.
    "omniglot-small": DatasetFacts(540, 10_800, 800, 1_200, 20, (10_800,), 1, 28, False, 60, 20, (5, 20), (1, 5)),
}

"""Everything a run depends on, as one frozen, flat record, and the data sets it may name.

The defaults of every setting live here and nowhere else; the command line and the CM recipes are made from these
fields. Only the standard library is used, so that a wrong value is refused before anything heavy is imported.
Where the paper's text leaves a choice open (layer sizes, number of complementary samples, schedules) the choice is a
field here, and docs/departures.md says so.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ie_model import recipes, setting_checks
from ie_model.facts import own_data
from ie_model.facts.datasets import DATASETS, DatasetFacts
from ie_model.facts.new_classes import check_episodes

SUPERVISIONS = ("semi-supervised", "supervised")
__all__ = ["DATASETS", "Config", "DatasetFacts"]
METHODS = ("equivae", "m2", "q-only")
RECIPES = ("paper", "closed", "open")
COMPLEMENTARY = ("labelled", "all")
NORMS = ("batch", "layer")
DEVICES = ("cpu", "cuda", "rocm", "mps")
NOTHING_COUNTED = (
    f"{own_data.NAME}: nothing was counted in any data; expected --data with pictures of 2 classes or more"
)


def setting(
    default: Any, about: str, unit: str = "", low: float | None = None, high: float | None = None, counted: bool = False
) -> Any:
    """One field of :class:`Config`: its default, what it is, its unit, and the closed range it must lie in.

    ``counted``: a fact of the user's own data, which nobody types.
    """
    about_it = {"about": about, "unit": unit, "low": low, "high": high, "counted": counted}
    return field(default=default, metadata=about_it)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one training run. Construction validates; a wrong value raises ValueError in one line."""

    # What is asked for
    method: str = setting(
        "equivae",
        "equivae: the paper's; m2: Kingma et al. 2014, where r_y is learned for each class, with no f; q-only: q(y|x) "
        "and the recipe's terms on it, with no generative model",
    )
    recipe: str = setting(
        "closed",
        "paper: the paper's objective from first step to last; closed: this project's; open: with moved copies too",
    )
    dataset: str = setting("mnist", "data set: " + ", ".join([*DATASETS, own_data.NAME]))
    supervision: str = setting("semi-supervised", "supervised or semi-supervised")
    labels: int | str = setting(100, "labelled training images, class-balanced; or 'all'", "images")
    seed: int = setting(0, "seed of weights, batches and noise", low=0, high=2**31 - 1)
    label_seed: int = setting(0, "which draw of labelled images", low=0, high=2**31 - 1)
    smoke: bool = setting(False, "a run of under a minute that takes the same path; its numbers mean little")
    device: str = setting("cpu", "device to compute on: " + ", ".join(DEVICES))
    threads: int = setting(2, "CPU threads; part of the result, since sums round differently", "threads", 1, 256)
    bf16: bool = setting(False, "forward passes of training in bfloat16, for accelerators; a CPU is slow at it")
    compile: bool = setting(False, "compile the networks for training; takes a minute first, so for long runs")
    eager: bool = setting(
        False, "start every kernel of a step by itself, also where CUDA graphs give the same numbers faster"
    )
    epochs: int = setting(8, "passes over the training images", "epochs", 1, 10_000)

    binarised: bool = setting(
        False, "each pixel drawn once as ink or paper, with its grey value as the probability of ink"
    )
    epoch_images: int = setting(0, "images of one epoch; 0 for all of them", "images", 0, 10**9)

    # Sizes (the paper's text leaves them open to us)
    invariant_dim: int = setting(16, "dimensions of r_y", "dimensions", 1, 1024)
    equivariant_dim: int = setting(16, "dimensions of v", "dimensions", 1, 1024)
    channels: int = setting(
        16, "channels of the encoders' first convolution; the second has twice as many", "", 1, 1024
    )
    pose_gain: float = setting(
        1.0,
        "how far v moves what is decoded at the start, in units of pose.START; 0: v does not move it, at any time",
        "",
        0,
        10,
    )
    hidden: int = setting(256, "units of each hidden dense layer", "units", 1, 8192)
    modulated: bool = setting(True, "r_y scales and shifts the channels of the decoder's maps, at each size")
    decoder_norm: str = setting("batch", "normalisation in the decoder: " + ", ".join(NORMS))

    # Optimisation
    batch_size: int = setting(
        125, "unlabelled images of a step; all images of one where classes are kept from training", "images", 1, 65_536
    )
    per_class: int = setting(5, "labelled images of each class in a step; m = per_class - 1", "images", 2, 4096)
    labelled_decoded: int = setting(2, "of these, how many have their bound computed in the step", "images", 1, 4096)
    labelled_weight: float = setting(0.1, "weight of the bound of labelled images (semi-supervised)", "", 0, 1000)
    warm_up_steps: int = setting(200, "first steps, on the labelled images alone (semi-supervised)", "steps", 0, 10**6)
    learning_rate: float = setting(3e-3, "Adam's step size at its highest; falls to zero along a half cosine", "", 0, 1)
    adam_beta2: float = setting(0.99, "decay of Adam's second moment", "", 0, 0.999999)
    kl_start: float = setting(2.0, "weight of KL(q(v|r,x) || p(v)) at the start", "", 0, 1000)
    kl_until: float = setting(0.8, "share of the steps after which that weight has come down to 1", "", 0, 1)
    free_nats: float = setting(
        0.0,
        "KL of each dimension of v, in the mean of a step, that costs nothing at the start; falls to 0",
        "nats",
        0,
        100,
    )
    classifier_weight: float = setting(30.0, "weight of log q(y|x) on labelled images", "nats", 0, 1e6)
    balance_weight: float = setting(
        50.0, "weight of KL(mean q(y|x) of a batch || p(y)) at the start; falls to 0", "nats", 0, 1e6
    )
    smoothness_weight: float = setting(
        10.0, "weight of KL(q(y|x) || q(y|x + d)) at the start, d the worst small step; falls to 0", "nats", 0, 1e6
    )
    smoothness_until: float = setting(0.95, "share of the steps after which that weight has come down to 0", "", 0, 1)
    smoothness_radius: float = setting(3.0, "L2 length of d, in grey values from 0 to 1", "", 0, 1e6)
    smoothness_images: int = setting(32, "unlabelled images of a step that have that term", "images", 1, 65_536)
    complementary: str = setting(
        "all",
        "images of a step that r_y is the mean of f over: labelled, or all, where unlabelled ones count by q(y|x) if "
        "it is above a half",
    )
    complementary_groups: int = setting(
        8, "groups that these images are dealt into, each with an r_y of its own (all)", "groups", 1, 1000
    )
    moments_weight: float = setting(
        10.0, "weight of KL(q(v|y) || p(v)), to second order in the moments of each class's v", "", 0, 1000
    )
    likeliest: int = setting(3, "most classes of one image in the sum over y, by q(y|x)", "classes", 1, 10_000)
    pairs_per_image: float = setting(
        1.3, "terms of the sums over y in a batch, the likeliest by q(y|x), over its unlabelled images", "", 1, 10_000
    )
    sum_tolerance: float = setting(
        0.0,
        "what terms that are left out of the sums over y could add at most, in the mean of a step; 0: as many terms as "
        "the two settings above say",
        "nats",
        0,
        1,
    )
    control_steps: int = setting(1000, "steps of the control: q(y|x) trained on the labels alone", "steps", 0, 10**6)

    # Copies of x that q(y|x) is to agree on: posed ones by what the decoder has learned, moved ones by hand
    posed_weight: float = setting(
        30.0,
        "weight of KL(q(y|x) || q(y|x')), x' moved as the decoder moves what it draws for a v from the prior",
        "nats",
        0,
        1e6,
    )
    posed_images: int = setting(32, "unlabelled images of a step that have a posed copy", "images", 1, 65_536)
    moved_weight: float = setting(0.0, "weight of KL(q(y|x) || q(y|x')), x' a moved copy of x", "nats", 0, 1e6)
    moved_ramp: float = setting(0.4, "share of the steps over which the weight of copies rises from 0", "", 0, 1)
    moved_sharpness: float = setting(2.0, "power of q(y|x) that copies are to agree with", "", 0, 100)
    moved_amount: float = setting(
        1.0, "how far copies are moved; 1: to 20°, 3 px, 15 % in size, 0.3 in shear, and bent by 1 px", "", 0, 3
    )

    # Evaluation
    judge_epochs: int = setting(4, "epochs of the independent network that judges swaps", "epochs", 1, 1000)
    probe_epochs: int = setting(10, "epochs of the probes that look for the class in v", "epochs", 1, 1000)
    likelihood_images: int = setting(200, "test images of log_likelihood, evenly spaced", "images", 1, 10**9)
    likelihood_samples: int = setting(1000, "samples of v for each of them (K)", "samples", 1, 10**6)
    neighbours: int = setting(5, "k of the nearest-neighbour classifier on f(x)", "images", 1, 1000)

    # The user's own data (dataset own-data): how they are read, and what was counted in them
    own_channels: int = setting(1, "own data: 1 for grey pictures, 3 for colours", "channels", 1, 3)
    own_side: int = setting(28, "own data: what each side of a picture is brought to, 28 or 32", "pixels", 28, 32)
    own_classes: int = setting(0, "own data: classes", "classes", 0, own_data.MOST_CLASSES, counted=True)
    own_train: int = setting(0, "own data: images to train on", "images", 0, own_data.MOST_IMAGES, counted=True)
    own_valid: int = setting(0, "own data: to choose settings by", "images", 0, own_data.MOST_IMAGES, counted=True)
    own_test: int = setting(0, "own data: read once at the end", "images", 0, own_data.MOST_IMAGES, counted=True)
    own_smallest: int = setting(
        0, "own data: training images of the rarest class", "images", 0, own_data.MOST_IMAGES, counted=True
    )

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            setting_checks.kind(spec, getattr(self, spec.name))
            setting_checks.interval(spec, getattr(self, spec.name))
        setting_checks.choice("method", self.method, METHODS)
        setting_checks.choice("recipe", self.recipe, RECIPES)
        setting_checks.choice("complementary", self.complementary, COMPLEMENTARY)
        setting_checks.choice("decoder_norm", self.decoder_norm, NORMS)
        setting_checks.choice("dataset", self.dataset, (*DATASETS, own_data.NAME))
        own_data.check(self.dataset, vars(self), OWN)
        setting_checks.choice("supervision", self.supervision, SUPERVISIONS)
        setting_checks.choice("device", self.device, DEVICES)
        episodes = ("dataset", "supervision", "method", "labels", "batch_size", "per_class")
        check_episodes(self.facts, **{name: getattr(self, name) for name in episodes})
        if not self.facts.unseen:
            self._check_labels()
        self._check_recipe()
        if self.binarised and self.facts.channels != 1:
            raise ValueError(f"binarised: {self.dataset} has colours; expected a data set of grey images")

    @property
    def facts(self) -> DatasetFacts:
        """Counts of the data set this run is on."""
        return DATASETS[self.dataset] if self.dataset in DATASETS else own_data.facts(vars(self))

    @property
    def classes(self) -> int:
        """Classes that are trained on."""
        facts = self.facts
        return int(self.labels) // facts.each if facts.unseen and self.labels != "all" else facts.classes

    @property
    def episode_classes(self) -> int:
        """Classes of a step, where not all are trained on."""
        return min(self.batch_size // self.per_class, self.classes)

    @property
    def has_f(self) -> bool:
        """Whether r_y comes from an encoder f of images, as in the paper; else it is a parameter of each class."""
        return self.method == "equivae"

    @property
    def generative(self) -> bool:
        """Whether there is a model of the images, with v and a decoder; q-only has none."""
        return self.method != "q-only"

    @property
    def apart(self) -> bool:
        """Whether the labelled images are kept out of the unlabelled ones, so that none is part of its own r_y."""
        return self.complementary == "all" or self.recipe == "paper"

    @property
    def pools(self) -> bool:
        """Whether r_y is a mean over unlabelled images too."""
        return self.complementary == "all" and self.has_f and self.semi_supervised

    @property
    def semi_supervised(self) -> bool:
        """Whether the training images without a label are used too."""
        return self.supervision == "semi-supervised"

    @classmethod
    def resolve(cls, **given: Any) -> Config:
        """The configuration of a task: what is given, and this project's defaults for the rest.

        ``None`` stands for "not given". Raises ValueError for an unknown name or a bad value.
        """
        given = {name: value for name, value in given.items() if value is not None}
        known = [spec.name for spec in dataclasses.fields(cls)]
        for name in given:
            if name not in known:
                raise ValueError(f"unknown setting {name!r}; expected one of: {', '.join(known)}")
        dataset = given.get("dataset", "mnist")
        setting_checks.choice("dataset", dataset, (*DATASETS, own_data.NAME))
        if dataset == own_data.NAME and not given.get("own_classes"):
            raise ValueError(own_data.NOTHING_COUNTED)
        facts = DATASETS[dataset] if dataset in DATASETS else own_data.facts(OWN | given)
        defaults: dict[str, Any] = {}
        if facts.unseen:
            defaults |= {"supervision": "supervised"} | recipes.NEW_CLASSES
            defaults["labels"] = max(
                n for n in facts.label_grid if n <= recipes.NEW_CLASSES_LABELS or n == facts.label_grid[0]
            )
        elif given.get("supervision", "semi-supervised") == "supervised":
            defaults |= {"labels": "all", "per_class": 20, "epochs": 20} | recipes.UNTRIED
            if facts.known_factors:
                defaults |= recipes.SUPERVISED_ON_GLYPHS
            elif facts.channels == 1:
                defaults |= recipes.SUPERVISED_ON_IMAGES
        else:
            defaults |= {"labels": facts.label_grid[0]}
            if _is_many(given.get("labels")) and dataset in DATASETS:
                defaults |= {"epochs": recipes.MANY_LABELS_EPOCHS}
        if facts.channels == 3:  # more to say of each image; and classes that are not equally frequent
            defaults |= {"equivariant_dim": 32, "balance_weight": 0.0, "smoothness_weight": 0.0}
            defaults |= {"epochs": recipes.COLOUR_EPOCHS, "pose_gain": 0.0} | recipes.UNTRIED
            defaults |= {"classifier_weight": recipes.COLOUR_CLASSIFIER_WEIGHT, "likelihood_images": 50}
        if dataset == own_data.NAME:
            defaults |= recipes.for_own_data(facts, defaults.get("supervision", given.get("supervision")), given)
        if given.get("recipe") == "open":
            defaults |= {"moved_weight": recipes.MOVED_WEIGHT}
        if given.get("smoke"):
            defaults |= {"epochs": 2, "epoch_images": 4000, "kl_until": 0.5}
            defaults |= {
                "warm_up_steps": 50,
                "control_steps": 100,
                "judge_epochs": 1,
                "probe_epochs": 1,
                "likelihood_images": 20,
            }
            if facts.unseen:
                defaults |= recipes.NEW_CLASSES_SMOKE
        if given.get("recipe") == "paper":
            defaults |= recipes.PAPERS | recipes.PAPERS_CHOICES
            if facts.unseen:  # every image has its label: the bound, and nothing on top of it
                defaults |= {"classifier_weight": 0.0}
        return cls(**(defaults | given))

    def to_dict(self) -> dict[str, Any]:
        """The settings as a flat dict of JSON values, in the order of the fields; own_* of own data alone."""
        settings = dataclasses.asdict(self)
        return settings if self.dataset == own_data.NAME else {k: v for k, v in settings.items() if k not in OWN}

    @classmethod
    def read(cls, path: Path) -> Config:
        """The configuration stored in a run's ``config.json``. Raises ValueError if it is not one."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(stored, dict):
                raise TypeError("a list or a single value")
            return cls(**recipes.upgraded(stored))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"{path}: not a configuration of this version ({error}); expected config.json") from error

    def _check_recipe(self) -> None:
        """The paper's recipe is its objective and nothing else; what has no effect elsewhere is not asked for."""
        if self.recipe == "paper":
            for name, needed in recipes.PAPERS.items():
                if getattr(self, name) != needed:
                    raise ValueError(
                        f"{name}: got {getattr(self, name)}, but the paper's objective has {needed}; leave it out, or "
                        "give --recipe=closed"
                    )
            whole = min(self.likeliest, self.pairs_per_image) >= self.facts.classes
            if self.sum_tolerance > recipes.PAPERS_TOLERANCE or not (self.sum_tolerance or whole):
                raise ValueError(
                    f"sum_tolerance: got {self.sum_tolerance}, but the paper's sum over y is whole; expected above 0 "
                    f"and at most {recipes.PAPERS_TOLERANCE}, or 0 with likeliest and pairs_per_image "
                    f"{self.facts.classes}"
                )
        if not self.generative and not self.semi_supervised:
            raise ValueError(
                "method: q-only learns from labels and unlabelled images; expected supervision "
                "semi-supervised, or another method"
            )
        if self.posed_weight and self.generative and not self.pose_gain:
            raise ValueError(
                f"posed_weight: got {self.posed_weight}, but with pose_gain 0 nothing is moved; expected 0, or a "
                "pose_gain above 0"
            )

    def _check_labels(self) -> None:
        classes, most = self.facts.classes, self.facts.smallest_class
        if self.labels == "all":
            return
        if not isinstance(self.labels, int):
            raise ValueError(f"labels: got {self.labels!r}, expected a whole number or 'all'")
        balanced = f"a multiple of {classes} from {2 * classes} to {most * classes}, or 'all' ({self.facts.train})"
        if self.labels <= 0 or self.labels % classes:
            raise ValueError(f"labels: got {self.labels}, not a multiple of the {classes} classes; expected {balanced}")
        if self.labels < 2 * classes:
            raise ValueError(
                f"labels: got {self.labels}, one per class leaves no complementary sample for r_y; expected {balanced}"
            )
        if self.labels > most * classes:
            raise ValueError(
                f"labels: got {self.labels}, more than a class-balanced draw can give (the rarest class has {most} "
                f"training images); expected {balanced}"
            )


OWN: dict[str, Any] = {one.name: one.default for one in dataclasses.fields(Config) if one.name.startswith("own_")}


def _is_many(labels: object) -> bool:
    return labels == "all" or (isinstance(labels, int) and labels >= recipes.MANY_LABELS)

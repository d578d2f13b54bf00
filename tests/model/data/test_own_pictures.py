"""A user's own pictures: what is found, how they are shared out and decoded, and what is refused in one line."""

import struct
import zlib

import numpy as np
import pytest
import torch

from ie_model.config import Config
from ie_model.data import own_pictures, tensors
from ie_model.facts import own_data

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("safetensors")


def picture(path, value, size=(28, 28), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Three classes of 12, 9 and 7 grey pictures, whose grey value is their number."""
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "cache"))
    for c, (name, count) in enumerate((("ant", 12), ("bee", 9), ("cat", 7))):
        for i in range(count):
            picture(tmp_path / "pictures" / name / f"{i:02}.png", 40 * c + i)
    return tmp_path / "pictures"


def config(data, **more):
    return Config.resolve(dataset="own-data", **own_data.find(data).counts(), **more)


def refused(data, match):
    with pytest.raises(ValueError, match=match) as error:
        own_data.find(data)
    assert "\n" not in str(error.value)


def prepared(data, **more):
    one = config(data, **more)
    return one, own_pictures.prepare(data, one.facts, lambda line: None)


def test_a_folder_for_each_class_is_shared_out(data):
    found = own_data.find(data)
    assert (found.names, found.train, found.tested) == (("ant", "bee", "cat"), (12, 9, 7), (2, 1, 1))
    assert found.counts() == {"own_classes": 3, "own_train": 21, "own_valid": 3, "own_test": 4, "own_smallest": 5}
    one, folder = prepared(data)
    training, test = tensors.load_training(one, folder), tensors.load_test(one, folder)
    assert (training.valid.labels.tolist(), test.labels.tolist()) == ([0, 1, 2], [0, 0, 1, 2])  # of every class
    assert tensors.class_names(one, folder) == ["ant", "bee", "cat"]
    known = tensors.load_for_probes(one, folder)
    seen = torch.cat([part.images[:, 0, 5, 5] * 255 for part in (known, training.valid, test)]).round().int().tolist()
    assert sorted(seen) == sorted([*range(12), *range(40, 49), *range(80, 87)])  # each picture in one part alone
    assert [value // 40 for value in (test.images[:, 0, 5, 5] * 255).round().int().tolist()] == test.labels.tolist()


def test_labels_and_channels_follow_what_there_is(data):
    assert config(data).labels == 15
    assert config(data, supervision="supervised").labels == "all"
    assert config(data, own_channels=3, own_side=32).facts.shape == (3, 32, 32)
    assert config(data).to_dict()["own_classes"] == 3
    assert "own_classes" not in Config.resolve().to_dict()
    assert Config(**config(data).to_dict()) == config(data)


def test_what_was_prepared_is_used_again_until_it_is_damaged(data):
    one, folder = prepared(data)
    before = (folder / own_pictures.PICTURES).read_bytes()
    told = []
    assert own_pictures.prepare(data, one.facts, told.append) == folder
    assert own_pictures.prepare(folder, one.facts, told.append) == folder  # the prepared folder itself
    (folder / own_pictures.PICTURES).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(ValueError, match="damaged"):
        own_pictures.prepare(folder, one.facts, told.append)
    assert own_pictures.prepare(data, one.facts, told.append) == folder
    assert (folder / own_pictures.PICTURES).read_bytes() == before


def test_other_pictures_are_other_data(data):
    one, folder = prepared(data)
    given = own_pictures.files(folder)[0]["sha256"]
    picture(data / "ant" / "00.png", 200)
    assert own_pictures.files(own_pictures.prepare(data, one.facts, print))[0]["sha256"] != given
    picture(data / "ant" / "99.png", 200)
    with pytest.raises(ValueError, match=r"other pictures than the run was asked for with: train 22 \(then: 21\)"):
        own_pictures.prepare(data, one.facts, print)


def test_a_test_part_that_somebody_chose_is_kept(data, tmp_path):
    (tmp_path / "both").mkdir()
    data.rename(tmp_path / "both" / "train")
    for c, name in enumerate(("ant", "bee", "cat")):
        picture(tmp_path / "both" / "val" / name / "x.png", 200 + c)
    one, folder = prepared(tmp_path / "both")
    test = tensors.load_test(one, folder)
    assert (test.images[:, 0, 0, 0] * 255).round().int().tolist() == [200, 201, 202]
    assert one.facts.train + one.facts.valid == 28


@pytest.mark.parametrize("form", ["bytes", "fractions", "channels first"])
def test_arrays_are_read_by_their_labels(tmp_path, monkeypatch, form):
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "cache"))
    y = np.tile([7, -1], 10).astype(">i4")
    x = np.repeat(np.where(y == 7, 255, 51).astype(np.uint8), 64).reshape(20, 8, 8)
    x = {"bytes": x, "fractions": x / 255, "channels first": np.stack([x] * 3, axis=1)}[form]
    np.savez(tmp_path / "own.npz", x=x, y=y)
    one, folder = prepared(tmp_path / "own.npz")
    assert tensors.class_names(one, folder) == ["-1", "7"]
    known = tensors.load_for_probes(one, folder)
    assert (known.images[:, 0, 14, 14] * 255).round().int().tolist() == [51 if c == 0 else 255 for c in known.labels]


def test_sizes_modes_and_transparency(data):
    wide = Image.new("L", (60, 20), 10)
    wide.paste(250, (20, 0, 60, 20))
    wide.save(data / "ant" / "00.png")
    Image.new("RGBA", (28, 28), (0, 0, 0, 0)).save(data / "ant" / "01.png")
    Image.fromarray(np.full((28, 28), 257 * 99, np.uint16)).save(data / "ant" / "02.png")
    Image.new("RGB", (14, 14), (255, 0, 0)).save(data / "ant" / "03.jpg")
    _, folder = prepared(data)
    shown = [image[0] for part in ("train", "test") for image in own_pictures.read(folder, part, config(data).facts)[0]]
    padded = [image for image in shown if image[0, 0] == 10 and image[14, 20] > 240]  # whole, with its corner's colour
    assert len(padded) == 1
    assert padded[0][27, 27] == 10
    assert sum(bool((image == 255).all()) for image in shown) == 1  # transparent: white
    assert sum(bool((image == 99).all()) for image in shown) == 1  # 16 bits


def bomb():
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(20), bomb()],
    ids=["empty", "text", "cut", "gif", "bomb"],
)
def test_damaged_pictures_are_named_and_counted(data, content):
    for name in ("04.png", "05.jpg"):
        (data / "bee" / name).write_bytes(content)
    one = config(data)
    with pytest.raises(
        ValueError, match=r"bee/04\.png .* is damaged, no PNG or JPEG, or too large, and 1 more"
    ) as error:
        own_pictures.prepare(data, one.facts, print)
    assert "\n" not in str(error.value)


def test_what_is_no_picture_is_left_out_and_told(data):
    (data / "ant" / "notes.txt").write_text("mine")
    (data / "Thumbs.db").write_bytes(b"x")
    (data / "empty").mkdir()
    told = []
    own_pictures.prepare(data, config(data).facts, told.append)
    assert told == ["1 files are no pictures and left out, such as ant/notes.txt"]


def test_what_no_run_can_be_made_of(data, tmp_path):
    refused(None, "own-data needs --data")
    refused(tmp_path / "nothing", "no such folder or file")
    refused(data / "ant", "lies in no class")
    (tmp_path / "none" / "a").mkdir(parents=True)
    refused(tmp_path / "none", "no folder here holds a picture")
    picture(tmp_path / "single" / "a" / "x.png", 0)
    refused(tmp_path / "single", "1 class, expected 2 to 1,000")
    picture(tmp_path / "single" / "b" / "x.png", 0)
    refused(tmp_path / "single", "class 'a' has 1 image, and 1 classes more; expected at least 4 of each")
    (tmp_path / "text.npz").write_text("no archive")
    refused(tmp_path / "text.npz", "cannot be read as .npz")
    np.savez(tmp_path / "x.npz", images=np.zeros(3))
    refused(tmp_path / "x.npz", r"no array x_train \(there is images\)")
    np.savez(tmp_path / "y.npz", x=np.zeros((4, 8, 8)), y=np.zeros(3, int))
    refused(tmp_path / "y.npz", "expected 3 pictures")
    np.savez(tmp_path / "z.npz", x=np.zeros((4, 8, 8)), y=np.array([{}] * 4), allow_pickle=True)
    refused(tmp_path / "z.npz", "expected one whole number")


@pytest.mark.parametrize(("kind", "value"), [("f", 1.5), ("f", np.nan), ("i", 256), ("i", -1), ("U1", "a")])
def test_arrays_of_other_numbers_are_refused(tmp_path, monkeypatch, kind, value):
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "cache"))
    x = np.zeros((8, 8, 8), kind)
    x[3, 3, 3] = value
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(8) % 2)
    with pytest.raises(ValueError, match=r"0 to 1|bytes from 0 to 255"):
        prepared(tmp_path / "own.npz")


def test_settings_without_counts_are_refused():
    with pytest.raises(ValueError, match="nothing was counted"):
        Config.resolve(dataset="own-data")
    with pytest.raises(ValueError, match="own_side: is about own data"):
        Config.resolve(own_side=32)

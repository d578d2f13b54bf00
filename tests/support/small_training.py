"""A training on 200 glyphs, which takes a second: the real loop, with little in it."""

import torch

from ie_model import training
from ie_model.config import Config
from ie_model.data import glyphs, tensors
from ie_model.device.detect import Device
from ie_model.run import checkpoint, run_folder

CONFIG = Config.resolve(
    dataset="glyphs", labels=40, channels=4, hidden=32, invariant_dim=4, equivariant_dim=4, epochs=3, batch_size=50,
    per_class=4, control_steps=5, warm_up_steps=3, threads=1,
)  # fmt: skip
CPU = Device("cpu", "a processor", None, None, 1, "asked for")


def small_training(config: Config, folder: object) -> tensors.Training:
    """200 glyphs instead of 15,000, split as the real ones are."""
    images, labels, _ = glyphs.generate(250, 0)
    images = images.unsqueeze(1).float() / 255
    train_part, valid = tensors.split(labels, 50)
    kept = train_part[tensors.draw_labelled(labels[train_part], config.labels, config.label_seed)]
    labelled = tensors.Labelled(images[kept], labels[kept])
    hidden = tensors.Labelled(images[valid], labels[valid])
    return tensors.Training(labelled, images[train_part], hidden, tensors.split_sha256(valid))


def silent(*_: object) -> None:
    """No progress."""


def run(config: Config, folder, progress=silent) -> dict:
    with run_folder.opened(folder, config):
        return training.train(config, CPU, None, folder, progress)


def weights(folder) -> dict[str, torch.Tensor]:
    return checkpoint.read(folder / run_folder.MODEL)[0]

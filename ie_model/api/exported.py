"""Encoder, posterior and decoder as programs that need no code of this project: torch.export's .pt2 files and ONNX.

Each takes a batch of any size and is read back and compared with torch on images of the run's own shape. They are the
networks in evaluation mode, on the CPU, in fp32.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ie_model.api.runs import Run
from ie_model.run import run_folder

FORMATS = {"torch": ".pt2", "onnx": ".onnx"}
MOST_DIFFERENT = 1e-3  # in probabilities, densities' parameters and grey values; fp32 sums in another order
NEEDED = ("onnx", "onnxscript", "onnxruntime")
TRACED, CHECKED = 3, 5  # images of the example that is traced, and of the one that is compared


class File(NamedTuple):
    """A file that was written, and how far what it computes is from torch at most."""

    path: Path
    difference: float


class Encoder(nn.Module):
    """Images (B, *shape) to what is known of each alone: f(x) (B, R) where there is an f, and q(y|x) (B, C) where."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.model = run.model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The two, in this order."""
        found = () if self.model.invariant is None else (self.model.f(images),)
        if self.model.classifier is None:
            return found
        return (*found, self.model.classify(self.model.features(images)).exp())


class Posterior(nn.Module):
    """Images (B, *shape) and r of their classes (B, R) to mean and log-variance of q(v | r, x), (B, V) each."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.model = run.model

    def forward(self, images: Tensor, r: Tensor) -> tuple[Tensor, ...]:
        """Both."""
        mean, log_variance = self.model.posterior(self.model.features(images), r.unsqueeze(1))
        return mean.squeeze(1), log_variance.squeeze(1)


class Decoder(nn.Module):
    """r (B, R) and v (B, V) to the mean of p(x | r, v), (B, *shape), in [0, 1]."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.model = run.model

    def forward(self, r: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        """The images."""
        return (self.model.decoder.mean_image(r, v),)


PROGRAMS = {"encoder": Encoder, "posterior": Posterior, "decoder": Decoder}


def export(run: Run, outdir: Path | str, formats: Sequence[str] = ("torch",)) -> list[File]:
    """Write the three programs of a run in each format; returns the files with what they differ by.

    Raises ValueError for an unknown format, a missing library or a folder that cannot be written, and RuntimeError
    where a file computes something else than torch does.
    """
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f"format: got {name!r}, expected one of: {', '.join(FORMATS)}")
    if "onnx" in formats and (missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]):
        raise ValueError(
            f"format: onnx needs {', '.join(missing)}, not installed here; pip install '.[onnx]' in a checkout"
        )
    folder = Path(outdir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be made ({error.strerror}); choose a folder you may write to") from None
    run_folder.refuse_unwritable(folder, "what is exported")
    files = []
    for name, kind in PROGRAMS.items():
        program = kind(run).eval()
        if name == "encoder" and not program(_example(run, name, TRACED)[0]):
            continue  # a supervised M2 has neither f nor q(y|x)
        files += [_written(run, name, program, folder / f"{name}{FORMATS[one]}") for one in formats]
    return files


def _example(run: Run, name: str, count: int) -> tuple[Tensor, ...]:
    """What a program is called with: images of noise, r of the first classes, v from the prior."""
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(count, *run.config.facts.shape, generator=draw)
    r = run.r[torch.arange(count) % len(run.r)].clone()
    v = torch.randn(count, run.config.equivariant_dim, generator=draw)
    return {"encoder": (images,), "posterior": (images, r), "decoder": (r, v)}[name]


@torch.no_grad()
def _written(run: Run, name: str, program: nn.Module, path: Path) -> File:
    """One file, by rename, that is known to compute what torch does."""
    example, other = _example(run, name, TRACED), _example(run, name, CHECKED)
    batch = torch.export.Dim("batch", min=1)
    traced = torch.export.export(program, example, dynamic_shapes=tuple({0: batch} for _ in example))
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if path.suffix == ".pt2":
            with warnings.catch_warnings():  # of weights whose channels come last in memory: they are compared below
                warnings.filterwarnings("ignore", message="No complete tensor found")
                torch.export.save(traced, part)
            got = torch.export.load(part).module()(*other)
        else:
            torch.onnx.export(traced, f=str(part), external_data=False, verbose=False)
            got = _run_onnx(part, other)
        expected = program(*other)
        difference = max(float((one - two).abs().max()) for one, two in zip(got, expected, strict=True))
        if not difference <= MOST_DIFFERENT:
            raise RuntimeError(f"{path}: differs from torch by {difference:.2g}, at most {MOST_DIFFERENT:g} is right")
        run_folder.replace(path, part.read_bytes())
    finally:
        part.unlink(missing_ok=True)
    return File(path, difference)


def _run_onnx(path: Path, given: tuple[Tensor, ...]) -> list[Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    values = {name: one.numpy() for name, one in zip(names, given, strict=True)}
    return [torch.from_numpy(one) for one in session.run(None, values)]

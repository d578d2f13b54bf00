"""A trained run as a folder for a model hub: weights, settings, and a README.md with the hub's YAML header.

Nothing is uploaded. What the card says comes from the run's own files; a metric that was not computed is not there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ie_model import recipes
from ie_model.api.runs import Run
from ie_model.run import run_folder

CARD = "README.md"
WORDS = {  # of the metrics that a card shows, in this order: name, unit
    "classification.error": "test error of q(y given x), %",
    "control.error": "test error of the same classifier, trained on the labels alone, %",
    "invariant.knn_error": "nearest neighbours on f(x), error, %",
    "equivariant.leakage": "class read from v by a probe, accuracy, %",
    "swap.accuracy": "swapped styles judged right, %",
    "equivariance.r2": "known transformations regressed from v, R²",
    "elbo": "bound, nats",
}
PAPER = "https://arxiv.org/abs/1902.03251"


def write(run: Run, folder: Path) -> list[Path]:
    """Weights, config.json and the card of a run, each by rename, the card last; returns their paths.

    Raises ValueError where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be made ({error.strerror}); choose a folder you may write to") from None
    run_folder.refuse_unwritable(folder, "the card")
    weights = run.folder / run_folder.MODEL
    part = folder / f".{run_folder.MODEL}.part"
    shutil.copyfile(weights, part)
    part.replace(folder / run_folder.MODEL)
    run_folder.write_json(folder / run_folder.CONFIG, run.config.to_dict())
    document = run_folder.read_run(run.folder)
    run_folder.write_json(
        folder / run_folder.RUN, {key: document[key] for key in ("status", "metrics", "model_sha256")}
    )
    run_folder.replace(folder / CARD, card(run, document).encode())
    return [folder / name for name in (run_folder.MODEL, run_folder.CONFIG, run_folder.RUN, CARD)]


def card(run: Run, document: dict[str, Any]) -> str:
    """The text of the card."""
    config = run.config
    what = f"{recipes.name(config.method, config.recipe)} on {config.dataset}"
    measured = [(name, words, run.metrics[name]) for name, words in WORDS.items() if name in run.metrics]
    labels = "all labels" if config.labels == "all" else f"{config.labels:,} labels"
    table = "\n".join(f"| `{name}` | {words} | {value:.2f} |" for name, words, value in measured)
    shown = f"| Metric | What | Value |\n|---|---|---|\n{table}" if table else "Not evaluated yet: `ie-model evaluate`."
    return f"""---
{_header(config.dataset, what, measured)}---

# {what}, {labels}

A reproduction of *Invariant-equivariant representation learning for multi-class data* (Feige, ICML 2019,
[arXiv 1902.03251]({PAPER})): r, the invariant representation, carries the class of an image, and v, the equivariant
one, its style, so that a style can be drawn under any class.

## Use

```python
from ie_model import load

run = load("this folder")
run.swap(images, classes, under=3)   # floats in [0, 1] of shape (B, {", ".join(map(str, config.facts.shape))})
```

## Training

{config.supervision}, {labels}, {config.epochs} epochs, label draw {config.label_seed}, seed {config.seed}; every
setting is in `config.json`. Images to train on: {config.facts.train:,}; to choose settings by: {config.facts.valid:,}.

## Evaluation

On {config.facts.test:,} test images, read once. This is one run: by itself it supports nothing.

{shown}

## Limits

It knows the classes of {config.dataset} and nothing else, and takes any image for one of them. v still carries some of
the class (`equivariant.leakage`). Weights: SHA-256 `{document["model_sha256"]}`.
"""


def _header(dataset: str, what: str, measured: list[tuple[str, str, float]]) -> str:
    """The YAML header, written as JSON values, which are YAML."""
    quoted = json.dumps
    lines = [
        "library_name: ie-repr",
        "tags: [representation-learning, semi-supervised-learning, variational-autoencoder, pytorch]",
        f"datasets: [{quoted(dataset)}]",
    ]
    if measured:
        lines += [
            "model-index:",
            f"- name: {quoted(what)}",
            "  results:",
            "  - task: {type: image-classification}",
            f"    dataset: {{type: {quoted(dataset)}, name: {quoted(dataset)}, split: test}}",
            "    metrics:",
            *(
                f"    - {{type: {quoted(name)}, value: {value!r}, name: {quoted(words)}}}"
                for name, words, value in measured
            ),
        ]
    return "\n".join(lines) + "\n"

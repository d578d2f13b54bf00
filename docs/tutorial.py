# %% [markdown]
# # Invariant and equivariant: a tour
#
# Train a model on glyphs (drawn here, no download), swap styles, draw a class that no training has seen from five
# images of it, and load the weights of a published result. It runs in well under a minute on two cores. The model is
# tiny and hardly trained, so that you need not wait: the last cell says what to change.
#
# A kernel needs the pins: `pip install -r script/get-ie-deps/requirements.txt` in its environment, and `pip install .`
# in a checkout. Another kernel says so in one line here.

# %%
import importlib.util
import json
import tempfile
from pathlib import Path

if importlib.util.find_spec("ie_model") is None:
    raise SystemExit(
        "no ie_model in this kernel: choose another one, or `pip install .` of a checkout in its environment"
    )

from ie_model import load, load_published, train  # where the pins are missing, this line says so

import torch  # isort: skip

place = Path(tempfile.mkdtemp(prefix="ie-repr-tutorial-"))

# %% [markdown]
# ## Train
#
# Settings are fields of `ie_model.Config`; `smoke` takes the whole path with a few images. Stopped, the same call goes
# on. `valid_error` is on validation images: test images are read by an evaluation alone, once.

# %%
settings = {"smoke": True, "epoch_images": 1000, "channels": 8, "hidden": 64, "control_steps": 20, "threads": 1}
run = train(place / "run", dataset="glyphs", labels=100, device="cpu", **settings)
history = [json.loads(line) for line in (place / "run" / "metrics.jsonl").read_text().splitlines()]
[round(epoch["valid_error"], 1) for epoch in history]

# %% [markdown]
# `run.r` holds r of each class, (10, 16): what all images of a class share. For a single image there is q(y | x), and,
# given its class, q(v | r, x): its style.

# %%
from ie_model.data import glyphs

images, classes, factors = glyphs.generate(10, seed=7)
images = images.unsqueeze(1).float() / 255  # (10, 1, 28, 28), one image of each class
run.probabilities(images).argmax(dim=1), classes

# %% [markdown]
# ## Swap styles
#
# The style of each image, drawn under class 3; and one style under every class.

# %%
swapped = run.swap(images, classes, under=3)
v = run.style(images, run.r[classes])  # (10, 16)
table = run.draw(run.r.unsqueeze(0), v.unsqueeze(1))  # (10 styles, 10 classes, 1, 28, 28)
swapped.shape, table.shape

# %%
from ie_model.data.tensors import class_names
from ie_model.figures.mosaics import grid

figure = grid(torch.cat([images.unsqueeze(1), table], dim=1), "v of the image on the left under every class", None,
              ["image", *class_names(run.config, None)])  # fmt: skip
figure.savefig(place / "styles.png")

# %% [markdown]
# ## A class that no training has seen
#
# r of a class is a mean of f over images of it: five of them are enough to draw it in any style. This model was trained
# on ten shapes only, so expect little of it. The recipe `reproduce ie-repr new-classes` trains on hundreds of classes
# and measures how well that works.

# %%
from ie_model.data import strokes

five = strokes.instances(1234, 5)[0].unsqueeze(1).float() / 255  # (5, 1, 28, 28)
r_new = run.represent(five)  # (16,)
drawn = run.draw(r_new, v)  # (10, 1, 28, 28): the new class in the styles of ten glyphs
drawn.shape

# %% [markdown]
# ## Load what is on disk, and what somebody published
#
# A run is a folder. A site gives a published result's `result.json` and weights: they are taken only if their SHA-256
# is the one that the result names. Here is one with the parts that a model needs.

# %%
again = load(place / "run")
assert torch.equal(again.draw(again.r, v), run.draw(run.r, v))

document = json.loads((place / "run" / "run.json").read_text())
stated = {key: document[key] for key in ("seed", "label_seed", "model_sha256")}
(place / "result.json").write_text(json.dumps({"config": document["config"], "runs": [stated], "metrics": {}}))
published = load_published(place / "result.json", place / "run" / "model.safetensors")
assert torch.equal(published.r, run.r)

# %% [markdown]
# ## From here
#
# - `train("better", dataset="glyphs", labels=100)` leaves `settings` out: the real recipe, some minutes.
# - `train(..., evaluate=True)` computes every metric; `run.metrics` has them by name.
# - `ie_model.export(run, "exported", ["torch", "onnx"])` writes encoder, posterior and decoder for other programs.

"""Figures: what they show is checked on numbers, their files are whole and repeat; they are looked at by people."""

import json
import re
from xml.etree import ElementTree

import pytest
import torch
import yaml
from ie_recipes.comparison import label_curve
from paths import ROOT

from ie_model import training
from ie_model.config import Config
from ie_model.data import tensors
from ie_model.figures import draw as draw_figures
from ie_model.figures import mosaics, plots

CONFIG = Config.resolve(dataset="glyphs", channels=2, hidden=8, invariant_dim=3, equivariant_dim=4)
NAMES = tensors.class_names(CONFIG, None)
DRAWN = ("reconstructions", "styles", "transfer", "traversal")


@pytest.fixture(scope="module")
def parts():
    """An untrained model, r of every class, and a few labelled images of each."""
    model, _ = training.new_model(CONFIG, torch.device("cpu"))
    draw = torch.Generator().manual_seed(0)
    images = tensors.Labelled(torch.rand(40, 1, 28, 28, generator=draw), torch.arange(10).repeat(4))
    return model.eval(), torch.randn(10, 3, generator=draw), images


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_the_same_file_each_time_and_loads_nothing(tmp_path, parts, name):
    files = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        paths = [tmp_path / str(number) / f"{name}.{kind}" for kind in draw_figures.FORMATS]
        assert draw_figures.write(getattr(mosaics, name)(CONFIG, *parts, NAMES), *paths) == paths
        files.append([path.read_bytes() for path in paths])
    assert files[0] == files[1]
    png, svg = files[0]
    assert png.startswith(b"\x89PNG")
    root = ElementTree.fromstring(svg)  # noqa: S314 (our own file)
    assert root.tag.endswith("svg")
    links = re.findall(rb'href="(?!#|data:image/png)([^"]*)"', svg)
    assert links == []
    assert b"<script" not in svg


def test_a_mosaic_holds_each_image_in_its_place(parts):
    model, r, images = parts
    figure = mosaics.reconstructions(CONFIG, model, r, images, NAMES, each=2)
    canvas = torch.from_numpy(figure.axes[0].get_images()[0].get_array().data[..., 0].copy())
    gap, side = mosaics.GAP, 28
    for row, column, image in ((0, 0, 0), (0, 7, 7), (2, 3, 13)):  # rows 0 and 2 are the first and second of each class
        top, left = gap + row * (side + gap), gap + column * (side + gap)
        shown = canvas[top : top + side, left : left + side]
        torch.testing.assert_close(shown, 1 - images.images[image, 0], atol=1e-6, rtol=0)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == NAMES


def test_a_traversal_varies_the_dimensions_that_say_most(parts):
    model, r, images = parts

    class Posterior(torch.nn.Module):
        def forward(self, features, r):
            mean = torch.tensor([0.1, 2.0, 0.0, 3.0]).expand(len(features), 1, 4)
            return mean, torch.zeros_like(mean)

    posterior, model.posterior = model.posterior, Posterior()
    try:
        figure = mosaics.traversal(CONFIG, model, r, images, NAMES)
    finally:
        model.posterior = posterior
    assert "dimension 3 (prior's sd; says 4.5 nats)" in figure.axes[0].get_xlabel()
    assert "dimension 1 (prior's sd; says 2.0 nats)" in figure.axes[0].get_ylabel()


def test_principal_components_of_a_stretched_cloud():
    draw = torch.Generator().manual_seed(0)
    cloud = torch.randn(4000, 3, generator=draw) * torch.tensor([1.0, 5.0, 0.1]) + 7
    place, share = plots.principal_components(cloud)
    assert share[0] == pytest.approx(25 / 26.01, abs=0.01)
    assert share[1] == pytest.approx(1 / 26.01, abs=0.01)
    assert torch.corrcoef(torch.stack([place[:, 0], cloud[:, 1].double()]))[0, 1] > 0.999
    torch.testing.assert_close(place, plots.principal_components(cloud)[0])


def test_a_projection_tells_the_classes_by_colour_and_shape(parts):
    figure = plots.projections(CONFIG, *parts, NAMES)
    looks = [(str(one.get_facecolor()), str(one.get_paths()[0].vertices)) for one in figure.axes[0].collections]
    assert len(set(looks)) == 10
    for axis in figure.axes:
        assert "% of the variance" in axis.get_xlabel()
        assert sum(len(one.get_offsets()) for one in axis.collections) == 40


def test_learning_curves_have_their_units():
    rows = [{"epoch": n, "valid_error": 10 / n, "bound": -100.0 + n, "kl": 2.0 * n} for n in (1, 2, 3)]
    figure = plots.learning_curves(CONFIG, rows)
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "validation error (%)", "bound (nats)", "KL(q(v|r,x) || p(v)) (nats)"
    ]  # fmt: skip
    low, high = figure.axes[0].get_ylim()
    assert low == 0
    assert high > 10


# Error by number of labels


def result(labels, error, control=None, dataset="mnist", ci95=0.5):
    metrics = {"classification.error": {"value": error, "ci95": ci95}}
    if control is not None:
        metrics["control.error"] = {"value": control, "ci95": None}
    return {"task": {"dataset": dataset, "labels": labels}, "metrics": metrics}


PUBLISHED = [
    {
        "dataset": "mnist",
        "method": "M2",
        "source": "a paper",
        "errors": [{"labels": 100, "value": 12.0, "spread": 1.7}],
    },
    {
        "dataset": "svhn",
        "method": "M2",
        "source": "a paper",
        "errors": [{"labels": 1000, "value": 36.0, "spread": 0.1}],
    },
]


def test_a_result_names_its_method():
    assert label_curve.method({"config": {"method": "m2"}}) == "M2"
    assert label_curve.method({"config": {"method": "equivae"}}) == "EquiVAE"
    assert label_curve.method({"config": {}}) == "EquiVAE"
    assert label_curve.method({"config": {"method": "equivae", "open": True}}) == "EquiVAE, open recipe"
    assert label_curve.method({"config": {"method": "mine"}}) == "mine"


def test_series_by_hand():
    results = [("EquiVAE", result(100, 3.0, 21.0)), ("EquiVAE", result(600, 2.0, 8.0)), ("M2", result(100, 6.0, 21.0))]
    assert label_curve.series(results, PUBLISHED) == {
        "title": "mnist: test error, mean and 95 % interval over label draws; published numbers as reported",
        "measured": [
            {"name": "EquiVAE", "points": [[100, 3.0, 0.5], [600, 2.0, 0.5]]},
            {"name": label_curve.ALONE, "points": [[100, 21.0, None], [600, 8.0, None]]},
            {"name": "M2", "points": [[100, 6.0, 0.5]]},
        ],
        "published": [{"name": "M2 (a paper)", "points": [[100, 12.0, 1.7]]}],
    }


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([("A", result(100, 3.0)), ("A", result(100, 2.0))], "two results with 100 labels"),
        ([("A", result(100, 3.0)), ("B", result(100, 2.0, dataset="svhn"))], "one data set, got mnist, svhn"),
        ([("A", result("all", 3.0))], "semi-supervised"),
        ([], "got none"),
    ],
)
def test_results_that_make_no_curve_are_one_line(results, says):
    with pytest.raises(ValueError, match=says) as refused:
        label_curve.series(results, [])
    assert "\n" not in str(refused.value)


def test_what_the_recipe_writes_is_what_the_figure_reads(tmp_path):
    file = tmp_path / "series.json"
    file.write_text(json.dumps(label_curve.series([("EquiVAE", result(100, 3.0, 21.0))], PUBLISHED)))
    measured, published, title = plots.read_curve(file)
    figure = plots.label_curve(measured, published, title)
    [axis] = figure.axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("labelled training images", "test error (%)")
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["EquiVAE", label_curve.ALONE, "M2 (a paper)"]
    low, high = axis.containers[0][2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((2.5, 3.5))


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "{}", '{"title": 1, "measured": [], "published": []}',
        '{"title": "", "measured": [{"name": "a", "points": [[100, NaN, null]]}], "published": []}',
        '{"title": "", "measured": [{"name": "a", "points": [[100, 0, null]]}], "published": []}',
        '{"title": "", "measured": [{"name": "a", "points": [["100", 1, null]]}], "published": []}',
        '{"title": "", "measured": [{"name": "a", "points": [[100, 1]]}], "published": []}',
        '{"title": "", "measured": [{"name": "a", "points": 3}], "published": []}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_curve_is_one_line(tmp_path, content):
    file = tmp_path / "series.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="cannot be drawn") as refused:
        plots.read_curve(file)
    assert "\n" not in str(refused.value)


def test_published_numbers_have_a_source_and_are_of_the_grid():
    claims = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/claims.yaml").read_text(encoding="utf-8"))
    rules = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/rules.yaml").read_text(encoding="utf-8"))
    grid = {task["dataset"]: task["labels"] for task in rules["tasks"] if task["supervision"] == "semi-supervised"}
    for row in claims["published"]:
        assert set(row) == {"dataset", "method", "source", "errors"}
        # the paper, or the page where the number was seen
        assert re.search(r"arXiv:\d{4}\.\d{4,5}|\b[\w-]+\.(com|org)/\S+", row["source"])
        for point in row["errors"]:
            assert point["labels"] in grid[row["dataset"]]
            assert 0 < point["value"] < 100
            assert point["spread"] is None or 0 < point["spread"] < point["value"]

"""The metrics on representations whose answer is known: perfect, useless, duplicated."""

import pytest
import torch
from torch import nn

from ie_model import evaluate, training
from ie_model.config import Config
from ie_model.data import tensors
from ie_model.metrics import inference, probes, scores

CLASSES = 10


def labels(each: int) -> torch.Tensor:
    return torch.arange(CLASSES).repeat(each)


def one_hot(y: torch.Tensor) -> torch.Tensor:
    return nn.functional.one_hot(y, CLASSES).float()


def test_percent_wrong_counts_a_partial_batch_right():
    assert scores.percent_wrong(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 4])) == pytest.approx(100 / 3)


def test_nearest_neighbours_by_hand_and_ties_go_to_the_nearer():
    reference, y = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1])
    assert scores.nearest_neighbours(reference, y, torch.tensor([[0.4], [10.6]]), 3).tolist() == [0, 1]
    assert scores.nearest_neighbours(reference, y, torch.tensor([[4.0], [7.0]]), 4).tolist() == [0, 1]
    assert scores.nearest_neighbours(reference, y, torch.tensor([[11.0]]), 99).tolist() == [1]


def test_nearest_neighbours_outvote_one_that_is_nearer():
    reference, y = torch.tensor([[0.0], [1.0], [1.1]]), torch.tensor([0, 1, 1])
    assert scores.nearest_neighbours(reference, y, torch.tensor([[0.2]]), 3).tolist() == [1]


@pytest.mark.parametrize("hidden", [None, 32])
def test_probes_read_a_perfect_a_useless_and_a_duplicated_representation(hidden):
    y, y_test = labels(200), labels(100)
    noise = torch.Generator().manual_seed(0)
    useless, useless_test = torch.randn(2000, 4, generator=noise), torch.randn(1000, 4, generator=noise)

    def accuracy(a: torch.Tensor, b: torch.Tensor) -> float:
        return probes.accuracy(a, y, b, y_test, hidden, epochs=80, seed=0)

    assert accuracy(one_hot(y), one_hot(y_test)) == 100
    assert accuracy(useless, useless_test) == pytest.approx(10, abs=4)
    both = torch.cat([one_hot(y), one_hot(y)], 1), torch.cat([one_hot(y_test), one_hot(y_test)], 1)
    assert accuracy(*both) == 100


def test_only_the_mlp_probe_reads_what_no_line_can_cut():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(4000, 2, generator=generator)
    inside = (points.norm(dim=1) < 1.18).long()  # half of a standard normal in two dimensions
    parts = (points[:3000], inside[:3000], points[3000:], inside[3000:])
    assert probes.accuracy(*parts, hidden=32, epochs=30, seed=0) > 90
    assert probes.accuracy(*parts, hidden=None, epochs=30, seed=0) < 65


def test_swaps_go_to_every_other_class_and_never_to_their_own():
    y = labels(90)
    wanted = scores.swapped_classes(y, CLASSES)
    assert (wanted != y).all()
    assert torch.bincount(wanted).min() > 0
    for c in range(CLASSES):
        assert set(wanted[y == c].tolist()) == set(range(CLASSES)) - {c}


class Painter:
    """Stands in for a model: paints r's class number, or v's, as one bright pixel; nothing of the other."""

    def __init__(self, obeys_r: bool) -> None:
        self.obeys_r = obeys_r
        self.decoder = self

    def mean_image(self, r: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        shown = r if self.obeys_r else v
        return nn.functional.pad(shown, (0, 784 - CLASSES)).view(-1, 1, 28, 28)


class PixelJudge(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :CLASSES]


@pytest.mark.parametrize(("obeys_r", "expected"), [(True, 100), (False, 0)])
def test_swap_accuracy_of_a_decoder_that_heeds_r_alone_or_v_alone(obeys_r, expected):
    y = labels(30)
    v = one_hot(y)  # v carries the image's own class, the worst case
    got = evaluate.swap_accuracy(Painter(obeys_r), PixelJudge(), torch.eye(CLASSES), v, y)  # type: ignore[arg-type]
    assert got == expected


def test_no_labelled_image_is_part_of_its_own_representation():
    config = Config.resolve(channels=2, hidden=8, invariant_dim=3, equivariant_dim=2, complementary="labelled")
    model, _ = training.new_model(config, torch.device("cpu"))
    images = tensors.Labelled(torch.rand(40, 1, 28, 28), labels(4))
    labelled = torch.arange(30)  # three of each class
    features = model.invariant(images.images).detach()
    r = torch.stack([features[:30][images.labels[:30] == c].mean(0) for c in range(CLASSES)])
    own = inference.complementary_representations(config, model, images, labelled, r, images.labels)
    for i in range(30):
        others = [j for j in range(30) if j != i and images.labels[j] == images.labels[i]]
        torch.testing.assert_close(own[i], features[others].mean(0))
    torch.testing.assert_close(own[30:], r[images.labels[30:]])


def test_a_labelled_image_taken_for_another_class_gets_that_classs_whole_mean():
    config = Config.resolve(channels=2, hidden=8, invariant_dim=3, equivariant_dim=2)
    model, _ = training.new_model(config, torch.device("cpu"))
    images = tensors.Labelled(torch.rand(20, 1, 28, 28), labels(2))
    r = torch.randn(CLASSES, 3)
    taken_for = (images.labels + 1) % CLASSES
    own = inference.complementary_representations(config, model, images, torch.arange(20), r, taken_for)
    torch.testing.assert_close(own, r[taken_for])


def test_no_image_is_part_of_its_own_representation_where_all_images_are_in_them():
    torch.manual_seed(0)
    config = Config.resolve(channels=2, hidden=8, invariant_dim=3, equivariant_dim=2)
    model = training.new_model(config, torch.device("cpu"))[0].eval()
    with torch.no_grad():
        model.classifier.weight.mul_(1e6)  # sure of some images, as a trained one
    images = tensors.Labelled(torch.rand(40, 1, 1, 1) * torch.rand(40, 1, 28, 28), labels(4))
    labelled = torch.arange(20)  # two of each class
    whole = tensors.Training(tensors.Labelled(images.images[:20], images.labels[:20]), images.images[20:], images, "")
    r = inference.of_classes(config, model, whole)
    with torch.no_grad():
        features, q = model.f(images.images), model.classify(model.features(images.images)).exp()
    weights = torch.where(q > 0.5, q, 0.0)
    assert 0 < (weights[20:] > 0).sum() <= 20
    weights[:20] = one_hot(images.labels[:20])
    torch.testing.assert_close(r, weights.T @ features / weights.sum(dim=0)[:, None])
    classes = (images.labels + torch.arange(40) % 2) % 10  # half of them are taken for another class
    own = inference.complementary_representations(config, model, images, labelled, r, classes)
    for i in range(40):
        others = torch.arange(40) != i
        weight = weights[others, classes[i]][:, None]
        torch.testing.assert_close(own[i], (weight * features[others]).sum(0) / weight.sum(), rtol=1e-4, atol=1e-4)


class Brush(nn.Module):
    """A model whose image shows r and v side by side, and which reads v off the image; a deaf one draws no v."""

    def __init__(self, deaf: bool) -> None:
        super().__init__()
        self.deaf, self.decoder = deaf, self

    def mean_image(self, r, v):
        shown = torch.cat([r, torch.zeros_like(v) if self.deaf else v], dim=1)
        return nn.functional.pad(shown, (0, 784 - shown.shape[1])).view(-1, 1, 28, 28)

    def features(self, x):
        return x.flatten(1)

    def posterior(self, features, r):
        v = features[:, 10:14].unsqueeze(1)
        return v, torch.zeros_like(v)


@pytest.mark.parametrize(("deaf", "expected"), [(False, 1.0), (True, 0.0)])
def test_a_swapped_image_keeps_its_style_only_where_v_is_drawn(deaf, expected):
    torch.manual_seed(0)
    y, v, model = labels(20), torch.randn(200, 4), Brush(deaf)
    images = tensors.Labelled(Brush(False).mean_image(torch.eye(10)[y], v), y)
    subject = evaluate.Subject(Config.resolve(), model, None, torch.eye(10), images, torch.arange(20), images)
    found = evaluate.style_r2(subject, torch.eye(10)[y])
    assert found["v"] == pytest.approx(expected, abs=0.02)

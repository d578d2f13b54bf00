"""The generated data set: repeatable, balanced, and moved by its factors as it says."""

import pytest
import torch

from ie_model.data import glyphs


def factors(**given: float) -> torch.Tensor:
    neutral = {"rotation": 0.0, "shift_x": 0.0, "shift_y": 0.0, "scale": 1.0, "shear": 0.0, "thickness": 1.2}
    return torch.tensor([list((neutral | given).values())])


def centre(image: torch.Tensor) -> tuple[float, float]:
    weights = image.float() / image.float().sum()
    axis = torch.arange(glyphs.SIZE).float()
    return float((weights.sum(0) * axis).sum()), float((weights.sum(1) * axis).sum())


def test_same_seed_same_images_and_another_seed_others():
    first, again, other = glyphs.generate(50, 1), glyphs.generate(50, 1), glyphs.generate(50, 2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_classes_are_balanced_and_images_are_drawn():
    images, labels, drawn = glyphs.generate(200, 0)
    assert torch.bincount(labels).tolist() == [20] * 10
    assert images.shape == (200, 28, 28)
    assert images.dtype == torch.uint8
    assert (images.flatten(1).max(1).values == 255).all(), "an image without full ink"
    for column, (name, low, high, _) in enumerate(glyphs.FACTORS):
        assert low <= drawn[:, column].min() < drawn[:, column].max() <= high, name


def test_ink_stays_inside_the_image():
    images, _, _ = glyphs.generate(1000, 3)
    border = images.float()
    border[:, 1:-1, 1:-1] = 0
    assert (border.flatten(1).sum(1) > 0).float().mean() < 0.05


@pytest.mark.parametrize("shape", range(10))
def test_a_shift_moves_the_centre_by_that_many_pixels(shape):
    plain = centre(glyphs.render(shape, factors())[0])
    moved = centre(glyphs.render(shape, factors(shift_x=2.0, shift_y=-1.0))[0])
    assert moved[0] - plain[0] == pytest.approx(2, abs=0.05)
    assert moved[1] - plain[1] == pytest.approx(-1, abs=0.05)


def test_rotation_turns_and_thickness_and_scale_add_ink():
    bar = glyphs.NAMES.index("bar")
    upright = glyphs.render(bar, factors())[0].float()
    assert upright[:, 14].sum() > 10 * upright[14, :].sum() / 2, "a bar stands"
    turned = glyphs.render(bar, factors(rotation=torch.pi / 2))[0].float()
    assert torch.allclose(turned, upright.T, atol=2)
    ink = [glyphs.render(bar, factors(**more)).sum() for more in ({}, {"thickness": 1.6}, {"scale": 1.15})]
    assert ink[1] > ink[0]
    assert ink[2] > ink[0]


def test_no_two_shapes_look_alike():
    images = torch.cat([glyphs.render(shape, factors()) for shape in range(10)]).float().flatten(1)
    distances = torch.cdist(images, images) + torch.eye(10) * 1e9
    assert distances.min() > 400


@pytest.mark.parametrize("count", [0, -10, 15])
def test_a_count_that_cannot_be_balanced_is_refused(count):
    with pytest.raises(ValueError, match="multiple of 10"):
        glyphs.generate(count, 0)


def test_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="0 to 9"):
        glyphs.render(10, factors())

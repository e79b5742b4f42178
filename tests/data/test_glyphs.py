import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.data import glyphs
from bench.data.glyphs import GlyphsDataModule


@pytest.fixture(scope="module")
def data():
    return GlyphsDataModule()


@pytest.fixture(scope="module")
def images(data):
    """``[classes, drawings, height, width]`` in 0..1, of the validation classes."""
    packed = data.classes("val").images
    return packed.reshape(-1, glyphs.DRAWINGS, 28, 28) / np.float32(255)


def test_sizes(data):
    assert data.synthetic
    classes = data.classes("val")
    assert classes.images.shape == (100 * 20, 28, 28, 1)
    assert classes.images.dtype == np.uint8
    assert classes.names[0] == "glyph-0400"
    assert len(classes.names) == len(set(classes.names)) == len(classes.start) == 100
    assert data.episodes("val", np.arange(2)).support_x.shape == (2, 5, 1, 28, 28)
    assert list(data._classes) == ["val"]  # nothing is drawn that nobody asked for


def test_splits_are_disjoint():
    numbers = [n for split in ("train", "val", "test") for n in glyphs.CLASSES[split]]
    assert numbers == list(range(700))


def test_a_character_is_the_same_in_any_company(data):
    numbers = np.array([417, 403])
    alone = glyphs.draw(*glyphs.characters(0, numbers), 0, numbers)
    among = data.classes("val").images.reshape(100, 20, 28, 28, 1)[numbers - 400]
    # Matrix products of another size may round otherwise.
    np.testing.assert_allclose(alone.astype(int), among.astype(int), atol=1)


def test_the_world_is_a_function_of_data_seed(data, images):
    torch.manual_seed(1)
    np.random.seed(1)
    again, other = (GlyphsDataModule(data_seed=s, seed=3).load("val").images for s in (0, 1))
    np.testing.assert_array_equal(again, data.classes("val").images)
    assert abs(other.astype(int) - again).mean() > 5


def test_the_world_stays_as_it_is(images):
    # Results are comparable over versions only while the drawings are the same.
    ink = images.mean((2, 3))
    np.testing.assert_allclose(ink[0, :4], [0.136, 0.0967, 0.1192, 0.1801], atol=1e-3)


def test_drawings_look_like_ink_on_paper(images):
    ink = images.mean((2, 3))
    assert ink.min() > 0.02
    assert ink.max() < 0.4
    assert 0.08 < ink.mean() < 0.18
    assert (images.max((2, 3)) > 0.75).all()  # the pen is seen
    border = np.concatenate([images[:, :, [0, -1]].ravel(), images[..., [0, -1]].ravel()])
    assert border.mean() < 0.03  # and mostly stays on the paper


def test_no_two_drawings_are_the_same(images):
    flat = images.reshape(-1, 28 * 28)
    assert len(np.unique(flat, axis=0)) == len(flat)
    spread = images.std(1).mean((1, 2))  # within a class, pixel by pixel
    assert spread.min() > 0.02


def test_classes_differ_but_pixels_do_not_give_them_away(images):
    means = images.mean(1).reshape(100, -1)
    distance = np.linalg.norm(means[:, None] - means, axis=-1) + 99 * np.eye(100)
    assert distance.min() > 0.5
    e = GlyphsDataModule(queries=5).episodes("val", np.arange(100))
    nearest = torch.cdist(e.query_x.flatten(2), e.support_x.flatten(2)).argmin(-1)
    assert 0.45 < (nearest == e.query_y).float().mean() < 0.75


def test_too_many_queries():
    with pytest.raises(BenchError, match=r"shots=1 \+ queries=20: .* glyphs has 20 images only"):
        GlyphsDataModule(queries=20).setup("validate")

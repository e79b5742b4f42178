import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.data import textures
from bench.data.textures import TexturesDataModule


@pytest.fixture(scope="module")
def data():
    return TexturesDataModule(shots=1, queries=5)


@pytest.fixture(scope="module")
def images(data):
    """``[classes, images, height, width, channels]`` in 0..1, of the validation classes."""
    packed = data.classes("val").images
    return packed.reshape(-1, textures.IMAGES, 84, 84, 3) / np.float32(255)


def test_sizes(data):
    assert data.synthetic
    classes = data.classes("val")
    assert classes.images.shape == (16 * 32, 84, 84, 3)
    assert classes.images.dtype == np.uint8
    assert classes.names[0] == "texture-064"
    assert len(classes.names) == len(set(classes.names)) == len(classes.start) == 16
    assert data.episodes("val", np.arange(2)).support_x.shape == (2, 5, 3, 84, 84)
    assert list(data._classes) == ["val"]  # nothing is painted that nobody asked for


def test_splits_are_disjoint():
    numbers = [n for split in ("train", "val", "test") for n in textures.CLASSES[split]]
    assert numbers == list(range(100))


def test_the_world_is_a_function_of_data_seed(data):
    torch.manual_seed(1)
    np.random.seed(1)
    packed = data.classes("val").images.reshape(16, 32, 84, 84, 3)
    np.testing.assert_array_equal(textures.paint(0, 70), packed[6])
    assert abs(textures.paint(1, 70).astype(int) - packed[6]).mean() > 20


def test_the_world_stays_as_it_is(images):
    # Results are comparable over versions only while the images are the same.
    np.testing.assert_allclose(images[0, 0].mean((0, 1)), [0.2967, 0.6415, 0.3517], atol=1e-3)


def test_images_have_contrast(images):
    deviation = images.std((2, 3)).mean(-1)
    assert deviation.min() > 0.05
    assert 0.4 < images.mean() < 0.6
    assert ((images == 0) | (images == 1)).mean() < 0.2  # few pixels are blown out


def test_no_two_images_are_the_same(images):
    small = images[:, :, ::4, ::4].reshape(16 * 32, -1)
    assert len(np.unique(small, axis=0)) == len(small)


def test_classes_differ_but_pixels_and_colours_do_not_give_them_away(data):
    e = data.episodes("val", np.arange(60))

    def nearest_neighbour(feature):
        nearest = torch.cdist(feature(e.query_x), feature(e.support_x)).argmin(-1)
        return (nearest == e.query_y).float().mean()

    assert 0.3 < nearest_neighbour(lambda x: x.flatten(2)) < 0.75
    colours = nearest_neighbour(lambda x: torch.cat([x.mean((3, 4)), x.std((3, 4))], 2))
    assert 0.35 < colours < 0.8


def test_too_many_queries():
    with pytest.raises(BenchError, match=r"shots=5 \+ queries=28: .* has 32 images only"):
        TexturesDataModule(shots=5, queries=28).setup("validate")

"""Small sources of Meta-Dataset, made of drawn images."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench.data.images.collection import Collection, Found
from bench.data.sources import writing


def pictures(groups, count=16, side=12):
    """``count`` images of each class, ``{(split, label): array}``, each class of one colour."""
    random = np.random.default_rng(4)
    found = {}
    for split, label in groups:
        colour = random.integers(0, 256, 3)
        noise = random.integers(-12, 13, (count, side, side, 3))
        found[split, label] = np.clip(colour + noise, 0, 255).astype(np.uint8)
    return found


def collected(groups, as_png=False, **kwargs):
    """A collection of them, stored in another order than that of their names."""
    images, content = [], []
    for (split, label), array in pictures(groups, **kwargs).items():
        for i, image in enumerate(array):
            images.append(Found(split, label, f"{label}/{i:03d}.png"))
            content.append(_png(image) if as_png else image)
    order = np.random.default_rng(1).permutation(len(images))
    return Collection(
        "made images", [images[i] for i in order], lambda: enumerate(content[i] for i in order), []
    )


def _png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


PLAIN = [(split, f"{split}{i}") for split in ("train", "val", "test") for i in range(6)]
GROUPED = [
    (split, f"{split}{group}/letter{i}")
    for split in ("train", "val", "test")
    for group in range(2)
    for i in range(5 + group)
]


@pytest.fixture(scope="session")
def made():
    """How the images of these sources are made."""
    return SimpleNamespace(PLAIN=PLAIN, GROUPED=GROUPED, pictures=pictures, collected=collected)


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """A folder of records with the sources ``colours`` and ``letters``."""
    root = tmp_path_factory.mktemp("data") / "meta_dataset"
    writing.write("colours", collected(PLAIN), "made", root)
    writing.write("letters", collected(GROUPED)._replace(grouped=True), "made", root)
    return root

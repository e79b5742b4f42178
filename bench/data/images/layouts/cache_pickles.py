"""The cache of few-shot-ssl (Ren et al. 2018): a pickle a split, as learn2learn has it too."""

from typing import Any

import numpy as np

from bench.base import safe_pickle
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection
from bench.data.images.layouts import pixels, split_files

LAYOUT = "mini-imagenet-cache-{train,val,test}.pkl"
NAMES = {"train": ("train",), "val": ("val", "validation"), "test": ("test",)}
FILES = {s: tuple(f"mini-imagenet-cache-{n}.pkl" for n in names) for s, names in NAMES.items()}


def read(tree: Tree) -> Collection | None:
    """Takes ``image_data`` and ``class_dict`` of each pickle, keys as texts or bytes.

    Raises:
        BenchError: names file and key, if an image has no class or two.
    """
    files = split_files.find(tree, FILES)
    return files and pixels.collect(tree, LAYOUT, files, images)


def images(content: bytes, where: str) -> tuple[np.ndarray, list[str]]:
    """Images and their classes."""
    cache = safe_pickle.load(content, where)
    data = pixels.images_of(pixels.entry(cache, "image_data", where), "image_data", where)
    classes: Any = pixels.entry(cache, "class_dict", where)
    if not isinstance(classes, dict):
        raise BenchError(f"{where}: 'class_dict' is no dict of class to image numbers")
    labels: list[str | None] = [None] * len(data)
    for label, numbers in classes.items():
        for number in np.asarray(numbers).reshape(-1).tolist():
            if not isinstance(number, int) or not 0 <= number < len(data):
                raise BenchError(
                    f"{where}: 'class_dict' gives {pixels.text(label)} the image {number!r} of "
                    f"{len(data)}"
                )
            if labels[number] is not None:
                raise BenchError(
                    f"{where}: 'class_dict' has image {number} in {labels[number]} and "
                    f"{pixels.text(label)}"
                )
            labels[number] = pixels.text(label)
    if None in labels:
        raise BenchError(f"{where}: 'class_dict' has no class for image {labels.index(None)}")
    return data, labels

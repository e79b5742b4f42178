"""A folder for each class, and no splits: they come from a file, or are drawn and written down."""

import json
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from bench import paths
from bench.archives import Tree
from bench.data_module import SPLITS
from bench.errors import BenchError
from bench.images.collection import Collection, Found, natural, of_files, others
from bench.images.layouts.class_folders import IMAGES

LAYOUT = "<class>/*.jpg or *.png, with or without splits.json"
FILE = "splits.json"
SHARES = (0.64, 0.16)  # of the classes, for training and validation, as in miniImageNet
LEAST = 2  # classes in a split: the fewest that an episode can have


def read(tree: Tree) -> Collection | None:
    """Takes the images in folders of classes; ``splits.json`` lists the classes of each split.

    Without that file the classes are divided at random, always in the same way.

    Raises:
        BenchError: names file and class, if a listed class has no images or an image no split.
    """
    classes = _classes(tree)
    if not classes:
        return None
    listed = [name for name in tree.names if PurePosixPath(name).name == FILE]
    if listed:
        ((_, content),) = tree.stream(listed[:1])
        splits = _given(content, f"{tree.where}: {listed[0]}", classes)
        note = f"Splits: those of {listed[0]}."
    else:
        splits = drawn(list(classes), f"{tree.where}")
        note = "Splits: drawn at random, for there is no splits.json."
    return _collected(tree, classes, splits, LAYOUT, note)


class Published(NamedTuple):
    """The same layout with a split that somebody has published.

    Attributes:
        dataset: whose facts hold the split.
        split: file of the split: the classes of training, validation and test.
        part: of classes with several folders, the folder within this one counts: ImageNet has
            images of each class in ``train`` and in ``val``.
    """

    dataset: str
    split: str
    part: str | None = None

    @property
    def LAYOUT(self) -> str:
        """The files, in words; a name as in :mod:`bench.images.layouts`."""
        return "<class>/*.jpg"

    def read(self, tree: Tree) -> Collection | None:
        """Takes the images of the classes that the split lists; None if no folder is one of them.

        Raises:
            BenchError: names a class that has no images.
        """
        file = paths.facts(self.dataset) / "splits" / self.split
        classes = {label: self._own(names) for label, names in _classes(tree).items()}
        if not classes.keys() & {
            la for labels in json.loads(file.read_text()).values() for la in labels
        }:
            return None
        splits = _given(file.read_bytes(), f"{tree.where}, with the split {self.split}", classes)
        return _collected(tree, classes, splits, self.LAYOUT, f"Splits: {self.split}.")

    def _own(self, names: list[str]) -> list[str]:
        own = [name for name in names if self.part in PurePosixPath(name).parts]
        return own or names


def _classes(tree: Tree) -> dict[str, list[str]]:
    """The images of each folder that holds some."""
    classes: dict[str, list[str]] = {}
    for name in tree.names:
        path = PurePosixPath(name)
        if path.suffix.lower() in IMAGES and len(path.parts) > 1:
            classes.setdefault(path.parent.name, []).append(name)
    return classes


def _collected(tree: Tree, classes: dict, splits: dict, layout: str, note: str) -> Collection:
    images = [
        Found(split, label, name)
        for split, labels in splits.items()
        for label in labels
        for name in classes[label]
    ]
    return of_files(tree, layout, images, [note])


def drawn(labels: list[str], where: str, seed: int = 0) -> dict[str, list[str]]:
    """Divides classes at random: 64, 16 and 20 % for training, validation and test.

    The same names give the same splits, whatever their order.

    Raises:
        BenchError: if there are too few.
    """
    if len(labels) < LEAST * len(SPLITS):
        raise BenchError(
            f"{where}: {len(labels)} classes are too few for three splits: give "
            f"{LEAST * len(SPLITS)} or more, or list them in {FILE}"
        )
    labels = sorted(labels, key=natural)
    order = [labels[i] for i in np.random.default_rng(seed).permutation(len(labels))]
    train, val = (max(round(share * len(labels)), LEAST) for share in SHARES)
    train = min(train, len(labels) - val - LEAST)
    parts = order[:train], order[train : train + val], order[train + val :]
    return {split: sorted(part, key=natural) for split, part in zip(SPLITS, parts)}


def _given(content: bytes, where: str, classes: dict) -> dict[str, list[str]]:
    try:
        splits = json.loads(content)
        splits = {split: [str(label) for label in splits[split]] for split in SPLITS}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BenchError(
            f'{where}: not {{"train": [classes], "val": [...], "test": [...]}} ({error})'
        ) from error
    every = [label for labels in splits.values() for label in labels]
    if twice := [label for label in every if every.count(label) > 1]:
        raise BenchError(f"{where}: {twice[0]!r} is listed twice{others(set(twice))}")
    if absent := [label for label in every if label not in classes]:
        raise BenchError(f"{where}: {absent[0]!r} has no folder with images{others(absent)}")
    return splits

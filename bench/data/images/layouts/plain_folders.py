"""A folder for each class, and no splits: they come from a file, or are drawn and written down."""

import json
from pathlib import PurePosixPath
from typing import NamedTuple

from bench.base import paths
from bench.base.archives import Tree
from bench.data.images.collection import Collection, Found, from_files
from bench.data.images.layouts import class_folders, class_splits

LAYOUT = "<class>/*.jpg or *.png, with or without splits.json"


def read(tree: Tree) -> Collection | None:
    """Takes the images in folders of classes; ``splits.json`` lists the classes of each split.

    Without that file the classes are divided at random, always in the same way.

    Raises:
        BenchError: as :func:`bench.data.images.layouts.class_splits.find_or_draw`.
    """
    classes = _classes(tree)
    if not classes:
        return None
    splits, note = class_splits.find_or_draw(tree, classes)
    return _collect(tree, classes, splits, LAYOUT, note, *_merged(classes))


class Published(NamedTuple):
    """The same layout with a split that somebody has published.

    Attributes:
        dataset: whose facts hold the split.
        split: file of the split: the classes of training, validation and test.
        part: of classes with several folders, the folder within this one counts: ImageNet has
            images of each class in ``train`` and in ``val``, CUB's masks lie beside ``images``.
    """

    dataset: str
    split: str
    part: str | None = None

    @property
    def LAYOUT(self) -> str:
        """The files, in words; a name as in :mod:`bench.data.images.layouts`."""
        return "<class>/*.jpg"

    def read(self, tree: Tree) -> Collection | None:
        """Takes the images of the classes that the split lists; None if no folder is one of them.

        Raises:
            BenchError: names a class that has no images.
        """
        file = paths.facts(self.dataset) / "splits" / self.split
        classes = {
            label: class_folders.within(self.part, names) for label, names in _classes(tree).items()
        }
        if not classes.keys() & {
            la for labels in json.loads(file.read_text()).values() for la in labels
        }:
            return None
        splits = class_splits.parse(
            file.read_bytes(), f"{tree.where}, with the split {self.split}", classes
        )
        return _collect(tree, classes, splits, self.LAYOUT, f"Splits: {self.split}.")


def _classes(tree: Tree) -> dict[str, list[str]]:
    """The images of each folder that holds some."""
    classes: dict[str, list[str]] = {}
    for name in tree.names:
        path = PurePosixPath(name)
        if path.suffix.lower() in class_folders.IMAGES and len(path.parts) > 1:
            classes.setdefault(path.parent.name, []).append(name)
    return classes


def _merged(classes: dict[str, list[str]]) -> list[str]:
    """A sentence on folders of one name, which are taken for one class; none if there are none."""
    folders = {la: {str(PurePosixPath(n).parent) for n in names} for la, names in classes.items()}
    several = sorted(label for label, found in folders.items() if len(found) > 1)
    if not several:
        return []
    first, second = sorted(folders[several[0]])[:2]
    return [
        f"Folders of one name are one class, such as {first} and {second} ({len(several)} of "
        f"{len(classes)} classes): rename them if they are not."
    ]


def _collect(tree: Tree, classes: dict, splits: dict, layout: str, *notes: str) -> Collection:
    images = [
        Found(split, label, name)
        for split, labels in splits.items()
        for label in labels
        for name in classes[label]
    ]
    return from_files(tree, layout, images, notes)

"""Pickles of images and labels (Gidaris and Komodakis 2018; MetaOptNet, Lee et al. 2019)."""

import re
from pathlib import PurePosixPath

import numpy as np

from bench.base import safe_pickle
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection
from bench.data.images.layouts import pixels, split_files

LAYOUT = "*_{train,val,test}.pickle with data and labels"
NAME = re.compile(r"(.+?)_(train_phase_train|train|val|test)\.pickle")


def read(tree: Tree) -> Collection | None:
    """Takes ``data`` and ``labels`` of each pickle.

    ``*_train_phase_{val,test}`` hold other images of the training classes, which no test on new
    classes uses: they are left out.

    Raises:
        BenchError: names file and key, if images and labels do not fit together.
    """
    found = filter(None, map(NAME.fullmatch, (PurePosixPath(n).name for n in tree.names)))
    stems = {m[1] for m in found if not m[1].endswith("_train_phase")}
    if not stems:
        return None
    if len(stems) > 1:
        raise BenchError(f"{tree.where}: several sets, {' and '.join(sorted(stems)[:3])}")
    (stem,) = stems
    trains = (f"{stem}_train_phase_train.pickle", f"{stem}_train.pickle")
    files = {"train": trains, "val": (f"{stem}_val.pickle",), "test": (f"{stem}_test.pickle",)}
    files = split_files.find(tree, files)
    return files and pixels.collect(tree, LAYOUT, files, images)


def images(content: bytes, where: str) -> tuple[np.ndarray, list[str]]:
    """Images and their classes; the labels of one file mean nothing in another."""
    pickled = safe_pickle.load(content, where)
    data = pixels.images_of(pixels.entry(pickled, "data", where), "data", where)
    labels = pixels.entry(pickled, "labels", where)
    labels = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(labels, list) or len(labels) != len(data):
        raise BenchError(f"{where}: 'labels' is not a list of {len(data)} labels")
    stem = PurePosixPath(where).stem.rpartition("_")[2]
    return data, [f"{stem} {pixels.text(label)}" for label in labels]

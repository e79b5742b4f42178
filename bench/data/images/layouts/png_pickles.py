"""tieredImageNet as its authors pass it on (Ren et al. 2018): pickles of PNG files and labels."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from bench.base import pickle_stream, safe_pickle
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found
from bench.data.images.layouts import pixels, split_files
from bench.tasks.data_module import SPLITS

LAYOUT = "{train,val,test}_images_png.pkl and {train,val,test}_labels.pkl"
IMAGES = {split: (f"{split}_images_png.pkl",) for split in SPLITS}
LABELS = {split: (f"{split}_labels.pkl",) for split in SPLITS}


def read(tree: Tree) -> Collection | None:
    """Takes the images with their ``label_specific``; the general labels are not needed.

    The images are read one by one, since all of them fill 13 GB.

    Raises:
        BenchError: names file and key, if one is missing or images and labels do not fit together.
    """
    files = split_files.find(tree, IMAGES)
    if files is None:
        return None
    of_labels = split_files.find(tree, LABELS)
    if of_labels is None:
        raise BenchError(f"{tree.where}: holds {files['train']}, but no {LABELS['train'][0]}")
    labels = {
        split: _labels(content, f"{tree.where}: {of_labels[split]}")
        for split, content in split_files.contents(tree, of_labels).items()
    }
    # two classes of ImageNet may have one name, such as crane
    shared = Counter(label for listed in labels.values() for label in set(listed))
    found = [
        Found(split, label if shared[label] == 1 else f"{label} ({split})", f"{files[split]}/{i}")
        for split in SPLITS
        for i, label in enumerate(labels[split])
    ]

    def stream() -> Iterator[tuple[int, bytes]]:
        first = 0
        for split in SPLITS:
            where = f"{tree.where}: {files[split]}"
            expected, count = len(labels[split]), 0
            with tree.file(files[split]) as file:
                for content in pickle_stream.image_files(file, where):
                    if count < expected:
                        yield first + count, content
                    count += 1
            if count != expected:
                name = PurePosixPath(of_labels[split]).name
                raise BenchError(f"{where}: {count:,} images, but {expected:,} labels in {name}")
            first += expected

    return Collection(LAYOUT, found, stream, [])


def _labels(content: bytes, where: str) -> list[str]:
    """The class of each image."""
    pickled = safe_pickle.load(content, where)
    numbers = np.asarray(pixels.entry(pickled, "label_specific", where))
    names = pixels.entry(pickled, "label_specific_str", where)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not isinstance(names, list):
        raise BenchError(f"{where}: 'label_specific' is no list of numbers of 'label_specific_str'")
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(names):
        raise BenchError(
            f"{where}: 'label_specific' goes from {numbers.min()} to {numbers.max()}, and "
            f"'label_specific_str' has {len(names)} names"
        )
    names = [pixels.text(name) for name in names]
    count = Counter(names)
    names = [f"{name} {i}" if count[name] > 1 else name for i, name in enumerate(names)]
    return [names[number] for number in numbers]

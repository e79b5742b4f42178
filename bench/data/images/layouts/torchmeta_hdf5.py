"""torchmeta's HDF5 files (Deleu et al. 2019): one array a class."""

import io
import json

import numpy as np

from bench.base import archives
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, others
from bench.data.images.layouts import pixels, split_files
from bench.tasks.data_module import SPLITS

LAYOUT = "{train,val,test}_data.hdf5 with datasets/<class>"
FILES = {split: (f"{split}_data.hdf5",) for split in SPLITS}
LABELS = {split: (f"{split}_labels.json",) for split in SPLITS}


def read(tree: Tree) -> Collection | None:
    """Takes the arrays of ``datasets/``; the lists of classes, if there, must name them all.

    Raises:
        BenchError: if h5py is not installed, a file is damaged, or a listed class is absent.
    """
    files = split_files.find(tree, FILES)
    if files is None:
        return None
    found = pixels.collect(tree, LAYOUT, files, images)
    lists = split_files.find(tree, LABELS)
    for split, content in (split_files.contents(tree, lists) if lists else {}).items():
        where = f"{tree.where}: {lists[split]}"
        try:
            listed = [str(label) for label in json.loads(content)]
        except (ValueError, TypeError, RecursionError) as error:
            raise BenchError(f"{where}: not a JSON list of classes: get it again") from error
        there = {image.label for image in found.images if image.split == split}
        if absent := [label for label in listed if label not in there]:
            raise BenchError(
                f"{where}: lists {absent[0]!r}, which is not in {files[split]}{others(absent)}"
            )
    return found


def images(content: bytes, where: str) -> tuple[list[np.ndarray], list[str]]:
    """Images and their classes."""
    try:
        import h5py
    except ImportError:
        raise BenchError(f"{where}: needs h5py: pip install 'maml-bench[hdf5]'") from None
    data, labels, size = [], [], 0
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            group = file.get("datasets")
            if not isinstance(group, h5py.Group):
                raise BenchError(f"{where}: has no group 'datasets'")
            for label in group:
                # a link, or pixels stored elsewhere, would lead to any file of this machine
                if not isinstance(group.get(label, getlink=True), h5py.HardLink):
                    raise BenchError(f"{where}: datasets/{label} is a link: do not trust it")
                array = group[label]
                if not isinstance(array, h5py.Dataset) or array.dtype != np.uint8:
                    raise BenchError(f"{where}: datasets/{label} is no array of uint8")
                if array.external or array.is_virtual:
                    raise BenchError(
                        f"{where}: datasets/{label} is in another file: do not trust it"
                    )
                size += array.nbytes
                if size > archives.MOST_BYTES_OF_A_FILE:
                    raise BenchError(
                        f"{where}: more than {archives.MOST_BYTES_OF_A_FILE >> 30} GiB unpacked"
                    )
                class_images = pixels.images_of(array[()], f"datasets/{label}", where)
                data += list(class_images)
                labels += [label] * len(class_images)
    except BenchError:
        raise
    except Exception as error:  # a damaged file leads h5py to raise nearly anything
        raise BenchError(f"{where}: damaged ({error}): get it again") from error
    return data, labels

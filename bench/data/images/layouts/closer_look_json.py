"""The lists of "A Closer Look at Few-shot Classification" (Chen et al. 2019)."""

import json

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection
from bench.data.images.layouts import listed, split_files

LAYOUT = "{base,val,novel}.json with image_names and image_labels, and the images"
FILES = {"train": ("base.json",), "val": ("val.json",), "test": ("novel.json",)}


def read(tree: Tree) -> Collection | None:
    """Takes the listed images, by the end of their paths: the lists hold another machine's.

    Raises:
        BenchError: names list and image, if one is missing or the lists do not fit together.
    """
    lists = split_files.find(tree, FILES)
    return lists and listed.collect(tree, LAYOUT, lists, _entries)


def _entries(content: bytes, where: str) -> list[tuple[str, str]]:
    try:
        lists = json.loads(content)
        names, paths, numbers = (
            lists[key] for key in ("label_names", "image_names", "image_labels")
        )
        if len(paths) != len(numbers):
            raise BenchError(f"{where}: {len(paths)} image_names, {len(numbers)} image_labels")
        # some lists number the classes from 0 in each file, others through all of them
        labels = [str(names[n] if len(names) > n >= 0 else f"class {n}") for n in map(int, numbers)]
        return list(zip(map(str, paths), labels))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BenchError(
            f"{where}: not the lists label_names, image_names, image_labels: get it again"
        ) from error

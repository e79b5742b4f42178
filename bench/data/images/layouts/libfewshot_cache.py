"""LibFewShot's cache (Li et al. 2021): a pickle a split of file names and labels, and images/."""

from pathlib import PurePosixPath

from bench.base import safe_pickle
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found, of_files, others
from bench.data.images.layouts import listed, pixels, split_files
from bench.tasks.data_module import SPLITS

LAYOUT = "{train,val,test}.pth, LibFewShot's cache, and images/"
FILES = {split: (f"{split}.pth",) for split in SPLITS}


def read(tree: Tree) -> Collection | None:
    """Takes the images that the caches list.

    Raises:
        BenchError: names cache and image, if one is missing or a cache holds something else.
    """
    files = split_files.find(tree, FILES)
    if files is None:
        return None
    find, images, absent = listed.finder(tree), [], []
    for split, content in split_files.contents(tree, files).items():
        where = f"{tree.where}: {files[split]}"
        cache = safe_pickle.load(content, where)
        try:
            paths, labels, numbers = cache
            names = {number: pixels.text(label) for label, number in numbers.items()}
            rows = [(pixels.text(p), names.get(n, pixels.text(n))) for p, n in zip(paths, labels)]
        except (ValueError, TypeError, AttributeError) as error:
            raise BenchError(
                f"{where}: not (file names, labels, numbers of the classes), LibFewShot's cache"
            ) from error
        for path, label in rows:
            # the folder of the split does not count: all images lie in one
            if name := find(path) or find(PurePosixPath(path).name):
                images.append(Found(split, label, name))
            else:
                absent.append(f"{where}: there is no {path}")
    if absent:
        raise BenchError(f"{absent[0]}{others(absent)}: put it there")
    return of_files(tree, LAYOUT, images)

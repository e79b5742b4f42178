"""LibFewShot's cache (Li et al. 2021): a pickle a split of file names and labels, and images/."""

from bench.base import safe_pickle
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection
from bench.data.images.layouts import listed, pixels, split_files
from bench.tasks.data_module import SPLITS

LAYOUT = "{train,val,test}.pth, LibFewShot's cache, and images/"
FILES = {split: (f"{split}.pth",) for split in SPLITS}


def read(tree: Tree) -> Collection | None:
    """Takes the images that the caches list.

    Raises:
        BenchError: names cache and image, if one is missing or a cache holds something else.
    """
    lists = split_files.find(tree, FILES)
    return lists and listed.collect(tree, LAYOUT, lists, _entries)


def _entries(content: bytes, where: str) -> list[tuple[str, str]]:
    cache = safe_pickle.load(content, where)
    try:
        paths, labels, numbers = cache
        names = {number: pixels.text(label) for label, number in numbers.items()}
        return [(pixels.text(p), names.get(n, pixels.text(n))) for p, n in zip(paths, labels)]
    except (ValueError, TypeError, AttributeError) as error:
        raise BenchError(
            f"{where}: not (file names, labels, numbers of the classes), LibFewShot's cache"
        ) from error

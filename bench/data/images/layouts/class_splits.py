"""Which class is in which split, where the layout does not say: from a file, or drawn."""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

import numpy as np

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import natural, others
from bench.tasks.data_module import SPLITS

FILE = "splits.json"
SHARES = (0.64, 0.16)  # of the classes, for training and validation, as in miniImageNet
LEAST = 2  # classes in a split: the fewest that an episode can have


def find_or_draw(tree: Tree, labels: Collection[str]) -> tuple[dict[str, list[str]], str]:
    """The splits that ``splits.json`` lists; without that file, splits drawn at random.

    Args:
        tree: where the file may be.
        labels: the classes that have images.

    Returns:
        The classes of each split, and a note that says whose they are.

    Raises:
        BenchError: names file and class, if a listed class has no images, or there are too few.
    """
    listed = [name for name in tree.names if PurePosixPath(name).name == FILE]
    if not listed:
        return draw(labels, f"{tree.where}"), f"Splits: drawn at random, for there is no {FILE}."
    ((_, content),) = tree.stream(listed[:1])
    return parse(content, f"{tree.where}: {listed[0]}", labels), f"Splits: those of {listed[0]}."


def draw(labels: Iterable[str], where: str, seed: int = 0) -> dict[str, list[str]]:
    """Divides classes at random: 64, 16 and 20 % for training, validation and test.

    The same names give the same splits, whatever their order.

    Raises:
        BenchError: if there are too few.
    """
    labels = sorted(labels, key=natural)
    if len(labels) < LEAST * len(SPLITS):
        raise BenchError(
            f"{where}: {len(labels)} classes are too few for three splits: give "
            f"{LEAST * len(SPLITS)} or more, or list them in {FILE}"
        )
    order = [labels[i] for i in np.random.default_rng(seed).permutation(len(labels))]
    train, val = (max(round(share * len(labels)), LEAST) for share in SHARES)
    train = min(train, len(labels) - val - LEAST)
    parts = order[:train], order[train : train + val], order[train + val :]
    return {split: sorted(part, key=natural) for split, part in zip(SPLITS, parts)}


def parse(content: bytes, where: str, labels: Collection[str]) -> dict[str, list[str]]:
    """The classes that a split file lists for each split.

    Args:
        content: of the file, JSON.
        where: the file, for messages.
        labels: the classes that have images.

    Raises:
        BenchError: if it is no such file, or lists a class twice or one that has no images.
    """
    try:
        splits = json.loads(content)
        splits = {split: [str(label) for label in splits[split]] for split in SPLITS}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BenchError(
            f'{where}: not {{"train": [classes], "val": [...], "test": [...]}} ({error})'
        ) from error
    count = Counter(label for labels_of_split in splits.values() for label in labels_of_split)
    if twice := [label for label, times in count.items() if times > 1]:
        raise BenchError(f"{where}: {twice[0]!r} is listed twice{others(twice)}")
    if absent := [label for label in count if label not in labels]:
        raise BenchError(f"{where}: {absent[0]!r} has no images{others(absent)}")
    return splits

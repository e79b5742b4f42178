"""Looks for images that a set holds more than once."""

from pathlib import Path

from bench.base.errors import BenchError
from bench.data.images import collection
from bench.data.images.collection import Collection
from bench.tasks.data_module import SPLITS

# A published set may hold a few images in two splits, and its numbers are with them; more is a
# class under two names, or a split copied into another.
MOST_SHARED = 0.01  # of the images of a split
FEW_SHARED = 10  # images, however small the split


def find(where: Path | str, found: Collection, digests: list[bytes]) -> list[str]:
    """Looks for images with the same pixels.

    Returns:
        Notes.

    Raises:
        BenchError: if more than :data:`MOST_SHARED` of a split's images, and more than
            :data:`FEW_SHARED`, are in another one too.
    """
    first: dict[bytes, int] = {}
    within, shared, example = 0, {}, {}
    for number, digest in enumerate(digests):
        earlier = found.images[first.setdefault(digest, number)]
        image = found.images[number]
        if earlier is image:
            continue
        if earlier.split == image.split:
            within += 1
            continue
        pair = tuple(sorted((earlier.split, image.split), key=SPLITS.index))
        shared[pair] = shared.get(pair, 0) + 1
        example.setdefault(pair, f"{earlier.name} and {image.name}")
    counts = collection.counts(found.images)
    notes = []
    for (a, b), count in shared.items():
        words = f"{count:,} images of {b} are in {a} too, pixel by pixel, such as {example[a, b]}"
        if count > max(MOST_SHARED * min(counts[a][1], counts[b][1]), FEW_SHARED):
            raise BenchError(f"{where}: {words}: this is no split; nothing was written")
        notes.append(f"CAUTION: {words}.")
    if within:
        notes.append(f"{within:,} images occur more than once within their split.")
    return notes

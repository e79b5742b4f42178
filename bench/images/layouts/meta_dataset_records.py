"""Meta-Dataset's records of one set (Triantafillou et al. 2020): a file a class, and a spec."""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from bench.archives import Tree
from bench.errors import BenchError
from bench.images.collection import Collection, Found, others
from bench.meta_dataset import tfrecords

LAYOUT = "dataset_spec.json and <class>.tfrecords"
SPEC = "dataset_spec.json"
SPLITS = {"train": "TRAIN", "val": "VALID", "test": "TEST"}


def read(tree: Tree) -> Collection | None:
    """Takes the images of every class that the spec lists.

    Raises:
        BenchError: names file and field, if a class or an image is missing.
    """
    specs = [name for name in tree.names if PurePosixPath(name).name == SPEC]
    if not specs:
        return None
    if len(specs) > 1:
        raise BenchError(f"{tree.where}: several sets, {' and '.join(specs[:3])}: give one of them")
    where, folder = f"{tree.where}: {specs[0]}", PurePosixPath(specs[0]).parent
    ((_, content),) = tree.stream(specs)
    try:
        spec = json.loads(content)
        names = {int(number): str(name) for number, name in spec["class_names"].items()}
        listed = {int(number): int(n) for number, n in spec["images_per_class"].items()}
        sizes = [int(spec["classes_per_split"][split]) for split in SPLITS.values()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BenchError(
            f"{where}: needs class_names, images_per_class and classes_per_split ({error})"
        ) from error
    if min(sizes) < 0 or sum(sizes) > len(tree.names):
        raise BenchError(
            f"{where}: classes_per_split says {sum(sizes):,} classes, and there are "
            f"{len(tree.names):,} files"
        )
    bounds = [0, *_sums(sizes)]
    files = {}
    for split, first, last in zip(SPLITS, bounds, bounds[1:]):
        for number in range(first, last):
            files[str(folder / f"{number}.tfrecords")] = split, number
    if absent := [file for file in files if file not in set(tree.names)]:
        raise BenchError(f"{where}: there is no {absent[0]}{others(absent)}")
    images, first = [], {}
    for file, records in _records(tree, files):
        split, number = files[file]
        first[file] = len(images)
        count = sum(1 for _ in records)
        if count != listed.get(number):
            raise BenchError(
                f"{where}: images_per_class says {listed.get(number)} for class {number}, and "
                f"{file} holds {count}"
            )
        label = names.get(number, str(number))
        images += [Found(split, label, f"{file}/{i}") for i in range(count)]

    def stream() -> Iterator[tuple[int, bytes]]:
        for file, records in _records(tree, files):
            for i, record in enumerate(records):
                found = tfrecords.features(record, f"{tree.where}: {file}")
                image = found.get("image", [None])[0]
                if not isinstance(image, bytes):
                    raise BenchError(f"{tree.where}: {file}: record {i} has no image")
                yield first[file] + i, image

    return Collection(LAYOUT, images, stream, [])


def _records(tree: Tree, files) -> Iterator[tuple[str, Iterator[bytes]]]:
    for file, content in tree.stream(list(files)):
        yield file, tfrecords.read(content, f"{tree.where}: {file}")


def _sums(sizes: list[int]) -> list[int]:
    return [sum(sizes[: i + 1]) for i in range(len(sizes))]

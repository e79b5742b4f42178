"""Meta-Dataset's records of one set (Triantafillou et al. 2020): a file a class, and a spec."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from bench.base import tfrecords
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images import meta_dataset_spec as specs
from bench.data.images.collection import Collection, Found, natural, others

LAYOUT = "dataset_spec.json and <class>.tfrecords"


def read(tree: Tree) -> Collection | None:
    """Takes the images of every class that the spec lists.

    Raises:
        BenchError: names file and field, if a class or an image is missing.
    """
    found = [name for name in tree.names if PurePosixPath(name).name == specs.FILE]
    if not found:
        return None
    if len(found) > 1:
        raise BenchError(f"{tree.where}: several sets, {' and '.join(found[:3])}: give one of them")
    where, folder = f"{tree.where}: {found[0]}", PurePosixPath(found[0]).parent
    ((_, content),) = tree.stream(found)
    spec = specs.read(content, where)
    files = {
        str(folder / spec.file_of(number)): (split, number)
        for split, numbers in spec.classes.items()
        for number in numbers
    }
    if absent := sorted(files.keys() - set(tree.names), key=natural):
        raise BenchError(f"{where}: there is no {absent[0]}{others(absent)}")
    images, first = [], {}
    for file, records in _records(tree, files):
        split, number = files[file]
        first[file] = len(images)
        count = sum(1 for _ in records)
        if count != spec.images[number]:
            raise BenchError(
                f"{where}: images_per_class says {spec.images[number]} for class {number}, and "
                f"{file} holds {count}"
            )
        images += [Found(split, spec.names[number], f"{file}/{i}") for i in range(count)]

    def stream() -> Iterator[tuple[int, bytes]]:
        for file, records in _records(tree, files):
            for i, record in enumerate(records):
                where = f"{tree.where}: {file}, record {i}"
                yield first[file] + i, tfrecords.image(record, where)

    return Collection(LAYOUT, images, stream, [])


def _records(tree: Tree, files) -> Iterator[tuple[str, Iterator[bytes]]]:
    for file, content in tree.stream(list(files)):
        yield file, tfrecords.read(content, f"{tree.where}: {file}")

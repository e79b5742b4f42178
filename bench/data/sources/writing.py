"""Any images as a source of Meta-Dataset: a file of records for each class, and a specification.

As meta_dataset/dataset_conversion/dataset_to_records.py writes them, so that tools made for
Meta-Dataset can read them: JPEG (RGB) in a ``tf.train.Example`` with ``image`` and ``label``; an
image that is that already is taken as it is.
"""

import hashlib
import importlib
import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.base import archives, locks, registry, tfrecords
from bench.base.errors import BenchError
from bench.base.paths import explain_refusal
from bench.data.images import collection, decoding, duplicates, layouts, preparing
from bench.data.images import meta_dataset_spec as specs
from bench.data.images.collection import Collection
from bench.data.images.decoding import Changes
from bench.data.images.meta_dataset_spec import ClassOfImages
from bench.tasks.data_module import SPLITS


def convert(origin: str | None, source: Path | None, root: Path) -> str:
    """Writes the images of a data set, in whatever layout they come, as a source.

    Args:
        origin: a data set of the suite that ``source`` holds, or a folder or archive of class
            folders, which names the source then.
        source: a folder or archive.
        root: the folder in which the source becomes a folder.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if the images are not understood; nothing is written then.
    """
    if origin is None:
        raise BenchError(
            "say what to make records of: --from omniglot --source PATH, or any other data set of "
            "images, or --from FOLDER with a folder for each class"
        )
    name = origin.replace("-", "_")
    if name in registry.names("data"):
        if source is None:
            raise BenchError(f"--from {origin}: give --source PATH, a folder or archive of it")
    else:
        if not Path(origin).expanduser().exists():
            raise BenchError(
                f"--from {origin}: neither a folder nor a data set: "
                "maml-bench list datasets shows what there is"
            )
        source, stem = Path(origin).expanduser(), Path(origin).name.split(".")[0]
        name = re.sub("[^A-Za-z0-9_]+", "_", stem).strip("_") or "images"
        return _converted("image_folder", name, source, root)
    return _converted(name, name, source, root)


def _converted(dataset: str, name: str, source: Path, root: Path) -> str:
    module = importlib.import_module(f"bench.data.{dataset}")
    if hasattr(module, "opened"):  # a data set that has its own way to its images
        with module.opened(source) as found:
            return write(name, found, source, root)
    if not hasattr(module, "IMAGE_SET"):
        raise BenchError(f"--from {dataset}: this data set has no images of its own")
    with archives.opened(source) as tree:
        found = layouts.detect(tree, module.IMAGE_SET.layouts)
        return write(name, found, tree.where, root, module.IMAGE_SET.upright)


def write(
    name: str, found: Collection, where: Path | str, root: Path, upright: bool = False
) -> str:
    """Writes a source; until it is whole, its folder does not exist, or is the old one.

    Args:
        name: of the source, and of its folder.
        found: the images. Where they are grouped, super-classes keep the order in which they come;
            everything else is sorted by name.
        where: they come from, for messages.
        root: the folder in which the source becomes a folder.
        upright: whether images are turned as their EXIF orientation says.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if an image cannot be decoded, or splits share classes or images.
    """
    collection.check_classes(where, found.images)
    members = _members(found)
    with _new_folder(root, name) as folder:
        numbers = list(members.values())
        digests, changes = _write_records(folder, numbers, found, where, name, upright)
        notes = [*found.notes, *changes.notes(), *duplicates.find(where, found, digests)]
        classes = [_class_of(*key, len(own), found.grouped) for key, own in members.items()]
        text = specs.written(name, classes, str(root / name))
        (folder / specs.FILE).write_text(text + "\n", encoding="utf-8")
    return " ".join(
        [
            f"Found {found.layout} in {where}: {collection.counts_in_words(found.images)}.",
            *notes,
            f"Wrote {len(classes):,} files of records and {specs.FILE} to {root / name}.",
        ]
    )


def _members(found: Collection) -> dict[tuple[str, str], list[int]]:
    """Split and label of each class in the order of their numbers, with the images it has."""
    members: dict[tuple[str, str], list[int]] = {}
    for number in collection.order(found.images):
        members.setdefault(found.images[number][:2], []).append(number)
    groups = [image.label.partition("/")[0] if found.grouped else "" for image in found.images]
    rank = {group: i for i, group in enumerate(dict.fromkeys(groups))}

    def place(key: tuple[str, str]) -> tuple[int, int]:
        return SPLITS.index(key[0]), rank[groups[members[key][0]]]

    return {key: members[key] for key in sorted(members, key=place)}


def _class_of(split: str, label: str, images: int, grouped: bool) -> ClassOfImages:
    group, _, own = label.partition("/") if grouped else (None, "", label)
    return ClassOfImages(split, f"{group}-{own}" if grouped else own, images, group)


def _write_records(
    folder: Path,
    members: list[list[int]],
    found: Collection,
    where: Path | str,
    name: str,
    upright: bool,
) -> tuple[list[bytes], Changes]:
    """Writes the file of each class as soon as its last image has come.

    In most layouts the images of a class come together, so that few wait in memory.

    Returns:
        A digest of each image, and what was changed in them.

    Raises:
        BenchError: if an image cannot be decoded, or did not come.
    """
    class_of = {number: k for k, numbers in enumerate(members) for number in numbers}
    missing = [len(numbers) for numbers in members]
    digests, arrived, changes = [b""] * len(found.images), {}, Changes()
    with preparing.progress(name, len(digests)) as advance:
        for number, content in found.stream():
            image, changed = encode(content, f"{where}: {found.images[number].name}", upright)
            changes.add(changed, found.images[number].name)
            digests[number] = hashlib.blake2b(image, digest_size=16).digest()
            label = class_of[number]
            arrived[number] = tfrecords.example({"image": [image], "label": [label]})
            missing[label] -= 1
            if not missing[label]:
                records = tfrecords.written(arrived.pop(n) for n in members[label])
                (folder / specs.PATTERN.format(label)).write_bytes(b"".join(records))
            advance()
    if any(missing):
        lost = next(n for own, gap in zip(members, missing) if gap for n in own if not digests[n])
        raise BenchError(
            f"{where}: {found.images[lost].name} was listed and is gone, as are "
            f"{sum(missing) - 1:,} others: prepare from files that stay"
        )
    return digests, changes


def encode(
    content: bytes | np.ndarray, name: str, upright: bool = False
) -> tuple[bytes, tuple[str, ...]]:
    """Makes JPEG of an image; one that is JPEG in RGB, and need not be turned, stays as it is.

    Args:
        content: an image file, or uint8 ``[height, width, channels]`` or ``[height, width]``.
        name: for messages.
        upright: whether an image is turned as its EXIF orientation says.

    Returns:
        The file, and what was changed: keys of :data:`bench.data.images.decoding.CHANGES`.

    Raises:
        BenchError: names the image, if it cannot be decoded.
    """
    image, changes = preparing.decode(content, name, upright)
    if image.format == "JPEG" and image.mode == "RGB":
        return content, changes
    buffer = io.BytesIO()
    decoding.convert(image, "RGB", name).save(buffer, format="JPEG")
    return buffer.getvalue(), changes


@contextmanager
def _new_folder(root: Path, name: str) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``root / name`` when the context ends well.

    Raises:
        BenchError: if it cannot be written, or another process is writing it.
    """
    unfinished, old = (root / f".{name}.{state}" for state in ("unfinished", "old"))
    with explain_refusal(root / name, "choose another --data-root"):
        root.mkdir(parents=True, exist_ok=True)
        with locks.held(root / f".{name}.lock") as owner:
            if owner:
                raise BenchError(f"{root / name}: is being written by {owner}: wait for it")
            for leftover in (unfinished, old):  # of a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            unfinished.mkdir()
            try:
                yield unfinished
                if (root / name).exists():
                    (root / name).rename(old)
                unfinished.rename(root / name)
            finally:
                for leftover in (unfinished, old):
                    shutil.rmtree(leftover, ignore_errors=True)

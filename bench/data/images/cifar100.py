"""Few-shot sets that are CIFAR-100 with a split of its classes: CIFAR-FS and FC100."""

import json
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from bench.base import paths, safe_pickle
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found
from bench.data.images.layouts import class_folders, label_pickles, pixels
from bench.data.images.preparing import ImageSet

ROWS = 3 * 32 * 32


class Cifar100(NamedTuple):
    """The layout of CIFAR-100 itself, ``train``, ``test`` and ``meta``, as torchvision has it.

    Attributes:
        dataset: whose facts hold the split.
        split: file of the split: the classes of training, validation and test.
        level: ``"fine"`` if the split lists classes, ``"coarse"`` if it lists superclasses.
    """

    dataset: str
    split: str
    level: str

    @property
    def LAYOUT(self) -> str:
        """The files, in words; a name as in :mod:`bench.data.images.layouts`."""
        return "cifar-100-python/{train,test,meta}"

    def read(self, tree: Tree) -> Collection | None:
        """Takes both files' images; their own division is of no use here.

        Raises:
            BenchError: names file and key, if one is missing or of another size.
        """
        metas = [n for n in tree.names if PurePosixPath(n).name == "meta"]
        if not metas:
            return None
        folder = PurePosixPath(metas[0]).parent
        files = {name: str(folder / name) for name in ("meta", "train", "test")}
        if absent := [f for f in files.values() if f not in set(tree.names)]:
            raise BenchError(f"{tree.where}: there is no {absent[0]}, but {metas[0]}")
        loaded = {
            PurePosixPath(file).name: (f"{tree.where}: {file}", content)
            for file, content in tree.stream(list(files.values()))
        }
        where, content = loaded["meta"]
        meta = safe_pickle.load(content, where)
        fine, coarse = (pixels.entry(meta, f"{n}_label_names", where) for n in ("fine", "coarse"))
        split_of = self._split_of()
        images: list[Found] = []
        data: list[np.ndarray] = []
        for name in ("train", "test"):
            where, content = loaded[name]
            one = safe_pickle.load(content, where)
            rows = pixels.entry(one, "data", where)
            numbers = [pixels.entry(one, f"{n}_labels", where) for n in ("fine", "coarse")]
            if not isinstance(rows, np.ndarray) or rows.shape[1:] != (ROWS,):
                raise BenchError(f"{where}: 'data' is not uint8 [images, {ROWS}]")
            if any(not isinstance(n, list | np.ndarray) or len(n) != len(rows) for n in numbers):
                raise BenchError(f"{where}: {len(rows)} images, but not as many labels")
            for i, (f, c) in enumerate(zip(*numbers)):
                label, above = _name(fine, f, where), _name(coarse, c, where)
                if split := split_of.get(label if self.level == "fine" else above):
                    images.append(Found(split, label, f"{name}/{name}_{i:05d}"))
                    data.append(rows[i])

        def stream():
            for number, row in enumerate(data):
                yield number, row.reshape(3, 32, 32).transpose(1, 2, 0)

        return Collection(self.LAYOUT, images, stream, [f"Splits: {self.split}."])

    def _split_of(self) -> dict[str, str]:
        file = paths.facts(self.dataset) / "splits" / self.split
        splits = json.loads(file.read_text(encoding="utf-8"))
        return {label: split for split, labels in splits.items() for label in labels}


def image_set(name: str, title: str, split: str, level: str, standard: dict) -> ImageSet:
    """What is known of such a set before its files are seen."""
    return ImageSet(
        name=name,
        title=title,
        side=32,
        channels=3,
        standard=standard,
        layouts=(Cifar100(name, split, level), label_pickles, class_folders),
        download=_download,
    )


def _download(folder: Path, remedy: str) -> Path:
    from torchvision.datasets import CIFAR100  # slow to import
    from torchvision.datasets.utils import download_url

    try:
        download_url(CIFAR100.url, folder, CIFAR100.filename, CIFAR100.tgz_md5)
    except (OSError, RuntimeError) as error:  # no network, or another MD5
        raise BenchError(
            f"{CIFAR100.url}: download failed ({error}): get it by other means and {remedy}"
        ) from error
    return folder / CIFAR100.filename


def _name(names: Any, number: Any, where: str) -> str:
    try:
        return pixels.text(names[int(number)])
    except (LookupError, TypeError, ValueError, OverflowError):
        raise BenchError(f"{where}: label {number!r} has no name in meta") from None

"""The tables of Ravi and Larochelle (2017), and ImageNet's own folders of classes.

The tables name images by class and running number, ``n0153282900000005.jpg``: the fifth of the
class's files when these are sorted by ImageNet's number, ``n01532829/n01532829_17.JPEG``
(write_miniImagenet_filelist.py of Chen et al. 2019). A second form of the tables names ImageNet's
files themselves, in the columns class_name,image_name (easy-few-shot-learning).
"""

import re
from collections import defaultdict
from pathlib import PurePosixPath
from typing import NamedTuple

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found, from_files, natural, others
from bench.data.images.layouts import class_folders, split_files, tables
from bench.data.images.layouts.ravi_csv import TABLES

LAYOUT = "{train,val,test}.csv and the images in folders of classes, as in ImageNet"
NUMBERED = re.compile(r"(n[0-9]{8})([0-9]{8})\.\w+")
IMAGES = (".jpg", ".jpeg", ".png")
EASY = ("image_name", "class_name")


class _Class(NamedTuple):
    """The images of a class, by file name and in order, and the folders that they are in."""

    by_name: dict[str, str]
    in_order: list[str]
    folders: list[str]

    def at_number(self, running: int, where: str) -> str | None:
        """The image with this running number, from 1 on; None if there are fewer.

        Raises:
            BenchError: if the images are in several folders, of which the table counts one.
        """
        if len(self.folders) > 1:
            raise BenchError(
                f"{where} counts the images of one folder, and the class has "
                f"{' and '.join(self.folders[:2])}{others(self.folders[1:])}: leave only the one "
                "that is meant"
            )
        return self.in_order[running - 1] if 1 <= running <= len(self.in_order) else None


def read(tree: Tree) -> Collection | None:
    """Takes the images that the tables list, from folders named like their classes.

    None if there is no folder for any class. Of a class with a folder below one named ``train``
    only that counts: those of ImageNet's own validation were never part of the tables.

    Raises:
        BenchError: names table and line, if a column or an image is missing, or several folders
            hold images of a class that the table counts.
    """
    files = split_files.find(tree, TABLES)
    if files is None:
        return None
    classes = _classes(tree)
    images, absent = [], []
    for split, content in split_files.contents(tree, files).items():
        where = f"{tree.where}: {files[split]}"
        heading = content.split(b"\n", 1)[0]
        columns = EASY if b"image_name" in heading else ("filename", "label")
        for line, file, label in tables.rows(content, columns, where):
            in_class = classes.get(label, _Class({}, [], []))
            name = in_class.by_name.get(PurePosixPath(file).name)
            if name is None and (numbered := NUMBERED.fullmatch(file)):
                name = in_class.at_number(int(numbered[2]), f"{where}, line {line}: {file}")
            if name is not None:
                images.append(Found(split, label, name))
            else:
                count = len(in_class.in_order)
                absent.append(
                    f"{where}, line {line}: there is no {file} among the {count} images of {label}/"
                )
    if absent and not images:
        return None
    if absent:
        raise BenchError(f"{absent[0]}{others(absent)}: put it there")
    return from_files(tree, LAYOUT, images)


def _classes(tree: Tree) -> dict[str, _Class]:
    names = defaultdict(list)
    for path in map(PurePosixPath, tree.names):
        if path.suffix.lower() in IMAGES:
            names[path.parent.name].append(str(path))
    return {label: _class(class_folders.within("train", paths)) for label, paths in names.items()}


def _class(names: list[str]) -> _Class:
    paths = sorted(map(PurePosixPath, names), key=lambda path: (natural(path.stem), str(path)))
    by_name = {path.name: str(path) for path in paths}
    return _Class(by_name, list(by_name.values()), sorted({str(path.parent) for path in paths}))

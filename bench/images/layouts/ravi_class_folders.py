"""The tables of Ravi and Larochelle (2017), and ImageNet's own folders of classes.

The tables name images by class and running number, ``n0153282900000005.jpg``: the fifth of the
class's files when these are sorted by ImageNet's number, ``n01532829/n01532829_17.JPEG``
(write_miniImagenet_filelist.py of Chen et al. 2019). A second form of the tables names ImageNet's
files themselves, in the columns class_name,image_name (easy-few-shot-learning).
"""

import re
from collections import defaultdict
from pathlib import PurePosixPath

from bench.archives import Tree
from bench.errors import BenchError
from bench.images.collection import Collection, Found, natural, of_files, others
from bench.images.layouts import split_files, tables
from bench.images.layouts.ravi_csv import TABLES

LAYOUT = "{train,val,test}.csv and the images in folders of classes, as in ImageNet"
NUMBERED = re.compile(r"(n[0-9]{8})([0-9]{8})\.\w+")
IMAGES = (".jpg", ".jpeg", ".png")
EASY = ("image_name", "class_name")


def read(tree: Tree) -> Collection | None:
    """Takes the images that the tables list, from folders named like their classes.

    None if there is no folder for any class.

    Raises:
        BenchError: names table and line, if a column or an image is missing.
    """
    files = split_files.find(tree, TABLES)
    if files is None:
        return None
    paths = [path for path in map(PurePosixPath, tree.names) if path.suffix.lower() in IMAGES]
    folders = defaultdict(dict)
    for path in sorted(paths, key=lambda path: natural(path.stem)):
        folders[path.parent.name][path.name] = str(path)
    in_order = {label: list(own.values()) for label, own in folders.items()}
    images, absent = [], []
    for split, content in split_files.contents(tree, files).items():
        where = f"{tree.where}: {files[split]}"
        heading = content.split(b"\n", 1)[0]
        columns = EASY if b"image_name" in heading else ("filename", "label")
        for line, file, label in tables.rows(content, columns, where):
            own = folders.get(label, {})
            name = own.get(PurePosixPath(file).name)
            if name is None and (numbered := NUMBERED.fullmatch(file)):
                running = int(numbered[2])
                name = in_order[label][running - 1] if 1 <= running <= len(own) else None
            if name is not None:
                images.append(Found(split, label, name))
            else:
                said = f"there is no {file} among the {len(own)} images of {label}/"
                absent.append(f"{where}, line {line}: {said}")
    if absent and not images:
        return None
    if absent:
        raise BenchError(f"{absent[0]}{others(absent)}: put it there")
    return of_files(tree, LAYOUT, images)

"""The tables of Ravi and Larochelle (2017), and all images in one folder."""

from pathlib import PurePosixPath

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found, from_files, others
from bench.data.images.layouts import split_files, tables
from bench.tasks.data_module import SPLITS

LAYOUT = "{train,val,test}.csv with the columns filename,label, and images/"
TABLES = {split: (f"{split}.csv",) for split in SPLITS}


def read(tree: Tree) -> Collection | None:
    """Takes the images that the tables list, from ``images/`` or from beside the tables.

    Raises:
        BenchError: names table and line, if a column or an image is missing.
    """
    files = split_files.find(tree, TABLES)
    if files is None:
        return None
    names, images, used, absent = set(tree.names), [], {}, []
    for split, content in split_files.contents(tree, files).items():
        folder = PurePosixPath(files[split]).parent
        where = f"{tree.where}: {files[split]}"
        for line, file, label in tables.rows(content, ("filename", "label"), where):
            places = [str(folder / "images" / file), str(folder / file)]
            name = next((place for place in places if place in names), None)
            if name is None:
                absent.append(f"{where}, line {line}: there is no {places[0]}")
            elif name in used:
                raise BenchError(f"{where}, line {line}: {file} is also in {used[name]}")
            else:
                used[name] = f"{split}.csv, line {line}"
                images.append(Found(split, label, name))
    if absent:
        raise BenchError(f"{absent[0]}{others(absent)}: put it there")
    return from_files(tree, LAYOUT, images)

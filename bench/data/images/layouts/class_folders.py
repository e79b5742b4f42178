"""A folder for each split, in it a folder for each class: ``train/n01532829/*.jpg``."""

from pathlib import PurePosixPath

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found, from_files
from bench.tasks.data_module import SPLITS

LAYOUT = "{train,val,test}/<class>/*.jpg or *.png"
# what torchvision's ImageFolder takes
IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def read(tree: Tree) -> Collection | None:
    """Takes the images in folders of classes in folders of splits.

    Raises:
        BenchError: if there are several such sets.
    """
    images, roots = [], set()
    for name in tree.names:
        *root, split, label, file = ("", "", *PurePosixPath(name).parts)
        if split in SPLITS and file.lower().endswith(IMAGES):
            images.append(Found(split, label, name))
            roots.add("/".join(root[2:]) or ".")
    if len(roots) > 1:
        raise BenchError(
            f"{tree.where}: several sets, in {' and '.join(sorted(roots)[:3])}: "
            "give one of them as --source"
        )
    return from_files(tree, LAYOUT, images) if images else None


def within(part: str | None, names: list[str]) -> list[str]:
    """Those of a class's images that lie below a folder of this name; all, if none does.

    ImageNet has images of each class in ``train`` and in ``val``.
    """
    return [name for name in names if part in PurePosixPath(name).parts[:-1]] or names

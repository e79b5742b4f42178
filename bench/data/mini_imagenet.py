"""miniImageNet, or any images laid out like it: 84x84 colour photographs in 64/16/20 classes."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from bench import archives, paths
from bench.data_module import SPLITS
from bench.errors import BenchError
from bench.images import packed
from bench.images.episodes import ImageClasses, ImageEpisodeDataModule

SIDE = 84
STANDARD = {"train": (64, 38_400), "val": (16, 9_600), "test": (20, 12_000)}  # classes, images
PREPARE = "maml-bench prepare mini_imagenet --source PATH"
_IMAGE = (".jpg", ".jpeg", ".png")
Images = list[tuple[str, str, str]]  # (split, class, name in the tree) of each image


class MiniImageNetDataModule(ImageEpisodeDataModule):
    """Episodes of photographs: 84x84 RGB, in 0..1.

    The splits are those of the files that were prepared: for miniImageNet, those of Ravi and
    Larochelle (2017), 64/16/20 classes of 600 images.

    Args:
        data_root: folder of prepared data; see :func:`bench.paths.data_root`.
        **kwargs: see :class:`bench.images.episodes.ImageEpisodeDataModule`.
    """

    image_shape = (3, SIDE, SIDE)

    def __init__(self, data_root: str | None = None, **kwargs):
        super().__init__(**kwargs)

    def load(self, split: str) -> ImageClasses:
        """Reads the classes of one split from the packed cache."""
        classes = packed.read(_cache(self.hparams["data_root"]), f"run `{PREPARE}`; {understood()}")
        own = [name for name in classes.names if name.startswith(f"{split}/")]
        classes = packed.select(classes, own)
        return classes._replace(names=[name.removeprefix(f"{split}/") for name in own])


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the images, whatever layout they come in, and writes the packed cache.

    Args:
        source: a folder, zip or tar in one of :data:`LAYOUTS`.
        data_root: where to write; see :func:`bench.paths.data_root`.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if the layout is not understood, an image is missing or damaged, or a class is
            in two splits; nothing is written then.
    """
    if source is None:
        raise BenchError(
            f"miniImageNet may not be passed on, so it cannot be downloaded: run `{PREPARE}`; "
            + understood()
        )
    packed.check_writable(_cache(data_root))
    with archives.opened(Path(source)) as tree:
        layout, images, notes = _detect(tree)
        images.sort(key=lambda i: (i[0], i[1], PurePosixPath(i[2]).name))  # as in any layout
        _check_splits(tree.where, images)
        classes, odd = _pack(tree, images)
    if odd:
        notes.append(f"{odd:,} images were not 84x84 RGB and were resized or converted.")
    packed.write(_cache(data_root), classes)
    return " ".join(
        [
            f"Found {layout} in {source}: {_counts(images)}.",
            *notes,
            f"Wrote {len(images):,} images of {SIDE}x{SIDE} to {_cache(data_root)}.",
        ]
    )


def _cache(data_root: Path | None) -> Path:
    return paths.data_root(data_root) / "mini_imagenet.packed"


# Layouts ------------------------------------------------------------------------------------------


def ravi_csv(tree: archives.Tree) -> Images:
    """Three tables with the columns filename and label; the images in ``images/`` or beside them.

    Raises:
        BenchError: names table and line, if a column or an image is missing.
    """
    tables = [f"{split}.csv" for split in SPLITS]
    found = Counter(p.parent for p in map(PurePosixPath, tree.names) if p.name in tables)
    folders = [folder for folder, count in found.items() if count == len(tables)]
    if not folders:
        return []
    folder = min(folders, key=lambda f: len(f.parts))
    content = dict(tree.stream([str(folder / table) for table in tables]))
    known, images, used = set(tree.names), [], {}
    for split, table in zip(SPLITS, tables):
        where = f"{tree.where}: {folder / table}"
        for line, file, label in _rows(content[str(folder / table)], where):
            places = [str(folder / "images" / file), str(folder / file)]
            name = next((place for place in places if place in known), None)
            if name is None:
                raise BenchError(f"{where}, line {line}: there is no {places[0]}: put it there")
            if name in used:
                raise BenchError(f"{where}, line {line}: {file} is also in {used[name]}")
            used[name] = f"{table}, line {line}"
            images.append((split, label, name))
    return images


def _rows(content: bytes, where: str) -> Iterator[tuple[int, str, str]]:
    """The rows of a table: line, file name and label."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace")))
    try:
        columns = rows.fieldnames or ["(none)"]
        if not {"filename", "label"} <= set(columns):
            raise BenchError(f"{where} has the columns {', '.join(columns)}, not filename, label")
        for row in rows:
            if not row["filename"] or not row["label"]:
                raise BenchError(f"{where}, line {rows.line_num}: filename or label is empty")
            yield rows.line_num, row["filename"], row["label"]
    except csv.Error as error:
        raise BenchError(f"{where}, line {rows.line_num}: {error}") from error


def class_folders(tree: archives.Tree) -> Images:
    """A folder for each split, in it a folder for each class: ``train/n01532829/*.jpg``.

    Raises:
        BenchError: if there are several such sets.
    """
    images, roots = [], set()
    for name in tree.names:
        *root, split, label, file = ("", "", *PurePosixPath(name).parts)
        if split in SPLITS and file.lower().endswith(_IMAGE):
            images.append((split, label, name))
            roots.add("/".join(root[2:]) or ".")
    if len(roots) > 1:
        raise BenchError(
            f"{tree.where}: several sets, in {' and '.join(sorted(roots)[:3])}: "
            "give one of them as --source"
        )
    return images


LAYOUTS = {
    "{train,val,test}.csv with the columns filename,label, and images/": ravi_csv,
    "{train,val,test}/<class>/*.jpg or *.png": class_folders,
}


def understood() -> str:
    """The end of an error message: what PATH may be."""
    return "PATH may be a folder, zip or tar with " + ", or ".join(LAYOUTS)


def _detect(tree: archives.Tree) -> tuple[str, Images, list[str]]:
    """Takes the first layout that fits; what is wrong with those before it becomes a note."""
    notes = []
    for layout, read in LAYOUTS.items():
        try:
            if images := read(tree):
                return layout, images, [f"Another layout did not fit ({n})." for n in notes]
        except BenchError as error:
            notes.append(str(error))
    if notes:
        raise BenchError(notes[0])
    seen = [name for name, _ in Counter(n.split("/")[0] for n in tree.names).most_common(5)]
    raise BenchError(
        f"{tree.where}: no layout that is understood; it holds "
        f"{', '.join(seen) + ', ...' if seen else 'nothing'}; {understood()}"
    )


# Checking and packing -----------------------------------------------------------------------------


def _check_splits(where: Path, images: Images) -> None:
    splits = defaultdict(set)
    for split, label, _ in images:
        splits[label].add(split)
    for label, found in splits.items():
        if len(found) > 1:
            raise BenchError(
                f"{where}: class {label!r} is in {' and '.join(sorted(found))}: "
                "a class belongs to one split"
            )
    if missing := set(SPLITS) - set.union(*splits.values()):
        raise BenchError(f"{where}: no images for {' and '.join(sorted(missing))}")


def _counts(images: Images) -> str:
    classes = {split: len({label for s, label, _ in images if s == split}) for split in SPLITS}
    count = Counter(split for split, _, _ in images)
    said = ", ".join(f"{s} {classes[s]} classes and {count[s]:,} images" for s in SPLITS)
    if {split: (classes[split], count[split]) for split in SPLITS} == STANDARD:
        return said + ", as in the standard miniImageNet"
    return said + (
        "; this is NOT the standard miniImageNet, which has 64/16/20 classes and "
        "38,400/9,600/12,000 images: published numbers do not apply"
    )


def _pack(tree: archives.Tree, images: Images) -> tuple[ImageClasses, int]:
    """Reads the images in the order in which they are stored.

    Returns:
        The classes, named ``split/class``, and how many images had another size or colour mode.
    """
    place = {name: row for row, (_, _, name) in enumerate(images)}
    pixels, odd = np.empty((len(images), SIDE, SIDE, 3), np.uint8), 0
    progress = track(tree.stream(place), "Images", len(images), console=Console(stderr=True))
    for name, content in progress:
        image = packed.decode(content, f"{tree.where}: {name}")
        if image.mode != "RGB" or image.size != (SIDE, SIDE):
            image, odd = (
                image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS),
                odd + 1,
            )
        pixels[place[name]] = np.asarray(image)
    count = Counter(f"{split}/{label}" for split, label, _ in images)  # in order of appearance
    counts = np.array(list(count.values()), np.int64)
    return ImageClasses(pixels, counts.cumsum() - counts, counts, list(count)), odd

"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people."""

import hashlib
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from bench.base import archives, paths
from bench.base.errors import BenchError
from bench.data.images import decoding, packed, preparing
from bench.data.images.collection import Collection, Found
from bench.data.images.episodes import ImageClasses, ImageEpisodeDataModule
from bench.tasks.data_module import SPLITS

HALVES = ("images_background", "images_evaluation")
SIDE, DRAWINGS = 28, 20
PREPARE = "maml-bench prepare omniglot --source PATH"
UNDERSTOOD = (
    "PATH may be the folder with images_background/<Alphabet>/characterNN/NNNN_MM.png and "
    "images_evaluation/..., the official images_background.zip with images_evaluation.zip beside "
    "it, the folder with both zips, or a tar of these folders"
)
REMEDY = f"run `{PREPARE}`; {UNDERSTOOD}"
_DRAWING = re.compile(rf"(?:.*/)?({'|'.join(HALVES)})/([^/]+/character\d+)/(\d+_\d+\.png)")


class OmniglotDataModule(ImageEpisodeDataModule):
    """Episodes of handwritten characters: 28x28, bright ink on black, in 0..1.

    Args:
        split: which characters are for training, validation and test: ``"vinyals"`` (1028/172/423
            characters, Vinyals et al. 2016 as torchmeta froze it) or ``"lake"`` (the background
            alphabets, five of them for validation, against the evaluation alphabets: 883/81/659).
        rotations: which splits also use each character turned by 90, 180 and 270 degrees, as
            classes of their own. ``"train"`` follows Santoro et al. 2016 and Vinyals et al. 2016;
            the code of the MAML paper turns characters at test too, which is ``"all"``.
        data_root: folder of prepared data; see :func:`bench.base.paths.data_root`.
        **kwargs: see :class:`bench.data.images.episodes.ImageEpisodeDataModule`.
    """

    inverted = True
    image_shape = (1, SIDE, SIDE)

    def __init__(
        self,
        split: str = "vinyals",
        rotations: str = "train",
        data_root: str | None = None,
        **kwargs,
    ):
        super().__init__(rotations=rotations, **kwargs)
        known = sorted(file.stem for file in _splits().glob("*.json"))
        if split not in known:
            raise BenchError(f"split={split!r}: choose {' or '.join(known)}")

    @property
    def checksum(self) -> str:
        """Of the packed cache."""
        return packed.checksum(cache(self.hparams["data_root"]), REMEDY)

    def load(self, split: str) -> ImageClasses:
        """Reads the characters of one split from the packed cache."""
        classes = cached(self.hparams["data_root"])
        return packed.select(classes, characters(self.hparams["split"])[split])


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Shrinks all drawings to 28x28, inverts them and writes the packed cache.

    Args:
        source: what the user has (see :data:`UNDERSTOOD`); None downloads the official zips.
        data_root: where to write; see :func:`bench.base.paths.data_root`.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if a drawing is missing or damaged; nothing is written then.
    """
    packed.check_writable(cache(data_root))
    with ExitStack() as stack:
        if source is None:
            folder = _download(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        else:
            folder = Path(source).expanduser().absolute()
        trees, notes = _open(folder, stack)
        drawings, extra = _find(trees)
        classes, odd = _pack(trees, drawings)
    if extra:
        notes.append(f"Left out {len(extra)} characters that Omniglot lacks, such as {extra[0]}.")
    if odd:
        notes.append(f"{odd:,} drawings were not 105x105, as the original ones are.")
    packed.write(cache(data_root), classes)
    where = source or "the official zips, downloaded"
    found = f"Found {len(classes.names):,} characters of {DRAWINGS} drawings in {where}."
    wrote = f"Wrote {len(classes.images):,} images of {SIDE}x{SIDE} to {cache(data_root)}."
    return " ".join([found, *notes, wrote])


@contextmanager
def opened(source: Path) -> Iterator[Collection]:
    """The drawings at their full size, inverted, with Lake's split and alphabets as super-classes.

    In the order of Meta-Dataset: of the alphabets for validation, the one with the fewest
    characters comes first.

    Args:
        source: what the user has (see :data:`UNDERSTOOD`).

    Raises:
        BenchError: if a drawing is missing or damaged.
    """
    with ExitStack() as stack:
        trees, notes = _open(Path(source).expanduser().absolute(), stack)
        drawings, _ = _find(trees)
        split_of = {name: s for s, names in characters("lake").items() for name in names}
        sizes = Counter(name.split("/")[0] for name in drawings)

        def place(character: str) -> tuple:
            alphabet, split = character.split("/")[0], split_of[character]
            return SPLITS.index(split), sizes[alphabet] if split == "val" else 0, character

        images, number_of = [], {}
        for character in sorted(drawings, key=place):
            for tree, name in drawings[character]:
                number_of[tree, name] = len(images)
                images.append(Found(split_of[character], character, name))

        def stream() -> Iterator[tuple[int, np.ndarray]]:
            for tree, here in enumerate(trees):
                own = [name for t, name in number_of if t == tree]
                for name, content in here.stream(own):
                    image = decoding.decode(content, f"{here.where}: {name}").image
                    yield number_of[tree, name], 255 - np.asarray(image.convert("L"))

        yield Collection("Omniglot's drawings", images, stream, notes, grouped=True)


def cached(data_root: Path | str | None) -> ImageClasses:
    """All characters, sorted by name, 20 drawings each in the order of their drawers.

    Raises:
        BenchError: if they are not prepared, or the cache is damaged.
    """
    return packed.read(cache(data_root), REMEDY)


def is_prepared(data_root: Path | str | None) -> bool:
    """Whether there is a packed cache."""
    return cache(data_root).exists()


def cache(data_root: Path | str | None) -> Path:
    """The packed file."""
    return paths.data_root(data_root) / "omniglot.packed"


def _splits() -> Path:
    return paths.facts("omniglot") / "splits"


def characters(split: str) -> dict[str, list[str]]:
    """The characters that a named split has for training, validation and test."""
    return json.loads((_splits() / f"{split}.json").read_text("utf-8"))


def _download(folder: Path) -> Path:
    from torchvision.datasets import Omniglot  # slow to import
    from torchvision.datasets.utils import download_url

    for name, md5 in _checksums().items():
        url = f"{Omniglot.download_url_prefix}/{name}"
        try:
            download_url(url, folder, md5=md5)
        except (OSError, RuntimeError) as error:  # no network, or another MD5
            raise BenchError(
                f"{url}: download failed ({error}): get both zips by other means and run "
                f"`{PREPARE}`; {UNDERSTOOD}"
            ) from error
    return folder


def _open(source: Path, stack: ExitStack) -> tuple[list[archives.Tree], list[str]]:
    """Opens what a path stands for, and the official zips inside it.

    Returns:
        Folders and archives, and notes on the zips' MD5.
    """
    given, pair = source.name.split(".")[0], [source]
    if given in HALVES:
        both = [source.with_name(source.name.replace(given, half)) for half in HALVES]
        pair = both if all(path.exists() for path in both) else pair
    trees = [stack.enter_context(archives.opened(path)) for path in pair]
    unpacked = {m[1] for tree in trees for m in map(_DRAWING.fullmatch, _names(tree)) if m}
    checksums = _checksums()
    zips = {path.name: path.read_bytes() for path in pair if path.name in checksums}
    for tree in trees[:]:
        for name in tree.names:
            zipped = name.rsplit("/", 1)[-1]
            if zipped in checksums and zipped.removesuffix(".zip") not in unpacked:
                [(_, zips[zipped])] = tree.stream([name])
                inner = archives.opened(tree.where / name, zips[zipped])
                trees.append(stack.enter_context(inner))
    notes = []
    for name, content in sorted(zips.items()):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        has = "has" if md5 == checksums[name] else "does not have"
        notes.append(f"{name} {has} the official MD5.")
    return trees, notes


def _names(tree: archives.Tree) -> list[str]:
    return [f"{tree.where.name}/{name}" for name in tree.names]


def _find(trees: list[archives.Tree]) -> tuple[dict, list[str]]:
    """Looks for 20 drawings of every character.

    Returns:
        ``{character: [(number of the tree, name in it) of each drawing]}``, sorted, and the names
        of characters that do not belong to Omniglot.
    """
    found: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
    for number, tree in enumerate(trees):
        for name, full_name in zip(tree.names, _names(tree)):
            if match := _DRAWING.fullmatch(full_name):
                _, character, file = match.groups()
                if file in found[character]:
                    raise BenchError(
                        f"{tree.where}: holds {character}/{file} twice: give one copy as --source"
                    )
                found[character][file] = number, name
    if not found:
        raise BenchError(f"{trees[0].where}: no drawings of Omniglot in it; {UNDERSTOOD}")
    lake = characters("lake")
    halves, broken = [], []
    for half, wanted in zip(HALVES, (lake["train"] + lake["val"], lake["test"])):
        wrong = [name for name in sorted(wanted) if len(found.get(name, ())) != DRAWINGS]
        halves.append(f"{len(wanted) - len(wrong)} of {len(wanted)} characters of {half}")
        broken += wrong
    if broken:
        raise BenchError(
            f"{trees[0].where}: not the whole of Omniglot: {' and '.join(halves)} are complete; "
            f"{broken[0]} has {len(found.get(broken[0], ()))} drawings instead of {DRAWINGS}: "
            f"unpack both halves again; {UNDERSTOOD}"
        )
    names = sorted(lake["train"] + lake["val"] + lake["test"])
    extra = sorted(set(found) - set(names))
    return {name: [found[name][file] for file in sorted(found[name])] for name in names}, extra


def _pack(trees: list[archives.Tree], drawings: dict) -> tuple[ImageClasses, int]:
    """Reads the drawings in the order in which they are stored.

    Returns:
        The characters, and how many drawings are of another size than 105x105.
    """
    place = [{} for _ in trees]  # where each file's image goes
    for row, files in enumerate(drawings.values()):
        for column, (number, name) in enumerate(files):
            place[number][name] = row, column
    images, odd = np.empty((len(drawings), DRAWINGS, SIDE, SIDE, 1), np.uint8), 0
    stored = ((tree, *file, at) for tree, at in zip(trees, place) for file in tree.stream(at))
    with preparing.progress("Omniglot", len(drawings) * DRAWINGS) as advance:
        for tree, name, content, at in stored:
            images[at[name]], as_drawn = shrink(content, f"{tree.where}: {name}")
            odd += not as_drawn
            advance()
    return ImageClasses.pack(images, list(drawings)), odd


def shrink(content: bytes, name: str) -> tuple[np.ndarray, bool]:
    """A drawing as it is packed, ``[28, 28, 1]`` uint8, and whether it was 105x105.

    Raises:
        BenchError: names the file, if it cannot be decoded.
    """
    image = decoding.decode(content, name).image.convert("L")
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return 255 - small[..., None], image.size == (105, 105)  # paper becomes 0


def _checksums() -> dict[str, str]:
    lines = (paths.facts("omniglot") / "checksums.txt").read_text("utf-8").splitlines()
    return {name: md5 for md5, name in map(str.split, lines)}

"""Lake's one-shot runs: 20 fixed 20-way tasks within an alphabet, by whose error people compare."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np

from bench.base import archives, paths
from bench.base.errors import BenchError
from bench.data import omniglot
from bench.data.images import packed
from bench.data.images.episodes import ImageClasses, ImageEpisodeDataModule
from bench.tasks import counter_random
from bench.tasks.episode import TaskSpec

RUNS, WAYS = 20, 20
PREPARE = "maml-bench prepare omniglot_runs --source PATH"
UNDERSTOOD = "PATH may be all_runs.zip of brendenlake/omniglot, or a folder with run01 to run20"
REMEDY = f"run `{PREPARE}`; {UNDERSTOOD}"
_FILE = re.compile(
    r"(?:.*/)?(run\d\d/(?:training/class\d\d\.png|test/item\d\d\.png|class_labels\.txt))"
)


class OmniglotRunsDataModule(ImageEpisodeDataModule):
    """Episodes of one alphabet, every support image by one drawer and every query by another.

    The test list is Lake's 20 runs: 20 characters of an evaluation alphabet, one image of each to
    learn from and one to recognise, 400 in all. Training and validation episodes are drawn in the
    same way from the background alphabets (Lake et al. 2015), those with 20 characters or more.

    Args:
        ways: 20, as in the runs.
        shots: 1, as in the runs.
        queries: query images of a class in training and validation, each by a drawer of its own;
            the runs have one.
        rotations: ``"none"``, as in the runs.
        test_episodes: how many of the runs.
        data_root: folder of prepared data; see :func:`bench.base.paths.data_root`.
        **kwargs: see :class:`bench.data.images.episodes.ImageEpisodeDataModule`.
    """

    kind = "classification_errors"

    inverted = True
    image_shape = (1, omniglot.SIDE, omniglot.SIDE)

    def __init__(
        self,
        ways: int = WAYS,
        shots: int = 1,
        queries: int = 1,
        rotations: str = "none",
        test_episodes: int = RUNS,
        data_root: str | None = None,
        **kwargs,
    ):
        super().__init__(
            ways=ways,
            shots=shots,
            queries=queries,
            rotations=rotations,
            test_episodes=test_episodes,
            **kwargs,
        )
        train_ways = self.ways("train")
        if (ways, train_ways, shots, rotations) != (WAYS, WAYS, 1, "none"):
            raise BenchError(
                f"ways={ways}, train_ways={train_ways}, shots={shots}, rotations={rotations!r}: "
                f"Lake's runs are {WAYS}-way "
                "1-shot, and nothing in them is turned; take omniglot with split=lake for others"
            )
        if test_episodes > RUNS:
            raise BenchError(f"test_episodes={test_episodes}: there are {RUNS} runs")

    @property
    def spec(self) -> TaskSpec:
        """Classification into 20 characters, of which the error rate is quoted."""
        return TaskSpec(self.kind, self.image_shape, WAYS)

    @property
    def checksum(self) -> str:
        """Of the packed characters and of the packed runs."""
        root = self.hparams["data_root"]
        characters = packed.checksum(omniglot.cache(root), omniglot.REMEDY)
        return f"{characters}-{packed.checksum(_cache(root), REMEDY)}"

    def load(self, split: str) -> ImageClasses:
        """Reads the runs, or the background alphabets from the cache of Omniglot."""
        root = self.hparams["data_root"]
        if split == "test":
            return packed.read(_cache(root), REMEDY)
        classes = omniglot.cached(root)
        own = set(alphabets()[split])
        return packed.select(classes, [n for n in classes.names if n.split("/")[0] in own])

    def queries(self, split: str) -> int:
        """Query images of a class: one in the runs."""
        return 1 if split == "test" else super().queries(split)

    def draw(self, split: str, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which images are in an episode; see :meth:`ImageEpisodeDataModule.draw`."""
        classes, rows = self.classes(split), 1 + self.queries(split)
        upright = np.zeros((len(index), WAYS), np.int64)
        if split == "test":
            return classes.start.reshape(RUNS, WAYS, 1)[index] + np.arange(rows), upright
        _, first, size = np.unique(
            [name.split("/")[0] for name in classes.names], return_index=True, return_counts=True
        )
        key = counter_random.stream(*self.stream_names(split))
        u = counter_random.uniform(key, index, 1 + 2 * WAYS + 2 * rows)
        alphabet = (u[:, 0] * len(first)).astype(np.int64)
        character = counter_random.choose(u[:, 1 : 1 + 2 * WAYS], size[alphabet])
        drawer = counter_random.choose(u[:, 1 + 2 * WAYS :], omniglot.DRAWINGS)
        start = classes.start[first[alphabet][:, None] + character]
        return start[..., None] + drawer[:, None], upright


def alphabets() -> dict[str, list[str]]:
    """The background alphabets for training and for validation."""
    file = paths.facts("omniglot_runs") / "splits" / "background.json"
    return json.loads(file.read_text(encoding="utf-8"))


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Shrinks the images of the runs as those of Omniglot and writes the packed cache.

    Args:
        source: what the user has (see :data:`UNDERSTOOD`).
        data_root: where to write; see :func:`bench.base.paths.data_root`.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if an image or a label is missing or damaged; nothing is written then.
    """
    if source is None:
        raise BenchError(
            f"the runs are not downloaded: take python/one-shot-classification/all_runs.zip of "
            f"brendenlake/omniglot and run `{PREPARE}`; {UNDERSTOOD}"
        )
    packed.check_writable(_cache(data_root))
    with archives.opened(Path(source)) as tree:
        found = {m[1]: name for name in tree.names if (m := _FILE.fullmatch(name))}
        if not found:
            raise BenchError(f"{tree.where}: no runs in it; {UNDERSTOOD}")
        inside = {name: key for key, name in found.items()}
        files = {inside[name]: content for name, content in tree.stream(inside)}
        names, pairs = _pairs(files, tree.where)
        images = [
            [omniglot.shrink(files[file], f"{tree.where}: {file}")[0] for file in pair]
            for pair in pairs
        ]
    packed.write(_cache(data_root), ImageClasses.pack(np.array(images), names))
    said = [f"Found {RUNS} runs of {WAYS} characters in {source}."]
    if Path(source).is_file():
        md5 = hashlib.md5(Path(source).read_bytes(), usedforsecurity=False).hexdigest()
        official = (paths.facts("omniglot_runs") / "checksums.txt").read_text().split()[0]
        said.append(f"It {'has' if md5 == official else 'does not have'} the official MD5.")
    said.append(f"Wrote {2 * len(names)} images of 28x28 to {_cache(data_root)}.")
    if not omniglot.is_prepared(data_root):
        said.append(f"Training needs the rest of Omniglot: run `{omniglot.PREPARE}` as well.")
    return " ".join(said)


def _cache(data_root: Path | str | None) -> Path:
    return paths.data_root(data_root) / "omniglot_runs.packed"


def _pairs(files: dict[str, bytes], where: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """The characters of all runs, and the image to learn and the one to recognise of each.

    Raises:
        BenchError: names run and file, if one is missing or the labels are not one to one.
    """
    names, pairs = [], []
    for run in (f"run{number:02d}" for number in range(1, RUNS + 1)):
        labels = f"{run}/class_labels.txt"
        if labels not in files:
            raise BenchError(f"{where}: there is no {labels}; {UNDERSTOOD}")
        rows = [line.split() for line in files[labels].decode("utf-8", "replace").splitlines()]
        test_of = {row[1]: row[0] for row in rows if len(row) == 2}
        classes = [f"{run}/training/class{i:02d}.png" for i in range(1, WAYS + 1)]
        items = {f"{run}/test/item{i:02d}.png" for i in range(1, WAYS + 1)}
        if set(test_of) != set(classes) or set(test_of.values()) != items:
            raise BenchError(
                f"{where}: {labels} does not give each of {WAYS} test images one of {WAYS} classes"
            )
        if absent := sorted({*classes, *items} - set(files)):
            raise BenchError(f"{where}: there is no {absent[0]} (of {len(absent)} missing)")
        names += [f"{run}/class{i:02d}" for i in range(1, WAYS + 1)]
        pairs += [(name, test_of[name]) for name in classes]
    return names, pairs

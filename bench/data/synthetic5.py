"""Synthetic-5: the simulated students of the paper on deep knowledge tracing, from their files."""

import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np

from bench import counter_random, paths
from bench.errors import BenchError
from bench.student_episodes import Sequences, StudentEpisodes

VERSIONS, STUDENTS, ITEMS, CONCEPTS = 10, 4000, 50, 5
TRAINING = STUDENTS // 2  # rows before it are for training, the others for test
FILE = "dkt_synthetic_c5_v0-9.npz"
PREPARE = f"maml-bench prepare synthetic5 --source {FILE}"


class Synthetic5DataModule(StudentEpisodes):
    """4,000 students answer 50 items in the same order; five concepts, not told; ten versions.

    Piech et al., "Deep knowledge tracing", NeurIPS 2015 (arXiv:1506.05908), section 4. Students
    2000 to 3999 are tested. The files do not come with their generator, so there is no ceiling: a
    Bayes filter fitted to them reaches an AUC of .830 (deviation over versions .003).

    Args:
        version: which of the ten sets, each with items of its own.
        show_skills: whether methods see the concept of each item.
        data_root: folder of prepared data; see :func:`bench.paths.data_root`.
        protocol: see :class:`bench.student_episodes.StudentEpisodes`.
        shots: as there.
        queries: as there.
        val_episodes: how many of the 2,000 training students are kept for validation.
        test_episodes: test students, at most.
        **kwargs: as there.
    """

    synthetic = True

    def __init__(
        self,
        version: int = 0,
        show_skills: bool = False,
        data_root: str | None = None,
        protocol: str = "next",
        shots: int = ITEMS - 1,
        queries: int | None = None,
        val_episodes: int = 200,
        test_episodes: int = TRAINING,
        **kwargs,
    ):
        super().__init__(
            protocol=protocol,
            shots=shots,
            queries=queries,
            val_episodes=val_episodes,
            test_episodes=test_episodes,
            **kwargs,
        )
        if type(version) is not int or not 0 <= version < VERSIONS:
            raise BenchError(f"version={version!r}: give a number from 0 to {VERSIONS - 1}")
        if val_episodes >= TRAINING:
            raise BenchError(f"val_episodes={val_episodes}: of {TRAINING} some must be trained on")

    @cached_property
    def _stored(self) -> tuple[np.ndarray, np.ndarray]:
        """Answers ``[students, items]`` bool and the concept of each item, of this version."""
        answers, concept = load(paths.data_root(self.hparams["data_root"]) / "synthetic5.npz")
        return answers[self.hparams["version"]], concept[self.hparams["version"]]

    @cached_property
    def students(self) -> dict[str, np.ndarray]:
        """The rows of each split; which are for validation does not depend on ``seed``."""
        key = counter_random.stream("synthetic5 validation", self.hparams["version"])
        order = counter_random.uniform(key, np.arange(TRAINING), 1)[:, 0].argsort()
        kept = self.hparams["val_episodes"]
        rest = np.arange(TRAINING, STUDENTS)
        return {"train": np.sort(order[kept:]), "val": np.sort(order[:kept]), "test": rest}

    @property
    def items(self) -> int:
        """Fifty."""
        return ITEMS

    @cached_property
    def features(self) -> np.ndarray:
        """The concept of each item, ``[items, concepts]``, if it is shown."""
        return (self._stored[1][:, None] == np.arange(self.skills)).astype(float)

    @property
    def skills(self) -> int:
        """Five concepts, if they are shown."""
        return CONCEPTS if self.hparams["show_skills"] else 0

    def lengths(self, split: str) -> np.ndarray:
        """Fifty answers of every student."""
        return np.full(len(self.students[split]), ITEMS)

    def training_students(self, index: np.ndarray) -> np.ndarray:
        """A student drawn at random for each training episode."""
        key = counter_random.stream(*self.stream_names("train"), "student")
        u = counter_random.uniform(key, index, 1)[:, 0]
        return (u * len(self.students["train"])).astype(np.int64)

    def sequences(self, split: str, students: np.ndarray) -> Sequences:
        """The answers to items 0, 1, 2, ..."""
        answer = self._stored[0][self.students[split][students]]
        item = np.broadcast_to(np.arange(ITEMS), answer.shape)
        return Sequences(item, answer, np.full(len(answer), ITEMS))

    def stream_names(self, split: str) -> tuple:
        """The version is part of the world."""
        return *super().stream_names(split), self.hparams["version"]


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads the ten versions; nothing in the file is executed.

    Returns:
        Answers ``[versions, students, items]`` bool, and concepts ``[versions, items]`` int64.

    Raises:
        BenchError: if it is not there, or not what it should be.
    """
    if not path.is_file():
        raise BenchError(f"{path} does not exist: run {PREPARE}")
    try:
        with np.load(path, allow_pickle=False) as stored:
            packed, concept = stored["responses"], stored["concept"]
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BenchError(f"{path} is no file of {FILE}'s kind ({error}): run {PREPARE}") from None
    wanted = {"responses": (VERSIONS, STUDENTS, -(-ITEMS // 8)), "concept": (VERSIONS, ITEMS)}
    for name, array in (("responses", packed), ("concept", concept)):
        if array.shape != wanted[name] or array.dtype.kind not in "iu":
            raise BenchError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}, not whole numbers of "
                f"shape {wanted[name]}: run {PREPARE}"
            )
    if packed.dtype != np.uint8 or concept.min() < 0 or concept.max() >= CONCEPTS:
        raise BenchError(f"{path}: responses must be packed bits, concepts 0 to {CONCEPTS - 1}")
    return np.unpackbits(packed, -1)[..., :ITEMS] > 0, concept.astype(np.int64)


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Checks the file of ten versions and copies what is needed of it.

    Raises:
        BenchError: if it is not what it should be; nothing is written then.
    """
    if source is None:
        raise BenchError(f"synthetic5 cannot be downloaded by a program: {PREPARE}")
    source = Path(source).expanduser()
    source = source / FILE if source.is_dir() else source
    answers, concept = load(source)
    path = paths.data_root(data_root) / "synthetic5.npz"
    try:
        with paths.replacing(path) as file:
            np.savez_compressed(file, responses=np.packbits(answers, -1), concept=concept)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from None
    return (
        f"Found {VERSIONS} versions of {STUDENTS:,} students and {ITEMS} items in {source}, "
        f"{100 * answers.mean():.1f} % right. Wrote {path}."
    )

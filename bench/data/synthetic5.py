"""Synthetic-5: the simulated students of the paper on deep knowledge tracing, from their files."""

from functools import cached_property
from pathlib import Path

import numpy as np

from bench.base import checksums, npz, paths
from bench.base.errors import BenchError
from bench.data.students.episodes import Protocol, Sequences, StudentEpisodes
from bench.data.students.responses import read
from bench.data.students.responses.text import load as load_text
from bench.tasks import counter_random

VERSIONS, STUDENTS, ITEMS, CONCEPTS = 10, 4000, 50, 5
TRAINING = STUDENTS // 2  # rows before it are for training, the others for test
FILE = "dkt_synthetic_c5_v0-9.npz"
NAME = "naive_c5_q50_s4000_v{}"
PREPARE = "maml-bench prepare synthetic5 --source PATH"
UNDERSTOOD = (
    f"PATH may be {FILE}, the folder with {NAME.format(0)}.csv to v9.csv of the DKT paper (and its "
    f"info/), or that with {NAME.format(0)}_train.csv and _test.csv of the DKVMN paper"
)


class Synthetic5DataModule(StudentEpisodes):
    """4,000 students answer 50 items in the same order; five concepts, not told; ten versions.

    Piech et al., "Deep knowledge tracing", NeurIPS 2015 (arXiv:1506.05908), section 4. Students
    2000 to 3999 are tested. The files do not come with their generator, so there is no ceiling: a
    Bayes filter fitted to them reaches an AUC of .830 (deviation over versions .003).

    Args:
        version: which of the ten sets, each with items of its own.
        show_skills: whether methods see the concept of each item.
        data_root: folder of prepared data; see :func:`bench.base.paths.data_root`.
        protocol: see :class:`bench.data.students.episodes.StudentEpisodes`.
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
        protocol: Protocol = "next",
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
        path, wanted = paths.data_root(self.hparams["data_root"]), self.hparams["version"]
        answers, concept, version = load(path / "synthetic5.npz")
        at = np.flatnonzero(version == wanted)
        if not len(at):
            raise BenchError(
                f"version={wanted} was not prepared, only {', '.join(map(str, version))}: choose "
                f"one of them, or get it and run {PREPARE}"
            )
        return answers[at[0]], concept[at[0]]

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
        if not self.skills:
            return np.zeros((ITEMS, 0))  # known before any data is read
        concept = self._stored[1]
        if concept.min() < 0:
            raise BenchError(
                f"show_skills=True: the concepts of version={self.hparams['version']} were not "
                "among the files prepared: prepare the DKT paper's own with info/ in the folder"
            )
        return (concept[:, None] == np.arange(CONCEPTS)).astype(float)

    @property
    def skills(self) -> int:
        """Five concepts, if they are shown."""
        return CONCEPTS if self.hparams["show_skills"] else 0

    def lengths(self, split: str) -> np.ndarray:
        """Fifty answers of every student."""
        return np.full(len(self.students[split]), ITEMS)

    @property
    def training_tasks(self) -> int:
        """How many students there are to train on."""
        return len(self.students["train"])

    def sequences(self, split: str, students: np.ndarray) -> Sequences:
        """The answers to items 0, 1, 2, ..."""
        answer = self._stored[0][self.students[split][students]]
        item = np.broadcast_to(np.arange(ITEMS), answer.shape)
        return Sequences(item, answer, np.full(len(answer), ITEMS))

    @property
    def checksum(self) -> str:
        """Of the answers and concepts of this version."""
        return checksums.digest(self._stored)

    def setup(self, stage: str) -> None:
        """Reads the file, so that what is wrong with it is said before anything starts."""
        self._stored  # noqa: B018

    def stream_names(self, split: str) -> tuple:
        """The version is part of the world."""
        return *super().stream_names(split), self.hparams["version"]


def load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads a file of packed answers; nothing in it is executed.

    Returns:
        Answers ``[versions, students, items]`` bool, concepts ``[versions, items]`` int64 (-1: not
        known), and the numbers of the versions.

    Raises:
        BenchError: if it is not there, or not what it should be.
    """
    if not path.is_file():
        raise BenchError(f"{path} does not exist: run {PREPARE}")
    try:
        stored = npz.load(path)
        packed, concept = stored["responses"], stored["concept"]
    except (OSError, ValueError, KeyError) as error:
        raise BenchError(f"{path} is no file of {FILE}'s kind ({error}): run {PREPARE}") from None
    version = stored.get("version", np.arange(packed.size // (STUDENTS * -(-ITEMS // 8))))
    count = version.size
    wanted = {
        "responses": (count, STUDENTS, -(-ITEMS // 8)),
        "concept": (count, ITEMS),
        "version": (count,),
    }
    for name, array in (("responses", packed), ("concept", concept), ("version", version)):
        if array.shape != wanted[name] or array.dtype.kind not in "iu":
            raise BenchError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}, not whole numbers of "
                f"shape {wanted[name]}: run {PREPARE}"
            )
    if packed.dtype != np.uint8 or concept.min() < -1 or concept.max() >= CONCEPTS:
        raise BenchError(f"{path}: responses must be packed bits, concepts 0 to {CONCEPTS - 1}")
    return np.unpackbits(packed, -1)[..., :ITEMS] > 0, concept.astype(np.int64), version


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Checks what there is of the ten versions and writes what is needed of it to one file.

    Args:
        source: the packed file, or the folder with it, with the paper's own files or with those
            of the DKVMN paper, plain or gzipped.
        data_root: where to write; see :func:`bench.base.paths.data_root`.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if it is not what it should be; nothing is written then.
    """
    if source is None:
        raise BenchError(f"synthetic5 cannot be downloaded by a program: {PREPARE}; {UNDERSTOOD}")
    source = Path(source).expanduser()
    packed = source / FILE if source.is_dir() else source
    texts = source.is_dir() and not packed.exists()
    answers, concept, version = _read_texts(source) if texts else load(packed)
    path = paths.data_root(data_root) / "synthetic5.npz"
    try:
        with paths.replacing(path) as file:
            np.savez_compressed(
                file, responses=np.packbits(answers, -1), concept=concept, version=version
            )
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from None
    without = ", ".join(map(str, version[concept.min(1) < 0]))
    note = f"The concepts are not known of versions {without}. " if without else ""
    return (
        f"Found {len(version)} of {VERSIONS} versions of {STUDENTS:,} students and {ITEMS} items "
        f"in {source}, {100 * answers.mean():.1f} % right. {note}Wrote {path}."
    )


def _read_texts(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads the files of either paper, as many versions as there are; as :func:`load` returns."""
    found = {v: _files(folder, NAME.format(v)) for v in range(VERSIONS)}
    found = {v: files for v, files in found.items() if files}
    if not found:
        raise BenchError(f"{folder}: nothing of Synthetic-5 in it: {UNDERSTOOD}")
    concepts = [_concepts(folder, NAME.format(v)) for v in found]
    answers = [_answers(files) for files in found.values()]
    return np.stack(answers), np.stack(concepts), np.array(list(found))


def _files(folder: Path, name: str) -> list[Path]:
    """The file of a version, or those of its two halves; none if a half is missing."""
    for parts in ([""], ["_train", "_test"]):
        files = [folder / f"{name}{part}.csv" for part in parts]
        files = [f if f.exists() else f.with_name(f"{f.name}.gz") for f in files]
        if all(f.exists() for f in files):
            return files
    return []


def _answers(files: list[Path]) -> np.ndarray:
    """``[students, items]`` bool: training students first, as the halves are those of the rows."""
    responses = read(files)
    where, size = " and ".join(map(str, files)), len(responses.answer)
    if (len(responses.students), size) != (STUDENTS, STUDENTS * ITEMS) or (
        responses.item.reshape(STUDENTS, -1) != np.arange(ITEMS)
    ).any():
        raise BenchError(
            f"{where}: {len(responses.students):,} students with {size:,} answers: wanted are "
            f"{STUDENTS:,}, each with an answer to {ITEMS} items in order"
        )
    return responses.answer.reshape(STUDENTS, ITEMS) > 0


def _concepts(folder: Path, name: str) -> np.ndarray:
    """``[items]`` concepts, the third column of the paper's notes; -1 where there are none.

    The authors separate the columns of version 0 by tabs, those of the others by commas.
    """
    files = [f / f"{name}_info.txt" for f in (folder / "info", folder)]
    for file in filter(Path.exists, files):
        lines = [line.replace(",", " ").split() for _, line in load_text(file).filled()]
        concept = [line[2] for line in lines if len(line) == 4 and line[2] in "01234"]
        if len(concept) != ITEMS or len(lines) != ITEMS:
            raise BenchError(
                f"{file}: wanted are {ITEMS} lines of mean, deviation, concept (0 to "
                f"{CONCEPTS - 1}) and difficulty: get it again, or take it away"
            )
        return np.array(concept, np.int64)
    return np.full(ITEMS, -1)

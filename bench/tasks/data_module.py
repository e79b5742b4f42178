"""The LightningDataModule that every data set is: one method turns episode numbers to episodes."""

import copy
import math
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.fabric.utilities.warnings import PossibleUserWarning
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from bench.base import arguments
from bench.base.errors import BenchError
from bench.tasks.episode import Episode, TaskSpec, View

SPLITS = ("train", "val", "test")
MOST_WORKERS = 128  # processes, for each of training, validation and test
EVALUATED_TOGETHER = 4  # times as many tasks as in training: no graph holds memory, fewer kernels
SMALL_INPUT = 3072  # numbers: larger inputs fill the cores, and memory, by themselves
FALSE_ADVICE = (  # Lightning cannot know that no workers are fastest, and that we do resume
    ".*does not have many workers",
    ".*your dataloader is not resumable",
)


class EpisodeDataModule(LightningDataModule):
    """Serves batches of episodes; works under an unmodified Trainer.

    Episode *i* of a split is a pure function of the arguments and *i*. Training episodes are
    numbered on for ever and never repeat; validation and test episodes are fixed lists, which do
    not depend on ``seed``. An epoch is ``iterations_per_epoch`` meta-batches.

    Args:
        tasks_per_batch: tasks in one meta-batch, over all devices together. Of small inputs four
            times as many are evaluated together.
        iterations_per_epoch: meta-batches after which Lightning's epoch ends (and it validates).
        val_episodes: length of the validation list.
        test_episodes: length of the test list.
        seed: which training episodes are drawn.
        num_workers: processes that draw episodes; 0 is usually fastest, because a whole batch is
            drawn in a few vectorised calls.
    """

    kind: ClassVar[str]  # of its tasks, as in its spec
    synthetic = False  # whether tables must say that this data is made up
    training_tasks: int | None = None  # how many different ones there are; None: without end
    training_rows: int | None = None  # how many they ask for, as if all weighed alike

    def __init__(
        self,
        tasks_per_batch: int = 8,
        iterations_per_epoch: int = 500,
        val_episodes: int = 200,
        test_episodes: int = 600,
        seed: int = 0,
        num_workers: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        arguments.check_all(type(self), self.hparams)
        if self.hparams.get("data_root") is not None:  # plain data, which a checkpoint can hold
            self.hparams["data_root"] = str(self.hparams["data_root"])
        for name in ("tasks_per_batch", "iterations_per_epoch", "val_episodes", "test_episodes"):
            self.require_at_least(name, 1)
        self.require_at_least("num_workers", 0)
        if num_workers > MOST_WORKERS:
            raise BenchError(
                f"num_workers={num_workers}: each is a process: give {MOST_WORKERS} or fewer"
            )

    def require_at_least(self, name: str, least: int) -> None:
        """Refuses an argument below its least value.

        Raises:
            BenchError: names the argument.
        """
        arguments.require_at_least(least, **{name: self.hparams[name]})

    @property
    def hparams_initial(self) -> dict:
        """What loggers write of the arguments: under ``data``, as the learner has a seed too."""
        return {"data": dict(super().hparams_initial)}

    # What a data set is ---------------------------------------------------------------------

    @property
    def spec(self) -> TaskSpec:
        """What the tasks look like, known before any data is read."""
        raise NotImplementedError

    def episodes(self, split: str, index: np.ndarray) -> Episode:
        """Draws a batch of episodes.

        Args:
            split: ``"train"``, ``"val"`` or ``"test"``.
            index: ``[tasks]`` int64 episode numbers.

        Returns:
            The episodes, each of which depends on its own number alone.
        """
        raise NotImplementedError

    @property
    def checksum(self) -> str | None:
        """Of the data that episodes are drawn from, for records; None: it is drawn by a program."""
        return None

    @property
    def vocabulary(self) -> dict[str, Any] | None:
        """What questions to students are called, for checkpoints; None: tasks are no students."""
        return None

    def class_count(self, split: str) -> int:
        """How many classes the episodes of a split are drawn from; 0 where none are told apart.

        ``Episode.class_numbers`` are below it.
        """
        return 0

    def class_names(self, split: str) -> list[str]:
        """What these classes are called, in the order of their numbers."""
        return []

    def listed(self, split: str) -> int:
        """How many episodes the fixed list of validation or test has."""
        return self.hparams[f"{split}_episodes"]

    def tasks_at_once(self, split: str) -> int:
        """How many tasks one batch of a split holds, over all devices together."""
        tasks = self.hparams["tasks_per_batch"]
        small = math.prod(self.spec.input_shape) <= SMALL_INPUT
        return tasks * EVALUATED_TOGETHER if split != "train" and small else tasks

    def views(self, split: str) -> list[View]:
        """How the list of a split is divided into parts that are scored apart; empty: not."""
        return []

    def unit(self, split: str, index: np.ndarray) -> np.ndarray:
        """What episodes belong to that count as one, ``[episodes]``: by default, themselves."""
        return index

    def stream_names(self, split: str) -> tuple:
        """What the random numbers of a split's episodes are keyed by.

        The world that a synthetic data set is made of, ``data_seed``, is part of it.
        """
        seed = self.hparams["seed"] if split == "train" else 0
        world = [self.hparams[n] for n in ("data_seed",) if n in self.hparams]
        return type(self).__name__, split, seed, *world

    # Lightning ------------------------------------------------------------------------------

    def train_dataloader(self) -> DataLoader:
        """Fresh episodes, ``tasks_per_batch`` at a time."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader:
        """The fixed list of validation episodes."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        """The fixed list of test episodes."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader:
        """The same list as for testing."""
        return self._loader("test")

    def _loader(self, split: str) -> DataLoader:
        workers = self.hparams["num_workers"]
        for advice in FALSE_ADVICE:
            warnings.filterwarnings("ignore", advice, PossibleUserWarning)
        return DataLoader(
            EpisodeBatches(self, split),
            sampler=EpisodeSampler(self, split),
            batch_size=None,  # the sampler gives the numbers of a whole batch
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # not the global one, which the user may have seeded
        )


class EpisodeBatches(Dataset):
    """Maps the episode numbers of a batch to the batch.

    Args:
        data: where episodes come from.
        split: which split.
    """

    def __init__(self, data: EpisodeDataModule, split: str):
        self.data, self.split = data, split

    def __getstate__(self) -> dict:
        data = copy.copy(self.data)
        data.trainer = None  # a worker process needs no copy of the trainer and its model
        return {"data": data, "split": self.split}

    def __len__(self) -> int:
        if self.split == "train":
            return self.data.hparams["iterations_per_epoch"]
        return -(-self.data.listed(self.split) // self.data.tasks_at_once(self.split))

    def __getitem__(self, index: np.ndarray | int) -> Episode:
        if isinstance(index, int):  # the number of a batch, where Lightning put its own sampler
            tasks = self.data.tasks_at_once(self.split)
            last = np.inf if self.split == "train" else self.data.listed(self.split)
            index = np.arange(index * tasks, min((index + 1) * tasks, last), dtype=np.int64)
        return self.data.episodes(self.split, index)


def process_count() -> int:
    """How many processes train together here."""
    from torch import distributed

    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


class EpisodeSampler(DistributedSampler):
    """Deals out episode numbers to devices, a batch at a time.

    A ``DistributedSampler`` so that Lightning does not replace it. Training goes on where the
    trainer's count of meta-batches stands, so a resumed run sees the episodes that come next;
    without a trainer, where the last epoch ended. Test episodes are dealt without padding: each is
    seen by one device once.

    Args:
        data: the data module, whose trainer tells rank and position.
        split: which split.
    """

    def __init__(self, data: EpisodeDataModule, split: str):
        trainer = data.trainer
        self.data, self.split = data, split
        self.rank = trainer.global_rank if trainer else 0
        self.devices = trainer.world_size if trainer else 1
        tasks = data.tasks_at_once(split)
        if split == "train" and tasks % self.devices:
            raise BenchError(
                f"tasks_per_batch={tasks} cannot be shared evenly by {self.devices} devices: "
                f"choose a multiple of {self.devices}"
            )
        if split != "train" and data.listed(split) < self.devices:
            raise BenchError(
                f"{data.listed(split)} {split} episodes are too few for {self.devices} devices: "
                f"each needs one"
            )
        self.tasks = max(tasks // self.devices, 1)
        self.dealt = 0  # meta-batches, where no trainer counts them

    def __len__(self) -> int:
        if self.split == "train":
            return self.data.hparams["iterations_per_epoch"]
        return -(-len(self._listed()) // self.tasks)

    def __iter__(self) -> Iterator[np.ndarray]:
        if self.data.trainer is None and process_count() > 1:
            raise BenchError(
                "several devices and a dataloader alone, which does not know them: give the "
                "Trainer the data module, as datamodule="
            )
        if self.split != "train":
            index = self._listed()
            yield from (index[i : i + self.tasks] for i in range(0, len(index), self.tasks))
            return
        start, first = self._count_batches(), self.rank * self.tasks
        for batch in range(start, start + len(self)):
            self.dealt = batch + 1
            yield batch * self.tasks * self.devices + first + np.arange(self.tasks)

    def set_epoch(self, epoch: int) -> None:
        """Ignored: the position comes from the number of meta-batches consumed."""

    def _listed(self) -> np.ndarray:
        """The numbers of the episodes that this device takes of a list."""
        return np.arange(self.rank, self.data.listed(self.split), self.devices)

    def _count_batches(self) -> int:
        """How many meta-batches this run has trained on so far."""
        trainer = self.data.trainer
        return trainer.fit_loop.epoch_loop.batch_progress.total.processed if trainer else self.dealt

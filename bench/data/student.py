"""Student-knowledge tasks: after a few answered questions, predict the rest."""

from functools import cached_property

import numpy as np
import torch

from bench import counter_random
from bench.data_module import EpisodeDataModule
from bench.episode import Episode, TaskSpec
from bench.errors import BenchError


class StudentDataModule(EpisodeDataModule):
    """A task is a student: support = a few answered questions, query = other questions.

    Synthetic students of the two-parameter logistic model (Birnbaum, in Lord and Novick,
    "Statistical Theories of Mental Test Scores", 1968): a student of ability ``theta`` answers
    item j right with probability ``sigmoid(a_j (theta - b_j))``. Abilities are standard normal,
    difficulties b normal with deviation 1, discriminations a log-normal with mean 0 and deviation
    0.4 of their logarithm. An input is the number of the question.

    Args:
        shots: answered questions of a student.
        queries: questions to predict.
        items: how many questions there are in all.
        data_seed: which items there are: the world, shared by all splits.
        test_episodes: test students; 5,000 give an interval of about +-.005 for the AUC.
        **kwargs: see :class:`bench.data_module.EpisodeDataModule`.
    """

    synthetic = True

    def __init__(
        self,
        shots: int = 10,
        queries: int = 40,
        items: int = 100,
        data_seed: int = 0,
        test_episodes: int = 5000,
        **kwargs,
    ):
        super().__init__(test_episodes=test_episodes, **kwargs)
        self.require_at_least("shots", 1)
        self.require_at_least("queries", 1)
        if shots + queries > items:
            raise BenchError(
                f"shots={shots} + queries={queries} is more than items={items}: a student answers "
                "each question once"
            )

    @property
    def spec(self) -> TaskSpec:
        """Right or wrong, from the number of the question."""
        return TaskSpec("answers", (), 1, items=self.hparams["items"])

    @cached_property
    def item_parameters(self) -> tuple[np.ndarray, np.ndarray]:
        """Discriminations and difficulties, ``[items]`` each."""
        key = counter_random.stream("2pl items", self.hparams["data_seed"])
        z = counter_random.normal(counter_random.uniform(key, np.arange(self.hparams["items"]), 2))
        return np.exp(0.4 * z[:, 0]), z[:, 1]

    def students(self, split: str, index: np.ndarray) -> tuple[np.ndarray, ...]:
        """Draws students and their answers.

        Returns:
            Abilities ``[tasks]``; item numbers and answers ``[tasks, shots + queries]``, in
            random order.
        """
        items, answers = self.hparams["items"], self.hparams["shots"] + self.hparams["queries"]
        key = counter_random.stream(*self.stream_names(split))
        u = counter_random.uniform(key, index, 2 + items + answers)
        ability = counter_random.normal(u[:, :2])[:, 0]
        item = u[:, 2 : 2 + items].argsort(1)[:, :answers]
        a, b = self.item_parameters
        right = 1 / (1 + np.exp(-a[item] * (ability[:, None] - b[item])))
        return ability, item, u[:, 2 + items :] < right

    def episodes(self, split: str, index: np.ndarray) -> Episode:
        """Draws episodes.

        Returns:
            ``support_x: [tasks, shots]`` int64 item numbers, ``support_y: [tasks, shots]`` 0/1
            answers; the query likewise with ``queries``.
        """
        _, item, answer = self.students(split, index)
        item = torch.from_numpy(item)
        answer = torch.from_numpy(answer).to(torch.get_default_dtype())
        shots = self.hparams["shots"]
        return Episode(
            support_x=item[:, :shots],
            support_y=answer[:, :shots],
            query_x=item[:, shots:],
            query_y=answer[:, shots:],
            index=torch.from_numpy(np.asarray(index, np.int64)),
        )

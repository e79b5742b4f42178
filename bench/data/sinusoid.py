"""Sinusoid regression, the first experiment of the MAML paper."""

import numpy as np
import torch

from bench.tasks import counter_random
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, TaskSpec


class SinusoidDataModule(EpisodeDataModule):
    """A task is a sine wave of its own amplitude and phase, seen at a few points.

    ``y = A sin(x - phase)`` with A in [0.1, 5], phase in [0, pi] and x in [-5, 5], all uniform:
    Finn et al. 2017, section 5.1, and its code.

    Args:
        shots: support points.
        queries: query points.
        **kwargs: see :class:`bench.tasks.data_module.EpisodeDataModule`.
    """

    kind = "regression"
    synthetic = True

    def __init__(self, shots: int = 10, queries: int = 10, **kwargs):
        super().__init__(**kwargs)
        self.require_at_least("shots", 1)
        self.require_at_least("queries", 1)

    @property
    def spec(self) -> TaskSpec:
        """Regression from one number to one number."""
        return TaskSpec(self.kind, (1,), 1)

    def episodes(self, split: str, index: np.ndarray) -> Episode:
        """Draws episodes.

        Returns:
            ``support_x`` and ``support_y: [tasks, shots, 1]``, ``query_x`` and
            ``query_y: [tasks, queries, 1]``.
        """
        shots = self.hparams["shots"]
        points = shots + self.hparams["queries"]
        key = counter_random.stream(*self.stream_names(split))
        u = counter_random.uniform(key, index, 2 + points)
        amplitude, phase, x = 0.1 + 4.9 * u[:, :1], np.pi * u[:, 1:2], 10 * u[:, 2:] - 5
        y = amplitude * np.sin(x - phase)
        x, y = (torch.from_numpy(v[..., None]).to(torch.get_default_dtype()) for v in (x, y))
        return Episode(
            support_x=x[:, :shots],
            support_y=y[:, :shots],
            query_x=x[:, shots:],
            query_y=y[:, shots:],
            index=torch.from_numpy(np.asarray(index, np.int64)),
        )

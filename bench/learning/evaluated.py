"""How every algorithm is validated, tested and asked for predictions."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from bench.base.errors import BenchError
from bench.learning.mixed_precision import for_networks_alone
from bench.tasks import evaluation
from bench.tasks.episode import Episode, MetaBatch, split_by_shape
from bench.tasks.evaluation import EpisodeScores, Scores
from bench.tasks.predicted import PredictedRows
from bench.tasks.questions import ITEM


class Evaluated(LightningModule):
    """Adapts to every episode on its own, and scores its predictions by episode number.

    Needs ``predict``, ``configure_model``, ``net``, ``spec`` and ``objective`` of
    :class:`bench.learning.learner.MetaLearner`.

    Attributes:
        every_step: whether :meth:`predict` is asked for the outputs after every inner step; what it
            gives after the last one is the same.
        episode_scores: after a validation or test ``index``, ``[episodes]``, and each metric,
            ``[episodes, steps]``.
        view_scores: the same for each view: for each number of answers shown, or each source.
        keeps_predictions: whether what is predicted of each query row is kept too.
        predictions: of the latest validation or test, if it is kept: see
            :class:`bench.tasks.predicted.PredictedRows`.
    """

    def __init__(self):
        super().__init__()
        self.every_step = True
        self.scores: EpisodeScores | None = None  # while episodes are scored
        self.episode_scores: dict[str, Any] | None = None
        self.view_scores: list[Scores] = []
        self.keeps_predictions = False
        self.predicted_rows: PredictedRows | None = None  # while episodes are scored
        self.predictions: dict[str, Any] | None = None

    def evaluate(self, episode: Episode, every_step: bool = True) -> Tensor:
        """:meth:`predict` where gradients are switched off, as inside ``Trainer.test``.

        Lightning evaluates in inference mode, in which nothing can adapt: this leaves it, on
        copies of the episode's tensors.

        Args:
            episode: tasks.
            every_step: whether more than the outputs after the last inner step are wanted.
        """
        self.every_step = every_step
        try:
            with torch.inference_mode(False), torch.enable_grad(), for_networks_alone(self.device):
                copies = (v.clone() if isinstance(v, Tensor) else v for v in episode)
                return self.predict(Episode(*copies)).detach()
        finally:
            self.every_step = True

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Callable[[Tensor], Tensor]:
        """Adapts to a user's own few examples, outside any Trainer.

        Args:
            support_x: ``[support, *input_shape]``.
            support_y: ``[support]`` class numbers below ``outputs``, or as in an episode.

        Returns:
            A function from query inputs ``[query, *input_shape]`` to probabilities
            ``[query, outputs]`` (of a regression: to the prediction).

        Raises:
            BenchError: if the shapes or the class numbers do not fit the model's tasks.
        """
        with torch.inference_mode(False):
            self.configure_model()
            x, y = self._tensor(support_x), self._tensor(support_y)
            self._check_support(x, y)
            if self.spec.classifies:
                y = y.long()

        def predictor(query_x: Tensor) -> Tensor:
            query = self._tensor(query_x)
            self._check_inputs("query_x", query)
            unknown = y.new_zeros(1, len(query), *y.shape[1:])
            outputs = self.evaluate(Episode(x[None], y[None], query[None], unknown), False)
            return self.objective.probabilities(outputs[0, -1])

        return predictor

    def validation_step(self, batch: MetaBatch, batch_idx: int) -> None:
        """Adapts and scores a batch of validation episodes."""
        self._score(batch)

    def test_step(self, batch: MetaBatch, batch_idx: int) -> None:
        """Adapts and scores a batch of test episodes."""
        self._score(batch)

    def predict_step(self, batch: MetaBatch, batch_idx: int) -> Tensor | list[Tensor]:
        """Adapted probabilities of every query, ``[tasks, query, outputs]``.

        Of tasks of different shapes a list of them.
        """
        found = [
            self.objective.probabilities(self.evaluate(e, every_step=False)[:, -1])
            for e in split_by_shape(batch)
        ]
        return found[0] if isinstance(batch, Episode) else found

    def on_validation_epoch_start(self) -> None:
        """Starts an empty table of scores."""
        self.scores = EpisodeScores(self.spec.kind).to(self.device)
        if self.keeps_predictions:
            self.predicted_rows = PredictedRows(self.spec.classifies).to(self.device)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Logs ``val/accuracy`` and its like."""
        self._report("val")

    def on_test_epoch_end(self) -> None:
        """Logs ``test/accuracy`` with its interval and per inner step; keeps every episode.

        They are then in ``self.episode_scores`` and ``self.view_scores``.
        """
        self._report("test")

    def _score(self, batch: MetaBatch) -> None:
        for episode in split_by_shape(batch):
            if episode.index is None:
                raise BenchError(
                    "Episode.index is None: evaluation needs the number of each episode"
                )
            # while training, weights are chosen by what is left after the last step
            outputs = self.evaluate(episode, every_step=self.trainer.state.fn != "fit")
            self.scores.update(episode.index, outputs, episode.query_y, episode.query_w)
            if self.predicted_rows is not None:
                last = self.objective.probabilities(outputs[:, -1])
                self.predicted_rows.update(episode, last)

    def _report(self, split: str) -> None:
        data = getattr(self.trainer, "datamodule", None)
        self.view_scores = self.scores.views(split, data)
        self.scores = None
        if self.predicted_rows is not None:
            self.predictions, self.predicted_rows = self.predicted_rows.compute(), None
        self.episode_scores = evaluation.concatenate(self.view_scores)
        figures = evaluation.figures(split, self.episode_scores)
        headline = f"{split}/{self.objective.headline}"
        with warnings.catch_warnings():
            # The scores were gathered over devices already.
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
            self.log(headline, figures.pop(headline), prog_bar=True)
            self.log_dict(figures)

    def _tensor(self, values) -> Tensor:
        like = next(self.net.parameters())
        values = torch.as_tensor(values, device=like.device).clone()  # the clone can be adapted on
        return values.to(like.dtype) if values.is_floating_point() else values

    def _check_inputs(self, name: str, x: Tensor) -> None:
        spec, shape = self.spec, tuple(x.shape[1:])
        if not x.dim() or not len(x) or shape != spec.input_shape:
            raise BenchError(
                f"{name} has the shape {tuple(x.shape)}; this model takes one row or more of "
                f"shape {spec.input_shape} each"
            )
        if not x.is_floating_point():
            raise BenchError(f"{name} must hold floating-point numbers, not {x.dtype}")
        if spec.items and not 0 <= x[..., ITEM].min() <= x[..., ITEM].max() < spec.items:
            raise BenchError(f"column 0 of {name} must hold item numbers up to {spec.items - 1}")

    def _check_support(self, x: Tensor, y: Tensor) -> None:
        self._check_inputs("support_x", x)
        spec = self.spec
        shape = (len(x), spec.outputs) if spec.kind == "regression" else (len(x),)
        if y.shape != shape:
            raise BenchError(f"support_y has the shape {tuple(y.shape)}; these rows need {shape}")
        top = spec.outputs - 1 if spec.classifies else {"answers": 1}.get(spec.kind)
        if top is not None and not (0 <= y.min() <= y.max() <= top and torch.equal(y, y.round())):
            raise BenchError(f"support_y must hold whole numbers from 0 to {top}")

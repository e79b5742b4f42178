"""What is minimised and what is reported, for each kind of task."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_calibration_error

from bench.tasks.metrics import HIGHER_IS_BETTER
from bench.tasks.statistics import auc_placements


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over the last axis of ``[..., rows]``, counting rows by their 0/1 weights."""
    if weights is None:
        return values.mean(-1)
    return (values * weights).sum(-1) / weights.sum(-1).clamp_min(1)


class Objective:
    """What both loops minimise, and what is reported of a test.

    Attributes:
        headline: the metric by which weights are chosen and algorithms compared.
        metric_names: what :meth:`metrics` gives.
        row_names: what :meth:`rows` gives.
    """

    headline: str
    metric_names: tuple[str, ...]
    row_names: tuple[str, ...]

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value of the headline is better."""
        return self.headline in HIGHER_IS_BETTER

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Of each row: from outputs ``[..., rows, outputs]`` and targets to ``[..., rows]``."""
        raise NotImplementedError

    def probabilities(self, outputs: Tensor) -> Tensor:
        """What a prediction is, ``[..., rows, outputs]``: by default, the outputs themselves."""
        return outputs

    def rows(self, outputs: Tensor, y: Tensor, w: Tensor | None) -> dict[str, Tensor]:
        """What is kept of each test episode, from ``[tasks, query, outputs]``."""
        raise NotImplementedError

    def metrics(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One value per episode, ``[episodes]`` each, from the rows of all of them."""
        return rows

    def pooled(self, rows: dict[str, np.ndarray]) -> dict[str, float]:
        """What exists for all episodes together alone."""
        return {}


class Classification(Objective):
    """Which of ``outputs`` classes: cross-entropy; reports accuracy."""

    headline = "accuracy"
    metric_names = ("accuracy", "nll")
    row_names = ("accuracy", "nll")

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of ``[..., rows, outputs]`` against ``[..., rows]``, per row."""
        return F.cross_entropy(outputs.movedim(-1, 1), y, reduction="none")

    def probabilities(self, outputs: Tensor) -> Tensor:
        """``[..., rows, outputs]`` class probabilities."""
        return outputs.softmax(-1)

    def rows(self, outputs: Tensor, y: Tensor, w: Tensor | None) -> dict[str, Tensor]:
        """``[tasks]`` accuracy and negative log-likelihood of ``[tasks, query, outputs]``."""
        right = (outputs.argmax(-1) == y).to(outputs.dtype)
        return {
            "accuracy": weighted_mean(right, w),
            "nll": weighted_mean(self.loss(outputs, y), w),
        }


class ClassificationErrors(Classification):
    """The same, where people quote the share of wrong answers instead of the right ones."""

    headline = "error_rate"
    metric_names = row_names = ("error_rate", "accuracy", "nll")

    def rows(self, outputs: Tensor, y: Tensor, w: Tensor | None) -> dict[str, Tensor]:
        """``[tasks]`` error rate, accuracy and negative log-likelihood."""
        wrong = (outputs.argmax(-1) != y).to(outputs.dtype)
        return {"error_rate": weighted_mean(wrong, w), **super().rows(outputs, y, w)}


class Answers(Objective):
    """Right or wrong, one logit: binary cross-entropy; reports AUC pooled over all answers."""

    headline = "auc"
    metric_names = ("auc", "accuracy", "nll", "brier")
    row_names = ("probability", "answer", "weight")

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Binary cross-entropy of logits ``[..., rows, 1]`` against ``[..., rows]``, per row."""
        return F.binary_cross_entropy_with_logits(
            outputs.squeeze(-1), y.to(outputs.dtype), reduction="none"
        )

    def probabilities(self, outputs: Tensor) -> Tensor:
        """``[..., rows, 1]`` probability of a right answer."""
        return outputs.sigmoid()

    def rows(self, outputs: Tensor, y: Tensor, w: Tensor | None) -> dict[str, Tensor]:
        """``[tasks, query]`` each: what a pooled AUC needs."""
        probability = outputs.squeeze(-1).sigmoid()
        weight = torch.ones_like(probability) if w is None else w
        return {"probability": probability, "answer": y.to(probability.dtype), "weight": weight}

    def metrics(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Per episode: AUC placement value, accuracy, mean log-loss and Brier score."""
        p = rows["probability"].astype(float)
        y, w = rows["answer"] > 0.5, rows["weight"] > 0
        likelihood = np.where(y, p, 1 - p).clip(1e-12, 1)
        count = w.sum(1).clip(1)
        return {
            "auc": auc_placements(p, y, w),
            "accuracy": (((p > 0.5) == y) * w).sum(1) / count,
            "nll": (-np.log(likelihood) * w).sum(1) / count,
            "brier": ((p - y) ** 2 * w).sum(1) / count,
        }

    def pooled(self, rows: dict[str, np.ndarray]) -> dict[str, float]:
        """Calibration error: mean distance of probability and frequency, 15 bins of equal width."""
        used = rows["weight"] > 0
        p, y = (torch.from_numpy(rows[n][used]) for n in ("probability", "answer"))
        error = binary_calibration_error(p.float(), y.long(), n_bins=15, norm="l1")
        return {"calibration_error": float(error)}


class Regression(Objective):
    """A real number: squared error; reports its mean."""

    headline = "mse"
    metric_names = ("mse",)
    row_names = ("mse",)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Squared error of ``[..., rows, outputs]``, mean over outputs, per row."""
        return (outputs - y).square().mean(-1)

    def rows(self, outputs: Tensor, y: Tensor, w: Tensor | None) -> dict[str, Tensor]:
        """``[tasks]`` mean squared error."""
        return {"mse": weighted_mean(self.loss(outputs, y), w)}


OBJECTIVES = {
    "classification": Classification(),
    "classification_errors": ClassificationErrors(),
    "answers": Answers(),
    "regression": Regression(),
}

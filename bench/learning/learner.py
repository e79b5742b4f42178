"""The LightningModule that every algorithm is: two methods to write, everything else is here."""

import warnings
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.base import arguments
from bench.base.errors import BenchError
from bench.learning import batch_norm as batch_norms
from bench.learning import divergence, heads
from bench.learning.batch_norm import BatchNorm
from bench.learning.inner_loop import Fast
from bench.learning.meta_step import Engine, MetaStep
from bench.learning.networks import build_model
from bench.learning.task_forward import TaskForward, check_adaptable
from bench.tasks import kinds
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, MetaBatch, TaskSpec, alike
from bench.tasks.evaluation import EpisodeScores, Scores, scores
from bench.tasks.objectives import OBJECTIVES, weighted_mean
from bench.tasks.statistics import interval

# Where a share of the way to the ceiling begins and ends, or what a method has to beat at least.
Role = Literal["floor", "ceiling", "baseline"] | None
OuterSchedule = Literal["constant", "cosine"]


class MetaLearner(LightningModule):
    """What all algorithms share: the network, the outer optimiser, evaluation and logging.

    A subclass implements :meth:`loss` and :meth:`predict`; works under an unmodified Trainer.
    The network is built from what the data module says about its tasks.

    Args:
        model: name of a model of the suite, or a user's own ``nn.Module`` that maps
            ``[rows, *input_shape]`` to ``[rows, outputs]``. None: the MAML paper's convolutional
            network for images, otherwise the MLP. A module of your own is not stored in
            checkpoints: pass it again to ``load_from_checkpoint``.
        model_options: keyword arguments of a model given by name, such as ``{"filters": 32}``.
        outer_lr: Adam's learning rate.
        outer_schedule: ``"cosine"`` lets the rate fall to zero over the whole run.
        batch_norm: which rows normalise the query: ``"transductive"`` (the query set by itself,
            as in the MAML paper) or ``"support"`` (the support rows alone, so that the
            prediction of one query does not depend on the others).
        seed: seed of the initial weights.
        engine: how the tasks of a meta-batch are computed; all give the same meta-gradient.
            ``"loop"``: one after the other, as plain PyTorch does it. ``"batched"``: together.
            ``"recorded"``: together, the whole step recorded for each shape of meta-batch, which
            takes some seconds at the first, and played back without autograd. ``"compiled"``:
            what was recorded is compiled, which takes a minute or more and needs a C++ compiler.
            ``"auto"``: for runs of many iterations recorded, small networks compiled; otherwise
            batched.
        spec: what the tasks look like; taken from the data module when there is one.
    """

    label: ClassVar[str]  # what tables call it, without its order; by default, its file's name
    role: ClassVar[Role] = None  # beside the methods that are compared
    kinds: ClassVar[tuple[str, ...] | None] = None  # of tasks that it is for; None: all
    trains = True  # whether there is anything to train

    def __init__(
        self,
        model: str | nn.Module | None = None,
        model_options: dict[str, Any] | None = None,
        outer_lr: float = 1e-3,
        outer_schedule: OuterSchedule = "constant",
        batch_norm: BatchNorm = "transductive",
        seed: int = 0,
        engine: Engine = "auto",
        spec: TaskSpec | dict[str, Any] | None = None,
    ):
        super().__init__()
        self.save_hyperparameters(ignore=["model"] if isinstance(model, nn.Module) else [])
        arguments.check_all(type(self), self.hparams)
        if not outer_lr > 0:
            raise BenchError(f"outer_lr={outer_lr!r}: give a number above 0")
        if isinstance(spec, TaskSpec):
            self.hparams["spec"] = _plain(spec)
        self._given_model = (model,)  # in a tuple, so that it is registered once only, as net
        self.net: nn.Module | None = None
        self.scores: EpisodeScores | None = None
        self.episode_scores: dict[str, Any] | None = None
        self.view_scores: list[Scores] = []
        self.vocabulary: dict[str, Any] | None = None  # what questions to students are called

    # What an algorithm is -------------------------------------------------------------------

    def loss(self, episode: Episode) -> Tensor:
        """The meta-objective of each task, ``[tasks]``; its mean is minimised."""
        raise NotImplementedError

    def predict(self, episode: Episode) -> Tensor:
        """Outputs for the query after 0, 1, ... inner steps, ``[tasks, steps, query, outputs]``.

        An algorithm that does not adapt in steps returns one.
        """
        raise NotImplementedError

    def forward(self, episode: Episode) -> Tensor:
        """Same as :meth:`loss`."""
        return self.loss(episode)

    # The network ----------------------------------------------------------------------------

    @property
    def spec(self) -> TaskSpec:
        """What the tasks look like.

        Raises:
            BenchError: if neither a data module nor ``spec=`` has said so.
        """
        if self.hparams["spec"] is None:
            data = getattr(self._trainer, "datamodule", None)
            if not hasattr(data, "spec"):
                raise BenchError(
                    f"{type(self).__name__} does not know what its tasks look like: fit it with a "
                    "data module of the suite, or pass spec={'kind': 'classification', "
                    "'input_shape': [1, 28, 28], 'outputs': 5}"
                )
            self.hparams["spec"] = _plain(data.spec)
        spec = TaskSpec(**self.hparams["spec"])
        return spec._replace(input_shape=tuple(spec.input_shape))

    @torch.inference_mode(False)  # parameters must be able to learn, wherever they are made
    def configure_model(self) -> None:
        """Builds the network from the spec; doing so twice changes nothing."""
        if self.net is not None:
            return
        spec, model = self.spec, self._given_model[0]
        if isinstance(model, nn.Module):
            net = model
        else:  # initial weights come from the global generator: leave it as it was
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                torch.default_generator.manual_seed(self.hparams["seed"])
                net = build_model(model, spec, self.hparams["model_options"] or {})
        check_adaptable(net)
        if self.hparams["batch_norm"] == "support":
            net = batch_norms.convert(net)
        norms = (_BatchNorm, batch_norms.SupportBatchNorm)
        self.has_batch_norm = any(isinstance(layer, norms) for layer in net.modules())
        self.net = net.to(self.device)
        self.objective = OBJECTIVES[spec.kind]
        self.forward_tasks = TaskForward(self.net, vectorised=self.hparams["engine"] != "loop")
        self.meta_step = MetaStep(self, self.hparams["engine"])

    def task_outputs(self, fast: Fast, x: Tensor, w: Tensor | None) -> Tensor:
        """Outputs of every task's own network, ``[tasks, rows, outputs]``.

        Raises:
            BenchError: if padding would enter the statistics of batch norm.
        """
        if w is not None and self.has_batch_norm:
            raise BenchError(
                "rows with weights (padding) would change the mean and variance that batch norm "
                "takes; use nn.GroupNorm or nn.LayerNorm, or tasks of one size without weights"
            )
        return self.forward_tasks(fast, x)

    def query_outputs(self, fast: Fast, episode: Episode) -> Tensor:
        """Outputs for the query rows, ``[tasks, query, outputs]``."""
        if self.hparams["batch_norm"] != "support":
            outputs = self.task_outputs(fast, episode.query_x, episode.query_w)
            return self.within_ways(outputs, episode)
        both = torch.cat([episode.support_x, episode.query_x], 1)
        rows = episode.support_x.shape[1]
        with batch_norms.statistics_from(self.net, rows, both.shape[1]):
            outputs = self.task_outputs(fast, both, episode.support_w)[:, rows:]
        return self.within_ways(outputs, episode)

    def within_ways(self, outputs: Tensor, episode: Episode) -> Tensor:
        """Makes classes that are not in an episode impossible, ``[tasks, rows, outputs]``."""
        if not self.spec.varying_ways:
            return outputs
        return heads.masked(outputs, episode.support_y, episode.support_w)

    def mean_loss(self, outputs: Tensor, y: Tensor, w: Tensor | None) -> Tensor:
        """Mean loss over the rows of each task, ``[tasks]``.

        Raises:
            BenchError: if outputs and targets do not fit the spec and each other.
        """
        spec = self.spec
        regression = spec.kind == "regression"
        wanted = y.shape if regression else (*y.shape, spec.outputs)
        if outputs.shape != wanted or outputs.shape[-1] != spec.outputs:
            shape = f"[tasks, rows, {spec.outputs}]"
            raise BenchError(
                f"outputs {tuple(outputs.shape)} and targets {tuple(y.shape)} do not fit: "
                f"{spec.kind} needs outputs {shape} and targets "
                f"{shape if regression else '[tasks, rows]'}"
            )
        return weighted_mean(self.objective.loss(outputs, y), w)

    def check_data(self, data: object) -> None:
        """Refuses data that the algorithm is not for, before any of it is read.

        Raises:
            BenchError: names the algorithms that are for it.
        """
        kind = getattr(data, "kind", None)
        if kind is not None:
            kinds.check(type(self).__name__, self.kinds, kind, type(data).__name__)

    # Lightning ------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Refuses unproven precisions, and tasks that the network was not built for."""
        if self.trainer.precision not in ("32-true", "64-true"):
            raise BenchError(
                f"precision={self.trainer.precision!r}: meta-gradients are checked in 32-true and "
                "64-true only; use one of these"
            )
        data = getattr(self.trainer, "datamodule", None)
        self.check_data(data)
        given = getattr(data, "spec", None)
        if given is not None and given != self.spec:
            raise BenchError(
                f"the model was built for tasks of {self.spec}, and these are of {given}: use the "
                "data it was trained on, or a new model"
            )

    def on_fit_start(self) -> None:
        """Refuses what the Trainer may have put into the network, such as ``sync_batchnorm``."""
        check_adaptable(self.net)
        self.meta_step.iterations = self.trainer.estimated_stepping_batches

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what it takes to use the model without its data: see ``learner_file.py``."""
        module, name = type(self).__module__, type(self).__qualname__
        own = module.removeprefix("bench.algorithms.")
        checkpoint["algorithm"] = f"{module}.{name}" if own == module else own
        data = getattr(self._trainer, "datamodule", None)
        checkpoint["students"] = getattr(data, "vocabulary", None) or self.vocabulary

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reads what questions are called, and refuses the weights of another network.

        Raises:
            BenchError: says to pass the model again.
        """
        self.vocabulary = checkpoint.get("students")
        own = {n: v.shape for n, v in self.state_dict().items()}
        stored = {n: v.shape for n, v in checkpoint["state_dict"].items()}
        if self.strict_loading and own != stored:
            differing = sorted(n for n in own | stored if own.get(n) != stored.get(n))
            raise BenchError(
                f"the checkpoint does not fit {type(self.net).__name__} (first differing weight: "
                f"{differing[0]}); a model of your own is not stored, so pass model= again"
            )

    def training_step(self, batch: MetaBatch, batch_idx: int) -> Tensor:
        """The mean meta-objective over the tasks of this device.

        Raises:
            Diverged: if it is not finite.
        """
        loss = self.meta_step(batch)
        every = self.trainer.log_every_n_steps  # of optimiser steps, as the trainer counts them
        logs = bool(every) and (self.global_step + 1) % every == 0  # which costs milliseconds
        # at once, although a GPU is waited for: one step later the weights no longer tell the task
        divergence.check(self, loss.detach(), batch, self.global_step + 1)
        if logs:
            tasks = sum(len(episode.query_y) for episode in alike(batch))
            self.log("train/loss", loss.detach(), prog_bar=True, batch_size=tasks)
        return loss

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
        found = [self.objective.probabilities(self.evaluate(e)[:, -1]) for e in alike(batch)]
        return found[0] if isinstance(batch, Episode) else found

    def on_validation_epoch_start(self) -> None:
        """Starts an empty table of scores."""
        self.scores = EpisodeScores(self.spec.kind).to(self.device)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Logs ``val/accuracy`` and its like."""
        self._report("val")

    def on_test_epoch_end(self) -> None:
        """Logs ``test/accuracy`` with its interval and per inner step; keeps every episode.

        ``self.episode_scores`` then holds ``index``, ``[episodes]``, and each metric,
        ``[episodes, steps]``, and ``self.view_scores`` the same for each number of answers shown.
        """
        self._report("test")

    def evaluate(self, episode: Episode) -> Tensor:
        """:meth:`predict` where gradients are switched off, as inside ``Trainer.test``.

        Lightning evaluates in inference mode, in which nothing can adapt: this leaves it, on
        copies of the episode's tensors.
        """
        with torch.inference_mode(False), torch.enable_grad():
            copies = (v.clone() if isinstance(v, Tensor) else v for v in episode)
            return self.predict(Episode(*copies)).detach()

    def _score(self, batch: MetaBatch) -> None:
        for episode in alike(batch):
            if episode.index is None:
                raise BenchError(
                    "Episode.index is None: evaluation needs the number of each episode"
                )
            outputs = self.evaluate(episode)
            self.scores.update(episode.index, outputs, episode.query_y, episode.query_w)

    def _report(self, split: str) -> None:
        index, rows = self.scores.compute()
        self.scores = None
        data = getattr(self.trainer, "datamodule", None)
        listed = isinstance(data, EpisodeDataModule)
        unit, views = (data.unit(split, index), data.views(split)) if listed else (index, [])
        self.view_scores = scores(self.spec.kind, rows, index, unit, views)
        parts = [s.episode for s in self.view_scores]
        metrics = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
        index = np.concatenate([s.index for s in self.view_scores])
        self.episode_scores = {"index": index, **metrics}
        log = {}
        for name, values in metrics.items():
            mean, half_width = interval(values[:, -1])
            log[f"{split}/{name}"] = mean
            if split == "test":
                log[f"{split}/{name}_ci95"] = half_width
                if values.shape[1] > 1:
                    log |= {f"{split}/{name}_step{k}": v for k, v in enumerate(values.mean(0))}
        headline = f"{split}/{self.objective.headline}"
        with warnings.catch_warnings():
            # The scores were gathered over devices already.
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
            self.log(headline, log.pop(headline), prog_bar=True)
            self.log_dict({k: float(v) for k, v in log.items()})

    def configure_optimizers(self):
        """Adam on every parameter that requires a gradient."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=self.hparams["outer_lr"])
        if self.hparams["outer_schedule"] == "constant":
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise BenchError("outer_schedule='cosine' needs an end: give the Trainer max_steps")
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _plain(spec: TaskSpec) -> dict[str, Any]:
    return spec._asdict() | {"input_shape": list(spec.input_shape)}

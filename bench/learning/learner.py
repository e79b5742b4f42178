"""The LightningModule that every algorithm is: two methods to write, everything else is here.

What is more than a few lines has a file of its own: how a learner is evaluated (``evaluated.py``),
how its loss is computed for a meta-batch (``meta_step.py``) and its network for many tasks
(``task_forward.py``), how its outer rate falls (``outer_schedule.py``), and what a checkpoint
holds of it (``checkpoint_fields.py``).
"""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.base import arguments
from bench.base.errors import BenchError
from bench.learning import batch_norm as batch_norms
from bench.learning import checkpoint_fields, divergence, heads, outer_schedule
from bench.learning.batch_norm import BatchNorm
from bench.learning.evaluated import Evaluated
from bench.learning.inner_loop import Fast
from bench.learning.meta_step import Engine, MetaStep
from bench.learning.networks import build_model, features_of, initial_weights
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.recording import with_gradient
from bench.learning.task_forward import TaskForward, check_adaptable
from bench.tasks import kinds
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, MetaBatch, TaskSpec, alike
from bench.tasks.objectives import OBJECTIVES, weighted_mean

# Where a share of the way to the ceiling begins and ends, or what a method has to beat at least.
Role = Literal["floor", "ceiling", "baseline"] | None


class MetaLearner(Evaluated):
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

    Attributes:
        trains: whether there is anything to train. Without, :meth:`loss` is not asked for, a
            Trainer's ``fit`` ends before it begins, and no weight ever moves.
        recordable: whether ``engine="auto"`` may record a long run of it, which fixes whatever
            :meth:`loss` takes from elsewhere than parameters and episode, such as a weight that is
            annealed. It holds for the class in whose body it stands, and not for those made of it.
    """

    label: ClassVar[str]  # what tables call it, without its order; not inherited: else its file's
    role: ClassVar[Role] = None  # beside the methods that are compared
    kinds: ClassVar[tuple[str, ...] | None] = None  # of tasks that it is for; None: all
    trains = True
    recordable = False

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
        self.forward_features: TaskForward | None = None  # of the network's features alone
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

    def meta_gradient(self, episode: Episode, parameters: dict[str, Tensor]) -> list[Tensor | None]:
        """The summed meta-objective of some tasks, and what the outer optimiser gets for them.

        An algorithm whose outer update is no gradient of its loss overrides it.

        Args:
            episode: the tasks.
            parameters: those to learn, by name.

        Returns:
            The sum of the losses, then the summed gradient for each parameter, in their order;
            None for one that it does not depend on.
        """
        return with_gradient(self.loss(episode).sum(), parameters)

    @property
    def follows_loss(self) -> bool:
        """Whether the outer update is made of the gradient of :meth:`loss`, and nothing else."""
        return type(self).meta_gradient is MetaLearner.meta_gradient

    def optimizer(self, parameters: list[Tensor]) -> Optimizer:
        """What moves the meta-learned parameters: Adam (Kingma and Ba 2015, arXiv:1412.6980)."""
        return torch.optim.Adam(parameters, lr=self.hparams["outer_lr"])

    @property
    def progress(self) -> float:
        """The share of the training that is done, from 0 to 1."""
        steps = self.trainer.estimated_stepping_batches
        return self.trainer.global_step / steps if 0 < steps < float("inf") else 0.0

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
            self.note_tasks(data)
        spec = TaskSpec(**self.hparams["spec"])
        return spec._replace(input_shape=tuple(spec.input_shape))

    def note_tasks(self, data: EpisodeDataModule) -> None:
        """Notes in the hyper-parameters what data says of its tasks, to build the network from."""
        self.hparams["spec"] = _plain(data.spec)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The network for such tasks; an algorithm with a network of its own overrides it.

        Raises:
            BenchError: if there is no such model, or it does not fit the tasks.
        """
        model = self._given_model[0]
        if isinstance(model, nn.Module):
            return model
        return build_model(model, spec, self.hparams["model_options"] or {})

    @torch.inference_mode(False)  # parameters must be able to learn, wherever they are made
    def configure_model(self) -> None:
        """Builds the network from the spec; doing so twice changes nothing."""
        if self.net is not None:
            return
        spec = self.spec
        with initial_weights(self.hparams["seed"]):
            net = self.build(spec)
        check_adaptable(net)
        if self.hparams["batch_norm"] == "support":
            net = batch_norms.convert(net)
        norms = (*batch_norms.BATCH_NORMS, batch_norms.SupportBatchNorm)
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
        self._check_padding(w)
        return self.forward_tasks(fast, x)

    def embed(self, x: Tensor, w: Tensor | None = None) -> Tensor:
        """What the shared network's ``features`` make of each row, ``[tasks, rows, width]``.

        Batch norm takes its statistics from the rows of each task.

        Raises:
            BenchError: if the network has no such part, or padding would enter the statistics of
                batch norm.
        """
        self._check_padding(w)
        features = features_of(self.net)
        if self.forward_features is None:
            self.forward_features = TaskForward(features, self.forward_tasks.vectorised)
        shared = {n: p.expand(len(x), *p.shape) for n, p in features.named_parameters()}
        return self.forward_features(shared, x)

    def embedded(self, episode: Episode) -> tuple[Tensor, Tensor]:
        """Support and query, ``[tasks, rows, width]`` each.

        Batch norm takes its statistics as ``batch_norm`` says: from each of the two by itself, or
        from the support alone.
        """
        if self.hparams["batch_norm"] != "support":
            support = self.embed(episode.support_x, episode.support_w)
            return support, self.embed(episode.query_x, episode.query_w)
        both = torch.cat([episode.support_x, episode.query_x], 1)
        rows = episode.support_x.shape[1]
        with batch_norms.statistics_from(self.net, rows, both.shape[1]):
            embedded = self.embed(both, episode.support_w)
        return embedded[:, :rows], embedded[:, rows:]

    def _check_padding(self, w: Tensor | None) -> None:
        if w is not None and self.has_batch_norm:
            raise BenchError(
                "rows with weights (padding) would change the mean and variance that batch norm "
                "takes; use nn.GroupNorm or nn.LayerNorm, or tasks of one size without weights"
            )

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

    def on_train_start(self) -> None:
        """Ends training before it begins where there is nothing to train."""
        if not self.trains:
            self.trainer.should_stop = True

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

    def configure_optimizers(self):
        """The outer optimiser on every parameter that requires a gradient, with its schedule."""
        return outer_schedule.scheduled(
            self.optimizer([p for p in self.parameters() if p.requires_grad]),
            self.hparams["outer_schedule"],
            steps=lambda: self.trainer.estimated_stepping_batches,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what it takes to use the model without its data: see ``learner_file.py``."""
        data = getattr(self._trainer, "datamodule", None)
        vocabulary = getattr(data, "vocabulary", None) or self.vocabulary
        checkpoint_fields.write(self, checkpoint, vocabulary)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reads what questions are called, and refuses the weights of another network.

        Raises:
            BenchError: says to pass the model again.
        """
        self.vocabulary = checkpoint.get(checkpoint_fields.STUDENTS)
        if self.strict_loading:
            checkpoint_fields.check_weights(self, checkpoint)


def _plain(spec: TaskSpec) -> dict[str, Any]:
    return spec._asdict() | {"input_shape": list(spec.input_shape)}

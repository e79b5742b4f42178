"""The LightningModule that every algorithm is: two methods to write, everything else is here.

Here are what an algorithm is, and how it is trained. Its network is in ``networked.py``, how it is
evaluated in ``evaluated.py``, what a checkpoint holds of it in ``stored.py``. How its loss is
computed for a meta-batch is in ``meta_step.py``, how its outer rate falls in ``outer_schedule.py``.
"""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.base import arguments, gpu_search
from bench.base.errors import BenchError
from bench.learning import divergence, outer_schedule, pretrained, stored
from bench.learning.batch_norm import BatchNorm
from bench.learning.evaluated import Evaluated
from bench.learning.meta_step import Engine, MetaStep
from bench.learning.networked import Networked, plain
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.recording import with_gradient
from bench.learning.second_derivatives import missing_are_named
from bench.learning.stored import Stored
from bench.learning.task_forward import TaskForward, check_adaptable
from bench.tasks import kinds
from bench.tasks.episode import Episode, MetaBatch, TaskSpec, split_by_shape

# Where a share of the way to the ceiling begins and ends, or what a method has to beat at least.
Role = Literal["floor", "ceiling", "baseline"] | None

PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed")  # of a Trainer


class MetaLearner(Networked, Evaluated, Stored):
    """What all algorithms share: the network, the outer optimiser, evaluation and logging.

    A subclass implements :meth:`loss` and :meth:`predict`; works under an unmodified Trainer.
    The network is built from what the data module says about its tasks.

    Args:
        model: name of a model of the suite, or a user's own ``nn.Module`` that maps
            ``[rows, *input_shape]`` to ``[rows, outputs]``. None: the MAML paper's convolutional
            network for images, otherwise the MLP. A module of your own is not stored in
            checkpoints: pass it again to ``load_from_checkpoint``.
        model_options: keyword arguments of a model given by name, such as ``{"filters": 32}``; and
            ``weights``, of any model: a file of the user's own weights to start from, see
            :mod:`bench.learning.pretrained`.
        outer_lr: Adam's learning rate.
        outer_schedule: ``"cosine"`` and ``"linear"`` let it fall to zero over the whole run.
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
        any_ways: whether it can be used for another number of classes than it was trained for: what
            it has learned is no last layer.
        trains: whether there is anything to train. Without, :meth:`loss` is not asked for, a
            Trainer's ``fit`` ends before it begins, and no weight ever moves.
        fits_directly: whether it is fitted at once, to all answers of the training students, where
            the data offers them; ``iterations`` say then how many students are made up.
        queries_apart: whether what it predicts of a query does not depend on which others are asked
            with it, batch norm aside, so that many things can be asked of a task at once.
        recordable: whether ``engine="auto"`` may record a long run of it, which fixes whatever
            :meth:`loss` takes from elsewhere than parameters and episode, such as a weight that is
            annealed. It holds for the class in whose body it stands, and not for those made of it.
    """

    label: ClassVar[str]  # what tables call it, without its order; not inherited: else its file's
    role: ClassVar[Role] = None  # beside the methods that are compared
    kinds: ClassVar[tuple[str, ...] | None] = None  # of tasks that it is for; None: all
    trains = True
    fits_directly = False
    queries_apart = False
    recordable = False
    search = {"outer_lr": ("log", 3e-4, 1e-2)}
    any_ways = False

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
        self.save_hyperparameters()
        arguments.check_all(type(self), self.hparams)
        if not outer_lr > 0:
            raise BenchError(f"outer_lr={outer_lr!r}: give a number above 0")
        if isinstance(spec, TaskSpec):
            self.hparams["spec"] = plain(spec)
        self.pretrained = pretrained.named_in(model_options)
        if self.pretrained is not None:  # a checkpoint names no file
            known_by = {pretrained.OPTION: self.pretrained.checksum}
            self.hparams["model_options"] = model_options | known_by
        self._given_model = (model,)  # in a tuple, so that it is registered once only, as net
        self.net: nn.Module | None = None
        self.meta_step: MetaStep | None = None
        self._watch = divergence.Watch()
        self.forward_features: TaskForward | None = None  # of the network's features alone

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
        gpu_search.look_once()
        return torch.optim.Adam(parameters, lr=self.hparams["outer_lr"], fused=True)

    @property
    def progress(self) -> float:
        """The share of the training that is done, from 0 to 1; 0 without a Trainer."""
        if self._trainer is None:  # in a loop of the user's own
            return 0.0
        steps = self.trainer.estimated_stepping_batches
        return self.trainer.global_step / steps if 0 < steps < float("inf") else 0.0

    def forward(self, episode: Episode) -> Tensor:
        """Same as :meth:`loss`."""
        return self.loss(episode)

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
        if self.trainer.precision not in PRECISIONS:
            raise BenchError(
                f"precision={self.trainer.precision!r}: meta-gradients are checked in "
                f"{', '.join(PRECISIONS)} only; use one of these"
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
        """Refuses what the Trainer may have put into the network, such as ``sync_batchnorm``.

        Also weights to start from of which only the checksum is known.
        """
        if self.pretrained is not None and not self.pretrained.known:
            raise BenchError(
                f"model_options.weights={self.pretrained.checksum!r} is the checksum of a file of "
                "weights: give the file"
            )
        check_adaptable(self.net)
        if self.trainer.checkpoint_callbacks:
            stored.require_readable(self)
        self.meta_step.iterations = self.trainer.estimated_stepping_batches
        self._watch.begin()

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
        self._watch.see(self, loss.detach(), batch, self.global_step + 1)
        if logs:
            tasks = sum(len(episode.query_y) for episode in split_by_shape(batch))
            self.log("train/loss", loss.detach(), prog_bar=True, batch_size=tasks)
        return loss

    def on_train_end(self) -> None:
        """Looks at the last loss, which a GPU shows late.

        Raises:
            Diverged: if it is not finite.
        """
        self._watch.end(self)

    def on_fit_end(self) -> None:
        """Ends the processes that have shared the meta-batches out."""
        self.meta_step.close()

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Lightning's backward pass.

        Raises:
            BenchError: names what of the network has no second derivative.
        """
        with missing_are_named():
            super().backward(loss, *args, **kwargs)

    def configure_optimizers(self):
        """The outer optimiser on every parameter that requires a gradient, with its schedule."""
        return outer_schedule.scheduled(
            self.optimizer([p for p in self.parameters() if p.requires_grad]),
            self.hparams["outer_schedule"],
            steps=lambda: self.trainer.estimated_stepping_batches,
        )

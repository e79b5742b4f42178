"""The network of an algorithm: built for the tasks at hand, and what it says of an episode."""

from typing import Any

import torch
from lightning import Callback, LightningModule
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.learning import batch_norm as batch_norms
from bench.learning import heads, pretrained
from bench.learning.inner_loop import Fast
from bench.learning.meta_step import MetaStep
from bench.learning.networks import build_model, features_of, initial_weights
from bench.learning.task_forward import TaskForward, check_adaptable
from bench.tasks import kinds
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.objectives import OBJECTIVES, weighted_mean


class Networked(LightningModule):
    """Builds the network from what the data module says about its tasks, and evaluates it.

    Attributes:
        pretrained: weights of the user's own that the network starts from; None without.
        net: the network; None until it is known what the tasks look like.
        objective: what is minimised and reported for tasks of this kind.
        forward_tasks: evaluates the network for many tasks.
        meta_step: the loss of a meta-batch with its gradient.
    """

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
        self.hparams["spec"] = plain(data.spec)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The network for such tasks; an algorithm with a network of its own overrides it.

        Raises:
            BenchError: if there is no such model, or it does not fit the tasks.
        """
        model = self._given_model[0]
        if isinstance(model, nn.Module):
            return model
        options = self.hparams["model_options"] or {}
        return build_model(model, spec, {n: options[n] for n in options if n != pretrained.OPTION})

    def configure_callbacks(self) -> list[Callback]:
        """Builds the network before any callback looks at its layers, and adds no callback."""
        known = self.hparams["spec"] is not None or isinstance(
            getattr(self.trainer, "datamodule", None), EpisodeDataModule
        )
        if known:  # otherwise after the data has been set up
            with self.trainer.precision_plugin.module_init_context():
                self.configure_model()
        return []

    @torch.inference_mode(False)  # parameters must be able to learn, wherever they are made
    def configure_model(self) -> None:
        """Builds the network from the spec; doing so twice changes nothing."""
        if self.meta_step is not None:
            return
        spec = self.spec
        kinds.check(type(self).__name__, self.kinds, spec.kind, "the data")
        with initial_weights(self.hparams["seed"]):
            net = self.build(spec)
            check_adaptable(net)
            if self.pretrained is not None:
                self.pretrained.load_into(net)
            if self.hparams["batch_norm"] == "support":
                batch_norms.convert(net)
            self.net = net
            self.configure_parameters()
        self.to(self.device)
        self.objective = OBJECTIVES[spec.kind]
        self.forward_tasks = TaskForward(self.net, vectorised=self.hparams["engine"] != "loop")
        self.meta_step = MetaStep(self, self.hparams["engine"])

    def configure_parameters(self) -> None:
        """Adds what is learned beside the network, and freezes what of the network is not.

        Called once, when the network is built; random numbers follow from ``seed``.
        """

    @property
    def prior(self) -> Tensor | float:
        """Minus the log of the network's prior density, for each row that there is to train on.

        With it beside a mean loss over rows, the sum over all of them is minus the log of a
        posterior density. Tasks weigh alike, so that of uneven ones there are as many rows as tell
        as much. Of tasks without end there are as many rows as the training sees. 0 for
        a network without a prior, or data that do not say how many rows they have.
        """
        data = getattr(self._trainer, "datamodule", None)
        rows = getattr(data, "training_rows", None)
        if not hasattr(self.net, "minus_log_prior"):
            return 0.0
        if rows is None and hasattr(data, "rows_per_episode"):
            rows = data.rows_per_episode * self.training_episodes
        return self.net.minus_log_prior() / rows if rows else 0.0

    @property
    def training_episodes(self) -> int:
        """How many the training has; of one without an end, those of an epoch."""
        steps, data = self.trainer.estimated_stepping_batches, self.trainer.datamodule
        if steps == float("inf"):
            steps = data.hparams["iterations_per_epoch"]
        return int(steps) * data.hparams["tasks_per_batch"]

    def task_outputs(self, fast: Fast, x: Tensor, w: Tensor | None) -> Tensor:
        """Outputs of every task's own network, ``[tasks, rows, outputs]``.

        Raises:
            BenchError: if padding would enter the statistics of batch norm.
        """
        batch_norms.check_padding(self.net, w)
        return self.forward_tasks(fast, x)

    def embed(self, x: Tensor, w: Tensor | None = None) -> Tensor:
        """What the shared network's ``features`` make of each row, ``[tasks, rows, width]``.

        Batch norm takes its statistics from the rows of each task.

        Raises:
            BenchError: if the network has no such part, or padding would enter the statistics.
        """
        batch_norms.check_padding(self.net, w)
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
        return heads.mask_absent(outputs, episode.support_y, episode.support_w)

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


def plain(spec: TaskSpec) -> dict[str, Any]:
    """A spec as plain data, which a checkpoint can hold."""
    return spec._asdict() | {"input_shape": list(spec.input_shape)}

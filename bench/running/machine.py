"""Where a run takes place: what changes its speed, not its result."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.base import registry
from bench.base.paths import data_root
from bench.running.experiment import Experiment


@dataclass(frozen=True)
class Machine:
    """Devices and folders of one machine; no part of an experiment's identity.

    Attributes:
        accelerator: as Lightning's Trainer takes it.
        devices: of each node, as Lightning's Trainer takes it.
        data_root: folder of prepared data; None: the usual one.
        checkpoint_every: seconds of training that a kill may cost.
        nodes: machines that do a run together.
        logger: which of Lightning's loggers follows the training: see :mod:`bench.running.loggers`.
    """

    accelerator: str = "auto"
    devices: int | str = 1
    data_root: Path | None = None
    checkpoint_every: float = 60.0
    nodes: int = 1
    logger: str | None = None

    def resolved(self) -> "Machine":
        """The same with the folder in full, for processes that may have another usual one."""
        return replace(self, data_root=data_root(self.data_root).resolve())

    def data_arguments(self, experiment: Experiment) -> dict[str, Any]:
        """All arguments of an experiment's data module, with this machine's folder."""
        arguments = dict(experiment.data_arguments)
        if "data_root" in arguments and self.data_root is not None:
            arguments["data_root"] = str(self.data_root)
        return arguments

    def build(self, experiment: Experiment) -> dict[str, Any]:
        """What :mod:`bench.running.probe` measures of an experiment here."""
        return {
            "algorithm": experiment.algorithm,
            "learner": experiment.learner_arguments,
            "dataset": experiment.dataset,
            "data": self.data_arguments(experiment),
            "accelerator": self.accelerator,
            "plug_ins": registry.added(),
        }

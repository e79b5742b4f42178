"""Lightning's own loggers, by which a grid's trainings can be followed; off unless asked for.

What they write lies beside the runs, under ``logs`` in the results folder. No result depends on it.
"""

import importlib.metadata
import os
from typing import TYPE_CHECKING

from bench.base.errors import BenchError, nearest
from bench.results.run_files import RunFiles

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

# the package that each one needs and that is not installed with this one
PACKAGES = {"csv": None, "tensorboard": None, "wandb": "wandb", "mlflow": "mlflow"}


def check(name: str | None) -> None:
    """Refuses a logger that there is not, before anything runs.

    Raises:
        BenchError: says what to install.
    """
    if name is None:
        return
    if name not in PACKAGES:
        raise BenchError(f"logger {name!r}: {nearest(name, PACKAGES)}")
    if PACKAGES[name] and not _is_installed(PACKAGES[name]):
        raise BenchError(f"logger {name}: it is not installed: pip install 'maml-bench[{name}]'")


def create(name: str | None, files: RunFiles) -> "Logger | bool":
    """The logger of a run, for Lightning's Trainer; False: none.

    A run that goes on adds to what is there: ``csv`` in a folder ``version_1`` beside the first,
    the others in the same place, ``mlflow`` as another run of the same name.

    Args:
        name: a key of :data:`PACKAGES`, or None.
        files: those of the run.

    Raises:
        BenchError: as :func:`check`.
    """
    check(name)
    if name is None:
        return False
    from lightning.pytorch import loggers

    folder = files.logs
    if name == "csv":
        return loggers.CSVLogger(folder.parent, folder.name)
    if name == "tensorboard":
        return loggers.TensorBoardLogger(folder.parent, folder.name, version="")
    if name == "wandb":
        folder.mkdir(parents=True, exist_ok=True)
        own = {"project": files.suite, "name": files.key, "id": files.key, "resume": "allow"}
        return loggers.WandbLogger(save_dir=folder, **own)
    store = folder.parents[1].resolve()
    store.mkdir(parents=True, exist_ok=True)
    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{store / 'mlflow.db'}"
    own = {"tracking_uri": place, "artifact_location": str(store / "artifacts")}
    return loggers.MLFlowLogger(files.suite, files.key, **own)


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

"""``maml-bench fit|validate|test|predict``: LightningCLI over the classes of the suite."""

import warnings
from pathlib import Path

from lightning.pytorch.cli import LightningCLI

from bench import registry
from bench.data_module import EpisodeDataModule
from bench.errors import BenchError, nearest
from bench.learner import MetaLearner


def run_lightning(argv: list[str]) -> None:
    """Runs LightningCLI with every algorithm and data set known by its class name.

    Args:
        argv: such as ``["fit", "--model", "MAML", "--data", "OmniglotDataModule"]``. What the
            network must know of the data (ways, channels, ...) it learns from the data module.

    Raises:
        BenchError: for an unknown class name, or what a constructor refuses.
    """
    # a class must be imported to be known by its name
    learners = [registry.load("algorithms", n).__name__ for n in registry.names("algorithms")]
    modules = [registry.load("data", n).__name__ for n in registry.names("data")]
    _check_name(argv, "--model", learners)
    _check_name(argv, "--data", modules)
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    try:
        LightningCLI(
            MetaLearner,
            EpisodeDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=False,
            parser_kwargs={"prog": "maml-bench"},
            args=argv,
        )
    except SystemExit as stop:  # Lightning exits with 1 on Ctrl-C
        if stop.code == 1:
            raise KeyboardInterrupt from None
        raise
    except ValueError as error:  # jsonargparse wraps what a constructor raises
        cause = error.__cause__
        while cause is not None:
            if isinstance(cause, BenchError):
                raise cause from None
            cause = cause.__cause__
        raise


def _check_name(argv: list[str], flag: str, known: list[str]) -> None:
    """Answers a misspelt class with the nearest one; paths of classes and files pass."""
    for argument, following in zip(argv, [*argv[1:], ""]):
        name = following if argument == flag else argument.removeprefix(f"{flag}=")
        is_name = name.isidentifier() and (argument == flag or argument.startswith(f"{flag}="))
        if is_name and name not in known and not Path(name).exists():
            raise BenchError(f"{flag} {name}: unknown class: {nearest(name, known)}")

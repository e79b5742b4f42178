"""``maml-bench fit|validate|test|predict``: LightningCLI over the classes of the suite."""

from lightning.pytorch.cli import LightningCLI

from bench import registry
from bench.data_module import EpisodeDataModule
from bench.learner import MetaLearner


def run_lightning(argv: list[str]) -> None:
    """Runs LightningCLI with every algorithm and data set known by its class name.

    Args:
        argv: such as ``["fit", "--model", "MAML", "--data", "OmniglotDataModule"]``. What the
            network must know of the data (ways, channels, ...) it learns from the data module.
    """
    for kind in ("algorithms", "data"):
        for name in registry.names(kind):
            registry.load(kind, name)  # a class must be imported to be known by its name
    LightningCLI(
        MetaLearner,
        EpisodeDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=False,
        args=argv,
    )

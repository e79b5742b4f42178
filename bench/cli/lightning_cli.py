"""``maml-bench fit|validate|test|predict``: LightningCLI over the classes of the suite.

A configuration file is data from elsewhere, and it names classes that are imported and called: only
those of :data:`ALLOWED` are, and what the user adds with ``--allow-classes`` on the command line.
Checkpoints are opened without running what is in them, whatever a configuration says.
"""

import argparse
import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import Namespace, set_parsing_settings
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

import bench
from bench.base import registry
from bench.base.errors import BenchError, nearest, out_of_memory
from bench.base.option_text import of_lightning, typed_as
from bench.cli import configurations
from bench.data.students.recorded import RecordedStudents, notes_are_printed
from bench.learning import learner_file
from bench.learning.learner import MetaLearner
from bench.tasks.data_module import EpisodeDataModule

# What a configuration may name: packages, modules and classes, and what is defined in them.
ALLOWED = (
    *(f"bench.{name}" for name in bench.__all__),
    *(f"bench.{kind}" for kind in ("algorithms", "data", "models")),
    "bench.learning.learner.MetaLearner",
    "bench.tasks.data_module.EpisodeDataModule",
    *(
        f"lightning.pytorch.{kind}"
        for kind in ("accelerators", "callbacks", "loggers", "plugins", "profilers", "strategies")
    ),
    "lightning.fabric.plugins",  # where some of lightning.pytorch.plugins are defined
    "torch.nn",
    "torch.optim",
)
FLAG = "--allow-classes"
# as jsonargparse says it, and as _Parser does where that stands inside another message
_DENIED = re.compile(r"Importing '([\w.]+)' is not allowed|([\w.]+) was not imported")
_REMOTE = re.compile(r"(?<=does not exist: ')\w+://[^']+|\w+://[^\s'\"]+\.(?:ya?ml|json)")
MORE = "(maml-bench fit --help shows every argument)"
HELP = f"{FLAG} PACKAGE ... lets the configuration name classes of packages of yours."


def run_lightning(argv: list[str]) -> None:
    """Runs LightningCLI with every algorithm and data set known by its class name.

    Args:
        argv: such as ``["fit", "--model", "MAML", "--data", "OmniglotDataModule"]``. What the
            network must know of the data (ways, channels, ...) it learns from the data module.

    Raises:
        BenchError: for an unknown class name, a class that may not be named, a checkpoint that
            cannot be used, or what a constructor or Lightning refuses.
    """
    # a class must be imported to be known by its name
    learners = [registry.load("algorithms", n).__name__ for n in registry.names("algorithms")]
    modules = [registry.load("data", n).__name__ for n in registry.names("data")]
    own, argv = _own_flag(argv)
    _check_name(argv, "--model", learners)
    _check_name(argv, "--data", modules)
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    restoring = _Restoring()
    with (
        _allowed(own),
        configurations.checked(),
        _refusals_named(restoring),
        typed_as(of_lightning),
    ):
        _CommandLine(
            argv[0],
            model_class=MetaLearner,
            datamodule_class=EpisodeDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=False,
            parser_class=_Parser,
            parser_kwargs={"prog": "maml-bench", argv[0]: {"epilog": HELP}},
            trainer_defaults={"callbacks": restoring},
            save_config_callback=_SaveConfig,
            load_from_checkpoint_support=False,  # which stores names of what to import and call
            args=argv,
        )


class _Parser(LightningArgumentParser):
    """Answers mistakes as the other commands do, and says which class may not be named."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if remote := _REMOTE.search(message):
            raise BenchError(
                f"{remote[0]}: configurations are read from files of this machine: fetch it first"
            ) from ex
        if denied := _DENIED.search(message):
            name = denied[1] or denied[2]
            if name.endswith((".yaml", ".yml", ".json")):
                raise BenchError(f"{name}: there is no such file")
            raise BenchError(
                f"{name} was not imported: a configuration may name classes of the suite, of "
                "Lightning's callbacks, loggers, plugins and strategies, and of torch.nn and "
                f"torch.optim; if you trust it, allow it: {FLAG} {name.rpartition('.')[0] or name}"
            )
        words = message.replace(MORE, "").strip()  # once, where one message stands inside another
        raise BenchError(f"{words}\n{MORE}") from ex


class _CommandLine(LightningCLI):
    """LightningCLI that runs nothing that a checkpoint holds.

    Args:
        command: the one that is asked for; to make the flags of all takes longer than the rest.
        **kwargs: as for LightningCLI.
    """

    def __init__(self, command: str, **kwargs):
        self.command = command
        super().__init__(**kwargs)

    def subcommands(self) -> dict[str, set[str]]:
        """The command, and which of its arguments are no flags."""
        return {self.command: LightningCLI.subcommands()[self.command]}

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses, then refuses what would be harmful or could only fail later."""
        super().parse_arguments(parser, args)
        config = self.config[self.command]
        if not isinstance(config["trainer"], Namespace):
            raise BenchError("trainer: write names and values, such as trainer: {max_steps: 100}")
        if config["weights_only"] is False:
            raise BenchError(
                "weights_only=False would run what a checkpoint holds: leave it out; checkpoints "
                "are read without running anything in them"
            )
        config["weights_only"] = True
        for name in ("optimizer", "lr_scheduler"):
            if config[name] is not None:
                raise BenchError(
                    f"{name}: the outer optimiser is Adam: set model.outer_lr and "
                    "model.outer_schedule instead"
                )
        path = config["ckpt_path"]
        is_file = path is not None and path not in ("best", "last", "hpc") and "://" not in path
        self.checkpoint = learner_file.read(Path(path)) if is_file else None

    def _parse_ckpt_path(self) -> None:
        """Takes the hyper-parameters of a checkpoint, as configuration from elsewhere."""
        if self.checkpoint is None:
            return
        given = dict(self.checkpoint["hyper_parameters"])
        given.pop("_instantiator", None)  # what Lightning would import and call
        # a checkpoint of a suite or a script does not say
        name = given.pop("_class_path", self.config[self.command]["model"].class_path)
        model = {"class_path": name, "init_args": given}
        try:
            self.config = self.parser.parse_object({self.command: {"model": model}}, self.config)
        except BenchError as error:
            path = self.config[self.command]["ckpt_path"]
            raise BenchError(f"{path}: its hyper-parameters: {error}") from None

    def after_instantiate_classes(self) -> None:
        """Finds what is wrong with data and checkpoint now, before loggers write files."""
        self.model.trainer = self.datamodule.trainer = self.trainer
        self.trainer.datamodule = self.datamodule
        if isinstance(self.datamodule, RecordedStudents):
            with notes_are_printed():
                found = self.datamodule.sentences()
            if self.trainer.is_global_zero:
                print(*found, sep="\n", flush=True)
        self.datamodule.setup(self.command)
        self.model.setup(self.command)
        self.model.configure_model()
        if self.checkpoint is not None:
            self.model.on_load_checkpoint(self.checkpoint)


class _SaveConfig(SaveConfigCallback):
    """Saves the configuration when the run has begun: one that is refused leaves no files."""

    def setup(self, trainer: Trainer, pl_module: MetaLearner, stage: str) -> None:
        """Nothing yet."""

    def on_train_start(self, trainer: Trainer, pl_module: MetaLearner) -> None:
        """Saves, once.

        Raises:
            BenchError: if one of an earlier run is there.
        """
        try:
            super().setup(trainer, pl_module, trainer.state.fn)
        except RuntimeError:
            raise BenchError(
                f"{trainer.log_dir}/{self.config_filename} is of an earlier run: delete it, or "
                "choose another folder with trainer.default_root_dir"
            ) from None

    on_validation_start = on_test_start = on_predict_start = on_train_start


class _Restoring(Callback):
    """Knows whether a run is still taking up the states that its checkpoint holds."""

    trainer: Trainer | None = None  # of a run that has not begun

    @property
    def under_way(self) -> bool:
        """Whether it is."""
        return self.trainer is not None and self.trainer.ckpt_path is not None

    def setup(self, trainer: Trainer, pl_module: MetaLearner, stage: str) -> None:
        """The last hook before the states are taken up."""
        self.trainer = trainer

    def on_train_start(self, trainer: Trainer, pl_module: MetaLearner) -> None:
        """The first hook after, or one of those below."""
        self.trainer = None

    on_sanity_check_start = on_train_start
    on_validation_start = on_test_start = on_predict_start = on_train_start


def _own_flag(argv: list[str]) -> tuple[list[str], list[str]]:
    """What ``--allow-classes`` says, which no configuration file can, and the other arguments."""
    parser = argparse.ArgumentParser(prog="maml-bench", add_help=False, allow_abbrev=False)
    parser.add_argument(FLAG, nargs="+", action="extend", default=[], dest="own", metavar="PACKAGE")
    options, others = parser.parse_known_args(argv)
    return options.own, others


@contextmanager
def _allowed(own: list[str]) -> Iterator[None]:
    """Within this context a configuration may name what is allowed, and nothing else."""
    try:
        set_parsing_settings(
            import_path_denylist=["*"],
            import_path_allowlist=[*ALLOWED, *own],
            instantiate_subclass_spec_in_any=False,
        )
    except ValueError as error:
        raise BenchError(f"{FLAG} {' '.join(own)}: {error}: give names of packages") from None
    try:
        yield
    finally:
        set_parsing_settings(import_path_denylist=[name for name in own if name not in ALLOWED])


@contextmanager
def _refusals_named(restoring: _Restoring) -> Iterator[None]:
    """Turns what jsonargparse and Lightning say of a mistake of the user's into a message.

    Args:
        restoring: where the run is.
    """
    try:
        yield
    except SystemExit as stop:  # Lightning exits with 1 on Ctrl-C
        if stop.code == 1:
            raise KeyboardInterrupt from None
        raise
    except BenchError:
        raise
    except Exception as error:
        cause = error
        while cause is not None:  # jsonargparse wraps what a constructor raises
            if isinstance(cause, BenchError):
                raise cause from None
            cause = cause.__cause__
        if restoring.under_way and not out_of_memory(error):
            raise BenchError(
                f"ckpt_path: the checkpoint cannot be gone on from ({type(error).__name__}: "
                f"{error}): give another, or leave it out"
            ) from error
        *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
        module = innermost.f_globals.get("__name__", "")
        by_lightning = module.startswith(("lightning.", "jsonargparse."))
        if isinstance(error, MisconfigurationException) or (
            by_lightning and isinstance(error, ValueError | TypeError | ImportError)
        ):
            raise BenchError(f"Lightning refuses this: {' '.join(str(error).split())}") from error
        raise


def _check_name(argv: list[str], flag: str, known: list[str]) -> None:
    """Answers a misspelt class with the nearest one; paths of classes and files pass."""
    for argument, following in zip(argv, [*argv[1:], ""]):
        name = following if argument == flag else argument.removeprefix(f"{flag}=")
        is_name = name.isidentifier() and (argument == flag or argument.startswith(f"{flag}="))
        if is_name and name not in known and not Path(name).exists():
            raise BenchError(f"{flag} {name}: unknown class: {nearest(name, known)}")

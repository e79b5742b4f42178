"""maml-bench: is second-order MAML worth its price, on images and on students?

The names below are loaded when first used, so that ``maml-bench --help`` is immediate.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "BKT": "bench.algorithms.bkt",
    "Bayes": "bench.algorithms.bayes",
    "BilevelIRT": "bench.algorithms.bilevel_irt",
    "DKT": "bench.algorithms.dkt",
    "FOMAML": "bench.algorithms.fomaml",
    "FirstOrderBilevelIRT": "bench.algorithms.first_order_bilevel_irt",
    "ItemMean": "bench.algorithms.item_mean",
    "MAML": "bench.algorithms.maml",
    "NoAdaptation": "bench.algorithms.no_adaptation",
    "RandomInit": "bench.algorithms.random_init",
    "Rasch": "bench.algorithms.rasch",
    "SkillRunningMean": "bench.algorithms.skill_running_mean",
    "TwoPL": "bench.algorithms.two_pl",
    "BenchError": "bench.base.errors",
    "Conv4": "bench.models.conv4",
    "IRT": "bench.models.irt",
    "MLP": "bench.models.mlp",
    "Episode": "bench.tasks.episode",
    "TaskSpec": "bench.tasks.episode",
    "EpisodeDataModule": "bench.tasks.data_module",
    "Caltech101DataModule": "bench.data.caltech101",
    "CUBDataModule": "bench.data.cub",
    "CifarFSDataModule": "bench.data.cifar_fs",
    "FC100DataModule": "bench.data.fc100",
    "GlyphsDataModule": "bench.data.glyphs",
    "ImageFolderDataModule": "bench.data.image_folder",
    "MetaLearner": "bench.learning.learner",
    "MiniImageNetDataModule": "bench.data.mini_imagenet",
    "OmniglotRunsDataModule": "bench.data.omniglot_runs",
    "OmniglotDataModule": "bench.data.omniglot",
    "QuickDrawDataModule": "bench.data.quickdraw",
    "SinusoidDataModule": "bench.data.sinusoid",
    "IRTDataModule": "bench.data.irt",
    "TexturesDataModule": "bench.data.textures",
    "TieredImageNetDataModule": "bench.data.tiered_imagenet",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)

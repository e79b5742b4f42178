"""maml-bench: is second-order MAML worth its price, on images and on students?

The names below are loaded when first used, so that ``maml-bench --help`` is immediate.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "ANIL": "bench.algorithms.anil",
    "Baseline": "bench.algorithms.baseline",
    "BaselinePlusPlus": "bench.algorithms.baseline_plus_plus",
    "Bayes": "bench.algorithms.bayes",
    "BilevelIRT": "bench.algorithms.bilevel_irt",
    "BKT": "bench.algorithms.bkt",
    "BOIL": "bench.algorithms.boil",
    "CAVIA": "bench.algorithms.cavia",
    "CNP": "bench.algorithms.cnp",
    "DKT": "bench.algorithms.dkt",
    "FirstOrderBilevelIRT": "bench.algorithms.first_order_bilevel_irt",
    "FOMAML": "bench.algorithms.fomaml",
    "IMAML": "bench.algorithms.imaml",
    "ItemMean": "bench.algorithms.item_mean",
    "Logitdec": "bench.algorithms.logitdec",
    "MAML": "bench.algorithms.maml",
    "MAMLPlusPlus": "bench.algorithms.maml_plus_plus",
    "MetaCurvature": "bench.algorithms.meta_curvature",
    "MetaSGD": "bench.algorithms.meta_sgd",
    "NIL": "bench.algorithms.nil",
    "NoAdaptation": "bench.algorithms.no_adaptation",
    "ProtoMAML": "bench.algorithms.proto_maml",
    "ProtoNet": "bench.algorithms.proto_net",
    "R2D2": "bench.algorithms.r2d2",
    "RandomInit": "bench.algorithms.random_init",
    "Rasch": "bench.algorithms.rasch",
    "Reptile": "bench.algorithms.reptile",
    "SkillRunningMean": "bench.algorithms.skill_running_mean",
    "TwoPL": "bench.algorithms.two_pl",
    "UnicornMAML": "bench.algorithms.unicorn_maml",
    "BenchError": "bench.base.errors",
    "Assist2009DataModule": "bench.data.assist2009",
    "BKTDataModule": "bench.data.bkt",
    "Caltech101DataModule": "bench.data.caltech101",
    "CifarFSDataModule": "bench.data.cifar_fs",
    "CUBDataModule": "bench.data.cub",
    "DINADataModule": "bench.data.dina",
    "FC100DataModule": "bench.data.fc100",
    "FractionSubtractionDataModule": "bench.data.fraction_subtraction",
    "GlyphsDataModule": "bench.data.glyphs",
    "GrowingSkillsDataModule": "bench.data.growing_skills",
    "ImageFolderDataModule": "bench.data.image_folder",
    "IRTDataModule": "bench.data.irt",
    "LearningStylesDataModule": "bench.data.learning_styles",
    "MetaDatasetDataModule": "bench.data.meta_dataset",
    "MiniImageNetDataModule": "bench.data.mini_imagenet",
    "MIRTDataModule": "bench.data.mirt",
    "OmniglotDataModule": "bench.data.omniglot",
    "OmniglotRunsDataModule": "bench.data.omniglot_runs",
    "QuickDrawDataModule": "bench.data.quickdraw",
    "SinusoidDataModule": "bench.data.sinusoid",
    "StudentDataModule": "bench.data.student",
    "Synthetic5DataModule": "bench.data.synthetic5",
    "TexturesDataModule": "bench.data.textures",
    "TieredImageNetDataModule": "bench.data.tiered_imagenet",
    "MetaLearner": "bench.learning.learner",
    "BayesianIRT": "bench.models.bayesian_irt",
    "BayesianMLP": "bench.models.bayesian_mlp",
    "Conv4": "bench.models.conv4",
    "FiLM": "bench.models.film",
    "IRT": "bench.models.irt",
    "MLP": "bench.models.mlp",
    "ResNet12": "bench.models.resnet12",
    "Study": "bench.running.suite",
    "Suite": "bench.running.suite",
    "run": "bench.running.script",
    "Torchvision": "bench.models.torchvision",
    "Episode": "bench.tasks.episode",
    "EpisodeDataModule": "bench.tasks.data_module",
    "TaskSpec": "bench.tasks.episode",
    "Tutor": "bench.tutor.tutor",
}
__all__ = [*_HOME, "__version__", "results"]  # a package that can be called


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)

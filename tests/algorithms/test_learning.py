"""Methods that do not adapt by gradient learn something: test episodes go better after training."""

import pytest
from lightning import Trainer

from bench.base import registry
from bench.checks.device_cases import TinyGlyphs
from bench.data.irt import IRTDataModule
from bench.data.sinusoid import SinusoidDataModule

DATA = {
    "glyphs": lambda: TinyGlyphs(
        ways=5, shots=1, queries=5, tasks_per_batch=4, iterations_per_epoch=60, test_episodes=60
    ),
    "pairs": lambda: TinyGlyphs(
        ways=2, shots=1, queries=5, tasks_per_batch=4, iterations_per_epoch=60, test_episodes=60
    ),
    "sinusoid": lambda: SinusoidDataModule(
        tasks_per_batch=32, iterations_per_epoch=100, test_episodes=200
    ),
    "irt": lambda: IRTDataModule(
        items=30, queries=20, tasks_per_batch=32, iterations_per_epoch=100, test_episodes=200
    ),
}
SMALL = {"model_options": {"filters": 8}}
CASES = [
    # what learns, on what, how, and by how much the headline must improve
    ("proto_net", "glyphs", SMALL | {"outer_lr": 0.01}, 0.1),
    ("cnp", "sinusoid", {"outer_lr": 0.005}, 0.4),
    ("cnp", "irt", {"outer_lr": 0.005}, 0.1),
    ("cnp", "pairs", SMALL | {"outer_lr": 0.003}, 0.05),
    ("logitdec", "irt", {}, 0.15),
    ("baseline", "glyphs", SMALL | {"outer_lr": 0.01}, 0.1),
    ("baseline_plus_plus", "glyphs", SMALL | {"outer_lr": 0.01}, 0.1),
    ("nil", "glyphs", SMALL | {"outer_lr": 0.01, "order": 1}, 0.05),
    ("r2d2", "glyphs", SMALL | {"outer_lr": 0.01}, 0.1),
]


@pytest.mark.parametrize(("name", "dataset", "options", "gain"), CASES)
def test_training_helps(tmp_path, name, dataset, options, gain):
    data, learner = DATA[dataset](), registry.create("algorithms", name, **options)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, limit_val_batches=0, **quiet
    )

    def score():
        return trainer.test(learner, data, verbose=False)[0][f"test/{learner.objective.headline}"]

    before = score()
    trainer.fit(learner, data)
    sign = 1 if learner.objective.higher_is_better else -1
    assert sign * (score() - before) > gain, (before, score())

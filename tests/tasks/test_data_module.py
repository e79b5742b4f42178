"""Dataloaders of a data module without its trainer; the rest is tested in tests/test_ranks.py."""

import numpy as np
import pytest
from lightning import Trainer

from bench import MAML
from bench.base.errors import BenchError
from bench.data.glyphs import GlyphsDataModule
from bench.data.sinusoid import SinusoidDataModule
from bench.data.textures import TexturesDataModule
from bench.tasks import data_module


def test_a_dataloader_alone_does_not_repeat_itself():
    data = SinusoidDataModule(iterations_per_epoch=3, tasks_per_batch=2)
    loader = data.train_dataloader()
    seen = [batch.index.tolist() for _ in range(2) for batch in loader]
    assert seen == np.arange(12).reshape(6, 2).tolist()
    test = SinusoidDataModule(test_episodes=6, tasks_per_batch=1).test_dataloader()
    assert [batch.index.tolist() for _ in range(2) for batch in test] == 2 * [[0, 1, 2, 3], [4, 5]]


def test_small_tasks_are_evaluated_four_times_as_many_together():
    small = GlyphsDataModule(tasks_per_batch=2, val_episodes=9)
    assert [len(batch.index) for batch in small.val_dataloader()] == [8, 1]
    assert small.tasks_at_once("train") == 2
    large = TexturesDataModule(tasks_per_batch=2, val_episodes=3)
    assert [len(batch.index) for batch in large.val_dataloader()] == [2, 1]


def test_a_dataloader_alone_under_a_trainer():
    seen = []

    class Watched(MAML):
        def training_step(self, batch, number):
            seen.extend(batch.index.tolist())
            return super().training_step(batch, number)

    data = SinusoidDataModule(iterations_per_epoch=3, tasks_per_batch=2)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(max_epochs=2, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(Watched(spec=data.spec), data.train_dataloader(), data.val_dataloader())
    assert seen == list(range(12))


def test_a_dataloader_alone_on_several_devices_is_refused(monkeypatch):
    loader = SinusoidDataModule().train_dataloader()
    monkeypatch.setattr(data_module, "process_count", lambda: 2)
    with pytest.raises(BenchError, match="datamodule="):
        next(iter(loader))

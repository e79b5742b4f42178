"""What a run says before it trains."""

import pytest

from bench.base.errors import BenchError
from bench.data.sinusoid import SinusoidDataModule
from bench.running import training
from bench.running.experiment import Experiment
from bench.running.machine import Machine


@pytest.mark.parametrize(("split", "stage"), [("test", "test"), ("val", "validate")])
def test_what_is_wrong_at_the_end_is_said_before_the_training(split, stage, monkeypatch, tmp_path):
    def setup(self, asked):
        assert asked != "fit"
        if asked == stage:
            raise BenchError("min_ways=5: the split has 2 classes")

    monkeypatch.setattr(SinusoidDataModule, "setup", setup)
    experiment = Experiment("tiny", "sinusoid", "maml", 20, 10)
    with pytest.raises(BenchError, match="the split has 2 classes"):
        training.train(experiment, tmp_path, split, Machine("cpu"), progress=False)
    assert not list(tmp_path.rglob("*.ckpt"))

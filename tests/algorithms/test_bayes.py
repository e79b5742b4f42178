import numpy as np
import pytest
import torch
from lightning import Trainer

from bench.algorithms.bayes import Bayes
from bench.base.errors import BenchError
from bench.data.irt import IRTDataModule
from bench.data.sinusoid import SinusoidDataModule
from bench.tasks.episode import Episode, TaskSpec

QUIET = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}


class Known(IRTDataModule):
    """Students of whom is said that the ceiling is their item's number over ten."""

    def ceiling_of(self, episode):
        return episode.query_x[..., 0].numpy() / 10


def test_it_gives_what_the_data_module_knows(tmp_path):
    data = Known(shots=2, queries=3, items=9, test_episodes=6)
    model, trainer = Bayes(), Trainer(default_root_dir=tmp_path, **QUIET)
    p = torch.cat(trainer.predict(model, data))
    assert p.dtype == torch.float64
    item = data.episodes("test", np.arange(6)).query_x[..., 0]
    torch.testing.assert_close(p[..., 0], item.double() / 10)
    odds = model.predict(data.episodes("test", np.arange(6)))
    assert odds.shape == (6, 1, 3, 1)
    assert odds.isfinite().all()  # also where the answer is certain


def test_it_says_where_nothing_is_known():
    x, y = torch.zeros(1, 2, 2), torch.zeros(1, 2)
    model = Bayes(spec=TaskSpec("answers", (2,), 1, items=3))
    model.configure_model()
    with pytest.raises(BenchError, match="leave bayes out"):
        model.predict(Episode(x, y, x, y))
    with pytest.raises(BenchError, match="students"):
        Trainer(**QUIET).test(Bayes(), SinusoidDataModule())

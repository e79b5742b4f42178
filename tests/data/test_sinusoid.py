import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.data.sinusoid import SinusoidDataModule


def rows(episode):
    """Points and values of support and query together, ``[tasks, points]`` float64."""
    pairs = ((episode.support_x, episode.query_x), (episode.support_y, episode.query_y))
    return [torch.cat(pair, 1)[..., 0].double().numpy() for pair in pairs]


def test_shapes():
    e = SinusoidDataModule(shots=5, queries=7).episodes("test", np.arange(3))
    assert e.support_x.shape == e.support_y.shape == (3, 5, 1)
    assert e.query_x.shape == e.query_y.shape == (3, 7, 1)
    assert e.support_x.dtype == e.support_y.dtype == torch.float32
    assert e.index.tolist() == [0, 1, 2]


def test_values_are_sines_of_the_published_ranges():
    x, y = rows(SinusoidDataModule(shots=5, queries=20).episodes("train", np.arange(500)))
    assert -5 <= x.min() < -4.9
    assert 4.9 < x.max() <= 5
    amplitudes, phases = [], []
    for xs, ys in zip(x, y):  # A sin(x - p) = A cos(p) sin(x) - A sin(p) cos(x)
        (s, c), residual, *_ = np.linalg.lstsq(np.stack([np.sin(xs), -np.cos(xs)], 1), ys)
        assert residual < 1e-9
        amplitudes.append(np.hypot(s, c))
        phases.append(np.arctan2(c, s))
    for values, low, high in ((amplitudes, 0.1, 5), (phases, 0, np.pi)):
        assert low - 1e-5 <= min(values) < low + 0.1
        assert high - 0.1 < max(values) <= high + 1e-5
        error = (high - low) / np.sqrt(12 * 500)
        assert abs(np.mean(values) - (low + high) / 2) < 4 * error
    assert abs(np.corrcoef(amplitudes, phases)[0, 1]) < 4 / np.sqrt(500)


def test_an_episode_depends_on_its_number_alone():
    data = SinusoidDataModule()
    together, alone = (data.episodes("train", i) for i in (np.arange(9), np.array([5])))
    for a, b in zip(rows(together), rows(alone)):
        np.testing.assert_array_equal(a[5:6], b)
    assert len(np.unique(rows(together)[0])) == 9 * 20


def test_only_training_depends_on_the_seed():
    a, b = (SinusoidDataModule(seed=seed) for seed in (0, 1))
    index = np.arange(3)
    assert not np.array_equal(rows(a.episodes("train", index)), rows(b.episodes("train", index)))
    for split in ("val", "test"):
        np.testing.assert_array_equal(
            rows(a.episodes(split, index)), rows(b.episodes(split, index))
        )
    test, val = (rows(a.episodes(split, index)) for split in ("test", "val"))
    assert not np.array_equal(test, val)


@pytest.mark.parametrize("name", ["shots", "queries"])
def test_wrong_arguments_are_refused_by_name(name):
    with pytest.raises(BenchError, match=f"{name}=0"):
        SinusoidDataModule(**{name: 0})

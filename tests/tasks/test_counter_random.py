"""Philox against its published vectors; what is built on it against its distributions."""

import itertools

import numpy as np
import pytest

from bench.tasks import counter_random

KEY = counter_random.stream("tests", 0)


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [  # kat_vectors of Random123, philox4x32 with 10 rounds
        ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (
            "ffffffff ffffffff ffffffff ffffffff",
            "ffffffff ffffffff",
            "408f276d 41c83b0e a20bc7c6 6d5451fd",
        ),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, answer):
    counter = np.array(words(counter), np.uint64)
    assert counter_random.philox(tuple(words(key)), counter).tolist() == words(answer)


def test_philox_is_vectorised_over_counters():
    counter = np.arange(24, dtype=np.uint64).reshape(4, 2, 3)
    together = counter_random.philox(KEY, counter)
    for i, j in np.ndindex(2, 3):
        alone = counter_random.philox(KEY, counter[:, i, j])
        np.testing.assert_array_equal(together[:, i, j], alone)


def test_streams_differ_by_every_name():
    names = [("a", "train", 0), ("a", "train", 1), ("a", "test", 0), ("b", "train", 0)]
    assert len({counter_random.stream(*n) for n in names}) == len(names)
    assert counter_random.stream("a", 1) == counter_random.stream("a", 1)


def test_uniform_row_depends_on_its_own_number_alone():
    u = counter_random.uniform(KEY, np.arange(10), 7)
    assert u.shape == (10, 7)
    np.testing.assert_array_equal(counter_random.uniform(KEY, [7, 2], 7), u[[7, 2]])
    np.testing.assert_array_equal(counter_random.uniform(KEY, np.arange(10), 30)[:, :7], u)


def test_uniform_tells_large_numbers_apart():
    u = counter_random.uniform(KEY, [1, 1 + 2**32, 1 + 2**62], 4)
    assert len(np.unique(u)) == 12


def test_uniform_is_uniform_and_uncorrelated():
    u = counter_random.uniform(KEY, np.arange(1000), 100)
    assert 0 < u.min() < 0.001
    assert 0.999 < u.max() < 1
    counts = np.histogram(u, 50, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 85.4  # 99.9 % of chi-square, 49 degrees
    # Neighbours in a row, and the same position in neighbouring rows.
    for a, b in ((u[:, 1:], u[:, :-1]), (u[1:], u[:-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_uniform_never_reaches_its_ends(monkeypatch):
    for word, end in ((0, 0), (2**32 - 1, 1)):
        monkeypatch.setattr(
            counter_random,
            "philox",
            lambda key, counter, word=word: np.full(counter.shape, word, np.uint64),
        )
        u = counter_random.uniform(KEY, [0], 4)
        assert np.all(u != end)
        assert np.isfinite(counter_random.normal(u)).all()


def test_normal_is_standard_normal():
    z = counter_random.normal(counter_random.uniform(KEY, np.arange(1000), 100))
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / z.size)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / z.size)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / z.size)
    assert abs((z[:, :50] * z[:, 50:]).mean()) < 4 / np.sqrt(z.size / 2)  # the pairs


@pytest.mark.parametrize(("k", "n"), [(1, 5), (2, 4), (3, 3), (3, 4)])
def test_choose_is_uniform_over_ordered_outcomes(k, n):
    outcomes = list(itertools.permutations(range(n), k))
    draws = 500 * len(outcomes)
    picks = counter_random.choose(counter_random.uniform(KEY, np.arange(draws), 2 * k), n)
    counts = [(picks == o).all(1).sum() for o in outcomes]
    assert sum(counts) == draws  # so they are different, and within 0..n-1
    degrees = len(outcomes) - 1
    limit = degrees + 3.3 * np.sqrt(2 * degrees) + 4  # just above 99.9 % of chi-square
    assert ((np.array(counts) - 500) ** 2 / 500).sum() < limit


def test_choose_takes_an_array_of_sizes():
    u = counter_random.uniform(KEY, np.arange(400), 3 * 8).reshape(400, 3, 8)
    n = np.array([4, 9, 100])
    picks = counter_random.choose(u, n)
    assert picks.shape == (400, 3, 4)
    assert (np.diff(np.sort(picks), axis=-1) > 0).all()
    assert picks.min() == 0
    assert picks.max((0, 2)).tolist() == [3, 8, 99]

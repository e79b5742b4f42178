import numpy as np
import pytest
import torch

from bench.data.irt import IRTDataModule
from bench.errors import BenchError


def probability(data, ability, item):
    a, b = data.item_parameters
    return 1 / (1 + np.exp(-a[item] * (ability[:, None] - b[item])))


def test_shapes():
    e = IRTDataModule(shots=3, queries=4, items=9).episodes("val", np.arange(5))
    assert e.support_x.shape == e.support_y.shape == (5, 3)
    assert e.query_x.shape == e.query_y.shape == (5, 4)
    assert e.support_x.dtype == e.query_x.dtype == torch.int64
    assert e.support_y.dtype == torch.float32
    assert set(e.query_y.unique().tolist()) == {0, 1}
    spec = IRTDataModule(items=60).spec
    assert (spec.kind, spec.input_shape, spec.outputs, spec.items) == ("answers", (), 1, 60)


def test_a_student_answers_each_question_once():
    data = IRTDataModule(shots=4, queries=6, items=10)
    e = data.episodes("train", np.arange(200))
    items = torch.cat([e.support_x, e.query_x], 1).sort(1).values
    assert torch.equal(items, torch.arange(10).expand(200, 10))
    # Which questions are answered first is random.
    counts = np.bincount(e.support_x.flatten(), minlength=10)
    assert ((counts - 80) ** 2 / 80).sum() < 27.9  # 99.9 % of chi-square, 9 degrees


def test_episodes_are_the_students():
    data = IRTDataModule()
    _, item, answer = data.students("test", np.arange(6))
    e = data.episodes("test", np.arange(6))
    np.testing.assert_array_equal(torch.cat([e.support_x, e.query_x], 1), item)
    np.testing.assert_array_equal(torch.cat([e.support_y, e.query_y], 1), answer)


def test_answers_follow_the_model():
    data = IRTDataModule(items=50)
    ability, item, answer = data.students("train", np.arange(3000))
    p = probability(data, ability, item)
    # Per question, and per tenth of the model's probability.
    for group in (item, np.floor(10 * p).astype(int)):
        excess, variance = (
            np.bincount(group.ravel(), v.ravel()) for v in (answer - p, p * (1 - p))
        )
        z = excess / np.sqrt(variance)
        assert np.abs(z).max() < 4
        assert 0.3 < (z**2).mean() < 2.2


def test_abilities_and_items_have_the_stated_distributions():
    data = IRTDataModule(items=2000)
    ability = data.students("train", np.arange(2000))[0]
    a, b = data.item_parameters
    for value in (ability, b, np.log(a) / 0.4):
        assert abs(value.mean()) < 4 / np.sqrt(2000)
        assert abs(value.std() - 1) < 4 / np.sqrt(2 * 2000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(2000)


def test_an_episode_depends_on_its_number_alone():
    data = IRTDataModule()
    together, alone = (data.students("train", i) for i in (np.arange(9), np.array([5])))
    for a, b in zip(together, alone):
        np.testing.assert_array_equal(a[5:6], b)
    assert len(np.unique(together[0])) == 9


def test_which_seed_changes_what():
    base, seed, world = (IRTDataModule(**k) for k in ({}, {"seed": 1}, {"data_seed": 1}))
    index = np.arange(4)

    def same(a, b, split):
        pairs = zip(a.students(split, index), b.students(split, index))
        return all(np.array_equal(*pair) for pair in pairs)

    assert np.array_equal(base.item_parameters, seed.item_parameters)
    assert not np.array_equal(base.item_parameters, world.item_parameters)
    for split, by_seed in (("train", False), ("val", True), ("test", True)):
        assert same(base, seed, split) == by_seed
        assert not same(base, world, split)
    val, test = (base.students(split, index)[0] for split in ("val", "test"))
    assert not np.array_equal(val, test)


def test_too_few_questions():
    with pytest.raises(BenchError, match=r"shots=5 \+ queries=6 is more than items=10"):
        IRTDataModule(shots=5, queries=6, items=10)
    with pytest.raises(BenchError, match="shots=0"):
        IRTDataModule(shots=0)

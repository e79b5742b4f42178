import numpy as np
import torch

from bench.tasks.episode import Episode
from bench.tasks.predicted import PredictedRows


def episode(index, y, w=None, numbers=None):
    x = torch.zeros(*y.shape, 1)
    return Episode(x, y, x, y, query_w=w, index=torch.tensor(index), class_numbers=numbers)


def test_rows_in_their_order_each_once_and_none_of_padding():
    rows = PredictedRows(classifies=False)
    p = torch.rand(2, 3, 1)
    y, w = torch.tensor([[0.0, 1, 1], [1, 0, 0]]), torch.tensor([[1.0, 1, 1], [1, 0, 1]])
    rows.update(episode([7, 3], y, w), p)
    rows.update(episode([7], y[:1], w[:1]), p[:1])  # a copy, as another device may have
    found = rows.compute()
    assert found["index"].tolist() == [3, 3, 7, 7, 7]
    assert found["answer"].tolist() == [1, 0, 0, 1, 1]
    assert np.array_equal(found["probability"][:2, 0], p[1, [0, 2], 0])
    assert (found["classes"] == -1).all()


def test_tasks_of_different_shapes_and_fewer_classes_than_outputs():
    rows = PredictedRows(classifies=True)
    rows.update(
        episode([0], torch.tensor([[1, 0]]), numbers=torch.tensor([[5, 4]])), torch.rand(1, 2, 3)
    )
    rows.update(
        episode([1], torch.tensor([[2]]), numbers=torch.tensor([[9, 8, 4]])), torch.rand(1, 1, 3)
    )
    found = rows.compute()
    assert found["answer"].tolist() == [4, 5, 4]
    assert found["classes"].tolist() == [[5, 4, -1], [5, 4, -1], [9, 8, 4]]


def test_without_class_numbers_those_of_the_episode_count():
    rows = PredictedRows(classifies=True)
    rows.update(episode([0], torch.tensor([[1, 0]])), torch.rand(1, 2, 2))
    assert rows.compute()["answer"].tolist() == [1, 0]

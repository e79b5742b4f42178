import numpy as np
import torch

from bench.evaluation import EpisodeScores
from bench.objectives import OBJECTIVES


def batch(index, steps=3, queries=4):
    """Outputs and answers that depend on the episode number alone."""
    outputs, answers = [], []
    for i in index:
        generator = torch.Generator().manual_seed(i)
        outputs.append(torch.randn(steps, queries, 1, generator=generator))
        answers.append(torch.randint(2, (queries,), generator=generator).float())
    return torch.tensor(index), torch.stack(outputs), torch.stack(answers), None


def test_each_episode_counts_once_in_order_of_its_number():
    split, whole = EpisodeScores("answers"), EpisodeScores("answers")
    for index in ([5, 2], [0], [4, 1, 2], [3, 0]):
        split.update(*batch(index))
    whole.update(*batch(range(6)))
    (index, metrics), (_, wanted) = split.compute(), whole.compute()
    assert index.tolist() == list(range(6))
    assert metrics.keys() == {"auc", "accuracy", "nll"}
    for name, values in metrics.items():
        assert values.shape == (6, 3)
        np.testing.assert_array_equal(values, wanted[name])


def test_scores_by_hand():
    scores = EpisodeScores("classification")
    outputs = torch.tensor([[[[2.0, 0.0], [2.0, 0.0]], [[0.0, 2.0], [2.0, 0.0]]]])
    scores.update(torch.tensor([7]), outputs, torch.tensor([[1, 0]]), None)
    index, metrics = scores.compute()
    assert index.tolist() == [7]
    assert metrics["accuracy"].tolist() == [[0.5, 1.0]]
    loss = OBJECTIVES["classification"].loss(outputs[:, 1], torch.tensor([[1, 0]]))
    np.testing.assert_allclose(metrics["nll"][0, 1], loss.mean())


def test_weights_leave_rows_out():
    scores = EpisodeScores("regression")
    outputs, y = torch.zeros(1, 1, 3, 1), torch.tensor([[[1.0], [2.0], [9.0]]])
    scores.update(torch.tensor([0]), outputs, y, torch.tensor([[1.0, 1.0, 0.0]]))
    assert scores.compute()[1]["mse"].tolist() == [[2.5]]

import numpy as np
import pytest
import torch

from bench.tasks.episode import View
from bench.tasks.evaluation import EpisodeScores, report, scores
from bench.tasks.objectives import OBJECTIVES


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
    (index, rows), (_, wanted) = split.compute(), whole.compute()
    assert index.tolist() == list(range(6))
    for name, values in rows.items():
        assert values.shape == (6, 3, 4)
        np.testing.assert_array_equal(values, wanted[name])
    (one,) = scores("answers", rows, index, index, [])
    assert one.episode.keys() == {"auc", "accuracy", "nll", "brier"}
    assert all(values.shape == (6, 3) for values in one.episode.values())


def test_views_are_scored_apart():
    kept = EpisodeScores("answers")
    kept.update(*batch(range(7)))
    index, rows = kept.compute()
    first, second = scores("answers", rows, index, index, [View(1, 0, 3), View(5, 3, 4)])
    assert (first.view.shots, second.view.shots) == (1, 5)
    assert first.index.tolist() == [0, 1, 2]
    (alone,) = scores("answers", {n: r[3:] for n, r in rows.items()}, index[3:], index[3:], [])
    for name, values in second.episode.items():
        np.testing.assert_array_equal(values, alone.episode[name])
    np.testing.assert_array_equal(
        second.pooled["calibration_error"], alone.pooled["calibration_error"]
    )


def test_episodes_of_one_unit_count_as_one():
    kept = EpisodeScores("answers")
    kept.update(*batch(range(5)))
    index, rows = kept.compute()
    unit = np.array([0, 0, 0, 1, 1])
    (found,) = scores("answers", rows, index, unit, [])
    assert found.index.tolist() == [0, 1]
    answers, p = rows["answer"][:, -1], rows["probability"][:, -1]
    right = [((p[s] > 0.5) == answers[s]).mean() for s in (slice(0, 3), slice(3, 5))]
    np.testing.assert_allclose(found.episode["accuracy"][:, -1], right)
    (apart,) = scores("answers", rows, index, index, [])
    np.testing.assert_allclose(
        found.episode["auc"].mean(0), apart.episode["auc"].mean(0), rtol=1e-12
    )


def test_pooled_scores_by_hand():
    rows = {
        "probability": np.array([[[0.2, 0.9]]]),
        "answer": np.array([[[0.0, 1.0]]]),
        "weight": np.ones((1, 1, 2)),
    }
    (found,) = scores("answers", rows, np.array([0]), np.array([0]), [])
    np.testing.assert_allclose(found.episode["brier"], [[(0.04 + 0.01) / 2]])
    np.testing.assert_allclose(found.pooled["calibration_error"], [0.15], rtol=1e-6)


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


def test_the_report_is_of_the_last_step_and_pooled_metrics_have_no_interval():
    episode = {"accuracy": np.array([[0.2, 0.4], [0.4, 0.8]])}
    found = report(episode, {"auc": np.array([0.5, 0.75])})
    assert found["accuracy"]["mean"] == pytest.approx(0.6)
    assert found["accuracy"]["per_step"] == pytest.approx([0.3, 0.6])
    assert found["accuracy"]["ci95"] == pytest.approx(12.7062 * 0.2, rel=1e-5)  # Student's, of two
    assert found["auc"] == {"mean": 0.75, "ci95": None, "per_step": [0.5, 0.75]}

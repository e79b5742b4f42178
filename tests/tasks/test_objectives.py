import numpy as np
import pytest
import torch

from bench.tasks.objectives import OBJECTIVES, Answers, Classification, Regression, weighted_mean


def test_weighted_mean():
    values = torch.tensor([[1.0, 2.0, 9.0], [1.0, 2.0, 3.0]])
    weights = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert weighted_mean(values, None).tolist() == [4, 2]
    assert weighted_mean(values, weights).tolist() == [1.5, 0]  # no row at all: 0, not NaN


def test_classification_by_hand():
    outputs = torch.log(torch.tensor([[[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]], dtype=torch.float64))
    y = torch.tensor([[0, 2]])
    loss = Classification().loss(outputs, y)
    assert loss.tolist()[0] == pytest.approx([-np.log(0.7), -np.log(0.2)])
    assert Classification().probabilities(outputs)[0, 0].tolist() == pytest.approx([0.7, 0.2, 0.1])
    rows = Classification().rows(outputs, y, None)
    assert rows["accuracy"].tolist() == [0.5]
    assert rows["nll"].item() == pytest.approx(-np.log(0.7 * 0.2) / 2)
    assert Classification().rows(outputs, y, torch.tensor([[1.0, 0.0]]))["accuracy"].item() == 1


def test_answers_by_hand():
    p = np.array([[0.8, 0.4, 0.5], [0.3, 0.9, 0.6]])
    y, w = np.array([[1, 0, 1], [0, 1, 0.0]]), np.array([[1, 1, 0], [1, 1, 1.0]])
    outputs = torch.from_numpy(np.log(p / (1 - p)))[..., None]
    given = torch.from_numpy(y), torch.from_numpy(w)
    objective = Answers()
    assert objective.loss(outputs, given[0])[0, 0].item() == pytest.approx(-np.log(0.8))
    assert objective.probabilities(outputs).squeeze(-1).numpy() == pytest.approx(p)
    rows = {k: v.numpy() for k, v in objective.rows(outputs, *given).items()}
    metrics = objective.metrics(rows)
    # right .8 .9, wrong .4 .3 .6: every pair in order
    assert metrics["auc"].mean() == pytest.approx(1)
    assert metrics["accuracy"].tolist() == pytest.approx([1, 2 / 3])
    assert metrics["nll"][0] == pytest.approx(-np.log(0.8 * 0.6) / 2)
    assert set(rows) == set(objective.row_names)


def test_a_certain_wrong_answer_costs_a_finite_amount():
    rows = {"probability": np.ones((1, 2)), "answer": np.array([[0.0, 1.0]]), "weight": np.ones(2)}
    rows["weight"] = np.ones((1, 2))
    assert np.isfinite(Answers().metrics(rows)["nll"]).all()


def test_regression_by_hand():
    outputs = torch.tensor([[[1.0, 2.0], [0.0, 0.0]]])
    y = torch.tensor([[[0.0, 0.0], [0.0, 2.0]]])
    assert Regression().loss(outputs, y).tolist() == [[2.5, 2]]
    assert Regression().rows(outputs, y, None)["mse"].tolist() == [2.25]
    assert Regression().probabilities(outputs) is outputs


def test_error_rate_is_what_accuracy_leaves():
    outputs = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 1.0]]])
    y, w = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    rows = OBJECTIVES["classification_errors"].rows(outputs, y, w)
    assert rows["error_rate"].tolist() == pytest.approx([1 / 3])
    assert rows["accuracy"].tolist() == pytest.approx([2 / 3])


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_what_every_objective_promises(kind):
    objective = OBJECTIVES[kind]
    torch.manual_seed(0)
    outputs = torch.randn(3, 4, 1 if kind == "answers" else 5)
    y = {
        "classification": torch.randint(5, (3, 4)),
        "classification_errors": torch.randint(5, (3, 4)),
        "answers": torch.tensor([[0.0, 1.0, 1.0, 0.0]]).expand(3, 4),
        "regression": torch.randn(3, 4, 5),
    }[kind]
    assert objective.loss(outputs, y).shape == (3, 4)
    assert objective.probabilities(outputs).shape == outputs.shape
    rows = objective.rows(outputs, y, None)
    assert set(rows) == set(objective.row_names)
    metrics = objective.metrics({k: v.numpy() for k, v in rows.items()})
    assert tuple(metrics) == objective.metric_names
    assert all(v.shape == (3,) for v in metrics.values())
    assert objective.headline == objective.metric_names[0]
    # weights of one change nothing
    weighted = objective.rows(outputs, y, torch.ones(3, 4))
    assert all(torch.allclose(rows[k], weighted[k]) for k in rows)

"""Models fitted at once: the maximum of what they say they maximise, in any Trainer."""

import csv

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from scipy.optimize import minimize

from bench.algorithms import two_pl
from bench.algorithms.item_mean import ItemMean
from bench.algorithms.rasch import Rasch
from bench.algorithms.two_pl import PRIOR_SD, TwoPL
from bench.data.irt import IRTDataModule
from bench.data.student import StudentDataModule
from bench.learning import direct_fit
from bench.tasks.episode import Episode
from bench.tasks.questions import ITEM

STUDENTS = 64


def data(**options):
    given = {"items": 8, "shots": 3, "queries": 3, "val_episodes": 20, "test_episodes": 20}
    given |= {"tasks_per_batch": 16, "iterations_per_epoch": 4}
    return IRTDataModule(**(given | options))


def trainer(**options):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return Trainer(
        max_steps=4, accelerator="cpu", **({"enable_checkpointing": False} | quiet | options)
    )


def answers_of(learner, students):
    learner.configure_model()
    return direct_fit.read(students, STUDENTS, learner.parameters())


def objective(learner, students):
    """The marginal likelihood by the learner's own loss, and the prior; mean over students."""
    x, y, there = students.training_answers(np.arange(STUDENTS))
    assert there.all()
    own, effects = learner.net.items.own.weight, learner.net.items.effects
    apart = torch.cat([own[:, :1] - own[:, :1].mean(), own[:, 1:]], 1)
    apart = apart if effects is None else torch.cat([apart, effects])
    prior = (apart / own.new_tensor(PRIOR_SD)[: own.shape[1]]).square().sum() / 2
    return learner.loss(Episode(x[:, :0], y[:, :0], x, y)).mean() + prior / STUDENTS


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("students", [{}, {"new_items": 3, "hide_items": 0.3}])
@pytest.mark.parametrize("cls", [Rasch, TwoPL])
def test_the_gradient_is_that_of_the_marginal_likelihood(cls, students, monkeypatch):
    students = data(**students)
    learner = cls(spec=students.spec)
    learner.configure_model()
    for p in learner.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
    wanted = objective(learner, students)
    gradients = torch.autograd.grad(wanted, list(learner.parameters()))
    for sparse in (direct_fit.SPARSE, 0):
        monkeypatch.setattr(direct_fit, "SPARSE", sparse)
        monkeypatch.setattr(direct_fit, "STUDENTS", 10)  # read in parts
        answers = answers_of(learner, students)
        assert answers.right.is_sparse == (sparse == 0)
        learner.zero_grad()
        assert learner.objective_and_gradient(answers).item() == pytest.approx(wanted.item())
        for p, g in zip(learner.parameters(), gradients):
            torch.testing.assert_close(p.grad, g)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("cls", [ItemMean, Rasch])
def test_few_answers_to_many_items_are_fitted_alike(cls, monkeypatch):
    found = []
    for sparse in (direct_fit.SPARSE, 0):
        monkeypatch.setattr(direct_fit, "SPARSE", sparse)
        monkeypatch.setattr(two_pl, "FIRST", 20)  # students to begin with
        students = data()
        learner = cls(spec=students.spec)
        learner.solve(answers_of(learner, students))
        found.append(torch.nn.utils.parameters_to_vector(learner.parameters()).detach())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("cls", [Rasch, TwoPL])
def test_the_maximum_is_that_of_scipy_and_of_adam_run_long(cls):
    students = data()
    learner, others = cls(spec=students.spec), cls(spec=students.spec)
    learner.solve(answers_of(learner, students))
    others.configure_model()
    parameters = list(others.parameters())

    def value_and_slope(flat):
        torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), parameters)
        others.zero_grad()
        value = objective(others, students)
        value.backward()
        return value.item(), torch.cat([p.grad.flatten() for p in parameters]).numpy()

    start = torch.nn.utils.parameters_to_vector(parameters).detach().numpy()
    best = minimize(value_and_slope, start, jac=True, method="BFGS", options={"gtol": 1e-7})
    found = torch.nn.utils.parameters_to_vector(learner.parameters()).detach().numpy()
    np.testing.assert_allclose(found, best.x, atol=1e-4)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(start), parameters)
    adam = torch.optim.Adam(parameters, lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 400)
    for _ in range(400):
        adam.zero_grad()
        objective(others, students).backward()
        adam.step()
        schedule.step()
    by_adam = torch.nn.utils.parameters_to_vector(parameters).detach().numpy()
    np.testing.assert_allclose(found, by_adam, atol=1e-3)


def test_the_prior_is_weak():
    students = data(items=8)
    learner = TwoPL(spec=students.spec)
    learner.configure_model()
    learner.solve(direct_fit.read(students, 4000, learner.parameters()))
    a, b, _ = students.item_parameters
    own = learner.net.items.own.weight.detach().numpy()
    np.testing.assert_allclose(own[:, 0], -a * b, atol=0.2)
    np.testing.assert_allclose(own[:, 1] + learner.net.discrimination.item(), a, atol=0.25)


def test_item_means_are_shares():
    students = data(fixed_order=True)
    learner = ItemMean(spec=students.spec)
    learner.solve(answers_of(learner, students))
    x, y, _ = students.training_answers(np.arange(STUDENTS))
    met = sorted(set(x[..., ITEM].flatten().int().tolist()))
    for item in met:
        share = y[x[..., ITEM] == item].mean()
        assert learner.net.log_odds[item].sigmoid().item() == pytest.approx(share.item(), abs=1e-5)
    for item in set(range(8)) - set(met):  # nobody was asked
        assert learner.net.log_odds[item].sigmoid().item() == pytest.approx(
            y.mean().item(), abs=1e-5
        )


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.parametrize("cls", [ItemMean, Rasch, TwoPL])
def test_one_step_under_any_trainer_and_again_where_it_stopped(cls, tmp_path):
    best = ModelCheckpoint(tmp_path / "first", monitor="val/auc", mode="max", save_last=True)
    kept = {"callbacks": [best], "enable_checkpointing": True}
    first = trainer(**kept, default_root_dir=tmp_path)
    learner, students = cls(), data()
    first.fit(learner, students)
    assert first.global_step == 1
    assert first.callback_metrics["val/auc"] > 0.55
    weights = torch.nn.utils.parameters_to_vector(learner.parameters())
    assert weights.abs().max() > 0.1
    reference = cls(spec=students.spec)
    reference.configure_model()
    reference.solve(direct_fit.read(students, 4 * 16, reference.parameters()))  # iterations x tasks
    assert torch.equal(weights, torch.nn.utils.parameters_to_vector(reference.parameters()))
    again = cls()
    kept["callbacks"] = [ModelCheckpoint(tmp_path / "again", monitor="val/auc", mode="max")]
    trainer(**kept, default_root_dir=tmp_path).fit(
        again, data(), ckpt_path=tmp_path / "first" / "last.ckpt", weights_only=True
    )
    assert torch.equal(weights, torch.nn.utils.parameters_to_vector(again.parameters()))


def write_students(path, count, answers):
    random = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        write = csv.writer(file).writerow
        write(["student", "item", "correct"])
        for student in range(count):
            for item in random.permutation(9)[:answers]:
                write([student, f"q{item}", int(random.random() < 0.1 + 0.09 * item)])


def test_every_recorded_student_counts_once_with_all_answers(tmp_path):
    write_students(tmp_path / "answers.csv", 40, 7)
    students = StudentDataModule(
        source=str(tmp_path / "answers.csv"),
        shots=2,
        queries=2,
        tasks_per_batch=4,
        hide_items=0.0,
        protocol="random",
    )
    learner = ItemMean()
    trainer(limit_val_batches=0).fit(learner, students)
    responses, train = students.responses, students.students["train"]
    selected = responses.select(train)
    assert len(selected.item) == 7 * len(train)
    for number, name in enumerate(students.item_names[: students.items]):
        answers = selected.answer[selected.item == responses.items.index(name)]
        share = learner.net.log_odds[number].sigmoid().item()
        half = 0.5 / len(answers)
        assert share == pytest.approx(np.clip(np.mean(answers), half, 1 - half), abs=1e-5)


def test_without_a_data_module_it_is_trained_step_by_step():
    students = data()
    learner = ItemMean(spec=students.spec)
    steps = trainer()
    steps.fit(learner, students.train_dataloader(), students.val_dataloader())
    assert steps.global_step == 4
    assert learner.net.log_odds.abs().max() > 0.01

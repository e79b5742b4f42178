"""Classifiers of all training classes, and the heads that new tasks get."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn import functional as F

from bench.algorithms.baseline import Baseline
from bench.algorithms.baseline_plus_plus import BaselinePlusPlus
from bench.base.errors import BenchError
from bench.checks.device_cases import TinyGlyphs
from bench.learning import heads
from bench.tasks.episode import TaskSpec

CLASSES = 7
WIDE = {"model_options": {"filters": 16}}  # no row is embedded as zero, which has no direction

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def numbered(images):
    """Episodes that say which training classes theirs are."""
    made = torch.Generator().manual_seed(5)
    return images()._replace(class_numbers=torch.randint(CLASSES, (3, 3), generator=made))


def reference(learner, episode, by_hand):
    """The mean over tasks of the cross-entropy of all rows among all training classes."""
    losses = []
    for t in range(3):
        rows = torch.cat(by_hand(learner, episode.support_x[t], episode.query_x[t]))
        y = torch.cat([episode.support_y[t], episode.query_y[t]])
        weight = learner.classifier.weight
        if isinstance(learner, BaselinePlusPlus):
            cosines = [[(x @ w) / (x.norm() * w.norm()) for w in weight] for x in rows]
            logits = 2 * torch.stack([torch.stack(row) for row in cosines])
        else:
            logits = rows @ weight.T + learner.classifier.bias
        classes = torch.tensor([int(episode.class_numbers[t][c]) for c in y])
        losses.append(-logits.log_softmax(1)[range(len(y)), classes].mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
@pytest.mark.parametrize("name", ["baseline", "baseline_plus_plus"])
def test_gradient_equals_a_plain_loop(make, by_hand, numbered, name, batch_norm, engine):
    learner = make(name, training_classes=CLASSES, batch_norm=batch_norm, engine=engine, **WIDE)
    learned = [p for p in learner.parameters() if p.requires_grad]
    wanted = torch.autograd.grad(reference(learner, numbered, by_hand), learned)
    found = torch.autograd.grad(learner.meta_step(numbered), learned)
    a, b = (torch.cat([g.flatten() for g in gs]) for gs in (found, wanted))
    assert (a - b).norm() <= 1e-10 * b.norm()


@pytest.mark.parametrize(("rows", "width", "ways"), [(5, 40, 5), (12, 3, 4), (60, 8, 3)])
def test_logistic_regression_is_that_of_another_solver(rows, width, ways):
    made = torch.Generator().manual_seed(0)
    x = F.normalize(torch.randn(2, rows, width, generator=made), dim=-1)
    y = torch.arange(rows).remainder(ways).expand(2, -1)
    found = heads.logistic(x, y, None, ways)
    for t in range(2):

        def value(flat, t=t):
            w = torch.tensor(flat).view(width, ways).requires_grad_()
            loss = F.cross_entropy(x[t] @ w, y[t], reduction="sum") + w.square().sum() / 2
            loss.backward()
            return loss.item(), w.grad.flatten().numpy()

        solved = minimize(
            value, np.zeros(width * ways), jac=True, method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
        )  # fmt: skip
        wanted = torch.tensor(solved.x).view(width, ways)
        torch.testing.assert_close(found[t], wanted, rtol=1e-6, atol=1e-7)
        _, gradient = value(found[t].flatten().numpy())
        assert np.abs(gradient).max() < 1e-10


def test_rows_of_weight_zero_do_not_count():
    x, y = F.normalize(torch.randn(2, 6, 9), dim=-1), torch.arange(3).repeat(2).expand(2, -1)
    w = torch.tensor([1.0, 1, 1, 1, 0, 0]).expand(2, -1)
    found, wanted = heads.logistic(x, y, w, 3), heads.logistic(x[:, :4], y[:, :4], None, 3)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["baseline", "baseline_plus_plus"])
def test_a_head_tells_the_support_rows_that_it_was_fitted_to_apart(make, images, name):
    learner, episode = make(name, training_classes=CLASSES, **WIDE), images()
    one = episode._replace(support_x=episode.support_x[:, :3], support_y=episode.support_y[:, :3])
    same = one._replace(query_x=one.support_x, query_y=one.support_y)
    assert (learner.predict(same)[:, 0].argmax(-1) == same.query_y).all()


def test_steps_on_the_head_by_cosines_are_plain_gradient_descent(make, images, by_hand):
    options = {"head_steps": 4, "head_lr": 0.5, "training_classes": CLASSES} | WIDE
    learner, episode = make("baseline_plus_plus", **options), images()
    predicted = learner.predict(episode)[:, 0]
    for t in range(3):
        y = episode.support_y[t]
        support, query = (
            (v / v.norm(dim=1, keepdim=True)).detach()
            for v in by_hand(learner, episode.support_x[t], episode.query_x[t])
        )
        w = torch.stack([support[y == c].mean(0) for c in range(3)])
        for _ in range(4):
            w = w.requires_grad_()
            loss = F.cross_entropy(2 * support @ (w / w.norm(dim=1, keepdim=True)).T, y)
            w = (w - 0.5 * torch.autograd.grad(loss, w)[0]).detach()
        torch.testing.assert_close(predicted[t], 2 * query @ (w / w.norm(dim=1, keepdim=True)).T)


@pytest.mark.parametrize("cls", [Baseline, BaselinePlusPlus])
def test_data_say_how_many_classes_there_are(cls):
    data = TinyGlyphs(ways=3, rotations="train")
    learner = cls(model_options={"filters": 4})
    learner.note_tasks(data)
    learner.configure_model()
    assert learner.classifier.out_features == learner.hparams["training_classes"] == 40


def test_cosines_count_for_more_where_there_are_many_classes(make):
    few, many = (make("baseline_plus_plus", training_classes=n, **WIDE) for n in (200, 201))
    rows = torch.randn(1, 4, 16)
    assert few.class_logits(rows).abs().max() <= 2 < many.class_logits(rows).abs().max() <= 10


@pytest.mark.parametrize(
    ("cls", "options", "words"),
    [
        (
            Baseline,
            {"training_classes": 0},
            "training_classes=0: give a whole number of at least 1",
        ),
        (BaselinePlusPlus, {"head_steps": -3}, "head_steps=-3: give a whole number of at least 0"),
        (BaselinePlusPlus, {"head_lr": -1.0}, "head_lr=-1.0: give a number of at least 0"),
    ],
)
def test_numbers_that_make_no_sense_are_named(cls, options, words):
    with pytest.raises(BenchError, match=words):
        cls(**options)


def test_what_is_missing_is_named(make, images):
    with pytest.raises(BenchError, match="how many classes training has.*training_classes="):
        Baseline(spec=TaskSpec("classification", (2, 8, 8), 3)).configure_model()
    with pytest.raises(BenchError, match=r"Episode.class_numbers is None"):
        make("baseline", training_classes=CLASSES).loss(images())

"""The running logit against one that goes through each student's questions in turn."""

import math

import pytest
import torch

from bench import IRTDataModule
from bench.algorithms.logitdec import Logitdec
from bench.tasks.episode import TaskSpec
from bench.tasks.questions import POSITION

STUDENTS = TaskSpec("answers", (4,), 1, items=7, skills=2)

pytestmark = pytest.mark.usefixtures("double")


def plain(net, episode, t):
    """Log-odds of each query of one student, question by question."""
    support = zip(episode.support_x[t], episode.support_y[t], episode.support_w[t])
    query = list(zip(episode.query_x[t], episode.query_y[t], torch.zeros(len(episode.query_y[t]))))
    met = [row for row in [*support, *query] if row[0][POSITION] >= 0]
    b, of_student, of_item, of_successes, of_recency = net.coefficients
    decay, forgetting = net.log_odds_of_decay.sigmoid(), net.log_forgetting.exp()
    answers = sorted((float(x[POSITION]), y) for x, y, shown in met if shown)
    odds = []
    for x, _, _ in query:
        at = float(x[POSITION])
        before = sum(position < at for position, _ in answers)
        right = wrong = decay ** len(answers)
        for number, (_, y) in enumerate(answers):
            between = before - 1 - number if number < before else number - before
            right = right + y * decay**between
            wrong = wrong + (1 - y) * decay**between
        successes, recency, skills = 0, 0, [s for s in (2, 3) if x[s]]
        for skill in skills:
            practised = [(float(z[POSITION]), y, w) for z, y, w in met if z[skill]]
            practised = [(p, y, w) for p, y, w in practised if p < at]
            successes = successes + math.log(1 + sum(float(y * w) for _, y, w in practised))
            if practised:
                recency = recency + (at - max(p for p, _, _ in practised)) ** -forgetting
        count = max(len(skills), 1)
        odds.append(
            b
            + of_student * (right / wrong).log()
            + of_item * net(x).detach()[0]
            + of_successes * successes / count
            + of_recency * recency / count
        )
    return torch.stack(odds)


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_meta_gradient_equals_a_plain_loop(make, students, engine):
    shown = torch.tensor([1.0, 1, 0, 1, 1, 0]).expand(3, -1)
    x = torch.cat([students.support_x, students.query_x], 1)
    x[..., POSITION] = torch.rand(3, 11, generator=torch.Generator().manual_seed(0)).argsort(1)
    x[0, -1, POSITION] = -1  # padding
    episode = students._replace(
        support_x=x[:, :6], query_x=x[:, 6:], support_w=shown, query_w=(x[:, 6:, 1] >= 0).double()
    )
    learner = make("logitdec", spec=STUDENTS, engine=engine)
    net, losses = learner.net, []
    for t in range(3):
        odds, y, w = plain(net, episode, t), episode.query_y[t], episode.query_w[t]
        torch.testing.assert_close(learner.predict(episode)[t, 0, w > 0, 0], odds[w > 0])
        loss = -((2 * y - 1) * odds).sigmoid().log() @ w
        everything = torch.cat([episode.support_y[t], y])
        items = net(torch.cat([episode.support_x[t], episode.query_x[t]]))[:, 0]
        counts = torch.cat([shown[t], w])
        losses.append(loss - ((2 * everything - 1) * items).sigmoid().log() @ counts)
    wanted = torch.autograd.grad(torch.stack(losses).mean(), list(learner.parameters()))
    found = torch.autograd.grad(learner.meta_step(episode), list(learner.parameters()))
    a, b = (torch.cat([g.flatten() for g in gs]) for gs in (found, wanted))
    assert (a - b).norm() <= 1e-10 * b.norm()


def test_seven_numbers_are_learned_beside_the_items(make):
    learner = make("logitdec", spec=IRTDataModule().spec)
    numbers = {n: p.numel() for n, p in learner.net.named_parameters()}
    assert sum(n for name, n in numbers.items() if not name.startswith("items")) == 7


def test_after_no_answer_it_is_the_item_alone(make, students):
    learner = Logitdec(spec=STUDENTS)
    learner.configure_model()
    hidden = students._replace(support_w=torch.zeros(3, 6))
    item = learner.net(students.query_x)
    torch.testing.assert_close(learner.predict(hidden)[:, 0], item)

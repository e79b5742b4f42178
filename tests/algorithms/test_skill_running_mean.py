import pytest
import torch

from bench.algorithms.skill_running_mean import SkillRunningMean
from bench.tasks.episode import Episode, TaskSpec

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.parametrize("skills", [0, 2])
def test_closed_form(skills):
    made = SkillRunningMean(spec=TaskSpec("answers", (2 + skills,), 1, items=4, skills=skills))
    made.configure_model()
    net = made.net
    with torch.no_grad():
        net.items.own.weight[:, 0] = torch.tensor([0.5, -0.5, 0.0, 1.0])
        net.skills[:] = torch.tensor([0.7, 0.4]).logit()[: len(net.skills)]
        net.strength[:] = torch.tensor([2.0, 5.0]).log()[: len(net.skills)]
    x = torch.zeros(1, 4, 2 + skills)
    x[0, :, 0] = torch.arange(4)
    if skills:  # the third item needs both
        x[0, :, 2:] = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 1]])
    y = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    odds = made.predict(Episode(x[:, :3], y[:, :3], x[:, 2:], y[:, 2:]))[0, 0, :, 0]
    logit = lambda p: torch.tensor(p).logit().item()  # noqa: E731
    if skills:  # one of two right on the first skill, none of two on the second
        first = logit((1 + 2 * 0.7) / (2 + 2)) - logit(0.7)
        second = logit((0 + 5 * 0.4) / (2 + 5)) - logit(0.4)
        assert odds.tolist() == pytest.approx([(first + second) / 2, 1 + second])
    else:
        moved = logit((1 + 2 * 0.7) / (3 + 2)) - logit(0.7)
        assert odds.tolist() == pytest.approx([moved, 1 + moved])


def test_nothing_shown_leaves_the_item_mean():
    made = SkillRunningMean(spec=TaskSpec("answers", (2,), 1, items=4))
    made.configure_model()
    x, y = torch.zeros(1, 2, 2), torch.ones(1, 2)
    odds = made.predict(Episode(x, y, x, y, torch.zeros(1, 2)))
    torch.testing.assert_close(odds[0, 0], made.net(x[0]))

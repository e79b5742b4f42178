"""Knowledge tracing against all paths of the hidden states."""

import itertools

import numpy as np
import pytest
import torch

from bench.algorithms.bkt import BKT, START
from bench.tasks.episode import Episode, TaskSpec

SPEC = TaskSpec("answers", (4,), 1, items=5, skills=2)

pytestmark = pytest.mark.usefixtures("double")


def paths(p, skill, answer, seen):
    """Probability of the answers seen, over all paths of one skill's states, by enumeration."""
    own = [t for t in range(len(skill)) if skill[t]]
    total = 0.0
    for path in itertools.product((0, 1), repeat=len(own)):
        value = p["prior"] if path[0] else 1 - p["prior"]
        for k, (t, state) in enumerate(zip(own, path)):
            if k:
                up = 1 - p["forget"] if path[k - 1] else p["learn"]
                value *= up if state else 1 - up
            if seen[t]:
                right = 1 - p["slip"] if state else p["guess"]
                value *= right if answer[t] else 1 - right
        total += value
    return total


@pytest.mark.parametrize("skills", [0, 2])
def test_likelihood_and_prediction_are_sums_over_paths(skills):
    spec = SPEC if skills else SPEC._replace(input_shape=(2,), skills=0)
    made = BKT(spec=spec)
    made.configure_model()
    torch.manual_seed(0)
    with torch.no_grad():
        for v in made.parameters():
            v += torch.randn_like(v)
    values = {n: v.detach().numpy() for n, v in made.net.probabilities().items()}
    rng = np.random.default_rng(0)
    rows = 7
    q = np.eye(2)[rng.integers(2, size=rows)] if skills else np.ones((rows, 1))
    x = np.column_stack([rng.integers(5, size=rows), np.arange(rows), *(q.T if skills else ())])
    answer = rng.integers(2, size=rows)
    x, y = torch.from_numpy(x)[None], torch.from_numpy(answer.astype(float))[None]
    seen = np.array([1, 1, 0, 1, 0, 1, 1])  # of the support: row 2 is hidden, row 4 is asked for
    support = [0, 1, 2, 3, 5, 6]
    w = torch.tensor([[1.0, 1, 0, 1, 1, 1]])
    episode = Episode(x[:, support], y[:, support], x[:, [4]], y[:, [4]], w)

    def own(k):
        return {n: v[k] for n, v in values.items()}

    count = q.shape[1]
    counted = [seen | (np.arange(rows) == 4)] * count
    wanted = sum(np.log(paths(own(k), q[:, k], answer, counted[k])) for k in range(count))
    assert made.loss(episode).item() == pytest.approx(-wanted, rel=1e-12)
    k = q[4].argmax()  # only what came before counts
    before = seen * (np.arange(rows) < 4)
    both = before | (np.arange(rows) == 4)
    right = np.where(np.arange(rows) == 4, 1, answer)
    now = np.arange(rows) <= 4
    p = paths(own(k), (q[:, k] * now), right, both) / paths(own(k), q[:, k] * now, right, before)
    assert made.predict(episode).sigmoid().item() == pytest.approx(p, rel=1e-12)


def test_it_starts_where_it_says():
    made = BKT(spec=SPEC)
    made.configure_model()
    for name, value in made.net.probabilities().items():
        assert value.tolist() == pytest.approx([START[name]] * 2)


def test_mastery_rises_with_right_answers():
    made = BKT(spec=SPEC)
    made.configure_model()
    x = torch.zeros(2, 6, 4)
    x[..., 1], x[..., 2] = torch.arange(6), 1  # skill 0 alone
    y = torch.tensor([[1.0], [0.0]]).expand(2, 6)
    mastery = made.mastery(Episode(x[:, :5], y[:, :5], x[:, 5:], y[:, 5:]))
    assert mastery.shape == (2, 2)
    assert mastery[0, 0] > 0.9 > 0.4 > mastery[1, 0]
    assert mastery[:, 1].tolist() == pytest.approx([START["prior"]] * 2)

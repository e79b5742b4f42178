"""What every method for students must keep to, whatever it is."""

from functools import partial

import numpy as np
import pytest
import torch

from bench.base import registry
from bench.base.errors import BenchError
from bench.learning.student_learner import StudentLearner
from bench.tasks import kinds
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import ITEM, POSITION

STUDENTS = TaskSpec("answers", (5,), 1, items=8, skills=2)
METHODS = (
    "anil",
    "bilevel_irt",
    "bkt",
    "cavia",
    "cnp",
    "dkt",
    "imaml",
    "item_mean",
    "logitdec",
    "maml",
    "maml_plus_plus",
    "meta_sgd",
    "rasch",
    "reptile",
    "skill_running_mean",
    "two_pl",
)
IN_TIME = ("bkt", "dkt")
load = partial(registry.load, "algorithms")

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def learner(moved):
    return lambda name: moved(registry.create("algorithms", name, spec=STUDENTS))


def draw(tasks=4, support=6, query=3, spec=STUDENTS, seed=0):
    """Students with some answers hidden; queries after, between and before the answers shown."""
    rng = np.random.default_rng(seed)
    rows = support + query
    x = np.zeros((tasks, rows, *spec.input_shape))
    x[..., ITEM] = rng.integers(spec.items, size=(tasks, rows))
    x[..., POSITION] = rng.random((tasks, rows)).argsort(1)
    if spec.skills:
        x[..., 2 : 2 + spec.skills] = np.eye(spec.skills)[
            rng.integers(spec.skills, size=(tasks, rows))
        ]
        x[..., 2 + spec.skills :] = rng.normal(size=(tasks, rows, 1))
    x, y = torch.from_numpy(x), torch.from_numpy(rng.integers(2, size=(tasks, rows)).astype(float))
    w = torch.from_numpy((rng.random((tasks, rows)) < 0.8).astype(float))
    w[:, 0] = 1
    s = slice(0, support), slice(support, None)
    return Episode(
        x[:, s[0]], y[:, s[0]], x[:, s[1]], y[:, s[1]], w[:, s[0]], torch.ones(tasks, query),
        index=torch.arange(tasks),
    )  # fmt: skip


def padded(episode, rows=9):
    """The same students with rows of padding in front of the support and behind the query."""
    x, y, qx, qy, w, qw, index, _ = episode
    none = torch.zeros(len(y), rows, x.shape[2])
    none[..., POSITION] = -1
    zero, one = torch.zeros(len(y), rows), torch.ones(len(y), rows)
    return Episode(
        torch.cat([none, x], 1), torch.cat([one, y], 1), torch.cat([qx, none], 1),
        torch.cat([qy, one], 1), torch.cat([zero, w], 1), torch.cat([qw, zero], 1), index,
    )  # fmt: skip


def test_all_are_covered():
    others = {"bayes", "boil", "fomaml", "first_order_bilevel_irt", "no_adaptation", "random_init"}
    assert set(METHODS) | others == set(kinds.fitting("answers"))


@pytest.mark.parametrize("name", METHODS)
def test_padding_changes_nothing(learner, name):
    made, episode = learner(name), draw()
    torch.testing.assert_close(made.loss(padded(episode)), made.loss(episode))
    got = made.predict(padded(episode))[:, :, :3]
    torch.testing.assert_close(got, made.predict(episode))
    for state in (getattr(made, n) for n in ("ability", "mastery") if hasattr(made, n)):
        torch.testing.assert_close(state(padded(episode)), state(episode))


@pytest.mark.parametrize("name", METHODS)
def test_hidden_answers_and_those_asked_for_are_not_read(learner, name):
    made, episode = learner(name), draw()
    y = torch.where(episode.support_w > 0, episode.support_y, 1 - episode.support_y)
    other = episode._replace(support_y=y, query_y=1 - episode.query_y)
    torch.testing.assert_close(made.predict(other), made.predict(episode))
    shown = episode._replace(support_y=torch.where(y > -1, 1 - episode.support_y, y))
    assert name == "item_mean" or (made.predict(shown) - made.predict(episode)).abs().max() > 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_without_weights_every_row_counts(learner, name):
    made, episode = learner(name), draw()
    whole = episode._replace(support_w=torch.ones_like(episode.support_w))
    bare = whole._replace(support_w=None, query_w=None)
    torch.testing.assert_close(made.loss(bare), made.loss(whole))
    torch.testing.assert_close(made.predict(bare), made.predict(whole))


@pytest.mark.parametrize("name", IN_TIME)
def test_the_future_is_not_read(learner, name):
    made, episode = learner(name), draw(support=8, query=6)
    before, most = made.predict(episode)[:, 0, :, 0], 0.0
    for i in range(8):
        y = episode.support_y.clone()
        y[:, i] = 1 - y[:, i]
        after = made.predict(episode._replace(support_y=y))[:, 0, :, 0]
        earlier = episode.query_x[..., POSITION] < episode.support_x[:, i, POSITION, None]
        assert torch.equal(after[earlier], before[earlier])
        most = max(most, (after - before).abs().max().item())
    assert most > 1e-3


@pytest.mark.parametrize("name", IN_TIME)
def test_rows_may_come_in_any_order(learner, name):
    made, episode = learner(name), draw()
    x, y, w = (v.flip(1) for v in (episode.support_x, episode.support_y, episode.support_w))
    other = episode._replace(support_x=x, support_y=y, support_w=w)
    torch.testing.assert_close(made.predict(other), made.predict(episode))


@pytest.mark.parametrize("name", [m for m in METHODS if issubclass(load(m), StudentLearner)])
def test_they_take_students_alone_and_no_model(name):
    with pytest.raises(BenchError, match="students"):
        registry.create("algorithms", name, spec=TaskSpec("regression", (1,), 1)).configure_model()
    with pytest.raises(BenchError, match="leave model out"):
        registry.create("algorithms", name, spec=STUDENTS, model="mlp").configure_model()

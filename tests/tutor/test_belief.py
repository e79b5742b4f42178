import numpy as np
import pytest
import torch

from bench.base import registry
from bench.tasks.episode import TaskSpec
from bench.tutor import belief
from bench.tutor.vocabulary import Vocabulary

pytestmark = pytest.mark.usefixtures("double")

ITEMS = 12
SPEC = TaskSpec("answers", (4,), 1, items=ITEMS, skills=2)
AT_ONCE = ("anil", "bilevel_irt", "boil", "cavia", "cnp", "imaml", "item_mean", "maml")
AT_ONCE += ("maml_plus_plus", "meta_sgd", "no_adaptation", "random_init", "reptile", "rasch")
IN_TIME = ("bkt", "dkt", "logitdec", "skill_running_mean")


@pytest.fixture
def words():
    names = [f"q{i}" for i in range(ITEMS)]
    features = torch.eye(2).repeat(ITEMS // 2, 1)
    return Vocabulary(names, ["adding", "halving"], features, ITEMS, 5)


@pytest.fixture
def learner(moved):
    return lambda name: moved(registry.create("algorithms", name, spec=SPEC))


def students(words, questions=None):
    rng = np.random.default_rng(0)
    answers = [(rng.permutation(ITEMS)[:n], rng.integers(0, 2, n)) for n in (5, 0, 3)]
    return belief.episode(answers, words, questions)


@pytest.fixture
def shown(monkeypatch):
    """Shapes of the answers shown each time that a learner predicts."""
    shapes, predicted = [], belief.posterior.predicted

    def noting(learner, episode):
        shapes.append(tuple(episode.support_y.shape))
        return predicted(learner, episode)

    monkeypatch.setattr(belief.posterior, "predicted", noting)
    return shapes


@pytest.mark.parametrize("name", AT_ONCE + IN_TIME)
def test_what_is_believed_of_a_question_is_as_if_it_alone_were_asked(learner, words, shown, name):
    made = learner(name)
    together = belief.chances([made], students(words))
    assert together.dtype == np.float64
    if name in AT_ONCE:
        assert shown == [(3, 5)]  # adapted to once, however many questions there are
    alone = [belief.chances([made], students(words, [i]))[:, 0] for i in range(ITEMS)]
    np.testing.assert_allclose(together, np.stack(alone, 1), rtol=1e-9)


def test_of_many_students_some_adapt_at_a_time(learner, words, shown, monkeypatch):
    made = learner("maml")
    together = belief.chances([made], students(words))
    monkeypatch.setattr(belief, "MOST_NUMBERS", 1)
    np.testing.assert_allclose(belief.chances([made], students(words)), together, rtol=1e-9)
    assert shown == [(3, 5)] + [(1, 5)] * 3


def test_the_state_of_dkt_serves_all_questions(learner, words, shown, monkeypatch):
    made = learner("dkt")
    together = belief.chances([made], students(words))
    assert shown == []
    monkeypatch.delattr(type(made), "predict_next")
    np.testing.assert_allclose(belief.chances([made], students(words)), together, rtol=1e-9)
    assert shown == [(ITEMS, 5)] * 3  # each question after the same answers

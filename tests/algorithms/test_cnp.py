"""Conditional neural processes against encoder, mean and decoder written out, for every kind."""

import pytest
import torch

from bench.algorithms.cnp import CNP
from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec

VECTORS = TaskSpec("regression", (4,), 2)
STUDENTS = TaskSpec("answers", (4,), 1, items=7, skills=2)

pytestmark = pytest.mark.usefixtures("double")


def decoded(learner, query, r):
    return torch.stack([learner.decoder(torch.cat([x, r])) for x in query])


def by_class(learner, support, query, y):
    means = [learner.encoder(support[y == c]).mean(0) for c in range(3)]
    return decoded(learner, query, torch.cat(means))


def together(learner, support, query, y):
    pairs = torch.cat([support, y.reshape(len(y), -1)], 1)
    return decoded(learner, query, learner.encoder(pairs).mean(0))


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_meta_gradient_of_images_equals_a_plain_loop(exact, images, batch_norm):
    exact("cnp", by_class, images(), batch_norm=batch_norm)


def test_meta_gradient_of_a_regression_equals_a_plain_loop(exact, vectors):
    exact("cnp", together, vectors, VECTORS)


def test_meta_gradient_of_students_equals_a_plain_loop(exact, students):
    exact("cnp", together, students, STUDENTS)


def test_the_order_of_the_support_does_not_matter_and_its_targets_do(make, vectors):
    learner = make("cnp", VECTORS)
    before = learner.predict(vectors)
    turned = vectors._replace(
        support_x=vectors.support_x.flip(1), support_y=vectors.support_y.flip(1)
    )
    torch.testing.assert_close(learner.predict(turned), before)
    other = vectors._replace(support_y=vectors.support_y.flip(1))
    assert (learner.predict(other) - before).abs().max() > 1e-4


def test_sizes_are_what_was_asked_for(make):
    learner = make("cnp", VECTORS, representation=5, hidden=[7])
    assert [m.out_features for m in learner.encoder[::2]] == [7, 5]
    assert learner.decoder[0].in_features == 40 + 5


@pytest.mark.parametrize("options", [{"representation": 0}, {"hidden": (8, 0)}])
def test_sizes_below_one_are_named(options):
    with pytest.raises(BenchError, match="give (a )?whole numbers? of at least 1"):
        CNP(**options)

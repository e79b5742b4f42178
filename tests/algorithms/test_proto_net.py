"""Prototypical networks against squared distances written out."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.algorithms.proto_net import ProtoNet
from bench.base.errors import BenchError
from bench.checks.device_cases import TinyGlyphs
from bench.tasks.episode import TaskSpec

pytestmark = pytest.mark.usefixtures("double")


def distances(learner, support, query, y):
    """Minus the squared distance of each query row to the mean of each class."""
    means = [support[y == c].mean(0) for c in range(3)]
    return torch.stack([-((query - mean) ** 2).sum(1) for mean in means], 1)


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_meta_gradient_equals_a_plain_loop(exact, images, batch_norm):
    exact("proto_net", distances, images(), batch_norm=batch_norm)


def test_a_query_equal_to_a_prototype_is_of_its_class(make, images):
    learner, episode = make("proto_net"), images()
    one = episode._replace(support_x=episode.support_x[:, :3], support_y=episode.support_y[:, :3])
    same = one._replace(query_x=one.support_x, query_y=one.support_y)  # embedded alike
    assert (learner.predict(same)[:, 0].argmax(-1) == same.query_y).all()


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_only_transductive_predictions_depend_on_other_queries(make, images, batch_norm):
    learner, episode = make("proto_net", batch_norm=batch_norm), images()
    x = episode.query_x.clone()
    x[:, 1:] += 1
    before, after = (
        learner.predict(e)[:, 0, 0].softmax(-1) for e in (episode, episode._replace(query_x=x))
    )
    assert torch.allclose(before, after, atol=1e-9) == (batch_norm == "support")


def test_the_order_of_the_support_rows_does_not_matter(make, images):
    learner, episode = make("proto_net"), images()
    turned = episode._replace(
        support_x=episode.support_x.flip(1), support_y=episode.support_y.flip(1)
    )
    torch.testing.assert_close(learner.predict(turned), learner.predict(episode))


def test_what_it_cannot_be_used_for_is_refused():
    with pytest.raises(BenchError, match=r"ProtoNet is for classification.*regression"):
        ProtoNet(spec=TaskSpec("regression", (1,), 1)).configure_model()
    flat = nn.Sequential(nn.Flatten(), nn.Linear(128, 3))
    with pytest.raises(BenchError, match="needs a network with .features; Sequential has none"):
        ProtoNet(spec=TaskSpec("classification", (2, 8, 8), 3), model=flat).configure_model()


def test_padding_and_batch_norm_do_not_mix(make, images):
    episode = images()
    weighted = episode._replace(support_w=torch.ones(3, 6))
    for batch_norm in ("transductive", "support"):
        with pytest.raises(BenchError, match="padding"):
            make("proto_net", batch_norm=batch_norm).loss(weighted)


def test_it_adapts_to_a_few_examples_of_ones_own(make, images):
    learner, episode = make("proto_net"), images(tasks=1)
    predict = learner.adapt(episode.support_x[0], episode.support_y[0])
    wanted = learner.predict(episode)[0, 0].softmax(-1)
    torch.testing.assert_close(predict(episode.query_x[0]), wanted)


def test_more_ways_in_training_than_at_test():
    data = TinyGlyphs(ways=3, train_ways=8, shots=1, queries=2)
    learner = ProtoNet(spec=data.spec, model_options={"filters": 4})
    learner.configure_model()
    train, test = (data.episodes(split, np.arange(2)) for split in ("train", "test"))
    learner.loss(train).sum().backward()
    probabilities = learner.predict(test)[:, 0].softmax(-1)
    assert probabilities.shape == (2, 6, 8)
    torch.testing.assert_close(probabilities[..., :3].sum(-1), torch.ones(2, 6))

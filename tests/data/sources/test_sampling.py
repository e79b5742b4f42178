"""The composition of episodes against the words of the paper and another way to draw it."""

import json

import numpy as np
import pytest
from scipy.stats import chisquare, ks_2samp

from bench.base.errors import BenchError
from bench.data.images import meta_dataset_spec as spec
from bench.data.sources import sampling
from bench.data.sources.sampling import Sampling
from bench.tasks import counter_random

EPISODES = 10_000
IMAGES = {i: 4 + 13 * i % 397 for i in range(70)}  # 4 to 390 a class, unequal
PLAIN = spec.Spec(
    "made", {"train": [*range(70)], "val": [], "test": []}, {i: str(i) for i in IMAGES}, IMAGES
)
ALPHABETS = PLAIN._replace(related={"train": [[*range(6)], [*range(6, 30)], [*range(30, 70)]]})
GRAPH = PLAIN._replace(
    related={"train": [[0, 1, 2], [*range(3, 10)], [*range(65)], [*range(40, 45)]]}, graph=True
)


def drawn(source, sampled=None, episodes=EPISODES):
    sampled = sampled or Sampling()
    pool = sampling.pool(source, "train", sampled)
    u = counter_random.uniform((1, 2), np.arange(episodes), sampled.draws)
    return [sampling.compose(pool, row, sampled) for row in u]


def reference(random, count):
    """Shots and queries as the paper words it, one class after the other, one step at a time."""
    queries = min(10, min(n // 2 for n in count))
    beta = 1 - random.random()  # in (0, 1]
    size = min(500, sum(int(np.ceil(beta * min(100, n - queries))) for n in count))
    weights = [n * np.exp(random.uniform(np.log(0.5), np.log(2))) for n in count]
    shots = [
        min(int(w / sum(weights) * (size - len(count))) + 1, n - queries)
        for w, n in zip(weights, count)
    ]
    return shots, queries


@pytest.fixture(scope="module")
def plain():
    return drawn(PLAIN)


def test_ways_are_uniform(plain):
    ways = np.bincount([len(c.classes) for c in plain], minlength=51)
    assert ways[:5].sum() == 0
    assert len(ways) == 51
    assert chisquare(ways[5:]).pvalue > 0.01


def test_every_class_is_equally_likely_and_comes_once(plain):
    assert all(len(set(c.classes)) == len(c.classes) for c in plain)
    count = np.bincount(np.concatenate([c.classes for c in plain]))
    # without replacement, so the counts vary less than independent ones would
    assert np.abs(count / count.mean() - 1).max() < 0.05


def test_labels_do_not_follow_class_numbers(plain):
    firsts = np.array([c.classes[0] for c in plain])
    assert abs(firsts.mean() - 34.5) < 1


def test_bounds(plain):
    for c in plain:
        count = np.array([IMAGES[n] for n in c.classes])
        assert c.queries == min(10, min(count) // 2)
        assert c.shots.min() >= 1
        assert c.shots.sum() <= 500
        assert (c.shots + c.queries <= count).all()


def test_sizes_are_distributed_as_the_paper_says(plain):
    random = np.random.default_rng(3)
    wanted = [reference(random, [IMAGES[n] for n in c.classes]) for c in plain]
    for ours, theirs in (
        ([c.shots.sum() for c in plain], [sum(s) for s, _ in wanted]),
        ([c.shots.max() for c in plain], [max(s) for s, _ in wanted]),
        ([c.shots[0] for c in plain], [s[0] for s, _ in wanted]),
        (
            [c.shots.max() / c.shots.mean() for c in plain],
            [max(s) / np.mean(s) for s, _ in wanted],
        ),
    ):
        assert ks_2samp(ours, theirs).pvalue > 0.01
    assert [c.queries for c in plain] == [q for _, q in wanted]


def test_support_size_where_all_is_equal():
    """100 images a class, 10 of them queries: beta 90 of each, which are equal but for weights."""
    count, left = np.full(5, 100), np.full(5, 90)
    for beta, total in ((0.0, 5), (0.25, 5 * 23), (0.9999999, 450)):
        shots = sampling.support(count, left, beta, np.full(5, 0.3), Sampling())
        assert shots.tolist() == [total // 5] * 5
    unequal = sampling.support(count, left, 0.25, np.array([0, 0.5, 0.5, 0.5, 1.0]), Sampling())
    # weights .5, 1, 1, 1, 2 of 110 images beside one each
    assert unequal.tolist() == [11, 21, 21, 21, 41]


def test_super_classes_are_equally_likely_and_not_mixed():
    found, groups = drawn(ALPHABETS, episodes=3000), [0, 0, 0]
    for c in found:
        (group,) = {0 if n < 6 else 1 if n < 30 else 2 for n in c.classes}
        groups[group] += 1
        assert 5 <= len(c.classes) <= (6, 24, 40)[group]
    assert chisquare(groups).pvalue > 0.01
    ways = np.bincount([len(c.classes) for c in found if c.classes[0] < 6])
    assert chisquare(ways[5:7]).pvalue > 0.01


def test_a_graphs_node_gives_all_its_leaves_up_to_fifty():
    found = drawn(GRAPH, episodes=3000)
    kinds = {7: 0, 50: 0, 5: 0}  # the node with three leaves has too few
    for c in found:
        kinds[len(c.classes)] += 1
    assert chisquare(list(kinds.values())).pvalue > 0.01
    whole = next(c for c in found if len(c.classes) == 7)
    assert sorted(whole.classes) == [*range(3, 10)]


def test_ways_and_shots_that_are_given():
    for c in drawn(ALPHABETS, Sampling(ways=5, shots=2, queries=15), 200):
        assert len(c.classes) == 5
        assert c.shots.tolist() == [2] * 5
        assert c.queries == min(15, min(IMAGES[n] for n in c.classes) - 2)
    one = drawn(ALPHABETS, Sampling(ways=5), 50)
    assert {len(c.classes) for c in one} == {5}
    assert len({tuple(c.shots) for c in one}) > 40


@pytest.mark.parametrize(
    ("source", "wish", "words"),
    [
        (ALPHABETS, {"min_ways": 7}, "min_ways=7: the train split of made has 6 classes in its"),
        (PLAIN, {"ways": 71}, "ways=71: the train split of made has 70 classes: choose fewer"),
        (GRAPH, {"min_ways": 66}, "no such group of classes"),
        (PLAIN, {"shots": 4}, "shots=4: class '0' .* has 4 images, and 5 are needed"),
        (PLAIN._replace(images=IMAGES | {9: 1}), {}, "class '9' .* has 1 images, and 2 are"),
    ],
)
def test_what_cannot_be_drawn(source, wish, words):
    with pytest.raises(BenchError, match=words):
        sampling.pool(source, "train", Sampling(**wish))


@pytest.mark.parametrize("name", ["aircraft", "fungi", "omniglot", "quickdraw", "vgg_flower"])
def test_published_sources(shared_data, name):
    file = shared_data("meta_dataset", "dataset_specs", f"{name}_dataset_spec.json")
    source = spec.read(json.dumps(json.loads(file.read_text())), file)
    for c in drawn(source, episodes=200):
        count = np.array([source.images[n] for n in c.classes])
        assert 5 <= len(c.classes) <= 50
        assert c.queries == min(10, count.min() // 2)
        assert len(c.classes) <= c.shots.sum() <= 500
        assert (c.shots + c.queries <= count).all()

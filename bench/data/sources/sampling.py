"""Which classes an episode of Meta-Dataset has, and how many images of each.

Triantafillou et al., "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few Examples",
ICLR 2020 (arXiv:1903.03096), section 3.2 and appendix A.3; their code, which is the reference, is
meta_dataset/data/sampling.py. Ways, query and support sizes vary as there; what is drawn follows
from numbers that are given, not from a generator with a state.
"""

from typing import NamedTuple

import numpy as np

from bench.base.errors import BenchError
from bench.data.images.meta_dataset_spec import Spec
from bench.tasks import counter_random

MOST_LEAVES = 392  # below a node of ImageNet's graph: the fewest by which every class is reached


class Sampling(NamedTuple):
    """How episodes are composed. The defaults are those of Meta-Dataset.

    Attributes:
        ways: classes in an episode; None: drawn, from related classes where the source has groups.
        shots: support images of a class; None: drawn, unequal.
        queries: most query images of a class; all classes of an episode have equally many.
        min_ways: fewest classes, where they are drawn.
        max_ways: most classes, where they are drawn.
        max_support: most support images of an episode, where they are drawn.
        max_support_of_class: most that a class adds to the size of the support set; it may have
            more images in it all the same.
        min_log_weight: lower end of the logarithm of a class's random weight.
        max_log_weight: its upper end.
    """

    ways: int | None = None
    shots: int | None = None
    queries: int = 10
    min_ways: int = 5
    max_ways: int = 50
    max_support: int = 500
    max_support_of_class: int = 100
    min_log_weight: float = float(np.log(0.5))
    max_log_weight: float = float(np.log(2))

    @property
    def most_ways(self) -> int:
        """The most classes an episode can have."""
        return self.max_ways if self.ways is None else self.ways

    @property
    def draws(self) -> int:
        """Random numbers that one composition takes."""
        return 3 + 3 * self.most_ways


class Composition(NamedTuple):
    """What an episode consists of.

    Attributes:
        classes: ``[ways]`` class numbers, in the order of their labels.
        shots: ``[ways]`` support images of each.
        queries: query images of each.
    """

    classes: np.ndarray
    shots: np.ndarray
    queries: int


class Pool(NamedTuple):
    """The classes of a split that can be in one episode together.

    Attributes:
        groups: class numbers, one group of which an episode is drawn from.
        whole: whether an episode takes all classes of its group, where they are not too many.
        images: how many images each class has.
    """

    groups: list[np.ndarray]
    whole: bool
    images: dict[int, int]


def pool(spec: Spec, split: str, sampling: Sampling) -> Pool:
    """The groups of classes from which the classes of one episode are drawn.

    One of all classes; where the source has super-classes, each of them; where it has a graph, the
    leaves below each inner node that has neither too few nor too many.

    Raises:
        BenchError: if the source has too few classes, or a class too few images.
    """
    classes = spec.classes[split]
    found, least = [classes], sampling.ways or sampling.min_ways
    if spec.related is not None and sampling.ways is None:
        found = spec.related[split]
        if spec.graph:
            found = [group for group in found if least <= len(group) <= MOST_LEAVES]
    if not found or min(map(len, found)) < least:
        what = "ways" if sampling.ways is not None else "min_ways"
        have = f"{min(map(len, found))} classes" if found else "no such group of classes"
        related = " in its smallest group" if len(found) > 1 else ""
        raise BenchError(
            f"{what}={least}: the {split} split of {spec.name} has {have}{related}: choose fewer"
        )
    needed = 2 if sampling.shots is None else sampling.shots + 1
    smallest = min({number for group in found for number in group}, key=spec.images.__getitem__)
    if spec.images[smallest] < needed:
        wish = "" if sampling.shots is None else f"shots={sampling.shots}: "
        raise BenchError(
            f"{wish}class {spec.names[smallest]!r} in the {split} split of {spec.name} has "
            f"{spec.images[smallest]} images, and {needed} are needed"
        )
    whole = spec.graph and sampling.ways is None
    return Pool([np.array(group) for group in found], whole, spec.images)


def compose(pool: Pool, u: np.ndarray, sampling: Sampling) -> Composition:
    """Draws the classes of an episode and the sizes of its support and query sets.

    Args:
        pool: the classes that there are.
        u: ``[draws]`` uniform numbers.
        sampling: how.
    """
    group, size, beta = u[:3]
    order, weights = u[3 : 3 + 2 * sampling.most_ways], u[3 + 2 * sampling.most_ways :]
    there = pool.groups[int(group * len(pool.groups))]
    ways, most = sampling.ways, min(sampling.max_ways, len(there))
    if ways is None:
        least = most if pool.whole else sampling.min_ways
        ways = least + int(size * (most - least + 1))
    classes = there[counter_random.choose(order[: 2 * ways], len(there))]
    count = np.array([pool.images[number] for number in classes])
    if sampling.shots is not None:
        queries = min(sampling.queries, int(count.min()) - sampling.shots)
        return Composition(classes, np.full(ways, sampling.shots), queries)
    queries = min(sampling.queries, int(count.min() // 2))
    return Composition(
        classes, support(count, count - queries, beta, weights[:ways], sampling), queries
    )


def support(
    count: np.ndarray, left: np.ndarray, beta: float, u: np.ndarray, sampling: Sampling
) -> np.ndarray:
    """How many support images each class gets, ``[ways]``.

    In all ``sum_c ceil(beta min(100, left_c))``, 500 at the most, with beta in (0, 1]; of them each
    class gets one, and of the rest a share in proportion to ``count_c`` times a random weight.

    Args:
        count: ``[ways]`` images of each class.
        left: ``[ways]`` those that are not in the query set.
        beta: a uniform number.
        u: ``[ways]`` uniform numbers.
        sampling: the bounds.
    """
    added = np.minimum(sampling.max_support_of_class, left)
    total = min(int(np.floor(beta * added + 1).sum()), sampling.max_support)
    low, high = sampling.min_log_weight, sampling.max_log_weight
    weights = count * np.exp(low + (high - low) * u)
    shares = np.floor(weights / weights.sum() * (total - len(count))).astype(np.int64)
    return np.minimum(shares + 1, left)

"""What a learner believes about a student: draws of the chances of right answers.

One learner whose ability vector adapts has a Gaussian posterior around it (Laplace), one of item
response theory that integrates over the ability has the posterior itself, and any several learners
together are an ensemble, of which each is a draw.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from bench.algorithms.item_mean import ItemMean
from bench.algorithms.no_adaptation import NoAdaptation
from bench.algorithms.two_pl import TwoPL
from bench.base.errors import BenchError
from bench.learning.gradient_based import PSEUDO_ROWS, GradientBased
from bench.learning.inner_loop import Fast
from bench.learning.learner import MetaLearner
from bench.learning.parameters import call_with
from bench.learning.student_learner import rows_of
from bench.tasks import counter_random
from bench.tasks.episode import Episode


class Gaussian(NamedTuple):
    """A normal posterior of each student's ability, and what it means for each query.

    Attributes:
        logits: ``[tasks, query]`` log-odds of a right answer at the mean ability; of a learner that
            does not predict by a mean over abilities, as it gives them.
        slopes: ``[tasks, query, dimensions]`` their derivatives by the ability; of IRT, ``a``.
        covariance: ``[tasks, dimensions, dimensions]`` of the ability.
    """

    logits: Tensor
    slopes: Tensor
    covariance: Tensor


def draws(
    learners: Sequence[MetaLearner], episode: Episode, count: int = 64, seed: int = 0
) -> Tensor:
    """Draws chances of right answers from the posterior given the answers shown.

    The mean over draws is the posterior predictive probability (for a learner that adapts, its own
    prediction but for noise), their spread is how unsure it is.
    The same random numbers serve every student, so that a student's draws depend on nothing else.

    Args:
        learners: one with an ability (bilevel IRT, Rasch, 2PL), or several of any kind, each of
            whose predictions is one draw.
        episode: students; the answers of the query are not read.
        count: how many draws of one learner.
        seed: of the draws of one learner.

    Returns:
        ``[tasks, draws, query]``; the same draw is the same state of the student for all queries.

    Raises:
        BenchError: if one learner alone has no posterior.
    """
    if len(learners) > 1:
        return torch.stack([predicted(learner, episode) for learner in learners], 1)
    learner = learners[0]
    learner.configure_model()
    if isinstance(learner, TwoPL):
        return _from_nodes(learner, episode, count, seed)
    logits, slopes, covariance = gaussian(learner, episode)
    dimensions = slopes.shape[-1]
    key = counter_random.stream("posterior", seed)
    half = counter_random.uniform(key, np.arange(-(-count // 2)), 2 * dimensions)
    half = counter_random.normal(half)[:, :dimensions]
    z = np.concatenate([half, -half])[:count]  # in pairs, whose mean is exactly the mean ability
    moved = slopes @ _root(covariance) @ torch.from_numpy(z.T).to(logits)
    variance = torch.einsum("tqd,tde,tqe->tq", slopes, covariance, slopes)
    counted = learner.net.doubt.item() ** 2 if getattr(learner, "has_prior", False) else 0.0
    sharper = _sharper((1 - counted) * variance)
    return (sharper[..., None] * (logits[..., None] + moved)).sigmoid().mT


def _sharper(variance: Tensor) -> Tensor:
    """By how much larger log-odds are than those that a learner of adaptation gives.

    It learns to predict well by the adapted ability alone, so its log-odds are those of the mean
    chance, nearer to 0 by ``1 / sqrt(1 + pi v / 8)`` than the mean of log-odds of variance v
    (MacKay, "The evidence framework applied to classification networks", Neural Computation 4,
    1992). Undone here, for mean and width alike, so that the draws have the learner's
    own prediction as their mean; without it they are too narrow.

    Args:
        variance: of the log-odds as the learner gives them, as far as it does not count it itself.
            Beyond 1.9 the approximation ends.
    """
    return (1 - (torch.pi / 8 * variance).clamp_max(0.75)).rsqrt()


@torch.no_grad()
def predicted(learner: MetaLearner, episode: Episode) -> Tensor:
    """A learner's own chance of a right answer of each query, ``[tasks, query]``."""
    learner.configure_model()
    return learner.objective.probabilities(learner.evaluate(episode, False)[:, -1]).squeeze(-1)


def predicted_next(learner: MetaLearner, episode: Episode) -> Tensor:
    """The same of each query as the one that follows, of a learner that offers that."""
    learner.configure_model()
    with torch.no_grad():
        return learner.objective.probabilities(learner.predict_next(episode)).squeeze(-1)


def gaussian(learner: MetaLearner, episode: Episode) -> Gaussian:
    """The posterior of the ability as a normal distribution.

    Of a learner that adapts, the Laplace approximation: mean at the adapted ability, precision
    that of the prior plus ``sum over the answers shown of p (1 - p) slope slope'`` (MacKay, Neural
    Computation 4, 1992; linear in the ability for a model that is not, as in Immer et al. 2021,
    arXiv:2008.08646). Of Rasch and 2PL, mean and variance of the posterior itself.

    Raises:
        BenchError: if the learner has no ability.
    """
    require_ability(learner)
    if isinstance(learner, TwoPL):
        return _moments(learner, episode)
    with torch.inference_mode(False), torch.enable_grad():
        copies = Episode(*(v.clone() if isinstance(v, Tensor) else v for v in episode))
        fast = deque(learner.adapted(copies, learner.test_steps, order=0), maxlen=1).pop()
    with torch.no_grad():
        shown, slopes = _linear(learner, fast, episode.support_x)
        logits, query_slopes = _linear(learner, fast, episode.query_x)
        p, w = shown.sigmoid(), rows_of(episode).shown[:, : shown.shape[1]]
        information = torch.einsum("tr,trd,tre->tde", w * p * (1 - p), slopes, slopes)
        # (1/v + information)^-1, written so that v = 0, no step at all, is no special case
        root = prior_variance(learner, fast, w).sqrt()
        scaled = root[:, :, None] * information * root[:, None]
        inner = torch.linalg.inv(torch.eye(root.shape[1]).to(scaled) + scaled)
        return Gaussian(logits, query_slopes, root[:, :, None] * inner * root[:, None])


def abilities(learner: MetaLearner) -> int | None:
    """How many numbers a learner knows a student by; 0: none, None: by others than abilities."""
    learner.configure_model()
    if isinstance(learner, TwoPL):
        return 1
    if isinstance(learner, GradientBased) and "ability" in dict(learner.net.named_parameters()):
        return learner.net.ability.numel()
    return 0 if isinstance(learner, ItemMean | NoAdaptation) else None


def has_ability(learner: MetaLearner) -> bool:
    """Whether a learner has an ability, and so a posterior of its own."""
    return bool(abilities(learner))


def require_ability(learner: MetaLearner) -> None:
    """Refuses one learner that has no posterior.

    Raises:
        BenchError: says what to give instead.
    """
    if not has_ability(learner):
        raise BenchError(
            f"one {type(learner).__name__} has no posterior: give several checkpoints of it, or "
            "one of bilevel_irt, rasch or two_pl"
        )


def prior_variance(learner: GradientBased, fast: Fast, w: Tensor) -> Tensor:
    """The variance of the normal prior that the inner steps stand for.

    Of a network with a prior, that one. Otherwise: a few steps of gradient descent stop about where
    a normal prior around the initialisation would, of variance step size times number of steps
    (Grant et al. 2018, arXiv:1801.08930): along a direction of information h they go
    ``1 - (1 - rate h)^steps`` of the way to the likeliest ability, the prior
    ``1 - 1 / (1 + variance h)``, the same for small h. It fits the students because the items,
    which are learned through those steps, set the scale of the ability.

    Returns:
        ``[tasks, dimensions]``.
    """
    if getattr(learner, "has_prior", False):
        moves = float(learner.test_steps > 0)
        return torch.cat([torch.full_like(v, moves).flatten(1) for v in fast.values()], 1)
    rows = w.sum(1, keepdim=True).clamp_min(1)
    divisors = {"mean": rows, "sum": 1, "shrunk": rows + PSEUDO_ROWS}
    parts = []
    for name, value in fast.items():
        rate = sum(learner.rate(name, k) for k in range(learner.test_steps))
        parts.append(torch.zeros_like(value) + rate)
    return torch.cat([p.flatten(1) for p in parts], 1) / divisors[learner.hparams["inner_loss"]]


def _linear(learner: GradientBased, fast: Fast, x: Tensor) -> tuple[Tensor, Tensor]:
    """Log-odds ``[tasks, rows]``, and their derivatives ``[tasks, rows, dimensions]``."""

    def logit(own: Fast, row: Tensor) -> tuple[Tensor, Tensor]:
        out = call_with(learner.net, own, row[None]).squeeze()
        return out, out

    each = vmap(vmap(grad(logit, has_aux=True), (None, 0)))
    slopes, logits = each(fast, x)
    return logits, torch.cat([slopes[n].flatten(2) for n in fast], 2)


def _root(covariance: Tensor) -> Tensor:
    """A square root of positive semi-definite matrices."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt()[..., None, :]


# Rasch and 2PL: the posterior on a grid ---------------------------------------------------------


@torch.no_grad()
def _from_nodes(learner: TwoPL, episode: Episode, count: int, seed: int) -> Tensor:
    """Draws by inverting the distribution function between the nodes of the ability."""
    weights, nodes = learner.posterior(episode).exp(), learner.net.nodes
    # one draw in each of so many equal parts of the distribution: less noise, and no bias
    u = counter_random.uniform(counter_random.stream("posterior", seed), np.arange(count), 1)[:, 0]
    u = torch.from_numpy((np.arange(count) + u) / count).to(weights)
    cumulative = weights.cumsum(1).contiguous()
    place = torch.searchsorted(cumulative, u.expand(len(weights), -1).contiguous())
    place = place.clamp_max(len(nodes) - 1)
    left = (cumulative - weights).gather(1, place)
    within = (u - left) / weights.gather(1, place).clamp_min(1e-30)  # even around each node
    ability = nodes[place] + (within.clamp(0, 1) - 0.5) * (nodes[1] - nodes[0])
    logits, slopes = _straight(learner, episode.query_x)
    return (logits[:, None] + ability[..., None] * slopes[:, None]).sigmoid()


@torch.no_grad()
def _moments(learner: TwoPL, episode: Episode) -> Gaussian:
    weights, nodes = learner.posterior(episode).exp(), learner.net.nodes
    mean = weights @ nodes
    variance = (weights * (nodes - mean[:, None]) ** 2).sum(1)
    logits, slopes = _straight(learner, episode.query_x)
    at_mean = logits + slopes * mean[:, None]
    return Gaussian(at_mean, slopes[..., None], variance[:, None, None])


def _straight(learner: TwoPL, x: Tensor) -> tuple[Tensor, Tensor]:
    """Log-odds at ability 0 and their slope, ``[tasks, rows]`` each."""
    d, *a = learner.net.items(x).unbind(-1)
    return d, sum(a, learner.net.discrimination).expand_as(d)

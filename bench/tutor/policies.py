"""Policies: which question to ask a student next.

Each maps learners and an episode, whose query holds all questions of a student and whose
``query_w`` says which may be asked, to ``[tasks, query]``: the largest of these is asked.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from bench.base.errors import BenchError, nearest
from bench.learning.learner import MetaLearner
from bench.learning.student_learner import skills_of
from bench.tasks import counter_random
from bench.tasks.episode import Episode
from bench.tutor import belief, posterior

CANDIDATES = 10  # of maat


def random(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Any question: one fixed random order for each student."""
    key = counter_random.stream("selection", "random", seed)
    u = counter_random.uniform(key, episode.index.numpy(), episode.query_y.shape[1])
    return torch.from_numpy(u)


def fisher(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Most Fisher information on the ability: ``p (1 - p) a' C a``.

    C is the covariance of the posterior: the question that enlarges the determinant of its
    precision most (Segall, "Multidimensional adaptive testing", Psychometrika 61, 1996). With one
    dimension C is the same for all questions, which leaves Lord's rule of maximum information,
    ``a^2 p (1 - p)``.
    """
    logits, slopes, covariance = posterior.gaussian(learners[0], episode)
    p = logits.sigmoid()
    return p * (1 - p) * torch.einsum("tqd,tde,tqe->tq", slopes, covariance, slopes)


def bayes(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Largest expected fall of the variance of the chances on the other questions, summed.

    What counts is to predict the other questions, so the fall is measured there, as in Cohn,
    Ghahramani and Jordan, "Active learning with statistical models" (JAIR 4, 1996), and not in the
    state of the student, of which some may bear on no question; it is van der Linden's minimum
    expected posterior variance (Psychometrika 63, 1998) taken through to predictions. An answer has
    two values, so the expectation over it needs no enumeration: knowing it explains
    ``cov(p_c, p_q)^2 / (E p_c (1 - E p_c))`` of the variance of ``p_q``.
    """
    p = posterior.draws(learners, episode, seed=seed)
    mean = p.mean(1)
    return _moves(p, episode.query_w).square() / (mean * (1 - mean)).clamp_min(1e-12)


def uncertainty(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """The answer that is least foreseen: largest ``p (1 - p)``.

    Uncertainty sampling (Lewis and Gale, SIGIR 1994): the one policy that needs nothing but
    predictions, and so serves every model.
    """
    p = belief.chances(learners, episode)
    return torch.from_numpy(p * (1 - p))


def kli(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Most Kullback-Leibler information: how far answers tell the student's likely states apart.

    The divergence of the answer's distribution at each state from that at the mean prediction, as
    in Chang and Ying, "A global information approach to computerized adaptive testing" (Applied
    Psychological Measurement 20, 1996), in the mean over the posterior where they integrate over
    an interval that narrows with the number of answers.
    """
    p = posterior.draws(learners, episode, seed=seed).clamp(1e-6, 1 - 1e-6)
    mean = p.mean(1, keepdim=True)
    right, wrong = mean * (mean / p).log(), (1 - mean) * ((1 - mean) / (1 - p)).log()
    return (right + wrong).mean(1)


def maat(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Of the questions that would change most, the one whose skills were asked least.

    Bi et al., "Quality meets diversity: a model-agnostic framework for computerized adaptive
    testing" (ICDM 2020, arXiv:2101.05986): the expected change of the model by the answer chooses
    candidates (here the length of the expected change of the chances on the other questions, which
    the posterior tells without training anything), and of these the one is asked that adds most to
    the coverage of skills, ``sum over skills of weight n / (n + 1)`` with n questions asked.
    """
    p, may = posterior.draws(learners, episode, seed=seed), episode.query_w
    change = 2 * _moves(p, may)  # mean * (cov / mean) if right, and as much if wrong
    needs = skills_of(episode.query_x, learners[0].spec)
    asked = skills_of(episode.support_x, learners[0].spec) * episode.support_w[..., None]
    n = asked.sum(1, keepdim=True)
    weight = (needs * may[..., None]).mean(1, keepdim=True)
    gain = (weight * needs * ((n + 1) / (n + 2) - n / (n + 1))).sum(2)
    change = change.masked_fill(may == 0, -1)
    last = change.topk(min(CANDIDATES, change.shape[1]), 1).values[:, -1:]
    quality = change / change.amax(1, keepdim=True).clamp_min(1e-30)
    # candidates by what they add, then by how much they would change; the others after them
    return torch.where(change >= last, 1 + gain + 1e-6 * quality, quality - 1)


def _moves(p: Tensor, may: Tensor) -> Tensor:
    """The length of the covariances of each question with the others that may be asked.

    Without a table of each two questions: of draws ``c`` less their mean, ``sum over q of
    (c_j' c_q)^2`` is ``c_j' (sum over q of c_q c_q') c_j``.

    Args:
        p: ``[tasks, draws, query]``.
        may: ``[tasks, query]``.

    Returns:
        ``[tasks, query]``.
    """
    c = p - p.mean(1, keepdim=True)
    squared = (c * ((c * may[:, None]) @ c.mT @ c)).sum(1)
    own = may * (c**2).sum(1) ** 2
    return (squared - own).clamp_min(0).sqrt() / p.shape[1]


POLICIES: dict[str, Callable[..., Tensor]] = {
    "random": random,
    "uncertainty": uncertainty,
    "fisher": fisher,
    "kli": kli,
    "maat": maat,
    "bayes": bayes,
}


def served(learners: Sequence[MetaLearner]) -> list[str]:
    """The policies that learners can serve."""
    found = []
    for name in POLICIES:
        with suppress(BenchError):
            check([name], learners)
            found.append(name)
    return found


def ranked(score: Tensor, index: Tensor, asked: int, randomesque: int = 1, seed: int = 0) -> Tensor:
    """Places of the questions, the best first, ``[tasks, query]``.

    Questions that score alike, such as those on one skill, stand in random order: the first in the
    order of time would be answered worse than the others, before anything is learned.

    Args:
        score: ``[tasks, query]``; minus infinity: not to be asked.
        index: ``[tasks]`` numbers of the students.
        asked: how many questions were asked before.
        randomesque: so many of the best stand in random order, so that an item is not asked of
            everybody (Kingsbury and Zara, "Procedures for selecting items for computerized adaptive
            tests", Applied Measurement in Education 2, 1989).
        seed: of the random numbers.
    """
    key = counter_random.stream("selection", "ties", seed)
    u = torch.from_numpy(counter_random.uniform(key, index.numpy(), score.shape[1]))
    order = u.argsort(1)
    best = order.gather(1, score.gather(1, order).argsort(dim=1, descending=True, stable=True))
    if randomesque > 1:
        key = counter_random.stream("selection", "randomesque", asked, seed)
        open_ones = (score > -torch.inf).sum(1, keepdim=True).clamp_max(randomesque)
        u = torch.from_numpy(counter_random.uniform(key, index.numpy(), score.shape[1]))
        place = torch.arange(score.shape[1]).expand(score.shape)
        best = best.gather(1, torch.where(place < open_ones, u, place + 1.0).argsort(1))
    return best


def check(policies: Sequence[str], learners: Sequence[MetaLearner]) -> None:
    """Makes sure that learners can serve policies.

    Raises:
        BenchError: names the policy, and what it needs.
    """
    for name in policies:
        if name not in POLICIES:
            raise BenchError(f"unknown selection {name!r}: {nearest(name, POLICIES)}")
    has_ability = all(map(posterior.has_ability, learners))
    if "fisher" in policies and (len(learners) > 1 or not has_ability):
        given = ", ".join(type(learner).__name__ for learner in learners)
        raise BenchError(
            f"fisher needs the item parameters of one bilevel_irt, rasch or two_pl, not {given}: "
            "use --selection random bayes"
        )
    if len(learners) == 1 and {"bayes", "kli", "maat"} & {*policies}:
        posterior.require_ability(learners[0])

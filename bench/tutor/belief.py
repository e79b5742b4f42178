"""What learners believe of students: each question as the next one, and how unsure that is."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from bench.base.errors import BenchError
from bench.learning.gradient_based import GradientBased
from bench.learning.learner import MetaLearner
from bench.tasks.episode import Episode
from bench.tutor import posterior
from bench.tutor.vocabulary import Vocabulary

DRAWS = 400  # of the posterior of each checkpoint
MOST_NUMBERS = 2**24  # parameters that students have each their own of, at a time


def episode(
    answers: Iterable[tuple[np.ndarray, np.ndarray]],
    words: Vocabulary,
    questions: Sequence[int] | None = None,
) -> Episode:
    """Students as tasks: what they answered, and every question asked next.

    Args:
        answers: of each student, the item numbers and the answers, in the order of time.
        words: names of the questions.
        questions: numbers of those to ask; None: all.

    Returns:
        ``support_x: [tasks, answers, columns]``, padded where others gave more, and
        ``query_x: [tasks, questions, columns]``.
    """
    pairs = [[torch.from_numpy(np.array(v)) for v in pair] for pair in answers]
    lengths = torch.tensor([len(item) for item, _ in pairs])
    if not lengths.any():  # padding alone, for learners look at the first row
        pairs = [[torch.zeros(1, dtype=torch.int64)] * 2 for _ in pairs]
    item, y = (torch.nn.utils.rnn.pad_sequence(v, batch_first=True) for v in zip(*pairs))
    at = torch.arange(item.shape[1])
    there = at < lengths[:, None]
    asked = torch.arange(len(words.items)) if questions is None else torch.tensor(questions)
    asked = asked.expand(len(pairs), -1)
    query = words.rows(asked, lengths[:, None].expand(asked.shape))
    support = words.rows(item, torch.where(there, at, -1))
    ones = torch.ones_like(query[..., 0])
    return Episode(support, y.to(query), query, 0 * ones, there.to(query), ones)


def believed(
    learners: Sequence[MetaLearner], episode: Episode, most: int | None = None, count: int = DRAWS
) -> tuple[np.ndarray, np.ndarray | None]:
    """The chance of a right answer to each question as the next one, and how unsure it is.

    Draws are taken from the posterior of every learner (:mod:`bench.tutor.posterior`), together
    those of a mixture; of learners without one, each learner's prediction is a draw.

    Args:
        learners: of one vocabulary.
        episode: students.
        most: how many answers the learners were trained to read. One that adapts by gradient steps
            goes too far on more, so all together count as so many then.
        count: how many draws of each learner.

    Returns:
        ``[tasks, query]`` the learners' own predictions, the mean over them, and
        ``[tasks, draws, query]``; None for one learner that has no posterior.

    Raises:
        BenchError: if a prediction is no number.
    """
    tasks = [as_trained(learner, episode, most) for learner in learners]
    own = _own(learners, tasks)
    draws = own if len(learners) > 1 else None
    if all(map(posterior.has_ability, learners)):
        parts = [posterior.draws([learner], task, count) for learner, task in zip(learners, tasks)]
        draws = torch.cat(parts, 1)
    return own.mean(1).numpy(), None if draws is None else draws.numpy()


def chances(
    learners: Sequence[MetaLearner], episode: Episode, most: int | None = None
) -> np.ndarray:
    """The chances alone of :func:`believed`, ``[tasks, query]``."""
    return _own(learners, [as_trained(v, episode, most) for v in learners]).mean(1).numpy()


def _own(learners: Sequence[MetaLearner], tasks: Sequence[Episode]) -> torch.Tensor:
    """Predictions of each learner of its episode, ``[tasks, learners, query]``."""
    own = torch.stack([_as_next(*pair) for pair in zip(learners, tasks)], 1)
    if not own.isfinite().all():
        raise BenchError("a checkpoint predicts what is no number: train it again")
    return own


def as_trained(learner: MetaLearner, episode: Episode, most: int | None) -> Episode:
    """The students with no more weight on their answers than a learner is used to."""
    if most is None or not isinstance(learner, GradientBased):
        return episode
    weight = episode.support_w
    share = (most / weight.sum(1, keepdim=True).clamp_min(1)).clamp_max(1)
    return episode._replace(support_w=weight * share)


def _as_next(learner: MetaLearner, episode: Episode) -> torch.Tensor:
    """Predictions ``[tasks, query]``, each question as the next one.

    To a learner that follows the order of time, one after the other would be so many attempts: it
    is asked each of them alone.
    """
    if learner.queries_apart:  # batch norm over questions there is none: it takes no weights
        at_once = max(MOST_NUMBERS // sum(p.numel() for p in learner.parameters()), 1)
        parts = zip(*(v.split(at_once) for v in episode[:6]))
        return torch.cat([posterior.predicted(learner, Episode(*part)) for part in parts])
    if hasattr(learner, "predict_next"):  # it can tell itself, without reading all anew
        return posterior.predicted_next(learner, episode)
    tasks, queries = episode.query_y.shape
    found = []
    for number in range(tasks):
        mine = [v[number : number + 1] for v in episode[:6]]
        support_x, support_y, query_x, query_y, support_w, query_w = mine
        shown = [v.expand(queries, *v.shape[1:]) for v in (support_x, support_y, support_w)]
        asked = [v.transpose(0, 1) for v in (query_x, query_y, query_w)]
        one = Episode(*shown[:2], *asked[:2], shown[2], asked[2])
        found.append(posterior.predicted(learner, one)[:, 0])
    return torch.stack(found)


def informs(draws: np.ndarray) -> np.ndarray:
    """What the answer to each question is expected to tell about the others, ``[query]``, 0 to 1.

    The share of the variance of their chances that it removes, by the formula of
    :func:`bench.tutor.selection.bayes`, without a table of question by question.

    Args:
        draws: ``[draws, query]`` chances of a right answer.
    """
    mean = draws.mean(0, dtype=np.float64)
    off = draws - mean
    variance = (off**2).mean(0)
    # sum_q cov(q, j)^2 = off_j' (off off') off_j / draws^2
    squared = (off * (off @ off.T @ off)).sum(0) / len(draws) ** 2 - variance**2
    others = variance.sum() - variance
    return squared / np.maximum(mean * (1 - mean), 1e-9) / np.maximum(others, 1e-30)


def tells_skills_apart(learners: Sequence[MetaLearner]) -> bool:
    """Whether what is believed of a student can differ from skill to skill.

    With one ability it cannot: where skills differ, 80 % intervals would hold the truth of a skill
    in 30 to 60 % of cases (datasets/student/README.md has the figures).
    """
    return learners[0].spec.skills > 1 and not any(
        posterior.abilities(v) in (0, 1) for v in learners
    )

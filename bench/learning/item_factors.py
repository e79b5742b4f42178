"""Abilities that one ability leaves unexplained, found in the residuals of a fitted model."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from scipy.sparse.linalg import svds
from torch import Tensor

from bench.learning.direct_fit import Answers

STUDENTS = 1024  # whose probabilities are computed at once, which bounds the memory
SMALL = 200  # students or questions: all singular values are found at once
PRECISION = 1e-2  # of singular values: a start needs no more
FLIPS = 3  # tables of random signs: the largest singular value of any is what chance can do


def principal_factors(
    answers: Answers, probabilities: Callable[[Answers], Tensor], most: int, prior_sd: float
) -> Tensor:
    """Discriminations of questions by abilities that a model of the answers knows nothing of.

    Two questions that need the same ability are answered right and wrong together, more often than
    the model has it: a singular vector of the table of standardised residuals holds such questions.
    Only what is above chance counts, which is the largest singular value of the same table with
    random signs (Hong, Sheng and Dobriban, "Selecting the number of components in PCA via random
    signflips", 2020, arXiv:2012.02985); from the others, what chance adds to a value and turns of a
    vector is taken away (Benaych-Georges and Nadakuditi 2011, arXiv:0910.2120, section 3.1). The
    signs are the same ones each time, so the same answers have the same factors.

    Args:
        answers: of all students.
        probabilities: of right answers by the model, ``[students, questions]``, of the students of
            such a table.
        most: how many abilities are asked for.
        prior_sd: standard deviation of the normal prior of a discrimination; what few answers say
            of a question is held near 0.

    Returns:
        ``[questions, found]``, of the strongest first; ``found`` is from 0 to ``most``.
    """
    table, information = _residuals(answers, probabilities)
    students, questions = table.shape
    weight = information + prior_sd**-2
    table = (table / np.sqrt(weight)).tocsr()
    most = min(most, min(table.shape) - 1)
    if most < 1 or not table.nnz:
        return torch.zeros(questions, 0)
    noise = (table.multiply(table)).sum() / questions  # what each question has of its own
    signs = np.random.default_rng(0)
    flipped = []
    for _ in range(FLIPS):
        data = table.data * signs.choice([-1.0, 1.0], table.nnz)
        flipped.append(_largest(csr_array((data, table.indices, table.indptr), table.shape), 1)[0])
    chance = max(float(np.max(flipped)) ** 2 - noise, 0.0)
    values, vectors = _largest(table, most)
    values = values**2 - noise
    above = values > chance
    values, vectors = values[above], vectors[:, above]
    strength = (values + np.sqrt(values**2 - chance**2)) / 2
    turned = np.sqrt(1 - chance**2 / (4 * strength**2))
    factors = vectors * (np.sqrt(strength) * turned) * np.sqrt(students / weight)[:, None]
    return torch.from_numpy(factors)


def _largest(table: csr_array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest singular values, and their vectors of questions ``[questions, count]``."""
    if min(table.shape) <= SMALL:
        _, values, vectors = np.linalg.svd(table.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(0).standard_normal(min(table.shape))  # or it draws one
        _, values, vectors = svds(table, k=count, v0=start, tol=PRECISION)
    order = np.argsort(-values)[:count]
    return values[order], vectors[order].T


def _residuals(
    answers: Answers, probabilities: Callable[[Answers], Tensor]
) -> tuple[csr_array, np.ndarray]:
    """Right answers less expected ones, by student and question, and each question's variance."""
    parts, information = [], 0.0
    for start in range(0, len(answers.right), STUDENTS):
        part = answers.of(range(start, min(start + STUDENTS, len(answers.right))))
        p = probabilities(part).double()
        right, asked = (t.to_dense() if t.is_sparse else t for t in (part.right, part.asked))
        variance = (asked * p * (1 - p)).sum(0)
        information = information + variance.cpu().numpy()
        parts.append(csr_array((right - asked * p).cpu().numpy()))
    return vstack(parts), information

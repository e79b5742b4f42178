"""Principal factors of residuals: they find the abilities that made the answers, and no others."""

import numpy as np
import pytest
import torch

from bench.learning import item_factors
from bench.learning.direct_fit import Answers
from bench.learning.item_factors import principal_factors

STUDENTS, QUESTIONS = 3000, 24


def draw(abilities, share=1.0, strength=1.2, students=STUDENTS):
    """Answers to questions of which each needs one of some abilities, and a share of which is met.

    Returns:
        The answers, and the true discriminations ``[questions, abilities]``.
    """
    rng = np.random.default_rng(3)
    a = np.zeros((QUESTIONS, max(abilities, 1)))
    if abilities:
        a[np.arange(QUESTIONS), np.arange(QUESTIONS) % abilities] = strength
    logits = rng.standard_normal((students, max(abilities, 1))) @ a.T
    logits = logits + np.linspace(-1, 1, QUESTIONS)
    asked = (rng.random(logits.shape) < share).astype(float)
    right = asked * (rng.random(logits.shape) < 1 / (1 + np.exp(-logits)))
    questions = torch.zeros(QUESTIONS, 2)
    return Answers(questions, torch.from_numpy(right), torch.from_numpy(asked)), a


def shares(answers):
    """A model without any ability: each question's share of right answers."""
    dense = [t.to_dense() for t in (answers.right, answers.asked)]
    share = dense[0].sum(0) / dense[1].sum(0)

    def probabilities(part):
        return share.expand(len(part.right), -1)

    return probabilities


def factors_of(answers, most=4):
    return principal_factors(answers, shares(answers), most, prior_sd=0.35)


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("abilities", [0, 1, 3])
@pytest.mark.parametrize("small", [True, False])
def test_there_are_as_many_as_made_the_answers(abilities, share, small, monkeypatch):
    monkeypatch.setattr(item_factors, "SMALL", QUESTIONS if small else 0)
    answers, truth = draw(abilities, share)
    found = factors_of(answers).numpy()
    assert found.shape == (QUESTIONS, abilities)
    if abilities:  # which abilities they are is a matter of rotation, but not of their products
        products, wanted = found @ found.T, truth @ truth.T
        same = wanted > 0
        assert abs(products[~same]).max(initial=0) < 0.5
        # the shares of right answers hide a part of what single students do
        assert 0.4 * wanted.max() < products[same].mean() < 1.05 * wanted.max()


def test_they_do_not_depend_on_how_the_table_is_kept_or_read(monkeypatch):
    answers, _ = draw(2, share=0.2)
    found = factors_of(answers)
    sparse = Answers(answers.questions, answers.right.to_sparse(), answers.asked.to_sparse())
    monkeypatch.setattr(item_factors, "STUDENTS", 700)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = shares(answers)
    again = principal_factors(sparse, model, 4, prior_sd=0.35)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    torch.testing.assert_close(found, again)


def test_what_few_answers_say_is_held_near_zero():
    answers, _ = draw(2)
    rarely = answers.asked.clone()
    rarely[10:, 0] = 0
    found = factors_of(Answers(answers.questions, answers.right * rarely, rarely))
    full = factors_of(answers)
    assert found[0].norm() < 0.5 * full[0].norm()
    torch.testing.assert_close(found[1:].norm(dim=1), full[1:].norm(dim=1), rtol=0.2, atol=0.1)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (2, 2)])
def test_of_next_to_nothing_there_is_none(shape):
    asked = torch.ones(shape, dtype=torch.float64)
    right = torch.zeros(shape, dtype=torch.float64)
    right[0] = 1
    answers = Answers(torch.zeros(shape[1], 2), right, asked)
    found = principal_factors(answers, lambda part: torch.full(part.right.shape, 0.5), 4, 0.35)
    assert found.shape[0] == shape[1]
    assert found.isfinite().all()

"""What is given to practise, and in which order."""

import numpy as np
import torch

from bench.tutor.judgement import Settings, practice_order, to_practise
from bench.tutor.vocabulary import Vocabulary

CHANCE = np.array([0.95, 0.2, 0.65, 0.7, 0.5, 0.85, 0.75])
GOOD = np.zeros(7, int)
WORDS = Vocabulary([f"q{i}" for i in range(7)], ["skill"], torch.ones(7, 1), 7, 5)


def test_what_is_within_reach_comes_first_then_what_is_too_hard_then_what_is_known():
    assert to_practise(CHANCE, GOOD, WORDS, Settings()).tolist() == [3, 2, 6]
    assert practice_order(CHANCE, GOOD, WORDS, Settings()) == [3, 2, 6, 4, 1, 5, 0]


def test_where_nothing_lies_between_what_is_not_mastered_is_practised():
    chance = np.array([0.92, 0.3, 0.9, 0.25])  # 0.9 is nearer to the zone
    assert practice_order(chance, GOOD[:4], WORDS, Settings()) == [1, 3, 2, 0]


def test_questions_answered_right_are_not_given_again_but_those_that_stand_for_a_skill_are():
    good = GOOD + (np.arange(7) == 3)
    assert practice_order(CHANCE, good, WORDS, Settings()) == [2, 6, 4, 1, 5, 0]
    skills = WORDS._replace(skills=WORDS.items)
    assert practice_order(CHANCE, good, skills, Settings())[0] == 3

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.bkt import BKTDataModule
from bench.data.students.mastery import coupled

SMALL = {"items": 6, "new_items": 2, "shots": 2, "queries": 3}
MASKS = {
    "first": [1, 1, 0, 0, 0],
    "random": [0, 1, 0, 0, 1],
    "next": [1, 1, 1, 1, 0],
    "a gap": [1, 0, 0, 1, 0],
    "none": [0, 0, 0, 0, 0],
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("skills_per_item", [1, 2, 3])
def test_the_ceiling_is_that_of_counting_all_paths(rows, all_paths, skills_per_item, mask):
    data = BKTDataModule(
        skills=3, skills_per_item=skills_per_item, forget=(0.05, 0.4), data_seed=1, **SMALL
    )
    item = data.met("test", np.arange(3))
    answer = np.random.default_rng(0).random(item.shape) < 0.5
    support = np.tile(np.array(mask, bool), (3, 1))
    p = data.ceiling(rows(data, item), answer, support)
    for student in range(3):
        needs = data.q_matrix[item[student]]
        total, right = all_paths(data.dynamics, needs, answer[student], support[student])
        np.testing.assert_allclose(
            p[student][~support[student]], (right / total)[~support[student]], rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("protocol", ["first", "random", "next"])
@pytest.mark.parametrize("skills_per_item", [1, 2])
def test_the_ceiling_is_calibrated_and_blind(protocol, skills_per_item):
    data = BKTDataModule(
        protocol=protocol, skills_per_item=skills_per_item, new_items=20, shots=10, queries=20
    )
    e = data.episodes("train", np.arange(2000))
    p, y = data.ceiling_of(e), e.query_y.numpy()
    w = np.ones_like(p) if e.query_w is None else e.query_w.numpy()
    for group in (np.ones_like(p), p < 0.4, p > 0.8, p):
        excess = ((y - p) * w * group).sum(1)  # a student's answers depend on each other
        assert abs(excess.sum()) < 4 * np.sqrt((excess**2).sum())
    np.testing.assert_array_equal(p, data.ceiling_of(e._replace(query_y=1 - e.query_y)))


def test_later_answers_tell_of_earlier_questions(rows):
    data = BKTDataModule(skills=1, items=9, shots=3, queries=3)
    x = rows(data, np.arange(6)[None])
    support = np.array([[0, 0, 0, 1, 1, 1]], bool)
    wrong, right = (
        data.ceiling(x, np.full((1, 6), said), support)[0, :3] for said in (False, True)
    )
    assert (right > wrong + 0.1).all()


def test_answers_follow_the_model():
    data = BKTDataModule(skills=2, items=12, shots=6, queries=6, forget=(0.1, 0.3))
    students = np.arange(40_000)
    item = data.met("train", students)
    answer, truth = data.answers("train", students, item)
    d, skill = data.dynamics, data.q_matrix.argmax(1)[item]
    for k in range(2):
        # The nth attempt at a skill: mastery is a two-state chain.
        attempt = np.where(skill == k, (skill == k).cumsum(1), 0)
        known = d.prior[k]
        for n in range(1, 7):
            p = known * (1 - d.slip[k]) + (1 - known) * d.guess[k]
            there = attempt == n
            off = (answer[there] - p).sum() / np.sqrt(p * (1 - p) * there.sum())
            assert abs(off) < 4
            known = known * (1 - d.forget[k]) + (1 - known) * d.learn[k]
        exact = attempt.max(1) == 6  # six attempts in all: mastery after the last is known
        off = truth["mastery"][exact, k].mean() - known
        assert abs(off) < 4 * np.sqrt(known * (1 - known) / exact.sum())


def test_an_item_of_two_skills_needs_both():
    data = BKTDataModule(
        skills=2, skills_per_item=2, prior=(1, 1), forget=(0, 0), slip=(0, 0), guess=(0, 0)
    )
    students = np.arange(200)
    answer, _ = data.answers("train", students, data.met("train", students))
    assert answer.all()
    data = BKTDataModule(skills=2, skills_per_item=2, prior=(0, 0), learn=(1, 1), guess=(0, 0))
    item = data.met("train", students)
    answer, truth = data.answers("train", students, item)
    before = np.cumsum(data.q_matrix[item], 1) - data.q_matrix[item] > 0
    unknown = (data.q_matrix[item] & ~before).any(2)
    assert not answer[unknown].any()
    assert answer[~unknown].mean() > 0.7
    assert truth["mastery"].all()


def test_items_share_the_skills_evenly():
    data = BKTDataModule(skills=4, items=40, new_items=8, queries=30)
    np.testing.assert_array_equal(data.q_matrix[:40].sum(0), 10)
    np.testing.assert_array_equal(data.q_matrix.sum(1), 1)
    several = BKTDataModule(skills=4, skills_per_item=3, items=400).q_matrix
    assert set(several.sum(1)) == {1, 2, 3}
    assert len(coupled(data.q_matrix)) == 4
    assert len(coupled(several)) == 1
    # What is new does not change what is known.
    np.testing.assert_array_equal(
        data.q_matrix[:40], BKTDataModule(skills=4, items=40, queries=30).q_matrix
    )


def test_numbers_lie_in_their_ranges_and_belong_to_the_world():
    ranges = {"prior": (0.2, 0.3), "learn": (0.4, 0.5), "forget": (0.1, 0.2)}
    data = BKTDataModule(skills=30, items=60, guess=(0.3, 0.4), slip=(0.1, 0.1), **ranges)
    for name, (low, high) in (ranges | {"guess": (0.3, 0.4), "slip": (0.1, 0.1)}).items():
        value = getattr(data.dynamics, name)
        assert value.min() >= low
        assert value.max() <= high
    other = BKTDataModule(skills=30, items=60, data_seed=1, **ranges)
    assert not np.array_equal(data.dynamics.prior, other.dynamics.prior)


def test_a_student_depends_on_its_number_alone():
    data = BKTDataModule(skills_per_item=2)
    together = data.sequences("train", np.arange(9))
    alone = data.sequences("train", np.array([5]))
    np.testing.assert_array_equal(together.answer[5:6], alone.answer)
    np.testing.assert_array_equal(
        data.truth("train", np.arange(9))["mastery"][5:6],
        data.truth("train", np.array([5]))["mastery"],
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"skills": 0}, "skills=0: give a whole number"),
        ({"skills": 2, "skills_per_item": 3}, "skills_per_item=3 of skills=2"),
        ({"skills": 9, "skills_per_item": 2}, "9 skills are coupled.*at most 8"),
        ({"learn": (0.5, 0.2)}, r"learn=\(0.5, 0.2\): give the least and the greatest value"),
        ({"prior": 0.5}, "prior=0.5: give a list of numbers"),
        ({"guess": (0.1, 0.6)}, r"guess=\(0.1, 0.6\).*from 0 to 0.5"),
        ({"slip": ("a", "b")}, "slip="),
        ({"forget": (0.1, float("nan"))}, "forget="),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(BenchError, match=message):
        BKTDataModule(**wrong)

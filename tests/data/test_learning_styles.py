import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.learning_styles import STYLES, LearningStylesDataModule
from bench.data.students.mastery import Dynamics, predict
from bench.tasks.questions import FEATURES

MASKS = {
    "first": [1, 1, 0, 0, 0],
    "random": [0, 1, 0, 0, 1],
    "next": [1, 1, 1, 1, 0],
    "a gap": [1, 0, 0, 1, 0],
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_the_ceiling_is_that_of_counting_all_paths(rows, all_paths, mask):
    data = LearningStylesDataModule(skills=2, items=6, new_items=2, shots=2, queries=3)
    item = data.met("test", np.arange(4))
    answer = np.random.default_rng(0).random(item.shape) < 0.5
    support = np.tile(np.array(mask, bool), (4, 1))
    p = data.ceiling(rows(data, item), answer, support)
    for student in range(4):
        needs = data.q_matrix[item[student]]
        total, right = 0.0, 0.0
        for share, numbers in zip(data.shares, zip(*data.dynamics)):
            part = all_paths(Dynamics(*numbers), needs, answer[student], support[student])
            total, right = total + share * part[0], right + share * part[1]
        asked = ~support[student]
        np.testing.assert_allclose(p[student][asked], (right / total)[asked], rtol=0, atol=1e-12)


@pytest.mark.parametrize("protocol", ["first", "random", "next"])
def test_the_ceiling_is_calibrated_and_blind(protocol):
    data = LearningStylesDataModule(protocol=protocol, new_items=20, shots=10, queries=20)
    e = data.episodes("train", np.arange(2000))
    p, y = data.ceiling_of(e), e.query_y.numpy()
    w = np.ones_like(p) if e.query_w is None else e.query_w.numpy()
    for group in (np.ones_like(p), p < 0.4, p > 0.8, p):
        excess = ((y - p) * w * group).sum(1)  # a student's answers depend on each other
        assert abs(excess.sum()) < 4 * np.sqrt((excess**2).sum())
    np.testing.assert_array_equal(p, data.ceiling_of(e._replace(query_y=1 - e.query_y)))


def test_answers_follow_each_style():
    data = LearningStylesDataModule(skills=2, items=12, shots=6, queries=6)
    students = np.arange(60_000)
    style, item = data.style("train", students), data.met("train", students)
    answer, truth = data.answers("train", students, item)
    skill = data.q_matrix.argmax(1)[item]
    expected = data.shares * len(students)
    counts = np.bincount(style)
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # 99.9 % of chi-square, 3 degrees
    for s, numbers in enumerate(zip(*data.dynamics)):
        d = Dynamics(*numbers)
        for k in range(2):
            attempt = np.where((skill == k) & (style == s)[:, None], (skill == k).cumsum(1), 0)
            known = d.prior[k]
            for n in range(1, 7):
                p = known * (1 - d.slip[k]) + (1 - known) * d.guess[k]
                there = attempt == n
                off = (answer[there] - p).sum() / np.sqrt(p * (1 - p) * there.sum())
                assert abs(off) < 4
                known = known * (1 - d.forget[k]) + (1 - known) * d.learn[k]
            exact = attempt.max(1) == 6
            off = truth["mastery"][exact, k].mean() - known
            assert abs(off) < 4 * np.sqrt(known * (1 - known) / exact.sum())


def test_styles_differ_as_they_are_called():
    data = LearningStylesDataModule(skills=50, items=60)
    learn, forget, guess, slip = (
        dict(zip(STYLES, v.mean(1)))
        for v in (getattr(data.dynamics, n) for n in ("learn", "forget", "guess", "slip"))
    )
    assert max(learn, key=learn.get) == "quick"
    assert min(slip, key=slip.get) == "careful"
    assert max(guess, key=guess.get) == "guessing"
    assert max(forget, key=forget.get) == "forgetful"
    for name, field in ((n, f) for n in STYLES for f in Dynamics._fields):
        values = getattr(data.dynamics, field)[list(STYLES).index(name)]
        low, high = STYLES[name][field]
        assert values.min() >= low
        assert values.max() <= high


def test_styles_of_one_s_own():
    own = {"careful": {}, "quick": {"share": 1.05, "learn": (0.9, 0.9)}}
    data = LearningStylesDataModule(styles=own)
    np.testing.assert_allclose(data.shares, [0.25, 0.75])
    np.testing.assert_allclose(data.dynamics.learn[1], 0.9)
    assert data.styles["quick"]["slip"] == STYLES["quick"]["slip"]
    only = STYLES["careful"] | {"share": 2}
    assert LearningStylesDataModule(styles={"mine": only}).style("val", np.arange(9)).max() == 0


def test_a_student_depends_on_its_number_alone():
    data = LearningStylesDataModule()
    together = data.sequences("train", np.arange(9))
    alone = data.sequences("train", np.array([5]))
    np.testing.assert_array_equal(together.answer[5:6], alone.answer)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"skills": 0}, "skills=0"),
        ({"styles": {}}, "styles={}: give"),
        ({"styles": ["quick"]}, "styles=.*: give"),
        ({"styles": {"quick": 0.5}}, "quick.*0.5.*: give a dict"),
        ({"styles": {"quick": {"lern": (0, 1)}}}, "quick has no 'lern': did you mean learn"),
        ({"styles": {"slow": {"share": 1}}}, "slow lacks 'prior'"),
        ({"styles": {"quick": {"share": 0}}}, "share=0 of quick: give a number above 0"),
        ({"styles": {"quick": {"slip": (0.2, 0.7)}}}, r"styles: quick: slip=\(0.2, 0.7\).*0.5"),
        ({"styles": {"quick": {"slip": ("0.1", "0.2")}}}, r"styles: quick: slip=\('0.1', '0.2'\)"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(BenchError, match=message):
        LearningStylesDataModule(**wrong)


def test_answers_that_a_style_makes_impossible_speak_for_another():
    never = {"share": 1, "prior": (0.2, 0.5), "learn": (0.1, 0.2)}
    never |= dict.fromkeys(("forget", "guess", "slip"), (0.0, 0.0))
    data = LearningStylesDataModule(styles={"exact": never, "careful": {}}, shots=6, queries=4)
    students = np.arange(300)
    x, y, there = (v.numpy() for v in data.questions("test", students))
    support = np.broadcast_to(np.arange(x.shape[1]) < 6, x.shape[:2]) & there
    found = data.ceiling(x, y > 0, support)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    # right, then wrong of the same skill: nobody who forgets nothing answers so without slips
    skill = x[..., FEATURES:].argmax(-1)
    turned = [
        any(
            y[s, i] > 0 and y[s, j] == 0 and skill[s, i] == skill[s, j]
            for i in range(6)
            for j in range(i + 1, 6)
        )
        for s in students
    ]
    assert sum(turned) > 5
    careful, needs = Dynamics(*(v[1] for v in data.dynamics)), x[turned][..., FEATURES:] > 0.5
    alone, _ = predict(careful, needs, y[turned] > 0, support[turned])
    np.testing.assert_allclose(found[turned], alone, rtol=0, atol=1e-12)

"""What holds for every generator of students."""

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.data.bkt import BKTDataModule
from bench.data.dina import DINADataModule
from bench.data.growing_skills import GrowingSkillsDataModule
from bench.data.irt import IRTDataModule
from bench.data.learning_styles import LearningStylesDataModule
from bench.data.mirt import MIRTDataModule
from bench.tasks.questions import POSITION

GENERATORS = [
    (IRTDataModule, {"model": "1pl"}),
    (IRTDataModule, {"model": "3pl", "new_items": 8}),
    (MIRTDataModule, {"dimensions": 2, "new_items": 4}),
    (DINADataModule, {"skills": 3, "new_items": 8}),
    (BKTDataModule, {"skills": 3, "skills_per_item": 2, "forget": (0, 0.3), "new_items": 4}),
    (LearningStylesDataModule, {"skills": 2, "new_items": 4}),
    (
        GrowingSkillsDataModule,
        {
            "ability_sd": 1,
            "growth_wrong": -0.5,
            "fixed_order": False,
            "show_skills": True,
            "new_items": 4,
        },
    ),
]
STATIC = GENERATORS[:4]  # those whose students stay as they are

each = pytest.mark.parametrize(("cls", "options"), GENERATORS)
each_static = pytest.mark.parametrize(("cls", "options"), STATIC)


@each
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_student_depends_on_its_number_alone(cls, options, split):
    data = cls(**options)
    together, alone = (data.sequences(split, np.array(s)) for s in ([3, 9, 5, 7], [5]))
    truth, own = (data.truth(split, np.array(s)) for s in ([3, 9, 5, 7], [5]))
    for a, b in zip(together, alone):
        np.testing.assert_array_equal(a[2:3], b)
    for name in truth:
        np.testing.assert_array_equal(truth[name][2:3], own[name])


@each
def test_which_seed_changes_what(cls, options):
    base, seed, world = (cls(**options, **k) for k in ({}, {"seed": 1}, {"data_seed": 1}))
    for split, other, same in (
        ("train", seed, False),
        ("test", seed, True),
        ("train", world, False),
        ("test", world, False),
    ):
        pairs = zip(*(d.sequences(split, np.arange(9)) for d in (base, other)))
        assert all(np.array_equal(a, b) for a, b in pairs) == same
    assert base.features.shape == (base.all_items, base.spec.input_shape[0] - 2)
    # Further items change nothing about those that were there.
    more = cls(**options | {"new_items": 9})
    np.testing.assert_array_equal(more.q_matrix[: base.items], base.q_matrix[: base.items])


@each
def test_the_ceiling_uses_no_answer_of_the_query(cls, options):
    data = cls(shots=4, queries=6, items=12, **options)
    e = data.episodes("test", np.arange(9))
    p = data.ceiling_of(e)
    assert p.dtype == np.float64
    assert ((p > 0) & (p < 1)).all()
    np.testing.assert_array_equal(p, data.ceiling_of(e._replace(query_y=1 - e.query_y)))
    assert (p != data.ceiling_of(e._replace(support_y=1 - e.support_y))).any(1).all()


@each
@pytest.mark.parametrize("protocol", ["first", "random", "next"])
def test_answers_are_as_likely_as_the_ceiling_says(cls, options, protocol):
    """In many small worlds, as all students of a world share what is not known of new items."""
    worlds, bins = 40, np.linspace(0, 1, 6)[1:-1]
    excess = np.zeros((worlds, len(bins) + 1))
    for world in range(worlds):
        data = cls(
            shots=4,
            queries=8,
            items=20,
            protocol=protocol,
            data_seed=world,
            test_episodes=60,
            **options,
        )
        e = data.episodes("test", np.arange(data.listed("test")))
        p = data.ceiling_of(e)
        w = np.ones_like(p) if e.query_w is None else e.query_w.numpy()
        np.add.at(excess[world], np.digitize(p, bins), w * (e.query_y.numpy() - p))
    z = excess.sum(0) / np.sqrt((excess**2).sum(0) + 1e-9)
    assert np.abs(z).max() < 4
    assert abs(excess.sum()) < 4 * np.sqrt((excess.sum(1) ** 2).sum())


@each
def test_padding_and_batches_change_no_ceiling(cls, options):
    data = cls(shots=4, queries=6, items=12, tested_shots=(1, 4), **options)
    e = data.episodes("test", np.arange(8))
    p = data.ceiling_of(e)
    one = data.episodes("test", np.array([5]))
    np.testing.assert_allclose(data.ceiling_of(one), p[5:6], rtol=0, atol=1e-12)
    bare = [v[:, :4] if i < 2 else v for i, v in enumerate(e[:4])]
    padding = torch.zeros_like(e.support_x[:, :2])
    padding[..., POSITION] = -1
    padded = e._replace(
        support_x=torch.cat([padding, bare[0]], 1),
        support_y=torch.nn.functional.pad(bare[1], (2, 0), value=1),
        support_w=torch.nn.functional.pad(e.support_w, (2, 0)),
    )
    np.testing.assert_allclose(data.ceiling_of(padded), p, rtol=0, atol=1e-12)


@each
def test_protocols_agree_where_they_show_the_same(cls, options):
    options = {"queries": 6, "items": 12, "test_episodes": 7} | options
    following = cls(shots=4, protocol="next", **options)
    first = cls(shots=4, protocol="first", tested_shots=(1, 4), **options)
    per_student = following.length - 1
    e = first.episodes("test", np.arange(14))
    p = first.ceiling_of(e)
    for view in first.views("test"):
        shown = view.shots
        index = np.arange(7) * per_student + shown - 1
        turn = following.episodes("test", index)
        assert turn.query_x[:, 0, POSITION].tolist() == [shown] * 7
        there = p[view.first : view.first + 7]
        if shown == 4:  # the query of every view starts after the most answers shown
            np.testing.assert_allclose(
                following.ceiling_of(turn)[:, 0], there[:, 0], rtol=0, atol=1e-5
            )
    # Showing one answer: the same as a data set that is made to show one alone.
    queries = {"queries": options["queries"] + 3}
    single = cls(shots=1, protocol="first", **options | queries)
    q = single.ceiling_of(single.episodes("test", np.arange(7)))[:, 3:]
    np.testing.assert_allclose(q, p[:7], rtol=0, atol=1e-5)


@each_static
def test_order_says_nothing_of_students_who_stay_as_they_are(cls, options):
    data = cls(shots=4, queries=6, items=12, protocol="random", **options)
    e = data.episodes("test", np.arange(9))
    mixed = [e.support_x.clone(), e.query_x.clone()]
    for x in mixed:
        x[..., POSITION] = 9 - x[..., POSITION]
    mixed = e._replace(support_x=mixed[0], query_x=mixed[1])
    np.testing.assert_allclose(data.ceiling_of(mixed), data.ceiling_of(e), rtol=0, atol=1e-12)


@each
def test_wrong_options(cls, options):
    for wrong in ("estimate_noise", "new_items", "items"):
        with pytest.raises(BenchError, match=f"{wrong}=-1: give"):
            cls(**options | {wrong: -1})


@pytest.mark.parametrize("cls", [BKTDataModule, GrowingSkillsDataModule])
@pytest.mark.parametrize("tested_shots", [(), (1, 2)])
def test_a_fixed_order_tells_what_was_met_between_the_rows(cls, tested_shots, rows):
    data = cls(items=15, fixed_order=True, shots=4, queries=3, tested_shots=tested_shots)
    e = data.episodes("test", np.arange(9))
    all_rows = rows(data, np.tile(np.arange(15), (9, 1)))
    answer, support = np.zeros((2, 9, 15), bool)
    position = e.support_x[..., POSITION].numpy().astype(int)
    shown = np.ones(position.shape, bool) if e.support_w is None else e.support_w.numpy() > 0
    np.put_along_axis(support, position, shown, 1)
    np.put_along_axis(answer, position, e.support_y.numpy() > 0, 1)
    asked = e.query_x[..., POSITION].numpy().astype(int)
    expected = np.take_along_axis(data.ceiling(all_rows, answer, support), asked, 1)
    np.testing.assert_allclose(data.ceiling_of(e), expected, rtol=0, atol=1e-12)


@each
def test_every_question_met_is_told(cls, options):
    data = cls(items=20, shots=9, tested_shots=(1, 3), queries=5, **options)
    e = data.episodes("test", np.arange(5))
    position = torch.cat([e.support_x, e.query_x], 1)[..., POSITION].sort(1).values
    assert (position[:, :-8] == -1).all()
    assert torch.equal(position[:, -8:], torch.arange(8.0).expand(5, 8))

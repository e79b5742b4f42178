"""What every table of students relies on: who is shown what, and who is asked for what."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.data.irt import IRTDataModule
from bench.data.students.episodes import Sequences, StudentEpisodes
from bench.tasks.data_module import EpisodeSampler
from bench.tasks.episode import View
from bench.tasks.questions import FEATURES, ITEM, POSITION

COUNTS = (2, 3, 4, 6, 7, 9, 12, 30)
TESTED = (1, 3, 5, 10)


class Made(StudentEpisodes):
    """Students with ``counts`` answers each; items from 40 on are new at test."""

    def __init__(self, counts=COUNTS, new=False, **kwargs):
        super().__init__(**kwargs)

    @property
    def items(self):
        return 40

    @property
    def has_new_items(self):
        return self.hparams["new"]

    @property
    def features(self):
        return np.random.default_rng(0).integers(0, 2, (50, 3)).astype(float)

    @property
    def skills(self):
        return 3

    def lengths(self, split):
        return np.array(self.hparams["counts"])

    def training_students(self, index):
        return index % len(self.hparams["counts"])

    def sequences(self, split, students):
        rng = np.random.default_rng({"train": 1, "val": 2, "test": 3}[split])
        counts = self.lengths(split)
        kinds = 50 if self.hparams["new"] and split != "train" else 40
        item = rng.integers(0, kinds, (len(counts), counts.max()))
        answer = rng.integers(0, 2, item.shape) > 0
        return Sequences(item[students], answer[students], counts[students])

    @property
    def varies(self):
        return True  # as students gave different numbers of answers


def made(**options):
    tested = () if options.get("protocol") == "next" else TESTED
    return Made(**{"shots": 10, "queries": 3, "tested_shots": tested} | options)


def rows(episode):
    """Per episode, the positions that are shown, kept back, and asked for; each in its order."""
    shown, position = episode.support_w > 0, episode.support_x[..., POSITION]
    asked = episode.query_x[..., POSITION]
    return [
        (
            position[t][shown[t]].int().tolist(),
            position[t][~shown[t] & (position[t] >= 0)].int().tolist(),
            asked[t][episode.query_w[t] > 0].int().tolist(),
        )
        for t in range(len(position))
    ]


def listed(data, split="test"):
    """``{(student, answers shown): rows}`` of the whole list."""
    index = np.arange(data.listed(split))
    student = data.students_of(split, index)
    found = rows(data.episodes(split, index))
    return {(int(s), len(r[0])): r for s, r in zip(student, found)}


# The number of answers shown ---------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["random", "first"])
def test_the_same_answers_are_asked_for_at_every_number_shown(protocol):
    found = listed(made(protocol=protocol))
    # a student is tested wherever there is an answer left to ask for
    assert found.keys() == {(s, n) for s, c in enumerate(COUNTS) for n in TESTED if n < c}
    for student, count in enumerate(COUNTS):
        own = [found[student, n] for n in TESTED if n < count]
        most = max(n for n in TESTED if n < count)
        for shown, kept_back, asked in own:
            assert asked == own[0][2]
            assert len(set(asked)) == len(asked) == min(3, count - most)
            assert not {*shown, *kept_back} & {*asked}
            assert max([*shown, *kept_back, *asked]) < count
            assert sorted([*shown, *kept_back]) == sorted(own[-1][0])
        for (fewer, *_), (more, *_) in pairwise(own):
            assert more[: len(fewer)] == fewer


def test_the_first_answers_come_in_order_of_time_and_all_queries_after_them():
    for (student, n), (shown, kept_back, asked) in listed(made(protocol="first")).items():
        most = max(m for m in TESTED if m < COUNTS[student])
        assert shown == list(range(n))
        assert kept_back == list(range(n, most))
        assert asked == list(range(most, min(most + 3, COUNTS[student])))


@pytest.mark.parametrize("protocol", ["random", "first"])
def test_without_queries_all_the_rest_is_asked_for(protocol):
    found = listed(made(protocol=protocol, queries=None))
    for (student, n), (shown, kept_back, asked) in found.items():
        assert sorted(shown + asked) == list(range(COUNTS[student]))
        assert len(shown) == n
        assert kept_back == []
        assert found[student, 1][0] == shown[:1]


def test_every_answer_of_a_student_is_as_likely_to_be_shown_and_to_be_asked_for():
    data = made(counts=(8,) * 4000, shots=2, queries=2, tested_shots=(), val_episodes=4000)
    found = listed(data, "val").values()
    for part in (0, 2):
        counts = np.bincount([p for row in found for p in row[part]], minlength=8)
        assert ((counts - 1000) ** 2 / 1000).sum() < 24.3  # 99.9 % of chi-square, 7 degrees


def test_validation_and_test_show_other_answers_in_another_order():
    data = made(counts=(30,) * 20)
    assert listed(data, "val") != listed(data, "test")


@pytest.mark.parametrize("protocol", ["random", "first", "next"])
def test_what_is_not_shown_cannot_be_seen(protocol):
    """Not even by a method that overlooks the weights."""
    data = made(protocol=protocol)
    for split in ("train", "test"):
        e = data.episodes(split, np.arange(21))
        assert (e.support_y[e.support_w == 0] == 0).all()
        assert (e.query_y[e.query_w == 0] == 0).all()
        padding = e.query_x[e.query_w == 0].numpy()
        assert (padding[:, POSITION] == -1).all()
        assert (np.delete(padding, POSITION, 1) == 0).all()


def test_lists_are_cut_by_students_and_divided_by_the_number_shown():
    data = made()
    assert data.views("test") == [View(1, 0, 8), View(3, 8, 6), View(5, 14, 5), View(10, 19, 2)]
    assert data.listed("test") == 21
    np.testing.assert_array_equal(data.unit("test", np.arange(21)), np.arange(21))
    assert data.students_of("test", np.arange(8, 14)).tolist() == [2, 3, 4, 5, 6, 7]
    few = made(test_episodes=4)
    assert few.views("test") == [View(1, 0, 4), View(3, 4, 2), View(5, 6, 1)]
    assert few.views("val") == data.views("val")


# Each answer in turn -----------------------------------------------------------------------------


def test_the_next_answer_is_asked_for_with_all_before_it_shown():
    data = made(protocol="next", shots=4, tested_shots=())
    index = np.arange(data.listed("test"))
    student = data.students_of("test", index)
    asked = []
    for s, (shown, kept_back, query) in zip(student, rows(data.episodes("test", index))):
        assert len(query) == 1
        assert shown == list(range(query[0]))
        assert kept_back == []
        asked.append((int(s), query[0]))
    assert asked == [(s, p) for s, count in enumerate(COUNTS) for p in range(1, count)]
    np.testing.assert_array_equal(data.unit("test", index), student)
    assert data.views("test") == [View(0, 0, len(COUNTS))]


def test_who_answered_once_is_never_asked_again():
    data = made(protocol="next", counts=(1, 3, 1, 2))
    index = np.arange(data.listed("test"))
    assert data.students_of("test", index).tolist() == [1, 1, 3]
    assert data.unit("test", index).tolist() == [0, 0, 1]
    assert data.views("test") == [View(0, 0, 2)]


# Training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("queries", [3, None])
@pytest.mark.parametrize("protocol", ["random", "first", "next"])
def test_training_shows_every_number_and_asks_for_what_follows(protocol, queries):
    data = made(protocol=protocol, queries=queries)
    index = np.arange(800)
    student = data.students_of("train", index)
    numbers = {s: set() for s in range(len(COUNTS))}
    for s, (shown, kept_back, asked) in zip(student, rows(data.episodes("train", index))):
        numbers[s].add(len(shown))
        assert asked
        assert not {*shown, *kept_back} & {*asked}
        assert max(shown + kept_back + asked) < COUNTS[s]
        if protocol != "random":
            assert shown == list(range(len(shown)))
            assert min(asked) > max(shown + kept_back)
        if queries is None or protocol == "next":
            assert sorted(shown + asked) == list(range(COUNTS[s]))
        else:
            assert len(asked) <= queries
    for s, count in enumerate(COUNTS):
        most = range(1, min(count - 1, 10) + 1) if protocol == "next" else TESTED
        assert numbers[s] == {n for n in most if n < count}


@pytest.mark.parametrize("queries", [40, None])
@pytest.mark.parametrize("protocol", ["random", "first"])
def test_training_may_ask_for_all_that_follows_what_is_shown(protocol, queries):
    data = made(protocol=protocol, queries=queries, training_asks="following")
    data.training_tasks = len(COUNTS)
    index = np.arange(800)
    student = data.students_of("train", index)
    ever = {s: set() for s in range(len(COUNTS))}
    for s, (shown, kept_back, asked) in zip(student, rows(data.episodes("train", index))):
        assert kept_back == []
        assert sorted(shown + asked) == list(range(COUNTS[s]))
        ever[s] |= {*asked}
    first = protocol == "first"  # where the first answer is always shown
    assert ever == {s: set(range(first, count)) for s, count in enumerate(COUNTS)}
    share = sum(1 / len(places) for places in ever.values())  # of one answer in a student
    assert data.training_rows == round(len(ever) ** 2 / share)
    same = listed(made(protocol=protocol, queries=queries))
    assert listed(data) == same  # testing is as it was


# What a row holds --------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("new", [False, True])
def test_rows_are_what_the_students_met_and_answered(split, new):
    data = made(new=new, hide_items=0.3)
    index = np.arange(21) if split == "test" else np.arange(150)
    e = data.episodes(split, index)
    source = data.sequences(split, data.students_of(split, index))
    assert data.spec.input_shape == (FEATURES + 3,)
    assert (data.spec.items, data.spec.skills) == (40 + new, 3)
    hidden = total = 0
    for x, y, counts in (
        (e.support_x, e.support_y, e.support_w),
        (e.query_x, e.query_y, e.query_w),
    ):
        for t, r in (counts > 0).nonzero():
            position = int(x[t, r, POSITION])
            item = source.item[t, position]
            assert y[t, r] == source.answer[t, position]
            np.testing.assert_array_equal(x[t, r, FEATURES:], data.features[item])
            total += 1
            if split == "train" and new and x[t, r, ITEM] == 40 != item:
                hidden += 1
            else:
                assert x[t, r, ITEM] == min(item, 40)
    expected = 0.3 * total if split == "train" and new else 0
    assert abs(hidden - expected) <= 4 * (0.21 * total) ** 0.5 * bool(expected)
    assert ((source.item >= 40).any()) == (new and split == "test")


# Determinism -------------------------------------------------------------------------------------


def equal(a, b):
    return all(v is w or torch.equal(v, w) for v, w in zip(a, b))


@pytest.mark.parametrize("protocol", ["random", "first", "next"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_episode_depends_on_its_number_alone(split, protocol):
    data = made(protocol=protocol, new=True)
    order = np.array([7, 3, 11, 3, 0, 19])
    together, again = data.episodes(split, order), made(protocol=protocol, new=True)
    for place, i in enumerate(order):
        alone = again.episodes(split, np.array([i]))
        assert together.class_numbers is alone.class_numbers is None
        for name, whole, one in zip(together._fields, together[:7], alone):
            assert torch.equal(whole[place], one[0]), name
    backwards = data.episodes(split, order[::-1].copy())
    assert equal(type(together)(*(v.flip(0) for v in together[:7])), backwards)


@pytest.mark.parametrize("protocol", ["random", "first", "next"])
def test_the_seed_changes_training_episodes_alone(protocol):
    index = np.arange(20)
    one, other = made(protocol=protocol), made(protocol=protocol, seed=1, tasks_per_batch=3)
    assert not equal(one.episodes("train", index), other.episodes("train", index))
    for split in ("val", "test"):
        assert equal(one.episodes(split, index), other.episodes(split, index))


@pytest.mark.parametrize("protocol", ["random", "next"])
@pytest.mark.parametrize("tasks", [2, 7, 64])
def test_two_devices_share_the_list_without_a_copy(protocol, tasks):
    data = made(protocol=protocol, tasks_per_batch=tasks)
    data.trainer = type("Trainer", (), {"global_rank": 0, "world_size": 2})
    seen = []
    for data.trainer.global_rank in (0, 1):
        sampler = EpisodeSampler(data, "test")
        batches = list(sampler)
        assert len(batches) == len(sampler)
        seen += [i for batch in batches for i in data.episodes("test", batch).index.tolist()]
    assert sorted(seen) == list(range(data.listed("test")))


def test_made_up_students_are_under_the_same_rules():
    data = IRTDataModule(items=20, shots=5, queries=4, tested_shots=[1, 2, 5], test_episodes=30)
    found = listed(data)
    assert len(found) == 90
    for student in range(30):
        own = [found[student, n] for n in (1, 2, 5)]
        assert {tuple(asked) for *_, asked in own} == {tuple(own[0][2])}
        assert own[0][0] == own[2][0][:1]
        assert own[1][0] == own[2][0][:2]
    fixed = IRTDataModule(items=20, shots=5, queries=4).episodes("test", np.arange(3))
    assert fixed.support_w is None  # every row counts
    assert fixed.query_w is None


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queries": 0}, "queries=0: give a whole number of at least 1"),
        ({"queries": 2.0}, "queries=2.0: give a whole number"),
        ({"shots": 0, "tested_shots": ()}, "shots=0: give a whole number of at least 1"),
        ({"tested_shots": (3, 1)}, r"tested_shots=\(3, 1\): give rising whole numbers"),
        ({"tested_shots": (1, 1)}, "give rising whole numbers"),
        ({"tested_shots": (0, 1)}, "give rising whole numbers"),
        ({"tested_shots": (1, 11)}, "from 1 to shots=10"),
        ({"tested_shots": (True, 2)}, "give a list of whole numbers"),
        ({"tested_shots": 5}, "tested_shots=5: give a list of whole numbers"),
        ({"tested_shots": "15"}, "tested_shots='15': give a list of whole numbers"),
        ({"protocol": "frist"}, "protocol='frist': did you mean first"),
        ({"protocol": 1}, "protocol=1: Known: first, next, random"),
        ({"hide_items": 1}, "hide_items=1: give a share"),
        ({"hide_items": "a"}, "hide_items='a': give a number"),
        ({"test_episodes": 0}, "test_episodes=0"),
    ],
)
def test_a_mistake_is_named(options, words):
    with pytest.raises(BenchError, match=words) as error:
        made(**options)
    assert "\n" not in str(error.value)


# Windows ------------------------------------------------------------------------------------------


def test_each_answer_of_a_window_is_asked_for_with_all_before_it_shown():
    windows = ((3, 5), (6, 7))
    data = made(protocol="next", tested_shots=(), windows=windows)
    long_enough = [s for s, count in enumerate(COUNTS) if count >= 7]
    found = listed(data)
    asked_for = [n for first, last in windows for n in range(first, last + 1)]
    wanted = {(s, n - 1) for s in long_enough for n in asked_for}
    assert set(found) == wanted
    assert data.listed("test") == len(wanted)
    for (_, n), (shown, kept, asked) in found.items():
        assert (shown, kept, asked) == (list(range(n)), [], [n])


def test_each_window_is_scored_apart_with_a_student_as_one_unit():
    windows = ((3, 5), (6, 7))
    data = made(protocol="next", tested_shots=(), windows=windows)
    count = sum(n >= 7 for n in COUNTS)
    assert data.views("test") == [View(2, 0, count), View(5, count, count)]
    index = np.arange(data.listed("test"))
    unit = data.unit("test", index)
    students = data.students_of("test", index)
    assert unit.tolist() == np.repeat(np.arange(2 * count), [3] * count + [2] * count).tolist()
    assert students[unit < count].tolist() == np.repeat(students[unit >= count][::2], 3).tolist()
    assert data.unit("test", index[-1:]).tolist() == [2 * count - 1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"windows": ((3, 5),)}, "windows=.*goes with protocol='next'"),
        ({"windows": ((1, 5),), "protocol": "next"}, "from 2 on, that rise"),
        ({"windows": ((5, 4),), "protocol": "next"}, "from 2 on, that rise"),
        ({"windows": ((3, 5), (5, 6)), "protocol": "next"}, "from 2 on, that rise"),
        ({"windows": ((3, "5"),), "protocol": "next"}, "windows"),
        (
            {"tested_shots": (1, 2), "protocol": "next"},
            "tested_shots=.*asks for all answers in turn: use tested_shots",
        ),
        (
            {"training_asks": "following", "protocol": "next"},
            "training_asks='following'.*use training_asks='same'",
        ),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(options, words):
    with pytest.raises(BenchError, match=words):
        made(**{"tested_shots": ()} | options)


def test_a_window_that_nobody_reaches_is_named():
    data = made(protocol="next", tested_shots=(), windows=((3, 4000),))
    with pytest.raises(BenchError, match="no val student has 4000 answers: give fewer"):
        data.listed("test")

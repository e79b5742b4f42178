"""What lies behind synthetic students' answers, and how well a method finds it."""

import numpy as np
import pytest
import torch

from bench.data.bkt import BKTDataModule
from bench.data.irt import IRTDataModule
from bench.data.sinusoid import SinusoidDataModule
from bench.running import recovery as recovery_module
from bench.running.recovery import recovery

INDEX = np.arange(40)


class Method:
    """A method whose latent numbers are made from the true ones, by episode number."""

    device = torch.device("cpu")

    def __init__(self, data, make):
        self.data, self.make, self.seen = data, make, []
        for name in data.truth("test", INDEX):
            setattr(self, name, self.latent)

    def latent(self, episode):
        self.seen.append(episode)
        students = self.data.students_of("test", episode.index.numpy())
        (truth,) = self.data.truth("test", students).values()
        return torch.from_numpy(self.make(truth.astype(float))).float()


def irt(**options):
    return IRTDataModule(**{"items": 20, "shots": 6, "queries": 4, "test_episodes": 40} | options)


def bkt(**options):
    return BKTDataModule(**{"items": 20, "shots": 6, "queries": 4, "test_episodes": 40} | options)


def test_ability_is_found_up_to_a_linear_map():
    noise = np.random.default_rng(0).normal(size=(40, 2))
    for make, expected in (
        (lambda ability: ability, 1),
        (lambda ability: 3 - 2 * ability, 1),
        (lambda ability: ability + noise[:, :1], None),
        (lambda ability: np.hstack([ability + noise[:, :1], noise[:, :1]]), 1),
    ):
        data = irt()
        found = recovery(Method(data, make), data, INDEX)
        assert found.keys() == {"ability_correlation"}
        if expected is None:  # by hand, for one latent number
            z, truth = make(data.truth("test", INDEX)["ability"])[:, 0], data.truth("test", INDEX)
            expected = abs(np.corrcoef(z, truth["ability"][:, 0])[0, 1])
            assert 0.1 < expected < 0.95
        assert found["ability_correlation"] == pytest.approx(expected, abs=1e-5)


def test_students_are_looked_at_in_parts_and_keep_their_place(monkeypatch):
    data = irt()
    monkeypatch.setattr(recovery_module, "AT_ONCE", 7)
    method = Method(data, lambda ability: ability)
    part = np.array([30, 2, 17, 5, 9, 11, 39, 4, 0, 1])
    assert recovery(method, data, part)["ability_correlation"] == pytest.approx(1, abs=1e-5)
    assert torch.cat([e.index for e in method.seen]).tolist() == part.tolist()


def test_each_number_of_answers_shown_is_looked_at_by_itself():
    data = irt(tested_shots=(1, 3, 6))
    for view in data.views("test"):
        method = Method(data, lambda ability: ability)
        index = view.first + np.arange(view.episodes)
        assert recovery(method, data, index)["ability_correlation"] == pytest.approx(1, abs=1e-5)
        (episode,) = method.seen
        assert (episode.support_w.sum(1) == view.shots).all()


def test_of_a_student_who_is_asked_again_and_again_the_last_time_counts():
    data = bkt(protocol="next")
    method = Method(data, lambda mastery: mastery)
    assert recovery(method, data, INDEX)["mastery_auc"] == 1
    (episode,) = method.seen
    assert (episode.support_w.sum(1) == data.length - 1).all()
    assert data.students_of("test", episode.index.numpy()).tolist() == INDEX.tolist()


def test_mastery_is_told_by_one_number_a_skill():
    data = bkt()
    for make, expected in (
        (lambda m: m, 1),
        (lambda m: -m, 0),
        (lambda m: 0 * m, 0.5),
        (lambda m: 4 * m - 30, 1),  # log-odds
    ):
        found = recovery(Method(data, make), data, INDEX)
        assert found == {"mastery_auc": pytest.approx(expected)}
    # of another number of latent numbers nobody knows which is which
    assert recovery(Method(data, lambda m: m[:, :2]), data, INDEX) == {}


def test_an_ability_is_no_mastery_even_of_as_many_numbers():
    data, other = bkt(), irt()
    assert recovery(Method(other, lambda ability: ability), data, INDEX) == {}


def test_where_there_is_nothing_to_compare_nothing_is_said(monkeypatch):
    data = irt()
    assert recovery(object(), data, INDEX) == {}
    assert recovery(Method(data, None), SinusoidDataModule(), INDEX) == {}
    monkeypatch.setattr(IRTDataModule, "truth", lambda *_: {})
    assert recovery(Method(data, None), data, INDEX) == {}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_method_that_diverged_stops_nothing(value):
    for data in (irt(), bkt()):
        assert recovery(Method(data, lambda truth: np.full_like(truth, value)), data, INDEX) == {}


def test_what_is_alike_for_all_students_has_no_correlation(monkeypatch):
    data = irt()
    found = recovery(Method(data, lambda ability: 0 * ability), data, INDEX)
    assert not abs(found["ability_correlation"]) > 0.3  # NaN, or noise of rounding
    data = bkt()
    monkeypatch.setattr(
        BKTDataModule, "truth", lambda *a: {"mastery": np.ones((len(a[-1]), data.skills))}
    )
    assert recovery(Method(data, lambda mastery: mastery), data, INDEX) == {}

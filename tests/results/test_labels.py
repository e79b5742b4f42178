import pytest

from bench.base import registry
from bench.results.labels import Label, label, of_record


def test_an_algorithm_is_called_what_it_is():
    assert str(label("maml", {"order": 2})) == "MAML, second order"
    assert str(label("maml", {"order": 1})) == "MAML, first order"
    assert label("fomaml", {}) == label("maml", {"order": 1})
    assert label("first_order_bilevel_irt", {"order": 1}) == Label("bilevel IRT", 1)
    assert label("random_init", {"order": 2}) == Label(
        "fine-tune from random init", None, "baseline"
    )
    assert label("my_method", {}) == Label("my method")


@pytest.mark.parametrize("name", registry.names("algorithms"))
def test_every_algorithm_has_a_label_and_two_have_none_in_common_but_orders(name):
    declared = registry.declaration("algorithms", name)
    cls = registry.load("algorithms", name)
    assert declared.attributes["label"] == cls.label
    assert label(name, {}).fields["label"] == cls.label


def test_a_record_says_it_and_an_older_one_is_looked_up():
    old = {"experiment": {"algorithm": "fomaml", "learner": {"order": 1}}}
    assert str(of_record(old)) == "MAML, first order"
    new = old | {"algorithm": {"label": "theirs", "order": 2, "role": None}}
    assert str(of_record(new)) == "theirs, second order"


def test_ceilings_come_first_and_floors_last():
    names = ["item_mean", "rasch", "fomaml", "maml", "random_init", "bayes"]
    ranked = sorted(names, key=lambda name: label(name, {}).rank)
    assert ranked == ["bayes", "maml", "fomaml", "rasch", "random_init", "item_mean"]

import dataclasses

import pytest

from bench.base import registry
from bench.base.errors import BenchError
from bench.results.labels import label
from bench.running.suite import Study, Suite
from bench.tasks import kinds

SUITE = Suite(
    name="tiny",
    description="for tests",
    studies=(
        Study(
            dataset="sinusoid",
            shots=(5, 10),
            iterations=20,
            learner={"outer_lr": 0.01, "inner_steps": 2},
            algorithms={"maml": {"inner_lr": 0.1}, "no_adaptation": {"iterations": 5}},
        ),
    ),
    seeds=(0, 1),
)


def test_the_grid_is_the_product_of_shots_algorithms_and_seeds():
    experiments = SUITE.experiments()
    assert len(experiments) == 2 * 2 * 2
    assert len({e.key for e in experiments}) == 8


def test_an_algorithm_gets_the_common_settings_that_it_takes_and_its_own():
    maml, floor = SUITE.experiments(shots=[5], seeds=[0])
    assert maml.learner == {"outer_lr": 0.01, "inner_steps": 2, "inner_lr": 0.1}
    assert floor.learner == {"outer_lr": 0.01}
    assert (maml.iterations, floor.iterations) == (20, 5)


def test_nothing_is_trained_for_an_algorithm_that_does_not_train():
    (experiment,) = SUITE.experiments(["random_init"], shots=[5], seeds=[0])
    assert experiment.iterations == 0


def test_sizes_that_another_study_of_the_data_is_for_are_left_to_it():
    """Each cell of a paper has settings of its own: rates, steps and iterations."""
    suite = registry.load("suites", "caltech_reference")
    found = suite.experiments(["maml"], shots=[5], seeds=[0])
    assert [(e.data["shots"], e.iterations) for e in found] == [(5, 6000)]
    suite = registry.load("suites", "omniglot_paper")
    found = suite.experiments(["maml"], ways=[20], shots=[1], seeds=[0])
    assert [(e.data["ways"], e.data["shots"], e.learner["inner_steps"]) for e in found] == [
        (20, 1, 5)
    ]
    found = suite.experiments(["maml"], ways=[20], shots=[3, 5], seeds=[0])  # 3 is nobody's
    assert [(e.data["shots"], e.data["queries"]) for e in found] == [(3, 1), (3, 5), (5, 5)]
    quick = registry.load("suites", "quick")
    found = quick.experiments(["maml"], shots=[10], seeds=[0])
    assert {(e.dataset, e.data["shots"]) for e in found} >= {("glyphs", 10), ("sinusoid", 10)}


def test_set_changes_all_or_one_algorithm():
    settings = {"maml.inner_lr": 0.7, "queries": 3, "iterations": 9}
    maml, fomaml = SUITE.experiments(["maml", "fomaml"], shots=[5], seeds=[0], settings=settings)
    assert maml.learner["inner_lr"] == 0.7
    assert "inner_lr" not in fomaml.learner
    assert maml.data["queries"] == fomaml.data["queries"] == 3
    assert maml.iterations == fomaml.iterations == 9
    assert maml.set_by_user == ("queries=3", "iterations=9", "inner_lr=0.7")


def test_what_is_set_of_one_algorithm_holds_wherever_it_stands():
    for settings in (
        {"maml.inner_lr": 0.7, "inner_lr": 0.2},
        {"inner_lr": 0.2, "maml.inner_lr": 0.7},
    ):
        both = SUITE.experiments(["maml", "fomaml"], shots=[5], seeds=[0], settings=settings)
        assert [e.learner["inner_lr"] for e in both] == [0.7, 0.2]


def test_set_of_an_argument_that_both_have_says_whose():
    """IRT's model is its formula, an algorithm's is its network."""
    study = dataclasses.replace(SUITE.studies[0], dataset="irt", shots=(5,), learner={})
    suite = dataclasses.replace(SUITE, studies=(study,), seeds=(0,))

    def made(**settings):
        settings = {name.replace("__", "."): value for name, value in settings.items()}
        (found,) = suite.experiments(["maml"], settings=settings)
        return found.data.get("model"), found.learner.get("model")

    assert made(irt__model="3pl", maml__model="bayesian_mlp") == ("3pl", "bayesian_mlp")
    assert made(irt__model="3pl") == ("3pl", None)
    assert made(maml__model="mlp") == (None, "mlp")
    assert made(maml__items=30) == (None, None)  # what it does not take goes to its data
    with pytest.raises(BenchError, match="model: both irt and maml .* irt.model or maml.model"):
        made(model="3pl")


def test_set_of_an_argument_that_nothing_has_is_an_error():
    with pytest.raises(BenchError, match="--set inner_lrr.*did you mean inner_lr"):
        SUITE.experiments(settings={"inner_lrr": 1})


def test_a_run_is_printed_with_the_repetition_that_it_is():
    study = dataclasses.replace(
        SUITE.studies[0], dataset="student", shots=(5,), repeats=({"fold": 0}, {"fold": 1})
    )
    suite = dataclasses.replace(SUITE, studies=(study,), seeds=(0,))
    said = [e.remark for e in suite.experiments(["rasch"])]
    assert said == ["fold 0", "fold 1"]
    (experiment,) = suite.experiments(["rasch"], settings={"fold": 0})
    assert (experiment.remark, experiment.data["fold"]) == ("fold 0", 0)


def test_what_has_a_flag_of_its_own_is_not_set():
    with pytest.raises(BenchError, match="--set seed: use --seeds"):
        SUITE.experiments(settings={"seed": 1})


@pytest.mark.parametrize("setting", [{"iterations": "abc"}, {"validations": 0}])
def test_a_length_that_makes_no_sense_is_an_error(setting):
    with pytest.raises(BenchError, match="give a whole number of at least"):
        SUITE.experiments(settings=setting)


def test_algorithms_narrow_each_study_to_those_it_lists():
    suite = registry.load("suites", "quick")
    pairs = {(e.dataset, e.algorithm) for e in suite.experiments(["maml", "item-mean"])}
    assert ("irt", "item_mean") in pairs
    assert ("glyphs", "item_mean") not in pairs
    assert ("glyphs", "maml") in pairs


def test_a_name_with_a_hyphen_keeps_the_settings_of_the_suite():
    (experiment,) = SUITE.experiments(["no-adaptation"], shots=[5], seeds=[0, 0])
    assert experiment.algorithm == "no_adaptation"
    assert experiment.iterations == 5


def test_an_algorithm_is_refused_where_its_tasks_are_not():
    quick = registry.load("suites", "quick")
    with pytest.raises(BenchError, match=r"rasch is for answers of students, and glyphs is class"):
        quick.experiments(["rasch"], ["glyphs"])
    with pytest.raises(BenchError, match=r"bkt is for .* choose one of .*maml"):
        quick.experiments(["maml", "bkt"], ["irt", "sinusoid"])
    assert {e.dataset for e in quick.experiments(["dkt"])} == {"irt"}  # where it fits
    (bayes,) = registry.load("suites", "students-real").experiments(
        ["bayes"], ["assist2009"], seeds=[0]
    )
    with pytest.raises(BenchError, match="not known for Assist2009DataModule"):
        bayes.check()


def test_unknown_data_set_and_algorithm_are_errors():
    with pytest.raises(BenchError, match="did you mean sinusoid"):
        SUITE.experiments(datasets=["sinusoids"])
    with pytest.raises(BenchError, match="did you mean maml"):
        SUITE.experiments(["mamml"])


def test_the_key_depends_on_what_the_result_depends_on_and_on_nothing_else():
    base = SUITE.experiments(["maml"], shots=[5], seeds=[0])[0]
    keys = {base.key}
    for change in (
        {"iterations": 21},
        {"seed": 1},
        {"learner": {**base.learner, "order": 1}},
        {"data": {**base.data, "queries": 7}},
    ):
        keys.add(dataclasses.replace(base, **change).key)
    assert len(keys) == 5
    same = dataclasses.replace(base, chosen="otherwise", data={**base.data, "num_workers": 2})
    assert same.key == base.key
    default = dataclasses.replace(base, learner={**base.learner, "order": 2})
    assert default.key == base.key


@pytest.mark.parametrize("name", registry.names("suites"))
def test_every_suite_expands_and_compares_both_orders_with_a_rate_of_their_own(name):
    suite = registry.load("suites", name)
    experiments = suite.experiments()
    assert suite.name == name
    assert all(e.fields["key"] for e in experiments)
    for study in suite.studies:
        labels = {
            (e.algorithm, label(e.algorithm, e.learner_arguments))
            for e in experiments
            if e.dataset == study.dataset
        }
        orders = {(x.name, x.order) for _, x in labels}
        assert any((name, 1) in orders for name, order in orders if order == 2)
        assert {"floor", "baseline"} & {x.role for _, x in labels}
        if study.trial_iterations and not study.sweep:  # each order is given its own by tuning
            continue
        for name in [n for n, x in labels if x.order]:
            if name.endswith("bilevel_irt"):  # whose steps need no rate
                continue
            rate = study.algorithms[name]["inner_lr"]
            assert not study.sweep or rate in study.sweep["inner_lr"]  # else set by hand


def test_methods_has_all_that_apply_and_each_that_has_orders_with_both():
    suite = registry.load("suites", "methods")
    variants = {"fomaml", "first_order_bilevel_irt"}  # which order=1 makes of others
    in_order = {"bkt", "dkt"}  # for students who learn
    for dataset in {study.dataset for study in suite.studies}:
        studies = [study for study in suite.studies if study.dataset == dataset]
        listed = {name for study in studies for name in study.algorithms}
        fitting = {*kinds.fitting(kinds.kind_of(dataset))}
        assert fitting - variants - in_order == listed
        orders = {}
        for e in suite.experiments(datasets=[dataset]):
            words = label(e.algorithm, e.learner_arguments)
            if words.order and e.algorithm != "nil":  # how a network of MAML's is tested
                orders.setdefault(words.name, set()).add(words.order)
        assert orders
        assert all(of == {1, 2} for of in orders.values()), orders

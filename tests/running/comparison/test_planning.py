"""How much is run within a budget, and that the same budget gives the same runs."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bench.base.errors import BenchError
from bench.running.comparison import planning
from bench.running.comparison.source import Source

CLASS = Source(
    name="class",
    suite="compare-class-0",
    dataset="student",
    kind="answers",
    data={"source": "class.csv", "tasks_per_batch": 16, "val_episodes": 300, "protocol": "first"},
    shots=(10,),
    folds=5,
    rows=20,
    inputs=6,
    skills=True,
    students=25,
    views=4,
    test_tasks=5,
)
SCHOOL = replace(CLASS, students=5000, folds=1, test_tasks=1000)
PHOTOS = Source(
    name="photos",
    suite="compare-photos-0",
    dataset="image_folder",
    kind="classification",
    data={"queries": 5, "tasks_per_batch": 4, "val_episodes": 100, "test_episodes": 300},
    shots=(1, 5),
    ways=5,
    rows=50,
    inputs=3 * 84 * 84,
    test_tasks=300,
)


def methods(plan):
    return {name for study in plan.suite.studies for name in study.algorithms}


@pytest.mark.parametrize("source", [CLASS, SCHOOL, PHOTOS], ids=lambda s: s.name + str(s.folds))
def test_more_time_is_never_less(source):
    plans = [planning.plan(source, minutes) for minutes in (1, 3, 10, 30, 100, 1000)]
    for poor, rich in pairwise(plans):
        assert methods(poor) <= methods(rich)
        assert poor.trials <= rich.trials
        assert poor.seconds <= rich.seconds or poor.over
    assert not plans[-1].left_out
    for plan, minutes in zip(plans, (1, 3, 10, 30, 100, 1000)):
        assert plan.over or plan.seconds <= 60 * minutes


def test_methods_with_nothing_to_tune_are_not_tuned():
    plan = planning.plan(SCHOOL, 10, methods=["rasch", "item_mean"])
    assert plan.trials == 1
    assert "No tuning: the defaults" in " ".join(plan.sentences())
    assert planning.plan(SCHOOL, 10, methods=["rasch", "maml"]).trials > 1


def test_the_same_command_has_the_same_runs():
    keys = [{e.key for e in planning.plan(SCHOOL, 10, 2).suite.experiments()} for _ in range(2)]
    assert keys[0] == keys[1]


def test_a_class_is_not_tuned_and_has_folds():
    plan = planning.plan(CLASS, 10)
    assert plan.trials == 1
    assert [study.repeats for study in plan.suite.studies] == [({"fold": k},) for k in range(5)]
    assert "No tuning" in " ".join(plan.sentences())


def test_few_students_have_one_ability():
    few, many = (planning.plan(source, 10).suite.experiments() for source in (CLASS, SCHOOL))
    for experiments, found in ((few, {"dimensions": 1}), (many, None)):
        own = [e for e in experiments if e.algorithm.endswith("bilevel_irt")]
        assert len(own) >= 2
        assert all(e.learner_arguments["model_options"] == found for e in own)


def test_methods_are_those_that_the_data_is_for():
    assert {"dkt", "bkt", "skill_running_mean"} <= methods(planning.plan(SCHOOL, 1000))
    plain = replace(SCHOOL, skills=False, data=SCHOOL.data | {"protocol": "random"})
    assert not {"dkt", "bkt", "skill_running_mean"} & methods(planning.plan(plain, 1000))
    assert "proto_net" in methods(planning.plan(PHOTOS, 1000))


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("bkt", "bkt needs an order of time"),
        ("dkt", "dkt needs an order of time"),
        ("skill-running-mean", r"skill_running_mean needs the skills of questions .*--q-matrix"),
    ],
)
def test_a_method_that_is_named_is_refused_where_the_data_lack_what_it_needs(method, message):
    planning.plan(SCHOOL, 10, methods=[method])
    plain = replace(SCHOOL, skills=False, data=SCHOOL.data | {"protocol": "random"})
    with pytest.raises(BenchError, match=message):
        planning.plan(plain, 10, methods=["rasch", method])


def test_both_orders_are_always_there():
    assert {"bilevel_irt", "first_order_bilevel_irt"} <= methods(planning.plan(SCHOOL, 0.01))
    assert {"maml", "fomaml"} <= methods(planning.plan(PHOTOS, 0.01))


def test_named_methods_alone_are_compared_whatever_the_budget():
    plan = planning.plan(SCHOOL, 0.01, methods=["rasch", "item-mean"])
    assert methods(plan) == {"rasch", "item_mean"}
    assert plan.over
    assert not plan.left_out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 0}, "--budget 0"),
        ({"minutes": float("nan")}, "--budget nan"),
        ({"minutes": 5, "methods": ["rash"]}, "did you mean rasch"),
        ({"minutes": 5, "methods": ["proto_net"]}, "proto_net is for classification"),
        ({"minutes": 5, "methods": ["bayes"]}, "knows how made-up students were made"),
    ],
)
def test_what_cannot_be_planned_is_refused(options, message):
    with pytest.raises(BenchError, match=message):
        planning.plan(SCHOOL, **options)

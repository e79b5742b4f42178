"""What a verdict concludes from records of simulated students and classes whose truth is known."""

import json
import re

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.results import judged, temperature, verdict, verdict_figure, verdict_words
from bench.results.judged import Run
from bench.results.predictions import Predictions
from bench.results.verdict import FLOORS
from bench.tasks.statistics import auc_placements

SHOTS, ASKED = (1, 5), 10
LABELS = {  # name, order, role
    "item_mean": ("item mean", None, "floor"),
    "rasch": ("Rasch, posterior mean", None, None),
    "bilevel_irt": ("bilevel IRT", 2, None),
    "first_order_bilevel_irt": ("bilevel IRT", 1, None),
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def world(students, folds=1, seed=0):
    """True log-odds and answers ``[folds, shots, students, asked]``."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=(folds, 1, students, 1))
    logit = ability + rng.normal(size=(folds, len(SHOTS), students, ASKED))
    return logit, (rng.random(logit.shape) < sigmoid(logit)).astype(int)


def run(algorithm, logit, answer, fold=0, seconds=10.0, iterations=50):
    """A run of one fold that predicts those log-odds, ``[shots, students, asked]``."""
    p = sigmoid(logit)
    students = p.shape[1]
    unit = np.arange(len(SHOTS) * students)
    score = np.concatenate([auc_placements(*each) for each in zip(p, answer)])
    name, order, role = LABELS[algorithm]
    metric = {"mean": 0.5, "ci95": 0.1, "per_step": [0.5]}
    views = [{"shots": n, "episodes": students, "metrics": {}, "recovery": {}} for n in SHOTS]
    record = {
        "experiment": {
            "suite": "compare-x",
            "dataset": "student",
            "algorithm": algorithm,
            "ways": None,
            "shots": SHOTS[-1],
            "data": {"fold": fold},
            "learner": {},
            "key": f"{algorithm}-{fold}",
        },
        "algorithm": {"label": name, "order": order, "role": role},
        "metrics": {"headline": "auc", "higher_is_better": True, "auc": metric},
        "evaluation": {
            "split": "test",
            "episodes": len(unit),
            "index": unit.tolist(),
            "per_episode": {"auc": score.tolist()},
            "views": views,
        },
        "training": {"iterations": 100, "seconds": seconds, "best_iteration": iterations},
    }
    rows = Predictions(
        np.repeat(unit, ASKED),
        answer.reshape(-1),
        p.reshape(-1, 1).astype(np.float32),
        np.full((answer.size, 1), -1),
        np.zeros(0, "<U1"),
    )
    return Run(record, rows)


def runs(students, predict, folds=1, seed=0):
    """Runs of all methods and folds; ``predict`` maps the true log-odds to those of each."""
    logit, answer = world(students, folds, seed)
    return [
        run(name, change(logit[fold]), answer[fold], fold)
        for fold in range(folds)
        for name, change in predict.items()
    ]


TRUTH = {
    "item_mean": lambda x: x - x.mean(2, keepdims=True),  # knows nothing of the student
    "rasch": lambda x: 0.7 * x,
    "bilevel_irt": lambda x: x,
    "first_order_bilevel_irt": lambda x: 0.5 * x,
}


def test_the_truth_wins_surely_where_there_are_students_enough():
    found = verdict.numbers(runs(2000, TRUTH))
    assert found["recommended"]["method"] == found["overall"]["method"] == "bilevel_irt"
    assert found["recommended"]["adapts"]
    assert found["recommended"]["gain"][0] > found["recommended"]["gain"][1] > 0
    for n in ("1", "5"):
        assert found["best"][n]["method"] == "bilevel_irt"
        assert all(other["sure"] for other in found["best"][n]["behind"])
    assert found["methods"][0]["algorithm"] == "bilevel_irt"


def test_log_loss_is_the_mean_over_students_of_their_answers():
    logit, answer = world(50)
    found = verdict.numbers([run("rasch", logit[0], answer[0])])
    p = sigmoid(logit[0, 0])
    each = -np.where(answer[0, 0] > 0, np.log(p), np.log(1 - p)).mean(1)
    mean, half = found["methods"][0]["settings"]["1"]["judged"]
    assert mean == pytest.approx(each.mean(), abs=2e-5)
    assert half == pytest.approx(2.0096 * each.std(ddof=1) / 50**0.5, abs=2e-5)


def test_a_sure_mistake_costs_the_same_on_either_side():
    logit, answer = np.array([40.0, -40.0]).reshape(2, 1, 1), np.array([0, 1]).reshape(2, 1, 1)
    rows = run("rasch", logit, answer).rows
    first, second = judged.log_loss(judged.logs_of(rows), rows)
    assert first == second == pytest.approx(-np.log(1e-7), abs=1e-4)


def test_it_is_not_said_that_nothing_adapts_where_another_method_surely_does():
    wild = np.random.default_rng(3).standard_t(2, size=(1, 40, 1))
    predict = TRUTH | {"rasch": lambda x: x + 0.3 * wild}  # good as a rule, and unsteady
    found = verdict.numbers(runs(40, predict))
    assert found["recommended"]["method"] == "rasch"  # the best is not surely ahead of it
    sure = {b["method"] for b in found["overall"]["behind"] if b["sure"]}
    assert "item_mean" in sure
    assert found["recommended"]["adapts"]


def test_few_students_fall_back_on_the_floor_and_say_so():
    noise = np.random.default_rng(1)
    predict = {
        "item_mean": lambda x: x - x.mean(2, keepdims=True),
        "bilevel_irt": lambda x: x - x.mean(2, keepdims=True) + 0.05 * noise.normal(size=x.shape),
    }
    found = verdict.numbers(runs(5, predict, folds=5))
    assert found["units"] == 25
    assert found["recommended"]["method"] == "item_mean"
    assert found["recommended"]["adapts"] is False


def test_intervals_for_all_comparisons_together_rarely_call_equals_apart():
    """Four methods that are alike but for noise: a sure winner in at most some 5 % of cases."""
    sure = 0
    for seed in range(40):
        noise = np.random.default_rng(seed)
        rng = [noise.normal(size=(len(SHOTS), 60, ASKED)) for _ in LABELS]
        predict = {n: lambda x, e=e: x + 0.5 * e for n, e in zip(LABELS, rng)}
        found = verdict.numbers(runs(60, predict, seed=seed))
        nearest = found["best"]["1"]["behind"]
        sure += all(other["sure"] for other in nearest)
    assert sure <= 5


def test_folds_are_pooled_so_that_every_student_counts_once():
    whole = runs(12, TRUTH, folds=5)
    found = verdict.numbers(whole)
    assert (found["units"], found["folds"]) == (60, 5)
    own = [r for r in whole if r.record["experiment"]["algorithm"] == "rasch"]
    (rasch,) = (m for m in found["methods"] if m["algorithm"] == "rasch")
    single = [verdict.numbers([r])["methods"][0]["settings"]["1"]["judged"][0] for r in own]
    assert rasch["settings"]["1"]["judged"][0] == pytest.approx(np.mean(single), abs=1e-4)


@pytest.mark.parametrize("answer", [0, 1])
def test_answers_that_are_all_alike_have_no_auc_and_a_verdict_all_the_same(answer):
    logit = world(30)[0][0]
    same = np.full(logit.shape, answer)
    whole = [run(name, change(logit), same) for name, change in TRUTH.items()]
    numbers = json.loads(json.dumps(verdict.numbers(whole), allow_nan=False))
    assert {m["headline"] for m in numbers["methods"]} == {None}
    assert set(verdict_words.table(numbers)["AUC"]) == {"-"}
    page = verdict_words.markdown(numbers, "What predicts best", [], [])
    assert "nan" not in page
    assert "None" not in page
    assert len(verdict_figure.draw(numbers).axes) == len(SHOTS)


def test_where_answers_of_some_are_all_alike_the_auc_is_that_of_the_others():
    logit, answer = world(30, folds=2)
    answer[1], answer[0, 0] = 1, 0  # a fold, and a number shown
    found = verdict.numbers([run("rasch", logit[k], answer[k], fold=k) for k in (0, 1)])
    (rasch,) = found["methods"]
    alone = verdict.numbers([run("rasch", logit[0], answer[0])])["methods"][0]["settings"]
    assert rasch["settings"]["1"]["headline"] == [None, None]
    assert rasch["settings"]["5"]["headline"] == alone["5"]["headline"]
    assert rasch["headline"] == alone["5"]["headline"][0]


def test_a_method_that_lacks_a_fold_is_left_out():
    whole = [r for r in runs(12, TRUTH, folds=3) if r.record["experiment"]["key"] != "rasch-1"]
    found = verdict.numbers(whole)
    assert found["left_out"] == ["rasch"]
    assert {m["algorithm"] for m in found["methods"]} == LABELS.keys() - {"rasch"}


def test_second_order_pays_where_it_predicts_better():
    (pair,) = verdict.numbers(runs(2000, TRUTH))["orders"]
    assert pair["sure"]
    assert pair["gain"][0] > 0
    same = TRUTH | {"first_order_bilevel_irt": TRUTH["bilevel_irt"]}
    (pair,) = verdict.numbers(runs(50, same))["orders"]
    assert not pair["sure"]
    assert pair["gain"] == [0, 0]


def test_a_temperature_mends_what_is_over_confident():
    logit, answer = world(1500, folds=2)
    validated = [run("rasch", 3 * logit[k], answer[k], fold=k) for k in (0, 1)]
    t = [temperature.fitted(one.rows) for one in validated]
    assert t == pytest.approx([3, 3], abs=0.2)
    tested = [run("rasch", 3 * logit[1 - k], answer[1 - k], fold=k) for k in (0, 1)]
    (plain,) = verdict.numbers(tested)["methods"]
    assert plain["log_loss_scaled"] == plain["log_loss"]  # without one nothing is scaled
    for one, own in zip(tested, t):
        one.record["training"]["temperature"] = own
    found = verdict.numbers(tested)
    (rasch,) = found["methods"]
    assert rasch["temperature"] == pytest.approx(np.mean(t), abs=1e-4)
    assert rasch["log_loss_scaled"] < rasch["log_loss"] - 0.1
    assert rasch["calibration_error_scaled"] < 0.03 < rasch["calibration_error"]
    said = dict(verdict_words.sentences(found))["Calibration"]
    assert "over-confident" in said
    assert f"`--temperature {rasch['temperature']:.2f}` of `student` does that." in said


def test_more_students_are_asked_for_where_few_tell_little():
    few, many = (verdict.numbers(runs(n, TRUTH))["enough"] for n in (40, 4000))
    assert few["resolution"] > many["resolution"]
    assert few["needed"] > 40
    assert few["needed"] == pytest.approx(many["needed"], rel=0.8)


def test_no_runs_are_refused():
    with pytest.raises(BenchError, match="no finished runs"):
        verdict.numbers([])


# Images -------------------------------------------------------------------------------------------


def images(algorithm, right, label, order=None, role=None):
    """A run in which images of each class are told with those probabilities, ``[classes]``."""
    rng = np.random.default_rng(len(algorithm))
    classes, each = len(right), 60
    answer = np.repeat(np.arange(classes), each)
    others = (answer + rng.integers(1, classes, answer.size)) % classes
    told = rng.random(answer.size) < right[answer]
    p = np.where(told, 0.7, 0.3).astype(np.float32)
    episode = np.arange(answer.size) // 10
    record = {
        "experiment": {
            "suite": "compare-y",
            "dataset": "glyphs",
            "algorithm": algorithm,
            "ways": 2,
            "shots": 1,
            "data": {},
            "learner": {},
            "key": algorithm,
        },
        "algorithm": {"label": label, "order": order, "role": role},
        "metrics": {"headline": "accuracy", "higher_is_better": True},
        "evaluation": {
            "split": "test",
            "episodes": int(episode[-1]) + 1,
            "index": np.unique(episode).tolist(),
            "per_episode": {"accuracy": (np.bincount(episode, told) / 10).tolist()},
        },
        "training": {"iterations": 100, "seconds": 5.0, "best_iteration": 100},
    }
    rows = Predictions(
        episode,
        answer,
        np.stack([p, 1 - p], 1),
        np.stack([answer, others], 1),
        np.array([f"c{i}" for i in range(classes)]),
    )
    return Run(record, rows)


def test_images_are_judged_by_class():
    hard = np.linspace(-0.1, 0.1, 20)
    found = verdict.numbers(
        [
            images("maml", 0.8 + hard, "MAML", 2),
            images("fomaml", 0.7 + hard, "MAML", 1),
            images("random_init", 0.5 + hard, "fine-tune from random init", role="baseline"),
        ]
    )
    assert (found["judged_by"], found["units"]) == ("accuracy", 20)
    assert found["recommended"]["method"] == "maml"
    assert found["recommended"]["adapts"]
    assert found["orders"][0]["sure"]
    assert found["methods"][0]["settings"]["1"]["judged"][0] == pytest.approx(0.8, abs=0.02)


def test_a_set_of_images_that_nothing_learns_from_is_too_small():
    found = verdict.numbers(
        [
            images("proto_net", np.full(4, 0.52), "ProtoNet"),
            images("random_init", np.full(4, 0.5), "fine-tune from random init", role="baseline"),
        ]
    )
    assert found["recommended"]["adapts"] is False
    assert found["recommended"]["method"] == "random_init"


# In words -----------------------------------------------------------------------------------------


def test_nothing_is_said_of_methods_that_were_not_compared():
    floors = [one for one in runs(400, TRUTH) if one.record["experiment"]["algorithm"] in FLOORS]
    said = dict(verdict_words.sentences(verdict.numbers(floors)))["To take"]
    assert "Nothing that learns more was compared with it." in said
    assert "No method that learns more" not in said


def test_each_setting_names_its_own_temperature():
    numbers = verdict.numbers(runs(400, TRUTH))
    numbers["judged_by"] = "accuracy"
    for method in numbers["methods"]:
        method |= {"log_loss": 0.9, "log_loss_scaled": 0.5, "temperature": 2.5}
        for found, own in zip(method["settings"].values(), (1.0, 4.0)):
            found["temperature"] = own
    said = dict(verdict_words.sentences(numbers))["Calibration"]
    assert "with temperatures of 1.00, 4.00, one for each setting" in said


def test_the_words_are_those_of_the_numbers_as_they_stand_in_a_file():
    numbers = json.loads(json.dumps(verdict.numbers(runs(800, TRUTH))))
    said = dict(verdict_words.sentences(numbers))
    first = said["Which method"].split("\n")[0]
    assert first.startswith("After 1 answer: second-order bilevel IRT, .")
    assert "not told apart" not in first
    assert said["To take"].startswith("Take second-order bilevel IRT.")
    assert said["Second order"].startswith("Bilevel IRT: second order is ahead for these trainings")
    assert "A temperature does not help" in said["Calibration"]
    cells = verdict_words.table(numbers)
    assert cells["Method"].iloc[0] == "second-order bilevel IRT"
    assert {"1 answer", "5 answers", "AUC"} <= {*cells.columns}
    page = verdict_words.markdown(numbers, "What predicts best", ["Read it."], ["maml-bench tutor"])
    assert "* After 5 answers:" in page
    assert "```bash\nmaml-bench tutor\n```" in page


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        (1, " One training of each order: ± is over students, not over seeds."),
        (5, " One training of each order a fold, 5 in all: ± is over students, each predicted by "),
    ],
)
def test_no_order_is_said_to_pay_by_trainings_of_one_seed(folds, said):
    worse = TRUTH | {"bilevel_irt": TRUTH["rasch"], "first_order_bilevel_irt": TRUTH["bilevel_irt"]}
    for predict, ahead in ((TRUTH, "second"), (worse, "first")):
        numbers = verdict.numbers(runs(1000 // folds, predict, folds))
        text = dict(verdict_words.sentences(numbers))["Second order"]
        assert f"{ahead} order is ahead for these trainings (" in text
        assert said in text
        assert "\n" not in text
        numbers["orders"] *= 2
        lines = dict(verdict_words.sentences(numbers))["Second order"].split("\n")
        assert [line.startswith("One training") for line in lines] == [False, False, True]
    numbers["orders"] = []
    assert "Second order" not in dict(verdict_words.sentences(numbers))


def test_every_sentence_begins_with_a_capital_letter():
    wild = np.random.default_rng(3).standard_t(2, size=(1, 40, 1))
    found = verdict.numbers(runs(40, TRUTH | {"rasch": lambda x: x + 0.3 * wild}))
    said = dict(verdict_words.sentences(found))
    assert " Second-order bilevel IRT is the best on average, but not surely" in said["To take"]
    for method in found["methods"]:
        method["name"] = method["name"].lower()
    for text in dict(verdict_words.sentences(found)).values():
        assert not re.search("^[a-z]", text, re.MULTILINE), text


def test_hostile_names_are_text_on_the_page():
    numbers = verdict.numbers(runs(40, TRUTH))
    for method in numbers["methods"]:
        method["name"] = "P(y|x) <img src=x>"
    for pair in numbers["orders"]:
        pair["method"] = "<img src=x>"
    page = verdict_words.markdown(numbers, "<img src=x>", ["<img src=x>"], ["maml-bench < a.csv"])
    assert "<img" not in page
    assert page.count("| P(y\\|x) &lt;img src=x> ") == 2
    assert "maml-bench < a.csv" in page


def test_too_few_students_are_said_to_be_too_few():
    predict = {"item_mean": TRUTH["item_mean"], "rasch": lambda x: 3 * x + 1}
    said = dict(verdict_words.sentences(verdict.numbers(runs(5, predict, folds=5))))
    assert "**These 25 students are too few" in said["To take"]
    assert "too few to choose by" in said["Enough data"]
    assert "students are needed" in said["Enough data"]


def test_the_figure_has_a_panel_for_each_number_shown():
    numbers = verdict.numbers(runs(30, TRUTH))
    drawn = verdict_figure.draw(numbers)
    assert [axes.get_title() for axes in drawn.axes] == ["1 answer shown", "5 answers shown"]

"""Tables of right and wrong answers: curves over the answers shown, and what stands beside AUC."""

import copy

import numpy as np
import pytest

from bench.results import answer_tables, tables
from bench.results.answer_tables import curve, details, is_curve, shares, short, with_interval


def run(algorithm, values, seed=0, shots=(1, 5), dataset="irt", recovery=None, nll=0.5, **data):
    """A record tested at several numbers of answers: ``values`` of the students at each."""
    views = []
    for n, part in zip(shots, values):
        means = {"auc": np.mean(np.array(part, float)), "accuracy": 0.7, "nll": nll, "brier": 0.2}
        metrics = {k: {"mean": v, "ci95": None, "per_step": [v]} for k, v in means.items()}
        found = (recovery or {}).get(n, {})
        views.append({"shots": n, "episodes": len(part), "metrics": metrics, "recovery": found})
    flat = [v for part in values for v in part]
    return {
        "experiment": {
            "suite": "students",
            "dataset": dataset,
            "algorithm": algorithm,
            "ways": None,
            "shots": max(shots),
            "queries": 3,
            "seed": seed,
            "iterations": 10,
            "data": {"seed": seed, **data},
            "learner": {"seed": seed},
            "key": f"{dataset}-{algorithm}-{seed}-{len(data)}",
        },
        "synthetic": True,
        "chosen": "by hand",
        "metrics": {
            "headline": "auc",
            "higher_is_better": True,
            "auc": {"mean": np.mean(np.array(flat, float))},
        },
        "evaluation": {
            "episodes": len(flat),
            "split": "test",
            "index": list(range(len(flat))),
            "per_episode": {"auc": flat},
            "views": views,
        },
        "training": {"iterations": 10, "validation": []},
        "cost": None,
        "provenance": {},
    }


FLOOR = run("item_mean", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]))
CEILING = run("bayes", ([0.7, 0.71, 0.69], [0.9, 0.91, 0.89]))
SECOND = run("bilevel_irt", ([0.6, 0.6, 0.6], [0.8, 0.79, 0.81]))
FIRST = run("first_order_bilevel_irt", ([0.6, 0.61, 0.59], [0.7, 0.69, 0.71]))
RECORDS = [FLOOR, CEILING, SECOND, FIRST]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, ".000"), (1, "1.000"), (0.99996, "1.000"), (-0.0001, ".000"), (-0.25, "-.250")],
)
def test_numbers_are_written_as_the_field_does(value, text):
    assert short(value) == text


def test_what_is_not_there_is_a_dash():
    nan = float("nan")
    assert short(nan) == with_interval(nan, 0.1) == "-"
    assert with_interval(0.5, nan) == ".500"


def test_a_curve_has_a_column_for_each_number_and_a_line_for_each_method():
    table = curve(tables.summary(RECORDS)).set_index("AUC, answers shown:")
    assert table.columns.tolist() == ["n = 1", "n = 5"]
    assert table.index.tolist() == [
        "Bayes ceiling",
        "bilevel IRT, second order",
        "bilevel IRT, first order",
        "item mean",
        "second − first: bilevel IRT",
    ]
    assert table.loc["bilevel IRT, second order"].tolist() == [".600 ± .000", ".800 ± .025"]
    # at n = 1 the interval holds zero; at n = 5 each student differs by .1, but by one seed
    differences = table.loc["second − first: bilevel IRT"].tolist()
    assert differences == [".0000 ± .0248", ".1000 ± .0000"]
    more = [copy.deepcopy(record) for record in (SECOND, FIRST) for _ in range(2)]
    for number, record in enumerate(more):
        record["experiment"] |= {"seed": 1 + number % 2, "key": f"more-{number}"}
    summary = tables.summary(RECORDS + more)
    table = curve(summary).set_index("AUC, answers shown:")
    differences = table.loc["second − first: bilevel IRT"].tolist()
    assert differences == [".0000 ± .0248", ".1000 ± .0000 *"]
    assert "* marks" in " ".join(tables.caption(summary, summary[:0], summary, False))
    others = tables.summary(RECORDS)
    assert "* marks" not in " ".join(tables.caption(others, others[:0], others, False))


def test_a_caption_explains_what_is_shown_and_no_more():
    """Curves alone have no times and no verdict in words; of one seed they have no star."""
    text = tables.to_markdown(RECORDS, brief=True)
    for words in ("Way to ceiling: ", "One or two seeds have no *"):
        assert words in text
    for words in ("Before → after:", "ms and MiB:", '"one seed" stands'):
        assert words not in text
    one = [r for r in RECORDS if r is not CEILING]
    assert "Way to ceiling" not in tables.to_markdown(one, brief=True)
    latex = tables.to_latex(RECORDS)
    assert "ms and MiB:" in latex
    assert '"one seed" stands' in latex
    assert "Way to ceiling" not in latex


def test_shares_leave_floor_and_ceiling_out():
    table = shares(tables.summary(RECORDS)).set_index("Way from item mean to ceiling:")
    assert table.index.tolist() == ["bilevel IRT, second order", "bilevel IRT, first order"]
    assert [cell.split(" ")[0] for cell in table["n = 1"]] == ["50", "50"]
    assert [cell.split(" ")[0] for cell in table["n = 5"]] == ["75", "50"]
    assert table.map(lambda cell: cell.endswith(" %")).all(axis=None)


def test_a_gap_within_noise_leaves_a_blank():
    noise = run("bayes", ([0.4, 0.5, 0.7], [0.9, 0.91, 0.89]))
    table = shares(tables.summary([FLOOR, noise, SECOND])).set_index(
        "Way from item mean to ceiling:"
    )
    assert table["n = 1"].tolist() == ["-"]
    assert table["n = 5"].tolist() != ["-"]


def test_a_number_that_one_method_lacks_is_a_dash_and_a_diverged_one_is_said():
    short_one = run("rasch", ([0.6, 0.6],), shots=(1,))
    bad = run("dkt", ([0.6, 0.6], [None, 0.6]), nll=None)
    other = run("bkt", ([0.6, 0.6], [0.7, 0.7]))
    table = curve(tables.summary([short_one, bad, other])).set_index("AUC, answers shown:")
    assert table.loc["Rasch, posterior mean"].tolist() == [".600 ± .000", "-"]
    assert table.loc["DKT (LSTM)"].tolist() == [".600 ± .000", "diverged"]


def test_answers_that_are_all_right_have_no_auc_and_have_not_diverged():
    pair = [
        run(name, ([None, None], [0.8, value]), fold=fold)
        for name, value in (("bilevel_irt", 0.7), ("first_order_bilevel_irt", 0.6))
        for fold in range(3)
    ]
    assert curve(tables.summary(pair))["n = 1"].tolist() == ["-", "-", "-"]
    single = [run(r["experiment"]["algorithm"], ([None, None],), shots=(1,)) for r in pair[::3]]
    assert "diverged" not in tables.to_markdown(pair) + tables.to_markdown(single)


def test_a_fold_that_diverged_is_said_beside_folds_that_did_not():
    good, bad = run("dkt", ([0.6], [0.6]), fold=0), run("dkt", ([None], [None]), fold=1, nll=None)
    assert curve(tables.summary([good, bad]))["n = 1"].tolist() == ["diverged"]


def test_one_number_of_answers_is_no_curve():
    assert is_curve(tables.summary(RECORDS))
    assert not is_curve(tables.summary([run("rasch", ([0.6, 0.6],), shots=(5,))]))
    summary = tables.summary(RECORDS)
    assert not is_curve(summary.assign(metric="accuracy"))


def test_details_hold_every_metric_that_there_is():
    found = details(tables.summary(RECORDS))
    assert len(found) == 8
    assert found.columns.tolist() == [
        *("Data", "Setting", "Algorithm", "AUC", "Way to ceiling", "Accuracy", "NLL", "Brier"),
    ]
    real = details(tables.summary([SECOND]))
    assert "Way to ceiling" not in real.columns
    seen = {1: {"ability_correlation": 0.5}, 5: {"ability_correlation": 0.75}}
    with_latent = details(tables.summary([run("rasch", ([0.6, 0.6], [0.7, 0.7]), recovery=seen)]))
    assert with_latent["Ability, correlation"].tolist() == [".500", ".750"]


def test_folds_and_versions_are_runs_of_one_row():
    folds = [
        run("rasch", ([0.6 + f / 100] * 2, [0.7 + f / 100] * 2), fold=f, dataset="student")
        for f in range(5)
    ]
    for number, record in enumerate(folds):
        record["experiment"]["key"] += f"-{number}"
    table = tables.summary(folds)
    assert table["runs"].tolist() == [5, 5]
    assert table["interval_over"].tolist() == ["runs", "runs"]
    assert table["mean"].tolist() == pytest.approx([0.62, 0.72])


def test_all_pages_can_be_made_from_curves():
    text = tables.to_markdown(RECORDS)
    for words in ("**irt (synthetic)**", "n = 5", "**All metrics**", "blank where the gap"):
        assert words in text
    assert "**All metrics**" not in tables.to_markdown(RECORDS, brief=True)
    assert tables.to_latex(RECORDS).isascii()
    assert tables.to_csv(RECORDS).count("\n") == 9
    assert answer_tables.short(tables.frame(RECORDS)["auc"].max()) == ".900"

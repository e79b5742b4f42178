import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from bench.base.errors import BenchError
from bench.results import schema, scores, tables
from bench.results.checking import check
from bench.results.summary import FIRST_AHEAD, NO_DIFFERENCE, SECOND_AHEAD, cells
from bench.tasks.statistics import interval, interval_over_folds, interval_over_runs


def run(algorithm, values, seed=0, metric="accuracy", dataset="glyphs", index=None, **learner):
    """The record of a run with these per-episode values."""
    ways = 5 if metric == "accuracy" else None
    mean = float(np.mean(np.array(values, float)))
    steps = [mean] if algorithm == "item_mean" else [0.2, mean]
    return {
        "schema": 1,
        "experiment": {
            "suite": "quick",
            "dataset": dataset,
            "algorithm": algorithm,
            "ways": ways,
            "shots": 1 if ways else 10,
            "queries": 15,
            "seed": seed,
            "iterations": 1000,
            "data": {"seed": seed},
            "learner": {"batch_norm": "support", "seed": seed, **learner},
            "key": f"{dataset}-{algorithm}-s{seed}-{len(str(learner))}",
        },
        "synthetic": dataset != "omniglot",
        "chosen": "by hand",
        "metrics": {
            "headline": metric,
            "higher_is_better": metric != "mse",
            metric: {"mean": mean, "ci95": 0.1, "per_step": steps},
        },
        "evaluation": {
            "episodes": len(values),
            "split": "test",
            "index": list(range(len(values))) if index is None else index,
            "per_episode": {metric: list(values)},
        },
        "training": {
            "iterations": 1000,
            "seconds": 1.0,
            "best_iteration": 900,
            "validation": [[500, 0.4], [1000, 0.5]],
        },
        "cost": {
            "ms_per_iteration": 10.0,
            "ms_low": 9.0,
            "ms_high": 12.0,
            "peak_memory_mib": 5.5,
            "parameters": 100,
        },
        "provenance": {"bench": "0.1.0"},
    }


def seeds(algorithm, values, *rest, **learner):
    """Three runs with the same values."""
    return [run(algorithm, values, seed, *rest, **learner) for seed in range(3)]


SECOND, FIRST = [0.9, 0.7, 0.8, 0.6], [0.8, 0.6, 0.7, 0.55]
T = 3.18244631  # Student's, of 4 episodes


def test_the_two_orders_are_paired_by_episode_number():
    turned = run("fomaml", FIRST[::-1], index=[3, 2, 1, 0])
    table = tables.summary([turned, run("maml", SECOND)])
    row = table.iloc[0]
    assert row["label"] == "MAML, second order"
    assert row["mean"] == pytest.approx(0.75)
    assert row["half_width"] == pytest.approx(T * np.std(SECOND, ddof=1) / 2)
    assert row["difference"] == pytest.approx(0.0875)  # .1 .1 .1 .05
    assert row["difference_half_width"] == pytest.approx(T * 0.025 / 2)
    assert row["verdict"] == "one seed"  # whatever its interval
    assert row["batch_norm"] == "support"
    assert table["verdict"][1] == ""


@pytest.mark.parametrize(
    ("metric", "second", "first", "verdict"),
    [
        ("accuracy", FIRST, SECOND, FIRST_AHEAD),
        ("mse", FIRST, SECOND, SECOND_AHEAD),
        ("mse", SECOND, FIRST, FIRST_AHEAD),
        ("auc", SECOND, SECOND[::-1], NO_DIFFERENCE),
        ("auc", SECOND, SECOND, NO_DIFFERENCE),
    ],
)
def test_the_verdict_follows_the_interval_and_what_is_better(metric, second, first, verdict):
    pair = seeds("maml", second, metric), seeds("fomaml", first, metric)
    assert tables.summary(pair[0] + pair[1])["verdict"][0] == verdict
    for few, words in enumerate(("one seed", "two seeds"), 1):
        table = tables.summary(pair[0] + pair[1][:few])
        assert table["verdict"][0] == words
        assert table["difference_runs"][0] == few
    assert "stands where a verdict would need three" in tables.to_markdown(pair[0] + pair[1][:2])


def test_different_episodes_are_never_paired():
    other = run("fomaml", FIRST, index=[0, 1, 2, 9])
    with pytest.raises(BenchError, match=r"glyphs-maml.*glyphs-fomaml.*different episodes"):
        tables.summary([run("maml", SECOND), other])


def test_two_seeds_are_averaged_by_episode():
    table = tables.summary([run("maml", SECOND, 0), run("maml", FIRST, 1)])
    average = np.mean([SECOND, FIRST], 0)
    assert len(table) == 1
    assert table["interval_over"][0] == "episodes"
    assert table["mean"][0] == pytest.approx(average.mean())
    assert table["half_width"][0] == pytest.approx(T * average.std(ddof=1) / 2)


def test_three_seeds_give_an_interval_over_seeds_and_episodes():
    shifts = np.array([[0], [0.1], [0.3]])
    second = [run("maml", [v + s for v in SECOND], i) for i, (s,) in enumerate(shifts)]
    first = [run("fomaml", FIRST, i) for i in range(3)]
    table = tables.summary(second + first)
    assert table["interval_over"].tolist() == ["runs and episodes"] * 2
    whole = interval_over_runs(SECOND + shifts)
    assert (table["mean"][0], table["half_width"][0]) == pytest.approx(whole)
    paired = interval_over_runs(np.subtract(SECOND, FIRST) + shifts)
    assert table["difference"][0] == pytest.approx(0.0875 + shifts.mean())
    assert table["difference_half_width"][0] == pytest.approx(paired.half_width)
    assert table["verdict"][0] == NO_DIFFERENCE
    assert "over seeds and test episodes" in tables.to_markdown(second + first)
    # a seed that only one of them has is no pair
    table = tables.summary(second + first[:1])
    assert table["difference_runs"][0] == 1
    assert table["difference"][0] == pytest.approx(0.0875)


def test_folds_have_episodes_of_their_own():
    """They are independent samples; several seeds of one fold are one value."""

    def folds(values, seed):
        found = [run("maml", values[i], seed) for i in range(3)]
        for fold, record in enumerate(found):
            record["experiment"]["data"] |= {"fold": fold}
            record["experiment"]["key"] += f"-{fold}"
        return found

    values = [[0.1, 0.2], [0.4, 0.7], [0.3, 0.4]]
    one = tables.summary(folds(values, 0))
    assert one["interval_over"][0] == "runs"
    wanted = interval_over_folds([0.15, 0.55, 0.35], 3)
    assert (one["mean"][0], one["half_width"][0]) == pytest.approx(wanted)
    two = tables.summary(folds(values, 0) + folds(values, 1))
    assert two["runs"][0] == 6
    assert two["half_width"][0] == pytest.approx(one["half_width"][0])
    assert "over folds (wider than Student's, as" in tables.to_markdown(folds(values, 0))
    five = folds(values, 0)
    for record in five:
        record["experiment"]["data"] |= {"folds": 5}
    plain = interval([0.15, 0.55, 0.35]).half_width
    wanted = plain * ((1 / 3 + 1 / 4) / (1 / 3)) ** 0.5  # three of five folds were run
    assert tables.summary(five)["half_width"][0] == pytest.approx(wanted)
    for record in five:  # which share nothing
        record["experiment"]["data"] |= {"version": record["experiment"]["data"].pop("fold")}
    assert tables.summary(five)["half_width"][0] == pytest.approx(plain)


def test_two_folds_of_other_sizes_are_one_sample():
    first, second = run("maml", [0.1, 0.2, 0.6]), run("maml", [0.4, 0.7])
    second["experiment"]["data"] |= {"fold": 1}
    second["experiment"]["key"] += "-1"
    found = tables.summary([first, second])
    wanted = interval([0.1, 0.2, 0.6, 0.4, 0.7])
    assert (found["mean"][0], found["half_width"][0]) == pytest.approx(wanted)


def test_orders_of_another_length_are_not_paired():
    """Where the run of first order that belongs to one of second order has failed."""
    runs = [run("maml", SECOND), run("maml", SECOND), run("fomaml", FIRST)]
    for record, iterations in zip(runs, (30, 40, 40)):
        record["experiment"] |= {"iterations": iterations, "key": f"{iterations}"}
    short, long, _ = tables.summary(runs).itertuples()
    assert (short.variant, long.variant) == ("iterations=30", "iterations=40")
    assert np.isnan(short.difference)
    assert long.difference == pytest.approx(0.0875)


def test_variants_of_an_algorithm_are_rows_of_their_own():
    records = [run(a, SECOND, inner_steps=s) for a in ("maml", "fomaml") for s in (10, 5)]
    table = tables.summary(records)
    assert table["variant"].tolist() == ["inner_steps=5", "inner_steps=10"] * 2
    assert table["label"][0] == "MAML, second order (inner_steps=5)"
    assert table["difference_runs"].tolist() == [1, 1, 0, 0]
    # two settings that were tuned apart are no variants: one each
    records = [run("maml", SECOND, inner_lr=1.0), run("fomaml", FIRST, inner_lr=0.5)]
    assert tables.summary(records)["difference_runs"].tolist() == [1, 0]


def test_versions_of_a_user_s_own_code_are_rows_of_their_own():
    """And runs of which the best was chosen by another metric."""
    versions = ["sha256:" + "1" * 64, "sha256:" + "2" * 64]
    records = [run("maml", SECOND, seed=seed) for seed in (0, 1)]
    for one, version in zip(records, versions):
        one["experiment"]["code"] = {"maml": version}
    assert tables.summary(records)["variant"].tolist() == [
        'code="maml 11111111"',
        'code="maml 22222222"',
    ]
    records = [run("maml", SECOND) for _ in range(2)]
    records[0]["experiment"]["judged_by"] = "loss"
    records[0]["experiment"]["key"] += "-judged"
    assert tables.summary(records)["runs"].tolist() == [1, 1]


def test_one_experiment_twice_is_refused():
    twice = [run("maml", SECOND), run("maml", SECOND)]
    twice[1]["experiment"]["key"] += "-again"
    with pytest.raises(BenchError, match=r"s0-2.json and .*-again.json are two runs"):
        tables.summary(twice)
    with pytest.raises(BenchError, match="no finished runs"):
        tables.summary([])


def test_rows_are_in_order_and_floors_come_last():
    algorithms = ["random_init", "item_mean", "no_adaptation", "mine", "fomaml", "maml"]
    records = [run(a, SECOND, 0, "auc", "student") for a in algorithms]
    records += [run("maml", SECOND)]
    assert [key[1::3] for key in cells(records)] == [("glyphs", "maml")] + [
        ("student", a)
        for a in ("maml", "fomaml", "mine", "random_init", "item_mean", "no_adaptation")
    ]


def test_a_diverged_run_and_a_missing_probe_are_said():
    bad = run("maml", [None, 0.5, 0.5, 0.5])
    bad["cost"] = None
    text = tables.to_markdown([bad, *seeds("maml", SECOND)[1:], *seeds("fomaml", FIRST)])
    assert "diverged" in text
    assert NO_DIFFERENCE in text
    assert tables.summary([bad])["ms_per_iteration"].isna().all()


def test_markdown():
    records = [
        *seeds("maml", SECOND),
        *seeds("fomaml", FIRST),
        run("item_mean", FIRST, 0, "auc", "student"),
    ]
    lines = tables.to_markdown(records).splitlines()
    cell = [[c.strip() for c in line.split("|")[1:-1]] for line in lines[:5]]
    assert cell[2] == [
        "glyphs (synthetic)",
        "5-way 1-shot",
        "MAML, second order",
        "support",
        "accuracy",
        "75.0 ± 20.5 %",
        "20.0 → 75.0 %",
        "+8.7 ± 4.0 %",
        "second order ahead",
        "10.0",
        "5.5",
        "3",
    ]
    assert cell[4][1:8] == ["10-shot", "item mean", "-", "auc", ".662 ± .176", "-", "-"]
    assert "Synthetic data" in lines[-1]
    assert "synthetic" not in tables.to_markdown([run("maml", SECOND, dataset="omniglot")]).lower()


def test_csv_is_numbers():
    text = tables.to_csv([run("maml", SECOND), run("fomaml", FIRST)])
    table = pd.read_csv(io.StringIO(text))
    assert table["difference"][0] == pytest.approx(0.0875)
    assert table["peak_memory_mib"].dtype == float
    assert "±" not in text


def test_latex_is_ascii_and_escaped():
    records = [run("maml", SECOND), run("fomaml", FIRST)]
    records[0]["chosen"] = r"inner_lr: 100% \input{x} & ~ ^ # $"
    text = tables.to_latex(records)
    assert r"\toprule" in text
    assert r"75.0 $\pm$ 20.5 \%" in text
    assert r"inner\_lr: 100\% \textbackslash{}input\{x\} \& " in text
    assert text.isascii()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_terminal_table_fits(width):
    file = io.StringIO()
    console = Console(file=file, width=width)
    records = [*seeds("maml", SECOND), *seeds("fomaml", FIRST), run("no_adaptation", FIRST)]
    tables.print_rich(records, console, out="results")
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for word in ("synthetic", "second order ahead", "75.0 ± 20.5 %", "Bold", "results/tables"):
        assert word in text


def test_markup_in_a_record_is_printed_as_it_is():
    file = io.StringIO()
    records = [run("maml", SECOND, model=m) for m in ("[red]a[/red]", "b")]
    tables.print_rich(records, Console(file=file, width=200))
    assert "[red]a[/red]" in " ".join(file.getvalue().split())


def test_files(tmp_path):
    paths = tables.write_all(tmp_path, [run("maml", SECOND)])
    assert [p.name for p in paths] == ["quick.csv", "quick.md", "quick.tex"]
    assert sorted((tmp_path / "tables").iterdir()) == sorted(paths)


@pytest.mark.parametrize("values", [[1, 1, 1, 1], [1, -1, 1, -1], [1, 0, 0, 0]])
def test_the_largest_numbers_of_a_record_can_be_tabulated(values, tmp_path):
    largest = [0.999 * schema.MOST * v for v in values]
    records = [run("maml", largest, 0, "mse"), run("fomaml", SECOND, 0, "mse")]
    for record in records:
        record["cost"] = dict.fromkeys(record["cost"], 0.999 * schema.MOST)
        check(record, tmp_path / "a.json")
    assert np.isfinite(tables.summary(records)["half_width"]).all()
    for form in (tables.to_csv, tables.to_markdown, tables.to_latex):
        assert form(records)


def test_a_spreadsheet_runs_nothing_of_a_record(tmp_path):
    formula = '=HYPERLINK("http://x","y")'
    records = [run("maml", SECOND), run("maml", FIRST, seed=1) | {"chosen": formula}]
    text = tables.to_csv(records[1:])
    assert "'=HYPERLINK" in text
    assert ",=" not in text
    assert ',"=' not in text
    back = pd.read_csv(io.StringIO(tables.to_csv(records[:1])))
    assert back["mean"][0] == pytest.approx(0.75)
    assert back["chosen"][0] == "by hand"


def test_frame_is_one_row_a_record():
    frame = tables.frame([run("maml", SECOND, inner_lr=0.3), run("fomaml", FIRST)])
    assert frame["learner.inner_lr"][0] == 0.3
    assert frame["accuracy"].tolist() == pytest.approx([0.75, 0.6625])


def student_run(algorithm, values, **options):
    """A record tested at 1 and 5 answers shown, two students each."""
    record = run(algorithm, [*values[0], *values[1]], 0, "auc", "irt", **options)
    views, each = [], {"accuracy": 0.7, "nll": 0.5, "brier": 0.2, "calibration_error": 0.01}
    for shots, part in zip((1, 5), values):
        means = {"auc": float(np.mean(part))} | each
        metrics = {n: {"mean": v, "ci95": None, "per_step": [v]} for n, v in means.items()}
        views.append({"shots": shots, "episodes": 2, "metrics": metrics, "recovery": {}})
    record["evaluation"]["views"] = views
    return record


def test_one_training_tested_at_several_numbers_of_answers_is_a_row_each():
    records = [
        student_run("bilevel_irt", ([0.7, 0.8], [0.8, 0.9])),
        student_run("first_order_bilevel_irt", ([0.7, 0.8], [0.7, 0.81])),
        student_run("bayes", ([0.8, 0.9], [0.9, 1.0])),
        student_run("item_mean", ([0.6, 0.69], [0.6, 0.69])),
    ]
    table = tables.summary(records)
    assert table["shots"].tolist() == [1, 1, 1, 1, 5, 5, 5, 5]
    second = table[table["algorithm"] == "bilevel_irt"].set_index("shots")
    assert second["mean"].tolist() == pytest.approx([0.75, 0.85])
    assert second["difference"].tolist() == pytest.approx([0, 0.095])
    assert second["share"].tolist() == pytest.approx([0.105 / 0.205, 0.205 / 0.305])
    assert table[table["algorithm"].isin(["bayes", "item_mean"])]["share"].isna().all()
    text = tables.to_markdown(records)
    assert "n = 1" in text
    assert "second − first: bilevel IRT" in text
    assert "Calibration error" in text
    assert "Calibration error" not in tables.to_markdown(records, brief=True)


def test_two_seeds_of_two_folds_are_two_results():
    found = []
    for algorithm, values in (("maml", SECOND), ("fomaml", FIRST)):
        for fold, seed in ((0, 0), (0, 1), (1, 0), (1, 1)):
            record = run(algorithm, values, seed)
            record["experiment"]["data"] |= {"fold": fold}
            record["experiment"]["key"] += f"-{fold}"
            found.append(record)
    row = tables.summary(found).iloc[0]
    assert row["verdict"] == "two seeds"
    assert row["interval_over"] == "episodes"
    # eight students, seen by two seeds each
    assert row["half_width"] == pytest.approx(interval(SECOND * 2).half_width)


def test_two_folds_are_paired_by_their_own_students():
    both = []
    for values in (SECOND, FIRST):
        cell = [run("maml", values, index=[4 * fold + i for i in range(4)]) for fold in (0, 1)]
        for fold, record in enumerate(cell):
            record["experiment"]["data"] |= {"fold": fold}
        both.append(cell)
    found = scores.paired(*both)
    wanted = interval(np.subtract(SECOND, FIRST).tolist() * 2)
    assert (found.mean, found.half_width) == pytest.approx((wanted.mean, wanted.half_width))


# What may not be compared ------------------------------------------------------------------------


def changed(record, **experiment):
    """The same record of a run that was made otherwise."""
    record["experiment"] |= experiment
    record["experiment"]["key"] += "-other"
    return record


@pytest.mark.parametrize(
    "other",
    [
        {"iterations": 100},
        {"queries": 5},
        {"data": {"seed": 0, "rotations": "all"}},
        {"learner": {"batch_norm": "transductive"}},
        {"learner": {"batch_norm": "support", "model_options": {"filters": 4}}},
    ],
)
def test_orders_that_were_trained_otherwise_are_not_compared(other):
    first = [changed(run("fomaml", FIRST), **other)]
    row = tables.summary([run("maml", SECOND), *first]).iloc[0]
    assert row["verdict"] == "not trained alike"
    assert np.isnan(row["difference"])
    text = tables.to_markdown([run("maml", SECOND), *first])
    assert "the orders differ in more than their order" in text


def test_orders_may_have_rates_of_their_own_and_must_have_the_same_data():
    second, first = run("maml", SECOND, inner_lr=0.3), run("fomaml", FIRST, inner_lr=0.1)
    assert tables.summary([second, first])["difference"][0] == pytest.approx(0.0875)
    second["provenance"]["data"], first["provenance"]["data"] = "aaaa", "bbbb"
    assert tables.summary([second, first])["verdict"][0] == "not trained alike"


def test_what_has_diverged_is_no_difference_shown():
    first = seeds("fomaml", FIRST)
    for record in first:
        record["metrics"]["accuracy"] |= {"mean": None, "per_step": [0.2, None]}
        record["evaluation"]["per_episode"]["accuracy"] = [None] * 4
    table = tables.summary(seeds("maml", SECOND) + first)
    assert table["verdict"][0] == "diverged"


def test_folds_that_were_tuned_to_other_numbers_of_steps_make_one_row():
    found = []
    for fold, steps in enumerate(([0.2, 0.6], [0.1, 0.5, 0.9], [0.3, 0.7])):
        record = run("cavia", SECOND, inner_steps=len(steps) - 1)
        record["experiment"]["data"] |= {"fold": fold}
        record["experiment"]["key"] += f"-{fold}"
        record["metrics"]["accuracy"]["per_step"] = steps
        values = {"inner_steps": len(steps) - 1}
        found.append(record | {"tuned": {"values": values, "trials": 8, "score": 0.5}})
    table = tables.summary(found)
    assert len(table) == 1
    assert table["before"][0] == pytest.approx(0.2)
    assert table["after"][0] == pytest.approx((0.6 + 0.9 + 0.7) / 3)
    assert table["test_steps"][0] == 2


def test_seeds_that_were_tuned_to_other_values_are_rows_of_their_own():
    found = []
    for seed, rate in enumerate((0.1, 0.1, 0.9)):
        record = run("maml", SECOND, seed, inner_lr=rate)
        found.append(record | {"tuned": {"values": {"inner_lr": rate}, "trials": 8, "score": 0.5}})
    assert tables.summary(found)["runs"].tolist() == [2, 1]


# Way to the ceiling ------------------------------------------------------------------------------


def students(episodes=200, seeds=3, gain=0.5):
    """Floor, method and ceiling, which the same students give to every seed."""
    rng = np.random.default_rng(0)
    floor, ceiling = 0.6 + 0.1 * rng.normal(size=(2, episodes)) + [[0.0], [0.2]]
    found = []
    for seed in range(seeds):
        own = floor + gain * (ceiling - floor) + 0.1 * rng.normal(size=episodes)
        for algorithm, values in (("item_mean", floor), ("maml", own), ("bayes", ceiling)):
            found.append(run(algorithm, values.tolist(), seed, "auc", "irt"))
    return found


def test_the_way_to_the_ceiling_holds_for_other_students_too():
    one, three = (
        tables.summary(students(seeds=n)).set_index("algorithm").loc["maml"] for n in (1, 3)
    )
    assert three["share"] == pytest.approx(0.5, abs=3 * one["share_half_width"])
    # its students are the same for all seeds: their noise does not average out
    assert three["share_half_width"] > 0.4 * one["share_half_width"]


def test_no_way_to_the_ceiling_over_other_episodes():
    found = students(seeds=1)
    other = found[1]
    other["evaluation"]["index"] = [n + 1 for n in other["evaluation"]["index"]]
    assert np.isnan(tables.summary(found)["share"]).all()

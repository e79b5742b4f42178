"""What is committed under results/ was made by the command line and says what it claims."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.base import registry
from bench.results import across, failed, records, tables, verdict_words
from bench.results.report import trials
from bench.results.report.answer import pairs, sentences
from bench.results.summary import Results, setting
from bench.running.tuned_values import TunedValues
from bench.tutor import calibration_report, tutoring_report

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
SUITES = sorted(p.stem for p in (RESULTS / "tables").glob("*.md") if p.stem != "speed")
TUNED = sorted(p.stem for p in (RESULTS / "tuning").glob("*.json"))  # which run uses by itself
UNDER_WAY = {"caltech-reference"}  # suites of many hours; records are committed as they finish
SWEEPS = sorted({p.stem for p in (RESULTS / "tuning").glob("*.csv")} - {*TUNED})


def block(readme: str, name: str) -> str:
    """What stands between the marks of a table."""
    text = (ROOT / readme).read_text()
    (found,) = re.findall(rf"<!-- table: {name} -->\n(.*?)\n<!-- /table -->", text, re.DOTALL)
    return found


def test_there_are_results():
    assert {"quick", "omniglot-small"} <= set(SUITES)
    assert {"quick", "omniglot-small"} <= set(SWEEPS)


def test_every_record_is_whole_and_lies_where_its_content_says():
    assert len(records.read_all(RESULTS)) == len(list((RESULTS / "runs").rglob("*.json")))


def test_no_record_tells_of_the_machine_that_made_it():
    for path in RESULTS.rglob("*.json"):
        text = path.read_text()
        assert "/home/" not in text
        assert not any(f'"{folder}' in text for folder in ("/root", "/opt", "/tmp", "/work"))
        assert '"data_root"' not in text


def test_every_validation_is_on_record():
    for record in records.read_all(RESULTS):
        training, wanted = record["training"], record["experiment"]["validations"]
        algorithm = registry.declaration("algorithms", record["experiment"]["algorithm"])
        if algorithm.attributes["fits_directly"] and training["iterations"] == 1:
            wanted = 1
        each = training["iterations"] // wanted
        validated = [i for i, _ in training["validation"]][:wanted]
        if training["iterations"]:
            assert validated == [each * (i + 1) for i in range(wanted)], record["experiment"]["key"]


def test_the_tables_of_the_tutor_are_of_its_record():
    folder = RESULTS / "tutoring"
    made = tutoring_report.markdown(json.loads((folder / "tutoring.json").read_text()))
    assert (folder / "tutoring.md").read_text() == made + "\n"
    assert block("results/README.md", "tutoring") == made


def test_the_table_of_how_right_the_tutor_is_is_of_its_records():
    made = calibration_report.markdown(calibration_report.read_all(RESULTS))
    assert (RESULTS / "tutoring" / "check.md").read_text() == made + "\n"
    assert block("results/README.md", "check") == made


@pytest.mark.parametrize("path", sorted(RESULTS.glob("compare/compare/*.md")), ids=lambda p: p.stem)
def test_the_pages_of_compare_are_of_their_numbers(path):
    text, numbers = path.read_text(), json.loads(path.with_suffix(".json").read_text())
    title, body = re.fullmatch(r"# (.*?)\n\n(.*)", text, re.DOTALL).groups()
    read = body[: body.index("| Method ")].strip().split("\n\n")
    steps = re.search(r"```bash\n(.*?)\n```", body, re.DOTALL)
    commands = steps[1].split("\n") if steps else []
    assert verdict_words.markdown(numbers, title, read, commands) == text


@pytest.mark.parametrize("suite", SUITES)
def test_tables_are_what_the_records_give(suite):
    found, diverged = records.read_all(RESULTS, suite), failed.read_all(RESULTS, suite)
    assert all(failure.diverged for failure in diverged)
    markdown = tables.to_markdown(found, failed=diverged)
    assert (RESULTS / "tables" / f"{suite}.md").read_text() == markdown
    assert (RESULTS / "tables" / f"{suite}.csv").read_text() == tables.to_csv(
        found, failed=diverged
    )
    assert (
        block("results/README.md", suite)
        == tables.to_markdown(found, brief=True, failed=diverged).strip()
    )


def test_the_first_page_has_the_table_that_its_command_prints():
    assert block("README.md", "quick") == block("results/README.md", "quick")


def test_the_answer_on_the_first_page_is_what_the_tables_say():
    answer = (ROOT / "README.md").read_text().split("## The answer so far\n")[1].split("\n## ")[0]
    answer = " ".join(answer.split())

    def row(suite: str, algorithm: str, dataset: str, setting: str) -> pd.Series:
        table = pd.read_csv(RESULTS / "tables" / f"{suite}.csv")
        names = ["dataset", "setting", "algorithm"]
        (found,) = table.index[(table[names] == [dataset, setting, algorithm]).all(axis=1)]
        return table.loc[found]

    def times(suite: str, dataset: str, words: str) -> str:
        """Of training in second order over first, the median of the seeds."""
        seconds: dict[str, dict[int, float]] = {"maml": {}, "fomaml": {}}
        for record in records.read_all(RESULTS, suite):
            e = record["experiment"]
            is_cell = e["dataset"] == dataset and setting(e["ways"], e["shots"]) == words
            if is_cell and e["algorithm"] in seconds:
                seconds[e["algorithm"]][e["seed"]] = record["training"]["seconds"]
        second, first = seconds.values()
        ratio = np.median([second[seed] / first[seed] for seed in first])
        return f"for {ratio:.1f} times the training time"

    def images(suite: str, *cell: str) -> str:
        second, first = (row(suite, name, *cell) for name in ("maml", "fomaml"))
        word = "right" if second["higher_is_better"] else "wrong"
        return f"{100 * second['mean']:.0f} % {word} against {100 * first['mean']:.0f} %"

    def students(dataset: str) -> list[str]:
        names = ("bilevel_irt", "bayes", "first_order_bilevel_irt")
        means = (row("students", name, dataset, "25-shot")["mean"] for name in names)
        return [f"{mean:.3f}".lstrip("0") for mean in means]

    cell = "mini-real", "caltech101", "5-way 5-shot"
    assert f"{images(*cell)} with first order, {times(*cell)}" in answer
    reference = pd.read_csv(RESULTS / "tables" / "omniglot-reference.csv")
    means = reference.set_index(["algorithm", "iterations"])["mean"].mul(100).to_dict()
    long, short = [[means[name, n] for name in ("maml", "fomaml")] for n in (20_000, 1_000)]
    assert "{:.0f} % right against {:.0f} % after 1,000 iterations".format(*short) in answer
    assert "{:.1f} % against {:.1f} % after 20,000".format(*long) in answer
    cell = "omniglot-runs", "omniglot_runs", "20-way 1-shot"
    assert f"{images(*cell)}, {times(*cell)}" in answer
    assert images("meta-dataset-small", "omniglot → quickdraw", "varying") in answer
    assert "{} (ceiling {}) against {}".format(*students("growing_skills")) in answer
    for dataset in ("irt", "bkt"):
        second, _, first = students(dataset)
        assert f"`{dataset}`: {second} against {first}" in answer


def test_the_answer_needs_as_many_seeds_as_it_says():
    answer = (ROOT / "README.md").read_text().split("## The answer so far\n")[1]
    few = {"one seed", "two seeds"}

    def verdicts(*suites):
        found = [pd.read_csv(RESULTS / "tables" / f"{suite}.csv") for suite in suites]
        return set(pd.concat(found)["verdict"].dropna())

    suites = "mini-real", "omniglot-runs", "students", "omniglot-reference", "meta-dataset-small"
    assert ("With three seeds each" in answer) == few.isdisjoint(verdicts(*suites))


def test_the_report_says_what_the_records_say():
    text = (RESULTS / "report.html").read_text()
    assert len(text.encode()) < 3_000_000
    found = records.read_all(RESULTS)
    results = Results(r for r in found if not trials.is_trial(r))
    for sentence in sentences(pairs(results.table)):
        assert f"<p>{sentence}</p>" in text
    for ranking in across.across(results):
        assert across.caption(ranking) in html.unescape(text)
    for record in results:
        e = record["experiment"]
        assert f"maml-bench reproduce results/runs/{e['suite']}/{e['key']}.json" in text
    for row in results.table.itertuples():
        shown = tables.figure(row.metric, row.mean, row.half_width)
        assert shown in text or f"{tables.figure(row.metric, row.mean)} ± " in text
    assert "[The report](results/report.html)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("suite", SUITES)
def test_records_are_of_the_suite_as_it_stands(suite):
    stands, tuned = registry.load("suites", suite), TunedValues(suite, RESULTS)
    found = records.read_all(RESULTS, suite)
    keys = {e.key for e in stands.experiments(tuned=tuned)}
    seeds = {r["experiment"]["seed"] for r in found}  # more than one takes to see what it does
    with_seeds = {e.key for e in stands.experiments(seeds=seeds, tuned=tuned)}
    assert not tuned.stale
    recorded = {r["experiment"]["key"] for r in found}
    failures = {failure.key for failure in failed.read_all(RESULTS, suite)}
    assert recorded | failures <= with_seeds
    assert keys <= recorded | failures or suite in UNDER_WAY


@pytest.mark.parametrize("suite", SWEEPS)
def test_suites_use_what_their_sweep_chose(suite):
    frame = pd.read_csv(RESULTS / "tuning" / f"{suite}.csv")
    signed = frame["value"].where(frame["higher_is_better"], -frame["value"])
    groups = frame.assign(signed=signed.fillna(-float("inf")))
    rows = groups.groupby(["dataset", "setting", "algorithm"])["signed"].idxmax()
    best = {(r.dataset, r.setting, r.algorithm): r for r in frame.loc[rows].itertuples()}
    stands = registry.load("suites", suite)
    swept = {study.dataset: study.sweep for study in stands.studies}
    compared = 0
    for e in stands.experiments():
        row, given = best.get((e.dataset, e.setting, e.algorithm)), e.data | e.learner
        for name in swept[e.dataset].keys() & given.keys() if row else ():
            assert given[name] == getattr(row, name), row
            compared += 1
    assert compared
    budgets = frame[frame["iterations"] > 0].groupby("dataset")["iterations"]
    assert (budgets.nunique() == 1).all()


def test_the_speed_table_is_what_its_records_give():
    from bench.checks.speed import report

    found = report.read_all(RESULTS)
    assert {r["workload"]["name"] for r in found} == {"omniglot", "mini", "student"}
    markdown = report.markdown(found)
    assert (RESULTS / "tables" / "speed.md").read_text().strip() == markdown.strip()
    assert block("results/README.md", "speed") == report.brief(found).strip()
    for record in found:
        assert max(row["gradient_error"] for row in record["rows"]) < 1e-8

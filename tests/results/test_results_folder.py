"""What is committed under results/ was made by the command line and says what it claims."""

from pathlib import Path

import pandas as pd
import pytest

from bench.base import registry
from bench.results import records, tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
SUITES = sorted(p.stem for p in (RESULTS / "tables").glob("*.md") if p.stem != "speed")
SWEEPS = sorted(p.stem for p in (RESULTS / "tuning").glob("*.csv"))


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
        each = training["iterations"] // wanted
        validated = [i for i, _ in training["validation"]][:wanted]
        if training["iterations"]:
            assert validated == [each * (i + 1) for i in range(wanted)], record["experiment"]["key"]


@pytest.mark.parametrize("suite", SUITES)
def test_tables_are_what_the_records_give(suite):
    found = records.read_all(RESULTS, suite)
    markdown = tables.to_markdown(found)
    assert (RESULTS / "tables" / f"{suite}.md").read_text() == markdown
    assert (RESULTS / "tables" / f"{suite}.csv").read_text() == tables.to_csv(found)
    brief = tables.to_markdown(found, brief=True)
    assert brief.strip() in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("suite", SUITES)
def test_records_are_of_the_suite_as_it_stands(suite):
    keys = {e.key for e in registry.load("suites", suite).experiments()}
    assert {r["experiment"]["key"] for r in records.read_all(RESULTS, suite)} == keys


@pytest.mark.parametrize("suite", SWEEPS)
def test_suites_use_what_their_sweep_chose(suite):
    from bench.running.tuning import best_rows

    frame = pd.read_csv(RESULTS / "tuning" / f"{suite}.csv")
    best = {
        (r.dataset, r.setting, r.algorithm): r for r in frame.loc[best_rows(frame)].itertuples()
    }
    stands = registry.load("suites", suite)
    swept = {study.dataset: study.sweep for study in stands.studies}
    compared = 0
    for e in stands.experiments():
        row, given = best.get((e.dataset, e.setting, e.algorithm)), e.data | e.learner
        for name in swept[e.dataset] if row else ():
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
    assert report.brief(found).strip() in (ROOT / "README.md").read_text()
    for record in found:
        assert max(row["gradient_error"] for row in record["rows"]) < 1e-8

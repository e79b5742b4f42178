import io

import pandas as pd
import pytest

from bench.cli import main as cli
from bench.results import failed, records, schema, tables
from bench.results.failure_tables import LISTED
from bench.running import failures
from bench.running.experiment import Experiment


def experiment(algorithm, seed=0):
    return Experiment("tiny", "sinusoid", algorithm, 40, 4, seed=seed, data={"shots": 5})


def record(of):
    """Of a finished run."""
    return {
        "schema": schema.VERSION,
        "experiment": of.fields,
        "synthetic": True,
        "chosen": "by hand",
        "metrics": {
            "headline": "mse",
            "higher_is_better": False,
            "mse": {"mean": 0.5, "ci95": 0.1, "per_step": [1.0, 0.5]},
        },
        "evaluation": {
            "episodes": 2,
            "split": "test",
            "index": [0, 1],
            "per_episode": {"mse": [0.4, 0.6]},
        },
        "training": {"iterations": 40, "seconds": 1.0, "best_iteration": 40, "validation": []},
        "cost": None,
        "provenance": {},
    }


@pytest.fixture
def out(tmp_path):
    """One finished run and two that failed, one of which was finished after all."""
    done, failed, mended = experiment("fomaml"), experiment("maml", 3), experiment("maml", 4)
    for one in (done, mended):
        records.write(one.files(tmp_path).record, record(one))
    failures.note(tmp_path, failed, ValueError("1 < 2 | 100 %\nand so on"))
    failures.note(tmp_path, mended, ValueError("not any more"))
    return tmp_path


NAME = "sinusoid, 5-shot, MAML, second order, seed 3"
MESSAGE = "ValueError: 1 < 2 | 100 % and so on"


def test_all_written_tables_say_what_failed(out):
    tables.write_all(out, records.read_all(out))
    markdown, latex = ((out / "tables" / f"tiny.{x}").read_text() for x in ("md", "tex"))
    listed = f"* {NAME}: {MESSAGE}".replace("<", "&lt;")
    assert markdown.endswith(f"\n\n**Failed: 1 of 3 runs.**\n\n{listed}\n")
    assert f"Failed: 1 of 3 runs: {NAME}: ValueError: 1 < 2 | 100 \\% and so on." in latex
    frame = pd.read_csv(out / "tables" / "tiny.csv")
    assert list(frame["runs"]) == [1, 1, 0]
    assert list(frame["mean"].isna()) == [False, False, True]
    assert frame["failure"].isna().tolist() == [True, True, False]
    last = frame.iloc[2]
    assert (last["dataset"], last["algorithm"], last["shots"]) == ("sinusoid", "maml", 5)
    assert last["failure"] == f"seed 3: {MESSAGE}"
    assert "True,5-shot,,5,maml" in (out / "tables" / "tiny.csv").read_text()  # no 5.0, no 1.0


def test_the_table_command_shows_it_in_every_format(out, capsys):
    readme = out / "README.md"
    readme.write_text("<!-- table: tiny -->\n<!-- /table -->\n")
    for form in ("terminal", "markdown", "csv", "latex"):
        flags = ["--format", form, "--readme", str(readme)]
        assert cli.main(["table", "tiny", "--out", str(out), *flags]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert ("Failed: 1 of 3 runs" in said) == (form != "csv")
        assert "1 < 2" in said.replace("&lt;", "<")
        assert "not any more" not in said
    assert "**Failed: 1 of 3 runs.**" in readme.read_text()


def test_without_failures_nothing_is_said(out):
    failed.forget(experiment("maml", 3).files(out))
    paths = tables.write_all(out, records.read_all(out))
    assert not any("ail" in path.read_text() for path in paths)


def test_a_long_list_is_cut_where_it_is_read_and_whole_in_the_csv(out):
    many = [experiment("maml", 10 + n) for n in range(LISTED + 4)]
    for one in many:
        failures.note(out, one, ValueError("again"))
    found, notes = records.read_all(out), failed.read_all(out, "tiny")
    text = tables.to_markdown(found, failed=notes)
    assert text.count("\n* ") == LISTED + 1
    assert text.endswith("\n* and 5 more\n")
    csv = pd.read_csv(io.StringIO(tables.to_csv(found, notes)))
    assert csv["failure"].notna().sum() == LISTED + 5


def test_where_everything_failed_the_table_command_says_so(tmp_path, capsys):
    failures.note(tmp_path, experiment("maml"), ValueError("why"))
    assert cli.main(["table", "--out", str(tmp_path)]) == 2
    assert "(1 failed, see failed/ there)" in capsys.readouterr().err

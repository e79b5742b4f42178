import json
import re
import time
from pathlib import Path

import pytest

from bench.cli import main as cli
from bench.results import records

RUNS = Path(__file__).resolve().parents[3] / "results" / "runs" / "quick"


def test_a_thousand_records_are_tabulated_in_seconds(tmp_path, capsys):
    """Bounded generously: what grows with the square of the records would take minutes."""
    (path,) = RUNS.glob("sinusoid-10shot-maml-s0-*.json")
    one, names = records.read(path), ("maml", "fomaml", "random_init", "no_adaptation")
    folder = tmp_path / "runs" / "quick"
    folder.mkdir(parents=True)
    for number in range(1000):
        seed, name = divmod(number, len(names))
        changes = {"algorithm": names[name], "seed": seed, "key": f"run{number}"}
        changed = one | {"experiment": one["experiment"] | changes}
        (folder / f"run{number}.json").write_text(json.dumps(changed))
    began = time.process_time()
    assert cli.main(["table", "quick", "--out", str(tmp_path), "--format", "markdown"]) == 0
    assert time.process_time() - began < 15
    rows = capsys.readouterr().out.splitlines()[2:6]
    assert [row.split("|")[-2].strip() for row in rows] == ["250"] * len(names)


@pytest.fixture
def suites(tmp_path):
    """``suites("of_mine")``: a results folder with a record of each suite of such a name."""

    def make(*names):
        one = records.read(next(RUNS.glob("sinusoid-10shot-maml-s0-*.json")))
        for name in names:
            folder = tmp_path / "runs" / name
            folder.mkdir(parents=True)
            changed = one | {"experiment": one["experiment"] | {"suite": name, "key": "run"}}
            (folder / "run.json").write_text(json.dumps(changed))
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    ("there", "given", "meant"),
    [
        (("compare-of_mine-4017cf78",), "compare-of_mine-4017cf78", "compare-of_mine-4017cf78"),
        (("omniglot-small",), "omniglot_small", "omniglot-small"),
        (("of_mine", "of-mine"), "of_mine", "of_mine"),
        (("of_mine", "of-mine"), "of-mine", "of-mine"),
    ],
)
def test_a_suite_is_named_as_it_is_written_or_else_with_hyphens(
    suites, there, given, meant, capsys
):
    out = suites(*there)
    assert cli.main(["table", given, "--format", "csv", "--out", out]) == 0
    (row,) = capsys.readouterr().out.splitlines()[1:]
    assert row.startswith(f"{meant},")
    assert cli.main(["report", given, "--out", out]) == 0
    page = Path(out, "report.html").read_text()
    assert re.findall(r'<section id="(.*)-sinusoid">', page) == [meant]


def test_a_suite_without_records_is_named_as_it_was_given(suites, capsys):
    out = suites("of-mine")
    for command in ("table", "report"):
        assert cli.main([command, "of_yours", "--out", out]) == 2
        assert "no records of suite 'of_yours': Known: of-mine" in capsys.readouterr().err

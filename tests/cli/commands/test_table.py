import json
import time
from pathlib import Path

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

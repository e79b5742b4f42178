"""A grid from a plain script: nothing but Python, no guard, no command."""

import subprocess
import sys

import pytest

import bench
from bench import Study, Suite, results, run
from bench.base.errors import BenchError

SCRIPT = """
import sys
import bench
assert "pandas" not in sys.modules
from bench import Suite, Study, run, results
assert "torch" not in sys.modules

study = Study(
    dataset="sinusoid",
    algorithms={"maml": {"inner_lr": 0.02}, "fomaml": {}},
    iterations=2,
    validations=1,
    shots=(5,),
    data={"val_episodes": 2, "test_episodes": 3},
)
suite = Suite("tiny", "for tests", (study,))
found = run(suite, "out", jobs=2, quiet=True)
assert found["algorithm"].tolist() == ["maml", "fomaml"]
assert found["order"].tolist() == [2, 1]
assert (found["metric"] == "mse").all() and (found["value"] == found["mse"]).all()
assert found["learner.inner_lr"].tolist()[0] == 0.02
assert (found["training.seconds"] > 0).all() and (found["ms_per_iteration"] > 0).all()

run(study, "out", name="other", algorithms=["maml"], settings={"inner_lr": 0.1}, quiet=True)
everything = results("out")
assert sorted(everything["suite"]) == ["other", "tiny", "tiny"]
assert {"label", "seed", "ci95", "peak_memory_mib"} <= {*everything.columns}
print("done")
"""


@pytest.mark.slow
def test_a_plain_script_runs_a_grid_and_reads_its_results(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    assert (tmp_path / "out" / "tables" / "tiny.csv").exists()


TINY = Study("sinusoid", {"maml": {}}, 2, 1, shots=(5,))


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ("quikc", {}, "did you mean quick"),
        ("./none.yaml", {}, "name a YAML file"),
        (TINY, {"name": "../x"}, "give letters, digits"),
        (TINY, {"jobs": 0}, "jobs=0: give 1 or more"),
        (TINY, {"algorithms": ["mamml"]}, "did you mean maml"),
        (
            Suite("s", "", (TINY,)),
            {"settings": {"inner_steps": -1}},
            "inner_steps=-1: give a whole",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(given, options, words, tmp_path):
    with pytest.raises(BenchError, match=words):
        run(given, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_records(tmp_path):
    with pytest.raises(BenchError, match="no records under .*none: run a suite first"):
        results(tmp_path / "none")
    assert bench.results is results  # the package, which can be called

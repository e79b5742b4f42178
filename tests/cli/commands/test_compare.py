"""From a file of answers to a verdict and a model, and what is refused."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main as cli
from bench.running.comparison import planning
from bench.running.comparison.planning import Level
from bench.tutor import checkpoints
from bench.tutor.reading import load


@pytest.fixture
def short(monkeypatch):
    """Trainings of a few iterations: what comes out is not looked at."""
    monkeypatch.setattr(planning, "LEVELS", dict.fromkeys(planning.LEVELS, (Level(1, 2, 4),)))


@pytest.fixture
def answers(tmp_path):
    """A class of 15 pupils, each with the same 8 questions."""
    rng = np.random.default_rng(0)
    lines = [f"p{s},q{i},{int(rng.random() < 0.3 + 0.05 * i)}" for s in range(15) for i in range(8)]
    path = tmp_path / "class.csv"
    path.write_text("\n".join(["user_id,item_id,correct", *lines]) + "\n")
    return path


def test_a_dry_run_prints_the_plan_and_leaves_nothing(answers, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["compare", str(answers), "--dry-run", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "15 students, 8 items" in printed
    assert "Plan: " in printed
    assert not out.exists()


def test_from_answers_to_a_verdict_and_a_model_of_all_students(short, answers, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["compare", str(answers), "--methods", "item_mean", "rasch", "--out", str(out)]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    (page,) = (out / "compare").glob("class-*.md")
    numbers = json.loads(page.with_suffix(".json").read_text())
    assert (numbers["units"], numbers["folds"]) == (15, 5)
    checkpoint = numbers["recommended"]["checkpoint"]
    assert not Path(checkpoint).is_absolute()
    checkpoint = str(out / checkpoint)
    assert checkpoint in printed
    assert "(fold 4)" in printed
    learners, words = load([checkpoint])
    assert learners[0].vocabulary["trained_on"] == 15
    assert len(words.items) == 8
    assert checkpoints.load([checkpoint]).experiments[0]["dataset"] == "student"
    text = page.read_text()
    assert str(tmp_path) not in text.replace(str(answers), "")
    assert "| Method " in text
    assert len(list((out / "figures").glob("compare-class-*-verdict.png"))) == 1

    (records,) = (out / "runs").iterdir()
    before = {path: path.stat().st_mtime_ns for path in records.iterdir()}
    assert len([path for path in before if path.suffix == ".json"]) == 10
    assert cli.main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in records.iterdir()} == before
    assert page.read_text() == text
    capsys.readouterr()
    assert cli.main(["select", "--checkpoint", checkpoint, "--out", str(out)]) == 2
    assert "nobody is left to test: give others with --answers FILE" in capsys.readouterr().err
    students = checkpoints.load([checkpoint]).data
    assert students.sentences()[-2].endswith("Students: 15, all to train on.")


def test_a_hint_can_be_typed_as_it_stands(answers, tmp_path, capsys):
    text = answers.read_text()
    answers.write_text(text.replace("item_id", "exercise"))
    command = ["compare", str(answers), "--dry-run", "--out", str(tmp_path)]
    assert cli.main(command) == 2
    hint = "--columns item_id=exercise"
    assert f"say which it is, as {hint}\n" in capsys.readouterr().err
    assert cli.main([*command, *hint.split()]) == 0


SHORT = """
import sys
from bench.cli import main
from bench.running.comparison import planning
planning.LEVELS["answers"] = (planning.Level(1, 2, 20),)
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_what_was_killed_goes_on_and_ends_with_the_same_page(answers, tmp_path):
    command = [sys.executable, "-c", SHORT, "compare", str(answers), "--jobs", "1"]
    command += ["--methods", "item_mean", "rasch", "--out"]

    def run(out, until=None):
        """Runs it, or kills it when so many runs are done; those, and what it has written."""
        found = (tmp_path / out / "runs").glob
        with subprocess.Popen([*command, out], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
            while until and process.poll() is None and len([*found("*/*.json")]) < until:
                time.sleep(0.005)
            if until:
                process.kill()
        assert process.returncode == (-signal.SIGKILL if until else 0)
        done = {path: path.stat().st_mtime_ns for path in found("*/*.json")}
        return done, {p.suffix: p.read_text() for p in (tmp_path / out / "compare").glob("*")}

    _, whole = run("whole")
    some, page = run("stopped", until=3)
    assert 3 <= len(some) < 10
    assert not page
    done, page = run("stopped")
    assert len(some.items() - done.items()) <= 1  # the last was not marked as finished yet
    assert timeless(page) == timeless(whole)


def timeless(written):
    """The page and its numbers, without how long anything took."""
    numbers = json.loads(written[".json"])
    for method in numbers["methods"]:
        del method["seconds"]
    return re.sub(r"\| \d+ s \|", "", written[".md"]), numbers


@pytest.mark.slow
def test_answers_that_are_all_right_have_a_verdict(short, tmp_path, capsys):
    lines = [f"p{s},q{i},1" for s in range(15) for i in range(8)]
    path = tmp_path / "same.csv"
    path.write_text("\n".join(["user_id,item_id,correct", *lines]) + "\n")
    command = ["compare", str(path), "--methods", "rasch", "bilevel_irt", "--jobs", "1"]
    assert cli.main([*command, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "Take " in printed
    (table,) = (tmp_path / "out" / "tables").glob("compare-same-????????.md")
    assert "diverged" not in table.read_text()


@pytest.mark.slow
def test_images_are_compared_too(short, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["compare", "glyphs", "--methods", "proto_net", "random_init", "--shots", "1"]
    assert cli.main([*command, "--out", str(out)]) == 0
    assert "maml-bench predict" in capsys.readouterr().out
    numbers = json.loads((out / "compare" / "glyphs.json").read_text())
    assert numbers["judged_by"] == "accuracy"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nowhere.csv"], "no such file"),
        (["irt", "--methods", "rash"], "did you mean rasch"),
        (["irt", "--budget", "0"], "--budget 0"),
        (["irt", "--columns", "learner"], "write ROLE=NAME"),
        (["irt", "--jobs", "0"], "--jobs 0"),
        (["irt", "--shots", "0"], "--shots 0"),
    ],
)
def test_bad_input_is_one_message(flags, message, capsys, tmp_path):
    assert cli.main(["compare", *flags, "--out", str(tmp_path), "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error

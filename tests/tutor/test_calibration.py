import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.tutor import calibration, calibration_report
from bench.tutor.assessment import Student
from bench.tutor.calibration import Count
from bench.tutor.judgement import Settings
from bench.tutor.vocabulary import Vocabulary

WORDS = Vocabulary(["0", "1", "2"], ["a", "b"], torch.tensor([[1.0, 0], [1, 0], [0, 1]]), 3, 5)


def student(*rows):
    """One of whom this was found, as ``(skill, answers, right, low, high, verdict)``."""
    names = ("skill", "answers", "right", "low", "high", "verdict")
    return Student("x", 0, 0, 0, [dict(zip(names, row)) for row in rows], [], [], [])


def test_figures_compare_what_was_said_with_the_truth():
    chances = np.array([[0.2, 0.6, 0.9], [0.8, 0.8, 0.1]])  # skill a: .4, .8; b: .9, .1
    students = [
        student(("a", 2, 0, 0.3, 0.5, "mastered"), ("b", 0, 0, 0.1, 0.8, "undecided")),
        student(("a", 3, 1, 0.7, 0.9, "mastered"), ("b", 1, 0, 0.0, 0.2, "not mastered")),
    ]
    found = calibration.figures(students, chances, WORDS, Settings(mastery=0.5))
    assert found.held == Count(3, 4)
    assert found.mastered == Count(1, 2)
    assert found.not_mastered == Count(1, 1)
    assert found.decided == Count(3, 4)
    assert found.without_right == Count(1, 1)
    assert str(found.held) == "75% of 4"


def test_all_questions_are_compared_where_skills_are_not_told_apart():
    chances = np.array([[0.2, 0.6, 0.7]])
    students = [student(("all questions", 2, 1, 0.45, 0.55, ""))]
    found = calibration.figures(students, chances, WORDS, Settings())
    assert found.held == Count(1, 1)
    assert found.decided == found.mastered == Count(0, 0)
    assert str(found.decided) == "-"


def test_the_command(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(calibration, "STEPS", 2)
    monkeypatch.setattr(calibration, "TESTED", 10)
    arguments = ["check-tutor", "--algorithms", "bilevel_irt", "rasch", "--students", "30"]
    page = tmp_path / "page.md"
    page.write_text("<!-- table: check -->\n<!-- /table -->\n")
    where = ["--out", str(tmp_path), "--readme", str(page)]
    command = [*arguments, "--skills", "2", "--dimensions", "3", *where]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if "of 20" in line]) == 3
    assert "Intervals hold" in printed
    folder = tmp_path / "tutoring"
    (path,) = folder.glob("*.json")
    assert path.name == "check-students30-skills2-correlation0.5-dimensions3.json"
    (kept,) = calibration_report.read_all(tmp_path)
    assert (folder / "check.md").read_text() == calibration_report.markdown([kept]) + "\n"
    assert calibration_report.markdown([kept]) in page.read_text()
    assert len(kept["rows"]) == 6
    for wrong in (["--skills", "9"], ["--students", "2"], ["--algorithms", "raschh"]):
        assert cli.main(["check-tutor", *wrong, "--out", str(tmp_path)]) == 2
    path.write_text('{"rows": 3}')
    with pytest.raises(BenchError, match=r"check-students30.*is no record of check-tutor"):
        calibration_report.read_all(tmp_path)


def test_numbers_of_answers_are_checked():
    with pytest.raises(BenchError, match="give numbers from 1 to 40"):
        next(calibration.measure(["rasch"], answers=[41]))


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.2, 0.5])
def test_intervals_hold_and_verdicts_are_right(correlation):
    """What results/README.md says, with room for other machines."""
    for name, _, found in calibration.measure(["bilevel_irt", "rasch"], correlation=correlation):
        assert 0.7 < found.held.hits / found.held.of < 0.93, name
        assert found.without_right.hits == 0
        for right in (found.mastered, found.not_mastered):
            assert right.hits >= 0.8 * right.of - 3

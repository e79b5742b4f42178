import json

import numpy as np
import pytest

from bench.cli import main as cli
from bench.data.growing_skills import GrowingSkillsDataModule
from bench.tutor import tutoring


def test_judgements_by_counting():
    truth = np.array([[True, False], [True, False]])
    above = np.stack([np.full((2, 2), 0.6), np.where(truth, 0.95, 0.05), np.where(truth, 0.7, 0.2)])
    found = tutoring.judgements(above, truth, 0.9)
    assert found["right"] == [0.5, 1, 1]
    assert found["decided"] == [0, 1, 0]
    assert found["decided_right"] == [None, 1, None]
    assert found["until_goal"] == 2
    assert sum(count for *_, count in found["calibration"]) == above.size
    assert [0.6, 0.5, 4] not in found["calibration"]  # with the .7, in one part
    assert tutoring.judgements(above[:1], truth, 0.9)["until_goal"] is None


def test_a_concept_is_mastered_where_the_mean_chance_of_its_questions_is_high():
    world = GrowingSkillsDataModule(concepts=2, items=10, shots=5, queries=5, guess=0.0)
    far = np.array([[9.0, -9.0], [-9.0, 9.0]])
    found = tutoring.concepts_mastered(world, far, 0.8)
    assert found.tolist() == [[True, False], [False, True]]


@pytest.mark.slow
def test_the_command_writes_record_and_figure(tmp_path, capsys):
    small = "--trained-on 40 --steps 3 --students 6 --questions 2 --practice 3 --selection random"
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- table: tutoring -->\n<!-- /table -->\n")
    where = ["--out", str(tmp_path), "--readme", str(page)]
    assert cli.main(["check-tutoring", *small.split(), *where]) == 0
    said = capsys.readouterr().out
    assert "Skills judged right (synthetic)" in said
    found = json.loads((tmp_path / "tutoring" / "tutoring.json").read_text())
    assert found["judging"].keys() == {"random"}
    assert len(found["judging"]["random"]["right"]) == 2
    assert found["practising"].keys() == {"bkt", "growing_skills"}
    for ways in found["practising"].values():
        assert ways.keys() == {"fixed order", "random", "tutor"}
        assert all(len(way["mastered"]) == 3 for way in ways.values())
    assert (tmp_path / "tutoring" / "tutoring.png").stat().st_size > 1000
    written = (tmp_path / "tutoring" / "tutoring.md").read_text()
    assert written.startswith("**Skills judged right (synthetic)**\n\n| selection ")
    block = f"<!-- table: tutoring -->\n{written.strip()}\n<!-- /table -->"
    assert page.read_text() == f"Before\n{block}\n"


def test_a_page_without_the_block_is_refused_before_anything_is_made(refused, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    refused(f"check-tutoring --readme {page}", "must hold the lines <!-- table: tutoring -->")
    refused(f"check-tutor --readme {page}", "must hold the lines <!-- table: check -->")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--selection bays", "unknown selection 'bays'"),
        ("--questions 40", "questions=40: give 2 or more, and fewer questions than 40"),
        ("--students 1", "students=1: give 2 or more"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(refused, flag, words):
    refused(f"check-tutoring {flag}", words)

import csv
import json
import pickle
import re
import shlex
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.dkt import DKT
from bench.algorithms.maml import MAML
from bench.algorithms.rasch import Rasch
from bench.cli import main as cli
from bench.data.glyphs import GlyphsDataModule
from bench.data.irt import IRTDataModule
from bench.data.student import StudentDataModule
from bench.data.students.responses import Responses
from bench.learning import learner_file
from bench.tutor import (
    assessment,
    belief,
    calibration,
    judgement,
    posterior,
    reading,
    student_report,
    vocabulary,
)

SKILLS = ["adding", "halving $x_{1$", "[red]naming"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Checkpoints of tiny models, trained on made-up students: ``irt``, ``irt2``, ``rasch``..."""
    folder = tmp_path_factory.mktemp("models")
    rng, lines = np.random.default_rng(0), ["user_id,item_id,correct,skill_id,order_id"]
    for student in range(40):
        ability = rng.normal()
        for time, item in enumerate(rng.permutation(12)[:10]):
            right = int(rng.random() < 1 / (1 + np.exp(-ability - item / 6 + 1)))
            lines.append(f"s{student},question {item},{right},{SKILLS[item % 3]},{time}")
    source = folder / "training.csv"
    source.write_text("\n".join(lines) + "\n")
    data = {"source": str(source), "protocol": "first", "shots": 5, "queries": 4}
    for name, learner in (
        ("irt", BilevelIRT(model_options={"dimensions": 2})),
        ("irt2", BilevelIRT(model_options={"dimensions": 2}, seed=1)),
        ("rasch", Rasch()),
        ("dkt", DKT(hidden=4)),
    ):
        trainer = calibration.fit(learner, StudentDataModule(**data), 5)
        trainer.save_checkpoint(folder / f"{name}.ckpt")
    images = MAML(model="conv4", model_options={"filters": 4})
    glyphs = GlyphsDataModule(ways=2, shots=1, queries=1, tasks_per_batch=2)
    calibration.fit(images, glyphs, 5).save_checkpoint(folder / "images")
    return folder


@pytest.fixture
def answers(tmp_path):
    """A file of answers, from rows ``(student, item, correct)``."""

    def write(*rows) -> Path:
        path = tmp_path / "answers.csv"
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["user_id", "item_id", "correct", "order_id"])
            table.writerows([*row, time] for time, row in enumerate(rows))
        return path

    return write


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = cli.main(["student", *map(str, arguments)])
    return code, *capsys.readouterr()


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


THREE = [("Ann", "question 3", 1), ("Ann", "question 4", 0), ("Bob", "question 3", 0)]


@pytest.mark.parametrize("name", ["irt", "rasch"])
def test_the_report_holds_the_learners_own_predictions(folder, answers, tmp_path, capsys, name):
    out, checkpoint = tmp_path / "out", folder / f"{name}.ckpt"
    arguments = ("--checkpoint", checkpoint, "--answers", answers(*THREE), "--out", out)
    code, printed, errors = run(capsys, *arguments, "--questions", 3, "--certainty", 0.8)
    assert code == 0
    assert errors == ""
    assert "Ann" in printed
    assert ("[red]naming" in printed) == (name == "irt")
    assert sorted(p.name for p in (out / "pictures").iterdir()) == ["Ann.png", "Bob.png"]
    assert not list(out.rglob("*.unfinished"))
    found = json.loads((out / "students.json").read_text())
    assert [s["name"] for s in found["students"]] == ["Ann", "Bob"]

    learner = learner_file.load(checkpoint)
    words = vocabulary.check(learner.vocabulary, learner.spec)
    number = [words.items.index(f"question {i}") for i in (3, 4)]
    pairs = [(number, [1, 0]), (number[:1], [0])]
    episode = belief.episode(pairs, words)
    own = posterior.predicted(learner, episode).numpy()
    draws = posterior.draws([learner], episode, belief.DRAWS).numpy()
    questions = rows_of(out / "questions.csv")
    assert [row["question"] for row in questions] == words.items * 2
    chance = np.array([float(row["chance"]) for row in questions]).reshape(2, -1)
    np.testing.assert_allclose(chance, own, atol=6e-5)
    rows = rows_of(out / "skills.csv")
    if name == "rasch":  # which does not tell skills apart
        assert [row["skill"] for row in rows] == ["all questions"] * 2
        skill, row = np.ones(len(words.items), bool), rows[0]
    else:
        skill, row = words.features[:, 1].numpy() > 0, rows[1]
        assert row["skill"] == words.skills[1]
    assert float(row["chance"]) == pytest.approx(own[0, skill].mean(), abs=6e-5)
    mean = draws[0][:, skill].mean(1)
    ends = [float(row["low"]), float(row["high"])]
    np.testing.assert_allclose(ends, np.quantile(mean, [0.2, 0.8]), atol=6e-5)
    assert float(row["above"]) == pytest.approx((mean > 0.8).mean(), abs=6e-5)

    ann = found["students"][0]
    assert len(ann["ask"]) == 3
    assert not {"question 3", "question 4"} & set(ann["ask"])
    inside = {q["question"] for q in ann["questions"] if 0.6 <= q["chance"] <= 0.8}
    assert set(ann["practise"]) <= inside - {"question 3"}
    places = {r["question"]: r["ask"] for r in questions[: len(words.items)] if r["ask"]}
    assert places == {q: str(i) for i, q in enumerate(ann["ask"], 1)}


def test_the_page_of_the_class_needs_nothing_else(folder, answers, tmp_path, capsys):
    rows = [
        *THREE,
        ("<img src=x>", "question 1", 1),
        *(("Ann", f"question {i}", 0) for i in (5, 6)),
    ]
    options = ("--answers", answers(*rows), "--out", tmp_path / "out", "--no-pictures")
    assert run(capsys, "--checkpoint", folder / "irt.ckpt", *options)[0] == 0
    page = (tmp_path / "out" / "class.html").read_text()
    assert not re.search(r"<script|<img|<link|<base|url\(|@import|https?:", page)
    assert "&lt;img src=x&gt;" in page
    assert page.count('<th scope="row">') == page.count('<section class="student"') == 3
    for word in ("Ann", *SKILLS, "Who needs what next", "Questions that tell little"):
        assert word in unescape(page)
    ann = json.loads((tmp_path / "out" / "students.json").read_text())["students"][0]
    assert f"{ann['skills'][0]['chance']:.0%}"[:-1] + "\u202f%" in page
    assert run(capsys, "--checkpoint", folder / "dkt.ckpt", *options)[0] == 0
    assert "does not say how unsure it is" in (tmp_path / "out" / "class.html").read_text()


def test_of_a_skill_that_was_never_asked_for_there_is_no_verdict(folder, answers, tmp_path, capsys):
    out, mastery = tmp_path / "out", ("--mastery", 0.999)
    rows = [(name, "question 0", 0) for name in ("Ann", "Bob", "Cat", "Dan")]
    arguments = ("--checkpoint", folder / "irt.ckpt", "--answers", answers(*rows), "--out", out)
    code, printed, _ = run(capsys, *arguments, *mastery)
    assert code == 0
    assert "Not asked" in printed
    found = [(row["answers"], row["verdict"]) for row in rows_of(out / "skills.csv")]
    assert {verdict for n, verdict in found if n == "0"} == {"not asked yet"}
    assert {verdict for n, verdict in found if n != "0"} == {"not mastered"}
    page = (out / "class.html").read_text()
    for verdict, of in (("not-mastered", "not mastered"), ("open", "not asked yet")):
        bars = 2 * sum(verdict == of for _, verdict in found)  # in the table and below
        assert page.count(f'<svg class="bar {verdict}"') == bars > 0
    told = json.loads((out / "students.json").read_text())["students"][0]["skills"]
    assert "not asked yet" in {row["verdict"] for row in told}


def test_predictions_are_those_of_the_data_modules_episodes(folder):
    """Rows made from a checkpoint's vocabulary are the rows that the model was trained on."""
    learner = learner_file.load(folder / "irt.ckpt")
    words = vocabulary.check(learner.vocabulary, learner.spec)
    data = StudentDataModule(
        source=str(folder / "training.csv"), protocol="first", shots=5, queries=4
    )
    given = data.episodes("test", np.array([0]))
    shown = given.support_w[0] > 0
    item = given.support_x[0, shown, 0].long().numpy()
    made = belief.episode([(item, given.support_y[0, shown].long().numpy())], words)
    assert torch.equal(made.support_x, given.support_x[:, shown])
    asked = given.query_x[0, :, 0].long()
    assert torch.equal(made.query_x[0, asked][:, 2:], given.query_x[0][:, 2:])
    expected = posterior.predicted(learner, given)[0]
    torch.testing.assert_close(posterior.predicted(learner, made)[0, asked], expected)


def test_several_checkpoints_are_averaged_and_less_sure(folder, answers):
    paths = [folder / "irt.ckpt", folder / "irt2.ckpt"]
    learners, words = reading.load(paths)
    episode = belief.episode([([0, 1], [1, 0])], words)
    chance, draws = belief.believed(learners, episode)
    own = [posterior.predicted(learner, episode).numpy() for learner in learners]
    np.testing.assert_allclose(chance, np.mean(own, 0), rtol=1e-6)
    assert draws.shape == (1, 2 * belief.DRAWS, len(words.items))


def test_a_learner_without_posterior_asks_each_question_next(folder, answers, tmp_path, capsys):
    out = tmp_path / "out"
    options = ("--answers", answers(*THREE), "--out", out, "--no-pictures")
    code, printed, _ = run(capsys, "--checkpoint", folder / "dkt.ckpt", *options)
    assert code == 0
    assert "does not say how unsure it is" in printed
    assert not (out / "pictures").exists()
    row = next(row for row in rows_of(out / "skills.csv") if row["answers"] != "0")
    assert row["low"] == row["high"] == row["above"] == ""
    assert row["verdict"] in ("mastered", "not mastered")
    learner = learner_file.load(folder / "dkt.ckpt")
    words = vocabulary.check(learner.vocabulary, learner.spec)
    everything = belief.episode([([0, 1], [1, 0])], words)
    last = everything._replace(
        **{n: getattr(everything, n)[:, -1:] for n in ("query_x", "query_y", "query_w")}
    )
    chance, draws = belief.believed([learner], everything)
    assert draws is None
    assert chance[0, -1] == pytest.approx(float(posterior.predicted(learner, last)), rel=1e-5)
    assert belief.believed([learner] * 2, everything)[1].shape == (1, 2, len(words.items))


def test_what_a_question_informs_is_what_bayes_rule_gives():
    draws = np.random.default_rng(0).uniform(size=(7, 4))
    expected = []
    for j in range(4):
        left = 0
        for likelihood in (draws[:, j], 1 - draws[:, j]):
            weight = likelihood / likelihood.sum()
            mean = weight @ draws
            left += likelihood.mean() * (weight @ (draws - mean) ** 2)
        others = np.arange(4) != j
        expected.append(1 - left[others].sum() / draws.var(0)[others].sum())
    np.testing.assert_allclose(belief.informs(draws), expected)


def test_the_latest_answers_are_used(folder, answers, tmp_path, capsys):
    out, many = tmp_path / "out", [("Ann", f"question {i}", i % 2) for i in range(9)]
    options = ("--out", out, "--no-pictures", "--latest", 5)
    code, printed, _ = run(
        capsys, "--checkpoint", folder / "irt.ckpt", "--answers", answers(*many), *options
    )
    assert code == 0
    assert "the latest 5" in printed
    assert "trained to read" not in printed
    student = json.loads((out / "students.json").read_text())["students"][0]
    assert (student["answers"], student["used"], student["right"]) == (9, 5, 2)
    assert not {f"question {i}" for i in range(9)} & set(student["ask"])  # whether used or not
    before = rows_of(out / "questions.csv")
    run(capsys, "--checkpoint", folder / "irt.ckpt", "--answers", answers(*many[4:]), *options)
    after = rows_of(out / "questions.csv")
    assert [row["chance"] for row in before] == [row["chance"] for row in after]


def test_all_answers_are_used_and_more_than_in_training_are_warned_of(
    folder, answers, tmp_path, capsys
):
    out, many = tmp_path / "out", [("Ann", f"question {i}", i % 2) for i in range(9)]
    options = ("--answers", answers(*many), "--out", out, "--no-pictures")
    code, printed, _ = run(capsys, "--checkpoint", folder / "irt.ckpt", *options)
    assert code == 0
    assert "more answers than the 5 that the model was trained to read" in " ".join(printed.split())
    student = json.loads((out / "students.json").read_text())["students"][0]
    assert (student["answers"], student["used"], student["right"]) == (9, 9, 4)


def test_without_an_order_of_time_there_are_no_latest_answers(folder, quiz, refused):
    command = f"student --checkpoint {folder / 'irt.ckpt'} --answers {quiz[0]} --latest 3"
    refused(command, "the file tells no order of time")


@pytest.fixture
def quiz(tmp_path):
    """A matrix without an order of time: everybody answered 9 of 12 questions."""
    rng = np.random.default_rng(1)
    given = {f"pupil {s}": rng.integers(0, 2, 9) for s in range(6)}
    lines = [",".join(["Name", *(f"question {i}" for i in range(9))])]
    lines += [",".join([name, *map(str, right)]) for name, right in given.items()]
    (tmp_path / "quiz.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "quiz.csv", given


@pytest.mark.parametrize("name", ["irt", "irt2", "rasch", "dkt"])
def test_of_a_matrix_all_answers_count_and_none_is_asked_again(
    folder, quiz, tmp_path, capsys, name
):
    file, given = quiz
    options = ("--answers", file, "--out", tmp_path / "out", "--no-pictures", "--target", 0, 1)
    code, printed, _ = run(
        capsys, "--checkpoint", folder / f"{name}.ckpt", *options, "--questions", 12
    )
    assert code == 0
    assert "latest" not in printed
    for student in json.loads((tmp_path / "out" / "students.json").read_text())["students"]:
        right = {f"question {i}" for i in np.flatnonzero(given[student["name"]])}
        assert student["used"] == 9
        assert set(student["ask"]) == {"question 9", "question 10", "question 11"}
        assert len(student["practise"]) == 12 - len(right)
        assert not right & set(student["practise"])


def test_the_order_of_columns_makes_no_difference(folder, quiz, tmp_path, capsys):
    file, _ = quiz
    turned = tmp_path / "turned.csv"
    rows = [row.split(",") for row in file.read_text().splitlines()]
    turned.write_text("\n".join(",".join([row[0], *row[:0:-1]]) for row in rows) + "\n")
    found = []
    for answers in (file, turned):
        options = ("--answers", answers, "--out", tmp_path / "out", "--no-pictures")
        assert run(capsys, "--checkpoint", folder / "irt.ckpt", *options)[0] == 0
        found.append([float(r["chance"]) for r in rows_of(tmp_path / "out" / "questions.csv")])
    np.testing.assert_allclose(*found, atol=2e-4)


def test_many_answers_weigh_as_much_as_the_model_is_used_to(folder):
    """Gradient steps on more answers than in training would go too far; a posterior does not."""
    rng = np.random.default_rng(0)
    for name in ("irt", "rasch"):
        learner = learner_file.load(folder / f"{name}.ckpt")
        words = vocabulary.check(learner.vocabulary, learner.spec)
        pairs = [(rng.permutation(12)[:10], rng.integers(0, 2, 10))]
        tasks = belief.episode(pairs, words)
        chance, draws = belief.believed([learner], tasks, words.shots)
        weight = 0.5 if name == "irt" else 1.0
        weighed = tasks._replace(support_w=tasks.support_w * weight)
        np.testing.assert_allclose(chance, posterior.predicted(learner, weighed), rtol=1e-5)
        own = posterior.draws([learner], weighed, belief.DRAWS)
        np.testing.assert_allclose(draws, own, rtol=1e-5)


def test_one_ability_judges_no_skill(folder, answers, tmp_path, capsys):
    """Whatever the other answers: a skill of which none is right is not called mastered."""
    out, checkpoint = tmp_path / "out", folder / "rasch.ckpt"
    rows = [("Ann", f"question {i}", int(i % 3 != 0)) for i in range(12)]
    options = ("--answers", answers(*rows), "--out", out, "--mastery", 0.1, "--latest", 5)
    code, printed, _ = run(capsys, "--checkpoint", checkpoint, *options)
    assert code == 0
    assert "Rasch does not tell skills apart" in printed
    assert "mastered" not in printed.lower()
    student = json.loads((out / "students.json").read_text())["students"][0]
    assert [row["skill"] for row in student["skills"]] == ["all questions"]
    assert student["skills"][0]["verdict"] == ""
    assert {skill for row in student["questions"] for skill in row["skills"]} == set(SKILLS)
    learner = learner_file.load(checkpoint)
    words = vocabulary.check(learner.vocabulary, learner.spec)
    number = [words.items.index(name) for _, name, _ in rows[-5:]]
    tasks = belief.episode([(number, [right for *_, right in rows[-5:]])], words)
    weights = learner.posterior(tasks).exp()[0].detach()
    mean = float(weights @ learner.net.nodes)
    assert student["ability"]["mean"] == pytest.approx(mean, abs=1e-4)
    inside = (student["ability"]["low"] < learner.net.nodes) & (
        learner.net.nodes < student["ability"]["high"]
    )
    assert float(weights[inside].sum()) == pytest.approx(0.8, abs=0.05)
    two = ("--checkpoint", checkpoint, checkpoint, *options, "--no-pictures")
    assert run(capsys, *two)[0] == 0
    again = json.loads((out / "students.json").read_text())["students"][0]
    assert again["ability"] == student["ability"]


def test_more_ability_is_better_whichever_way_a_model_has_it(folder):
    learner = learner_file.load(folder / "rasch.ckpt")
    words = vocabulary.check(learner.vocabulary, learner.spec)
    given = assessment.Answers(
        ["ann", "ben"], [np.arange(5)] * 2, [np.ones(5, int), np.zeros(5, int)], []
    )
    for _ in range(2):
        ann, ben = assessment.assess([learner], words, given, judgement.Settings())
        assert ann.ability["mean"] > 0.1 > -0.1 > ben.ability["mean"]
        with torch.no_grad():
            learner.net.discrimination.neg_()


def test_fewer_abilities_than_skills_are_said(folder, answers, tmp_path, capsys):
    options = ("--answers", answers(*THREE), "--out", tmp_path / "out", "--no-pictures")
    _, printed, _ = run(capsys, "--checkpoint", folder / "irt.ckpt", *options)
    said = " ".join(printed.split())
    assert "BilevelIRT knows a student by 2 abilities, fewer than the 3 skills" in said
    assert """--model.model_options '{"dimensions": 3}'""" in said


def test_what_was_read_is_printed_first(folder, answers, tmp_path, capsys):
    options = ("--answers", answers(*THREE), "--out", tmp_path / "out", "--no-pictures")
    _, printed, _ = run(capsys, "--checkpoint", folder / "irt.ckpt", *options)
    said = " ".join(printed.split())
    assert (
        "answers.csv: 2 students, 2 items, 0 skills, 3 answers (33% right). Order: column" in said
    )
    assert "27 students are few: a model of many numbers" in said
    assert printed.index("Order: column order_id.") < printed.index("Ann")
    _, printed, _ = run(capsys, "--checkpoint", folder / "rasch.ckpt", *options)
    assert "students are few" not in printed


def test_names_are_one_however_their_marks_are_composed(folder):
    learner = learner_file.load(folder / "irt.ckpt")
    words = vocabulary.check(learner.vocabulary, learner.spec)
    words = words._replace(items=["Zoe\u0308", *words.items[1:]])
    found = Responses(
        ["ann"], ["Zo\u00eb"], [], np.array([0, 1]), np.array([0]), np.array([1]),
        np.zeros((1, 0), bool), False, None, np.zeros(1, int), [],
    )  # fmt: skip
    assert reading.known(found, words, "file", skip=False).item[0].tolist() == [0]


@pytest.mark.parametrize("name", ["irt", "dkt"])
def test_a_temperature_divides_the_log_odds_and_is_said(folder, answers, tmp_path, capsys, name):
    options = ("--checkpoint", folder / f"{name}.ckpt", "--answers", answers(*THREE))
    chances = []
    for number, temperature in enumerate((1, 1.23)):
        out = tmp_path / f"out{number}"
        more = ("--temperature", temperature, "--no-pictures", "--out", out)
        code, printed, _ = run(capsys, *options, *more)
        assert code == 0
        assert ("with log-odds divided by 1.23" in printed) == (temperature != 1)
        assert ("divided by" in (out / "class.html").read_text()) == (temperature != 1)
        chances.append([float(row["chance"]) for row in rows_of(out / "questions.csv")])
    odds = np.log(chances) - np.log1p(-np.array(chances))
    np.testing.assert_allclose(odds[1], odds[0] / 1.23, atol=2e-3)
    for wrong in ("0", "-1", "nan", "inf"):
        code, _, errors = run(capsys, *options, f"--temperature={wrong}", "--out", tmp_path / "no")
        assert (code, errors) == (2, f"maml-bench: --temperature {wrong}: give a number above 0\n")


def test_hints_can_be_typed_as_they_stand(folder, tmp_path, capsys):
    file = tmp_path / "answers.csv"
    file.write_text("user_id,the task,time_taken,correct\nAnn,question 3,9,1\n")
    options = ("--checkpoint", folder / "irt.ckpt", "--answers", file, "--out", tmp_path / "out")
    code, _, errors = run(capsys, *options)
    assert (code, errors.rpartition(", as ")[2]) == (2, "--columns item_id=NAME\n")
    file.write_text(file.read_text().replace("the task", "exercise"))
    code, _, errors = run(capsys, *options)
    assert code == 2
    typed = shlex.split(errors.rpartition(", as ")[2])
    assert typed == ["--columns", "item_id=exercise"]
    assert run(capsys, *options, *typed, "--no-pictures")[0] == 0


def test_names_of_students_stay_in_the_folder(folder, answers, tmp_path, capsys):
    names = ["../../x", "a/b", "a:b", "ann", "Ann", "=1+1", "[red]", "$\\frac$", "李", "x" * 300]
    rows = [(name, "question 3", 1) for name in names]
    out = tmp_path / "deep" / "out"
    code, *_ = run(
        capsys, "--checkpoint", folder / "rasch.ckpt", "--answers", answers(*rows), "--out", out
    )
    assert code == 0
    pictures = [p.name for p in (out / "pictures").iterdir()]
    assert len({name.casefold() for name in pictures}) == len(names)
    assert {p.name for p in tmp_path.iterdir()} == {"answers.csv", "deep"}
    found = json.loads((out / "students.json").read_text())["students"]
    assert sorted(s["name"] for s in found) == sorted(names)
    assert all((out / s["picture"]).is_file() for s in found)
    assert len(set(student_report.file_names(["", "", "a" * 99, "a" * 98]))) == 4


def test_unknown_questions_are_refused_or_skipped(folder, answers, tmp_path, capsys):
    out = tmp_path / "out"
    file = answers(*THREE, ("Bob", "qestion 4", 1), ("Cleo", "juggling", 1))
    options = ("--checkpoint", folder / "irt.ckpt", "--answers", file, "--out", out)
    code, _, errors = run(capsys, *options)
    assert code == 2
    assert "'qestion 4' (nearest: 'question 4')" in errors
    assert "'juggling' (" not in errors
    assert "--unknown-items skip" in errors
    assert not out.exists()
    code, printed, _ = run(capsys, *options, "--unknown-items", "skip", "--no-pictures")
    assert code == 0
    assert "Skipped 2 answers" in printed
    assert "Left out, without an answer to a known question: 'Cleo'" in printed
    found = json.loads((out / "students.json").read_text())["students"]
    assert [s["name"] for s in found] == ["Ann", "Bob"]
    before = (out / "students.json").read_bytes()
    answers(("Ann", "juggling", 1))
    code, _, errors = run(capsys, *options, "--unknown-items", "skip")
    assert code == 2
    assert "No known question is left" in errors
    assert (out / "students.json").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("user_id,item_id,correct\n,question 3,1\n", "user_id"),
        ("user_id,item_id,correct\nAnn,question 3,yes\n", "line 2"),
        ("user_id,item_id\nAnn,question 3\n", "correct"),
    ],
)
def test_malformed_answers(folder, tmp_path, capsys, content, words):
    file, out = tmp_path / "answers.csv", tmp_path / "out"
    file.write_text(content)
    code, _, errors = run(
        capsys, "--checkpoint", folder / "irt.ckpt", "--answers", file, "--out", out
    )
    assert code == 2
    assert words in errors
    assert errors.count("\n") == 1
    assert not out.exists()


class Hostile:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_checkpoints_that_cannot_be_used(folder, answers, tmp_path, capsys):
    file, out, trap = answers(*THREE), tmp_path / "out", tmp_path / "trap"
    good = torch.load(folder / "irt.ckpt", weights_only=True)

    def stored(name: str, **changes) -> Path:
        torch.save(good | changes, tmp_path / name)
        return tmp_path / name

    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "pickle").write_bytes(pickle.dumps(Hostile(trap)))
    whole = (folder / "irt.ckpt").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    class_path = {"_instantiator": "os.system", "_class_path": f"touch {trap}"}
    bad = {k: v[:-1] if k.endswith("own.weight") else v for k, v in good["state_dict"].items()}
    nan = {k: v * torch.nan for k, v in good["state_dict"].items()}
    words = good["students"]
    cases = [
        (tmp_path / "missing", "is no file"),
        (tmp_path / "noise", "is damaged"),
        (tmp_path / "half", "is damaged"),
        (tmp_path / "pickle", "is damaged"),
        (stored("hostile", extra=Hostile(trap)), "is damaged"),
        (stored("list", state_dict=[]), "is damaged"),
        (stored("nameless", algorithm=None), "which algorithm"),
        (stored("unknown", algorithm="mine.Own"), "unknown algorithm 'mine.Own'"),
        (stored("weights", state_dict=bad), "does not fit"),
        (stored("diverged", state_dict=nan), "has diverged"),
        (stored("wordless", students=None), "what they are called"),
        (stored("few", students=words | {"items": words["items"][:-1]}), "questions and skills"),
        (stored("odd", students=[1]), "questions and skills"),
        (folder / "images", "of classification"),
    ]
    for checkpoint, message in cases:
        code, _, errors = run(capsys, "--checkpoint", checkpoint, "--answers", file, "--out", out)
        assert code == 2, checkpoint
        assert message in errors
        assert errors.count("\n") == 1
    assert not trap.exists()
    assert not out.exists()
    renamed = stored("renamed", students=words | {"skills": ["a", "b", "c"]})
    code, _, errors = run(
        capsys, "--checkpoint", folder / "irt.ckpt", renamed, "--answers", file, "--out", out
    )
    assert code == 2
    assert "of other questions" in errors
    harmless = stored("harmless", hyper_parameters=good["hyper_parameters"] | class_path)
    options = ("--answers", file, "--out", out, "--no-pictures")
    assert run(capsys, "--checkpoint", harmless, *options)[0] == 0
    assert not trap.exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--target", ".8", ".6"),
        ("--target", "0.2", "nan"),
        ("--mastery", "1"),
        ("--certainty", ".5"),
        ("--questions", "0"),
        ("--columns", "user_id"),
    ],
)
def test_settings_are_checked(folder, answers, tmp_path, capsys, options):
    out = tmp_path / "out"
    arguments = ("--checkpoint", folder / "irt.ckpt", "--answers", answers(*THREE), "--out", out)
    code, _, errors = run(capsys, *arguments, *options)
    assert code == 2
    assert options[0] in errors
    assert not out.exists()


def test_made_up_students_are_called_by_number(tmp_path):
    words = IRTDataModule(items=8, new_items=2, shots=3, queries=2).vocabulary
    assert words["items"] == [str(i) for i in range(10)]
    assert words["skills"] == []
    assert (words["known"], words["shots"]) == (8, 3)
    assert GlyphsDataModule().vocabulary is None


def test_a_new_item_bears_the_common_number_and_its_own_features():
    features = torch.tensor([[1.0, 0.5], [0.0, 0.2], [1.0, 0.9]])
    words = vocabulary.Vocabulary(["a", "b", "c"], ["s"], features, 2, 5)
    x = words.rows(torch.tensor([[0, 2, 1]]), torch.tensor([[4, 5, -1]]))
    assert x.tolist() == [[[0, 4, 1, 0.5], [2, 5, 1, pytest.approx(0.9)], [0, -1, 0, 0]]]

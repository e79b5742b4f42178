import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.dkt import DKT
from bench.algorithms.maml import MAML
from bench.algorithms.rasch import Rasch
from bench.cli import main as cli
from bench.data.glyphs import GlyphsDataModule
from bench.data.irt import IRTDataModule
from bench.data.student import StudentDataModule
from bench.learning import learner_file
from bench.running.quiet import quiet
from bench.tutor import assessment, posterior, tutor, tutor_report, vocabulary

SKILLS = ["adding", "halving $x_{1$", "[red]naming"]


def fit(learner, data, path: Path) -> Path:
    with quiet():
        trainer = Trainer(
            max_steps=5,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(learner, datamodule=data)
        trainer.save_checkpoint(path)
    return path


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
        fit(learner, StudentDataModule(**data), folder / f"{name}.ckpt")
    images = MAML(model="conv4", model_options={"filters": 4})
    fit(images, GlyphsDataModule(ways=2, shots=1, queries=1, tasks_per_batch=2), folder / "images")
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
    assert "[red]naming" in printed
    assert sorted(p.name for p in (out / "pictures").iterdir()) == ["Ann.png", "Bob.png"]
    assert not list(out.rglob("*.unfinished"))
    found = json.loads((out / "students.json").read_text())
    assert [s["name"] for s in found["students"]] == ["Ann", "Bob"]

    learner = learner_file.load(checkpoint)
    words = vocabulary.check(learner.vocabulary, learner.spec)
    number = [words.items.index(f"question {i}") for i in (3, 4)]
    pairs = [(number, [1, 0]), (number[:1], [0])]
    episode = assessment.episode(pairs, words)
    own = posterior.predicted(learner, episode).numpy()
    draws = posterior.draws([learner], episode, assessment.DRAWS).numpy()
    questions = rows_of(out / "questions.csv")
    assert [row["question"] for row in questions] == words.items * 2
    chance = np.array([float(row["chance"]) for row in questions]).reshape(2, -1)
    np.testing.assert_allclose(chance, own, atol=6e-5)
    skill = words.features[:, 1].numpy() > 0
    row = rows_of(out / "skills.csv")[1]
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
    made = assessment.episode([(item, given.support_y[0, shown].long().numpy())], words)
    assert torch.equal(made.support_x, given.support_x[:, shown])
    asked = given.query_x[0, :, 0].long()
    assert torch.equal(made.query_x[0, asked][:, 2:], given.query_x[0][:, 2:])
    expected = posterior.predicted(learner, given)[0]
    torch.testing.assert_close(posterior.predicted(learner, made)[0, asked], expected)


def test_several_checkpoints_are_averaged_and_less_sure(folder, answers):
    paths = [folder / "irt.ckpt", folder / "irt2.ckpt"]
    learners, words = tutor.load(paths)
    episode = assessment.episode([([0, 1], [1, 0])], words)
    chance, draws = assessment.believed(learners, episode)
    own = [posterior.predicted(learner, episode).numpy() for learner in learners]
    np.testing.assert_allclose(chance, np.mean(own, 0), rtol=1e-6)
    assert draws.shape == (1, 2 * assessment.DRAWS, len(words.items))


def test_a_learner_without_posterior_asks_each_question_next(folder, answers, tmp_path, capsys):
    out = tmp_path / "out"
    options = ("--answers", answers(*THREE), "--out", out, "--no-pictures")
    code, printed, _ = run(capsys, "--checkpoint", folder / "dkt.ckpt", *options)
    assert code == 0
    assert "does not say how unsure it is" in printed
    assert not (out / "pictures").exists()
    row = rows_of(out / "skills.csv")[0]
    assert row["low"] == row["high"] == row["above"] == ""
    assert row["verdict"] in ("mastered", "not mastered")
    learner = learner_file.load(folder / "dkt.ckpt")
    words = vocabulary.check(learner.vocabulary, learner.spec)
    everything = assessment.episode([([0, 1], [1, 0])], words)
    last = everything._replace(
        **{n: getattr(everything, n)[:, -1:] for n in ("query_x", "query_y", "query_w")}
    )
    chance, draws = assessment.believed([learner], everything)
    assert draws is None
    assert chance[0, -1] == pytest.approx(float(posterior.predicted(learner, last)), rel=1e-5)
    assert assessment.believed([learner] * 2, everything)[1].shape == (1, 2, len(words.items))


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
    np.testing.assert_allclose(assessment.informs(draws), expected)


def test_the_latest_answers_are_used(folder, answers, tmp_path, capsys):
    out, many = tmp_path / "out", [("Ann", f"question {i}", i % 2) for i in range(9)]
    options = ("--out", out, "--no-pictures")
    code, printed, _ = run(
        capsys, "--checkpoint", folder / "irt.ckpt", "--answers", answers(*many), *options
    )
    assert code == 0
    assert "the latest 5" in printed
    student = json.loads((out / "students.json").read_text())["students"][0]
    assert (student["answers"], student["used"], student["right"]) == (9, 5, 2)
    before = (out / "questions.csv").read_text()
    run(capsys, "--checkpoint", folder / "irt.ckpt", "--answers", answers(*many[4:]), *options)
    assert (out / "questions.csv").read_text() == before


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
    assert len(set(tutor_report.file_names(["", "", "a" * 99, "a" * 98]))) == 4


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

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.maml import MAML
from bench.algorithms.rasch import Rasch
from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.data.irt import IRTDataModule
from bench.data.mirt import MIRTDataModule
from bench.results import records
from bench.running.experiment import Experiment
from bench.running.training import train
from bench.tasks.episode import Episode
from bench.tasks.statistics import Interval
from bench.tutor import policies, posterior, selection
from bench.tutor.judgement import Settings


@pytest.fixture
def data():
    return IRTDataModule(items=80, shots=10, queries=50, test_episodes=300)


@pytest.fixture
def rasch(data):
    return with_items(Rasch(spec=data.spec), data)


def with_items(learner, data):
    """The learner with the items' true parameters."""
    learner.configure_model()
    a, b, _ = (torch.from_numpy(v) for v in data.item_parameters)
    with torch.no_grad():
        own = learner.net.items.own.weight
        own[:, -1] = -a * b
        if isinstance(learner, BilevelIRT):
            own[:, :-1] = a[:, None]
    return learner


def test_fisher_asks_the_question_whose_difficulty_is_nearest_to_the_ability():
    data = IRTDataModule(model="1pl", items=80, shots=10, queries=50)
    learner, b = with_items(Rasch(spec=data.spec), data), torch.from_numpy(data.difficulty)
    x, y, _ = data.questions("test", np.arange(20))
    episode = Episode(x[:, :8], y[:, :8], x[:, 8:], y[:, 8:])
    chosen = policies.fisher([learner], episode).argmax(1)
    difficulty = b[x[:, 8:, 0].long()]
    nearest = (difficulty - learner.ability(episode)).abs().argmin(1)
    assert torch.equal(chosen, nearest)
    assert len(set(chosen.tolist())) > 1


def test_fisher_in_several_dimensions_is_the_gain_in_log_determinant(data, double):
    learner = BilevelIRT(model_options={"dimensions": 3}, spec=data.spec)
    x, y, _ = data.questions("test", np.arange(2))
    episode = Episode(x[:, :5], y[:, :5], x[:, 5:], y[:, 5:])
    found = policies.fisher([learner], episode)
    logits, slopes, covariance = posterior.gaussian(learner, episode)
    p, a, precision = logits[0, 7].sigmoid(), slopes[0, 7], torch.linalg.inv(covariance[0])
    more = precision + p * (1 - p) * torch.outer(a, a)
    gain = (torch.logdet(more) - torch.logdet(precision)).exp() - 1
    torch.testing.assert_close(found[0, 7], gain)


def test_bayes_is_what_enumerating_states_and_answers_gives(monkeypatch, double):
    # a student in one of three equally likely states; four questions, the last of them asked
    state = torch.tensor([[0.1, 0.5, 0.9, 0.2], [0.6, 0.5, 0.3, 0.9], [0.8, 0.5, 0.2, 0.4]])
    monkeypatch.setattr(posterior, "draws", lambda *_, **__: state[None])
    may = torch.tensor([[1.0, 1, 1, 0]])
    episode = Episode(*[torch.zeros(1, 4)] * 4, query_w=may)
    found = policies.bayes([None], episode)[0]
    for asked in range(3):
        fall = 0.0
        for other, answer in product(set(range(3)) - {asked}, (0, 1)):
            likelihood = state[:, asked] if answer else 1 - state[:, asked]
            weight = likelihood / likelihood.sum()
            mean = (weight * state[:, other]).sum()
            after = (weight * (state[:, other] - mean) ** 2).sum()
            fall += likelihood.mean() * (state[:, other].var(correction=0) - after)
        torch.testing.assert_close(found[asked], torch.as_tensor(fall))
    assert found[1] == 0  # what every state answers alike tells nothing


@pytest.mark.parametrize("policy", policies.POLICIES)
def test_no_question_is_asked_twice_and_no_meta_question_ever(data, rasch, policy):
    division = selection.divide(data, 48, most=30)
    asked = selection.ask([rasch], data, division, policy, [48])
    assert asked.order.shape == (30, 48)
    assert np.take_along_axis(division.selectable, asked.order, 1).all()
    assert all(len(set(row)) == 48 for row in asked.order.tolist())
    assert (division.meta.sum(1) == 12).all()
    assert not (division.meta & division.selectable).any()


def test_asking_is_reproducible_and_does_not_depend_on_the_batch(double, data, rasch, monkeypatch):
    division = selection.divide(data, 5, most=40)
    for policy in policies.POLICIES:
        first = selection.ask([rasch], data, division, policy, [1, 5])
        monkeypatch.setattr(selection, "BATCH", 7)
        again = selection.ask([rasch], data, division, policy, [1, 5])
        np.testing.assert_array_equal(first.order, again.order)
        np.testing.assert_allclose(first.values["auc"], again.values["auc"])
        monkeypatch.setattr(selection, "BATCH", 256)
    other = selection.divide(data, 5, most=40, seed=1)
    assert (other.meta != division.meta).any()
    moved = selection.ask([rasch], data, division, "random", [5], seed=1)
    assert (moved.order != selection.ask([rasch], data, division, "random", [5]).order).any()


def test_questions_that_score_alike_are_not_asked_in_the_order_of_time(data):
    learner = Rasch(spec=data.spec)  # untrained: all items are the same
    division = selection.divide(data, 3, most=30)
    order = selection.ask([learner], data, division, "fisher", [3]).order
    first = division.selectable.argmax(1)
    assert (order[:, 0] == first).mean() < 0.2


@pytest.mark.parametrize("policy", policies.POLICIES)
def test_answers_that_are_not_revealed_change_nothing(data, rasch, policy, monkeypatch):
    division = selection.divide(data, 3, most=20)
    order = selection.ask([rasch], data, division, policy, [3]).order
    questions = data.questions

    def others(split, students):
        x, y, there = questions(split, students)
        revealed = torch.zeros(y.shape, dtype=torch.bool).scatter(1, torch.from_numpy(order), True)
        return x, torch.where(revealed, y, 1 - y), there

    monkeypatch.setattr(data, "questions", others)
    again = selection.ask([rasch], data, division, policy, [3])
    np.testing.assert_array_equal(order, again.order)


@pytest.mark.parametrize("policy", ["fisher", "bayes"])
def test_a_policy_beats_random_selection_after_5_questions(policy):
    data = IRTDataModule(items=80, shots=10, queries=70, test_episodes=800)
    options = {"inner_lr": 0.2, "inner_steps": 5, "model_options": {"dimensions": 1}}
    learner = with_items(BilevelIRT(spec=data.spec, **options), data)
    division = selection.divide(data, 5)
    random = selection.ask([learner], data, division, "random", [5])
    asked = selection.ask([learner], data, division, policy, [5])
    ahead = selection.curves(asked, random)["auc"][0]["ahead"]
    assert ahead.mean > 0
    assert ahead.excludes_zero


def test_an_ensemble_chooses_by_bayes_and_averages(data):
    learners = [MAML(seed=s, spec=data.spec) for s in range(3)]
    policies.check(["random", "bayes"], learners)
    asked = selection.ask(learners, data, selection.divide(data, 2, most=9), "bayes", [2])
    assert np.isfinite(asked.values["auc"]).all()
    for wrong, message in (("fisher", "fisher needs"), ("beyes", "did you mean bayes")):
        with pytest.raises(BenchError, match=message):
            policies.check([wrong], learners)
    with pytest.raises(BenchError, match="give several checkpoints"):
        policies.check(["bayes"], learners[:1])


def test_randomesque_uses_items_more_evenly_and_stays_among_the_best(data, rasch):
    division = selection.divide(data, 3, most=100)
    item = data.sequences("test", division.students).item[:, : division.meta.shape[1]]
    most = []
    for n in (1, 8):
        order = selection.ask([rasch], data, division, "fisher", [3], randomesque=n).order
        assert np.take_along_axis(division.selectable, order, 1).all()
        assert all(len(set(row)) == 3 for row in order.tolist())
        most.append(selection.exposure(np.take_along_axis(item, order, 1), items=80)["max"])
    assert most[1] < most[0]
    score = torch.tensor([[0.1, 0.9, 0.5, -torch.inf]])
    for seed in range(20):
        best = policies.ranked(score, torch.tensor([3]), 0, randomesque=2, seed=seed)[0]
        assert set(best[:2].tolist()) == {1, 2}
        assert best[2:].tolist() == [0, 3]


def test_asking_stops_when_enough_is_known(data, rasch):
    division = selection.divide(data, 20, most=30)
    found = {}
    for width in (0.0, 0.3, 1.0):
        until = Settings(mastery=0.5, certainty=0.99, width=width)
        found[width] = selection.ask([rasch], data, division, "bayes", [20], until=until)
    np.testing.assert_array_equal(found[1.0].sure, 2)  # not before two answers
    early = selection.ask([rasch], data, division, "bayes", [2, 20])
    np.testing.assert_allclose(found[1.0].stopped["auc"], early.values["auc"][0])
    for one in found.values():
        np.testing.assert_array_equal(one.order, early.order)
    narrow, wide = (np.where(found[w].sure > 0, found[w].sure, 21) for w in (0.0, 0.3))
    assert (wide <= narrow).all()
    assert 2 < wide.mean() < 21


def test_kli_is_the_expected_divergence_over_states(monkeypatch, double):
    state = torch.tensor([[0.1, 0.5], [0.6, 0.5], [0.8, 0.5]])
    monkeypatch.setattr(posterior, "draws", lambda *_, **__: state[None])
    found = policies.kli([None], Episode(*[torch.zeros(1, 2)] * 4))[0]
    mean = torch.distributions.Bernoulli(state[:, 0].mean())
    each = [
        torch.distributions.kl_divergence(mean, torch.distributions.Bernoulli(p))
        for p in state[:, 0]
    ]
    torch.testing.assert_close(found[0], torch.stack(each).mean())
    torch.testing.assert_close(found[1], torch.zeros(()).to(found))


def test_maat_asks_one_skill_after_the_other():
    data = MIRTDataModule(dimensions=3, skills_per_item=1, items=30, shots=5, queries=25)
    learner = Rasch(spec=data.spec)
    learner.configure_model()
    division = selection.divide(data, 3, most=40)
    order = selection.ask([learner], data, division, "maat", [3]).order
    item = np.take_along_axis(data.sequences("test", division.students).item, order, 1)
    skill = data.q_matrix.argmax(1)[item]
    assert np.mean([len(set(row)) for row in skill.tolist()]) > 2.5


def test_metrics_are_pooled_over_all_meta_questions():
    generator = np.random.default_rng(0)
    p, answers = generator.random((6, 9)), generator.random((6, 9)) > 0.5
    meta = generator.random((6, 9)) > 0.4
    values = selection._values(p, answers, meta)
    assert values["accuracy"].mean() == pytest.approx(((p > 0.5) == answers)[meta].mean())


def test_exposure_and_overlap_by_counting():
    item = np.array([[0, 1], [0, 2], [0, 1], [3, 1]])
    found = selection.exposure(item, items=6)
    shares, mean = np.array([3, 3, 1, 1, 0, 0]) / 4, 1 / 3
    pairs = [(i, j) for i in range(4) for j in range(i)]
    common = [len(set(item[i]) & set(item[j])) / 2 for i, j in pairs]
    assert found["max"] == 0.75
    assert found["chi_square"] == pytest.approx(((shares - mean) ** 2 / mean).sum())
    assert found["overlap"] == pytest.approx(np.mean(common))


# The command ------------------------------------------------------------------------------------

DATA = {"items": 30, "shots": 5, "queries": 20, "val_episodes": 10, "test_episodes": 40}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A results folder with two runs on students and one on something else."""
    out = tmp_path_factory.mktemp("results")
    runs = [
        Experiment("s", "irt", "bilevel_irt", 2, 1, data=DATA),
        Experiment("s", "irt", "maml", 2, 1, data=DATA),
        Experiment("s", "irt", "maml", 2, 1, seed=1, data=DATA),
        Experiment("s", "irt", "maml", 2, 1, data=DATA | {"items": 31}),
        Experiment("s", "sinusoid", "maml", 2, 1, data={"val_episodes": 2, "test_episodes": 2}),
    ]
    for name, run in zip(("bilevel", "maml", "maml1", "other", "sinusoid"), runs):
        records.write(run.files(out).record, train(run, out, progress=False))
        (out / name).symlink_to(out / "checkpoints" / run.key, target_is_directory=True)
    return out


def select(out, *names, more=()):
    found = [str((out / name).resolve() / "best.ckpt") for name in names]
    return cli.main(["select", "--checkpoint", *found, "--out", str(out / "new"), *more])


def test_the_command_writes_record_and_figure_and_prints_a_table(out, capsys):
    assert select(out, "bilevel", more=["--questions", "5", "1"]) == 0
    text = capsys.readouterr().out
    assert "irt (synthetic), bilevel_irt: AUC" in text
    assert "ahead of random" in text
    (path,) = (out / "new" / "selection").glob("*bilevel*.json")
    found = json.loads(path.read_text())
    assert found["questions"] == [1, 5]
    assert found["students"] == 40
    assert list(found["policies"]) == list(policies.POLICIES)
    assert len(found["policies"]["bayes"]["auc"]) == 2
    assert found["policies"]["bayes"]["auc"][0]["ahead"].keys() == {"mean", "ci95"}
    assert found["provenance"]["torch"]
    assert path.with_suffix(".png").stat().st_size > 1000


def test_an_auc_that_does_not_exist_is_null(monkeypatch, out):
    nothing = Interval(float("nan"), float("nan"))
    monkeypatch.setattr(selection, "interval", lambda values: nothing)
    assert select(out, "bilevel", more=["--selection", "random", "--questions", "2"]) == 0
    (path,) = (out / "new" / "selection").glob("*bilevel*.json")
    figures = json.loads(path.read_text())["policies"]["random"]
    assert figures["auc"] == [{"value": {"mean": None, "ci95": None}}]


def test_the_command_takes_an_ensemble(out, capsys):
    options = ["--selection", "bayes", "--questions", "2"]
    assert select(out, "maml", "maml1", more=options) == 0
    assert "2 checkpoints of maml" in capsys.readouterr().out


def test_one_model_of_any_kind_is_asked_by_what_it_serves(out, capsys):
    assert select(out, "maml", more=["--questions", "2", "--students", "10"]) == 0
    key = (out / "maml").resolve().name
    path = out / "new" / "selection" / f"{key}.json"
    assert list(json.loads(path.read_text())["policies"]) == ["random", "uncertainty"]


def test_the_command_says_when_asking_would_have_stopped(out, capsys):
    more = ["--selection", "random", "--questions", "4", "--width", "0.9", "--randomesque", "3"]
    assert select(out, "bilevel", more=more) == 0
    assert "Asked until each skill is judged or known to 0.9, 4 questions at most" in (
        capsys.readouterr().out
    )
    (path,) = (out / "new" / "selection").glob("*bilevel*.json")
    found = json.loads(path.read_text())
    assert found["until"] == {"mastery": 0.8, "certainty": 0.9, "width": 0.9}
    assert found["randomesque"] == 3
    stopped = found["policies"]["random"]["stopped"]
    assert stopped.keys() == {"questions", "sure", "auc", "accuracy"}
    assert 2 <= stopped["questions"]["mean"] <= 4


@pytest.mark.parametrize("name", ["irt", "rasch", "dkt"])
def test_the_students_may_come_from_a_file(taught, tmp_path, capsys, name):
    rng = np.random.default_rng(5)
    rows = [f"t{s},q{i},{rng.integers(2)},{i}" for s in range(12) for i in range(10)]
    rows += ["t1,elsewhere,1,99"]
    file = tmp_path / "today.csv"
    file.write_text("\n".join(["user_id,item_id,correct,order_id", *rows]) + "\n")
    where = ["--checkpoint", str(taught / f"{name}.ckpt"), "--answers", str(file)]
    assert cli.main(["select", *where, "--questions", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Read {file}: 12 students, 11 items, 0 skills, 121 answers")
    assert "Skipped 1 answers to questions unknown to the checkpoint" in said
    assert "12 test students" in said
    (path,) = (tmp_path / "selection").glob("*.json")
    served = ["random", "uncertainty"] if name == "dkt" else list(policies.POLICIES)
    assert list(json.loads(path.read_text())["policies"]) == served


def test_unusual_columns_of_such_a_file_can_be_named_as_the_hint_says(taught, tmp_path, capsys):
    rng = np.random.default_rng(5)
    rows = [f"t{s},q{i},{rng.integers(2)},{i}" for s in range(12) for i in range(10)]
    file = tmp_path / "today.csv"
    file.write_text("\n".join(["user_id,exercise,correct,order_id", *rows]) + "\n")
    checkpoint = ["--checkpoint", str(taught / "rasch.ckpt"), "--out", str(tmp_path)]
    where = [*checkpoint, "--answers", str(file), "--questions", "2", "--selection", "random"]
    assert cli.main(["select", *where]) == 2
    hint = capsys.readouterr().err.rpartition(", as ")[2].split()
    assert hint == ["--columns", "item_id=exercise"]
    assert cli.main(["select", *where, *hint]) == 0
    assert cli.main(["select", *checkpoint, *hint]) == 2
    assert "--columns: goes with --answers FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "more", "message"),
    [
        (["maml"], ["--selection", "fisher"], "fisher needs the item parameters"),
        (["maml"], ["--width", "0.2"], "one MAML has no posterior: give several"),
        (["bilevel"], ["--width", "2"], "--width 2: give one from 0 to 1"),
        (["bilevel"], ["--randomesque", "0"], "--randomesque 0: give at least 1"),
        (["maml"], ["--selection", "bayes"], "one MAML has no posterior: give several"),
        (["bilevel"], ["--selection", "baies"], "did you mean bayes"),
        (["bilevel"], ["--questions", "0"], "--questions 0: give at least 1"),
        (["bilevel"], ["--questions", "21"], "no test student has 21 questions to ask"),
        (["bilevel"], ["--students", "1"], "--students 1: give at least 2"),
        (["maml", "other"], [], "were trained on different data"),
        (["sinusoid"], [], "sinusoid has no questions to ask students"),
        (["nowhere"], [], "nowhere/best.ckpt"),
    ],
)
def test_a_mistake_is_one_message(out, names, more, message, capsys):
    assert select(out, *names, more=more) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("maml-bench: ")
    assert "Traceback" not in error


def test_a_checkpoint_without_its_record_is_refused(out, tmp_path, capsys):
    lonely = tmp_path / "checkpoints" / "x" / "best.ckpt"
    lonely.parent.mkdir(parents=True)
    stored = torch.load(out / "bilevel" / "best.ckpt", weights_only=True)
    for change in ({"students": None}, {"students": stored["students"] | {"dataset": "os"}}):
        torch.save(stored | change, lonely)
        assert cli.main(["select", "--checkpoint", str(lonely), "--out", str(tmp_path)]) == 2
        message = capsys.readouterr().err
        assert "neither it nor a record" in message
        assert "says what data it was trained on" in message


def test_a_checkpoint_of_fit_says_what_it_was_trained_on(tmp_path, monkeypatch, capsys):
    """The command after the one in bench/tutor/README.md."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    rng = np.random.default_rng(0)
    rows = [f"s{s},q{i},{rng.integers(2)},{i}" for s in range(20) for i in range(8)]
    Path("class.csv").write_text("\n".join(["user_id,item_id,correct,order_id", *rows]) + "\n")
    fit = "fit --model Rasch --data StudentDataModule --data.source class.csv --data.shots 3"
    quick = "--trainer.max_steps 2 --trainer.accelerator cpu --trainer.enable_progress_bar false"
    assert cli.main([*fit.split(), *quick.split(), "--trainer.enable_model_summary", "false"]) == 0
    said = capsys.readouterr().out
    assert "Read class.csv: 20 students, 8 items, 0 skills, 160 answers" in said
    assert "Order: column order_id." in said
    assert "Students: 14 to train on, 2 for validation, 4 for testing." in said
    (checkpoint,) = Path("lightning_logs/version_0/checkpoints").glob("*.ckpt")
    select = ["select", "--checkpoint", str(checkpoint), "--questions", "1", "2"]
    assert cli.main(select) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Read class.csv: 20 students, 8 items, 0 skills, 160 answers")
    assert "4 test students" in printed
    (record,) = Path("results/selection").glob("*.json")
    assert record.stem == "version_0-epoch-0-step-1"  # Rasch is fitted at once
    assert json.loads(record.read_text())["dataset"] == "student"
    Path("class.csv").unlink()
    assert cli.main(select) == 2
    message = capsys.readouterr().err
    assert "was trained on data that is not here: class.csv: there is no such file" in message

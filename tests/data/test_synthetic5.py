import gzip

import numpy as np
import pytest
import torch
from lightning import Trainer

from bench.algorithms.item_mean import ItemMean
from bench.base.errors import BenchError
from bench.cli.main import main
from bench.data import synthetic5
from bench.data.synthetic5 import Synthetic5DataModule
from bench.tasks.questions import FEATURES, ITEM, POSITION


@pytest.fixture(scope="module")
def made_up():
    """Answers of two versions and their concepts."""
    rng = np.random.default_rng(0)
    answers = rng.random((2, synthetic5.STUDENTS, synthetic5.ITEMS)) < 0.6
    return answers, rng.integers(0, 5, (2, synthetic5.ITEMS))


@pytest.fixture(scope="module")
def root(made_up, tmp_path_factory):
    """A data root in which they are prepared."""
    folder = tmp_path_factory.mktemp("synthetic5")
    write(folder / "source" / synthetic5.FILE, made_up)
    synthetic5.prepare(folder / "source" / synthetic5.FILE, folder)
    return folder


def write(path, made_up, **changed):
    path.parent.mkdir(exist_ok=True)
    arrays = {"responses": np.packbits(made_up[0], -1), "concept": made_up[1]} | changed
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def lines(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in np.asarray(rows, int))


def test_next_answers_of_the_right_students(root, made_up):
    data = Synthetic5DataModule(version=1, data_root=root, test_episodes=3)
    assert data.listed("test") == 3 * 49
    assert data.listed("val") == 200 * 49
    e = data.episodes("test", np.array([0, 49 + 5]))
    answer = made_up[0][1][2000:2002]
    for task, shown in ((0, 1), (1, 6)):
        assert e.support_w[task].sum() == shown
        np.testing.assert_array_equal(e.support_y[task, :shown], answer[task, :shown])
        assert e.query_y[task].item() == answer[task, shown]
        assert e.query_x[task, 0, [ITEM, POSITION]].tolist() == [shown, shown]
    assert data.spec.input_shape == (FEATURES,)


def test_students_of_the_splits_are_apart(root):
    data, other = (Synthetic5DataModule(data_root=root, seed=s) for s in (0, 1))
    train, val, test = (data.students[s] for s in ("train", "val", "test"))
    assert (len(train), len(val)) == (1800, 200)
    np.testing.assert_array_equal(np.sort(np.r_[train, val]), np.arange(2000))
    np.testing.assert_array_equal(test, np.arange(2000, 4000))
    np.testing.assert_array_equal(val, other.students["val"])
    drawn = data.training_students(np.arange(18_000))
    assert ((np.bincount(drawn, minlength=1800) - 10) ** 2 / 10).sum() < 1990  # 99.9 %
    assert not np.array_equal(drawn, other.training_students(np.arange(18_000)))
    np.testing.assert_array_equal(drawn[5:6], data.training_students(np.array([5])))


def test_a_model_that_is_fitted_at_once_gets_every_training_student_once(root, made_up):
    data, model = Synthetic5DataModule(data_root=root, tasks_per_batch=64), ItemMean()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_steps=100, limit_val_batches=0, enable_model_summary=False, **quiet)
    trainer.fit(model, data)
    means = made_up[0][0][data.students["train"]].mean(0)
    found = model.net.log_odds.detach().sigmoid()[:, 0]
    np.testing.assert_allclose(found, means, atol=1e-5)


def test_an_episode_depends_on_its_number_and_the_version(root, made_up):
    data = Synthetic5DataModule(data_root=root, protocol="random", shots=5, queries=10)
    together, alone = (data.episodes("train", np.array(i)) for i in ([2, 7, 4], [7]))
    for a, b in zip(together[:4], alone[:4]):
        assert torch.equal(a[1:2], b)
    other = Synthetic5DataModule(1, data_root=root, protocol="random", shots=5, queries=10)
    index = np.arange(20)
    assert not np.array_equal(data.training_students(index), other.training_students(index))
    places = [d.episodes("test", index).support_x[..., POSITION] for d in (data, other)]
    assert not torch.equal(*places)
    np.testing.assert_array_equal(
        data.sequences("train", np.arange(1800)).answer, made_up[0][0][data.students["train"]]
    )


def test_concepts_are_columns_if_wanted(root, made_up):
    data = Synthetic5DataModule(version=1, data_root=root, show_skills=True)
    assert (data.spec.input_shape, data.spec.skills) == ((FEATURES + 5,), 5)
    np.testing.assert_array_equal(data.features.argmax(1), made_up[1][1])
    x = data.episodes("test", np.array([48])).support_x[0]
    np.testing.assert_array_equal(x[:, FEATURES:].argmax(1), made_up[1][1][:49])


def test_the_files_of_the_paper(made_up, tmp_path):
    for v, (answers, concept) in enumerate(zip(*made_up)):
        (tmp_path / f"naive_c5_q50_s4000_v{3 + v}.csv").write_text(lines(answers))
        if v == 0:
            info = tmp_path / "info" / "naive_c5_q50_s4000_v3_info.txt"
            info.parent.mkdir()
            info.write_text("".join(f"0.5\t0.4\t{c}\t-1.25\n" for c in concept))
    said = synthetic5.prepare(tmp_path, tmp_path)
    assert "Found 2 of 10 versions" in said
    assert "concepts are not known of versions 4." in said
    data = Synthetic5DataModule(version=3, data_root=tmp_path, show_skills=True)
    np.testing.assert_array_equal(data.features.argmax(1), made_up[1][0])
    np.testing.assert_array_equal(
        data.sequences("test", np.arange(2000)).answer, made_up[0][0][2000:]
    )
    with pytest.raises(BenchError, match="concepts of version=4 were not among the files"):
        _ = Synthetic5DataModule(version=4, data_root=tmp_path, show_skills=True).features
    with pytest.raises(BenchError, match="version=0 was not prepared, only 3, 4"):
        Synthetic5DataModule(data_root=tmp_path).episodes("test", np.arange(2))
    # as the authors have all versions but the first
    info.with_name("naive_c5_q50_s4000_v4_info.txt").write_text(
        "".join(f"0.5,0.4,{c},-1.25\n" for c in made_up[1][1])
    )
    said = synthetic5.prepare(tmp_path, tmp_path)
    assert "concepts are not known" not in said
    data = Synthetic5DataModule(version=4, data_root=tmp_path, show_skills=True)
    np.testing.assert_array_equal(data.features.argmax(1), made_up[1][1])
    info.write_text(info.read_text().replace("\t", "\n", 1))
    with pytest.raises(BenchError, match="info.txt: wanted are 50 lines"):
        synthetic5.prepare(tmp_path, tmp_path)


def test_the_files_of_dkvmn(made_up, tmp_path):
    ids = ",".join(map(str, range(1, 51)))
    for part, rows in (("train", made_up[0][0][:2000]), ("test", made_up[0][0][2000:])):
        answers = lines(rows).splitlines()
        text = "".join(f"50\n{ids},\n{a},\n" for a in answers)
        path = tmp_path / f"naive_c5_q50_s4000_v0_{part}.csv.gz"
        path.write_bytes(gzip.compress(text.encode(), 1))
    synthetic5.prepare(tmp_path, tmp_path)
    data = Synthetic5DataModule(data_root=tmp_path)
    np.testing.assert_array_equal(
        data.sequences("test", np.arange(2000)).answer, made_up[0][0][2000:]
    )
    path.write_bytes(gzip.compress(f"50\n{ids}\n{answers[0]}\n".encode()))
    with pytest.raises(BenchError, match="2,001 students with 100,050 answers: wanted are 4,000"):
        synthetic5.prepare(tmp_path, tmp_path)
    path.unlink()
    with pytest.raises(BenchError, match="nothing of Synthetic-5 in it: PATH may be"):
        synthetic5.prepare(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"responses": np.zeros((2, 4000, 6), np.uint8)}, r"responses is uint8 of shape"),
        ({"concept": np.zeros((2, 50))}, "concept is float64"),
        ({"concept": np.full((2, 50), 5)}, "concepts 0 to 4"),
        ({"responses": np.array([{}], object)}, "no file of .* kind"),
    ],
)
def test_wrong_contents(made_up, tmp_path, changed, message):
    with pytest.raises(BenchError, match=message):
        synthetic5.prepare(write(tmp_path / "wrong.npz", made_up, **changed), tmp_path)
    assert not (tmp_path / "synthetic5.npz").exists()


def test_damaged_missing_and_not_prepared(tmp_path, made_up, capsys):
    whole = write(tmp_path / "half.npz", made_up)
    whole.write_bytes(whole.read_bytes()[:5000])
    for source, message in (
        (whole, "no file of"),
        (tmp_path / "none.npz", "does not exist"),
        (None, "cannot be downloaded by a program"),
    ):
        with pytest.raises(BenchError, match=message):
            synthetic5.prepare(source, tmp_path)
    with pytest.raises(BenchError, match="run maml-bench prepare synthetic5"):
        Synthetic5DataModule(data_root=tmp_path).episodes("test", np.arange(2))
    assert Synthetic5DataModule(data_root=tmp_path).spec.input_shape == (FEATURES,)
    assert main(["prepare", "synthetic5", "--source", str(whole)]) == 2
    assert "no file of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"version": 10}, "version=10: give a number from 0 to 9"),
        ({"version": "0"}, "version='0'"),
        ({"val_episodes": 2000}, "val_episodes=2000: of 2000 some must be trained on"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(BenchError, match=message):
        Synthetic5DataModule(**wrong)


def test_real_files_agree(tmp_path, shared_data):
    source = shared_data("student", "synthetic5")
    packed, texts = tmp_path / "packed", tmp_path / "texts"
    said = synthetic5.prepare(source, packed)
    assert "Found 10 of 10 versions of 4,000 students and 50 items" in said
    said = synthetic5.prepare(source / "dkvmn_csv", texts)
    assert "Found 5 of 10 versions" in said
    assert "concepts are not known of versions 0, 1, 2, 3, 4." in said
    a, b = (synthetic5.load(root / "synthetic5.npz")[0] for root in (packed, texts))
    np.testing.assert_array_equal(a[:5], b)
    assert a[0].mean() == pytest.approx(0.608, abs=1e-3)

"""What was predicted of single queries: kept, read again, and made tables and figures of."""

import json
import pickle

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from bench.base.errors import BenchError
from bench.cli.commands._grid import setting
from bench.cli.main import main
from bench.data.glyphs import GlyphsDataModule
from bench.results import calibration, confusion, predictions, records
from bench.results.predictions import Predictions
from bench.results.run_files import RunFiles
from bench.running import jobs
from bench.running.machine import Machine
from bench.running.suites.quick import SUITE

SMALL = (
    "iterations=2 validations=1 val_episodes=2 test_episodes=12 tasks_per_batch=4 "
    "model_options={} queries=3"
)


def run(tmp_path, *more, datasets="glyphs", algorithms="random_init", settings=SMALL):
    command = f"run quick --datasets {datasets} --algorithms {algorithms} --set {settings}"
    return main([*command.split(), "--out", str(tmp_path / "out"), *more])


def kept(tmp_path):
    out = tmp_path / "out"
    found = records.read_all(out)
    return [(r, predictions.read(RunFiles.locate(out, r["experiment"]).predictions)) for r in found]


# Running ----------------------------------------------------------------------------------------


def test_what_is_kept_agrees_with_the_record(tmp_path):
    assert run(tmp_path, "--keep-predictions") == 0
    ((record, found),) = kept(tmp_path)
    right = found.predicted == found.answer
    index, accuracy = record["evaluation"]["index"], record["evaluation"]["per_episode"]["accuracy"]
    assert [right[found.unit == i].mean() for i in index] == pytest.approx(accuracy, abs=1e-6)
    assert np.allclose(found.probability.sum(1), 1, atol=1e-5)
    nll = -np.log(found.probability[found.classes == found.answer[:, None]])
    assert nll.mean() == pytest.approx(record["metrics"]["nll"]["mean"], abs=1e-4)
    data = GlyphsDataModule(ways=5, shots=1, queries=3, test_episodes=12)
    episode = data.episodes("test", np.arange(12))
    assert found.names.tolist() == data.class_names("test")
    own = episode.class_numbers.gather(1, episode.query_y)
    assert np.array_equal(found.answer, own.flatten())


def test_nothing_is_kept_unless_it_is_asked_for(tmp_path, capsys):
    assert run(tmp_path) == 0
    assert not list((tmp_path / "out").rglob("*.npz"))
    assert "calibration" not in capsys.readouterr().out.lower()


def test_a_finished_run_is_tested_again_for_its_predictions(tmp_path, capsys):
    where = {"datasets": "irt", "algorithms": "maml", "settings": SMALL.replace("queries=3", "")}
    assert run(tmp_path / "a", "--keep-predictions", **where) == 0
    assert run(tmp_path / "b", **where) == 0
    (path,) = (tmp_path / "b").glob("out/runs/*/*.json")
    before = path.read_bytes()
    capsys.readouterr()
    assert run(tmp_path / "b", "--keep-predictions", **where) == 0
    assert "0 done, 1 to do" in capsys.readouterr().out
    assert path.read_bytes() == before
    ((_, one),), ((_, other),) = kept(tmp_path / "a"), kept(tmp_path / "b")
    assert all(np.array_equal(a, b) for a, b in zip(one, other))
    assert run(tmp_path / "b", "--keep-predictions", **where) == 0
    assert "1 done, 0 to do" in capsys.readouterr().out


def test_a_finished_run_whose_weights_are_gone_says_what_to_do(tmp_path, capsys):
    where = {"datasets": "irt", "algorithms": "maml", "settings": SMALL.replace("queries=3", "")}
    assert run(tmp_path, **where) == 0
    (weights,) = tmp_path.rglob("best.ckpt")
    weights.unlink()
    assert run(tmp_path, "--keep-predictions", **where) == 2
    said = capsys.readouterr()
    assert "have no predictions" in said.err
    assert "is gone, from which the predictions" in " ".join(said.out.split())


def test_workers_keep_them_too(tmp_path):
    (experiment,) = SUITE.experiments(
        ["random_init"], ["glyphs"], settings=dict(setting(text) for text in SMALL.split())
    )
    job = jobs.Job(experiment, tmp_path, Machine(), "test", False, keep_predictions=True)
    assert jobs.do_unwatched(pickle.loads(pickle.dumps(job))).state == "done"
    assert len(predictions.read(job.files.predictions).unit) == 12 * 15
    assert jobs.do_unwatched(job).state == "left"


def test_of_regressions_there_is_nothing_to_keep(tmp_path, capsys):
    settings = "iterations=1 validations=1 val_episodes=2 test_episodes=2"
    found = run(tmp_path, "--keep-predictions", datasets="sinusoid", settings=settings)
    assert found == 2
    assert "is for classes and answers" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/*"))  # said before anything is trained


def test_the_tables_and_figures(tmp_path, capsys):
    assert run(tmp_path, "--keep-predictions", datasets="glyphs", algorithms="random_init") == 0
    settings = SMALL.replace("queries=3", "")
    assert (
        run(
            tmp_path,
            "--keep-predictions",
            datasets="irt",
            algorithms="item_mean",
            settings=settings,
        )
        == 0
    )
    capsys.readouterr()
    assert main(["table", "quick", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for words in ("hardest classes", "glyph-0", "irt (synthetic), 10-shot: calibration"):
        assert words in said
    for name in ("confusion", "calibration"):
        for file in (f"tables/quick-{name}.csv", f"tables/quick-{name}.md"):
            assert (tmp_path / "out" / file).stat().st_size
        picture = (tmp_path / "out" / f"figures/quick-{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
    assert "irt" not in (tmp_path / "out/tables/quick-confusion.csv").read_text()


# In numbers -------------------------------------------------------------------------------------

# two episodes of two ways: of a and b, and of a and c
HAND = Predictions(
    unit=np.array([0, 0, 0, 0, 1, 1]),
    answer=np.array([0, 0, 1, 1, 0, 2]),
    probability=np.array(
        [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.25, 0.75], [0.5, 0.5]], np.float32
    ),
    classes=np.array([[0, 1]] * 4 + [[2, 0]] * 2, np.int32),
    names=np.array(["a", "b", "c"]),
)


def test_confusion_counts_what_met():
    table = confusion.pairs([HAND]).set_index(["true", "predicted"])
    assert table["times"].to_dict() == {
        ("a", "a"): 2, ("a", "b"): 1, ("a", "c"): 0,
        ("b", "a"): 0, ("b", "b"): 2, ("c", "a"): 0, ("c", "c"): 1,
    }  # fmt: skip
    assert table["together"].to_dict() == {
        ("a", "a"): 3, ("a", "b"): 2, ("a", "c"): 1,
        ("b", "a"): 2, ("b", "b"): 2, ("c", "a"): 1, ("c", "c"): 1,
    }  # fmt: skip
    assert table.loc[("a", "b"), "share"] == 0.5
    twice = confusion.pairs([HAND, HAND])
    assert twice["together"].sum() == 2 * table["together"].sum()
    hardest = confusion.by_class(twice).iloc[0]
    assert hardest[["class", "rows", "mistaken_for"]].tolist() == ["a", 6, "b"]
    assert hardest["right"] == pytest.approx(2 / 3)
    matrix = confusion.matrix(twice, ["a", "c", "b"])
    assert np.isnan(matrix[1, 2])
    assert matrix[0, 2] == 0.5


def test_calibration_is_that_of_torchmetrics():
    made = np.random.default_rng(0)
    p = made.uniform(size=500).astype(np.float32)
    answer = (made.uniform(size=500) < p**2).astype(int)
    nothing = np.full((500, 1), -1, np.int32)
    part = Predictions(np.arange(500), answer, p[:, None], nothing, np.zeros(0, "<U1"))
    table = calibration.reliability([part])
    expected = binary_calibration_error(torch.tensor(p), torch.tensor(answer), n_bins=15)
    assert calibration.expected_error(table) == pytest.approx(float(expected), abs=1e-6)
    assert table["rows"].sum() == 500
    assert len(table) == 15


def test_of_classes_the_probability_of_the_predicted_one_counts():
    table = calibration.reliability([HAND])
    assert table["rows"].sum() == 6
    assert (table["probability"] * table["rows"]).sum() == pytest.approx(4.25, abs=1e-6)
    assert (table["right"] * table["rows"]).sum() == 5


# Files from elsewhere ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": HAND.answer * 7}, "answer holds numbers of no class"),
        ({"classes": HAND.classes + 2}, "classes holds numbers of no class"),
        ({"classes": HAND.classes - 5}, "classes holds numbers of no class"),
        ({"probability": HAND.probability * np.nan}, "probability holds numbers that are none"),
        ({"probability": HAND.probability[:, :1]}, "do not fit together"),
        ({"unit": HAND.unit[:2]}, "do not fit together"),
        ({"unit": np.zeros(0, int)}, "do not fit together"),
        ({"unit": HAND.unit * 1.5}, "unit holds float64"),
        ({"names": np.array(["a", "b", "\x1b[31m"])}, "names must hold plain words"),
        ({"names": np.array([1, 2, 3])}, "names holds int64"),
        (None, "it has no names"),
    ],
)
def test_a_file_is_checked(tmp_path, change, words):
    path, arrays = tmp_path / "run.npz", HAND._asdict()
    if change is None:
        del arrays["names"]
    np.savez(path, **arrays | (change or {}))
    with pytest.raises(BenchError, match=f"run.npz: .*{words}.*delete it"):
        predictions.read(path)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "run.npz"
    path.write_text(json.dumps({}))
    with pytest.raises(BenchError, match=r"run.npz: .*run again with --keep-predictions"):
        predictions.read(path)


def test_what_is_written_is_read(tmp_path):
    predictions.write(tmp_path / "runs" / "run.npz", HAND)
    assert all(map(np.array_equal, predictions.read(tmp_path / "runs" / "run.npz"), HAND))


def test_names_that_cannot_be_printed_stay_different():
    assert predictions.shown(["a\x1b", "a\x07", "b"]).tolist() == ["a? (0)", "a? (1)", "b (2)"]

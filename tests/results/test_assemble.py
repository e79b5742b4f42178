import numpy as np
import pytest

from bench.results import records
from bench.results.assemble import assemble
from bench.results.provenance import provenance
from bench.tasks.episode import View
from bench.tasks.evaluation import Scores


def scored(view, index, auc):
    """Scores of students before and after one inner step."""
    episode = {"auc": np.array([[0.5, value] for value in auc]), "nll": np.full((len(auc), 2), 0.6)}
    return Scores(view, np.array(index), episode, {"calibration_error": np.array([0.2, 0.1])})


@pytest.fixture
def assembled(changed):
    """The record of a run with these scores: ``assembled(scores, recovered)``."""
    experiment = changed("schema", 1)["experiment"]

    def make(scores, recovered):
        return assemble(
            "answers",
            scores,
            recovered,
            "test",
            {"iterations": 15, "seconds": 1.5, "validation": [[5, 0.6]], "best_iteration": 5},
            experiment=experiment,
            synthetic=True,
            chosen="by hand",
            provenance=provenance(data="0123"),
        )

    return make


def written(record, tmp_path):
    records.write(tmp_path / "a.json", record)
    return records.read(tmp_path / "a.json")


def test_scores_of_all_episodes(assembled, tmp_path):
    record = written(assembled([scored(None, [0, 1, 2], [0.6, 0.7, 0.8])], [{}]), tmp_path)
    assert record["evaluation"] == {
        "episodes": 3,
        "split": "test",
        "index": [0, 1, 2],
        "per_episode": {"auc": [0.6, 0.7, 0.8]},
        "views": [],
    }
    metrics = record["metrics"]
    assert (metrics["headline"], metrics["higher_is_better"]) == ("auc", True)
    assert metrics["auc"]["per_step"] == [0.5, 0.7]
    assert metrics["auc"]["ci95"] == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-6)
    assert metrics["calibration_error"] == {"mean": 0.1, "ci95": None, "per_step": [0.2, 0.1]}
    assert record["training"]["best_iteration"] == 5
    assert record["cost"] is None
    assert record["provenance"]["data"] == "0123"


def test_scores_of_each_view(assembled, tmp_path):
    scores = [
        scored(View(1, 0, 2), [0, 1], [0.6, 0.7]),
        scored(View(5, 2, 1, "fungi"), [2], [0.9]),
    ]
    record = assembled(scores, [{}, {"mastery_auc": 0.75}])
    record["experiment"]["data"]["train_datasets"] = ["fungi"]
    record = written(record, tmp_path)
    first, second = record["evaluation"]["views"]
    assert record["evaluation"]["per_episode"] == {"auc": [0.6, 0.7, 0.9]}
    assert "calibration_error" not in record["metrics"]  # which exists over one view alone
    assert (first["shots"], first["episodes"], first["recovery"]) == (1, 2, {})
    assert "source" not in first
    assert (second["source"], second["recovery"]) == ("fungi", {"mastery_auc": 0.75})
    assert first["metrics"]["auc"]["mean"] == 0.65
    assert second["metrics"]["auc"]["ci95"] is None
    assert second["metrics"]["calibration_error"]["mean"] == 0.1

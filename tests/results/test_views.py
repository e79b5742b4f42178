import copy

from bench.results.checking import check
from bench.results.views import by_shots


def test_each_view_becomes_a_record(viewed, changed, tmp_path):
    before = copy.deepcopy(viewed)
    first, second, plain = by_shots([viewed, changed("experiment.seed", 1)])
    assert [r["experiment"]["shots"] for r in (first, second)] == [1, 5]
    assert [r["evaluation"]["episodes"] for r in (first, second)] == [1, 2]
    assert second["evaluation"]["index"] == [1, 2]
    assert second["evaluation"]["per_episode"] == {"accuracy": [0.3333333, None]}
    assert second["metrics"]["accuracy"]["mean"] == 0.4
    assert second["metrics"]["headline"] == "accuracy"
    assert "brier" not in first["metrics"]
    assert second["recovery"] == {"mastery_auc": 0.7}
    assert "views" not in first["evaluation"]
    assert plain == changed("experiment.seed", 1)
    for part in (first, second):  # each is whole by itself, but for metrics it alone has
        check(part, tmp_path / "part.json")
    assert viewed == before  # nothing was changed in place


def test_views_by_source_say_what_was_trained_on(viewed, changed):
    sources = changed("experiment.data.train_datasets", ["aircraft", "fungi"], of=viewed)
    for view, source in zip(sources["evaluation"]["views"], ("fungi", "flower")):
        view |= {"shots": None, "source": source}
    first, second = by_shots([sources])
    assert first["experiment"]["dataset"] == "aircraft + fungi → fungi"
    assert second["experiment"]["dataset"] == "aircraft + fungi → flower"
    assert second["experiment"]["shots"] is None

import itertools
import json
import math

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.results import tuned, tuned_figure, tuned_tables
from bench.results.tuned import Row


def row(scores, **changes):
    tried = [({"inner_lr": float(i + 1)}, score) for i, score in enumerate(scores)]
    best, score = tried[tuned.best_of(scores, True)]
    fields = {
        "dataset": "glyphs",
        "setting": "5way-1shot",
        "algorithm": "maml",
        "label": "MAML, second order",
        "space": {"inner_lr": ["log", 1.0, 9.0]},
        "is_grid": False,
        "metric": "accuracy",
        "higher_is_better": True,
        "iterations": 7,
        "episodes": 3,
        "best": best,
        "score": score,
        "at_edge": [],
        "trials": len(tried),
        "tried": tried,
    }
    return Row(**fields | changes)


@pytest.mark.parametrize("higher", [True, False])
def test_the_expected_best_is_the_mean_over_all_sets_of_trials(higher):
    scores = np.random.default_rng(0).normal(size=6).tolist()
    pick = max if higher else min
    for n, value in enumerate(tuned.expected_best(scores, higher), 1):
        every = [pick(some) for some in itertools.combinations(scores, n)]
        assert value == pytest.approx(np.mean(every), abs=1e-12)


def test_a_trial_that_diverged_counts_as_the_worst():
    assert tuned.best_of([None, 0.1, 0.4], True) == 2
    assert tuned.best_of([None, 0.1, 0.4], False) == 1
    assert tuned.best_of([None, None], True) == 0
    expected = tuned.expected_best([None, 0.25, 0.75], True)
    assert expected == pytest.approx([1.25 / 3, (0.25 + 2 * 0.75) / 3, 0.75])
    assert all(map(math.isnan, tuned.expected_best([None, None], False)))


def test_what_is_written_is_read_back(tmp_path):
    path = tuned.path_in(tmp_path, "tiny")
    rows = {"a-key": row([0.1, None, 0.3]), "b-key": row([None], at_edge=["inner_lr"])}
    assert tuned.read(path) == {}
    tuned.write(path, "tiny", rows)
    assert tuned.read(path) == rows


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: "", "cannot be read"),
        (lambda c: "[1]", "must be an object"),
        (lambda c: c | {"schema": 2}, "schema"),
        (lambda c: c | {"rows": []}, "rows must be an object"),
        (lambda c: changed(c, trials=4), r"rows.a-key.trials is 4, and tried has 3"),
        (lambda c: changed(c, best={"inner_lr": 0.7}), "rows.a-key.best .* none of those tried"),
        (lambda c: changed(c, score=0.9), "none of those tried"),
        (lambda c: changed(c, label="\x1b[31m"), "control characters"),
        (lambda c: changed(c, tried=[[{"../a": 1}, 0.1]]), "rows.a-key.tried"),
        (lambda c: changed(c, dataset="../../etc"), "dataset"),
    ],
)
def test_a_file_that_is_not_whole_is_named(tmp_path, change, says):
    path = tuned.path_in(tmp_path, "tiny")
    tuned.write(path, "tiny", {"a-key": row([0.1, 0.2, 0.3])})
    content = change(json.loads(path.read_text()))
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(BenchError, match=f"tiny.json: .*{says}.*tune again"):
        tuned.read(path)


def changed(content, **fields):
    return content | {"rows": {"a-key": content["rows"]["a-key"] | fields}}


def test_the_table_shows_what_more_trials_bring(console):
    rows = [
        row([0.5, 0.25, None, 0.75, 0.5], at_edge=["inner_lr"]),
        row([0.5, 0.6], label="MAML, first order"),
    ]
    first, second = tuned_tables.lines(rows)
    assert [n for n in first if n.startswith("Best of")] == [f"Best of {n}" for n in (1, 2, 4, 5)]
    assert first["Best of 5"] == "75.0 %"
    assert second["Best of 2"] == "60.0 %"
    assert second["Best of 4"] == ""
    assert first["Best values"] == "inner_lr=4.0*"
    tuned_tables.print_rich(rows, "tiny", console)
    for text in (console.export_text(), tuned_tables.to_markdown(rows, "tiny")):
        text = " ".join(text.split())
        assert "inner_lr=4.0 is at the edge of 1.0 to 9.0; the best may lie beyond" in text
        assert "1 of 5 trials diverged" in text
        assert "not all had the same budget, but 2 trials of 7 iterations and 5 trials of 7" in text


def test_the_figure_has_a_line_for_each_algorithm(tmp_path):
    rows = [row([0.5, 0.25, 0.75]), row([0.5, 0.6], label="MAML, first order")]
    rows.append(row([None, 3.0], dataset="sinusoid", metric="mse", higher_is_better=False))
    figure = tuned_figure.draw(rows, "tiny")
    glyphs, sinusoid = figure.axes
    assert [line.get_label() for line in glyphs.lines] == [r.label for r in rows[:2]]
    assert glyphs.lines[0].get_ydata()[-1] == 0.75
    assert sinusoid.lines[0].get_ydata().tolist() == [3.0, 3.0]
    tuned_figure.write(rows, "tiny", tmp_path / "figures" / "a.png")
    assert (tmp_path / "figures" / "a.png").stat().st_size


HOSTILE = r"P(y|x) <img src=x> $\frac$"


def test_a_hostile_label_is_text_in_table_and_figure(tmp_path):
    rows = [row([0.5, None], label=HOSTILE, setting=HOSTILE, at_edge=["inner_lr"])]
    text = tuned_tables.to_markdown(rows, "tiny")
    assert "<img" not in text
    assert "| P(y\\|x) &lt;img src=x> " in text
    tuned_figure.write(rows, "tiny", tmp_path / "tiny.png")


@pytest.mark.parametrize(
    "change",
    [
        {"at_edge": ["zzz"]},
        {"space": {}},
        {"space": {"inner_lr": []}},
        {"space": {"inner_lr": ["log", 1.0]}},
        {"space": {"inner_lr": ["choice"]}},
    ],
    ids=str,
)
def test_a_value_at_the_edge_of_nothing_is_refused(tmp_path, change):
    path = tuned.path_in(tmp_path, "tiny")
    tuned.write(path, "tiny", {"key": row([0.1], at_edge=["inner_lr"])})
    assert tuned.read(path)
    tuned.write(path, "tiny", {"key": row([0.1], **{"at_edge": ["inner_lr"]} | change)})
    with pytest.raises(BenchError, match=r"tiny\.json: rows\.key\.at_edge names .*: delete it"):
        tuned.read(path)

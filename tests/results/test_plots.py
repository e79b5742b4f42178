import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bench.base import registry
from bench.base.errors import BenchError
from bench.results import charts, labels, plots, styles


def run(algorithm, ways=5, shots=1, seed=0, cost=True, steps=3, **learner):
    values = [0.5, 0.6, 0.7]
    return {
        "experiment": {
            "suite": "quick",
            "dataset": "glyphs" if ways else "sinusoid",
            "algorithm": algorithm,
            "ways": ways,
            "shots": shots,
            "queries": 15,
            "seed": seed,
            "iterations": 1000,
            "data": {},
            "learner": learner,
            "key": f"{algorithm}-{ways}-{shots}-{seed}",
        },
        "synthetic": True,
        "chosen": "",
        "metrics": {
            "headline": "accuracy" if ways else "mse",
            "higher_is_better": bool(ways),
            "accuracy" if ways else "mse": {
                "mean": 0.6,
                "ci95": 0.1,
                "per_step": [0.2] * (steps - 1) + [0.6],
            },
        },
        "evaluation": {
            "episodes": 3,
            "split": "test",
            "index": [0, 1, 2],
            "per_episode": {"accuracy" if ways else "mse": values},
        },
        "training": {
            "iterations": 1000,
            "seconds": 60.0,
            "validation": [[500, 0.4], [1000, None]] if cost else [],
        },
        "cost": {
            "ms_per_iteration": 10.0,
            "ms_low": 9.0,
            "ms_high": 12.0,
            "peak_memory_mib": 5.0,
            "parameters": 10,
        }
        if cost
        else None,
    }


def test_the_figures_of_a_suite(tmp_path):
    records = [run(a, w, s) for a in ("maml", "fomaml") for w, s in ((5, 1), (5, 5), (None, 10))]
    records += [run("no_adaptation", steps=1), run("random_init", cost=False), run("mine")]
    paths = plots.write_all(tmp_path, records)
    assert [p.name for p in paths] == [
        f"quick-{name}.{suffix}"
        for name in ("steps", "price", "time", "validation")
        for suffix in ("png", "pdf")
    ]
    assert sorted((tmp_path / "figures").iterdir()) == sorted(paths)
    before = [p.read_bytes() for p in paths]
    plots.write_all(tmp_path, records)
    assert [p.read_bytes() for p in paths] == before  # the same records give the same files


def test_a_figure_without_numbers_is_left_out(tmp_path):
    paths = plots.write_all(tmp_path, [run("random_init", cost=False)])
    assert [p.name for p in paths] == ["quick-steps.png", "quick-steps.pdf"]
    assert plots.write_all(tmp_path, [run("item_mean", cost=False, steps=1)]) == []


def test_what_a_panel_shows():
    records = [run("maml", seed=s) for s in (0, 1)] + [run("item_mean", steps=1)]
    members, table = plots.cells(records), plots.summary(records)
    (axes,) = plots.draw(charts.steps(members, table)).axes
    assert axes.get_title() == "glyphs (synthetic), 5-way 1-shot"
    assert axes.get_ylabel() == "accuracy, higher is better"
    curve, floor = axes.lines
    assert curve.get_label() == "MAML, second order"
    assert curve.get_ydata() == pytest.approx([0.2, 0.2, 0.6])
    assert np.ptp(floor.get_ydata()) == 0
    (axes,) = plots.draw(charts.validation(members, table)).axes
    both, other = (line.get_ydata() for line in axes.lines)
    assert both == pytest.approx([0.4, np.nan, np.nan] * 2, nan_ok=True)  # a gap between the seeds
    assert len(other) == 3
    (axes,) = plots.draw(charts.time(members, table)).axes
    assert axes.lines[0].get_xdata()[:2] == pytest.approx([0.5, 1])  # of a minute
    (axes,) = plots.draw(charts.price(members, table)).axes
    assert len(axes.containers) == 1  # no floor


def test_variants_and_algorithms_of_ones_own_can_be_told_apart():
    records = [run("maml", inner_steps=s) for s in (1, 5)] + [run("mine"), run("theirs")]
    (axes,) = plots.draw(charts.steps(plots.cells(records), plots.summary(records))).axes
    full, hollow, *own = axes.lines
    assert full.get_markerfacecolor() == full.get_color()
    assert to_rgb(hollow.get_markerfacecolor()) == (1, 1, 1)
    assert len({line.get_color() for line in own}) == 2


def test_no_two_methods_look_alike():
    """Nor by their colour alone, nor by what a reader who sees no colours is left with."""
    drawn = [labels.label(name, {}) for name in registry.names("algorithms")]
    drawn += [labels.Label(f"mine {i}") for i in range(6)]
    looks = {str(label): styles.style(label, drawn, 0) for label in drawn}
    colours = {label.name: looks[str(label)]["color"] for label in drawn}
    assert len(colours) >= 30
    apart = [(name, c) for name, c in colours.items() if c not in ("#7F7F7F",)]  # floors are grey
    assert len({c for _, c in apart}) == len(apart)
    assert len(set(styles.COLOURS)) == len(styles.COLOURS) == 36
    assert min(map(styles.contrast, styles.COLOURS)) >= 1.9
    assert styles.contrast("#000000") == pytest.approx(21)
    assert styles.contrast("#767676") == pytest.approx(4.54, abs=0.01)  # WCAG's example
    shapes = [(styles.SHAPES[(n + n // 12) % 12], n % 12) for n in range(36)]
    assert len(set(shapes)) == 36
    assert looks["MAML, second order"]["linestyle"] != looks["MAML, first order"]["linestyle"]


def test_a_name_is_no_mathematics(tmp_path):
    record = run("mine") | {"algorithm": {"label": r"$\frac$ & $", "order": None, "role": None}}
    assert plots.write_all(tmp_path, [record])


def test_an_unwritable_folder_is_said(tmp_path):
    (tmp_path / "figures").touch()
    with pytest.raises(BenchError, match="cannot be written"):
        plots.write_all(tmp_path, [run("maml")])


def curve_run(algorithm, means=(0.6, 0.7, 0.8), shots=(1, 5, 10)):
    """A record tested at several numbers of answers shown, two students each."""
    record = run(algorithm, ways=None, shots=max(shots), inner_lr=0.1)
    record["experiment"]["dataset"] = "irt"
    values = [v for mean in means for v in (mean - 0.1, mean + 0.1)]
    views = []
    for n, mean in zip(shots, means):
        metric = {"mean": mean, "ci95": 0.1, "per_step": [0.5, mean]}
        views.append({"shots": n, "episodes": 2, "metrics": {"auc": metric}, "recovery": {}})
    record["metrics"] = {"headline": "auc", "higher_is_better": True, "auc": metric}
    record["evaluation"] = {
        "episodes": len(values),
        "split": "test",
        "index": list(range(len(values))),
        "per_episode": {"auc": values},
        "views": views,
    }
    return record


def test_a_curve_goes_through_every_number_of_answers_shown():
    records = [curve_run("bilevel_irt"), curve_run("bayes", (0.7, 0.8, 0.9)), curve_run("rasch")]
    (axes,) = plots.draw(charts.curves(plots.cells(records), plots.summary(records))).axes
    assert axes.get_title() == "irt (synthetic)"
    assert axes.get_ylabel() == "AUC, higher is better"
    assert axes.get_xscale() == "log"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "5", "10"]
    drawn = {c.get_label(): c.lines[0].get_xydata().tolist() for c in axes.containers}
    assert drawn["Bayes ceiling"] == [[1, 0.7], [5, pytest.approx(0.8)], [10, 0.9]]
    assert drawn.keys() == {"Bayes ceiling", "bilevel IRT, second order", "Rasch, posterior mean"}
    assert len(drawn) == len(axes.containers)


def trained_for(algorithm, iterations, mean):
    record = run(algorithm)
    record["experiment"] |= {"iterations": iterations, "key": f"{algorithm}-{iterations}"}
    record["training"] |= {"iterations": iterations, "seconds": 60.0 * iterations}
    record["evaluation"]["per_episode"] = {"accuracy": [mean - 0.1, mean, mean + 0.1]}
    return record


def test_trainings_of_several_lengths_make_a_line(tmp_path, monkeypatch):
    records = [trained_for("maml", n, m) for n, m in ((1, 0.3), (100, 0.7), (10, 0.6))]
    records += [trained_for("fomaml", n, m) for n, m in ((1, 0.4), (10, 0.5))]
    records.append(run("random_init"))
    drawn = {}
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.update({path.stem: figure}))
    plots.write_all(tmp_path, records)
    (axes,) = drawn["quick-lengths"].axes
    points = {c.get_label(): c.lines[0].get_xydata().tolist() for c in axes.containers}
    assert points == {
        "MAML, second order": [pytest.approx(p) for p in ([1, 0.3], [10, 0.6], [100, 0.7])],
        "MAML, first order": [pytest.approx(p) for p in ([1, 0.4], [10, 0.5])],
    }
    axes.figure.draw_without_rendering()
    ticks = [label.get_text() for label in axes.get_xticklabels() if label.get_text()]
    assert {"1", "2", "5", "10", "100"} <= set(ticks)
    assert not any(label.get_text() for label in axes.get_xticklabels(minor=True))
    (axes,) = drawn["quick-price"].axes  # the others show the longest of each
    assert [c.get_label() for c in axes.containers] == [
        "MAML, second order (iterations=100)",
        "MAML, first order (iterations=10)",
    ]


def test_a_training_that_shared_its_cores_does_not_move_its_point(tmp_path, monkeypatch):
    records = [trained_for("maml", 1, 0.3)]
    for seed, seconds in enumerate((60.0, 62.0, 600.0)):
        record = trained_for("maml", 10, 0.6)
        record["experiment"] |= {"seed": seed, "key": f"maml-10-{seed}"}
        record["training"]["seconds"] = seconds
        records.append(record)
    drawn = {}
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.update({path.stem: figure}))
    plots.write_all(tmp_path, records)
    (line,) = drawn["quick-lengths"].axes[0].containers
    assert max(line.lines[0].get_xdata()) == pytest.approx(62 / 60)


def test_a_suite_of_curves_and_other_data_keeps_every_panel(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.update({path.stem: figure}))
    records = [curve_run("bilevel_irt"), run("maml", shots=1), run("maml", shots=5)]
    plots.write_all(tmp_path, records)
    titles = {name: [a.get_title() for a in figure.axes] for name, figure in drawn.items()}
    assert titles["quick-answers"] == ["irt (synthetic)"]
    for name in ("steps", "price", "time", "validation"):
        assert titles[f"quick-{name}"] == [
            "glyphs (synthetic), 5-way 1-shot",
            "glyphs (synthetic), 5-way 5-shot",
            "irt (synthetic), 10-shot",
        ]


def test_a_long_legend_leaves_the_panels_their_height(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.update({path.stem: figure}))
    algorithms = registry.names("algorithms")
    plots.write_all(tmp_path, [run(name) for name in algorithms])
    figure = drawn["quick-steps"]
    figure.draw_without_rendering()
    height = figure.axes[0].get_position().height * figure.get_figheight()
    assert len(figure.legends[0].get_texts()) > 20
    assert height > 1.5, height  # inches

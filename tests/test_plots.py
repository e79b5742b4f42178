import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bench import plots
from bench.errors import BenchError


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
        "training": {"iterations": 1000, "validation": [[500, 0.4], [1000, None]] if cost else []},
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


def test_three_figures_a_suite(tmp_path):
    records = [run(a, w, s) for a in ("maml", "fomaml") for w, s in ((5, 1), (5, 5), (None, 10))]
    records += [run("no_adaptation", steps=1), run("random_init", cost=False), run("anil")]
    paths = plots.write_all(tmp_path, records)
    assert [p.name for p in paths] == ["quick-steps.png", "quick-price.png", "quick-validation.png"]
    assert sorted((tmp_path / "figures").iterdir()) == sorted(paths)
    before = [p.read_bytes() for p in paths]
    plots.write_all(tmp_path, records)
    assert [p.read_bytes() for p in paths] == before  # the same records give the same files


def test_a_figure_without_numbers_is_left_out(tmp_path):
    paths = plots.write_all(tmp_path, [run("random_init", cost=False)])
    assert [p.name for p in paths] == ["quick-steps.png"]
    assert plots.write_all(tmp_path, [run("item_mean", cost=False, steps=1)]) == []


def test_what_a_panel_shows():
    records = [run("maml", seed=s) for s in (0, 1)] + [run("item_mean", steps=1)]
    members, table = plots.cells(records), plots.summary(records)
    (axes,) = plots.steps(members, table).axes
    assert axes.get_title() == "glyphs (synthetic), 5-way 1-shot"
    assert axes.get_ylabel() == "accuracy, higher is better"
    curve, floor = axes.lines
    assert curve.get_label() == "MAML, second order"
    assert curve.get_ydata() == pytest.approx([0.2, 0.2, 0.6])
    assert np.ptp(floor.get_ydata()) == 0
    (axes,) = plots.validation(members, table).axes
    assert len(axes.lines) == 3  # a line a seed
    (axes,) = plots.price(members, table).axes
    assert len(axes.containers) == 1  # no floor


def test_variants_and_algorithms_of_ones_own_can_be_told_apart():
    records = [run("maml", inner_steps=s) for s in (1, 5)] + [run("anil"), run("reptile")]
    (axes,) = plots.steps(plots.cells(records), plots.summary(records)).axes
    full, hollow, *own = axes.lines
    assert full.get_markerfacecolor() == full.get_color()
    assert to_rgb(hollow.get_markerfacecolor()) == (1, 1, 1)
    assert len({line.get_color() for line in own}) == 2


def test_an_unwritable_folder_is_said(tmp_path):
    (tmp_path / "figures").touch()
    with pytest.raises(BenchError, match="cannot write"):
        plots.write_all(tmp_path, [run("maml")])

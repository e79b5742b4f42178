"""The benchmark command: checks before it times, and says what it measured."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console

from bench.base.errors import BenchError
from bench.checks.speed import command, measure, report, scaling
from bench.checks.speed.measure import Contestant, Worker
from bench.checks.speed.workloads import WORKLOADS
from bench.cli.main import main

TINY = replace(WORKLOADS["student"], tasks=2, inner_steps=1)
ABOUT = {"seconds_to_start": 1.5, "version": "1", "python": "3.11", "allocator": "default"}


def record(**rows):
    """A record with these seconds, one process each unless given twice."""
    return {
        "workload": asdict(TINY),
        "order": 2,
        "rounds": 3,
        "cores": 2,
        "rows": [
            {
                "contestant": name,
                "gradient_error": 1e-15,
                "timings": [
                    {"processes": n, "about": ABOUT, "seconds": seconds}
                    for n, seconds in enumerate(splits, 1)
                ],
                "peak_mib": 12.3,
            }
            for name, splits in rows.items()
        ],
        "refused": {"higher": "its meta-gradient is 1.0e-02 off"},
        "floor": {"operations": 1e9, "operations_per_second": 1e11},
        "allocator": "default",
        "provenance": {"device": "a processor", "torch": "2.15"},
    }


def test_rows_take_each_best_split_and_ratios_round_by_round():
    rows = report.rows_of(
        record(
            maml_bench=[[0.030, 0.040, 0.050], [0.010, 0.020, 0.040]],
            learn2learn=[[0.020, 0.080, 0.080], [0.9, 0.9, 0.9]],
        )
    )
    ours, theirs = rows
    assert (ours["contestant"], ours["split"], ours["ms"]) == ("maml-bench", "2 x 1", 20)
    assert (theirs["split"], theirs["ratio"]) == ("1 x 2", 1)
    assert ours["ratio"] == 0.5  # the median of 0.5, 0.25 and 0.5
    assert (ours["one_ms"], ours["one_ratio"]) == (40, 0.5)  # the first split, medians
    assert ours["of_floor"] == pytest.approx(2)


def test_tables_say_what_was_measured(tmp_path):
    found = record(plain_loop=[[0.2] * 3], maml_bench=[[0.1] * 3])
    path = report.write(tmp_path, found)
    found = json.loads(json.dumps(found))
    assert report.read_all(tmp_path) == [found] == [json.loads(path.read_text())]
    assert "| 0.50 (0.50) | 1.00 (1.00) |" in report.brief([found])
    text = report.markdown([found])
    assert (
        "| maml-bench | 1 x 2 | 100 (100-100) | 0.50 (0.50-0.50) | 100 | 0.50 | 10.0 | 12 | 1.5 |"
        in text
    )
    for words in ("ratio to plain-loop", "1.00 GFLOP", "a processor", "Not timed: higher"):
        assert words in text
    console = Console(width=200, record=True)
    report.show(found, console)
    assert "100 (100-100)" in console.export_text()
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- table: speed -->\n<!-- /table -->\nb\n")
    command.finish(tmp_path, readme, console)
    assert report.brief([found]) in readme.read_text()
    assert (tmp_path / "figures" / "speed.png").stat().st_size > 10_000


def test_a_damaged_record_is_named(tmp_path):
    path = report.write(tmp_path, record(maml_bench=[[0.1]]))
    path.write_text("{")
    with pytest.raises(BenchError, match="order2"):
        report.read_all(tmp_path)


def test_weights_fit_the_suites_networks():
    from bench.checks.speed.torch_parts import parts

    for workload in WORKLOADS.values():
        net, batch, loss = parts(replace(workload, tasks=1), "float32")
        assert loss(net(batch[0][0]), batch[1][0]).isfinite()


@pytest.mark.slow
def test_contestants_agree_and_are_timed():
    contestants = [Contestant("maml_bench"), Contestant("plain_loop")]
    for name in ("student", "omniglot"):
        errors = measure.gradient_errors(contestants, replace(WORKLOADS[name], widths=(4,) * 4), 2)
        assert max(errors.values()) < 1e-10
    said = []
    timings, floor = measure.interleaved([(c, TINY, 2) for c in contestants], 2, 2, said.append)
    assert [[t.processes for t in of_one] for of_one in timings] == [[1, 2], [1, 2]]
    assert all(s > 0 for of_one in timings for t in of_one for s in t.seconds)
    # one inner step of 10 rows: forward, backward and twice that to differentiate them; 40 query
    layers = 64 * 64 * 2 + 64
    assert 2 * 2 * layers * (10 * 6 + 40 * 2) < floor["operations"] < 2 * 2 * layers * 220
    assert 0 < measure.peak_memory(contestants[0], TINY, 2, 1) < 1000


def test_who_differs_is_not_timed(tmp_path, monkeypatch):
    timed = []

    def interleaved(given, rounds, cores, say):
        timed.extend(c.name for c, _, _ in given)
        timing = measure.Timing(1, ABOUT, [0.1] * rounds)
        return [[timing] for _ in given], {"operations": 1e9, "operations_per_second": 1e11}

    monkeypatch.setattr(measure, "interleaved", interleaved)
    monkeypatch.setattr(measure, "peak_memory", lambda *a: 1.0)
    errors = {"plain_loop": 0.0, "maml_bench": 1e-3, "higher": "ended with code 1"}
    monkeypatch.setattr(measure, "gradient_errors", lambda *a: errors)
    console = Console(width=200, record=True)
    contestants = [Contestant("plain_loop"), Contestant("maml_bench"), Contestant("higher")]
    command.compare([TINY], [2], contestants, 3, tmp_path, console)
    assert timed == ["plain_loop"]
    text = " ".join(console.export_text().split())
    assert "Not timed: maml-bench (its meta-gradient is 1.0e-03 off)" in text
    assert "Not timed: higher (ended with code 1)" in text


def test_a_process_that_dies_says_why():
    with (
        Worker(Contestant("learn2learn"), TINY, 2, 1) as worker,
        pytest.raises(BenchError, match="learn2learn on student, order 2: ended with code 1"),
    ):
        worker.answer()


def test_missing_peers_are_named_and_left_out():
    said = []
    found = measure.field_of({}, ["maml-bench", "torchopt"], said.append)
    assert [c.name for c in found] == ["maml_bench"]
    assert "--peer-python torchopt=PYTHON" in said[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workload", "omnigot"], "did you mean omniglot"),
        (["--peer-python", "learn2learn"], "write NAME=PYTHON"),
        (["--peer-python", "learn2learn=/no/python"], "No such file"),
        (["--contestants", "maml_bensh"], "did you mean maml_bench"),
        (["--tasks", "0"], "give at least 1"),
        (["--rounds", "0"], "give at least 1"),
        (["--table"], "no records"),
    ],
)
def test_mistakes(arguments, words, tmp_path, capsys):
    assert main(["speed", "--out", str(tmp_path), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_growth_is_shown(tmp_path, monkeypatch):
    def interleaved(given, rounds, cores, say):
        return [
            [
                measure.Timing(n, ABOUT, [workload.tasks * order / 1000 / n] * rounds)
                for n in (1, cores)
            ]
            for _, workload, order in given
        ], {}

    monkeypatch.setattr(scaling, "interleaved", interleaved)
    monkeypatch.setattr(scaling, "peak_memory", lambda c, w, *a: float(w.inner_steps))
    console = Console(width=200, record=True)
    for what in scaling.VALUES:
        command.grow(WORKLOADS["mini"], what, 1, tmp_path, console)
        assert (tmp_path / "figures" / f"speed-mini-scaling-{what}.png").exists()
    rows = json.loads((tmp_path / "speed" / "mini-scaling-tasks.json").read_text())["rows"]
    assert [r["ms"] for r in rows if r["line"] == "order 2"] == pytest.approx(
        [2 * v for v in scaling.VALUES["tasks"]]
    )
    lines = {r["line"] for r in rows}
    rows = json.loads((tmp_path / "speed" / "mini-scaling-cores.json").read_text())["rows"]
    assert {r["line"] for r in rows} == lines | {"order 2, one process"}
    rows = json.loads((tmp_path / "speed" / "mini-scaling-devices.json").read_text())["rows"]
    assert [r["ms"] for r in rows if r["line"] == "order 1"] == pytest.approx([4, 2])
    assert np.isfinite([r["peak_mib"] for r in rows]).all()


@pytest.mark.slow
def test_overhead(tmp_path, monkeypatch, capsys):
    from bench.checks.speed import overhead

    monkeypatch.setattr(overhead, "ITERATIONS", 3)
    assert main(["speed", "--overhead", "--rounds", "1", "--out", str(tmp_path)]) == 0
    assert "data and Lightning are" in " ".join(capsys.readouterr().out.split())
    found = json.loads((tmp_path / "speed" / "overhead.json").read_text())
    assert overhead.share(found | {"fit": [2.0, 4.0, 4.0], "bare": [1.0, 3.0, 3.0]}) == 0.25


def test_evaluation(tmp_path, monkeypatch, capsys):
    from bench.checks.speed import evaluation

    monkeypatch.setattr(evaluation, "SECONDS", 0.0)
    asked = ["speed", "--evaluation", "--workload", "student", "--rounds", "2"]
    assert main([*asked, "--tasks", "2", "--out", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "student, 2 tasks, 5 steps: evaluation after the last alone" in said
    (row,) = json.loads((tmp_path / "speed" / "evaluation.json").read_text())["rows"]
    training, every, last = row["seconds"].values()
    assert len(training) == len(every) == len(last) == 2
    known = {evaluation.TRAINING: [2.0, 4.0, 4.0], "evaluation": [1.0, 1.0, 2.0]}
    assert evaluation.shares(known) == {evaluation.TRAINING: 1, "evaluation": 0.5}


def test_episodes_are_timed(tmp_path, monkeypatch, capsys):
    from bench.checks.speed import episodes

    monkeypatch.setattr(episodes, "MINI", ({"train": 5, "val": 1, "test": 1}, 20, (84, 84, 3)))
    monkeypatch.setattr(episodes, "EPISODES", 2)
    assert main(["speed", "--episodes", "--rounds", "3", "--out", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "one episode, 5-way 5-shot 15 queries, 84x84: " in said
    found = json.loads((tmp_path / "speed" / "episodes.json").read_text())
    assert [len(row["seconds"]) for row in found["rows"]] == [3, 6, 6]
    assert all(0 < s < 60 for r in found["rows"] for s in r["seconds"] + r["core_seconds"])

"""Who computes the right meta-gradient: the reference, the verdicts and the table."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from bench.base.errors import BenchError
from bench.checks.exactness import compare, reference, table
from bench.checks.exactness.layers import LAYERS
from bench.checks.exactness.sizes import PADDING
from bench.checks.exactness.torch_layers import without_checkpoints
from bench.checks.speed import contestants, torch_parts
from bench.checks.speed.contestants import maml_bench, maml_bench_loop, maml_bench_recorded
from bench.checks.speed.measure import Contestant
from bench.cli.main import main

REFUSED = {"running_batch_norm": "running statistics", "checkpointing": "checkpointing"}
RECORDS = Path(__file__).parents[3] / "results"


@pytest.mark.parametrize("name", LAYERS)
def test_the_reference_is_the_derivative_of_the_meta_loss(name):
    layer = LAYERS[name]
    net, batch, _ = torch_parts.parts(layer, "float64")
    net = without_checkpoints(net)
    gradient = reference.meta_gradient(layer, 2)
    random, step = torch.Generator().manual_seed(0), 1e-6
    directions = [torch.randn(p.shape, generator=random, dtype=p.dtype) for p in net.parameters()]
    if name == "embedding":
        directions[0][PADDING] = 0  # which does not learn

    def meta_loss(sign):
        start = [
            (p + sign * step * d).detach().requires_grad_()
            for p, d in zip(net.parameters(), directions)
        ]
        return reference.meta_loss(layer, net, start, batch, 2).item()

    slope = (meta_loss(1) - meta_loss(-1)) / (2 * step)
    named = dict(zip(dict(net.named_parameters()), directions))
    wanted = sum((gradient[n] * d.numpy()).sum() for n, d in named.items())
    assert slope == pytest.approx(wanted, rel=1e-6)


@pytest.mark.filterwarnings("ignore:LSTM cannot be vectorised")
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_the_suite_is_exact_or_refuses(name, order):
    layer = LAYERS[name]
    for contestant in (maml_bench, maml_bench_loop, maml_bench_recorded):
        refused = name in REFUSED
        with pytest.raises(BenchError, match=REFUSED[name]) if refused else nullcontext():
            gradient = contestant.build(layer, order, "float64")[0]()
        if not refused:
            assert reference.error(gradient, reference.meta_gradient(layer, order)) < 1e-12


def test_orders_differ():
    for layer in LAYERS.values():
        first, second = (reference.meta_gradient(layer, order) for order in (1, 2))
        assert reference.error(first, second) > 1e-4, layer.name


WRONG = '''
"""A contestant whose second order leaves something out."""

from bench.checks.speed.contestants import maml_bench_loop

ORDERS = (1, 2)
package = "torch"


def build(workload, order, dtype):
    if workload.name == "lstm":
        raise NotImplementedError("no recurrent layers\\nand more words")
    if workload.name == "group_norm":
        import os

        os._exit(7)
    if workload.name == "tied":
        return (lambda: {}), None
    gradient, iteration = maml_bench_loop.build(workload, 1, dtype)
    return gradient, iteration
'''


@pytest.fixture
def wrong(monkeypatch, tmp_path):
    """A contestant that is first order whatever it is asked for, and worse."""
    (tmp_path / "on_purpose_wrong.py").write_text(WRONG)
    monkeypatch.setattr(contestants, "__path__", [*contestants.__path__, str(tmp_path)])
    code = (
        "import runpy, sys; from bench.checks.speed import contestants as c; "
        f"c.__path__.append({str(tmp_path)!r}); del sys.argv[1]; "
        "runpy.run_module(sys.argv.pop(1), run_name='__main__')"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    python.chmod(0o755)
    return Contestant("on_purpose_wrong", str(python))


@pytest.mark.slow
def test_a_wrong_gradient_is_shown_as_wrong(wrong, tmp_path):
    kinds = [LAYERS[n] for n in ("linear", "lstm", "group_norm", "tied", "attention")]
    made = compare.record(wrong, kinds, lambda words: None)
    rows = {(r["layer"], r["order"]): r for r in made["rows"]}
    assert rows["linear", 1]["error"] < 1e-12
    layer = LAYERS["linear"]
    off = reference.error(*(reference.meta_gradient(layer, order) for order in (1, 2)))
    assert rows["linear", 2]["error"] == pytest.approx(off)
    assert rows["lstm", 2]["raises"] == "NotImplementedError: no recurrent layers"
    assert "ended with code 7" in rows["group_norm", 2]["raises"]
    assert "not of the weights" in rows["tied", 1]["raises"]
    assert rows["attention", 1]["error"] < 1e-12  # in a process anew
    table.write(tmp_path, made)
    text = table.markdown(table.read_all(tmp_path))
    assert f"**{off:.0e}**" in text
    assert "* a: on-purpose-wrong: ended with code 7" in text
    console = Console(width=120, record=True)
    table.show([made], console)
    assert f"linear {off:.0e}" in console.export_text()


def record(contestant, rows, **others):
    return {
        "contestant": contestant,
        "version": "1.2",
        "torch": "2.15",
        "orders": [2, 1],
        "rows": [dict(zip(("layer", "order", "error", "raises"), r)) for r in rows],
        "tolerance": 1e-8,
        "command": "maml-bench speed --exactness --contestants it",
        "provenance": {"bench": "0.1.0"},
    } | others


def test_the_table_tells_exact_from_wrong_and_from_raised(tmp_path):
    peer = record(
        "a_peer",
        [
            ("linear", 2, 1e-15, None),
            ("linear", 1, 2e-8, None),
            ("lstm", 2, None, "RuntimeError: a | b < c_d"),
            ("embedding", 2, None, "RuntimeError: a | b < c_d"),
            ("shared", 2, None, "ValueError: " + 300 * "x"),
        ],
    )
    ours = record("maml_bench", [("linear", 2, 0.0, None)], orders=[2])
    for made in (peer, ours):
        table.write(tmp_path, made)
    found = table.read_all(tmp_path)
    assert [table.label_of(r) for r in found] == ["maml-bench", "a-peer"]  # this suite's first
    lines = table.markdown(found).splitlines()
    second = next(v for v in lines if v.startswith("| a-peer"))
    assert second.startswith("| a-peer | 1.2 | exact | - |")
    assert second.count(" a |") == 2
    assert second.count(" b |") == 1
    first = [v for v in lines if v.startswith("| a-peer")][1]
    assert first.startswith("| a-peer | 1.2 | **2e-08** |")
    assert [v for v in lines if v.startswith("| maml-bench")] == [
        next(v for v in lines if v.startswith("| maml-bench | 0.1.0 | exact |"))
    ]
    assert r"* a: RuntimeError: a \| b &lt; c\_d" in lines
    assert max(map(len, (v for v in lines if v.startswith("* b:")))) < 170


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "exactness").mkdir()
    (tmp_path / "exactness" / "x.json").write_text(json.dumps({"contestant": "x"}))
    with pytest.raises(BenchError, match="x.json: not a record"):
        table.read_all(tmp_path)


def test_the_table_is_made_again_from_the_records(tmp_path, capsys):
    given = ["speed", "--exactness", "--table", "--out", str(tmp_path)]
    assert main(given) == 2
    assert "no records under" in capsys.readouterr().err
    table.write(tmp_path, record("a_peer", [("linear", 2, 0.5, None)]))
    assert main(given) == 0
    assert "linear 5e-01" in capsys.readouterr().out


def test_error_is_relative_and_of_the_same_weights():
    true = {"a": np.array([3.0, 0.0]), "b": np.array([4.0])}
    assert reference.error({"b": np.array([4.0]), "a": np.array([3.0, 1.0])}, true) == 0.2
    with pytest.raises(ValueError, match="not of the weights"):
        reference.error({"a": np.zeros(2)}, true)


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table: exactness -->\n<!-- /table -->\n")
    arguments = ["--contestants", "plain-loop", "--out", str(tmp_path), "--readme", str(readme)]
    assert main(["speed", "--exactness", *arguments]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "plain-loop" in said
    assert "| plain-loop |" in readme.read_text()


def test_the_published_table_is_of_the_records():
    text = (RECORDS / "README.md").read_text()
    assert table.markdown(table.read_all(RECORDS)) in text
    for made in table.read_all(RECORDS):
        ours = made["contestant"].startswith("maml_bench")
        wrong = [r for r in made["rows"] if r["raises"] is None and r["error"] > 1e-8]
        assert not (ours and wrong)

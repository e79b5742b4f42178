"""What mixed precision costs in exactness stays within what is recorded."""

import json
from pathlib import Path

import pytest

from bench.base import registry
from bench.checks.exactness import precision
from bench.checks.exactness.precision import Case
from bench.cli.main import main

RECORD = Path(__file__).resolve().parents[3] / "results" / "precision" / "errors.json"
ROWS = json.loads(RECORD.read_text())["rows"]
MIXED = ("bf16-mixed", "16-mixed")


def case(row):
    return Case(row["name"], row["data"], row["algorithm"], row["options"])


def test_every_method_and_network_is_in_the_table():
    methods = [(c.name, c.data) for c in precision.methods()]
    networks = [(c.name, c.data) for c in precision.networks()]
    assert [(r["name"], r["data"]) for r in ROWS] == methods + networks
    models = {model for _, model, _ in precision.NETWORKS.values()}
    assert models == set(registry.names("models")) - {"torchvision"}  # which needs weights


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['name']} on {r['data']}")
def test_errors_are_within_their_bounds(row):
    found = case(row).errors(MIXED)
    assert all(found[p] <= precision.bound(row, p) for p in MIXED), found


def test_products_are_computed_in_half_precision_and_the_rest_is_not():
    (row,) = (r for r in ROWS if r["name"] == "mlp, students, second order")
    found = case(row).errors(["32-true", *MIXED])
    assert found["32-true"] < 1e-5 < found["16-mixed"] < found["bf16-mixed"] < 0.1


@pytest.mark.parametrize(
    "options", [{"recompute": True}, {"engine": "recorded"}, {"engine": "loop"}]
)
def test_every_way_to_compute_it_is_as_far_off(options):
    several = {"model": "mlp", "inner_steps": 3, "inner_lr": 0.5}
    usual = Case("maml", "students", "maml", several)
    other = usual._replace(options=several | options)
    found, wanted = (c.gradient("bf16-mixed") for c in (other, usual))
    assert (found - wanted).norm() < 1e-3 * wanted.norm()  # of float64, 3e-2


def test_the_command_shows_the_table_and_refreshes_a_readme(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table: precision -->\n<!-- /table -->\n")
    out = RECORD.parents[1]
    command = ["speed", "--precision", "--table", "--out", str(out), "--readme", str(readme)]
    assert main(command) == 0
    assert "bf16-mixed" in capsys.readouterr().out
    text = readme.read_text()
    assert all(f"| {row['name']} | {row['data']} |" in text for row in ROWS)
    table = text.split("-->\n", 1)[1].split("\n<!--")[0]
    assert table in (out / "README.md").read_text()


def test_without_a_record(tmp_path, capsys):
    assert main(["speed", "--precision", "--table", "--out", str(tmp_path)]) == 2
    assert "make it with maml-bench speed --precision" in " ".join(capsys.readouterr().err.split())

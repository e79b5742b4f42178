"""Lightning's strategies that make processes of their own: what they train comes back."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, warnings
import torch
from lightning import Trainer
from bench import MAML, SinusoidDataModule
from bench.tasks.episode import TaskSpec

warnings.simplefilter("ignore")
STEPS = {"tasks_per_batch": 4, "iterations_per_epoch": 30, "val_episodes": 8, "test_episodes": 20}

def trainer(**options):
    return Trainer(
        max_epochs=1, precision="64-true", accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options
    )

def trained(spec, **options):
    model, data = MAML(outer_lr=0.01, inner_steps=2, spec=spec), SinusoidDataModule(**STEPS)
    trainer(**options).fit(model, data)
    x = torch.linspace(-2, 2, 10, dtype=torch.double)[:, None]
    adapted = model.adapt(x, x.sin())(x)  # before anything else tells what the tasks look like
    score = trainer(devices=1).test(model, data, verbose=False)[0]["test/mse"]
    weights = torch.cat([p.detach().flatten() for p in model.net.parameters()])
    assert weights.dtype == torch.double
    return {"adapted": adapted.flatten().tolist(), "score": score, "weights": weights.tolist()}

if __name__ == "__main__":
    known = TaskSpec("regression", (1,), 1)
    found = {
        "one": trained(None, devices=1),
        "two": trained(None, devices=2, strategy=sys.argv[1]),
        "known": trained(known, devices=2, strategy=sys.argv[1]),
    }
    print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp_fork", "ddp_spawn"])  # ddp_notebook is ddp_fork
def test_trained_weights_come_back(strategy, tmp_path):
    script = tmp_path / "trains.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, strategy], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for part in ("adapted", "score", "weights"):
        wanted = pytest.approx(found["one"][part], rel=1e-9)
        assert found["two"][part] == wanted
        assert found["known"][part] == wanted

import numpy as np
import pytest


@pytest.fixture
def runs(new_record):
    """``runs("omniglot", gain=0.1)``: both orders of MAML and a floor, of so many seeds."""

    def make(dataset, seeds=1, gain=0.1, suite="quick", **changes):
        found = []
        for seed in range(seeds):
            for algorithm, order, value in (("maml", 2, gain), ("fomaml", 1, 0.0)):
                found.append(run(dataset, algorithm, seed, suite, 0.7 + value, order))
            found.append(run(dataset, "random_init", seed, suite, 0.4))
        for record in found:
            record.update(changes)
        return found

    def run(dataset, algorithm, seed, suite, mean, order=None):
        record = new_record(suite=suite, dataset=dataset, algorithm=algorithm, seed=seed)
        options = {"inner_lr": 0.1, "seed": seed} | ({"order": order} if order else {})
        record["experiment"] |= {"learner": options, "key": f"{dataset}-{algorithm}-s{seed}"}
        values = mean + np.random.default_rng(seed).normal(size=40) / 100
        record["metrics"]["accuracy"] = {
            "mean": float(values.mean()),
            "ci95": 0.01,
            "per_step": [0.2, float(values.mean())],
        }
        record["evaluation"] |= {
            "episodes": 40,
            "index": list(range(40)),
            "per_episode": {"accuracy": values.tolist()},
        }
        record["training"] |= {"best_iteration": 10, "validation": [[5, 0.4], [10, mean]]}
        record["cost"] = {
            "ms_per_iteration": 10.0 * (order or 1),
            "ms_low": 9.0,
            "ms_high": 30.0,
            "peak_memory_mib": 4.0 * (order or 1),
            "parameters": 10,
        }
        record["provenance"] |= {"date": "2026-11-29T10:00:00Z"}
        return record

    return make


@pytest.fixture
def trials(runs):
    """``trials("omniglot", [0.1, 0.5, 0.3])``: MAML with other inner learning rates."""

    def make(dataset, scores):
        found = []
        for number, score in enumerate(scores):
            record = runs(dataset, suite="quick-tuning")[0]
            record["experiment"]["learner"]["inner_lr"] = number / 10
            record["experiment"]["key"] += f"-{number}"
            record["metrics"]["accuracy"]["mean"] = score
            found.append(record)
        return found

    return make

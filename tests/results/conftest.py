import copy

import numpy as np
import pytest


def record(**experiment):
    """A small whole record, as a run leaves it."""
    return {
        "schema": 1,
        "experiment": {
            "suite": "quick",
            "dataset": "glyphs",
            "algorithm": "maml",
            "ways": 5,
            "shots": 1,
            "queries": 15,
            "seed": 0,
            "iterations": 10,
            "data": {"ways": 5},
            "learner": {"inner_lr": 0.123456789012},
            "key": "glyphs-5way-1shot-maml-s0-1a2b3c4d",
            **experiment,
        },
        "synthetic": True,
        "chosen": "by hand",
        "metrics": {
            "headline": "accuracy",
            "higher_is_better": True,
            "accuracy": {"mean": 0.5, "ci95": float("nan"), "per_step": [0.2, 0.5]},
        },
        "evaluation": {
            "episodes": 3,
            "split": "test",
            "index": np.arange(3),
            "per_episode": {"accuracy": np.float32([0.1, 1 / 3, np.nan])},
        },
        "training": {
            "iterations": 10,
            "seconds": 1.23456789,
            "best_iteration": None,
            "validation": [(5, 0.4), (10, 0.5)],
        },
        "cost": None,
        "provenance": {"bench": "0.1.0", "dirty": False},
    }


def stored(**experiment):
    """The same as it is read back."""
    found = record(**experiment)
    found["metrics"]["accuracy"]["ci95"] = None
    found["evaluation"]["index"] = [0, 1, 2]
    found["evaluation"]["per_episode"]["accuracy"] = [0.1, 0.3333333, None]
    found["training"]["validation"] = [[5, 0.4], [10, 0.5]]
    return found


@pytest.fixture
def new_record():
    """``new_record(seed=1)``: a small whole record, as a run leaves it, with arrays and NaN."""
    return record


@pytest.fixture
def changed():
    """``changed("experiment.seed", 1)``: a record as it is read back, with another value.

    :class:`KeyError` stands for no value.
    """

    def make(field, value, of=None):
        whole = copy.deepcopy(of or stored())
        *parents, last = field.split(".")
        part = whole
        for name in parents:
            part = part[int(name) if isinstance(part, list) else name]
        if value is KeyError:
            del part[last]
        else:
            part[last] = value
        return whole

    return make


@pytest.fixture
def viewed():
    """A record tested at 1 and 5 answers shown: one student, then two."""
    whole = stored()
    one = {"mean": 0.1, "ci95": None, "per_step": [0.2, 0.1]}
    whole["evaluation"]["views"] = [
        {"shots": 1, "episodes": 1, "metrics": {"accuracy": one}, "recovery": {}},
        {
            "shots": 5,
            "episodes": 2,
            "metrics": {"accuracy": one | {"mean": 0.4}, "brier": one},
            "recovery": {"mastery_auc": 0.7},
        },
    ]
    return whole

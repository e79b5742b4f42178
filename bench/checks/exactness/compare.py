"""Asks every contestant for its meta-gradient on every kind of layer, in both orders."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.base.errors import BenchError
from bench.checks.exactness import reference
from bench.checks.exactness.layers import Layer
from bench.checks.speed.measure import Contestant, Say
from bench.checks.speed.process import Process
from bench.results.provenance import provenance

ORDERS = (2, 1)


def record(contestant: Contestant, layers: Sequence[Layer], say: Say) -> dict:
    """What came out for one contestant, in processes of its own Python.

    Args:
        contestant: who.
        layers: the kinds of layers.
        say: told how it goes.

    Returns:
        Who it is and with which versions; and in ``rows``, for each layer and order that it offers,
        the relative ``error`` of its meta-gradient, or in words what it ``raises``.

    Raises:
        BenchError: if its library does not load.
    """
    about, rows = {}, []
    with tempfile.TemporaryDirectory() as folder:
        path, process = Path(folder) / "gradient.npz", None
        say(f"{contestant.label}: {len(layers)} kinds of layers")
        for layer in layers:
            for order in [o for o in ORDERS if o in contestant.module.ORDERS]:
                if process is None:
                    process = _start(contestant)
                    about = process.answer()
                try:
                    process.ask(layer=layer.name, order=order, path=str(path))
                    raises = process.answer()
                except BenchError as died:  # a fault in native code; the next has a process anew
                    process, raises = _end(process), str(died)
                row = {"layer": layer.name, "order": order, "error": None, "raises": raises}
                if raises is None:
                    with np.load(path) as arrays:
                        row |= _judged(dict(arrays), reference.meta_gradient(layer, order))
                rows.append(row)
        _end(process)
    elsewhere = f" --peer-python {contestant.label}=PYTHON" * (contestant.python != sys.executable)
    return {
        "contestant": contestant.name,
        **about,
        "orders": [o for o in ORDERS if o in contestant.module.ORDERS],
        "rows": rows,
        "tolerance": reference.TOLERANCE,
        "command": f"maml-bench speed --exactness --contestants {contestant.label}{elsewhere}",
        "provenance": provenance(),
    }


def _start(contestant: Contestant) -> Process:
    return Process(
        contestant.label,
        contestant.python,
        "bench.checks.exactness.worker",
        {"contestant": contestant.name},
        threads=1,
    )


def _end(process: Process | None) -> None:
    if process is not None:
        process.__exit__()


def _judged(gradient: dict, true: dict) -> dict:
    try:
        error = reference.error(gradient, true)
    except ValueError as wrong:
        return {"raises": str(wrong)}
    if not np.isfinite(error):
        return {"raises": "its gradient is not finite"}
    return {"error": error}

"""The process in which one contestant says its meta-gradients, one kind of layer at a time.

Run as ``python -m bench.checks.exactness.worker JSON``; see :mod:`bench.checks.speed.worker`.
"""

import importlib
import json
import os
import sys

import numpy as np

from bench.checks.exactness.layers import LAYERS
from bench.checks.speed.worker import lines, prepare_torch, version_of


def main() -> None:
    """Serves requests until the input ends; what a library raises is an answer."""
    answers = os.fdopen(os.dup(1), "w")  # libraries that print must not talk into the answers
    os.dup2(2, 1)
    given = json.loads(sys.argv[1])
    module = importlib.import_module(f"bench.checks.speed.contestants.{given['contestant']}")
    importlib.import_module(module.package)
    about = {"version": version_of(module.package), "python": sys.version.split()[0]}
    if module.package != "jax":
        prepare_torch(threads=1)
        import torch

        torch.set_default_dtype(torch.float64)  # some make tensors of their own
        about["torch"] = version_of("torch")
    print(json.dumps(about), file=answers, flush=True)
    for request in map(json.loads, lines()):
        try:
            layer = LAYERS[request["layer"]]
            gradient, _ = module.build(layer, request["order"], "float64")
            np.savez(request["path"], **gradient())
            answer = None
        except Exception as error:
            words = str(error).strip().splitlines()[:1] or ["without a word"]
            answer = f"{type(error).__name__}: {words[0]}"
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

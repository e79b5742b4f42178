"""The process in which one contestant runs: answers one line of JSON for every line it is sent.

Run as ``python -m bench.checks.speed.worker JSON``. Needs numpy and the contestant's own library
only, so that it works in an environment where the rest of the suite is not installed.
"""

import importlib
import importlib.metadata
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator

from bench.base.allocator import keep_memory
from bench.checks.speed.workloads import Workload
from bench.running.probe import CudaPeak, ResidentPeak


def main() -> None:
    """Builds what the first argument describes and serves requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w")  # libraries that print must not talk into the answers
    os.dup2(2, 1)
    given = json.loads(sys.argv[1])
    allocator = keep_memory() if given["keep_memory"] else "default"
    workload = Workload(**given["workload"])
    module = importlib.import_module(f"bench.checks.speed.contestants.{given['contestant']}")
    importlib.import_module(module.package)
    for name in getattr(module, "IMPORTS", ()):
        importlib.import_module(name)
    if module.package != "jax":
        prepare_torch(given["threads"])
    on_gpu = workload.accelerator == "gpu"
    peak = CudaPeak() if on_gpu and module.package != "jax" else ResidentPeak()
    start = time.perf_counter()
    peak.start()
    gradient, iteration = module.build(workload, given["order"], given["dtype"])
    if given["warm_up"]:
        _timed(iteration, 2, on_gpu)
    about = {
        "seconds_to_start": time.perf_counter() - start,
        "peak_mib": None if on_gpu and module.package == "jax" else peak.mib(),
        "device": _device_name() if on_gpu else None,
        "version": version_of(module.package),
        "python": sys.version.split()[0],
        "allocator": allocator,
    }
    for request in itertools.chain([{"do": "about"}], map(json.loads, lines())):
        match request["do"]:
            case "about":
                answer = about
            case "gradient":
                answer = _saved(gradient(), request["path"])
            case "iterate":
                answer = _timed(iteration, request["count"], on_gpu)
            case "flops":
                answer = _flops(iteration)
            case "rate":
                answer = _matrix_rate(workload.device)
        print(json.dumps(answer), file=answers, flush=True)


def version_of(package: str) -> str:
    """Of a package, by the name that it is imported as."""
    library = importlib.import_module(package)
    if hasattr(library, "__version__"):
        return library.__version__
    return importlib.metadata.version(importlib.metadata.packages_distributions()[package][0])


def lines() -> Iterator[str]:
    """What is asked, until the input ends."""
    while line := sys.stdin.readline():
        yield line


def _timed(iteration, count: int, on_gpu: bool) -> float:
    """Seconds of one; JAX waits for each of its own iterations."""
    start = time.perf_counter()
    for _ in range(count):
        iteration()
    if on_gpu and "torch" in sys.modules:
        sys.modules["torch"].cuda.synchronize()
    return (time.perf_counter() - start) / count


def _saved(gradient: dict, path: str) -> None:
    import numpy as np

    np.savez(path, **gradient)


def prepare_torch(threads: int) -> None:
    """Sets the number of threads, and loads what Adam needs; float32 is float32 on a GPU too."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(threads)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # loads what is no part of the step


def _flops(iteration) -> int:
    """Operations of matrix products and convolutions in one iteration."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        iteration()
    return counter.get_total_flops()


def _matrix_rate(device: str) -> float:
    """Operations a second of a large single-precision matrix product, the best of five."""
    import torch

    on_gpu = device != "cpu"
    side = 8192 if on_gpu else 1024
    a = torch.randn(side, side, device=device)
    return 2 * side**3 / min(_timed(lambda: a @ a, 3, on_gpu) for _ in range(5))


def _device_name() -> str | None:
    """The GPU's, where torch can tell."""
    return sys.modules["torch"].cuda.get_device_name() if "torch" in sys.modules else None


if __name__ == "__main__":
    main()

"""What one meta-iteration costs, measured in a process of its own.

A fresh process, so that what one algorithm has allocated does not hide what the next one needs.
Processes are forked from a server that has imported the heavy modules and done nothing else: only
the first probe pays for the imports, and no process is ever forked that has run a network (forking
one with OpenMP threads hangs).
"""

import contextlib
import gc
import multiprocessing
import signal
import sys
import time
from pathlib import Path

from bench.errors import BenchError

WARM_UP, LEAST, SECONDS = 2, 5, 5.0  # untimed iterations; fewest timed ones; stop after
PRELOAD = ["bench.probe", "torch", "lightning", "bench.learner", "bench.data_module"]
MIB = 2**20


def measure(build: dict, iterations: int = 10) -> dict:
    """Time and memory of one meta-iteration: inner loops, meta-gradient and Adam step.

    Drawing the episodes is not in it: all iterations are on the same meta-batch.

    Args:
        build: ``{"algorithm": name, "learner": {...}, "dataset": name, "data": {...},
            "accelerator": "cpu"}``.
        iterations: timed iterations; fewer where they take more than five seconds in all, but
            five at least.

    Returns:
        ``ms_per_iteration`` (median), ``ms_low`` and ``ms_high`` (quartiles), ``peak_memory_mib``
        (memory that one meta-iteration needs above what the process holds before it: resident
        memory on a CPU, allocated memory on a GPU; None where it cannot be told) and
        ``parameters``.

    Raises:
        BenchError: if the process fails, or is killed for want of memory.
    """
    forkserver = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forkserver else "spawn")
    if forkserver:
        context.set_forkserver_preload(PRELOAD)
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None  # what training here would use
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(sender, build, iterations, threads), name="probe", daemon=True
    )
    name = f"probe of {build['algorithm']} on {build['dataset']}"
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:  # it died without a word
        process.join()
        if process.exitcode == -9:
            raise BenchError(
                f"{name}: the process was killed, most likely for want of memory; choose fewer "
                "inner_steps, tasks_per_batch or filters, or order 1"
            ) from None
        raise BenchError(f"{name}: the process ended with code {process.exitcode}") from None
    finally:
        receiver.close()
        process.terminate()
        process.join()
    if isinstance(result, str):
        raise BenchError(f"{name}: {result}")
    return result


def _child(sender, build: dict, iterations: int, threads: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    try:
        result = _measured(build, iterations, threads)
    except BenchError as error:
        result = str(error)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    sender.send(result)


def _measured(build: dict, iterations: int, threads: int | None) -> dict:
    import numpy as np
    import torch

    from bench import registry

    if threads is not None:
        torch.set_num_threads(threads)
    device = build.get("accelerator", "cpu")
    if device in ("gpu", "auto"):
        device = "cuda" if device == "gpu" or torch.cuda.is_available() else "cpu"
    data = registry.create("data", build["dataset"], **build["data"])
    spec = data.spec._asdict() | {"input_shape": list(data.spec.input_shape)}
    options = build["learner"] | {"spec": spec}
    learner = registry.create("algorithms", build["algorithm"], **options)
    learner.configure_model()
    learner.to(device)
    episode = data.episodes("train", np.arange(data.hparams["tasks_per_batch"]))
    episode = type(episode)(*(v if v is None else v.to(device) for v in episode))
    weights = [p for p in learner.parameters() if p.requires_grad]
    adam = torch.optim.Adam(weights, lr=learner.hparams["outer_lr"])

    def iteration() -> float:
        start = time.perf_counter()
        learner.loss(episode).mean().backward()
        adam.step()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        adam.zero_grad()  # so that memory is back where it was
        return seconds

    memory = _CudaPeak() if device == "cuda" else _ResidentPeak() if device == "cpu" else None
    for _ in range(WARM_UP):  # Adam's state, kernels chosen, libraries loaded
        iteration()
    if memory:
        memory.start()
    seconds: list[float] = []
    while len(seconds) < iterations and (len(seconds) < LEAST or sum(seconds) < SECONDS):
        seconds.append(iteration())
    peak = memory.mib() if memory else None
    low, middle, high = np.percentile(seconds, [25, 50, 75]) * 1000
    return {
        "ms_per_iteration": float(middle),
        "ms_low": float(low),
        "ms_high": float(high),
        "peak_memory_mib": peak,
        "parameters": sum(p.numel() for p in weights),
    }


class _ResidentPeak:
    """Highest resident memory of this process since :meth:`start`, above what it was then."""

    def __init__(self):
        self.first = _highest_ever()  # where the kernel cannot start afresh

    def start(self) -> None:
        gc.collect()
        if not sys.platform.startswith("linux"):
            self.before = self.first
            return
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
        if trim:
            trim(0)  # what was freed goes back, or it would hide what is needed
        self.before = _status("VmRSS")
        with contextlib.suppress(OSError):  # then the warm-up counts too, which needs the same
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM := VmRSS, see proc(5)

    def mib(self) -> float | None:
        peak = _status("VmHWM") if sys.platform.startswith("linux") else _highest_ever()
        return None if peak is None else max(peak - self.before, 0) / MIB


class _CudaPeak:
    """Highest memory that tensors took since :meth:`start`, above what they took then."""

    def start(self) -> None:
        from torch import cuda

        gc.collect()
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
        self.before = cuda.memory_allocated()

    def mib(self) -> float:
        from torch import cuda

        return (cuda.max_memory_allocated() - self.before) / MIB


def _status(field: str) -> int:
    """A size in /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"/proc/self/status has no {field}")


def _highest_ever() -> int | None:
    """Highest resident memory of this process in its life, in bytes; None where nobody tells."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024

"""What one meta-iteration costs, measured in processes of its own.

Fresh processes (``server.py``), so that what one algorithm has allocated does not hide what the
next one needs.

Time and memory are taken apart. A heap keeps holes between blocks of unequal size, so the resident
memory of an ordinary process grows with the number of steps even where the blocks in use do not;
giving each block pages of its own shows what is needed, but makes everything slower.
"""

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.base.allocator import c_function, keep_memory
from bench.base.errors import BenchError
from bench.results.provenance import processor
from bench.running import server

WARM_UP, LEAST, SECONDS = 2, 5, 5.0  # untimed iterations; fewest timed ones; stop after
MIB = 2**20
OWN = Path("/proc/self")


def measure(
    build: dict[str, Any], iterations: int = 10, threads: int | None = None
) -> dict[str, float | None]:
    """Time and memory of one meta-iteration: inner loops, meta-gradient and Adam step.

    Drawing the episodes is not in it: all iterations are on the same meta-batch.

    Args:
        build: ``{"algorithm": name, "learner": {...}, "dataset": name, "data": {...},
            "accelerator": "cpu", "iterations": of the training, by which its engine is chosen}``.
        iterations: timed iterations; fewer where they take more than five seconds in all, but
            five at least.
        threads: how many to use; None: what training in this process would use.

    Returns:
        ``ms_per_iteration`` (median), ``ms_low`` and ``ms_high`` (quartiles), ``parameters``,
        ``device`` (its name) and ``threads`` that they were measured on, and
        ``peak_memory_mib``: memory that one meta-iteration needs above what the process holds
        before it, resident on a CPU and allocated by tensors on a GPU; None where it cannot be
        told.

    Raises:
        BenchError: if a process fails, or is killed for want of memory.
    """
    threads = threads or _count_threads()
    return {
        **_in_process(_time, build, threads, iterations),
        "peak_memory_mib": _in_process(_memory, build, threads),
    }


def peak_memory(build: dict[str, Any]) -> float | None:
    """``peak_memory_mib`` alone; see :func:`measure`.

    Raises:
        BenchError: if there is not so much memory.
    """
    return _in_process(_memory, build, _count_threads())


def _count_threads() -> int | None:
    """What training here would use."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else None


def _in_process(function: Callable, build: dict[str, Any], *arguments) -> Any:
    try:
        return server.call(function, build, *arguments)
    except BenchError as error:
        less = "; choose fewer inner_steps, tasks_per_batch or filters, or order 1"
        name = f"probe of {build['algorithm']} on {build['dataset']}"
        message = f"{name}: {error}{less if isinstance(error, server.Killed) else ''}"
    raise BenchError(message)


# In the process of its own ----------------------------------------------------------------------


def _time(build: dict[str, Any], threads: int | None, iterations: int) -> dict[str, float]:
    import numpy as np
    import torch

    keep_memory()  # as training does
    iteration, parameters, device = _prepare(build, threads)
    for _ in range(WARM_UP):  # Adam's state, kernels chosen, libraries loaded
        iteration()
    seconds: list[float] = []
    while len(seconds) < iterations and (len(seconds) < LEAST or sum(seconds) < SECONDS):
        start = time.perf_counter()
        iteration()
        seconds.append(time.perf_counter() - start)
    low, middle, high = np.percentile(seconds, [25, 50, 75]) * 1000
    return {
        "ms_per_iteration": float(middle),
        "ms_low": float(low),
        "ms_high": float(high),
        "parameters": parameters,
        "device": torch.cuda.get_device_name() if device == "cuda" else processor(),
        "threads": torch.get_num_threads(),
    }


def _memory(build: dict[str, Any], threads: int | None) -> float | None:
    separate_pages()
    iteration, _, device = _prepare(build, threads)
    if device not in ("cpu", "cuda"):
        return None
    peak = CudaPeak() if device == "cuda" else ResidentPeak()
    iteration()
    peak.start()
    iteration()
    return peak.mib()


def _prepare(build: dict[str, Any], threads: int | None) -> tuple[Callable[[], None], int, str]:
    """One meta-iteration as a function, the number of parameters, and the device."""
    import numpy as np
    import torch
    from lightning.fabric.utilities import move_data_to_device

    from bench.base import registry

    server.use_threads(threads)
    device = build.get("accelerator", "cpu")
    if device in ("gpu", "auto"):
        device = "cuda" if device == "gpu" or torch.cuda.is_available() else "cpu"
    registry.add_all(build.get("plug_ins", ()))
    data = registry.create("data", build["dataset"], **build["data"])
    learner = registry.create("algorithms", build["algorithm"], **build["learner"])
    learner.note_tasks(data)
    learner.configure_model()
    learner.meta_step.iterations = build.get("iterations", 0)
    learner.to(device)
    batch = data.episodes("train", np.arange(data.hparams["tasks_per_batch"]))
    batch = move_data_to_device(batch, torch.device(device))
    weights = [p for p in learner.parameters() if p.requires_grad]
    optimizer = learner.optimizer(weights)

    def iteration() -> None:
        learner.meta_step(batch).backward()
        optimizer.step()
        optimizer.zero_grad()  # so that memory is back where it was
        if device == "cuda":
            torch.cuda.synchronize()

    return iteration, sum(p.numel() for p in weights), device


def separate_pages() -> None:
    """Makes glibc give each block of 64 KiB or more pages of its own, returned when it is freed."""
    mallopt = c_function("mallopt")
    if mallopt:
        mallopt(-3, 64 * 1024)  # M_MMAP_THRESHOLD, see mallopt(3)
        mallopt(-4, 2**30)  # M_MMAP_MAX: as many as there are


class ResidentPeak:
    """Highest resident memory since :meth:`start`, above what it was then.

    Of this process and those that it has forked to share its work, each at its own peak; of one
    forked since then, above what this process held.
    """

    def __init__(self):
        self.first = _highest_resident()  # where the kernel cannot start afresh

    def start(self) -> None:
        """Gives back what is free and takes the mark from which memory is counted."""
        gc.collect()
        if not sys.platform.startswith("linux"):
            self.before = self.first
            return
        trim = c_function("malloc_trim")
        if trim:
            trim(0)
        self.before = {process: _read_status(process, "VmRSS") for process in _family()}
        self.anonymous = _read_status(OWN, "RssAnon")
        for process in self.before:
            with contextlib.suppress(OSError):  # then the warm-up counts too, and needs the same
                (process / "clear_refs").write_text("5")  # VmHWM := VmRSS, see proc(5)

    def mib(self) -> float | None:
        """The peak since the start, in MiB; None where nobody tells."""
        if not sys.platform.startswith("linux"):
            peak = _highest_resident()
            return None if peak is None else max(peak - self.before, 0) / MIB
        return sum(max(self._above(process), 0) for process in _family()) / MIB

    def _above(self, process: Path) -> int:
        """Bytes at the peak of a process above what it held at the start."""
        peak = _read_status(process, "VmHWM")
        if process in self.before:
            return peak - self.before[process]
        files = _read_status(process, "RssFile") + _read_status(process, "RssShmem")
        return peak - files - self.anonymous  # files are there once, whoever has them open


class CudaPeak:
    """Highest memory that tensors took since :meth:`start`, above what they took then."""

    def start(self) -> None:
        """Takes the mark from which memory is counted."""
        from torch import cuda

        gc.collect()
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
        self.before = cuda.memory_allocated()

    def mib(self) -> float:
        """The peak since the start, in MiB."""
        from torch import cuda

        return (cuda.max_memory_allocated() - self.before) / MIB


def _family() -> list[Path]:
    """This process and its children, as folders of proc(5)."""
    parent, found = f"PPid:\t{os.getpid()}\n", [OWN]
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it has ended
            text = status.read_text(encoding="utf-8")
            if parent in text and "VmRSS:" in text:
                found.append(status.parent)
    return found


def _read_status(process: Path, field: str) -> int:
    """A size in a process's status, in bytes."""
    for line in (process / "status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"{process}/status has no {field}")


def _highest_resident() -> int | None:
    """Highest resident memory of this process in its life, in bytes; None where nobody tells."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024

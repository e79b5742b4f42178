"""How far a meta-gradient is from that in float64, in every precision, method and network."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.base import registry
from bench.base.errors import BenchError
from bench.checks import record_files
from bench.data.bkt import BKTDataModule
from bench.data.glyphs import GlyphsDataModule
from bench.data.sinusoid import SinusoidDataModule
from bench.learning.learner import MetaLearner
from bench.results import readme_blocks
from bench.results.provenance import provenance
from bench.tasks.episode import Episode, split_by_shape

TASKS = 4
LOW = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
SLACK = 2.0  # times what was recorded is what other processors may come to
DATA = {
    "glyphs": (GlyphsDataModule, {"ways": 5, "shots": 1, "queries": 5}),
    "students": (BKTDataModule, {"items": 12, "skills": 3, "shots": 4, "queries": 3}),
    "sinusoid": (SinusoidDataModule, {}),
}
NETWORKS = {  # label to the data it is for and its arguments; the method is MAML, for film CAVIA
    "conv4": ("glyphs", "conv4", {"filters": 8}),
    "conv4, max-pool": ("glyphs", "conv4", {"filters": 8, "downsample": "max_pool"}),
    "resnet12": ("glyphs", "resnet12", {"widths": [4, 4, 6, 8]}),
    "mlp, images": ("glyphs", "mlp", {"hidden": [32]}),
    "mlp, numbers": ("sinusoid", "mlp", {}),
    "mlp, students": ("students", "mlp", {}),
    "film": ("glyphs", "film", {"filters": 8}),
    "irt": ("students", "irt", {}),
    "bayesian_irt": ("students", "bayesian_irt", {}),
    "bayesian_mlp": ("students", "bayesian_mlp", {}),
}
NOTE = (
    "Of the first meta-gradient, at the initial weights: the norm of the difference to float64 "
    "over the norm in float64 on a processor; {tasks} tasks. 16-mixed was measured in float16 "
    "without the scaling that a Trainer adds on a GPU. {device}, torch {torch}. Again: `{command}`."
)


class Case(NamedTuple):
    """A meta-gradient.

    Attributes:
        name: of the method, or of the network.
        data: name in :data:`DATA`.
        algorithm: its name.
        options: its arguments.
    """

    name: str
    data: str
    algorithm: str
    options: dict[str, Any]

    def parts(self, precision: str, device: str = "cpu") -> tuple[MetaLearner, list[Episode]]:
        """The learner at its start, and the first meta-batch by shapes.

        Args:
            precision: as a Trainer takes it.
            device: what they lie on.
        """
        data_class, sizes = DATA[self.data]
        data = data_class(**sizes, tasks_per_batch=TASKS)
        learner = registry.create("algorithms", self.algorithm, **self.options)
        learner.note_tasks(data)
        learner.configure_model()
        batch = split_by_shape(data.episodes("train", np.arange(TASKS)))
        if precision == "64-true":
            learner.double()
            batch = [_double(episode) for episode in batch]
        return learner.to(device), [moved(episode, device) for episode in batch]

    def gradient(self, precision: str, device: str = "cpu") -> Tensor:
        """Of the first meta-batch, in one vector; arguments as of :meth:`parts`."""
        learner, batch = self.parts(precision, device)
        low = LOW.get(precision)
        with torch.autocast(device, low) if low else nullcontext():
            learner.meta_step(batch[0] if len(batch) == 1 else batch).backward()
        gradients = [p.grad for p in learner.parameters() if p.grad is not None]
        return torch.cat([g.flatten().double().cpu() for g in gradients])

    def errors(self, precisions: Sequence[str], device: str = "cpu") -> dict[str, float]:
        """Of each precision, relative to the norm of the gradient in float64 on a processor."""
        true = self.gradient("64-true")
        found = {p: self.gradient(p, device) - true for p in precisions}
        return {p: float(difference.norm() / true.norm()) for p, difference in found.items()}


def methods() -> Iterator[Case]:
    """Every algorithm that is trained by meta-gradients, on the data that it takes."""
    for name in registry.names("algorithms"):
        learner = registry.load("algorithms", name)
        if not learner.trains or learner.fits_directly:
            continue
        for data in ("glyphs", "students"):
            options = {"model_options": {"filters": 8}} if data == "glyphs" else {}
            case = Case(name, data, name, options)
            try:
                case.gradient("32-true")
            except BenchError:  # it is for other tasks
                continue
            yield case


def networks() -> Iterator[Case]:
    """Every network, in both orders."""
    for label, (data, model, options) in NETWORKS.items():
        for order, name in {2: "second", 1: "first"}.items():
            made = {"model": model, "model_options": options, "order": order}
            algorithm = "cavia" if model == "film" else "maml"
            yield Case(f"{label}, {name} order", data, algorithm, made)


def run(
    out: Path, readme: Path | None, measures: bool, console: Console, accelerator: str = "cpu"
) -> None:
    """Measures, records and tabulates; or tabulates what was recorded.

    Args:
        out: the results folder.
        readme: a file whose table is refreshed.
        measures: whether to measure, or to take what was recorded.
        console: told how it goes.
        accelerator: what computes the errors, ``"cpu"`` or ``"gpu"``.

    Raises:
        BenchError: if there is no record.
    """
    on_gpu = accelerator == "gpu"
    path = Path(out) / "precision" / f"errors{'-gpu' if on_gpu else ''}.json"
    precisions, device = (["64-true", *LOW], "cuda") if on_gpu else (list(LOW), "cpu")
    if measures:
        rows = []
        for kind, given in (("method", methods()), ("network", networks())):
            for case in given:
                console.print(f"{case.name} on {case.data}", style="dim", highlight=False)
                errors = case.errors(precisions, device)
                rows.append({"kind": kind, **case._asdict(), "errors": errors})
        record_files.write(
            path,
            {
                "tasks": TASKS,
                "rows": rows,
                "command": f"maml-bench speed --precision{' --accelerator gpu' if on_gpu else ''}",
                "provenance": provenance(torch.cuda.get_device_name() if on_gpu else None),
            },
        )
        console.print(f"wrote {path}", highlight=False)
    if not path.exists():
        raise BenchError(f"no {path}: make it with maml-bench speed --precision")
    (record,) = record_files.read_all([path], markdown, "maml-bench speed --precision")
    show(record, console)
    if readme:
        readme_blocks.refresh(readme, "precision", markdown(record))


def moved(episode: Episode, device: str) -> Episode:
    """An episode on a device."""
    return Episode(*(None if v is None else v.to(device) for v in episode))


def _double(episode: Episode) -> Episode:
    given = (v.double() if v is not None and v.is_floating_point() else v for v in episode)
    return Episode(*given)


def bound(row: dict, precision: str) -> float:
    """What an error may come to on another processor."""
    return SLACK * row["errors"][precision]


def markdown(record: dict) -> str:
    """A table for a README: a row a method or network."""
    precisions = _precisions(record)
    lines = ["| Method or network | Data | " + " | ".join(precisions) + " |"]
    lines.append("| --- | --- |" + " ---: |" * len(precisions))
    for row in record["rows"]:
        lines.append("| " + " | ".join(_cells(row)) + " |")
    about = record["provenance"]
    note = NOTE.format(
        tasks=record["tasks"],
        device=about["device"],
        torch=about["torch"],
        command=record["command"],
    )
    return "\n".join([*lines, "", note])


def show(record: dict, console: Console) -> None:
    """Prints the table."""
    table = Table(title="Errors of the meta-gradient, relative to float64", box=box.SIMPLE_HEAD)
    precisions = _precisions(record)
    for heading in ("", "data", *precisions):
        table.add_column(heading, justify="right" if heading in precisions else "left")
    for row in record["rows"]:
        table.add_row(*_cells(row))
    console.print(table)


def _cells(row: dict) -> list[str]:
    return [row["name"], row["data"], *(f"{error:.0e}" for error in row["errors"].values())]


def _precisions(record: dict) -> list[str]:
    return list(record["rows"][0]["errors"])

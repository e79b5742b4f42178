"""Plug-ins: one file, one model; the file's name is its name on the command line.

A model is an ``nn.Module`` whose constructor takes a :class:`bench.episode.TaskSpec` first, with
``features`` and ``head`` if it has such parts, without running statistics. It may say in ``adapts``
which parameters (or layers) adapt to a task; the others are then shared.
"""

from typing import Any

from torch import nn

from bench.episode import TaskSpec


def build_model(name: str | None, spec: TaskSpec, options: dict[str, Any]) -> nn.Module:
    """The model of that name for these tasks.

    Args:
        name: a file name of ``bench/models``; None: ``conv4`` for images, otherwise ``mlp``.
        spec: what the tasks look like.
        options: further arguments of the model.

    Raises:
        BenchError: for an unknown name, an unknown option, or a model that does not fit the
            tasks.
    """
    from bench import registry

    if name is None:
        name = "conv4" if len(spec.input_shape) == 3 else "mlp"
    return registry.create("models", name, spec, **options)

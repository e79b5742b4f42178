"""Plug-ins: one file, one model; the file's name is its name on the command line.

A model is an ``nn.Module`` whose constructor takes a :class:`bench.tasks.episode.TaskSpec` first,
with ``features`` and ``head`` if it has such parts, without running statistics. It may say in
``adapts`` which parameters (or layers) adapt to a task; the others are then shared.
"""

"""Classifies a person's own images, after a trained learner has adapted to a few examples of them.

Images are read as those of the suite's data sets are: decoded without running anything, turned
upright, and brought to the size and the colours that the checkpoint was trained on.
"""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from bench.base import archives, registry, spreadsheets
from bench.base.errors import BenchError
from bench.base.paths import write_text
from bench.data.images import decoding
from bench.data.images.collection import natural
from bench.data.images.layouts.class_folders import IMAGES
from bench.data.images.preparing import MODES
from bench.learning import learner_file
from bench.learning.learner import MetaLearner
from bench.learning.networked import plain
from bench.running.resuming import KEY
from bench.tasks.episode import TaskSpec

MOST_QUERIES = 1000  # images that are predicted together
SHOWN = 20  # predictions that are printed


class Images(NamedTuple):
    """Images of a folder.

    Attributes:
        names: of the files, as they lie in it.
        folders: the folder that each lies in; empty for the folder itself.
        x: ``[images, channels, height, width]`` in 0..1.
    """

    names: list[str]
    folders: list[str]
    x: Tensor


def report(
    checkpoint: Path,
    support: Path,
    query: Path,
    out: Path | None,
    console: Console,
    invert: bool | None = None,
) -> pd.DataFrame:
    """Adapts to the examples, predicts the images, prints it and writes it as CSV.

    Args:
        checkpoint: of an image model, of a suite run or a Trainer.
        support: a folder (or archive) with a folder of examples for each class.
        query: images to classify; where they lie in folders named like the classes, the share of
            right predictions is printed.
        out: the CSV; None: none.
        console: where to print.
        invert: whether dark becomes bright, as for drawings on paper; None: where the checkpoint's
            training data was inverted so.

    Returns:
        ``file``, ``predicted`` and a probability for each class, one row an image.

    Raises:
        BenchError: names what is missing, damaged, or does not fit the checkpoint.
    """
    learner = learner_file.load(checkpoint)
    spec = learner.spec
    if not spec.classifies or len(spec.input_shape) != 3 or spec.input_shape[0] not in MODES:
        raise BenchError(
            f"{checkpoint} was not trained on images to classify (its tasks: {spec.kind}): give "
            "one that was; for students there is maml-bench student"
        )
    if invert is None:
        invert = _trained_inverted(checkpoint)
    examples = read(support, spec, invert)
    classes = sorted(set(examples.folders), key=natural)
    if "" in classes:
        loose = examples.names[examples.folders.index("")]
        raise BenchError(f"{support}: {loose} lies in no class: make a folder for each class")
    if taken := [name for name in ("file", "predicted") if name in classes]:
        raise BenchError(
            f"{support}: a class called {taken[0]!r} would be mistaken for a column of the table: "
            "rename the folder"
        )
    if len(classes) < 2:
        raise BenchError(f"{support}: holds one class ({classes[0]}): give two folders or more")
    with_ways(learner, len(classes))
    images = read(query, spec, invert)
    number = {name: i for i, name in enumerate(classes)}
    predict = learner.adapt(examples.x, torch.tensor([number[f] for f in examples.folders]))
    parts = -(-len(images.x) // MOST_QUERIES)
    probability = torch.empty(len(images.x), len(classes))
    for part in range(parts):  # spread, so that each part is of all folders
        probability[part::parts] = predict(images.x[part::parts])[:, : len(classes)].float()
    best = probability.argmax(1)
    found = pd.DataFrame({"file": images.names, "predicted": [classes[i] for i in best]})
    shares = pd.DataFrame(probability.numpy(), columns=classes)
    table = pd.concat([found, shares], axis=1)
    _print(table, examples, images, learner, invert, console)
    if out is not None:
        write_text(out, spreadsheets.to_csv(table, float_format="%.6f"))
        console.print(f"wrote {out}", markup=False, highlight=False)
    return table


def read(source: Path, spec: TaskSpec, invert: bool) -> Images:
    """The images of a folder, a zip or a tar, in the order of their names.

    Args:
        source: where they are.
        spec: the size and the channels that they are brought to.
        invert: whether dark becomes bright.

    Raises:
        BenchError: if there are none, or names the first that is damaged.
    """
    with archives.opened(Path(source).expanduser()) as tree:
        names = [n for n in tree.names if PurePosixPath(n).suffix.lower() in IMAGES]
        if not names:
            raise BenchError(f"{source}: no images in it ({', '.join(IMAGES)} are read)")
        content = dict(tree.stream(names))
    names.sort(key=natural)
    pixels = [_pixels(content[n], f"{source}: {n}", spec) for n in names]
    x = np.stack(pixels).astype(np.float32) / np.float32(255)
    folders = [PurePosixPath(n).parent.name for n in names]
    return Images(names, folders, torch.from_numpy(1 - x if invert else x))


def _pixels(content: bytes, name: str, spec: TaskSpec) -> np.ndarray:
    """``[channels, height, width]`` uint8."""
    channels, high, wide = spec.input_shape
    image = decoding.decode(content, name, upright=True).image
    image = decoding.convert(image, MODES[channels], name)
    if image.size != (wide, high):
        image = image.resize((wide, high), Image.Resampling.LANCZOS)
    return np.moveaxis(np.asarray(image).reshape(high, wide, channels), -1, 0)


def with_ways(learner: MetaLearner, ways: int) -> None:
    """Makes a learner ready for tasks of so many classes.

    Raises:
        BenchError: if it was trained for another number, and its method is for that one alone.
    """
    spec = learner.spec
    if ways == spec.outputs or (spec.varying_ways and ways <= spec.outputs):
        return
    if not learner.any_ways:
        many = f"up to {spec.outputs}" if spec.varying_ways else str(spec.outputs)
        raise BenchError(
            f"{ways} classes, and this {type(learner).__name__} has learned a last layer for "
            f"{many}: give as many folders of examples, or a checkpoint of a method whose "
            "last layer starts anew in each task: proto_net, r2d2, baseline, or maml with head=zero"
        )
    learner.hparams["spec"] = plain(spec._replace(outputs=ways, varying_ways=False))
    head = getattr(learner.net, "head", None)
    if isinstance(head, nn.Linear):  # of which no number is learned
        like = head.weight
        head = nn.Linear(head.in_features, ways, device=like.device, dtype=like.dtype)
        learner.net.head = head.requires_grad_(False)


def _trained_inverted(checkpoint: Path) -> bool:
    """Whether the data that a suite run was trained on shows dark ink as bright."""
    fields = learner_file.read(Path(checkpoint).expanduser()).get(KEY)
    dataset = fields.get("dataset") if isinstance(fields, dict) else None
    try:
        return bool(registry.declaration("data", dataset).attributes.get("inverted"))
    except (BenchError, AttributeError):  # of somebody else, or of no suite run
        return False


def _print(
    table: pd.DataFrame,
    examples: Images,
    images: Images,
    learner: MetaLearner,
    invert: bool,
    console: Console,
) -> None:
    classes = list(table.columns[2:])
    channels, high, wide = learner.spec.input_shape
    shape = f"{wide}x{high}, {'grey' if channels == 1 else 'colour'}"
    say = {"markup": False, "highlight": False}
    console.print(
        f"{type(learner).__name__} adapted to {len(examples.names)} examples of {len(classes)} "
        f"classes ({shape}{', dark and bright exchanged' if invert else ''})",
        **say,
    )
    for row in table.head(SHOWN).itertuples(index=False):
        console.print(f"  {row[0]}: {row[1]} ({100 * max(row[2:]):.0f} %)", **say)
    if len(table) > SHOWN:
        console.print(f"  and {len(table) - SHOWN:,} more", **say)
    known = [(p, f) for p, f in zip(table["predicted"], images.folders) if f in classes]
    if known:
        right = sum(p == f for p, f in known)
        console.print(
            f"right: {right} of {len(known)} ({100 * right / len(known):.1f} %), by the folders "
            "that the images lie in",
            **say,
        )
    if learner.hparams["batch_norm"] == "transductive":
        console.print(
            "batch norm takes its statistics from all queries together: a prediction depends on "
            "the others",
            style="dim",
            **say,
        )

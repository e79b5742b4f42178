"""What a source of Meta-Dataset says of itself: its ``dataset_spec.json``, read and written.

Three kinds (meta_dataset/data/dataset_spec.py): plain classes; classes in super-classes, as
Omniglot's characters in alphabets; classes that are the leaves of a graph, as ImageNet's.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from bench.base.errors import BenchError
from bench.tasks.data_module import SPLITS

FILE = "dataset_spec.json"
PATTERN = "{}.tfrecords"
NAMES = dict(zip(SPLITS, ("TRAIN", "VALID", "TEST")))


class Spec(NamedTuple):
    """A source and its classes, which are numbered through the splits.

    Attributes:
        name: of the source.
        classes: the numbers of the classes of each split.
        names: the name of each class.
        images: how many images each class has.
        related: of each split, groups of related classes from which an episode's are drawn: those
            of each super-class, or those below each inner node of the graph. None: there is no
            such structure.
        graph: whether the groups come from a graph.
    """

    name: str
    classes: dict[str, list[int]]
    names: dict[int, str]
    images: dict[int, int]
    related: dict[str, list[list[int]]] | None = None
    graph: bool = False

    def file_of(self, number: int) -> str:
        """The file with the records of a class."""
        return PATTERN.format(number)


def read(content: bytes | str, where: object) -> Spec:
    """Reads a specification.

    Args:
        content: of the file.
        where: the file, for messages.

    Raises:
        BenchError: names the file and what is wrong with it.
    """
    try:
        found = json.loads(content)
        pattern, kind = found.get("file_pattern", PATTERN), found.get("__class__")
        if pattern != PATTERN:
            raise ValueError(f"file_pattern is {pattern!r}, and only {PATTERN!r} can be read")
        if kind == "HierarchicalDatasetSpecification":
            spec = _of_graph(found)
        elif kind == "BiLevelDatasetSpecification":
            spec = _of_super_classes(found)
        else:
            spec = _of_classes(found)
    except KeyError as error:
        raise BenchError(f"{where}: {error.args[0]} is missing: get the file again") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BenchError(f"{where}: no specification of a source ({error})") from error
    for numbers in spec.classes.values():
        for number in numbers:
            if number not in spec.names or spec.images.get(number, 0) < 1:
                raise BenchError(f"{where}: class {number} has no name, or no images")
    return spec


def _of_classes(found: dict[str, Any]) -> Spec:
    names, images = _names_and_images(found)
    sizes = _of_splits(found["classes_per_split"])
    _check_sizes(sizes, "classes", names)
    return Spec(str(found.get("name", "")), _divided(sizes), names, images)


def _of_super_classes(found: dict[str, Any]) -> Spec:
    names, images = _names_and_images(found)
    sizes = _of_splits(found["superclasses_per_split"])
    _check_sizes(sizes, "super-classes", names)
    per_group = {int(k): _count(v) for k, v in found["classes_per_superclass"].items()}
    groups = {s: [per_group[g] for g in numbers] for s, numbers in _divided(sizes).items()}
    starts = dict(zip(SPLITS, accumulate((sum(groups[s]) for s in SPLITS), initial=0)))
    _check_sizes([sum(groups[s]) for s in SPLITS], "classes", names)
    classes = _divided([sum(groups[s]) for s in SPLITS])
    related = {
        split: [
            list(range(starts[split] + end - size, starts[split] + end))
            for size, end in zip(groups[split], accumulate(groups[split]))
        ]
        for split in SPLITS
    }
    return Spec(str(found["name"]), classes, names, images, related)


def _of_graph(found: dict[str, Any]) -> Spec:
    names = {int(k): str(v) for k, v in found["class_names"].items()}
    number_of = {name: number for number, name in names.items()}
    related, images, sizes = {}, {}, []
    for split, theirs in NAMES.items():
        children = {
            str(node["wn_id"]): [str(c) for c in node["children_ids"]]
            for node in found["split_subgraphs"][theirs]
        }
        below: dict[str, set[str]] = {}
        leaves = {node for node, inner in children.items() if not inner}
        for node in sorted(children):
            _leaves_below(node, children, below)
        counts = found["images_per_class"][theirs]
        images |= {number_of[leaf]: _count(counts[leaf]) for leaf in leaves}
        sizes.append(len(leaves))
        related[split] = [
            [number_of[leaf] for leaf in sorted(below[node])]
            for node in sorted(children)
            if children[node]
        ]
    return Spec(str(found["name"]), _divided(sizes), names, images, related, graph=True)


def _leaves_below(node: str, children: dict[str, list[str]], below: dict[str, set[str]]) -> None:
    """Fills in the leaves that can be reached from a node; without recursion, whatever the depth.

    Raises:
        ValueError: if the graph has a circle.
    """
    stack, open_nodes = [node], set()
    while stack:
        top = stack[-1]
        missing = [child for child in children[top] if child not in below]
        if top in below:
            stack.pop()
        elif not missing:
            below[top] = set().union(*(below[c] for c in children[top])) or {top}
            stack.pop()
        elif top in open_nodes:
            raise ValueError(f"the graph has a circle through {top}")
        else:
            open_nodes.add(top)
            stack += missing


def _names_and_images(found: dict[str, Any]) -> tuple[dict[int, str], dict[int, int]]:
    names = {int(number): str(name) for number, name in found["class_names"].items()}
    return names, {int(number): _count(n) for number, n in found["images_per_class"].items()}


def _check_sizes(sizes: Sequence[int], what: str, names: dict[int, str]) -> None:
    """Believes no number of classes that would fill the memory."""
    if sum(sizes) > len(names):
        raise ValueError(
            f"there are names for {len(names):,} classes, not for {sum(sizes):,} {what}"
        )


def _of_splits(sizes: dict[str, Any]) -> list[int]:
    return [_count(sizes[theirs]) for theirs in NAMES.values()]


def _divided(sizes: Sequence[int]) -> dict[str, list[int]]:
    """Numbers from 0 on, so many for each split."""
    return {
        split: list(range(end - size, end))
        for split, size, end in zip(SPLITS, sizes, accumulate(sizes))
    }


def _count(value: Any) -> int:
    if type(value) is dict:
        raise ValueError("pools of images within a class (train and test) cannot be read")
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


class ClassOfImages(NamedTuple):
    """A class that is to be written.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        name: of the class.
        images: how many.
        group: its super-class, if the source has such.
    """

    split: str
    name: str
    images: int
    group: str | None = None


def written(name: str, classes: Iterable[ClassOfImages], folder: str) -> str:
    """The specification as Meta-Dataset writes it.

    Args:
        name: of the source.
        classes: in the order of their numbers: by split, and within it by super-class.
        folder: where the records lie, which others' tools want to know.
    """
    classes = list(classes)
    names = {str(i): c.name for i, c in enumerate(classes)}
    images = {str(i): c.images for i, c in enumerate(classes)}
    common = {"class_names": names, "path": folder, "file_pattern": PATTERN}
    if all(c.group is None for c in classes):
        sizes = {theirs: sum(c.split == ours for c in classes) for ours, theirs in NAMES.items()}
        found = {"name": name, "classes_per_split": sizes, "images_per_class": images, **common}
        return json.dumps(found | {"__class__": "DatasetSpecification"}, indent=2)
    groups = list(dict.fromkeys((c.split, c.group) for c in classes))
    found = {
        "name": name,
        "superclasses_per_split": {
            theirs: sum(split == ours for split, _ in groups) for ours, theirs in NAMES.items()
        },
        "classes_per_superclass": {
            str(i): sum((c.split, c.group) == group for c in classes)
            for i, group in enumerate(groups)
        },
        "images_per_class": images,
        "superclass_names": {str(i): group for i, (_, group) in enumerate(groups)},
        **common,
        "__class__": "BiLevelDatasetSpecification",
    }
    return json.dumps(found, indent=2)

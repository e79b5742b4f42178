"""Tells what ``compare`` was given: files of answers, a folder of images, or a data set by name."""

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.base import registry
from bench.base.errors import BenchError, nearest
from bench.base.paths import facts
from bench.data.students import prepared
from bench.running.comparison import images, students
from bench.running.comparison.source import Source, named
from bench.tasks import kinds


def read(
    given: Sequence[str],
    out: Path,
    data_root: Path | None = None,
    ways: int | None = None,
    shots: Sequence[int] | None = None,
    columns: Mapping[str, str] | None = None,
    q_matrix: str | None = None,
    packs: bool = True,
) -> Source:
    """Reads what stands on the command line.

    Args:
        given: names of files, or one folder, of images or of files of answers, or one name of a
            data set.
        out: the results folder; images of a folder are packed below it.
        data_root: folder of prepared data; None: the usual one.
        ways: of images; None: 5, or as many as there are.
        shots: of images, the examples of a class; of students, the answers shown. None: those of
            the usual ones that the data allows.
        columns: unusual names of a table's columns, by their role.
        q_matrix: a file that says which item asks for which skill.
        packs: whether the images of a folder are packed, and not only counted.

    Raises:
        BenchError: what is wrong with it, or cannot be had with it.
    """
    paths = [Path(text).expanduser() for text in given]
    if any(path.is_dir() for path in paths):
        if len(paths) > 1:
            raise BenchError(f"{' '.join(given)}: give one folder, or files of answers")
        student = importlib.import_module(registry.module_name("data", "student"))
        if any(path.is_dir() for path in paths[0].iterdir()) or not student.tables_in(paths[0]):
            _refuse_for_images(columns, q_matrix)
            return images.read_folder(paths[0], out, ways, shots, packs)
        name, (files, skills) = paths[0].resolve().name, student.files_of(paths[0])
        own = {"columns": columns, "q_matrix": q_matrix or (skills and str(skills))}
        return _answers(name, [str(path) for path in files], own, shots, ways)
    if all(path.exists() for path in paths):
        own = {"columns": columns, "q_matrix": q_matrix}
        return _answers(paths[0].name.split(".")[0], given, own, shots, ways)
    name = given[0].replace("-", "_")
    known = registry.names("data")
    if len(given) > 1 or os.sep in name or name not in known:
        missing = next(text for text, path in zip(given, paths) if not path.exists())
        raise BenchError(_nothing_there(missing, known))
    _require_prepared(name, data_root)
    kind = kinds.kind_of(name)
    usual = registry.arguments("data", name, {})
    if kind == "answers":
        if columns or q_matrix:
            raise BenchError(f"--columns and --q-matrix are for files of answers; {name} is a set")
        return students.read(name, {}, name, shots, data_root, ways)
    if kind != "classification" or usual["ways"] is None:
        raise BenchError(
            f"{name}: compare is for answers of students and for images in classes of which N-way "
            "K-shot episodes are drawn; suites have others: maml-bench list suites"
        )
    _refuse_for_images(columns, q_matrix)
    return images.read(name, name, ways, shots, data_root)


def _answers(
    name: str,
    files: Sequence[str],
    others: Mapping[str, Any],
    shots: Sequence[int] | None,
    ways: int | None,
) -> Source:
    own = {"source": files[0] if len(files) == 1 else list(files)}
    own |= {option: value for option, value in others.items() if value}
    return students.read("student", own, named(name), shots, None, ways)


def _nothing_there(given: str, known: Sequence[str]) -> str:
    """What to say of what is no file, no folder and not one name of a data set."""
    if given in known:
        return f"{given}: give one data set by name, and nothing else with it"
    try:
        card = facts(given.lower()).name
    except BenchError:
        card = ""
    if card and os.sep not in given:
        return (
            f"{given} is published in files, which are read as they are: maml-bench compare PATH "
            f"(see datasets/{card}/README.md)"
        )
    own = "a file of answers, or a folder with a folder of images for each class"
    said = f"{given}: no such file or folder, and no data set of this name: "
    if os.sep in given or "." in given:
        return f"{said}give {own}, or a data set of maml-bench list datasets"
    return f"{said}{nearest(given, known)}. Or give {own}"


def _require_prepared(name: str, data_root: Path | None) -> None:
    """Refuses a set that is what the user has prepared, where nothing is."""
    if name == "student":
        path = prepared.cache(name, data_root)
    elif name == "image_folder":
        path = images.cache(data_root)
    else:
        return
    if not path.exists():
        raise BenchError(
            f"{name}: nothing is prepared in {path}: give the file or folder itself, maml-bench "
            f"compare PATH, or run maml-bench prepare {name} --source PATH"
        )


def _refuse_for_images(columns: Mapping[str, str] | None, q_matrix: str | None) -> None:
    if columns or q_matrix:
        raise BenchError("--columns and --q-matrix are for files of answers, not for images")

"""Finds one file for each split, side by side: what most layouts begin with."""

from pathlib import PurePosixPath

from bench.base.archives import Tree
from bench.base.errors import BenchError


def find(tree: Tree, names: dict[str, tuple[str, ...]]) -> dict[str, str] | None:
    """Looks for the folder, the outermost one, that holds a file for each split.

    Args:
        tree: where to look.
        names: the names that the file of each split may have.

    Returns:
        The file of each split, None if no folder holds any.

    Raises:
        BenchError: if one is missing.
    """
    wanted = {name: split for split, several in names.items() for name in several}
    folders: dict[PurePosixPath, dict[str, str]] = {}
    for path in map(PurePosixPath, tree.names):
        if path.name in wanted:
            folders.setdefault(path.parent, {}).setdefault(wanted[path.name], str(path))
    if not folders:
        return None
    most = max(map(len, folders.values()))
    folder = min((f for f in folders if len(folders[f]) == most), key=lambda f: len(f.parts))
    for split, several in names.items():
        if split not in folders[folder]:
            there = ", ".join(sorted(folders[folder].values()))
            raise BenchError(f"{tree.where}: holds {there}, but no {' or '.join(several)}")
    return {split: folders[folder][split] for split in names}


def contents(tree: Tree, files: dict[str, str]) -> dict[str, bytes]:
    """The content of each split's file; for small files."""
    split = {file: split for split, file in files.items()}
    return {split[file]: content for file, content in tree.stream(list(split))}

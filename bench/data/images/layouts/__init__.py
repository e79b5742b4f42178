"""The layouts in which people have sets of images: one file each, found by looking.

A layout is a module with ``LAYOUT``, its files in words, and ``read(tree)``, which gives a
:class:`bench.data.images.collection.Collection`, or None where the files are not there. It raises
:class:`bench.base.errors.BenchError` where they are there but not whole.
"""

from collections import Counter
from types import ModuleType

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection


def detect(tree: Tree, layouts: tuple[ModuleType, ...]) -> Collection:
    """Takes the first layout that fits; what is wrong with those before it becomes a note.

    Raises:
        BenchError: if none fits.
    """
    unfit = []
    for layout in layouts:
        try:
            found = layout.read(tree)
        except BenchError as error:
            unfit.append(str(error))
            continue
        if found is not None:
            notes = [f"Another layout did not fit ({text})." for text in unfit]
            return found._replace(notes=[*notes, *found.notes])
    if unfit:
        raise BenchError(unfit[0])
    seen = [name for name, _ in Counter(n.split("/")[0] for n in tree.names).most_common(5)]
    raise BenchError(
        f"{tree.where}: no layout that is understood; it holds "
        f"{', '.join(seen) + ', ...' if seen else 'nothing'}; {understood(layouts)}"
    )


def understood(layouts: tuple[ModuleType, ...]) -> str:
    """The end of an error message: what PATH may be."""
    return "PATH may be a folder, zip or tar with " + ", or ".join(la.LAYOUT for la in layouts)

"""FC100: CIFAR-100, its superclasses divided: test classes are far (Oreshkin et al. 2018)."""

from pathlib import Path

from bench.data.images import cifar100
from bench.data.images.prepared import PreparedImages

KNOWN = cifar100.known(
    "fc100",
    "FC100",
    "oreshkin.json",
    "coarse",
    {"train": (60, 36_000), "val": (20, 12_000), "test": (20, 12_000)},
)


class FC100DataModule(PreparedImages):
    """Episodes of small photographs: 32x32 RGB, in 0..1.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    known = KNOWN


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the images of a source; see :func:`bench.data.images.cifar100.prepare`."""
    return cifar100.prepare(KNOWN, source, data_root)

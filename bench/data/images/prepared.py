"""Episodes of a set of images that was prepared once."""

from typing import ClassVar

from bench.data.images import packed
from bench.data.images.episodes import ImageClasses, ImageEpisodeDataModule
from bench.data.images.preparing import ImageSet


class PreparedImages(ImageEpisodeDataModule):
    """Episodes of one set of images, from the cache that ``maml-bench prepare`` wrote.

    Args:
        data_root: folder of prepared data; see :func:`bench.base.paths.data_root`.
        **kwargs: see :class:`bench.data.images.episodes.ImageEpisodeDataModule`.
    """

    known: ClassVar[ImageSet]

    def __init__(self, data_root: str | None = None, **kwargs):
        super().__init__(**kwargs)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return self.known.channels, self.known.side, self.known.side

    @property
    def checksum(self) -> str:
        """Of the packed cache."""
        return packed.checksum(self.known.cache(self.hparams["data_root"]), self.known.remedy)

    def load(self, split: str) -> ImageClasses:
        """Opens the classes of one split in the packed cache."""
        classes = packed.read(self.known.cache(self.hparams["data_root"]), self.known.remedy)
        own = [name for name in classes.names if name.startswith(f"{split}/")]
        classes = packed.select(classes, own)
        return classes._replace(names=[name.removeprefix(f"{split}/") for name in own])

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

    image_set: ClassVar[ImageSet]

    def __init__(self, data_root: str | None = None, **kwargs):
        super().__init__(**kwargs)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return self.image_set.channels, self.image_set.side, self.image_set.side

    @property
    def checksum(self) -> str:
        """Of the packed cache."""
        return packed.checksum(
            self.image_set.cache(self.hparams["data_root"]), self.image_set.remedy
        )

    def load(self, split: str) -> ImageClasses:
        """Opens the classes of one split in the packed cache."""
        classes = packed.read(
            self.image_set.cache(self.hparams["data_root"]), self.image_set.remedy
        )
        chosen = [name for name in classes.names if name.startswith(f"{split}/")]
        classes = packed.select(classes, chosen)
        return classes._replace(names=[name.removeprefix(f"{split}/") for name in chosen])

"""miniImageNet, or any images laid out like it: 84x84 colour photographs in 64/16/20 classes."""

from bench.data.images import preparing
from bench.data.images.layouts import (
    cache_pickles,
    class_folders,
    closer_look_json,
    label_pickles,
    libfewshot_cache,
    meta_dataset_records,
    ravi_class_folders,
    ravi_csv,
    torchmeta_hdf5,
)
from bench.data.images.prepared import PreparedImages

IMAGE_SET = preparing.ImageSet(
    name="mini_imagenet",
    title="miniImageNet",
    side=84,
    channels=3,
    standard={"train": (64, 38_400), "val": (16, 9_600), "test": (20, 12_000)},
    layouts=(
        ravi_class_folders,
        ravi_csv,
        cache_pickles,
        label_pickles,
        torchmeta_hdf5,
        closer_look_json,
        libfewshot_cache,
        meta_dataset_records,
        class_folders,
    ),
    no_download="miniImageNet may not be passed on, so it cannot be downloaded",
)


class MiniImageNetDataModule(PreparedImages):
    """Episodes of photographs: 84x84 RGB, in 0..1.

    The splits are those of the files that were prepared: for miniImageNet, those of Ravi and
    Larochelle (2017), 64/16/20 classes of 600 images.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare

"""Image episodes whose training images are changed at random, on a GPU where there is one."""

from collections.abc import Sequence
from typing import Any

from bench.data.images import augmentation as augmentations
from bench.tasks import counter_random
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, MetaBatch, split_by_shape


class AugmentedEpisodes(EpisodeDataModule):
    """What data modules of images share: augmentation of training episodes.

    Args:
        augmentation: how training images are changed, any of ``"crop"``, ``"flip"`` and
            ``"color"``; see :mod:`bench.data.images.augmentation`.
        **kwargs: see :class:`bench.tasks.data_module.EpisodeDataModule`.
    """

    def __init__(self, augmentation: str | Sequence[str] = (), **kwargs: Any):
        super().__init__(**kwargs)
        augmentations.check(augmentation)
        self.hparams["augmentation"] = list(augmentation)

    def augmented(self, split: str, batch: MetaBatch) -> MetaBatch:
        """Changes the images of training episodes that no GPU will change later, in place."""
        if split == "train" and not self._augments_on_gpu:
            for episode in split_by_shape(batch):
                self._augment(episode)
        return batch

    def on_after_batch_transfer(self, batch: MetaBatch, dataloader_idx: int) -> MetaBatch:
        """Augments where the images are now, if that is a GPU and no worker has done it."""
        if self._augments_on_gpu and self.trainer.training:
            for episode in split_by_shape(batch):
                self._augment(episode)
        return batch

    @property
    def _augments_on_gpu(self) -> bool:
        if self.trainer is None or self.hparams["num_workers"]:
            return False
        return self.trainer.strategy.root_device.type == "cuda"

    def _augment(self, episode: Episode) -> None:
        names = self.hparams["augmentation"]
        if not names:
            return
        rows = episode.support_x.shape[1], episode.query_x.shape[1]
        key = counter_random.stream(*self.stream_names("train"), "augmentation")
        u = counter_random.uniform(key, episode.index.cpu(), sum(rows) * augmentations.DRAWS)
        u = u.reshape(len(u), -1, augmentations.DRAWS)
        augmentations.augment(episode.support_x, names, u[:, : rows[0]])
        augmentations.augment(episode.query_x, names, u[:, rows[0] :])

"""Made-up colour textures, painted on the spot: few-shot images of miniImageNet's size."""

import numpy as np

from bench.data.images.episodes import ImageClasses, ImageEpisodeDataModule
from bench.tasks import counter_random

CLASSES = {"train": range(64), "val": range(64, 80), "test": range(80, 100)}  # as miniImageNet
IMAGES = 32  # of a class
SIZE = 84  # pixels of a side
WAVES = 3  # laid over one another in a texture


class TexturesDataModule(ImageEpisodeDataModule):
    """Synthetic textures, 32 images each, ``[3, 84, 84]``, 64 + 16 + 20 classes.

    A class is three waves, each of its own direction, frequency and waveform, one of three ways of
    laying them over one another, and a palette. An image of it has its own phases, turn, zoom,
    bend, palette shift, lighting and noise.

    Args:
        data_seed: which textures there are: the world, shared by all splits.
        **kwargs: see :class:`bench.data.images.episodes.ImageEpisodeDataModule`.
    """

    synthetic = True
    image_shape = (3, SIZE, SIZE)

    def __init__(self, data_seed: int = 0, **kwargs):
        super().__init__(**kwargs)

    def load(self, split: str) -> ImageClasses:
        """Paints the textures of one split."""
        seed, numbers = self.hparams["data_seed"], np.asarray(CLASSES[split])
        images = np.stack([paint(seed, number) for number in numbers])
        return ImageClasses.pack(images, [f"texture-{n:03d}" for n in numbers])


# What a wave looks like along its own direction, from its phase to -1..1.
WAVEFORMS = (
    np.sin,
    lambda phase: np.tanh(4 * np.sin(phase)),  # bands
    lambda phase: 1 - 2 * np.abs(np.sin(phase / 2)),  # thin bright lines
    lambda phase: phase / np.pi % 2 - 1,  # a saw: steps
)


def paint(seed: int, number: int) -> np.ndarray:
    """Paints all images of one class.

    Args:
        seed: the world.
        number: the class number.

    Returns:
        ``[images, height, width, channels]`` uint8.
    """
    key = counter_random.stream("textures classes", seed)
    u = counter_random.uniform(key, [number], 4 * WAVES + 5)[0]
    directions, frequencies, waveforms, weights = u[: 4 * WAVES].reshape(4, WAVES)
    multiplied, depth, *hues = u[4 * WAVES :]

    key = counter_random.stream("textures images", seed)
    u = counter_random.uniform(key, number * IMAGES + np.arange(IMAGES), 20 + WAVES)
    z = counter_random.normal(u[:, :20]).astype(np.float32)[..., None, None]
    phases = 2 * np.pi * u[:, 20:].astype(np.float32)[..., None, None]

    # Each image has a sheet of its own: coordinates bent and zoomed, [images, height, width].
    y, x = np.meshgrid(*[np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)] * 2, indexing="ij")
    zoom = np.exp(0.15 * z[:, 0])
    bent_x = zoom * (x + 0.03 * np.sin((6 + z[:, 1]) * y[:, :1] + 3 * z[:, 2]))
    bent_y = zoom * (y + 0.03 * np.sin((6 + z[:, 3]) * x[:1] + 3 * z[:, 4]))

    relief = np.zeros_like(bent_x)
    for wave in range(WAVES):
        direction = np.float32(np.pi * directions[wave]) + 0.12 * z[:, 5]
        frequency = np.float32(2 * np.pi * 3 * 5 ** frequencies[wave])  # 3 to 15 across
        along = np.cos(direction) * bent_x + np.sin(direction) * bent_y
        form = WAVEFORMS[int(len(WAVEFORMS) * waveforms[wave])]
        value = form(frequency * along + phases[:, wave]) * np.float32(0.4 + 0.6 * weights[wave])
        if wave and multiplied < 0.4:
            relief *= 0.5 + value
        else:
            relief += value
    # The same depth whatever was multiplied, give or take, so that no texture is faint.
    depth = np.float32(0.5 + 0.7 * depth) * np.exp(0.1 * z[:, 6])
    relief *= depth / relief.std((1, 2), keepdims=True)

    # Each colour channel is a cosine of the relief: a smooth palette of the class's own hues.
    hue = 2 * np.pi * np.array(hues, np.float32) + 0.6 * z[:, 7:10, 0, 0]
    tint, lean = 0.06 * z[:, 10:13, 0, 0], 0.2 * z[:, 13:15]
    light = (1 + lean[:, 0] * x + lean[:, 1] * y) * np.exp(0.1 * z[:, 15])
    images = np.empty((IMAGES, SIZE, SIZE, 3), np.uint8)
    for channel in range(3):
        colour = np.cos(relief + hue[:, channel, None, None])
        colour = (0.5 + tint[:, channel, None, None] + 0.35 * colour) * light
        images[..., channel] = np.rint(255 * colour.clip(0, 1))
    return images

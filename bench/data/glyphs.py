"""Made-up handwritten characters, drawn on the spot: few-shot images without a download."""

import functools

import numpy as np

from bench.data.images.episodes import ImageClasses, ImageEpisodeDataModule
from bench.tasks import counter_random

CLASSES = {"train": range(400), "val": range(400, 500), "test": range(500, 700)}
DRAWINGS = 20  # of a class, as in Omniglot
SIZE = 28  # pixels of a side
STROKES = 4  # at most, of a character
POINTS = 30  # at which the pen is followed along a stroke
CHUNK = 50  # characters drawn at once, which bounds the memory

# Bernstein polynomials: a cubic Bezier curve is their product with four control points.
_T = np.linspace(0, 1, POINTS)
BERNSTEIN = np.stack([(1 - _T) ** 3, 3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T), _T**3], 1)


class GlyphsDataModule(ImageEpisodeDataModule):
    """Synthetic characters of two to four strokes, 20 drawings each, ``[1, 28, 28]``, ink = 1.

    A class is a character: cubic Bezier strokes (straight, bowed, hooked or S-shaped) that start
    where the last one ended, on an earlier one, or anywhere. A drawing of it has its own shaky
    control points, smooth warp, slant, turn, size, place and pen width. 400 characters for
    training, 100 for validation and 200 for testing.

    Args:
        data_seed: which characters there are: the world, shared by all splits.
        **kwargs: see :class:`bench.data.images.episodes.ImageEpisodeDataModule`.
    """

    synthetic = True
    image_shape = (1, SIZE, SIZE)

    def __init__(self, data_seed: int = 0, **kwargs):
        super().__init__(**kwargs)

    def load(self, split: str) -> ImageClasses:
        """Draws the characters of one split."""
        return drawings(split, self.hparams["data_seed"])


@functools.lru_cache(maxsize=len(CLASSES))  # of one world: the runs of a grid draw it once
def drawings(split: str, seed: int) -> ImageClasses:
    """All drawings of the characters of a split.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        seed: the world.
    """
    numbers = np.asarray(CLASSES[split])
    chunks = np.split(numbers, range(CHUNK, len(numbers), CHUNK))
    images = np.concatenate([draw(*characters(seed, n), seed, n) for n in chunks])
    return ImageClasses.pack(images, [f"glyph-{n:04d}" for n in numbers])


def characters(seed: int, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invents characters.

    Args:
        seed: the world.
        numbers: ``[classes]`` class numbers.

    Returns:
        Control points ``[classes, strokes, 4, xy]``, the whole centred and about 2 wide or high;
        which strokes there are, ``[classes, strokes]`` bool.
    """
    key = counter_random.stream("glyphs characters", seed)
    u = counter_random.uniform(key, numbers, STROKES * 13)
    present = np.arange(STROKES) < 2 + (3 * u[:, :1]).astype(int)
    rows = np.arange(len(numbers))
    strokes = []
    for s, v in enumerate(np.moveaxis(u.reshape(-1, STROKES, 13), 1, 0)):
        start = 2 * v[:, 1:3] - 1
        if s:
            earlier = np.stack(strokes, 1)[rows, (s * v[:, 3]).astype(int)]
            place = (3 * v[:, 4]).astype(int) * (POINTS // 3) + 4  # at 1/6, 1/2 or 5/6 of it
            crossing = np.einsum("np,npd->nd", BERNSTEIN[place], earlier)
            how = v[:, 5, None]
            start = np.where(how < 0.4, strokes[-1][:, 3], np.where(how < 0.75, crossing, start))
        ends = 2 * v[:, 6:10].reshape(-1, 2, 2) - 1  # the farther of two: no stroke is a dot
        chord = (ends - start[:, None])[rows, np.hypot(*(ends - start[:, None]).T).argmax(0)]
        # The inner control points leave the chord sideways: not at all (a line), to the same side
        # (a bow), to opposite sides (an S), or the second alone (a hook).
        kind = (5 * v[:, 10]).astype(int)
        bulge = np.where(v[:, 11] < 0.5, -1, 1) * (0.3 + 0.7 * v[:, 12])
        first = bulge * np.array([0, 1, 1, 1, 0])[kind]
        second = bulge * np.array([0, 1, 1, -1, 1.5])[kind]
        sideways = chord[:, ::-1] * (-1, 1)
        strokes.append(
            np.stack(
                [
                    start,
                    start + chord / 3 + first[:, None] * sideways,
                    start + chord * 2 / 3 + second[:, None] * sideways,
                    start + chord,
                ],
                1,
            )
        )
    control = np.stack(strokes, 1)
    # Centred and of equal size, so that neither place nor size tells characters apart.
    pen = np.einsum("pc,nscd->nspd", BERNSTEIN, control)
    low = pen.min((1, 2), where=present[:, :, None, None], initial=np.inf)[:, None, None]
    high = pen.max((1, 2), where=present[:, :, None, None], initial=-np.inf)[:, None, None]
    return (2 * control - low - high) / (high - low).max(-1, keepdims=True), present


def draw(control: np.ndarray, present: np.ndarray, seed: int, numbers: np.ndarray) -> np.ndarray:
    """Draws each character :data:`DRAWINGS` times, by an unsteady hand.

    Args:
        control: ``[classes, strokes, 4, xy]`` from :func:`characters`.
        present: ``[classes, strokes]`` which strokes there are.
        seed: the world.
        numbers: ``[classes]`` class numbers.

    Returns:
        ``[classes, drawings, height, width, 1]`` uint8, ink bright.
    """
    key = counter_random.stream("glyphs drawings", seed)
    index = (numbers[:, None] * DRAWINGS + np.arange(DRAWINGS)).ravel()
    z = counter_random.normal(counter_random.uniform(key, index, 14 + 8 * STROKES))  # one spare
    control = np.repeat(control, DRAWINGS, 0) + 0.07 * z[:, 14:].reshape(-1, STROKES, 4, 2)
    pen = np.einsum("pc,nscd->nspd", BERNSTEIN, control)

    # A slow wave across the sheet moves what lies close together together.
    phase = np.einsum("nspd,nde->nspe", pen, z[:, :4].reshape(-1, 2, 2)) + 3 * z[:, None, None, 4:6]
    pen += 0.12 * np.sin(phase)

    turn, slant, stretch = 0.17 * z[:, 6], 0.2 * z[:, 7], np.exp(0.12 * z[:, 8:10])
    cos, sin = np.cos(turn), np.sin(turn)
    shape = np.stack([cos, -sin, sin + slant * cos, cos - slant * sin], 1).reshape(-1, 2, 2)
    pen = np.einsum("nspd,nde->nspe", pen * stretch[:, None, None], shape)
    pen = SIZE / 2 - 0.5 + 8.2 * pen + 1.1 * z[:, None, None, 10:12]

    # Ink runs in proportion to the way that the pen makes, so its darkness is even.
    way = np.hypot(*np.moveaxis(np.gradient(pen, axis=2), -1, 0))
    way *= np.repeat(present, DRAWINGS, 0)[..., None]
    width = 0.7 * np.exp(0.15 * z[:, 12])
    pen, way = pen.reshape(len(index), -1, 2).astype(np.float32), way.reshape(len(index), -1)

    # A round spot of ink is the product of a profile of rows and one of columns, so the spots of
    # all points add up to a product of matrices.
    off = np.arange(SIZE, dtype=np.float32) - pen[..., None]  # [drawings, points, xy, pixels]
    spread = (-0.5 / width**2).astype(np.float32)
    profile = np.exp(off * off * spread[:, None, None, None])
    profile[:, :, 0] *= (way / width[:, None]).astype(np.float32)[..., None]
    ink = profile[:, :, 1].swapaxes(1, 2) @ profile[:, :, 0]  # [drawings, height, width]
    ink = 1 - np.exp(-0.8 * ink)  # paper takes up only so much
    images = np.rint(255 * ink).astype(np.uint8)
    return images.reshape(len(numbers), DRAWINGS, SIZE, SIZE, 1)

"""Decodes image files to 8 bits a channel, opaque and, where that is asked for, upright.

What had to be changed beyond colour and size is counted, and said when a set is prepared.
"""

import io
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench.base.errors import BenchError

# what sets of images come in; to read others, Pillow may start programs, such as Ghostscript
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

ORIENTATION, BITS, PHOTOMETRIC = 274, 258, 262  # tags of EXIF and TIFF
_UPRIGHT = {  # what turns an image as its orientation says
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DIM = 1 / 16  # of the range: 12 bits stored as 16

CHANGES = {
    "scaled": "{} of 16 bits or floating point, such as {}: the range of the format, 0 to 65,535 "
    "or 0 to 1, was scaled to 0..255.",
    "dim": "CAUTION: {} of 16 bits, such as {}, with less than a sixteenth of their range: nearly "
    "black when scaled. If their range is another, scale them to 8 bits yourself.",
    "composed": "{} transparent in parts, such as {}: laid over white.",
    "turned": "{} with an EXIF orientation, such as {}: turned upright.",
    "not turned": "{} with an EXIF orientation, such as {}: taken as stored, as published results "
    "take them.",
    "first frame": "{} of several frames, such as {}: the first one was taken.",
}


class Decoded(NamedTuple):
    """An image as it is used.

    Attributes:
        image: of 8 bits a channel and without transparency.
        changes: keys of :data:`CHANGES`, what was done for that.
    """

    image: Image.Image
    changes: tuple[str, ...]


class Changes:
    """Counts what was changed in the images of a set."""

    def __init__(self):
        self._count: Counter[str] = Counter()
        self._example: dict[str, str] = {}

    def add(self, changes: Iterable[str], name: str) -> None:
        """Notes the changes of an image."""
        for change in changes:
            self._count[change] += 1
            self._example.setdefault(change, name)

    def notes(self) -> list[str]:
        """A sentence for each kind of change."""
        return [
            text.format(images_in_words(self._count[change]), self._example[change])
            for change, text in CHANGES.items()
            if self._count[change]
        ]


def images_in_words(count: int) -> str:
    """A number of images, such as ``1 image`` or ``2,000 images``."""
    return f"{count:,} image{'' if count == 1 else 's'}"


def decode(content: bytes, name: str, upright: bool = False) -> Decoded:
    """Decodes an image file completely.

    Values of 16 bits and floating-point ones are scaled by the range of the format to 0..255, and
    what is transparent is laid over white.

    Args:
        content: of the file.
        name: of the file, for messages.
        upright: whether an image is turned as its EXIF orientation says.

    Raises:
        BenchError: names the file, if it is truncated, no image, of absurd size, or of values whose
            range is not known.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is damaged beside the pixels
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            image.load()
            orientation, is_animated = _orientation(image), _is_animated(image, content)
            image, changes = _in_8_bits(image, name)
            image, composed = _opaque(image)
    except (MemoryError, BenchError):
        raise
    except Image.UnidentifiedImageError as error:  # whose message names an object in memory
        raise BenchError(
            f"{name}: not a whole image ({', '.join(FORMATS)} are read): get it again"
        ) from error
    except Exception as error:  # a damaged image may raise anything
        raise BenchError(f"{name}: not a whole image ({error}): get it again") from error
    changes += composed
    if orientation in _UPRIGHT:
        changes += ("turned" if upright else "not turned",)
        image = image.transpose(_UPRIGHT[orientation]) if upright else image
    if is_animated:
        changes += ("first frame",)
    return Decoded(image, changes)


def convert(image: Image.Image, mode: str, name: str) -> Image.Image:
    """An image in another mode.

    Raises:
        BenchError: names the file, if Pillow cannot do that.
    """
    try:
        return image.convert(mode)
    except ValueError as error:
        raise BenchError(
            f"{name}: its colours ({image.mode}) cannot be converted to {mode}: save it as RGB"
        ) from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, which is upright, where there is none that can be read."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged data beside the pixels may raise anything
        return 1


def _is_animated(image: Image.Image, content: bytes) -> bool:
    """Whether it has more frames than the first, which is all that is used."""
    try:
        if image.format == "GIF":  # to look for another frame may change the first one
            image = Image.open(io.BytesIO(content), formats=["GIF"])
        return getattr(image, "is_animated", False)
    except Exception:  # what follows the first frame may be damaged
        return False


def _in_8_bits(image: Image.Image, name: str) -> tuple[Image.Image, tuple[str, ...]]:
    """An image with values of 8 bits, and what had to be changed for that."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image, ()
    values = np.asarray(image).astype(np.float64)
    least, most = values.min(), values.max()
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F":
        top = 1.0
    elif image.mode == "I" and image.format == "TIFF":  # 32 bits, or 16 with a sign
        top = 255.0
    else:  # Pillow gives images of PNG and PPM the range of 16 bits, whatever theirs was
        top = 2.0 ** tags.get(BITS, (16,))[0] - 1
    if not (least >= 0 and most <= top):  # NaN is neither
        raise BenchError(
            f"{name}: has values from {least:g} to {most:g}, and of images of this kind "
            f"({image.mode}) only 0 to {top:g} is understood: save it with 8 or 16 bits"
        )
    if tags.get(PHOTOMETRIC) == 0:  # white is 0
        values = top - values
    changes = ("scaled",) if top != 255 else ()
    if changes and top > 1 and 0 < values.max() < _DIM * top:
        changes += ("dim",)
    if (transparent := image.info.get("transparency")) is not None:
        changes += ("composed",) if (values == transparent).any() else ()
        values[values == transparent] = top
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8)), changes


def _opaque(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """An image over white, if it is transparent anywhere."""
    if not image.has_transparency_data:
        return image, ()
    with_alpha = image.convert("RGBA")
    if with_alpha.getchannel("A").getextrema()[0] == 255:
        return image, ()
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB"), ("composed",)

"""Random crops, flips and colours of training images, the same for an episode wherever it is drawn.

The operations are the functions of ``torchvision.transforms.v2.functional``; the classes of
``transforms.v2`` draw from the global generator, so that an image would depend on what was drawn
before it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from bench.base.errors import BenchError, nearest

PADDING = 0.1  # of the side: 8 pixels of 84, as is usual for miniImageNet
COLOR = 0.4  # brightness, contrast and saturation change by up to this factor


def crop(image: Tensor, u: np.ndarray) -> Tensor:
    """A part of the image after black borders were added, as large as the image was."""
    from torchvision.transforms.v2 import functional as F  # slow to import

    sides = image.shape[-2:]
    border = [round(PADDING * side) for side in sides]
    top, left = (int(v * (2 * b + 1)) for v, b in zip(u, border))
    return F.crop(F.pad(image, border[::-1]), top, left, *sides)


def flip(image: Tensor, u: np.ndarray) -> Tensor:
    """The image or, half of the time, its mirror image."""
    from torchvision.transforms.v2 import functional as F

    return F.horizontal_flip(image) if u[0] < 0.5 else image


def color(image: Tensor, u: np.ndarray) -> Tensor:
    """Other brightness, contrast and saturation, in this order."""
    from torchvision.transforms.v2 import functional as F

    changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)
    for change, v in zip(changes, u):
        image = change(image, 1 + COLOR * (2 * float(v) - 1))
    return image


OPERATIONS: dict[str, tuple[Callable, int]] = {
    "crop": (crop, 2),
    "flip": (flip, 1),
    "color": (color, 3),
}
DRAWS = sum(draws for _, draws in OPERATIONS.values())  # random numbers an image takes


def check(names: Sequence[str]) -> None:
    """Refuses what is no list of operations.

    Raises:
        BenchError: gives the nearest name.
    """
    for name in [names] if isinstance(names, str) else names:
        if name not in OPERATIONS:
            raise BenchError(f"augmentation {name!r}: {nearest(str(name), OPERATIONS)}")
    if isinstance(names, str):
        raise BenchError(f"augmentation={names!r}: give a list, such as [{names!r}]")


def augment(images: Tensor, names: Sequence[str], u: np.ndarray) -> Tensor:
    """Changes every image by operations of its own.

    As in Lee et al. 2019 (arXiv:1904.03758, section 4.1): crop, mirror, then colour, whatever the
    order of the names.

    Args:
        images: ``[tasks, rows, channels, height, width]`` in 0..1; changed in place.
        names: keys of :data:`OPERATIONS`.
        u: ``[tasks, rows, DRAWS]`` random numbers in 0..1; each operation has its own, so that
            leaving one out does not change the others.
    """
    flat, u = images.flatten(0, 1), u.reshape(-1, DRAWS)
    for row, image in enumerate(flat):
        changed, first = image, 0
        for name, (operation, draws) in OPERATIONS.items():
            if name in names:
                changed = operation(changed, u[row, first : first + draws])
            first += draws
        image.copy_(changed)
    return images

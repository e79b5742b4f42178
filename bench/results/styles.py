"""How an algorithm looks in every figure: a colour, a shape and dashes that no other has."""

import colorsys

import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.ticker import LogLocator, NullLocator

from bench.results.labels import Label

# Second order has a filled mark and a line, first order a hollow mark and dashes. The first twelve
# colours are Okabe and Ito's and Tol's, which colour-blind readers tell apart; then come the same
# ones lighter, as far as they can be seen on white, and darker. Shapes and dashes say it again.
FIRST = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
    *("#332288", "#882255", "#44AA99", "#999933", "#CC6677", "#117733"),
)
FAINTEST = 1.9  # contrast with white paper
SHAPES = "osD^vPX<>*ph"
CEILING, FLOOR = ("#000000", "", "-"), ("#7F7F7F", "D", ":")
BASELINES = [("#7F7F7F", "v", ":"), ("#A0A0A0", "^", "-."), ("#BBBBBB", "s", "-.")]


def contrast(colour: str) -> float:
    """Of a colour with white paper (WCAG 2.2, contrast ratio): 1 cannot be seen, black has 21."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return 1.05 / (float(np.dot(linear, (0.2126, 0.7152, 0.0722))) + 0.05)


def _lighter(colour: str, lightness: float) -> str:
    """The same hue, as light as that (0 is black, 1 is white), or as light as can be seen."""
    hue, _, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    for each in np.arange(lightness, 0, -0.01):
        found = to_hex(colorsys.hls_to_rgb(hue, each, 0.75 * saturation)).upper()
        if contrast(found) >= FAINTEST:
            break
    return found


COLOURS = (
    *FIRST,
    *(_lighter(colour, 0.74) for colour in FIRST),
    *(_lighter(colour, 0.16) for colour in FIRST),
)


def style(label: Label, drawn: list[Label], variant: int) -> dict:
    """How an algorithm is drawn: by its place among those compared, first those in two orders.

    Args:
        label: of the algorithm.
        drawn: all labels of the figure, sorted.
        variant: which one of several configurations of it.

    Returns:
        Arguments of matplotlib's ``plot``.
    """
    if label.role == "ceiling":
        colour, shape, dashes = CEILING
    elif label.role == "floor":
        colour, shape, dashes = FLOOR
    elif label.role == "baseline":
        baselines = sorted({x.name for x in drawn if x.role == "baseline"})
        colour, shape, dashes = BASELINES[baselines.index(label.name) % len(BASELINES)]
    else:
        methods = sorted({(x.order is None, x.name) for x in drawn if not x.role})
        number = methods.index((label.order is None, label.name)) % len(COLOURS)
        # one that has the hue of another has another shape
        colour, shape = COLOURS[number], SHAPES[(number + number // len(FIRST)) % len(SHAPES)]
        dashes = "--" if label.order == 1 else "-"
    return {
        "color": colour,
        "marker": shape,
        "linestyle": (dashes, "-.", ":")[min(variant, 2)],
        "markersize": 4.5,
        "linewidth": 1.5,
        "markerfacecolor": "white" if label.order == 1 or variant else colour,
    }


def decimal_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2, 5, 10, 20 and so on, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())

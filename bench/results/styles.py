"""How an algorithm looks in every figure: a colour, a shape and dashes that no other has."""

import colorsys

from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.ticker import LogLocator, NullLocator

from bench.results.labels import Label

# Second order has a filled mark and a line, first order a hollow mark and dashes. The first twelve
# colours are Okabe and Ito's and Tol's, which colour-blind readers tell apart; then come the same
# ones lighter and darker. Shapes and dashes say it again.
FIRST = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
    *("#332288", "#882255", "#44AA99", "#999933", "#CC6677", "#117733"),
)
SHAPES = "osD^vPX<>*ph"
CEILING, FLOOR = ("#000000", "", "-"), ("#7F7F7F", "D", ":")
BASELINES = [("#7F7F7F", "v", ":"), ("#A0A0A0", "^", "-."), ("#BBBBBB", "s", "-.")]


def _lighter(colour: str, lightness: float) -> str:
    """The same hue, as light as that (0 is black, 1 is white)."""
    hue, _, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    return to_hex(colorsys.hls_to_rgb(hue, lightness, 0.75 * saturation)).upper()


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

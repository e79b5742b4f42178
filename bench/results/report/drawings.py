"""Charts as inline SVG, whose colours follow the page from light to dark."""

import colorsys
import io
import re

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.results.labels import Label
from bench.results.styles import style

WIDTH, HEIGHT = 3.5, 2.3  # inches: as wide as a phone shows without shrinking the text
USUAL = "svg * { stroke-linejoin: round; stroke-linecap: butt }"  # as matplotlib has it
PAPER = "#ffffff"  # what hollow marks are filled with


class Drawings:
    """Draws for one page, and knows which colours it has used.

    Args:
        drawn: the labels of all algorithms on the page: each looks the same everywhere.
    """

    def __init__(self, drawn: list[Label]):
        self.drawn = drawn
        self._colours: set[str] = {PAPER}
        self._classes: dict[str, str] = {}  # of the page's style sheet, by what they say
        self._number = 0
        self._swatches: dict[tuple, tuple[Markup, Markup]] = {}

    def axes(self) -> tuple[Figure, Axes]:
        """An empty figure for one chart."""
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_axes((0.15, 0.19, 0.82, 0.77))
        for axis in (axes.xaxis, axes.yaxis):  # on a small chart; and each tick takes its time
            axis.set_major_locator(MaxNLocator(4))
        return figure, axes

    def swatch(self, label: Label, variant: int = 0) -> Markup:
        """The line and mark of an algorithm, to stand before its name."""
        key = (label, min(variant, 2))
        if key not in self._swatches:
            figure = Figure(figsize=(0.42, 0.16))
            look = style(label, self.drawn, variant) | {"markersize": 5}
            figure.add_artist(Line2D([0.02, 0.5, 0.98], [0.5] * 3, markevery=[1], **look))
            whole = self.svg(figure, "")
            name, size = f"look-{len(self._swatches)}", re.search(r'viewBox="[^"]+"', whole)[0]
            inner = whole[whole.index(">") + 1 : whole.rindex("</svg>")]
            symbol = Markup(f'<symbol id="{name}" {size}>{inner}</symbol>')
            use = Markup(f'<svg {size} aria-hidden="true"><use href="#{name}"/></svg>')
            self._swatches[key] = (symbol, use)
        return self._swatches[key][1]

    @property
    def symbols(self) -> Markup:
        """What the swatches refer to, to stand on the page once."""
        return Markup("").join(symbol for symbol, _ in self._swatches.values())

    def svg(self, figure: Figure, name: str) -> Markup:
        """A figure as inline SVG.

        Args:
            figure: without any text from records: matplotlib would read mathematics in it.
            name: what it shows, for those who do not see it; empty: it says nothing new.
        """
        self._number += 1
        file = io.StringIO()
        # text stays text, and marks of one figure have names that no other figure has
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"{self._number}"}):
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        text = file.getvalue()
        text = text[text.index("<svg") :]
        once = r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->"
        text = re.sub(once, "", text, flags=re.DOTALL)
        used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
        used = {name for pair in used for name in pair if name}
        text = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else "", text)
        text = re.sub(r"(\d+\.\d\d)\d+", r"\1", text)  # a hundredth of a point is enough
        text = re.sub(r" ?font-family: [^;\"]*;?", "", text)  # the page's own
        text = re.sub(r"\s*\n\s*", "\n", text)
        text = re.sub(r"#[0-9a-f]{6}\b", lambda m: self._variable(m[0]), text)
        text = re.sub(r' style="([^"]+)"', lambda m: f' class="{self._class(m[1])}"', text)
        size = re.search(r'viewBox="[^"]+"', text)[0]
        seen = Markup('role="img" aria-label="{}"').format(name) if name else 'aria-hidden="true"'
        head = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {size} {seen}>'
        return Markup(re.sub(r"<svg[^>]*>", lambda _: head, text, count=1))

    def _variable(self, colour: str) -> str:
        self._colours.add(colour)
        return f"var(--{colour[1:]})"

    def _class(self, rules: str) -> str:
        """The name that stands for what thousands of marks would say over and over."""
        return self._classes.setdefault(rules, f"d{len(self._classes)}")

    @property
    def rules(self) -> Markup:
        """The classes of all figures, for the page's style sheet."""
        lines = [f".{name} {{ {rules} }}" for rules, name in self._classes.items()]
        return Markup("\n".join([USUAL, *lines]))

    @property
    def light(self) -> dict[str, str]:
        """Each colour by the name of its variable, on white paper."""
        return {f"--{c[1:]}": c if c != PAPER else "var(--paper)" for c in sorted(self._colours)}

    @property
    def dark(self) -> dict[str, str]:
        """The same on dark paper."""
        paper = {f"--{PAPER[1:]}": "var(--paper)"}
        return {f"--{c[1:]}": on_dark(c) for c in sorted(self._colours)} | paper


def on_dark(colour: str) -> str:
    """A colour as it is to be seen on dark paper: greys turned round, dark hues made lighter.

    >>> on_dark("#000000"), on_dark("#332288")
    ('#ebebeb', '#7764d8')
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    if saturation < 0.1:
        lightness = min(max(1 - lightness, 0.24), 0.92)
    else:
        lightness = max(lightness, 0.62)
        saturation = min(saturation, 0.8)
    return to_hex(colorsys.hls_to_rgb(hue, lightness, saturation))

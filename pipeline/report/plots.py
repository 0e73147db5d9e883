"""Draws with matplotlib, as SVG that takes its colors from the page: light, dark, and on paper.

Text stays text. A color of `Ink` is a stand-in, which becomes a variable of the page's style sheet.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import TightLayoutEngine
from matplotlib.ticker import MaxNLocator

WIDE = 9.0  # inches
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r" font-family: [^;\"]+;")
# A style in a picture would be one of the whole page; the page's own sheet has it.
_ONLY_FOR_A_FILE = (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style")
_STYLE: Mapping[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "maskline",
    "text.parse_math": False,  # a symbol may be a dollar sign
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


# From 0 to 1. These are the picture's own colors, as those of a photograph: the same on light and dark paper.
HEAT = LinearSegmentedColormap.from_list("heat", ["#f4f1e8", "#f2a65a", "#b23a48", "#3b0f2b"])


# Where a legend hides nothing.
ABOVE: Mapping[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3, "borderaxespad": 0.2}


class Ink(StrEnum):
    """Stand-ins for the page's colors."""

    TEXT = "#0a0b01"
    FAINT = "#0a0b02"
    GRID = "#0a0b03"
    PAPER = "#0a0b04"
    OURS = "#0a0b05"
    OTHER = "#0a0b06"
    GOOD = "#0a0b07"
    BAD = "#0a0b08"
    OPEN = "#0a0b09"

    @property
    def variable(self) -> str:
        """The page's name for it."""
        return f"var(--{self.name.lower()})"


@contextmanager
def _style() -> Iterator[None]:
    colors: dict[Any, Any] = {
        "text.color": Ink.TEXT,
        "axes.labelcolor": Ink.TEXT,
        "axes.edgecolor": Ink.FAINT,
        "xtick.color": Ink.TEXT,
        "ytick.color": Ink.TEXT,
        "grid.color": Ink.GRID,
        "legend.labelcolor": Ink.TEXT,
    }
    with rc_context({**_STYLE, **{name: str(color) for name, color in colors.items()}}):
        yield


def draw(
    name: str,
    title: str,
    paint: Callable[..., None],
    *,
    height: float = 3.0,
    width: float = 6.0,
    columns: int = 1,
) -> Markup:
    """A picture as inline SVG.

    Args:
      name: unique on the page; ids in the SVG begin with it.
      title: read to who does not see it.
      paint: is given the axes, and paints.
      height: in inches, of which one is 72 units of the picture.
      width: the same; `WIDE` for a figure that takes the whole line.
      columns: axes side by side.
    """
    with _style(), warnings.catch_warnings():
        # The browser's fonts draw the text, and have what the font that measures it does not have.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        # With a rectangle to fit into, all would be measured twice, for the same layout. The types leave out
        # None, which `Figure.tight_layout` gives by default.
        layout = TightLayoutEngine(rect=None)  # type: ignore[arg-type]
        canvas = Canvas(figsize=(width, height), layout=layout)
        canvas.patch.set_visible(False)
        axes = canvas.subplots(1, columns, squeeze=False)[0]
        for one in axes:
            one.patch.set_visible(False)
        paint(*axes)
        written = io.StringIO()
        FigureCanvasSVG(canvas).print_svg(written, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return _inline(written.getvalue(), name, title)


def bars_across(axes: Axes, labels: list[str]) -> None:
    """Prepares axes on which each label is a line, the first on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def whole_numbers(axes: Axes) -> None:
    """Ticks of the axis across at whole numbers alone, as for epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def mark(axes: Axes, name: str, x: float, y: float, **given: Any) -> None:
    """A dot that a test, or a person with the page's inspector, can find by its name."""
    [dot] = axes.plot([x], [y], linestyle="none", **{"marker": "o", "markersize": 6, **given})
    dot.set_gid(name)


def _inline(svg: str, name: str, title: str) -> Markup:
    """Without what only a file needs; ids of its own, so that pictures on one page do not share any."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(svg.encode())
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag in _ONLY_FOR_A_FILE]:
            parent.remove(child)
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == _LINK:  # HTML takes it without its prefix, which the writer would rename
                del element.attrib[key]
                element.set("href", f"#{name}-{value[1:]}" if value.startswith("#") else value)
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
    root.set("role", "img")
    root.set("aria-label", title)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    text = _FONT.sub("", ElementTree.tostring(root, encoding="unicode"))
    for ink in Ink:
        text = text.replace(ink.value, ink.variable)
    return Markup(text)

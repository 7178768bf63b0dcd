"""A figure that shows itself in a notebook, with words for those who do not see it.

Drawn with matplotlib's objects alone, never through pyplot:
pyplot keeps one current figure per process, and widget callbacks may run on any thread.
Rendering is guarded by a lock, because fonts are shared inside matplotlib.
"""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from threading import RLock
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dynalab.views.colours import INK, PAPER

DPI = 100
FONT = "DejaVu Sans"
"""Shipped with matplotlib, so pictures have the same letters on every machine."""
WORDS, TITLE = 12, 15
"""Points: the smallest letters, readable from the back of a room, and titles."""
SHADES = 256
"""Colours of a stored PNG: enough for smooth edges, at less than half of the bytes."""

_RENDERING = RLock()


class Picture(Figure):
    """A matplotlib figure with an alt text, shown by a notebook as it is.

    Args:
        subject: what it shows, in a few words that do not change from run to run.
        width, height: inches, at 100 dots each.

    Attributes:
        alt: what the picture says, in sentences.
    """

    def __init__(self, subject: str, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=DPI, facecolor=PAPER)
        FigureCanvasAgg(self)
        self.subject = subject
        self.alt = ""

    def png(self) -> bytes:
        """The picture as PNG; the same drawing gives the same bytes."""
        return png_of(self)

    def save(self, path: str | Path) -> Path:
        """Write the PNG to `path`, and say where it is."""
        target = Path(path)
        target.write_bytes(self.png())
        return target

    def __repr__(self) -> str:
        return f"<Picture: {self.subject}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return bundle_of(self)


def png_of(figure: Figure) -> bytes:
    """Any figure as PNG, with few colours and no date inside."""
    with _RENDERING:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = numpy.asarray(canvas.buffer_rgba())[:, :, :3]
    image = Image.fromarray(numpy.ascontiguousarray(pixels))
    image = image.quantize(SHADES, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def bundle_of(figure: Figure) -> dict[str, Any]:
    """What a notebook stores: the image with its alt text, the bare image for viewers without HTML, a name."""
    image = base64.b64encode(png_of(figure)).decode()
    alt = html.escape(alt_of(figure))
    return {
        "text/html": f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{image}"/>',
        "image/png": image,
        "text/plain": repr(figure),
    }


def alt_of(figure: Figure) -> str:
    """What a figure says in words; empty when nobody said."""
    return str(getattr(figure, "alt", ""))


def show(figure: Figure) -> None:
    """Show a figure in the notebook now, for the middle of a cell; a `Picture` at a cell's end shows itself."""
    from IPython.display import display

    display(bundle_of(figure), raw=True)


def canvas(ax: Axes | None, subject: str, width: float, height: float) -> Axes:
    """The given axes, or the only axes of a new picture of that size; without frame and ticks."""
    if ax is None:
        ax = Picture(subject, width, height).add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    return ax


def figure_of(ax: Axes, alt: str) -> Figure:
    """The figure that `ax` belongs to, with `alt` added to its alt text."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "axes that were removed from their figure cannot be drawn in"
    figure.alt = " ".join(filter(None, [alt_of(figure), alt]))  # type: ignore[attr-defined]
    return figure


def write(ax: Axes, x: float, y: float, words: str, **style: Any) -> Any:
    """Put words at a place, centred unless said otherwise, in our letters."""
    plain = {"ha": "center", "va": "center", "fontsize": WORDS, "color": INK, "family": FONT}
    return ax.text(x, y, words, **{**plain, **style})


def shortened(words: str, length: int) -> str:
    """At most `length` characters; an ellipsis stands for the rest.

    >>> shortened("['milk', 'bread', 'tea']", 10)
    "['milk', …"
    """
    return words if len(words) <= length else words[: length - 1] + "…"

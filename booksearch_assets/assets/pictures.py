"""Pictures in the metadata: histograms, bars and cover sheets, as Markdown images.

Belongs here: drawing with Matplotlib and Pillow to bytes. Does not: what is drawn when (the assets).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

_INK = "#31456a"


def histogram(values: Sequence[float], label: str, bins: int = 30) -> str:
    """How often each value comes, as a Markdown image. No values draw an empty frame."""

    import numpy as np

    counts, edges = np.histogram(values, bins=bins)

    def draw(axes: Axes) -> None:
        # One shape: a rectangle for each bin takes ten times as long, and there is a picture for every year.
        axes.stairs(counts, edges, fill=True, color=_INK)
        axes.set_xlabel(label)
        axes.set_ylabel("rows")

    return _plot(draw, margins={"left": 0.11, "right": 0.99, "bottom": 0.24, "top": 0.95})


def bars(values: Mapping[str, float], label: str) -> str:
    """One horizontal bar for each name."""

    def draw(axes: Axes) -> None:
        names = list(values)[::-1]
        axes.barh(names, [values[name] for name in names], color=_INK)
        axes.set_xlabel(label)

    return _plot(draw, height=max(1.2, 0.3 * len(values) + 0.7))


def picture(png: bytes) -> str:
    """A PNG as a Markdown image."""
    return _markdown(png, "png")


def sheet(image: Image.Image, width: int = 720) -> str:
    """A picture, such as a contact sheet, as a Markdown image at most `width` wide."""
    shown = image.convert("RGB")
    if shown.width > width:
        shown = shown.resize((width, round(shown.height * width / shown.width)))
    stream = io.BytesIO()
    shown.save(stream, "JPEG", quality=80)
    return _markdown(stream.getvalue(), "jpeg")


def _plot(
    draw: Callable[[Axes], None], height: float = 2.2, margins: Mapping[str, float] | None = None
) -> str:
    """Draw with these margins; without any, Matplotlib finds some that hold the labels, which takes it longer."""
    # Figure without pyplot: pyplot keeps every figure alive and picks a window system.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, height), layout=None if margins else "constrained")
    axes = figure.add_subplot()
    if margins:
        figure.subplots_adjust(**margins)
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=80)
    return _markdown(stream.getvalue(), "png")


def _markdown(content: bytes, kind: str) -> str:
    return f"![](data:image/{kind};base64,{base64.b64encode(content).decode()})"

"""Sketches: the pencil that motifs are drawn with, and the flat polygons that come out of it.

Holds the tones, the path notation and the `Sketch` that turns curves, ellipses and strokes into polygons once,
so that painting a motif at any size, angle or colour is one matrix product and a few polygon fills.
Belongs here: geometry in the square of a motif. Does not: which motif looks how (the sibling modules), and real
colours and pixels (`painter`).

Paths are strings of `x,y` in percents of the square (x to the right, y down), joined by smooth curves;
a `!` after a point makes it a corner: `"10,90! 50,10 90,90!"` is an arch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

Point = tuple[float, float]

_CURVE_STEPS = 7


class Tone(Enum):
    """What a polygon is painted with. The painter gives each tone its colour, cover by cover."""

    FILL = "fill"  # the colour that the caption names
    LIGHT = "light"  # a tint of it
    SHADE = "shade"  # a shade of it
    INK = "ink"  # fine lines, in contrast to the fill
    PAPER = "paper"  # faces, glass, pages, the white of an eye
    GLOW = "glow"  # flames and lit windows
    LEAF = "leaf"
    WOOD = "wood"
    HOLE = "hole"  # cut out: the background shows through


@dataclass(frozen=True)
class Drawing:
    """A motif as polygons, back to front. `points` is (n, 2) float64 in [0, 1] around the square's centre at 0.5;
    polygon i is `points[ends[i - 1]:ends[i]]` and is painted in `tones[i]`."""

    points: np.ndarray
    ends: tuple[int, ...]
    tones: tuple[Tone, ...]


def mirrored(path: str) -> str:
    """The path as seen in a mirror on the square's vertical middle line."""
    return " ".join(f"{100 - x}{',' + rest}" for x, rest in _split(path))


def _split(path: str) -> Iterable[tuple[float, str]]:
    for item in path.split():
        x, rest = item.split(",")
        yield float(x), rest


def trace(path: str, closed: bool) -> list[Point]:
    """The points of a path: a Catmull-Rom curve that stops at every corner."""
    nodes = [(x, float(rest.rstrip("!"))) for x, rest in _split(path)]
    corners = [item.endswith("!") for item in path.split()]
    count = len(nodes)

    def tangent(i: int) -> Point:
        if corners[i] or (not closed and i in (0, count - 1)):
            return 0.0, 0.0
        before, after = nodes[i - 1], nodes[(i + 1) % count]
        return (after[0] - before[0]) / 2, (after[1] - before[1]) / 2

    points: list[Point] = []
    for i in range(count if closed else count - 1):
        j = (i + 1) % count
        steps = 1 if corners[i] and corners[j] else _CURVE_STEPS
        points += _hermite(nodes[i], nodes[j], tangent(i), tangent(j), steps)
    return points if closed else [*points, nodes[-1]]


def _hermite(a: Point, b: Point, slope_a: Point, slope_b: Point, steps: int) -> list[Point]:
    points = []
    for k in range(steps):
        t = k / steps
        h_a, h_sa = (1 + 2 * t) * (1 - t) ** 2, t * (1 - t) ** 2
        h_b, h_sb = t * t * (3 - 2 * t), t * t * (t - 1)
        points.append(
            (
                h_a * a[0] + h_sa * slope_a[0] + h_b * b[0] + h_sb * slope_b[0],
                h_a * a[1] + h_sa * slope_a[1] + h_b * b[1] + h_sb * slope_b[1],
            )
        )
    return points


class Sketch:
    """Collects the polygons of one motif. All lengths are percents of the square."""

    def __init__(self) -> None:
        self._polygons: list[tuple[list[Point], Tone]] = []

    def shape(self, path: str, tone: Tone = Tone.FILL) -> None:
        """A closed, filled path."""
        self._polygons.append((trace(path, closed=True), tone))

    def pair(self, path: str, tone: Tone = Tone.FILL) -> None:
        """A closed, filled path and its mirror image."""
        self.shape(path, tone)
        self.shape(mirrored(path), tone)

    def box(self, left: float, top: float, right: float, bottom: float, tone: Tone = Tone.FILL) -> None:
        self._polygons.append(([(left, top), (right, top), (right, bottom), (left, bottom)], tone))

    def ellipse(
        self, x: float, y: float, rx: float, ry: float | None = None, tone: Tone = Tone.FILL, turn: float = 0
    ) -> None:
        """An ellipse around (x, y), turned clockwise by `turn` degrees; a circle without `ry`."""
        ry = rx if ry is None else ry
        count = max(12, min(48, int(10 + 1.3 * max(rx, ry))))
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        points = []
        for k in range(count):
            u, v = rx * math.cos(math.tau * k / count), ry * math.sin(math.tau * k / count)
            points.append((x + u * cos - v * sin, y + u * sin + v * cos))
        self._polygons.append((points, tone))

    def ring(self, x: float, y: float, radius: float, width: float, tone: Tone = Tone.FILL) -> None:
        """A circle line: `radius` is that of its middle."""
        self.arc(x, y, radius, 0, 360, width, tone)

    def arc(
        self,
        x: float,
        y: float,
        radius: float,
        start: float,
        end: float,
        width: float,
        tone: Tone = Tone.FILL,
    ) -> None:
        """A circle line from `start` to `end` degrees, clockwise from the right."""
        count = max(8, int(abs(end - start) / 9))
        angles = [math.radians(start + (end - start) * k / count) for k in range(count + 1)]
        self._ribbon(
            [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles], width, width, tone
        )

    def line(self, path: str, width: float, tone: Tone = Tone.INK, end_width: float | None = None) -> None:
        """An open path stroked with `width`, tapering to `end_width` if that is given; round ends."""
        points = trace(path, closed=False)
        end_width = width if end_width is None else end_width
        self._ribbon(points, width, end_width, tone)
        for (x, y), size in ((points[0], width), (points[-1], end_width)):
            if size >= 2:
                self.ellipse(x, y, size / 2, tone=tone)

    def _ribbon(self, points: list[Point], width: float, end_width: float, tone: Tone) -> None:
        """One polygon along both sides of the points."""
        last = len(points) - 1
        left, right = [], []
        for i, (x, y) in enumerate(points):
            (x0, y0), (x1, y1) = points[max(i - 1, 0)], points[min(i + 1, last)]
            length = math.hypot(x1 - x0, y1 - y0) or 1.0
            half = (width + (end_width - width) * i / last) / 2
            dx, dy = -(y1 - y0) / length * half, (x1 - x0) / length * half
            left.append((x + dx, y + dy))
            right.append((x - dx, y - dy))
        self._polygons.append((left + right[::-1], tone))

    def drawing(self) -> Drawing:
        """What was sketched so far, scaled from percents to the unit square."""
        points = np.array([p for polygon, _ in self._polygons for p in polygon], dtype=np.float64) / 100
        ends = np.cumsum([len(polygon) for polygon, _ in self._polygons])
        return Drawing(points, tuple(int(e) for e in ends), tuple(tone for _, tone in self._polygons))

"""Backdrops: the six settings under the six weathers, behind every motif of a sample cover.

Belongs here: land, sea, sky and what falls from it. Does not: motifs, lettering, and the making of a cover
(`painter`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Air:
    """A weather's light: the sky from top to horizon, and the colour that it lays over the land."""

    zenith: RGB
    horizon: RGB
    haze: RGB
    haze_amount: float
    dark: bool = False


AIRS: dict[str, Air] = {
    "on a clear day": Air((104, 184, 232), (250, 240, 212), (255, 250, 230), 0.0),
    "in the rain": Air((112, 128, 144), (172, 184, 192), (120, 134, 148), 0.45),
    "in a storm": Air((32, 36, 52), (94, 96, 116), (42, 46, 62), 0.5, dark=True),
    "in the snow": Air((192, 210, 226), (236, 242, 247), (240, 245, 250), 0.6),
    "in the fog": Air((204, 204, 198), (228, 226, 218), (218, 216, 209), 0.68),
    "at night": Air((12, 18, 50), (52, 62, 116), (18, 26, 64), 0.58, dark=True),
}
_BELOW = 3.0  # deep under the lower edge, wherever the stage ends
_CREAM_PAGE = Air((246, 236, 214), (246, 236, 214), (246, 236, 214), 0.0)


def mix(a: RGB, b: RGB, amount: float) -> RGB:
    """`a` with `amount` (0 to 1) of `b` in it."""
    return tuple(round(x + (y - x) * amount) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def paint_backdrop(
    size: tuple[int, int], setting: str, weather: str, stage: tuple[float, float], rng: random.Random
) -> Image.Image:
    """Setting and weather as an RGB image of `size`. `stage` is the top and bottom (0 to 1) of what the lettering
    leaves free: sun, moon and clouds stay below its top, and the land is laid out to end at its bottom."""
    air = AIRS[weather]
    plain = setting == "on a plain background"
    if plain and weather == "on a clear day":
        air = _CREAM_PAGE
    view = _View(size, air, stage, rng)
    if plain:
        view.image.paste(mix(air.zenith, air.horizon, 0.5), (0, 0, *size))
    _SKIES[weather](view)
    if not plain:
        view.page_height = view.height * view.stage_bottom
        _LANDS[setting](view)
        view.page_height = view.height
    _FALLS.get(weather, lambda _: None)(view)
    return view.image


class _View:
    """A picture under way, measured in parts of its width and of `page_height` pixels."""

    def __init__(
        self, size: tuple[int, int], air: Air, stage: tuple[float, float], rng: random.Random
    ) -> None:
        self.width, self.height = size
        self.page_height: float = self.height
        self.air, self.rng = air, rng
        self.stage_top, self.stage_bottom = stage
        self.image = _sky(air.zenith, air.horizon, size).copy()
        self.draw = ImageDraw.Draw(self.image)
        self.side = rng.choice((-1, 1))

    def land(self, colour: RGB, distance: float = 0.0) -> RGB:
        """A colour of the land as this air shows it; `distance` 1 is lost in the horizon."""
        return mix(mix(colour, self.air.haze, self.air.haze_amount), self.air.horizon, distance)

    def polygon(self, points: list[tuple[float, float]], colour: RGB) -> None:
        w, h = self.width, self.page_height
        self.draw.polygon([(x * w, y * h) for x, y in points], fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: RGB) -> None:
        """A circle; its radius is in parts of the width."""
        cx, cy, r = x * self.width, y * self.page_height, radius * self.width
        self.draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=colour)

    def line(self, points: list[tuple[float, float]], colour: RGB, width: float) -> None:
        w, h = self.width, self.page_height
        self.draw.line([(x * w, y * h) for x, y in points], fill=colour, width=max(1, round(width * w)))

    def ridge(
        self, y: float, swell: float, waves: float, colour: RGB, phase: float, sharp: bool = False
    ) -> None:
        """Everything below a wavy line around height `y`; a `sharp` one breaks like water."""
        points = []
        for k in range(33):
            angle = math.tau * (k / 32 * waves + phase)
            lift = abs(math.sin(angle / 2)) * 2 - 1 if sharp else math.sin(angle)
            points.append((k / 32, y + swell * lift))
        self.polygon([*points, (1, _BELOW), (0, _BELOW)], colour)


@cache
def _sky(zenith: RGB, horizon: RGB, size: tuple[int, int]) -> Image.Image:
    column = Image.new("RGB", (1, 2))
    column.putdata([zenith, horizon])
    return column.resize((1, size[1]), Image.Resampling.BILINEAR).resize(size)


def _sea(view: _View) -> None:
    deep, shallow, foam = (10, 62, 104), (58, 150, 184), (214, 238, 240)
    top = 0.6 + view.rng.uniform(-0.03, 0.03)
    view.polygon([(0, top), (1, top), (1, _BELOW), (0, _BELOW)], view.land(shallow, 0.2))
    for k in range(6):
        y = top + 0.03 + k * 0.068
        phase = view.rng.random()
        view.ridge(y, 0.012 + 0.002 * k, 5 - 0.4 * k, view.land(foam, 0.1), phase, sharp=True)
        view.ridge(
            y + 0.007, 0.012 + 0.002 * k, 5 - 0.4 * k, view.land(mix(shallow, deep, k / 5)), phase, sharp=True
        )


def _forest(view: _View) -> None:
    rng = view.rng
    view.ridge(0.74, 0.01, 1.5, view.land((96, 140, 84), 0.2), rng.random())
    for row, (count, base, tall, distance) in enumerate(((11, 0.78, 0.30, 0.45), (8, 0.88, 0.36, 0.15))):
        green = view.land((52, 116, 76) if row == 0 else (34, 94, 62), distance)
        for k in range(count):
            x = (k + 0.5 + rng.uniform(-0.25, 0.25)) / count
            edge = abs(x - 0.5) * 2
            _conifer(view, x, base, tall * (0.55 + 0.7 * edge) * rng.uniform(0.85, 1.15), green)
    view.ridge(0.90, 0.012, 1.2, view.land((60, 104, 58)), rng.random())
    for x in (rng.uniform(-0.02, 0.04), rng.uniform(0.96, 1.02)):
        _conifer(view, x, 0.985, rng.uniform(0.72, 0.84), view.land((22, 70, 48)))


def _conifer(view: _View, x: float, base: float, tall: float, green: RGB) -> None:
    trunk = view.land((84, 58, 42))
    half = tall * 0.33
    view.polygon(
        [(x - 0.014, base), (x - 0.01, base - tall * 0.3), (x + 0.01, base - tall * 0.3), (x + 0.014, base)],
        trunk,
    )
    points_left, points_right = [], []
    for k in range(4):
        low, spread = base - tall * (0.12 + 0.22 * k), half * (1 - 0.22 * k)
        points_left += [(x - spread, low), (x - spread * 0.45, low - tall * 0.14)]
        points_right += [(x + spread, low), (x + spread * 0.45, low - tall * 0.14)]
    view.polygon([*points_left, (x, base - tall), *points_right[::-1]], green)


def _mountains(view: _View) -> None:
    rng = view.rng
    ranges = (
        ((0.02, 0.44), (0.36, 0.34), (0.72, 0.40), (1.02, 0.36)),
        ((0.12, 0.50), (0.50, 0.58), (0.90, 0.46)),
    )
    for row, peaks in enumerate(ranges):
        rock = view.land((120, 132, 158) if row == 0 else (86, 98, 126), 0.35 - 0.3 * row)
        shade = mix(rock, view.land((40, 48, 76)), 0.3)
        snow = view.land((250, 252, 255), 0.1)
        for x, y in peaks:
            x, y = x + rng.uniform(-0.05, 0.05), y + rng.uniform(-0.03, 0.03)
            half = (0.92 - y) * 0.85
            view.polygon([(x, y), (x + half, 0.92), (x - half, 0.92)], rock)
            view.polygon(
                [(x, y), (x + half, 0.92), (x + half * 0.3, 0.92), (x + 0.05, y + 0.16), (x - 0.01, y + 0.1)],
                shade,
            )
            cap = 0.26
            drop = (0.92 - y) * cap
            view.polygon(
                [
                    (x, y),
                    (x + half * cap, y + drop),
                    (x + half * cap * 0.4, y + drop * 0.75),
                    (x + half * cap * 0.1, y + drop * 1.25),
                    (x - half * cap * 0.35, y + drop * 0.75),
                    (x - half * cap, y + drop),
                ],
                snow,
            )
    view.ridge(0.88, 0.02, 1.3, view.land((70, 92, 84)), rng.random())
    view.ridge(0.95, 0.015, 1.1, view.land((50, 70, 66)), rng.random())


def _desert(view: _View) -> None:
    rng = view.rng
    sands = ((240, 204, 142), (230, 180, 108), (214, 154, 82), (190, 126, 62))
    for k, sand in enumerate(sands):
        y, phase = 0.62 + 0.095 * k, rng.random()
        view.ridge(y, 0.035, 0.9 + 0.15 * k, view.land(mix(sand, (120, 70, 40), 0.35), 0.12), phase)
        view.ridge(y + 0.012, 0.035, 0.9 + 0.15 * k, view.land(sand, 0.2 - 0.06 * k), phase + 0.025)
    green = view.land((74, 112, 72))
    for x, y, tall in (
        (0.08 if view.side > 0 else 0.92, 0.84, 0.2),
        (0.88 if view.side > 0 else 0.12, 0.72, 0.1),
    ):
        arm = tall * 0.35
        view.line([(x, y), (x, y - tall)], green, tall * 0.22)
        view.disc(x, y - tall, tall * 0.11, green)
        for side, rise in ((-1, 0.5), (1, 0.66)):
            joint = y - tall * rise
            view.line(
                [(x, joint), (x + side * arm, joint), (x + side * arm, joint - tall * 0.28)],
                green,
                tall * 0.14,
            )
            view.disc(x + side * arm, joint - tall * 0.28, tall * 0.07, green)


def _hills(view: _View) -> None:
    rng = view.rng
    greens = ((166, 204, 112), (134, 188, 88), (100, 164, 74), (70, 136, 62))
    for k, green in enumerate(greens):
        y = 0.62 + 0.1 * k
        for x in (rng.uniform(-0.1, 0.25), rng.uniform(0.7, 1.1)):
            rx, ry = rng.uniform(0.55, 0.75), 0.09
            arch = [
                (x - rx * math.cos(math.pi * i / 16), y + 0.3 - (ry + 0.3) * math.sin(math.pi * i / 16))
                for i in range(17)
            ]
            view.polygon([*arch, (x + rx, _BELOW), (x - rx, _BELOW)], view.land(green, 0.25 - 0.07 * k))
        for _ in range(3):
            x = rng.choice((rng.uniform(0.02, 0.22), rng.uniform(0.78, 0.98)))
            size, foot = 0.014 + 0.008 * k, y + rng.uniform(0.0, 0.04)
            view.line([(x, foot), (x, foot - size * 1.2)], view.land((104, 74, 50)), size * 0.5)
            view.disc(x, foot - size * 1.8, size * 1.3, view.land((64, 118, 60), 0.1))
    view.ridge(0.955, 0.012, 1.0, view.land((58, 120, 56)), rng.random())


def _sunny(view: _View) -> None:
    x, y = 0.5 + view.side * 0.34, view.stage_top + 0.09
    for k in range(12):
        angle = math.tau * k / 12
        dx, dy = math.cos(angle), math.sin(angle) * view.width / view.height
        view.line([(x + 0.115 * dx, y + 0.115 * dy), (x + 0.16 * dx, y + 0.16 * dy)], (255, 214, 96), 0.014)
    view.disc(x, y, 0.095, (255, 226, 130))
    view.disc(x, y, 0.078, (255, 204, 72))


def _rainy(view: _View) -> None:
    _clouds(view, (134, 146, 158), (98, 110, 124))


def _stormy(view: _View) -> None:
    _clouds(view, (52, 54, 68), (22, 24, 36))
    for side in (-1, 1):
        x, y = 0.5 + side * view.rng.uniform(0.33, 0.40), view.stage_top + 0.09
        reach = view.rng.uniform(0.34, 0.42)
        zigzag = ((0.03, 0), (-0.06, 0.46), (0.0, 0.44), (-0.04, 1.0), (0.09, 0.34), (0.03, 0.36), (0.09, 0))
        for grow, colour in ((1.5, (150, 140, 120)), (1.0, (255, 244, 170))):
            view.polygon([(x + side * (dx - 0.02) * grow, y + dy * reach) for dx, dy in zigzag], colour)


def _clouds(view: _View, light: RGB, dark: RGB) -> None:
    for colour, drop in ((light, 0.035), (dark, 0.0)):
        view.polygon([(0, 0), (1, 0), (1, view.stage_top + drop), (0, view.stage_top + drop)], colour)
        for k in range(7):
            x = (k + view.rng.uniform(0.1, 0.9)) / 7
            view.disc(x, view.stage_top + drop, view.rng.uniform(0.07, 0.12), colour)


def _snowy(view: _View) -> None:
    _clouds(view, (226, 234, 242), (206, 218, 230))


def _starry(view: _View) -> None:
    rng = view.rng
    for _ in range(70):
        x, y, size = rng.random(), rng.uniform(0, 0.75), rng.uniform(0.003, 0.006)
        view.disc(x, y, size, (240, 240, 220))
    for _ in range(7):
        x, y, size = rng.random(), rng.uniform(view.stage_top, 0.5), rng.uniform(0.014, 0.026)
        thin, tall = size * 0.2, size * view.width / view.height
        view.polygon(
            [(x - size, y), (x, y - tall * 0.2), (x + size, y), (x, y + tall * 0.2)], (255, 250, 224)
        )
        view.polygon([(x - thin, y), (x, y - tall), (x + thin, y), (x, y + tall)], (255, 250, 224))
    _crescent(view, 0.5 + view.side * 0.34, view.stage_top + 0.09, 0.095)


def _crescent(view: _View, x: float, y: float, radius: float) -> None:
    """A moon whose inner edge is a flatter arc through the same horns; no disc of sky to show on the sky."""
    flat = radius * view.width / view.height
    outer = [math.pi * (k / 14 - 0.5) for k in range(15)]
    turned = -0.5 * view.side
    points = [(math.cos(a), math.sin(a)) for a in outer] + [
        (0.35 * math.cos(a), math.sin(a)) for a in outer[::-1]
    ]
    cos, sin = math.cos(turned), math.sin(turned)
    view.polygon(
        [
            (x + radius * (view.side * u * cos - v * sin), y + flat * (view.side * u * sin + v * cos))
            for u, v in points
        ],
        (246, 240, 206),
    )


def _foggy(view: _View) -> None:
    view.disc(0.5 + view.side * 0.34, view.stage_top + 0.09, 0.08, (238, 236, 226))


def _falling_rain(view: _View) -> None:
    _streaks(view, 90, mix(view.air.horizon, (235, 244, 250), 0.6))


def _falling_storm(view: _View) -> None:
    _streaks(view, 45, (128, 134, 156))


def _streaks(view: _View, count: int, colour: RGB) -> None:
    for _ in range(count):
        x, y, length = view.rng.uniform(0, 1.1), view.rng.random(), view.rng.uniform(0.03, 0.06)
        view.line([(x, y), (x - length * 0.35, y + length)], colour, 0.006)


def _falling_snow(view: _View) -> None:
    for _ in range(120):
        view.disc(
            view.rng.random(), view.rng.random(), view.rng.choice((0.006, 0.009, 0.014)), (255, 255, 255)
        )


def _drifting_fog(view: _View) -> None:
    shift = view.rng.choice((0.0, 0.03, 0.06))
    view.image.paste((236, 234, 226), (0, 0), _fog_mask((view.width, view.height), shift))


@cache
def _fog_mask(size: tuple[int, int], shift: float) -> Image.Image:
    """Soft bands, thicker towards the ground. `L`, of `size`."""
    count = 64
    column = Image.new("L", (1, count))
    column.putdata(
        [
            round(
                230 * max(0.0, math.sin(math.tau * (5.5 * (k / count + shift)))) * min(1.0, 0.25 + k / count)
            )
            for k in range(count)
        ]
    )
    return column.resize((1, size[1]), Image.Resampling.BICUBIC).resize(size)


_LANDS: dict[str, Callable[[_View], None]] = {
    "at sea": _sea,
    "in a forest": _forest,
    "in the mountains": _mountains,
    "in the desert": _desert,
    "in green hills": _hills,
}
_SKIES: dict[str, Callable[[_View], None]] = {
    "on a clear day": _sunny,
    "in the rain": _rainy,
    "in a storm": _stormy,
    "in the snow": _snowy,
    "in the fog": _foggy,
    "at night": _starry,
}
_FALLS: dict[str, Callable[[_View], None]] = {
    "in the rain": _falling_rain,
    "in a storm": _falling_storm,
    "in the snow": _falling_snow,
    "in the fog": _drifting_fog,
}

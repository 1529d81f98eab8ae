"""The painter: a scene, a title and an author become a book cover.

Belongs here: colours, and the order and place in which backdrop, motifs and lettering meet on a cover. Does not:
how a motif looks (`motifs`), land and weather (`backdrops`), type (`typography`), what is shown (`scenes`).
"""

from __future__ import annotations

import colorsys
import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from booksearch_assets.sample.backdrops import AIRS, RGB, mix, paint_backdrop
from booksearch_assets.sample.motifs import Tone, drawing_of
from booksearch_assets.sample.scenes import Scene, stable_rng
from booksearch_assets.sample.typography import LAYOUTS, Box, set_lettering

COLOUR_VALUES: dict[str, RGB] = {
    "red": (214, 36, 40),
    "orange": (242, 126, 22),
    "yellow": (250, 208, 36),
    "green": (44, 156, 66),
    "teal": (14, 160, 160),
    "blue": (36, 88, 210),
    "purple": (128, 58, 178),
    "pink": (244, 118, 178),
    "white": (248, 248, 246),
    "black": (30, 30, 36),
}
_STONE: RGB = (146, 142, 136)
_WHITE: RGB = (255, 255, 255)
_BLACK: RGB = (16, 16, 24)
_CREAM: RGB = (255, 248, 232)
_SUPERSAMPLING = 2

Palette = dict[Tone, tuple[int, int, int, int]]
Finish = Callable[[Image.Image], Image.Image]
"""Gives the surface of a motif's patch, an RGBA square, its texture; the outline stays as it is."""


@dataclass(frozen=True)
class Place:
    """Where a motif's square stands: centre and side in pixels, turn in degrees."""

    x: float
    y: float
    side: float
    turn: float
    mirror: bool


def paint(scene: Scene, title: str, author: str, height: int = 500, text: bool = True) -> Image.Image:
    """A cover: RGB, `height` pixels high and two thirds of that wide.

    The same arguments give the same pixels. Without `text` the lettering and its panels are left out; all else
    stays where it is.
    """
    width = round(height * 2 / 3)
    layout = LAYOUTS[scene.layout]
    rng = stable_rng("painter", scene.jitter)
    colour = varied(COLOUR_VALUES[scene.colour], rng)
    places = _places(scene, layout.stage, width, height, rng)
    large = (width * _SUPERSAMPLING, height * _SUPERSAMPLING)
    backdrop = paint_backdrop(
        large, scene.setting, scene.weather, (layout.stage.top, layout.stage.bottom), rng
    )
    cover = backdrop.reduce(_SUPERSAMPLING)
    dark = AIRS[scene.weather].dark
    if scene.companion:
        place_motif(cover, scene.companion, places[1], _companion_palette(), dark)
    place_motif(
        cover, scene.motif, places[0], palette_of(scene.colour, colour), dark and scene.colour != "white"
    )
    if text:
        set_lettering(cover, layout, title, author, _accent(colour, layout.dark))
    return cover


def cover_jpeg(scene: Scene, title: str, author: str, height: int = 500, quality: int = 90) -> bytes:
    """The cover as the bytes of a JPEG file."""
    file = io.BytesIO()
    paint(scene, title, author, height).save(file, "JPEG", quality=quality)
    return file.getvalue()


def varied(colour: RGB, rng: random.Random) -> RGB:
    """The colour with hue, saturation and value moved so little that its name stays the same."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    hue += rng.uniform(-0.012, 0.012)
    saturation = min(1.0, saturation * rng.uniform(0.9, 1.08))
    value = min(1.0, value * rng.uniform(0.92, 1.06))
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))  # type: ignore[return-value]


def palette_of(name: str, colour: RGB) -> Palette:
    """What each tone of a motif is painted with, where it has the colour of that name."""
    tones = {
        Tone.FILL: colour,
        Tone.LIGHT: mix(colour, _WHITE, 0.32),
        Tone.SHADE: mix(colour, _BLACK, 0.30),
        Tone.INK: (36, 30, 40),
        Tone.PAPER: (252, 246, 232),
        Tone.GLOW: (255, 214, 92),
        Tone.LEAF: (86, 132, 82),
        Tone.WOOD: (122, 88, 64),
    }
    if name == "black":
        tones |= {Tone.LIGHT: (74, 74, 84), Tone.SHADE: (8, 8, 12), Tone.INK: (206, 200, 190)}
    if name == "white":
        tones |= {Tone.LIGHT: _WHITE, Tone.SHADE: (204, 208, 216), Tone.PAPER: (166, 178, 194)}
    return {tone: (*value, 255) for tone, value in tones.items()} | {Tone.HOLE: (0, 0, 0, 0)}


def _companion_palette() -> Palette:
    """Stone grey throughout, so that a cover has one named colour."""
    tones = {
        Tone.FILL: _STONE,
        Tone.LIGHT: (184, 180, 172),
        Tone.SHADE: (108, 104, 100),
        Tone.INK: (52, 50, 52),
        Tone.PAPER: (222, 218, 208),
        Tone.GLOW: (206, 196, 170),
        Tone.LEAF: (124, 130, 118),
        Tone.WOOD: (118, 108, 98),
    }
    return {tone: (*value, 255) for tone, value in tones.items()} | {Tone.HOLE: (0, 0, 0, 0)}


def _accent(colour: RGB, on_dark: bool) -> RGB:
    brightness = sum(colour) / 3
    if on_dark and brightness < 70:
        return (160, 156, 150)
    return (196, 190, 178) if not on_dark and brightness > 225 else colour


def _places(scene: Scene, stage: Box, width: int, height: int, rng: random.Random) -> tuple[Place, ...]:
    """The place of the motif, and of its companion if there is one, inside the stage."""
    left, top, right, bottom = stage.on(width, height)
    room_x, room_y = right - left, bottom - top
    scale, drift_x, drift_y = rng.uniform(0.88, 1.12), rng.uniform(-1, 1), rng.uniform(-1, 1)
    turns = [rng.uniform(-8, 8) for _ in range(2)]
    mirrors = [rng.random() < 0.5 for _ in range(2)]
    swap = rng.random() < 0.5
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    side = width * (0.6 if scene.companion is None else 0.5) * scale
    if scene.companion is None:
        side = min(side, room_x, room_y)
        x = centre_x + drift_x * min(0.05 * width, (room_x - side) / 2)
        y = centre_y + drift_y * min(0.05 * height, (room_y - side) / 2)
        return (Place(x, y, side, turns[0], mirrors[0]),)
    small, gap = side * 0.55, side * 0.06
    if scene.relation == "beside":
        shrink = min(1.0, room_x / (side + gap + small))
        side, small, gap = side * shrink, small * shrink, gap * shrink
        start = centre_x - (side + gap + small) / 2
        main_x, other_x = start + side / 2, start + side + gap + small / 2
        if swap:
            main_x, other_x = 2 * centre_x - main_x, 2 * centre_x - other_x
        y = centre_y + drift_y * 0.04 * height
        return (
            Place(main_x, y, side, turns[0], mirrors[0]),
            Place(other_x, y + drift_x * 0.15 * side, small, turns[1], mirrors[1]),
        )
    shrink = min(1.0, room_y / (side + gap + small))
    side, small, gap = side * shrink, small * shrink, gap * shrink
    start = centre_y - (side + gap + small) / 2
    main_y, other_y = start + side / 2, start + side + gap + small / 2
    if scene.relation == "below":
        main_y, other_y = 2 * centre_y - main_y, 2 * centre_y - other_y
    x = centre_x + drift_x * 0.06 * width
    return (
        Place(x, main_y, side, turns[0], mirrors[0]),
        Place(x + drift_y * 0.08 * width, other_y, small, turns[1], mirrors[1]),
    )


def place_motif(
    picture: Image.Image,
    motif: str,
    place: Place,
    palette: Palette,
    light_outline: bool = False,
    finish: Finish | None = None,
) -> None:
    """Draw a motif on a picture with an outline that sets it off from any backdrop. `finish` goes over its surface."""
    rim = max(1.0, 0.018 * place.side)
    reach = math.ceil(place.side * 0.62 + 2 * rim)
    left, top = math.floor(place.x) - reach, math.floor(place.y) - reach
    patch = _motif_patch(motif, place, palette, (left, top), 2 * reach)
    mask = patch.getchannel("A")
    if finish:
        patch = finish(patch)
    fill = palette[Tone.FILL]
    outline = _CREAM if light_outline or max(fill[:3]) < 60 else (34, 30, 42)
    rim_mask = mask.filter(ImageFilter.GaussianBlur(rim * 0.75)).point(
        _rim_opacity(round(max(5.0, 3.5 * rim)))
    )
    picture.paste(outline, (left, top), rim_mask)
    picture.paste(patch, (left, top), mask)


@cache
def _rim_opacity(slope: int) -> list[int]:
    """The table that hardens a blurred mask into a rim; a steeper slope keeps the edge of a wide blur sharp."""
    return [min(255, max(0, (v - 12) * slope)) for v in range(256)]


def _motif_patch(
    motif: str, place: Place, palette: Palette, origin: tuple[int, int], side: int
) -> Image.Image:
    """The motif alone on a transparent square of `side` pixels whose corner stands at `origin`. RGBA."""
    drawing = drawing_of(motif)
    angle, scale = math.radians(place.turn), place.side * _SUPERSAMPLING
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    flip = -1 if place.mirror else 1
    turned = (drawing.points - 0.5) @ np.array([[flip * cos, flip * sin], [-sin, cos]])
    turned += ((place.x - origin[0]) * _SUPERSAMPLING, (place.y - origin[1]) * _SUPERSAMPLING)
    flat = turned.ravel().tolist()
    patch = Image.new("RGBA", (side * _SUPERSAMPLING, side * _SUPERSAMPLING), (*palette[Tone.FILL][:3], 0))
    draw = ImageDraw.Draw(patch)
    start = 0
    for end, tone in zip(drawing.ends, drawing.tones, strict=True):
        draw.polygon(flat[2 * start : 2 * end], fill=palette[tone])
        start = end
    return patch.reduce(_SUPERSAMPLING)

"""Typography: the six layouts of a sample cover, and how a title of any length or script is set in them.

Belongs here: where lettering stands, fonts, line breaks. Does not: pictures (`painter`, `backdrops`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from booksearch_assets.sample.backdrops import RGB, mix

_CREAM: RGB = (250, 244, 230)
_NIGHT_INK: RGB = (34, 34, 44)
_SMALLEST_SIZE = 5
_LINE_HEIGHT = 1.16
# Has letters of more scripts than the rest, and a visible box for those that it lacks; STIX would leave a blank.
_WIDEST_FONT = "DejaVuSans"


@dataclass(frozen=True)
class Box:
    """A rectangle in parts of the cover's width and height."""

    left: float
    top: float
    right: float
    bottom: float

    def on(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The same in pixels."""
        return (
            round(self.left * width),
            round(self.top * height),
            round(self.right * width),
            round(self.bottom * height),
        )


@dataclass(frozen=True)
class Layout:
    """Where a cover's picture and lettering stand. The motif keeps inside `stage`, which no lettering touches."""

    stage: Box
    title: Box
    author: Box
    panels: tuple[Box, ...]
    title_font: str
    author_font: str
    largest: float  # title size in parts of the cover's height
    dark: bool = False
    capitals: bool = False
    left_aligned: bool = False
    ruled: bool = False
    scrim: bool = False


LAYOUTS: tuple[Layout, ...] = (
    Layout(  # a band at the top, the author on a strip at the foot
        stage=Box(0.03, 0.22, 0.97, 0.92),
        title=Box(0.06, 0.015, 0.94, 0.195),
        author=Box(0.06, 0.938, 0.94, 0.99),
        panels=(Box(0, 0, 1, 0.21), Box(0, 0.93, 1, 1)),
        title_font="STIXGeneralBol",
        author_font="STIXGeneralItalic",
        largest=0.075,
    ),
    Layout(  # one band at the foot
        stage=Box(0.03, 0.02, 0.97, 0.75),
        title=Box(0.06, 0.775, 0.94, 0.92),
        author=Box(0.06, 0.925, 0.94, 0.98),
        panels=(Box(0, 0.76, 1, 1),),
        title_font="DejaVuSerif-Bold",
        author_font="DejaVuSerif",
        largest=0.062,
        dark=True,
    ),
    Layout(  # a frame
        stage=Box(0.07, 0.18, 0.93, 0.90),
        title=Box(0.08, 0.02, 0.92, 0.16),
        author=Box(0.08, 0.92, 0.92, 0.985),
        panels=(Box(0, 0, 1, 0.17), Box(0, 0.91, 1, 1), Box(0, 0, 0.05, 1), Box(0.95, 0, 1, 1)),
        title_font="STIXGeneralBolIta",
        author_font="STIXGeneral",
        largest=0.065,
    ),
    Layout(  # a label
        stage=Box(0.03, 0.27, 0.97, 0.98),
        title=Box(0.13, 0.06, 0.87, 0.185),
        author=Box(0.13, 0.185, 0.87, 0.225),
        panels=(Box(0.08, 0.035, 0.92, 0.255),),
        title_font="DejaVuSerif-Bold",
        author_font="DejaVuSans",
        largest=0.052,
        ruled=True,
    ),
    Layout(  # capitals on the darkened foot
        stage=Box(0.03, 0.02, 0.97, 0.77),
        title=Box(0.06, 0.80, 0.94, 0.92),
        author=Box(0.06, 0.93, 0.94, 0.98),
        panels=(),
        title_font="STIXGeneral",
        author_font="STIXGeneral",
        largest=0.06,
        dark=True,
        capitals=True,
        scrim=True,
    ),
    Layout(  # a block of big letters
        stage=Box(0.03, 0.30, 0.97, 0.98),
        title=Box(0.06, 0.02, 0.94, 0.215),
        author=Box(0.06, 0.222, 0.94, 0.264),
        panels=(Box(0, 0, 1, 0.285),),
        title_font="DejaVuSans-Bold",
        author_font="DejaVuSans",
        largest=0.092,
        dark=True,
        left_aligned=True,
    ),
)


def set_lettering(cover: Image.Image, layout: Layout, title: str, author: str, accent: RGB) -> None:
    """Set title and author on the cover. `accent` is the colour of rules and borders."""
    width, height = cover.size
    paper, ink = (_NIGHT_INK, _CREAM) if layout.dark else (_CREAM, _NIGHT_INK)
    draw = ImageDraw.Draw(cover)
    if layout.scrim:
        cover.paste((14, 14, 22), (0, 0), _scrim((width, height), layout.stage.bottom))
    for panel in layout.panels:
        draw.rectangle(panel.on(width, height), fill=paper)
    _rules(draw, layout, width, height, accent, mix(paper, ink, 0.75))
    if layout.capitals:
        title, author = title.upper(), author.upper()
    title_font, author_font = layout.title_font, layout.author_font
    aligned = layout.left_aligned
    _set(
        draw, title, layout.title.on(width, height), title_font, round(layout.largest * height), ink, aligned
    )
    _set(draw, author, layout.author.on(width, height), author_font, round(0.036 * height), ink, aligned)


def _rules(draw: ImageDraw.ImageDraw, layout: Layout, width: int, height: int, accent: RGB, ink: RGB) -> None:
    thick = max(1, height // 110)
    if layout.ruled:
        left, top, right, bottom = layout.panels[0].on(width, height)
        draw.rectangle((left, top, right, bottom), outline=ink, width=max(1, thick // 2))
        inset = thick + max(1, thick // 2)
        draw.rectangle(
            (left + inset, top + inset, right - inset, bottom - inset), outline=accent, width=thick
        )
    elif len(layout.panels) == 4:
        box = Box(0.05, layout.panels[0].bottom, 0.95, layout.panels[1].top)
        draw.rectangle(box.on(width, height), outline=accent, width=thick)
    else:
        for panel in layout.panels:
            edge = panel.bottom if panel.top == 0 else panel.top
            y = round(edge * height)
            draw.rectangle((0, y - thick // 2, width, y - thick // 2 + thick - 1), fill=accent)


@cache
def _scrim(size: tuple[int, int], top: float) -> Image.Image:
    """A darkening that begins a little above `top` and is full at the foot. `L`, of `size`."""
    count = 50
    column = Image.new("L", (1, count))
    begin = top - 0.08
    column.putdata([round(225 * min(1.0, max(0.0, (k / count - begin) / 0.13))) for k in range(count)])
    return column.resize((1, size[1]), Image.Resampling.BILINEAR).resize(size)


def _set(
    draw: ImageDraw.ImageDraw,
    words: str,
    box: tuple[int, int, int, int],
    face: str,
    largest: int,
    ink: RGB,
    left_aligned: bool,
) -> None:
    left, top, right, bottom = box
    words = _printable(words)
    face = face if _is_european(words) else _WIDEST_FONT
    size, lines = _fit(words, face, right - left, bottom - top, largest)
    font = _font(face, size)
    step = size * _LINE_HEIGHT
    y = (top + bottom) / 2 - step * (len(lines) - 1) / 2
    for line in lines:
        x = left if left_aligned else left + (right - left - _measure(line, face, size)) / 2
        draw.text((round(x), round(y)), line, fill=ink, font=font, anchor="lm")
        y += step


def _printable(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _is_european(text: str) -> bool:
    """Whether Latin, Greek, Cyrillic and punctuation are all there is: what every face here has glyphs for."""
    return all(c < "\u0530" or "\u1e00" <= c < "\u2070" for c in text)


def _fit(text: str, face: str, width: int, height: int, largest: int) -> tuple[int, list[str]]:
    """The largest size, and the lines, with which `text` fits; at the smallest size the rest is cut off."""
    size = max(largest, _SMALLEST_SIZE)
    while True:
        lines = _wrap(text, face, size, width)
        room = max(1, int(height / (size * _LINE_HEIGHT)))
        broken = any(len(line) == 1 for line in lines) and len(text) > 1
        if len(lines) <= room and ((lines and not broken) or size == _SMALLEST_SIZE):
            return size, lines
        if size == _SMALLEST_SIZE or not text:
            return size, lines[:room]
        size = max(_SMALLEST_SIZE, min(size - 1, int(size * 0.9)))


def _wrap(text: str, face: str, size: int, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if _measure(longer, face, size) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = ""
        for letter in word:
            if line and _measure(line + letter, face, size) > width:
                lines.append(line)
                line = ""
            line += letter
    return [*lines, line] if line else lines


def _measure(text: str, face: str, size: int) -> float:
    return sum(_advance(face, size, letter) for letter in text)


@lru_cache(maxsize=20_000)
def _advance(face: str, size: int, letter: str) -> float:
    return _font(face, size).getlength(letter)


@cache
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    # The basic layout engine: raqm depends on a library of the machine, and covers must not.
    return ImageFont.truetype(str(_font_folder() / f"{face}.ttf"), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _font_folder() -> Path:
    """The fonts that come with matplotlib, found without importing it: DejaVu and STIX, both of a free licence."""
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "sample covers are lettered in matplotlib's fonts: expected matplotlib installed"
        )
    return Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"

"""A contact sheet: pictures in rows on white, each with its rank and a caption.

Belongs here: drawing. Does not: choosing what to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

BOX_SIZE = (160, 240)
"""Width and height, in pixels, of the box that every picture is fitted into."""

_GAP = 20
_LINE = 17
_CAPTION_LINES = 5
_HEADING = 44
_INK, _GREY, _PAPER, _FRAME = "#202020", "#707070", "#ffffff", "#d8d8d8"


def contact_sheet(
    items: Sequence[tuple[Image.Image | bytes | None, Sequence[str]]], columns: int = 5, heading: str = ""
) -> Image.Image:
    """An RGB picture of `items` (picture, caption lines), numbered from 1 in reading order.

    The first caption line is dark and may wrap over several; the others are grey and follow. A picture that is None or
    cannot be decoded is drawn as an empty box that says so.
    """
    columns = max(1, min(columns, len(items)))
    rows = math.ceil(len(items) / columns)
    width, height = BOX_SIZE
    cell_width, cell_height = width + _GAP, height + _GAP + _CAPTION_LINES * _LINE + 6
    top = _GAP + (_HEADING if heading else 0)
    sheet = Image.new("RGB", (columns * cell_width + _GAP, top + rows * cell_height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if heading:
        [line] = _wrapped(heading, _font(20, bold=True), sheet.width - 2 * _GAP, 1)
        draw.text((_GAP, _GAP), line, _INK, _font(20, bold=True))
    for place, (image, caption) in enumerate(items):
        left = _GAP + place % columns * cell_width
        upper = top + place // columns * cell_height
        sheet.paste(_fitted(image), (left, upper))
        draw.rectangle((left - 1, upper - 1, left + width, upper + height), outline=_FRAME)
        _draw_caption(draw, left, upper + height + 6, place + 1, caption)
    return sheet


def _draw_caption(draw: ImageDraw.ImageDraw, left: int, top: int, rank: int, caption: Sequence[str]) -> None:
    first, *rest = list(caption) or [""]
    rest = rest[: _CAPTION_LINES - 1]
    title = _wrapped(f"{rank}. {first}", _font(13, bold=True), BOX_SIZE[0], _CAPTION_LINES - len(rest))
    lines = [(line, _INK, _font(13, bold=True)) for line in title]
    lines += [(line, _GREY, _font(12)) for text in rest for line in _wrapped(text, _font(12), BOX_SIZE[0], 1)]
    for row, (line, ink, font) in enumerate(lines):
        draw.text((left, top + row * _LINE), line, ink, font)


def _fitted(image: Image.Image | bytes | None) -> Image.Image:
    box = Image.new("RGB", BOX_SIZE, "#f4f4f4")
    picture = _opened(image)
    if picture is None:
        ImageDraw.Draw(box).text(
            (BOX_SIZE[0] / 2, BOX_SIZE[1] / 2), "no picture", _GREY, _font(13), anchor="mm"
        )
        return box
    picture = ImageOps.contain(picture, BOX_SIZE, Image.Resampling.LANCZOS)
    box.paste(picture, ((BOX_SIZE[0] - picture.width) // 2, (BOX_SIZE[1] - picture.height) // 2))
    return box


def _opened(image: Image.Image | bytes | None) -> Image.Image | None:
    from booksearch_assets.clip.preprocess import UndecodableImage, decode_image

    try:
        picture = decode_image(image) if isinstance(image, bytes) else image
    except UndecodableImage:
        return None
    return picture.convert("RGB") if picture else None


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int, max_lines: int) -> list[str]:
    """`text` in lines no wider than `width` pixels; what does not fit into `max_lines` ends in an ellipsis."""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest and len(lines) < max_lines:
        cut = _fitting(rest, font, width)
        if cut == len(rest):
            return [*lines, rest]
        if len(lines) == max_lines - 1:
            return [*lines, rest[: _fitting(rest, font, width - font.getlength("…"))].rstrip() + "…"]
        space = rest.rfind(" ", 0, cut + 1)
        cut = space if space > 0 else cut
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return lines or [""]


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> int:
    """How many characters of `text`, one at least, are no wider than `width`."""
    fits = 1
    while fits < len(text) and font.getlength(text[: fits + 1]) <= width:
        fits += 1
    return fits


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    # DejaVu comes with matplotlib and has Latin, Greek and Cyrillic; importing pyplot for it would cost a second.
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)

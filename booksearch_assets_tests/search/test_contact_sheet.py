"""Contact sheets are looked at, so what is tested is that each part is drawn where it belongs."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from booksearch_assets.search.contact_sheet import BOX_SIZE, _font, _wrapped, contact_sheet


def _cover(colour: str, size: tuple[int, int] = (300, 450)) -> Image.Image:
    return Image.new("RGB", size, colour)


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def _share(sheet: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.abs(np.asarray(sheet, int) - colour).max(axis=2) < 8).sum())


def test_covers_are_drawn_at_equal_size() -> None:
    sheet = contact_sheet(
        [(_cover("red"), ["A"]), (_jpeg(_cover("blue", (1000, 1500))), ["B"]), (_cover("lime"), [])]
    )
    box = BOX_SIZE[0] * BOX_SIZE[1]
    for colour in ((255, 0, 0), (0, 0, 254), (0, 255, 0)):
        assert _share(sheet, colour) == pytest.approx(box, rel=0.02)


def test_a_wide_cover_keeps_its_shape() -> None:
    sheet = contact_sheet([(_cover("red", (800, 400)), ["A"])])
    assert _share(sheet, (255, 0, 0)) == pytest.approx(BOX_SIZE[0] * BOX_SIZE[0] / 2, rel=0.02)


def test_missing_and_broken_covers_are_drawn_as_such() -> None:
    for cover in (None, b"", b"not a picture", _jpeg(_cover("red"))[:200]):
        sheet = contact_sheet([(cover, ["A title", "2015"])])
        assert _share(sheet, (0xF4, 0xF4, 0xF4)) > 0.9 * BOX_SIZE[0] * BOX_SIZE[1]


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(1, 5, (1, 1)), (5, 5, (5, 1)), (6, 5, (5, 2)), (4, 2, (2, 2))]
)
def test_the_sheet_grows_with_its_covers(count: int, columns: int, shape: tuple[int, int]) -> None:
    one = contact_sheet([(None, ["A"])])
    sheet = contact_sheet([(None, ["A"])] * count, columns)
    assert sheet.mode == "RGB"
    assert sheet.width - one.width == (shape[0] - 1) * (BOX_SIZE[0] + 20)
    assert (sheet.height - one.height) % (shape[1] - 1 or 1) == 0
    assert (sheet.height > one.height) == (shape[1] > 1)


def test_a_heading_takes_room_of_its_own() -> None:
    plain, headed = (
        contact_sheet([(None, ["A"])] * 5),
        contact_sheet([(None, ["A"])] * 5, heading="a lighthouse"),
    )
    assert headed.height > plain.height
    assert np.asarray(headed)[:40].min() < 128


def test_no_covers_give_an_empty_sheet() -> None:
    assert contact_sheet([]).size > (0, 0)


@pytest.mark.parametrize(
    "text", ["", "short", "a title of many words that needs more lines than one", "W" * 200, "書" * 60]
)
def test_wrapped_lines_fit(text: str) -> None:
    font = _font(13)
    for max_lines in (1, 2, 3):
        lines = _wrapped(text, font, 160, max_lines)
        assert 1 <= len(lines) <= max_lines
        assert all(font.getlength(line) <= 160 for line in lines)
        if lines[-1].endswith("…"):
            assert text.startswith(lines[0].removesuffix("…"))
        else:
            assert "".join(lines).replace(" ", "") == text.replace(" ", "")

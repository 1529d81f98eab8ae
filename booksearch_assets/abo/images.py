"""Pictures of the ABO release: the list of them, and where each lies.

`images/metadata/images.csv.gz` has a row for each picture: image_id, height, width (of the original, in pixels) and path,
such as `14/14fe8812.jpg`, under `images/original/` and `images/small/` (at most 256 pixels high and wide).

Belongs here: that list and those places. Does not: reading pictures (`compute`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

COLUMNS = ("image_id", "height", "width", "path")
RELEASE = "https://amazon-berkeley-objects.s3.amazonaws.com"
"""Where the release is published, for anyone to read."""

# A path that leaves its folder could name any file of the machine.
_PATH = re.compile(r"(?!.*\.\.)[\w.-]+(/[\w.-]+)*", re.ASCII)


class ImageSize(StrEnum):
    """Which copy of a picture is taken."""

    SMALL = "small"
    ORIGINAL = "original"


class ImagesCsvError(ValueError):
    """The file is no list of pictures."""


class ListedImage(NamedTuple):
    """A row of the list. Height and width are of the original, in pixels; None where the row has no number there."""

    image_id: str
    height: int | None
    width: int | None
    path: str


class UnreadableRow(NamedTuple):
    """A row that names no picture: its number, from 1 after the header, and the row as it came."""

    line: int
    raw: str


def read_images(lines: Iterable[str]) -> Iterator[ListedImage | UnreadableRow]:
    """The rows of images.csv, unpacked. Raises `ImagesCsvError` where the header is another one."""
    rows = csv.reader(lines)
    header = next(rows, [])
    if header[: len(COLUMNS)] != list(COLUMNS):
        raise ImagesCsvError(
            f"images.csv begins with {','.join(header) or 'nothing'}; expected {','.join(COLUMNS)}, as in "
            "images/metadata/images.csv.gz of the release"
        )
    for number, row in enumerate(rows, start=1):
        if len(row) < len(COLUMNS) or not row[0].strip() or not _PATH.fullmatch(row[3]):
            yield UnreadableRow(number, ",".join(row))
        else:
            yield ListedImage(row[0].strip(), _number(row[1]), _number(row[2]), row[3])


def image_address(root: str, size: ImageSize, path: str) -> str:
    """Where a picture lies under `root`, which is a local folder, an s3:// prefix or an https:// address."""
    return f"{root.rstrip('/')}/images/{size}/{path}"


def _number(text: str) -> int | None:
    return int(text) if text.strip().isascii() and text.strip().isdigit() and int(text) > 0 else None

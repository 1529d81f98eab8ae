"""The sample products as files, laid out as ABO is released: listings, the list of photos, photos.

Belongs here: lines and broken lines, files and their counts, and the queries whose right answer is known. Does not: what
a listing says (`product_listings`), what is true (`products`), pixels (`product_painter`). The bytes depend on the world
alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from booksearch_assets.abo.images import COLUMNS, ImageSize, image_address
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.dumps import claim, replacing
from booksearch_assets.sample.product_listings import listing_attributes
from booksearch_assets.sample.product_painter import SMALL_SIDE, photo_jpeg
from booksearch_assets.sample.products import PhotoState, ProductWorld

# Raise it when the files of a world come out otherwise than before: folders of older ones are then refused.
GENERATION = 1
IMAGES_CSV = "images/metadata/images.csv.gz"
_IDENTITY = "world.json"
_GZIP_LEVEL = 3
_RELEASED = datetime(2021, 11, 15, tzinfo=UTC).timestamp()
_BROKEN_SHARE = 0.002


class LineKind(Enum):
    """What a line of a listing file is. All but the first come in addition to the listings that they were made from."""

    LISTING = "a listing"
    REPEATED = "a listing that stands earlier in the same file"
    REPEATED_ELSEWHERE = "a listing that stands in the file before"
    NOT_JSON = "a page of a failing server, or a line cut in the middle"
    NOT_UTF8 = "a listing with bytes of another encoding"
    NOT_AN_OBJECT = "a listing in a list of one"
    NO_ITEM_ID = "a listing without its item"


BROKEN = (LineKind.NOT_JSON, LineKind.NOT_UTF8, LineKind.NOT_AN_OBJECT, LineKind.NO_ITEM_ID)
_REPEATED_AT, _REPEATED_ELSEWHERE_AT, _BLOCK = 33, 17, 50

# Called with the path of a file in the release, what is done of it, and how much there is in all.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ReleaseFiles:
    """The metadata of a release: where it is, and how many lines of each kind a listing file holds."""

    folder: Path
    counts: Mapping[str, Counter[LineKind]]


def listing_file(file: int) -> str:
    """The path of a listing file in the release: its number is one hexadecimal digit."""
    return f"listings/metadata/listings_{file:x}.json.gz"


def write_release(
    world: ProductWorld,
    folder: Path,
    sizes: Iterable[ImageSize] = (ImageSize.SMALL,),
    progress: Progress | None = None,
) -> ReleaseFiles:
    """Write the metadata, and the photos in `sizes`. Photos that are there already are left.

    Raises:
        ValueError: where the folder holds another world.
    """
    files = write_metadata(world, folder, progress)
    for size in sizes:
        _write_photos(world, folder, size, progress)
    return files


def write_metadata(world: ProductWorld, folder: Path, progress: Progress | None = None) -> ReleaseFiles:
    """Write the listing files and images.csv.gz. Raises as `write_release`."""
    claim(folder / _IDENTITY, {"generation": GENERATION, **world.parameters})
    counts = {}
    for file in range(world.files):
        lines = list(listing_lines(world, file))
        _write_gzip(folder / listing_file(file), b"".join(line for _, line in lines))
        counts[listing_file(file)] = Counter(kind for kind, _ in lines)
        if progress:
            progress("listings", file + 1, world.files)
    _write_gzip(folder / IMAGES_CSV, "".join(_image_rows(world)).encode())
    return ReleaseFiles(folder, counts)


def listing_lines(world: ProductWorld, file: int) -> Iterator[tuple[LineKind, bytes]]:
    """The lines of one listing file. Every fourth listing is in it, and what is broken or repeated stands after."""
    for index in range(file, world.listings, world.files):
        line = _line(world, index)
        yield LineKind.LISTING, line
        if index % _BLOCK == _REPEATED_AT:
            yield LineKind.REPEATED, line
        if (index - 1) % _BLOCK == _REPEATED_ELSEWHERE_AT and world.files > 1:
            yield LineKind.REPEATED_ELSEWHERE, _line(world, index - 1)
        yield from _broken(world, index, line)


def _line(world: ProductWorld, index: int) -> bytes:
    attributes = listing_attributes(world, world.listing(index))
    return json.dumps(attributes, ensure_ascii=False).encode() + b"\n"


def _broken(world: ProductWorld, index: int, line: bytes) -> Iterator[tuple[LineKind, bytes]]:
    """The broken line after that of `index`, made from it. The first sixty listings have one of each kind."""
    draws = Draws("broken listing", world.seed, index)
    if index % 15 == 7 and index < 15 * len(BROKEN):
        kind = BROKEN[index // 15]
    elif draws.chance(_BROKEN_SHARE):
        kind = draws.choice(BROKEN)
    else:
        return
    if kind is LineKind.NOT_JSON:
        text = line.decode()
        cut = text[: draws.between(2, len(text) // 2)].rstrip()
        yield kind, draws.choice((cut, "<html><body>503 Slow Down</body></html>")).encode() + b"\n"
    elif kind is LineKind.NOT_UTF8:
        yield kind, line.replace(b'"value": "', b'"value": "Caf\xe9 ')
    elif kind is LineKind.NOT_AN_OBJECT:
        yield kind, b"[" + line.rstrip(b"\n") + b"]\n"
    else:
        attributes = json.loads(line)
        attributes["item_id"] = draws.choice((None, "", " "))
        yield kind, json.dumps(attributes, ensure_ascii=False).encode() + b"\n"


def _image_rows(world: ProductWorld) -> Iterator[str]:
    row = io.StringIO()
    writer = csv.writer(row, lineterminator="\n")

    def written(*values: object) -> str:
        row.seek(0)
        row.truncate()
        writer.writerow(values)
        return row.getvalue()

    yield written(*COLUMNS)
    for photo in world.photos():
        state = world.photo_state(photo)
        if state is not PhotoState.UNLISTED:
            width, height = world.photo_size(photo)
            path = "" if state is PhotoState.UNREADABLE else world.image_path(photo)
            yield written(world.image_id(photo), height, width, path)


def photo_bytes(world: ProductWorld, photo: int, size: ImageSize) -> bytes:
    """The JPEG file of a photo in a size."""
    return photo_jpeg(world, photo, SMALL_SIDE if size is ImageSize.SMALL else None)


def _write_photos(world: ProductWorld, folder: Path, size: ImageSize, progress: Progress | None) -> None:
    photos = [photo for photo in world.photos() if world.photo_state(photo).has_file]
    for done, photo in enumerate(photos, start=1):
        path = Path(image_address(str(folder), size, world.image_path(photo)))
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as unfinished:
                unfinished.write_bytes(photo_bytes(world, photo, size))
        if progress:
            progress(f"images/{size}", done, len(photos))


def _write_gzip(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        # No time in the header: the same world gives the same bytes.
        unfinished.write_bytes(gzip.compress(content, _GZIP_LEVEL, mtime=0))
    # The time of the release, not of the writing: servers make their ETag from it.
    os.utime(path, (_RELEASED, _RELEASED))


def write_known_items(world: ProductWorld, path: Path) -> int:
    """Write the true caption of every photo that stands for a product and can be had, as Parquet; how many there are.

    Columns: image_id string, query string, kind string ("caption"). Photos of things that look alike share a caption:
    each is a right answer to it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from booksearch_assets.tables.products import KNOWN_ITEMS

    photos = world.main_photos()
    columns = [
        [world.image_id(photo) for photo in photos],
        [world.product_shown(photo).caption for photo in photos],
        ["caption"] * len(photos),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        pq.write_table(pa.table(columns, schema=KNOWN_ITEMS.schema), unfinished)
    return len(photos)

"""Pictures to show, covers and photos: originals and thumbnails, from the bytes cache of the lake.

Readers of a page get pictures from here, so that nobody asks their source for the same ones again and again.

Belongs here: finding, shrinking and keeping them. Does not: fetching them (`compute.fetch`), HTTP (`api`).
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from booksearch_assets.search.query import ImageId
from booksearch_assets.tables.shards import ShardStore

_Key = tuple[ImageId, int]

THUMBNAIL_WIDTHS = (100, 200, 300, 400)
"""Widths, in pixels, that thumbnails are made in: a few, so that each is made once for all readers."""

_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}
_QUALITY = 82
_TALLEST = 3
"""Thumbnails of anything taller than three times its width are made narrower: it is no book, and no product."""


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture, and the media type that its first bytes show."""

    content: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        """A strong entity tag, as HTTP writes it (RFC 9110)."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class Pictures:
    """The pictures of one source. Safe for many threads.

    Thumbnails are kept in `thumbnails`, a folder, and the last ones in memory, `memory_bytes` of them. The folder holds
    a few kilobytes for each picture and width that was ever shown, so it stays smaller than the cache itself.
    Shards that are added while this runs are found `look_seconds` after the last look.
    """

    def __init__(
        self,
        cache: ShardStore,
        thumbnails: Path,
        memory_bytes: int = 64_000_000,
        look_seconds: float = 5.0,
    ) -> None:
        self._index = _Index(cache, look_seconds)
        self._thumbnails = thumbnails
        self._memory = _Memory(memory_bytes)
        self.found: Counter[str] = Counter()
        """How many pictures were found in memory, in the folder of thumbnails, in the lake, or nowhere."""

    def picture(self, image: ImageId, width: int | None = None) -> Picture | None:
        """The picture as it was fetched, or no narrower than `width` where it is wider than that.

        None where the cache has none with this id, or one that cannot be decoded.
        """
        widths = [w for w in THUMBNAIL_WIDTHS if width is not None and w >= width]
        if not widths:
            original = self._original(image)
            self.found["lake" if original else "nowhere"] += 1
            return original
        key = (image, widths[0])
        for place, look in (("memory", self._memory.get), ("folder", self._kept), ("lake", self._made)):
            found = look(key)
            if found:
                self.found[place] += 1
                self._memory.put(key, found)
                return found
        self.found["nowhere"] += 1
        return None

    def _original(self, image: ImageId) -> Picture | None:
        content = self._index.content(image)
        media_type = _media_type(content) if content else None
        return Picture(content, media_type) if content and media_type else None

    def _kept(self, key: _Key) -> Picture | None:
        try:
            return Picture(self._path(key).read_bytes(), _MEDIA_TYPES["JPEG"])
        except FileNotFoundError:
            return None

    def _made(self, key: _Key) -> Picture | None:
        image, width = key
        original = self._original(image)
        content = thumbnail(original.content, width) if original else None
        if content is None:
            return None
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
        return Picture(content, _MEDIA_TYPES["JPEG"])

    def _path(self, key: _Key) -> Path:
        image, width = key
        folder = self._thumbnails / str(width)
        # A thousand to a folder, or so: some file systems slow down with a million files in one.
        if isinstance(image, int):
            return folder / str(image // 1000) / f"{image}.jpg"
        # Ids may differ in the case of their letters alone, which names of files may not everywhere.
        digest = hashlib.blake2b(image.encode(), digest_size=16).hexdigest()
        return folder / digest[:2] / f"{digest}.jpg"


def thumbnail(content: bytes, width: int) -> bytes | None:
    """A JPEG of the picture, `width` pixels wide or as wide as it is. None for bytes that are no picture."""
    from PIL import Image

    from booksearch_assets.clip.preprocess import UndecodableImage, decode_image

    try:
        picture = decode_image(content)
    except UndecodableImage:
        return None
    if picture.mode in ("RGBA", "LA", "PA", "P"):
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    picture = picture.convert("RGB")
    picture.thumbnail((width, _TALLEST * width), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return file.getvalue()


def _media_type(content: bytes) -> str | None:
    """What the header of the picture says, whatever its sender said. None for what browsers do not show."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=tuple(_MEDIA_TYPES)) as picture:
            return _MEDIA_TYPES[picture.format or ""]
    except Exception:  # noqa: BLE001 - Pillow's parsers raise whatever their struct and index calls raise
        return None


def _ids(column: pa.ChunkedArray) -> np.ndarray:
    """Ids of pictures as NumPy can search them: (n,) int64, or texts."""
    return column.to_numpy() if pa.types.is_integer(column.type) else np.array(column.to_pylist(), np.str_)


class _Index:
    """Where the newest bytes of each picture lie: sorted ids, and the shard and row of each."""

    def __init__(self, cache: ShardStore, look_seconds: float) -> None:
        self._cache, self._look_seconds = cache, look_seconds
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._shards: list[str] = []
        self._key = cache.table.key[0]
        # Replaced as one: readers take no lock.
        self._found = _ids(cache.table.schema.empty_table()[self._key]), np.empty((0, 2), np.int32)

    def content(self, image: ImageId) -> bytes | None:
        place = self._place(image)
        if place is None:
            self._look()
            place = self._place(image)
        return self._cache.row(*place, ["content"])["content"] if place else None

    def _place(self, image: ImageId) -> tuple[str, int] | None:
        ids, places = self._found
        at = int(np.searchsorted(ids, image))
        if at == len(ids) or ids[at] != image:
            return None
        shard, row = places[at]
        return self._shards[shard], int(row)

    def _look(self) -> None:
        """Take in the shards that are new since the last look."""
        with self._lock:
            if time.monotonic() < self._next_look:
                return
            known = set(self._shards)
            for shard in self._cache.shards():
                if shard not in known:
                    self._take_in(shard, self._cache.read(shard, columns=[self._key, "status"]))
            self._next_look = time.monotonic() + self._look_seconds

    def _take_in(self, shard: str, rows: pa.Table) -> None:
        new = _ids(rows[self._key])
        has_picture = np.array([status == "ok" for status in rows["status"].to_pylist()], bool)
        place = np.column_stack([np.full(len(new), len(self._shards)), np.arange(len(new))]).astype(np.int32)
        known_ids, known_places = self._found
        # The first of equal ids is kept, which is the newer shard's.
        ids, first = np.unique(np.concatenate([new[has_picture], known_ids]), return_index=True)
        self._shards.append(shard)
        self._found = ids, np.concatenate([place[has_picture], known_places])[first]


class _Memory:
    """The pictures that were asked for last, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._pictures: OrderedDict[_Key, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key) -> Picture | None:
        with self._lock:
            found = self._pictures.get(key)
            if found:
                self._pictures.move_to_end(key)
            return found

    def put(self, key: _Key, picture: Picture) -> None:
        with self._lock:
            if key not in self._pictures:
                self._pictures[key] = picture
                self._bytes += len(picture.content)
            while self._bytes > self._most and self._pictures:
                self._bytes -= len(self._pictures.popitem(last=False)[1].content)

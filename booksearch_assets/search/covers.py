"""Covers to show: originals and thumbnails, from the covers cache of the lake.

Readers of a page get covers from here, so that nobody asks Open Library for the same pictures again and again.

Belongs here: finding, shrinking and keeping them. Does not: fetching covers (`compute.fetch`), HTTP (`api`).
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

from booksearch_assets.tables.shards import ShardStore

THUMBNAIL_WIDTHS = (100, 200, 300, 400)
"""Widths, in pixels, that thumbnails are made in: a few, so that each is made once for all readers."""

_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}
_QUALITY = 82
_TALLEST = 3
"""Thumbnails of anything taller than three times its width are made narrower: it is no book."""


@dataclass(frozen=True)
class Cover:
    """The bytes of a picture, and the media type that its first bytes show."""

    content: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        """A strong entity tag, as HTTP writes it (RFC 9110)."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class Covers:
    """The covers of one source. Safe for many threads.

    Thumbnails are kept in `thumbnails`, a folder, and the last ones in memory, `memory_bytes` of them. The folder holds
    a few kilobytes for each cover and width that was ever shown, so it stays smaller than the covers cache itself.
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
        """How many covers were found in memory, in the folder of thumbnails, in the lake, or nowhere."""

    def cover(self, cover_id: int, width: int | None = None) -> Cover | None:
        """The cover as it was fetched, or no narrower than `width` where it is wider than that.

        None where the cache has no picture of it, or one that cannot be decoded.
        """
        widths = [w for w in THUMBNAIL_WIDTHS if width is not None and w >= width]
        if not widths:
            original = self._original(cover_id)
            self.found["lake" if original else "nowhere"] += 1
            return original
        key = (cover_id, widths[0])
        for place, look in (("memory", self._memory.get), ("folder", self._kept), ("lake", self._made)):
            cover = look(key)
            if cover:
                self.found[place] += 1
                self._memory.put(key, cover)
                return cover
        self.found["nowhere"] += 1
        return None

    def _original(self, cover_id: int) -> Cover | None:
        content = self._index.content(cover_id)
        media_type = _media_type(content) if content else None
        return Cover(content, media_type) if content and media_type else None

    def _kept(self, key: tuple[int, int]) -> Cover | None:
        try:
            return Cover(self._path(key).read_bytes(), _MEDIA_TYPES["JPEG"])
        except FileNotFoundError:
            return None

    def _made(self, key: tuple[int, int]) -> Cover | None:
        cover_id, width = key
        original = self._original(cover_id)
        content = thumbnail(original.content, width) if original else None
        if content is None:
            return None
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
        return Cover(content, _MEDIA_TYPES["JPEG"])

    def _path(self, key: tuple[int, int]) -> Path:
        cover_id, width = key
        # A thousand to a folder: some file systems slow down with a million files in one.
        return self._thumbnails / str(width) / str(cover_id // 1000) / f"{cover_id}.jpg"


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


class _Index:
    """Where the newest bytes of each cover lie: sorted cover ids, and the shard and row of each."""

    def __init__(self, cache: ShardStore, look_seconds: float) -> None:
        self._cache, self._look_seconds = cache, look_seconds
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._shards: list[str] = []
        # Replaced as one: readers take no lock.
        self._found = np.empty(0, np.int64), np.empty((0, 2), np.int32)

    def content(self, cover_id: int) -> bytes | None:
        place = self._place(cover_id)
        if place is None:
            self._look()
            place = self._place(cover_id)
        return self._cache.row(*place, ["content"])["content"] if place else None

    def _place(self, cover_id: int) -> tuple[str, int] | None:
        ids, places = self._found
        at = int(np.searchsorted(ids, cover_id))
        if at == len(ids) or ids[at] != cover_id:
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
                    self._take_in(shard, self._cache.read(shard, columns=["cover_id", "status"]))
            self._next_look = time.monotonic() + self._look_seconds

    def _take_in(self, shard: str, rows: pa.Table) -> None:
        new = rows["cover_id"].to_numpy()
        has_picture = np.array([status == "ok" for status in rows["status"].to_pylist()], bool)
        place = np.column_stack([np.full(len(new), len(self._shards)), np.arange(len(new))]).astype(np.int32)
        known_ids, known_places = self._found
        # The first of equal ids is kept, which is the newer shard's.
        ids, first = np.unique(np.concatenate([new[has_picture], known_ids]), return_index=True)
        self._shards.append(shard)
        self._found = ids, np.concatenate([place[has_picture], known_places])[first]


class _Memory:
    """The covers that were asked for last, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._covers: OrderedDict[tuple[int, int], Cover] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> Cover | None:
        with self._lock:
            cover = self._covers.get(key)
            if cover:
                self._covers.move_to_end(key)
            return cover

    def put(self, key: tuple[int, int], cover: Cover) -> None:
        with self._lock:
            if key not in self._covers:
                self._covers[key] = cover
                self._bytes += len(cover.content)
            while self._bytes > self._most and self._covers:
                self._bytes -= len(self._covers.popitem(last=False)[1].content)

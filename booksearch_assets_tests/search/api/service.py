"""A small service over a shelf of books that is known by heart, with a lake of covers, in this process.

Belongs here: making it, whole or with a part replaced. Does not: what it should answer.
"""

from __future__ import annotations

import hashlib
import io
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from booksearch_assets.search.api.app import build_app
from booksearch_assets.search.api.image_urls import ImageUrls
from booksearch_assets.search.api.limits import ApiSettings
from booksearch_assets.search.api.searching import Searching
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.pictures import Pictures
from booksearch_assets.search.versions import State, Version
from booksearch_assets.tables.books import COVERS
from booksearch_assets_tests.search.library import WordEncoder, shelf

SOURCE = "test"
PICTURES = ("red ship", "blue sea", "black night", "red house")
BOOKS = [
    (f"OL{i}M", f"OL{i // 2}W", i, f"{PICTURES[i % 4]} {'very ' * (i // 8)}", 2000 + i) for i in range(1, 25)
]
"""Edition key, work key (two editions each), cover id, what the cover shows, and year."""

VERSION = Version(
    collection="books_1",
    version="1",
    state=State.READY,
    live=True,
    dump_date="2026-01-31",
    model_id="words",
    bundle_id="words@1",
    rows=len(BOOKS),
    made=datetime(2026, 2, 1, tzinfo=UTC),
    published=datetime(2026, 2, 2, tzinfo=UTC),
    objections=(),
    quality={"caption_mrr": 0.9},
)


class Shelf(SearchEngine):
    """A version that never changes, in the place of a live search."""

    held_up: str | None = None

    def __init__(self) -> None:
        super().__init__(shelf(BOOKS), WordEncoder())


def picture(colour: str = "red", size: tuple[int, int] = (300, 450), form: str = "JPEG") -> bytes:
    """The file of a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


def cover_rows(contents: dict[int, bytes | None]) -> pa.Table:
    """COVERS.bytes rows: covers as they were fetched, None for one that is missing."""
    rows = [
        {
            "cover_id": cover_id,
            "url": f"http://covers/{cover_id}-L.jpg",
            "status": "ok" if content else "missing",
            "http_status": 200 if content else 404,
            "sha256": hashlib.sha256(content).hexdigest() if content else None,
            "size": len(content) if content else None,
            "attempts": [],
            "fetched_at": datetime(2026, 1, 31, tzinfo=UTC),
            "content": content,
        }
        for cover_id, content in contents.items()
    ]
    return pa.Table.from_pylist(rows, COVERS.bytes.schema)


@dataclass
class Service:
    """A service and its parts. `home` holds its lake and thumbnails."""

    home: Path
    settings: ApiSettings = field(default_factory=ApiSettings)
    live: Searching = field(default_factory=Shelf)
    image_urls: ImageUrls | None = None
    versions: Sequence[Version] = (VERSION,)

    def __post_init__(self) -> None:
        self.cache = COVERS.bytes_cache(str(self.home / "lake"), SOURCE)
        self.covers = Pictures(self.cache, self.home / "thumbnails", look_seconds=0.0)
        self.app = build_app(self.live, self.covers, lambda: self.versions, self.settings, self.image_urls)

    @contextmanager
    def running(self) -> Iterator[str]:
        """The address of this service on loopback, for the time of the block."""
        server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, access_log=False))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join()

    def client(self, **headers: str) -> TestClient:
        return TestClient(self.app, headers=headers, raise_server_exceptions=True)

"""A small published world with real pictures: covers that the sample world's painter makes and its model has seen.

Belongs here: making one without the graph, for tests of what stands before the search. Does not: tests.
"""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.sample.painter import paint
from booksearch_assets.sample.scenes import Scene, scene_of, stable_rng
from booksearch_assets.sample.titles import ADJECTIVES, FAMILY, GIVEN, HEADINGS, HEADS
from booksearch_assets.search.books_collection import BOOKS, book_rows, books_collection
from booksearch_assets.settings import Settings
from booksearch_assets.tables.books import COVERS
from booksearch_assets.vectorstores.connect import open_store
from booksearch_assets_tests.search.library import covers, fiction

COLLECTION = "books_20260131T120000000000_5eed01"
HEIGHT = 360


def edition_key(cover_id: int) -> str:
    return f"OL{cover_id}M"


def reprint_key(cover_id: int) -> str | None:
    """The edition of 2001 that every tenth book has beside its own, with the same cover."""
    return f"OL{1000 + cover_id}M" if cover_id % 10 == 0 else None


def picture(cover_id: int, scene: Scene | None = None) -> bytes:
    """The JPEG of a cover, or of what another scene would look like on it."""
    title, author = _title(cover_id), _author(cover_id)
    stream = io.BytesIO()
    paint(scene or scene_of(cover_id), title, author, height=HEIGHT).save(stream, "JPEG", quality=88)
    return stream.getvalue()


def publish_painted_books(settings: Settings, count: int) -> None:
    """Paint, embed and publish books with the covers 1 to `count`, each of a work of its own."""
    ids = range(1, count + 1)
    contents = {cover_id: picture(cover_id) for cover_id in ids}
    COVERS.bytes_cache(settings.lake, settings.source).append(_cover_rows(contents))
    encoder = Encoder.load(Bundle.open(settings.bundle), threads=1)
    vectors = encoder.encode_images([Image.open(io.BytesIO(content)) for content in contents.values()])
    properties = {
        "bundle_id": encoder.bundle_id,
        "model_id": encoder.bundle.manifest.model_id,
        "source": settings.source,
        "dump_date": "2026-01-31",
    }
    rows = book_rows(
        fiction([edition for cover_id in ids for edition in _editions(cover_id)]),
        covers({cover_id: [str(e["edition_key"]) for e in _editions(cover_id)] for cover_id in ids}),
        pa.table({"cover_id": pa.array(ids, pa.int64()), "vector": _column(vectors)}),
    )
    spec = books_collection(COLLECTION, encoder.dimension, properties)
    with open_store(settings.milvus_uri) as store:
        store.create(spec)
        store.load(COLLECTION, [rows])
        store.seal(COLLECTION)
        store.publish(BOOKS.name, COLLECTION)


def _editions(cover_id: int) -> list[dict[str, object]]:
    heading = HEADINGS[scene_of(cover_id).motif]
    first: dict[str, object] = {
        "edition_key": edition_key(cover_id),
        "work_key": f"OL{cover_id}W",
        "cover_id": cover_id,
        "title": _title(cover_id),
        "authors": [_author(cover_id)],
        "subjects": [heading.topic, *heading.genres, "Fiction"],
        "publish_year": 2016 + cover_id % 10,
        "pages": 110 + 7 * cover_id,
    }
    reprint = reprint_key(cover_id)
    return [first, first | {"edition_key": reprint, "publish_year": 2001}] if reprint else [first]


def _title(cover_id: int) -> str:
    rng = stable_rng("title", cover_id)
    return f"The {rng.choice(ADJECTIVES)} {rng.choice(HEADS)}"


def _author(cover_id: int) -> str:
    rng = stable_rng("author", cover_id // 3)
    return f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"


def _cover_rows(contents: dict[int, bytes]) -> pa.Table:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    rows = [
        {
            "cover_id": cover_id,
            "url": f"http://covers/{cover_id}-L.jpg",
            "status": "ok",
            "http_status": 200,
            "content_type": "image/jpeg",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "width": HEIGHT * 2 // 3,
            "height": HEIGHT,
            "attempts": [],
            "fetched_at": now,
            "content": content,
        }
        for cover_id, content in contents.items()
    ]
    return pa.Table.from_pylist(rows, COVERS.bytes.schema)


def _column(vectors: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def settings_for(home: Path) -> Settings:
    """Settings of a deployment of its own below `home`, with the model that the package brings."""
    return Settings.from_environment({"BOOKSEARCH_HOME": str(home)})

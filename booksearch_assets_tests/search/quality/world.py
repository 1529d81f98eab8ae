"""A small sample world whose covers are painted and embedded here, without Spark and without a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.preprocess import decode_image
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.painter import cover_jpeg
from booksearch_assets.sample.records import subjects
from booksearch_assets.sample.scenes import scene_of
from booksearch_assets.sample.world import World
from booksearch_assets.search.books_collection import book_rows, books_collection
from booksearch_assets.settings import PACKAGE
from booksearch_assets.tables.books import KNOWN_ITEMS
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets_tests.search.library import covers, fiction

BOOKS = 260
MODEL = PACKAGE / "sample" / "model"


@dataclass(frozen=True)
class SmallWorld:
    """`rows` are those of the collection, without vectors; `pictures` and `vectors` are by cover."""

    encoder: Encoder
    items: pa.Table
    pictures: Mapping[int, bytes]
    vectors: Mapping[int, np.ndarray]
    known_items: Path

    def rows(self, vectors: Mapping[int, np.ndarray] | None = None) -> pa.Table:
        """The collection's rows, with other vectors for the covers if wanted."""
        vectors = vectors or self.vectors
        ids = list(vectors)
        matrix = np.stack([vectors[cover] for cover in ids]).astype(np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), self.encoder.dimension)
        shown: dict[int, list[str]] = {}
        for edition, cover in zip(
            self.items["edition_key"].to_pylist(), self.items["cover_id"].to_pylist(), strict=True
        ):
            shown.setdefault(cover, []).append(edition)
        return book_rows(self.items, covers(shown), pa.table({"cover_id": pa.array(ids), "vector": column}))

    def index(self, name: str = "books_1", vectors: Mapping[int, np.ndarray] | None = None) -> ExactIndex:
        spec = books_collection(name, self.encoder.dimension, self.properties)
        rows = self.rows(vectors)
        return ExactIndex(spec, rows.select(spec.schema.names).cast(spec.schema).sort_by("edition_key"))

    @property
    def properties(self) -> dict[str, str]:
        return {
            "bundle_id": self.encoder.bundle_id,
            "model_id": self.encoder.bundle.manifest.model_id,
            "source": "sample",
            "dump_date": "2026-01-31",
        }

    def read_images(self, wanted: list[int]) -> dict[int, bytes]:
        return {cover: self.pictures[cover] for cover in wanted}


def small_world(folder: Path) -> SmallWorld:
    """The first wanted editions of a sample world; covers are painted at 192 px, three times what the model sees."""
    world = World(editions=2_000)
    encoder = Encoder.load(Bundle.open(MODEL))
    editions = list(islice((e for e in map(world.edition, range(world.editions)) if e.wanted), BOOKS))
    items = fiction(
        [
            {
                "edition_key": edition.key.removeprefix("/books/"),
                "work_key": edition.work.key.removeprefix("/works/"),
                "cover_id": edition.cover_id,
                "title": edition.title,
                "authors": [world.author_name(author) for author in edition.work.authors],
                "subjects": subjects(
                    world, edition.work, Draws("work record", world.seed, edition.work.index)
                ),
                "publish_year": edition.year,
                "pages": edition.pages,
            }
            for edition in editions
        ]
    )
    ids = sorted({edition.cover_id for edition in editions if edition.cover_id})
    pictures = {cover: cover_jpeg(scene_of(cover), *world.title_of_cover(cover), height=192) for cover in ids}
    vectors = encoder.encode_images([decode_image(content) for content in pictures.values()])
    captions = [{"cover_id": cover, "query": scene_of(cover).caption, "kind": "caption"} for cover in ids]
    known_items = folder / "known_items.parquet"
    pq.write_table(pa.Table.from_pylist(captions, KNOWN_ITEMS.schema), known_items)
    return SmallWorld(encoder, items, pictures, dict(zip(pictures, vectors, strict=True)), known_items)

"""Small versions of the books collection, recorded and checked as the graph does it, in a fraction of a second each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
from PIL import Image

from booksearch_assets.search.books_collection import book_rows, books_collection
from booksearch_assets.search.publications import published_table
from booksearch_assets.search.versions import (
    REQUIRED_TO_PUBLISH,
    Versions,
    collection_name,
    collection_table,
)
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.verdicts import Verdict, record_verdict
from booksearch_assets.vectorstores.contract import CollectionSpec, VectorStore
from booksearch_assets_tests.search.library import covers, fiction

DIMENSION = 8
ROWS = 24


@dataclass(frozen=True)
class LetterEncoder:
    """Counts letters. Every version holds the same vectors, so that a mixture of two would show in any answer."""

    bundle_id: str = "letters@1"
    dimension: int = DIMENSION

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.ones((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for letter in text.encode():
                counts[row, letter % self.dimension] += 1
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        raise NotImplementedError


def rows_of(number: int, encoder: LetterEncoder, count: int = ROWS) -> pa.Table:
    """Books whose every row carries the number of its version, as its year and in its title and authors."""
    numbers = range(1, count + 1)
    books = [
        {
            "edition_key": f"OL{i}M",
            "cover_id": i,
            "title": f"version {number}",
            "authors": [str(number)],
            "publish_year": 2000 + number,
        }
        for i in numbers
    ]
    vectors = encoder.encode_texts([f"book {chr(96 + i)}" for i in numbers])
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), encoder.dimension)
    shown = pa.table({"cover_id": pa.array(numbers, pa.int64()), "vector": column})
    return book_rows(fiction(books), covers({i: [f"OL{i}M"] for i in numbers}), shown)


def spec_of(name: str, encoder: LetterEncoder, dump_date: str = "2026-01-31") -> CollectionSpec:
    properties = {
        "bundle_id": encoder.bundle_id,
        "model_id": encoder.bundle_id.partition("@")[0],
        "source": "test",
        "dump_date": dump_date,
    }
    return books_collection(name, encoder.dimension, properties)


@dataclass(frozen=True)
class Releases:
    """A catalogue that only has versions."""

    lake: Lake
    store: VectorStore
    catalogue: str = "books"

    @property
    def versions(self) -> Versions:
        return Versions(self.lake, self.store, self.catalogue)

    def build(
        self,
        number: int,
        encoder: LetterEncoder | None = None,
        failed: Sequence[str] = (),
        unchecked: Sequence[str] = (),
        commit: bool = True,
        seal: bool = True,
        inputs: dict[str, str] | None = None,
    ) -> str:
        """One version, loaded, sealed, recorded and checked. Returns the name of its collection."""
        encoder = encoder or LetterEncoder()
        pending = self.lake.begin(collection_table(self.catalogue))
        name = collection_name(self.catalogue, pending.version)
        spec = spec_of(name, encoder)
        self.store.create(spec)
        rows = self.store.load(name, [rows_of(number, encoder)])
        if seal:
            self.store.seal(name)
        if commit:
            facts = {**spec.properties, "collection": name, "dimension": spec.dimension}
            made = pending.commit(rows=rows, inputs=inputs, facts=facts)
            for check in REQUIRED_TO_PUBLISH:
                if check not in unchecked:
                    self.judge(made, check, check not in failed)
        return name

    def judge(self, commit: Commit, check: str, passed: bool) -> None:
        figures = {"candidate_title_mrr": 0.5} if check == "quality_not_below_live" else {}
        record_verdict(self.lake, commit, Verdict(check, passed, figures))

    def record_of(self, collection: str) -> Commit:
        history = self.lake.history(collection_table(self.catalogue))
        return next(commit for commit in history if commit.facts["collection"] == collection)

    def leave_behind(self, age: timedelta, seal: bool) -> str:
        """A collection as a build that was killed `age` ago left it: without a record in the lake."""
        from datetime import UTC, datetime

        name = f"{self.catalogue}_{datetime.now(UTC) - age:%Y%m%dT%H%M%S%f}_dead00"
        self.store.create(spec_of(name, LetterEncoder()))
        if seal:
            self.store.seal(name)
        return name

    def recorded(self) -> list[str]:
        """The collections of the publications, the first one first."""
        history = self.lake.history(published_table(self.catalogue))
        return [commit.facts["collection"] for commit in reversed(history)]

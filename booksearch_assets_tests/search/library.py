"""A shelf of books and an encoder of words, small enough to know every right answer by heart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from PIL import Image

from booksearch_assets.search.books_collection import book_rows, books_collection
from booksearch_assets.tables.books import COVER_URLS, COVERS, FILTERED_FICTION
from booksearch_assets.vectorstores.exact import ExactIndex

DIMENSION = 64


class WordEncoder:
    """A bag of words: every word is a fixed random direction, and a picture of one colour is that colour's word."""

    bundle_id = "words@1"

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        sums = np.array(
            [np.sum([_direction(word) for word in text.lower().split()], axis=0) for text in texts]
        )
        sums = sums.reshape(len(texts), DIMENSION)
        return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        names = {(255, 0, 0): "red", (0, 0, 255): "blue", (0, 0, 0): "black"}
        return self.encode_texts([names[image.convert("RGB").getpixel((0, 0))] for image in images])  # type: ignore[index]


def _direction(word: str) -> np.ndarray:
    if word.startswith("not-"):
        return -_direction(word.removeprefix("not-"))
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).normal(size=DIMENSION)


def fiction(books: Sequence[dict[str, object]]) -> pa.Table:
    """FILTERED_FICTION rows; every key that is not given has a plain value."""
    plain = {
        "work_key": None,
        "title": "A book",
        "subtitle": None,
        "authors": ["An Author"],
        "languages": ["eng"],
        "subjects": ["Fiction"],
        "publish_year": 2015,
        "pages": 200,
        "fiction_rule": "subject",
    }
    return pa.Table.from_pylist([plain | book for book in books], FILTERED_FICTION.schema)


def covers(editions: dict[int, list[str]]) -> pa.Table:
    """COVER_URLS rows, from the editions of each cover."""
    rows = [
        {
            "cover_id": cover,
            "url": f"http://covers/{cover}-L.jpg",
            "width": 300,
            "height": 500,
            "edition_keys": keys,
        }
        for cover, keys in editions.items()
    ]
    return pa.Table.from_pylist(rows, COVER_URLS.schema)


def vectors(pictures: dict[int, str]) -> pa.Table:
    """Cover vectors, from the words that each cover shows."""
    encoded = WordEncoder().encode_texts(list(pictures.values()))
    rows = [
        {
            "cover_id": cover,
            "vector": vector.tolist(),
            "model_id": "words",
            "revision": "1",
            "preprocessing_version": "1",
            "bundle_id": WordEncoder.bundle_id,
        }
        for cover, vector in zip(pictures, encoded, strict=True)
    ]
    return pa.Table.from_pylist(rows, COVERS.vectors(DIMENSION).schema)


def shelf(
    books: Sequence[tuple[str, str, int, str, int]],
    bundle_id: str = WordEncoder.bundle_id,
    name: str = "books_1",
    twins: Mapping[int, int] | None = None,
    **details: Mapping[str, object],
) -> ExactIndex:
    """An index of books: (edition key, work key, cover id, what the cover shows, year).

    `details` has more of an edition by its key, such as OL1M={"title": "Emma"}.
    """
    shown: dict[int, list[str]] = {}
    for edition, _, cover, _, _ in books:
        shown.setdefault(cover, []).append(edition)
    items = fiction(
        [
            {
                "edition_key": edition,
                "work_key": work or None,
                "cover_id": cover,
                "title": f"Title {edition}",
                "publish_year": year,
                **details.get(edition, {}),
            }
            for edition, work, cover, _, year in books
        ]
    )
    pictures = vectors({cover: picture for _, _, cover, picture, _ in books})
    rows = book_rows(items, covers(shown), pictures, twins)
    spec = books_collection(name, DIMENSION, {"bundle_id": bundle_id, "model_id": "words"})
    return ExactIndex(spec, rows.select(spec.schema.names).cast(spec.schema).sort_by("edition_key"))

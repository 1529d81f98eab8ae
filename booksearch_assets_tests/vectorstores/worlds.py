"""A small collection of books with awkward texts, which every backend must store and find alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from booksearch_assets.vectorstores.contract import CollectionSpec, FieldKind, IndexSpec, ScalarField

DIMENSION = 16
FIELDS = (
    ScalarField("edition_key", FieldKind.TEXT, max_bytes=32),
    ScalarField("title", FieldKind.TEXT, max_bytes=64),
    ScalarField("year", FieldKind.INT64),
    ScalarField("subjects", FieldKind.TEXTS, max_bytes=64, capacity=8),
)
TITLES = (
    "Plain",
    "Ёлки 書 📚",
    'He said "no"',
    "it's",
    "back\\slash",
    "two\nlines\tand a tab\r",
    "100% and_under",
    "",
    "\x07\u2028bell",
    "a" * 64,
)
SUBJECTS: tuple[list[str], ...] = (["Fiction", "Lighthouses"], [], ["Fiction"], ['"quoted"', "書"], ["a\\b"])


def spec(name: str, index: IndexSpec | None = None, **properties: str) -> CollectionSpec:
    return CollectionSpec(name, DIMENSION, "edition_key", FIELDS, index, properties)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def random_vectors(count: int, seed: int = 1, dimension: int = DIMENSION) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)))


def rows(count: int, seed: int = 1, **columns: Any) -> pa.Table:
    """`count` books; `columns` replaces whole columns."""
    vectors = random_vectors(count, seed)
    values: dict[str, Any] = {
        "edition_key": [f"OL{i}M" for i in range(count)],
        "title": [TITLES[i % len(TITLES)] for i in range(count)],
        "year": [2000 + i % 25 for i in range(count)],
        "subjects": pa.array([SUBJECTS[i % len(SUBJECTS)] for i in range(count)], pa.list_(pa.string())),
        "vector": vector_column(vectors),
    }
    return pa.table(values | columns)


def vector_column(vectors: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), vectors.shape[1])

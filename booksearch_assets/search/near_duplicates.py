"""Images that are nearly the same picture, though each was uploaded by itself and has an id of its own.

Belongs here: finding them by their vectors. Does not: what is done with them (`search.rows`, `ranking`).

Comparing all with all is quadratic. So each vector is hashed by the sides of random planes that it lies on (Charikar
2002), in several tables, and only vectors that share a bucket are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from booksearch_assets.vectorstores.contract import VECTOR
from booksearch_assets.vectorstores.rows import vector_matrix

SAME_PICTURE = 0.999
"""The cosine from which two images are nearly the same picture.

Measured with the sample model: rescaled to a half, every cover keeps 0.9997 to itself; compressed again as JPEG of
quality 75, nine of ten keep 0.9994; and no two of 727 different covers reach 0.96. Of two mistakes, showing a picture
twice is the smaller one, so the line is drawn near the top.
"""

_TABLES = 8
_BITS = 24
"""Two vectors at `SAME_PICTURE` share one of 8 buckets of 24 bits in more than 999 of 1,000 cases, and at a million
images a bucket holds few others."""


def near_duplicates(
    batches: Callable[[], Iterable[pa.Table]], threshold: float = SAME_PICTURE
) -> dict[Any, Any]:
    """The image that stands for each image that has a nearly equal one of a lower id; others are left out.

    `batches` gives tables of two columns, the ids (numbers or texts) and the L2-normalised `vector`, the same ones each
    time: they are read twice, so that memory holds only the vectors that may have a twin. An image stands for those
    within `threshold` of itself, never for those that are only near to one of these.
    """
    ids, keys = _hashed(batches())
    vectors = _vectors_of(batches(), set(ids[_sharing(keys)].tolist()))
    standing: list[dict[int, list[Any]]] = [defaultdict(list) for _ in range(_TABLES)]
    stands_for: dict[Any, Any] = {}
    order = np.argsort(ids, kind="stable")
    for image, buckets in zip(ids[order].tolist(), keys[order].tolist(), strict=True):
        if image not in vectors:
            continue
        near = sorted({other for table, key in zip(standing, buckets, strict=True) for other in table[key]})
        cosines = np.array([vectors[other] for other in near]) @ vectors[image] if near else np.empty(0)
        same = np.flatnonzero(cosines >= threshold)
        if len(same):
            stands_for[image] = near[same[0]]
            continue
        for table, key in zip(standing, buckets, strict=True):
            table[key].append(image)
    return stands_for


def _hashed(batches: Iterable[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
    """Every image once, (n,), and its bucket in each table, (n, tables)."""
    ids: list[np.ndarray] = []
    keys = [np.empty((0, _TABLES), np.int64)]
    planes = centre = None
    for batch in batches:
        if not len(batch):
            continue
        vectors = _matrix(batch)
        if planes is None or centre is None:
            planes = np.random.default_rng(0).standard_normal((vectors.shape[1], _TABLES * _BITS))
            # CLIP's vectors lie in a narrow cone: around its axis the planes part them evenly.
            centre = vectors.mean(axis=0)
        sides = ((vectors - centre) @ planes.astype(np.float32) > 0).reshape(-1, _TABLES, _BITS)
        ids.append(_ids(batch).to_numpy())
        keys.append(sides @ (1 << np.arange(_BITS, dtype=np.int64)))
    images, first = np.unique(np.concatenate(ids or [np.empty(0, np.int64)]), return_index=True)
    return images, np.concatenate(keys)[first]


def _sharing(keys: np.ndarray) -> np.ndarray:
    """Which rows have a bucket in common with another row: (n,) bool."""
    shared = np.zeros(len(keys), dtype=bool)
    for column in keys.T:
        _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
        shared |= counts[places] > 1
    return shared


def _vectors_of(batches: Iterable[pa.Table], images: set[Any]) -> dict[Any, np.ndarray]:
    found: dict[Any, np.ndarray] = {}
    for batch in batches:
        wanted = [(row, image) for row, image in enumerate(_ids(batch).to_pylist()) if image in images]
        if wanted:
            vectors = _matrix(batch)
            found |= {image: vectors[row].copy() for row, image in wanted}
    return found


def _ids(batch: pa.Table) -> pa.ChunkedArray:
    [name] = set(batch.column_names) - {VECTOR}
    return batch[name]


def _matrix(batch: pa.Table) -> np.ndarray:
    column = batch[VECTOR].combine_chunks()
    return vector_matrix(column, column.type.list_size)

"""Exact search over a snapshot, in process: one matrix product, no server and no lock.

It is faster than Milvus Lite at every size that fits in memory, and finds every neighbour.

Belongs here: searching a snapshot with the semantics of `VectorIndex`. Does not: making one (`snapshot`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from booksearch_assets.vectorstores.columns import Columns
from booksearch_assets.vectorstores.contract import VECTOR, CollectionSpec, Hit
from booksearch_assets.vectorstores.filters import Filter, row_mask
from booksearch_assets.vectorstores.rows import check_fields, check_search, checked_queries, vector_matrix
from booksearch_assets.vectorstores.snapshot import read_snapshot

MOST_NUMBERS = 100_000_000
"""Rows x dimension up to which searching in process is what one wants: 200,000 vectors of 512. They take 0.4 GB in every
process that searches, and a query reads all of it: some 25 ms on one core with 16 GB/s of memory bandwidth. Reckoned from
70,000 and 500,000 vectors of 512, whose bare product in numpy took 3 to 8 ms and 57 ms."""

_SCORES_AT_ONCE = 32_000_000
"""Bound on the score matrix: 128 MB of float32."""

_GATHERED_SHARE = 0.2
"""Where a filter keeps less than this share of the rows, their vectors are gathered and only they are compared."""

_BATCH_ROWS = 10_000

_TURN = threading.Lock()
"""One product at a time takes all cores. The threads of OpenBLAS spin where several callers ask at once: with eight, a
query over 70,000 x 512 took 81 ms of processor time instead of 24."""


class ExactIndex:
    """A sealed collection held in memory: rows x dimension x 4 bytes, and its scalar fields.

    The answer to one query depends on nothing but the rows, the query and the filter: equal scores rank in the order of
    keys, and the best `k` are the first of the best `k + 1`.
    """

    def __init__(self, spec: CollectionSpec, rows: pa.Table) -> None:
        self._spec = spec
        rows = rows.select(spec.schema.names).combine_chunks()
        self._matrix = vector_matrix(rows[VECTOR], spec.dimension)
        self._rows = rows
        self._columns = Columns(rows.drop_columns(VECTOR))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `CollectionNotSealed` where there is no snapshot, `StoreDamaged` for a bad one."""
        return cls(*read_snapshot(path))

    @property
    def spec(self) -> CollectionSpec:
        return self._spec

    def count(self, filter: Filter | None = None) -> int:
        check_search(self.spec, 1, filter, ())
        return len(self._columns) if filter is None else int(row_mask(filter, self._columns).sum())

    def search(
        self,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        check_search(self.spec, k, filter, fields, offset)
        queries = checked_queries(self.spec, vectors)
        candidates = None if filter is None else np.flatnonzero(row_mask(filter, self._columns))
        return [
            self._hits(rows, scores, fields)
            for rows, scores in self._best(queries, candidates, offset, offset + k)
        ]

    def fetch(self, keys: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        check_fields(self.spec, fields)
        wanted = [key for key in dict.fromkeys(keys) if key in self._row_of]
        rows = np.array([self._row_of[key] for key in wanted], dtype=np.int64)
        return dict(zip(wanted, self._values(rows, fields), strict=True))

    def scan(self, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
        check_fields(self.spec, fields)
        yield from self._rows.select(list(fields)).to_batches(max_chunksize=_BATCH_ROWS)

    def close(self) -> None:
        """Nothing is held but memory."""

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self._rows[self.spec.key].to_pylist())}

    def _best(
        self, queries: np.ndarray, candidates: np.ndarray | None, first: int, last: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and scores from rank `first` to `last` for each query; of `candidates`, where given."""
        matrix = self._matrix
        gathered = candidates is not None and len(candidates) < _GATHERED_SHARE * len(matrix)
        if gathered:
            matrix = matrix[candidates]
        step = max(1, _SCORES_AT_ONCE // max(1, len(matrix)))
        for start in range(0, len(queries), step):
            with _TURN:
                products = queries[start : start + step] @ matrix.T
            for scores in products:
                if candidates is not None and not gathered:
                    scores = scores[candidates]
                best = _highest(scores, last)[first:]
                yield best if candidates is None else candidates[best], scores[best]

    def _hits(self, rows: np.ndarray, scores: np.ndarray, fields: Sequence[str]) -> list[Hit]:
        values = self._values(rows, (self.spec.key, *fields))
        own = self.spec.key in fields
        keys = [value[self.spec.key] if own else value.pop(self.spec.key) for value in values]
        return [Hit(*hit) for hit in zip(keys, scores.tolist(), values, strict=True)]

    def _values(self, rows: np.ndarray, fields: Sequence[str]) -> list[dict[str, Any]]:
        values = self._columns.take(rows, [name for name in fields if name != VECTOR])
        if VECTOR in fields:
            for value, vector in zip(values, self._matrix[rows], strict=True):
                value[VECTOR] = vector
        return values


def _highest(scores: np.ndarray, k: int) -> np.ndarray:
    """Places of the `k` highest of `scores`, (n,), best first; equal ones in order of place."""
    if k < len(scores):
        # All that equal the last one take part, so that which of them are kept does not depend on `k`.
        places = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
    else:
        places = np.arange(len(scores))
    return places[np.argsort(-scores[places], kind="stable")][:k]

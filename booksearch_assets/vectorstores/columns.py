"""Scalar fields of rows in memory, laid out so that a filter costs microseconds and a few rows are read fast.

Belongs here: the layout. Does not: what filters mean (`filters`), searching (`exact`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class _Postings:
    """The rows of each value: those of `values[i]` are `rows[starts[i]:starts[i + 1]]`, ascending."""

    values: dict[str, int]
    rows: np.ndarray
    starts: np.ndarray

    def of(self, value: str) -> np.ndarray:
        place = self.values.get(value)
        return self.rows[:0] if place is None else self.rows[self.starts[place] : self.starts[place + 1]]


class Columns:
    """Columns by name. What a filter needs of one is laid out when it is asked for first, and kept.

    Threads may lay out the same column twice, which is the same.
    """

    def __init__(self, rows: pa.Table) -> None:
        self._columns = {name: rows[name].combine_chunks() for name in rows.column_names}
        self._count = len(rows)
        self._numbers: dict[str, np.ndarray] = {}
        self._postings: dict[str, _Postings] = {}

    def __len__(self) -> int:
        return self._count

    def numbers(self, name: str) -> np.ndarray:
        """An integer column: (rows,) int64."""
        if name not in self._numbers:
            self._numbers[name] = self._columns[name].to_numpy(zero_copy_only=False)
        return self._numbers[name]

    def rows_with(self, name: str, value: str) -> np.ndarray:
        """The rows whose text is `value`, or whose list has it, ascending."""
        if name not in self._postings:
            self._postings[name] = _postings(self._columns[name])
        return self._postings[name].of(value)

    def take(self, rows: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
        """The values of `rows`, one dictionary for each."""
        if not names:
            return [{} for _ in rows]
        # Reading column by column is several times faster than Arrow's own list of dictionaries.
        columns = [self._columns[name].take(pa.array(rows)).to_pylist() for name in names]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _postings(column: pa.Array) -> _Postings:
    if pa.types.is_list(column.type):
        owners, texts = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
    else:
        owners, texts = np.arange(len(column)), column
    encoded = texts.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    values = {value: place for place, value in enumerate(encoded.dictionary.to_pylist())}
    return _Postings(values, owners[order].astype(np.int32), starts)

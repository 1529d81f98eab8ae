"""Checks of rows and queries before any backend sees them, so that all backends refuse the same things.

Milvus Lite stores NaN, too long texts and vectors that are not normalised; a server refuses only some of them.

Belongs here: checking, casting and cutting into batches. Does not: storing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.vectorstores.contract import MAX_WINDOW, VECTOR, CollectionSpec, FieldKind, ScalarField
from booksearch_assets.vectorstores.errors import InvalidRows, InvalidSearch, InvalidVectors
from booksearch_assets.vectorstores.filters import Filter, check_filter

NORM_TOLERANCE = 1e-3
"""How far a vector's length may be from one: a normalised vector stored as float16 still passes."""


def checked_batches(
    spec: CollectionSpec, batches: Iterable[pa.RecordBatch | pa.Table], size: int
) -> Iterator[pa.Table]:
    """The rows in tables of `size` at most, with the spec's schema. Raises `InvalidRows`, `InvalidVectors`."""
    seen: set[str] = set()
    for batch in _recut(batches, size):
        rows = _conform(spec, batch)
        keys = rows[spec.key].to_pylist()
        for key in keys:
            if key in seen:
                raise InvalidRows(f"collection {spec.name!r}: the key {key!r} comes twice in one load")
            seen.add(key)
        yield rows


def vector_matrix(column: pa.ChunkedArray | pa.Array, dimension: int) -> np.ndarray:
    """A fixed-size list column as (n, dimension) float32, without a copy where it is one chunk."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(array.flatten()).reshape(-1, dimension)


def checked_queries(spec: CollectionSpec, vectors: np.ndarray) -> np.ndarray:
    """Query vectors as (n, dimension) float32. Raises `InvalidVectors`."""
    queries = np.asarray(vectors)
    if queries.ndim != 2 or queries.shape[1] != spec.dimension:
        raise InvalidVectors(
            f"collection {spec.name!r}: expected query vectors of shape (n, {spec.dimension}), not {queries.shape}"
        )
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    _check_unit(spec, queries, [f"query {i}" for i in range(len(queries))])
    return queries


def check_search(
    spec: CollectionSpec, k: int, filter: Filter | None, fields: Sequence[str], offset: int = 0
) -> None:
    """Raise `InvalidSearch` for a limit, a field or a filter that not every backend can answer."""
    if k < 1 or offset < 0 or offset + k > MAX_WINDOW:
        raise InvalidSearch(
            f"k must be at least 1, offset at least 0, and their sum at most {MAX_WINDOW}; "
            f"k is {k} and offset is {offset}. Ask for less, or use scan for every row"
        )
    check_fields(spec, fields)
    if filter is not None:
        check_filter(filter, spec)


def check_fields(spec: CollectionSpec, fields: Sequence[str]) -> None:
    """Raise `InvalidSearch` for a field that the collection lacks."""
    known = [*(field.name for field in spec.fields), VECTOR]
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise InvalidSearch(
            f"collection {spec.name!r} has no field {unknown[0]!r}; it has {', '.join(known)}"
        )


def _recut(batches: Iterable[pa.RecordBatch | pa.Table], size: int) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    rows = 0
    for batch in batches:
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        held.append(table)
        rows += table.num_rows
        while rows >= size:
            whole = pa.concat_tables(held)
            yield whole.slice(0, size)
            held, rows = [whole.slice(size)], rows - size
    if rows:
        yield pa.concat_tables(held)


def _conform(spec: CollectionSpec, rows: pa.Table) -> pa.Table:
    schema = spec.schema
    missing = [name for name in schema.names if name not in rows.column_names]
    extra = [name for name in rows.column_names if name not in schema.names]
    if missing or extra:
        raise InvalidRows(
            f"collection {spec.name!r}: expected the columns {', '.join(schema.names)}; "
            f"missing: {', '.join(missing) or 'none'}; not expected: {', '.join(extra) or 'none'}"
        )
    _check_width(spec, rows[VECTOR])
    for field in spec.fields:
        _check_nulls(spec, field, rows[field.name].null_count)
    try:
        rows = rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InvalidRows(f"collection {spec.name!r}: rows do not fit its fields: {error}") from error
    rows = rows.combine_chunks()
    keys = rows[spec.key].to_pylist()
    for field in spec.fields:
        _check_scalar(spec, field, rows[field.name].combine_chunks(), keys)
    if "" in keys:
        raise InvalidRows(f"collection {spec.name!r}: a row has an empty key in {spec.key!r}")
    _check_unit(spec, vector_matrix(rows[VECTOR], spec.dimension), keys)
    return rows


def _check_width(spec: CollectionSpec, column: pa.ChunkedArray) -> None:
    if not (pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type)):
        raise InvalidVectors(
            f"collection {spec.name!r}: expected lists of numbers in {VECTOR!r}, not {column.type}"
        )
    widths = pc.list_value_length(column)
    if column.null_count or any(chunk.flatten().null_count for chunk in column.chunks):
        raise InvalidVectors(
            f"collection {spec.name!r}: {VECTOR!r} holds nulls; leave rows without a vector out"
        )
    wrong = widths.filter(pc.not_equal(widths, spec.dimension))
    if len(wrong):
        raise InvalidVectors(
            f"collection {spec.name!r}: expected vectors of dimension {spec.dimension}, not {wrong[0].as_py()}"
        )


def _check_scalar(spec: CollectionSpec, field: ScalarField, column: pa.Array, keys: list[str]) -> None:
    where = f"collection {spec.name!r}, field {field.name!r}"
    elements = pc.list_flatten(column) if field.kind is FieldKind.TEXTS else column
    if column.null_count or elements.null_count:
        raise InvalidRows(
            f"{where}: holds nulls, which not every store can keep; use an empty text or list instead"
        )
    if field.kind is FieldKind.INT64:
        return
    if field.kind is FieldKind.TEXTS:
        _check_longest(where, "elements", pc.list_value_length(column), field.capacity, keys)
        owners = pc.list_parent_indices(column).to_pylist()
        keys = [keys[owner] for owner in owners]
    _check_longest(
        where, "bytes of UTF-8", pc.binary_length(elements.cast(pa.binary())), field.max_bytes, keys
    )


def _check_nulls(spec: CollectionSpec, field: ScalarField, nulls: int) -> None:
    if nulls:
        raise InvalidRows(
            f"collection {spec.name!r}, field {field.name!r}: holds {nulls} nulls, which not every store can keep; "
            "use an empty text or list instead"
        )


def _check_longest(where: str, unit: str, lengths: pa.Array, limit: int, keys: list[str]) -> None:
    over = np.flatnonzero(np.asarray(lengths) > limit)
    if len(over):
        first = int(over[0])
        raise InvalidRows(
            f"{where}: {lengths[first].as_py()} {unit} at key {keys[first]!r}, {limit} at most; cut it"
        )


def _check_unit(spec: CollectionSpec, vectors: np.ndarray, names: list[str]) -> None:
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    # The comparison is written so that NaN, which compares as false, counts as wrong.
    wrong = np.flatnonzero(~(np.abs(norms - 1.0) <= NORM_TOLERANCE))
    if len(wrong):
        first = int(wrong[0])
        raise InvalidVectors(
            f"collection {spec.name!r}: {len(wrong)} of {len(vectors)} vectors are not finite or not of length 1; "
            f"the first is at {names[first]!r} with length {norms[first]:.4g}. Normalise vectors before they are stored"
        )

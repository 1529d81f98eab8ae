"""Filters over scalar fields: what they mean, whether a collection can answer them, and how databases write them.

Belongs here: the filters and their forms as an Arrow mask, as a Milvus expression and as an OpenSearch query, side by
side so that they stay equal. Does not: running them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from booksearch_assets.vectorstores.errors import InvalidSearch

if TYPE_CHECKING:
    from booksearch_assets.vectorstores.columns import Columns
    from booksearch_assets.vectorstores.contract import CollectionSpec, FieldKind

_MAX_INT = 2**63 - 1

# The escapes that Milvus Lite and the server both know; other control characters stand for themselves.
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


@dataclass(frozen=True)
class Between:
    """An integer field from `low` to `high`, both included."""

    field: str
    low: int
    high: int


@dataclass(frozen=True)
class OneOf:
    """An integer or text field that equals one of `values`. No values match no row."""

    field: str
    values: tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True)
class Contains:
    """A list field that has `value` among its elements."""

    field: str
    value: str


@dataclass(frozen=True)
class All:
    """Every one of `filters`. No filters match every row."""

    filters: tuple[Filter, ...]


Filter: TypeAlias = Between | OneOf | Contains | All


def check_filter(filter: Filter, spec: CollectionSpec) -> None:
    """Raise `InvalidSearch` where `filter` names a field that `spec` lacks, or asks of it what its kind cannot answer."""
    match filter:
        case All(filters):
            for part in filters:
                check_filter(part, spec)
        case Between(field, low, high):
            _check_field(spec, field, "a range", ("int64",))
            _check_values(field, (low, high), int)
            if low > high:
                raise InvalidSearch(f"filter on {field!r}: the range {low} to {high} is reversed")
        case OneOf(field, values):
            kind = _check_field(spec, field, "equality", ("int64", "text"))
            _check_values(field, values, int if kind == "int64" else str)
        case Contains(field, value):
            _check_field(spec, field, "an element", ("texts",))
            _check_values(field, (value,), str)


def milvus_expression(filter: Filter | None) -> str:
    """The filter in Milvus's boolean language; "" matches every row. Templates would be safer, but Lite has none."""
    match filter:
        case None:
            return ""
        case Between(field, low, high):
            return f"({field} >= {low} and {field} <= {high})"
        case OneOf(field, values):
            return f"{field} in [{', '.join(map(_literal, values))}]"
        case Contains(field, value):
            return f"array_contains({field}, {_literal(value)})"
        case All(filters):
            return " and ".join(part for part in map(milvus_expression, filters) if part)


def opensearch_query(filter: Filter | None) -> dict[str, Any]:
    """The filter in OpenSearch's query language, for integers and keywords."""
    match filter:
        case None:
            return {"match_all": {}}
        case Between(field, low, high):
            return {"range": {field: {"gte": low, "lte": high}}}
        case OneOf(field, values):
            return {"terms": {field: list(values)}}
        case Contains(field, value):
            return {"term": {field: {"value": value}}}
        case All(filters):
            return {"bool": {"filter": [opensearch_query(part) for part in filters]}}


def row_mask(filter: Filter, columns: Columns) -> np.ndarray:
    """Which rows pass: (n,) bool."""
    match filter:
        case Between(field, low, high):
            values = columns.numbers(field)
            return (values >= low) & (values <= high)
        case OneOf(field, values):
            if not all(isinstance(value, str) for value in values):
                return np.isin(columns.numbers(field), values)
            return _marked(columns, *(columns.rows_with(field, str(value)) for value in values))
        case Contains(field, value):
            return _marked(columns, columns.rows_with(field, value))
        case All(filters):
            masks = [row_mask(part, columns) for part in filters]
            return np.logical_and.reduce(masks) if masks else np.ones(len(columns), dtype=bool)


def _marked(columns: Columns, *parts: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(columns), dtype=bool)
    for rows in parts:
        mask[rows] = True
    return mask


def _check_field(spec: CollectionSpec, name: str, asks: str, kinds: Sequence[str]) -> FieldKind:
    try:
        kind = spec.field(name).kind
    except KeyError:
        known = ", ".join(f.name for f in spec.fields)
        raise InvalidSearch(
            f"filter on {name!r}: collection {spec.name!r} has no such field; it has {known}"
        ) from None
    if kind not in kinds:
        raise InvalidSearch(
            f"filter on {name!r}: {asks} can be asked of a field of {' or '.join(kinds)}, not of {kind}"
        )
    return kind


def _check_values(field: str, values: Sequence[object], wanted: type) -> None:
    for value in values:
        if type(value) is not wanted:
            raise InvalidSearch(f"filter on {field!r}: expected {wanted.__name__}, not {value!r}")
        if isinstance(value, int) and abs(value) > _MAX_INT:
            raise InvalidSearch(f"filter on {field!r}: {value} does not fit in 64 bits")


def _literal(value: int | str) -> str:
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else str(value)

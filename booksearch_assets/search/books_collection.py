"""The collection of books: one entity for each edition, with its cover's vector.

Belongs here: its fields, and making its rows from the tables. Does not: loading them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.search.folding import folded
from booksearch_assets.search.query import BookFilters
from booksearch_assets.vectorstores.contract import VECTOR, CollectionSpec, FieldKind, ScalarField
from booksearch_assets.vectorstores.filters import All, Between, Contains, Filter

_MAX_SUBJECTS = 64
_MAX_AUTHORS = 32
_MAX_LANGUAGES = 16
_UNBOUNDED = 2**31 - 1

FIELDS = (
    ScalarField("edition_key", FieldKind.TEXT, max_bytes=32),
    ScalarField("cover_id", FieldKind.INT64),
    ScalarField("picture_id", FieldKind.INT64),
    ScalarField("work_key", FieldKind.TEXT, max_bytes=32),
    ScalarField("title", FieldKind.TEXT, max_bytes=1024),
    ScalarField("authors", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_AUTHORS),
    ScalarField("authors_folded", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_AUTHORS),
    ScalarField("publish_year", FieldKind.INT64),
    ScalarField("pages", FieldKind.INT64),
    ScalarField("subjects", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_SUBJECTS),
    ScalarField("subjects_folded", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_SUBJECTS),
    ScalarField("languages", FieldKind.TEXTS, max_bytes=16, capacity=_MAX_LANGUAGES),
    ScalarField("url", FieldKind.TEXT, max_bytes=2048),
)
"""`picture_id` is the cover id that stands for all covers of nearly the same picture (`search.near_duplicates`). The
folded lists (`search.folding`) are what is filtered by, since stores compare texts byte by byte."""

_FIELDS = {field.name: field for field in FIELDS}


def books_collection(name: str, dimension: int, properties: Mapping[str, str]) -> CollectionSpec:
    """The spec of one version of the collection; `properties` must have `bundle_id`, which searches compare."""
    return CollectionSpec(name, dimension, key="edition_key", fields=FIELDS, properties=dict(properties))


def book_rows(
    fiction: pa.Table, covers: pa.Table, vectors: pa.Table, twins: Mapping[int, int] | None = None
) -> pa.Table:
    """One row for each edition whose cover has a vector, with the columns of `books_collection`.

    `fiction` is FILTERED_FICTION, `covers` COVER_URLS and `vectors` `cover_vectors`; `twins` are the covers of which
    another has nearly the same picture, with the cover that stands for them. Stores keep no nulls, so a missing title
    or work becomes "". Texts that are too long are cut between characters, and of a list that is too long the first
    are kept.
    """
    twins = twins or {}
    shown = covers["edition_keys"].combine_chunks()
    cover_rows = pc.list_parent_indices(shown)
    edition_rows = pc.index_in(pc.list_flatten(shown), value_set=fiction["edition_key"].combine_chunks())
    vector_rows = pc.index_in(covers["cover_id"], value_set=vectors["cover_id"].combine_chunks()).take(
        cover_rows
    )
    kept = pc.and_(pc.is_valid(edition_rows), pc.is_valid(vector_rows))
    editions = fiction.take(edition_rows.filter(kept))
    shown_covers = covers.take(cover_rows.filter(kept))
    return pa.table(
        {
            "edition_key": editions["edition_key"],
            "cover_id": shown_covers["cover_id"],
            "picture_id": _stood_for(shown_covers["cover_id"], twins),
            "work_key": editions["work_key"].fill_null(""),
            "title": cut_text(editions["title"].fill_null(""), _FIELDS["title"].max_bytes),
            "authors": _texts(editions["authors"], "authors"),
            "authors_folded": _texts(editions["authors"], "authors_folded", folded),
            "publish_year": editions["publish_year"].cast(pa.int64()),
            "pages": editions["pages"].cast(pa.int64()),
            "subjects": _texts(editions["subjects"], "subjects"),
            "subjects_folded": _texts(editions["subjects"], "subjects_folded", folded),
            "languages": _texts(editions["languages"], "languages", str.lower),
            "url": shown_covers["url"],
            VECTOR: vectors[VECTOR].take(vector_rows.filter(kept)),
        }
    )


def cut_text(texts: pa.ChunkedArray | pa.Array, max_bytes: int) -> pa.ChunkedArray | pa.Array:
    """Texts of `max_bytes` of UTF-8 at most, cut between characters."""
    longest = pc.max(pc.binary_length(texts.cast(pa.binary()))).as_py() or 0
    if longest <= max_bytes:
        return texts
    return pa.array([_cut(text, max_bytes) for text in texts.to_pylist()], pa.string())


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")


def _stood_for(covers: pa.ChunkedArray, twins: Mapping[int, int]) -> pa.Array:
    return pa.array([twins.get(cover, cover) for cover in covers.to_pylist()], pa.int64())


def _texts(
    lists: pa.ChunkedArray, field: str, as_stored: Callable[[str], str] = lambda text: text
) -> pa.Array:
    """What `field` holds of each list: every text once, though two long ones may be equal once they are cut."""
    limit, capacity = _FIELDS[field].max_bytes, _FIELDS[field].capacity
    first = [
        list(dict.fromkeys(_cut(as_stored(text), limit) for text in texts))[:capacity]
        for texts in lists.to_pylist()
    ]
    return pa.array(first, pa.list_(pa.string()))


def filter_name(kind: str, value: str) -> str:
    """How the collection stores an "author", "subject" or "language", so that it can be filtered by."""
    if kind == "language":
        return _cut(value.strip().lower(), _FIELDS["languages"].max_bytes)
    return _cut(folded(value), _FIELDS[f"{kind}s_folded"].max_bytes)


def store_filter(filters: BookFilters) -> Filter | None:
    """The filters as a vector store understands them."""
    parts: list[Filter] = [
        Between(field, 0 if span.low is None else span.low, _UNBOUNDED if span.high is None else span.high)
        for field, span in (("publish_year", filters.years), ("pages", filters.pages))
        if span
    ]
    parts += [
        Contains(field, filter_name(kind, value))
        for kind, field, value in (
            ("author", "authors_folded", filters.author),
            ("subject", "subjects_folded", filters.subject),
            ("language", "languages", filters.language),
        )
        if value is not None
    ]
    return All(tuple(parts)) if parts else None

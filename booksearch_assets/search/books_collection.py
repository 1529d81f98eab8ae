"""The collection of books: one entity for each edition, with its cover's vector.

Belongs here: its fields, and making its rows from the tables. Does not: loading them.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.vectorstores.contract import VECTOR, CollectionSpec, FieldKind, ScalarField

_MAX_SUBJECTS = 64

FIELDS = (
    ScalarField("edition_key", FieldKind.TEXT, max_bytes=32),
    ScalarField("cover_id", FieldKind.INT64),
    ScalarField("work_key", FieldKind.TEXT, max_bytes=32),
    ScalarField("title", FieldKind.TEXT, max_bytes=1024),
    ScalarField("authors", FieldKind.TEXT, max_bytes=1024),
    ScalarField("publish_year", FieldKind.INT64),
    ScalarField("pages", FieldKind.INT64),
    ScalarField("subjects", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_SUBJECTS),
    ScalarField("url", FieldKind.TEXT, max_bytes=2048),
)
_LIMITS = {field.name: field.max_bytes for field in FIELDS}


def books_collection(name: str, dimension: int, properties: Mapping[str, str]) -> CollectionSpec:
    """The spec of one version of the collection; `properties` must have `bundle_id`, which searches compare."""
    return CollectionSpec(name, dimension, key="edition_key", fields=FIELDS, properties=dict(properties))


def book_rows(fiction: pa.Table, covers: pa.Table, vectors: pa.Table) -> pa.Table:
    """One row for each edition whose cover has a vector, with the columns of `books_collection`.

    `fiction` is FILTERED_FICTION, `covers` COVER_URLS and `vectors` `cover_vectors`. Stores keep no nulls, so a
    missing title or work becomes "". Titles, authors and subjects that are too long are cut between characters, and
    subjects beyond the first 64 are left out.
    """
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
            "work_key": editions["work_key"].fill_null(""),
            "title": cut_text(editions["title"].fill_null(""), _LIMITS["title"]),
            "authors": cut_text(_joined(editions["authors"]), _LIMITS["authors"]),
            "publish_year": editions["publish_year"].cast(pa.int64()),
            "pages": editions["pages"].cast(pa.int64()),
            "subjects": _first_subjects(editions["subjects"]),
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


def _joined(lists: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join(lists, ", ")


def _first_subjects(lists: pa.ChunkedArray) -> pa.Array:
    limit = _LIMITS["subjects"]
    # Two long subjects may be equal once they are cut.
    first = [
        list(dict.fromkeys(_cut(s, limit) for s in subjects))[:_MAX_SUBJECTS]
        for subjects in lists.to_pylist()
    ]
    return pa.array(first, pa.list_(pa.string()))

"""Columns of collections from columns of tables: texts and lists as long as their fields allow.

Belongs here: what the rows of every catalogue need. Does not: which columns a catalogue has (`books_collection`, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.vectorstores.contract import VECTOR, ScalarField


class Joined(NamedTuple):
    """Row by row: an item, the picture that it shows, and the picture's vector."""

    items: pa.Table
    images: pa.Table
    vectors: pa.ChunkedArray


def join_images(
    items: pa.Table, urls: pa.Table, vectors: pa.Table, key: str, image: str, shown_by: str
) -> Joined:
    """Each of `items` whose picture has a vector. `urls` has the keys of the items that show a picture in `shown_by`."""
    keys = urls[shown_by].combine_chunks()
    url_rows = pc.list_parent_indices(keys)
    item_rows = pc.index_in(pc.list_flatten(keys), value_set=items[key].combine_chunks())
    vector_rows = pc.index_in(urls[image], value_set=vectors[image].combine_chunks()).take(url_rows)
    kept = pc.and_(pc.is_valid(item_rows), pc.is_valid(vector_rows))
    return Joined(
        items.take(item_rows.filter(kept)),
        urls.take(url_rows.filter(kept)),
        vectors[VECTOR].take(vector_rows.filter(kept)),
    )


def cut(text: str, max_bytes: int) -> str:
    """`text`, of `max_bytes` of UTF-8 at most, cut between characters."""
    return text.encode()[:max_bytes].decode(errors="ignore")


def cut_text(texts: pa.ChunkedArray | pa.Array, max_bytes: int) -> pa.ChunkedArray | pa.Array:
    """Texts of `max_bytes` of UTF-8 at most, cut between characters."""
    longest = pc.max(pc.binary_length(texts.cast(pa.binary()))).as_py() or 0
    if longest <= max_bytes:
        return texts
    return pa.array([cut(text, max_bytes) for text in texts.to_pylist()], pa.string())


def cut_lists(
    lists: Iterable[Iterable[str]], field: ScalarField, as_stored: Callable[[str], str] = lambda text: text
) -> pa.Array:
    """What `field` holds of each list: every text once, though two long ones may be equal once they are cut; of a list
    that is too long the first."""
    first = [
        list(dict.fromkeys(cut(as_stored(text), field.max_bytes) for text in texts))[: field.capacity]
        for texts in lists
    ]
    return pa.array(first, pa.list_(pa.string()))


def standing_images(images: pa.ChunkedArray | pa.Array, twins: Mapping[Any, Any]) -> pa.Array:
    """For each image the one that stands for it: itself, unless `twins` (`near_duplicates`) has another."""
    return pa.array([twins.get(image, image) for image in images.to_pylist()], images.type)

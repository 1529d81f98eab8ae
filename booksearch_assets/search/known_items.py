"""Queries whose right answer is known, for measuring a collection.

Belongs here: choosing them. Does not: measuring (`search.quality`).
"""

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booksearch_assets.tables.books import KNOWN_ITEMS
from booksearch_assets.vectorstores.contract import VectorIndex


def known_items(index: VectorIndex, source: str = "", limit: int = 1000) -> pa.Table:
    """Queries about covers that `index` holds: at most `limit` of each kind, the same ones each time.

    Titles come from the collection itself. `source`, a Parquet file of KNOWN_ITEMS, adds queries such as true
    captions. Columns as KNOWN_ITEMS.
    """
    held = pa.Table.from_batches(list(index.scan(["cover_id", "title"])))
    first = held.group_by("cover_id", use_threads=False).aggregate([("title", "first")])
    titles = pa.table(
        {"cover_id": first["cover_id"], "query": first["title_first"], "kind": ["title"] * len(first)}
    )
    titles = titles.filter(pc.not_equal(pc.utf8_trim_whitespace(titles["query"]), ""))
    kinds = [titles.cast(KNOWN_ITEMS.schema)]
    if source:
        given = pq.read_table(source, schema=KNOWN_ITEMS.schema)
        given = given.filter(pc.is_in(given["cover_id"], held["cover_id"]))
        kinds += [
            given.filter(pc.equal(given["kind"], kind)) for kind in sorted(given["kind"].unique().to_pylist())
        ]
    return pa.concat_tables([_sample(rows, limit) for rows in kinds])


def _sample(rows: pa.Table, limit: int) -> pa.Table:
    rows = rows.sort_by("cover_id")
    chosen = sorted(random.Random(0).sample(range(len(rows)), min(limit, len(rows))))
    return rows.take(pa.array(chosen, pa.int64()))

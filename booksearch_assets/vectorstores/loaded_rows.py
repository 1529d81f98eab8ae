"""The rows that are loaded into a collection, kept beside it until it is sealed.

A snapshot of them costs a tenth of reading every vector back out of Milvus Lite, which answers row by row.

Belongs here: keeping and merging the rows of the loads. Does not: the snapshot (`snapshot`), the database.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booksearch_assets.vectorstores.contract import CollectionSpec

_UNFINISHED = ".unfinished"


class LoadedRows:
    """One Parquet file for each load, in order, in `folder`."""

    def __init__(self, folder: Path, spec: CollectionSpec) -> None:
        self._folder, self._spec = folder, spec

    @contextmanager
    def recording(self) -> Iterator[Callable[[pa.Table], None]]:
        """Keep the rows that the block is called back with; a block that fails leaves its load unfinished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{len(list(self._folder.iterdir())):06d}.parquet"
        unfinished = part.with_suffix(_UNFINISHED)
        with pq.ParquetWriter(unfinished, self._spec.schema, compression="lz4") as writer:
            yield writer.write_table
        unfinished.rename(part)

    def merged(self) -> pa.Table | None:
        """What the loads amount to, ordered by key: of a key that came again, the last row.

        None where a load failed or was killed, since nobody knows how much of it the database took.
        """
        parts = sorted(self._folder.glob("*")) if self._folder.is_dir() else []
        if not parts or any(part.suffix == _UNFINISHED for part in parts):
            return None
        rows = pa.concat_tables(pq.read_table(part, schema=self._spec.schema) for part in parts)
        keys = rows[self._spec.key].combine_chunks()
        if len(parts) > 1:
            places = pa.table({"key": keys, "place": pa.array(range(len(rows)), pa.int64())})
            last = places.group_by("key").aggregate([("place", "max")])
            rows = rows.take(last["place_max"])
            keys = rows[self._spec.key].combine_chunks()
        return rows.take(pc.sort_indices(keys))

    def discard(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

"""Append-only caches keyed by content: the covers cache and the vectors cache.

A shard is one Parquet file of finished rows, made visible in one step, so that a killed run loses at most the shard
it was filling, and the next run repeats only that. The newest row of a key wins.

Belongs here: appending, finding and reading cached rows. Does not: versions of tables (`tables.lake`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.lake import Lake, entries
from booksearch_assets.tables.parquet import shard_rows, writer_settings

_STAMP = "%Y%m%dT%H%M%S%f"


class ShardStore:
    """The rows of `table`, cached under `<lake>/_cache/<name>/`, in shards of whole rows.

    Many processes may append at once. `name` says what a row depends on ("covers", "vectors/<bundle id>").
    """

    def __init__(self, root: str, name: str, table: Table) -> None:
        self.root, self.name, self.table = root, name, table

    @cached_property
    def _lake(self) -> Lake:
        return Lake(self.root)

    @property
    def _key(self) -> str:
        return self.table.key[0]

    @property
    def _folder(self) -> str:
        return self._lake.location("_cache", self.name)

    def append(self, rows: pa.Table) -> str:
        """Add a shard. Returns its name.

        Raises ValueError for rows that break the table's contract, repeat a key, or are none, and `LakeError`
        where the lake cannot be written.
        """
        self._require_sound(rows)
        rows = rows.select(self.table.column_names).cast(self.table.schema)
        shard = f"{datetime.now(UTC):{_STAMP}}-{secrets.token_hex(4)}"
        filesystem = self._lake.filesystem
        # The dot keeps a half-written file out of every listing until it is renamed.
        place = f"{self._folder}/.{shard}.tmp" if self._lake.is_local else self._path(shard)
        with self._lake.writing():
            filesystem.create_dir(self._folder, recursive=True)
            pq.write_table(
                rows,
                place,
                filesystem=filesystem,
                row_group_size=shard_rows(rows.schema),
                **writer_settings(rows.schema, only_arrow=True),
            )
            if self._lake.is_local:
                filesystem.move(place, self._path(shard))
        return shard

    def _require_sound(self, rows: pa.Table) -> None:
        nulls = {name: rows[name].null_count for name in rows.column_names}
        problems = self.table.violations(rows.schema, nulls)
        if not problems and not rows.num_rows:
            problems = ["it is empty"]
        if not problems and len(rows[self._key].unique()) < len(rows):
            problems = [f"it holds the same {self._key} twice, and neither row is the newest"]
        if problems:
            raise ValueError(
                f"no shard for {self.name} in the lake at {self._lake.root}: {'; '.join(problems)}"
            )

    def shards(self) -> list[str]:
        """Names of the finished shards, oldest first."""
        infos = entries(self._lake.filesystem, self._folder)
        return sorted(i.base_name.removesuffix(".parquet") for i in infos if i.base_name.endswith(".parquet"))

    def keys_since(self, moment: datetime) -> pa.ChunkedArray:
        """The keys of the shards that were appended from a moment (UTC) on, by the clocks of those who did."""
        names = [shard for shard in self.shards() if shard >= f"{moment:{_STAMP}}"]
        keys = [self.read(shard, columns=[self._key])[self._key] for shard in names]
        chunks = [chunk for column in keys for chunk in column.chunks]
        return pa.chunked_array(chunks, self.table.schema.field(self._key).type)

    def index(self, columns: Sequence[str]) -> pa.Table:
        """The newest row of every key: the named columns, and `shard`, the name of the shard that holds it."""
        wanted = list(dict.fromkeys([self._key, *columns]))
        parts = []
        for shard in self.shards():
            part = pq.read_table(self._path(shard), columns=wanted, filesystem=self._lake.filesystem)
            parts.append(part.append_column("shard", pa.array([shard] * len(part), pa.string())))
        if not parts:
            fields = [self.table.schema.field(name) for name in wanted]
            return pa.schema([*fields, pa.field("shard", pa.string())]).empty_table()
        rows = pa.concat_tables(parts)
        rows = rows.append_column("_row", pa.array(range(len(rows)), pa.int64()))
        newest = rows.group_by(self._key).aggregate([("_row", "max")])["_row_max"]
        return rows.take(newest).drop_columns("_row")

    def read(
        self, shard: str, keys: pa.Array | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Rows of one shard, those of `keys` where given."""
        # It loads pandas, which definitions have no use for.
        import pyarrow.dataset as ds

        keep = None if keys is None else pc.field(self._key).isin(keys)
        dataset = ds.dataset(self._path(shard), format="parquet", filesystem=self._lake.filesystem)
        return dataset.to_table(columns=list(columns) if columns else None, filter=keep)

    def row(self, shard: str, number: int, columns: Sequence[str]) -> dict[str, Any]:
        """Row `number` of one shard, in the order of `read`. Reads the group of rows that it is in, and no more."""
        with pq.ParquetFile(self._path(shard), filesystem=self._lake.filesystem) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if number < rows:
                    [found] = file.read_row_group(group, list(columns)).slice(number, 1).to_pylist()
                    return dict(found)
                number -= rows
        raise IndexError(f"shard {shard} of {self.name} has no row so far down")

    def read_keys(self, index: pa.Table, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows that `index` (as returned by `index`, perhaps filtered) points at, a shard at a time."""
        for shard in sorted(set(index["shard"].to_pylist())):
            keys = index.filter(pc.equal(index["shard"], shard))[self._key].combine_chunks()
            yield self.read(shard, keys, columns)

    def _path(self, shard: str) -> str:
        return f"{self._folder}/{shard}.parquet"

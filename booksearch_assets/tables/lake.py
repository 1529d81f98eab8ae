"""The lake: a folder (or S3 prefix) of Parquet tables whose versions are committed by replacing one small object.

A writer fills a new version folder, which no reader can see, and then commits one record for each partition; a
reader resolves the record. A killed writer leaves an invisible folder behind, never half a table.

    <root>/<table>/versions/<version>/[year=2015/]...      what writers fill
    <root>/<table>/commits/<partition>/<version>.json      one immutable record for each commit, newest is current
    <root>/<table>/current/<partition>.json                a copy of the current record: the pointer

Belongs here: where versions lie, committing, resolving, pruning. Does not: what the rows mean (`tables.books`),
append-only caches (`tables.shards`), anything of Dagster (`resources.lake`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.counts import Counts

WHOLE = ""
_WHOLE_FILE = "_whole"


class LakeError(Exception):
    """The lake cannot be read or written; the message says where and what to do."""


class NotCommitted(LakeError):
    """A table or partition was read that no run has committed yet."""


@dataclass(frozen=True)
class Commit:
    """The record of one committed version of one partition (`partition` is "" for an unpartitioned table).

    `path` is the URI of the folder that holds its files; `inputs` maps "table/partition" to the version read;
    `facts` are JSON values that a later stage or the UI needs (dump date, bundle id, ...).
    """

    table: str
    partition: str
    version: str
    path: str
    rows: int
    size: int
    counts: Counts | None
    data_version: str
    inputs: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Commit:
        data = json.loads(text)
        data["counts"] = Counts.from_json(data["counts"]) if data["counts"] else None
        return cls(**data)


class Lake:
    """Tables under `root`: a local path, `file://` or `s3://` URI. Safe for several processes at once."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        try:
            self.filesystem, self._base = pafs.FileSystem.from_uri(_as_uri(self.root))
        except (pa.ArrowInvalid, OSError) as error:
            raise LakeError(f"the lake root {root!r} is neither a folder nor an s3:// URI ({error}); set BOOKSEARCH_LAKE") from error
        self._base = self._base.rstrip("/")

    def uri(self, *parts: str) -> str:
        """The URI of a place in the lake, in the form that Spark and Arrow both read."""
        path = "/".join((self._base, *parts))
        return f"file://{path}" if self.is_local else f"s3://{path}"

    @property
    def is_local(self) -> bool:
        return bool(self.filesystem.type_name == "local")

    def begin(self, table: str) -> PendingVersion:
        """A new version folder to fill. Nothing is visible to readers until `PendingVersion.commit`.

        Raises `LakeError` where the folder cannot be made.
        """
        version = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
        folder = f"{table}/versions/{version}"
        try:
            self.filesystem.create_dir(f"{self._base}/{folder}", recursive=True)
        except OSError as error:
            raise LakeError(
                f"cannot write to the lake at {self.root}: {error}. Expected a folder that this user may write; "
                "mend its permissions, or set BOOKSEARCH_LAKE to another place."
            ) from error
        return PendingVersion(self, table, version, self.uri(folder))

    def current(self, table: str, partition: str = WHOLE) -> Commit | None:
        """The committed version of a partition, or None."""
        return self._read_commit(f"{table}/current/{partition or _WHOLE_FILE}.json")

    def resolve(self, table: str, partition: str = WHOLE) -> Commit:
        """The committed version of a partition. Raises `NotCommitted` where there is none."""
        commit = self.current(table, partition)
        if commit is None:
            where = f"{table} of {partition}" if partition else table
            raise NotCommitted(f"{where} has not been materialised in the lake at {self.root}; materialise it first")
        return commit

    def partitions(self, table: str) -> list[str]:
        """The committed partitions, sorted; [""] for an unpartitioned table that is committed."""
        names = self._list(f"{table}/current", ".json")
        return sorted(WHOLE if name == _WHOLE_FILE else name for name in names)

    def history(self, table: str, partition: str = WHOLE) -> list[Commit]:
        """Every commit of a partition that has not been pruned, newest first."""
        folder = f"{table}/commits/{partition or _WHOLE_FILE}"
        names = sorted(self._list(folder, ".json"), reverse=True)
        commits = (self._read_commit(f"{folder}/{name}.json") for name in names)
        return [commit for commit in commits if commit]

    def dataset(self, commits: Iterable[Commit], schema: pa.Schema | None = None) -> ds.Dataset:
        """One Arrow dataset over the files of several commits (no columns are added from folder names)."""
        files = [path for commit in commits for path in self.files(commit)]
        if not files and schema is None:
            return ds.dataset(pa.table({}))
        return ds.dataset(files, schema=schema, filesystem=self.filesystem, format="parquet") if files else ds.dataset(schema.empty_table())

    def files(self, commit: Commit, suffix: str = ".parquet") -> list[str]:
        """The data files of a commit, as paths of `self.filesystem`, sorted."""
        selector = pafs.FileSelector(self._local(commit.path), recursive=True, allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return sorted(i.path for i in infos if i.is_file and i.path.endswith(suffix) and not i.base_name.startswith(("_", ".")))

    def read(self, table: Table, partition: str = WHOLE, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a committed partition."""
        dataset = self.dataset([self.resolve(table.name, partition)], table.schema)
        return dataset.to_table(columns=list(columns) if columns else None)

    def read_aside(self, uri: str, table: Table) -> pa.Table:
        """Rows that a stage wrote into a folder of its pending version, outside of every partition."""
        base = self._local(uri)
        infos = self.filesystem.get_file_info(pafs.FileSelector(base, allow_not_found=True))
        files = [i.path for i in infos if i.base_name.endswith(".parquet")]
        return ds.dataset(files, table.schema, filesystem=self.filesystem, format="parquet").to_table() if files else table.schema.empty_table()

    def prune(self, table: str, keep: int = 2) -> list[str]:
        """Drop versions that none of the last `keep` commits of any partition names. Returns what was dropped.

        Version folders younger than the newest commit are kept, since a writer may still fill them.
        """
        kept: set[str] = set()
        newest = ""
        for partition in self.partitions(table):
            history = self.history(table, partition)
            kept.update(commit.version for commit in history[:keep])
            newest = max([newest, *(commit.version for commit in history)])
            for commit in history[keep:]:
                self.filesystem.delete_file(f"{self._base}/{table}/commits/{partition or _WHOLE_FILE}/{commit.version}.json")
        folder = pafs.FileSelector(f"{self._base}/{table}/versions", allow_not_found=True)
        stale = [i.base_name for i in self.filesystem.get_file_info(folder) if i.base_name not in kept and i.base_name < newest]
        for version in stale:
            self.filesystem.delete_dir(f"{self._base}/{table}/versions/{version}")
        return sorted(stale)

    def _commit(self, commit: Commit) -> None:
        name = commit.partition or _WHOLE_FILE
        self.write_bytes(f"{commit.table}/commits/{name}/{commit.version}.json", commit.to_json().encode())
        self.write_bytes(f"{commit.table}/current/{name}.json", commit.to_json().encode())

    def write_bytes(self, path: str, content: bytes) -> None:
        """Replace a small object in one step: readers see the old one or the new one, never a part."""
        target = f"{self._base}/{path}"
        self.filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
        # An S3 put is atomic by itself, while a local write must be renamed into place.
        place = f"{target}.{secrets.token_hex(4)}.tmp" if self.is_local else target
        with self.filesystem.open_output_stream(place) as stream:
            stream.write(content)
        if place != target:
            self.filesystem.move(place, target)

    def read_bytes(self, path: str) -> bytes | None:
        """A small object that `write_bytes` wrote, or None."""
        try:
            with self.filesystem.open_input_stream(f"{self._base}/{path}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def _read_commit(self, path: str) -> Commit | None:
        content = self.read_bytes(path)
        try:
            return Commit.from_json(content) if content is not None else None
        except (ValueError, TypeError, KeyError) as error:
            raise LakeError(f"{self.uri(path)} is not a commit record ({error}); restore it from {path.split('/')[0]}/commits") from error

    def _list(self, folder: str, suffix: str) -> list[str]:
        infos = self.filesystem.get_file_info(pafs.FileSelector(f"{self._base}/{folder}", allow_not_found=True))
        return [i.base_name.removesuffix(suffix) for i in infos if i.is_file and i.base_name.endswith(suffix)]

    def _local(self, uri: str) -> str:
        return uri.removeprefix("file://").removeprefix("s3://")


@dataclass(frozen=True)
class PendingVersion:
    """A version folder that is being filled and that no reader sees yet."""

    lake: Lake
    table: str
    version: str
    path: str

    def partition_path(self, partition: str, **outcome: str) -> str:
        """The folder of one partition, in the layout that Spark's `partitionBy("year", ...)` writes."""
        parts = [self.path, *([f"year={partition}"] if partition else []), *(f"{k}={v}" for k, v in outcome.items())]
        return "/".join(parts)

    def write(self, rows: pa.Table | Iterator[pa.RecordBatch], schema: pa.Schema, partition: str = WHOLE, row_group: int = 16_384) -> int:
        """Write rows as one Parquet file of a partition. Returns the number of rows."""
        path = f"{self.lake._local(self.partition_path(partition))}/part-{secrets.token_hex(4)}.parquet"
        self.lake.filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
        batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
        written = 0
        with pq.ParquetWriter(path, schema, filesystem=self.lake.filesystem, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch, row_group_size=row_group)
                written += batch.num_rows
        return written

    def write_aside(self, name: str, rows: pa.Table) -> str:
        """Write rows beside the partitions, for a stage of this run to read. Returns the file's URI."""
        # Names that start with an underscore are part of no commit, here as in Spark.
        path = f"{self.path}/_{name}/{name}.parquet"
        self.lake.filesystem.create_dir(self.lake._local(path).rsplit("/", 1)[0], recursive=True)
        pq.write_table(rows, self.lake._local(path), filesystem=self.lake.filesystem)
        return path

    def commit(
        self,
        partition: str = WHOLE,
        *,
        path: str | None = None,
        rows: int | None = None,
        counts: Counts | None = None,
        data_version: str | None = None,
        inputs: dict[str, str] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> Commit:
        """Make one partition of this version the current one.

        Rows are read from its Parquet footers, unless `rows` says them (for files that are not Parquet).
        """
        pending = Commit(
            table=self.table,
            partition=partition,
            version=self.version,
            path=path or self.partition_path(partition),
            rows=0,
            size=0,
            counts=counts,
            data_version=data_version or self.version,
            inputs=inputs or {},
            facts=facts or {},
        )
        if rows is None:
            rows = sum(pq.read_metadata(f, filesystem=self.lake.filesystem).num_rows for f in self.lake.files(pending))
        size = sum(i.size for i in self.lake.filesystem.get_file_info(self.lake.files(pending, suffix="")))
        commit = Commit(**{**pending.__dict__, "rows": rows, "size": size})
        self.lake._commit(commit)
        return commit


def _as_uri(root: str) -> str:
    if "://" in root:
        return root
    from pathlib import Path

    return Path(root).absolute().as_uri()

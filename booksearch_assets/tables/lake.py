"""The lake: a folder (or S3 prefix) of Parquet tables whose versions are committed by replacing one small object.

A writer fills a new version folder, which no reader can see, and then commits one record for each partition; a
reader resolves the record. A killed writer leaves an invisible folder behind, never half a table.

    <root>/<table>/versions/<version>/[year=2015/]...      what writers fill; names sort by when they were begun
    <root>/<table>/commits/<partition>/<version>.json      one immutable record for each commit
    <root>/<table>/current/<partition>.json                a copy of the record that is current: the pointer

Records name their folder relative to the root, so a lake can be moved, or mounted somewhere else.

Belongs here: where versions lie, committing, resolving. Does not: dropping old versions (`tables.pruning`), what the
rows mean (`tables.books`), append-only caches (`tables.shards`), anything of Dagster (`resources.lake`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.fingerprint import rows_fingerprint
from booksearch_assets.tables.parquet import writer_settings

if TYPE_CHECKING:
    import pyarrow.dataset as ds

WHOLE = ""
PENDING_GRACE = timedelta(days=2)
"""How long a version that nothing has committed may still be in the hands of a writer."""

_WHOLE_FILE = "_whole"
_STAMP = "%Y%m%dT%H%M%S%f"
# What is one and the same name in a URI, in a folder name of Spark's `partitionBy`, and on every file system.
_PARTITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class LakeError(Exception):
    """The lake cannot be read or written; the message says where and what to do."""


class NotCommitted(LakeError):
    """A table or partition was read that no run has committed yet."""


class Lake:
    """Tables under `root`: a local path, `file://` or `s3://` URI. Safe for several processes at once."""

    def __init__(self, root: str) -> None:
        scheme, separator, _ = root.partition("://")
        try:
            if not separator and root:
                self.filesystem, base = pafs.LocalFileSystem(), str(Path(root).absolute())
            elif scheme in ("file", "s3"):
                self.filesystem, base = pafs.FileSystem.from_uri(root)
            else:
                raise ValueError("expected one of these")
            if scheme == "s3" and not base:
                raise ValueError("it names no bucket")
        except (ValueError, OSError) as error:
            raise LakeError(
                f"the lake root {root!r} is neither a folder nor a file:// or s3:// URI ({error}); set BOOKSEARCH_LAKE"
            ) from error
        self._base = base.rstrip("/")
        self.root = (self._base or "/") if self.is_local else root.rstrip("/")

    def uri(self, *parts: str) -> str:
        """A place in the lake, as an absolute path or an s3:// URI.

        Local places are bare paths, since Spark takes a file:// URI as it is written and Arrow decodes its escapes:
        no URI of a path with a space means the same to both.
        """
        return ("" if self.is_local else "s3://") + self.location(*parts)

    def location(self, *parts: str) -> str:
        """A place in the lake, as a path of `filesystem`."""
        return "/".join((self._base, *parts))

    @property
    def is_local(self) -> bool:
        return bool(self.filesystem.type_name == "local")

    def begin(self, table: str, version: str = "", partitioned_by: str = "year") -> PendingVersion:
        """A version folder to fill. Nothing is visible to readers until `PendingVersion.commit`.

        It is a new one, or, where its name is said (by `version_name`), the one that an earlier writer may have filled
        in part. Raises `LakeError` where the folder cannot be made.
        """
        version = version or version_name(datetime.now(UTC), secrets.token_hex(3))
        folder = f"{table}/versions/{version}"
        with self.writing():
            self.filesystem.create_dir(self.location(folder), recursive=True)
        return PendingVersion(self, table, version, self.uri(folder), partitioned_by)

    def current(self, table: str, partition: str = WHOLE) -> Commit | None:
        """The committed version of a partition, or None."""
        return self._read_commit(table, partition, f"{table}/current/{_file_name(partition)}.json")

    def has_committed(self, table: str, version: str, partitions: Iterable[str]) -> bool:
        """Whether one of these partitions of a version was ever committed: then its folder is not to be touched."""
        records = [f"{table}/commits/{_file_name(partition)}/{version}.json" for partition in partitions]
        found = self.filesystem.get_file_info([self.location(record) for record in records])
        return any(info.is_file for info in found)

    def resolve(self, table: str, partition: str = WHOLE) -> Commit:
        """The committed version of a partition. Raises `NotCommitted` where there is none."""
        commit = self.current(table, partition)
        if commit is None:
            where = f"{table} of {partition}" if partition else table
            raise NotCommitted(
                f"{where} has not been materialised in the lake at {self.root}; materialise it first"
            )
        return commit

    def partitions(self, table: str) -> list[str]:
        """The committed partitions, sorted; [""] for an unpartitioned table that is committed."""
        names = self._list(f"{table}/current", ".json")
        return sorted(WHOLE if name == _WHOLE_FILE else name for name in names)

    def history(self, table: str, partition: str = WHOLE) -> list[Commit]:
        """Every commit of a partition that has not been pruned, the version that was begun last first.

        That is not always the current one: a version that was begun earlier may have been committed later.
        """
        folder = f"{table}/commits/{_file_name(partition)}"
        names = sorted(self._list(folder, ".json"), reverse=True)
        commits = (self._read_commit(table, partition, f"{folder}/{name}.json") for name in names)
        return [commit for commit in commits if commit]

    def dataset(self, commits: Iterable[Commit], schema: pa.Schema | None = None) -> ds.Dataset:
        """One Arrow dataset over the files of several commits (no columns are added from folder names).

        Raises `LakeError` where the files of a commit are gone.
        """
        # It loads pandas, which definitions have no use for.
        import pyarrow.dataset as ds

        files = [path for commit in commits for path in self._present_files(commit)]
        if files:
            return ds.dataset(files, schema=schema, filesystem=self.filesystem, format="parquet")
        return ds.dataset(pa.table({}) if schema is None else schema.empty_table())

    def files(self, commit: Commit, suffix: str = ".parquet") -> list[str]:
        """The data files of a commit, as paths of `self.filesystem`, sorted.

        What lies in a folder, or has a name, that starts with an underscore or a dot is no data, here as in Spark.
        """
        base = self._local(commit.path)
        infos = self.filesystem.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True))
        paths = (info.path for info in infos if info.is_file and info.path.endswith(suffix))
        return sorted(
            p for p in paths if not any(name.startswith(("_", ".")) for name in p[len(base) + 1 :].split("/"))
        )

    def size(self, commit: Commit) -> int:
        """The bytes that the files of a commit have now: those that it records, unless something befell them."""
        return sum(info.size for info in self.filesystem.get_file_info(self.files(commit, suffix="")))

    def read(self, table: Table, partition: str = WHOLE, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a committed partition."""
        dataset = self.dataset([self.resolve(table.name, partition)], table.schema)
        return dataset.to_table(columns=list(columns) if columns else None)

    def read_aside(self, uri: str, table: Table) -> pa.Table:
        """Rows that a stage wrote into a folder of its pending version, outside of every partition."""
        base = self._local(uri)
        infos = self.filesystem.get_file_info(pafs.FileSelector(base, allow_not_found=True))
        files = [i.path for i in infos if i.base_name.endswith(".parquet")]
        if not files:
            return table.schema.empty_table()
        return pq.read_table(files, schema=table.schema, filesystem=self.filesystem)

    def tables(self) -> list[str]:
        """Every table that was ever committed, sorted. Caches, whose names start with an underscore, are none."""
        tables, folders = [], [""]
        while folders:
            folder = folders.pop()
            selector = pafs.FileSelector(self.location(folder), allow_not_found=True)
            names = [i.base_name for i in self.filesystem.get_file_info(selector) if not i.is_file]
            if "commits" in names:
                tables.append(folder)
            else:
                folders += [f"{folder}/{n}".lstrip("/") for n in names if not n.startswith("_")]
        return sorted(tables)

    def forget(self, commit: Commit) -> None:
        """Delete the record of a commit, which must not be the current one. Its files stay (`tables.pruning`)."""
        record = self.location(
            commit.table, "commits", _file_name(commit.partition), f"{commit.version}.json"
        )
        with suppress(FileNotFoundError):
            self.filesystem.delete_file(record)

    def write_bytes(self, path: str, content: bytes) -> None:
        """Replace a small object in one step: readers see the old one or the new one, never a part."""
        target = self.location(path)
        # An S3 put is atomic by itself, while a local write must be renamed into place.
        place = f"{target}.{secrets.token_hex(4)}.tmp" if self.is_local else target
        with self.writing():
            self.filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
            with self.filesystem.open_output_stream(place, compression=None) as stream:
                stream.write(content)
            if place != target:
                self.filesystem.move(place, target)

    def read_bytes(self, path: str) -> bytes | None:
        """A small object that `write_bytes` wrote, or None. Raises `LakeError` where it cannot be read."""
        try:
            with self.filesystem.open_input_stream(self.location(path), compression=None) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LakeError(
                f"cannot read {self.uri(path)}: {error}. Expected a lake at {self.root}; mend its permissions, "
                "or set BOOKSEARCH_LAKE to another place."
            ) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns what the file system says of a failed write into a `LakeError` that says what to do."""
        try:
            yield
        except OSError as error:
            raise LakeError(
                f"cannot write to the lake at {self.root}: {error}. Expected a folder that this user may write; "
                "mend its permissions, or set BOOKSEARCH_LAKE to another place."
            ) from error

    def _commit(self, commit: Commit) -> None:
        record = replace(commit, path=commit.path.removeprefix(self.uri("")))
        name = _file_name(commit.partition)
        for path in (f"commits/{name}/{commit.version}.json", f"current/{name}.json"):
            self.write_bytes(f"{commit.table}/{path}", record.to_json().encode())

    def _read_commit(self, table: str, partition: str, path: str) -> Commit | None:
        content = self.read_bytes(path)
        if content is None:
            return None
        try:
            record = Commit.from_json(content)
            return replace(record, path=self.uri(record.path))
        except (ValueError, TypeError, KeyError) as error:
            records = self.uri(table, "commits", _file_name(partition))
            raise LakeError(
                f"{self.uri(path)} is not a commit record ({type(error).__name__}: {error}). To restore it, copy the "
                f"newest sound record of {records} over it, or materialise {table} again."
            ) from error

    def _present_files(self, commit: Commit) -> list[str]:
        files = self.files(commit)
        if commit.rows and not files:
            raise LakeError(
                f"the {commit.rows} rows of {commit.table} {commit.partition} were in {commit.path}, which holds no "
                "files any more; materialise it again"
            )
        return files

    def _list(self, folder: str, suffix: str) -> list[str]:
        infos = entries(self.filesystem, self.location(folder))
        return [i.base_name.removesuffix(suffix) for i in infos if i.is_file and i.base_name.endswith(suffix)]

    def _local(self, uri: str) -> str:
        return uri.removeprefix("s3://")


@dataclass(frozen=True)
class PendingVersion:
    """A version folder that is being filled and that no reader sees yet."""

    lake: Lake
    table: str
    version: str
    path: str
    partitioned_by: str = "year"

    def partition_path(self, partition: str, **outcome: str) -> str:
        """The folder of one partition, in the layout that Spark's `partitionBy` writes.

        Raises `LakeError` for a partition that cannot be the name of a folder.
        """
        _file_name(partition)
        parts = [
            self.path,
            *([f"{self.partitioned_by}={partition}"] if partition else []),
            *(f"{k}={v}" for k, v in outcome.items()),
        ]
        return "/".join(parts)

    def write(
        self,
        rows: pa.Table | Iterator[pa.RecordBatch],
        schema: pa.Schema,
        partition: str = WHOLE,
        row_group: int = 16_384,
    ) -> int:
        """Write rows as one Parquet file of a partition. Returns the number of rows."""
        path = f"{self.lake._local(self.partition_path(partition))}/part-{secrets.token_hex(4)}.parquet"
        self.lake.filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
        batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
        written = 0
        with pq.ParquetWriter(
            path, schema, filesystem=self.lake.filesystem, **writer_settings(schema)
        ) as writer:
            for batch in batches:
                writer.write_batch(batch, row_group_size=row_group)
                written += batch.num_rows
        return written

    def write_aside(self, name: str, rows: pa.Table) -> tuple[str, int]:
        """Write rows beside the partitions, for a stage of this run to read. Returns the file's URI and its rows.

        Rows that an earlier writer of this version left there stay: its stage may be reading them.
        """
        # Names that start with an underscore are part of no commit, here as in Spark.
        path = f"{self.path}/_{name}/{name}.parquet"
        place = self.lake._local(path)
        if self.lake.filesystem.get_file_info(place).is_file:
            return path, pq.read_metadata(place, filesystem=self.lake.filesystem).num_rows
        buffer = pa.BufferOutputStream()
        pq.write_table(rows, buffer)
        self.lake.write_bytes(path.removeprefix(self.lake.uri("")), buffer.getvalue().to_pybytes())
        return path, len(rows)

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
        recipe: str = "",
        contract: Table | None = None,
    ) -> Commit:
        """Make one partition of this version the current one.

        Rows are read from its Parquet footers, unless `rows` says them (for files that are not Parquet). With the
        `contract` of the rows, the data version is their fingerprint.
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
            recipe=recipe,
        )
        if rows is None:
            rows = sum(
                pq.read_metadata(f, filesystem=self.lake.filesystem).num_rows
                for f in self.lake.files(pending)
            )
        commit = replace(pending, rows=rows, size=self.lake.size(pending))
        if contract:
            content = self.lake.dataset([commit], contract.schema).to_table(columns=contract.content_names)
            commit = replace(commit, data_version=rows_fingerprint(content, contract))
        self.lake._commit(commit)
        return commit


def entries(filesystem: pafs.FileSystem, folder: str) -> list[pafs.FileInfo]:
    """What is in a folder, nothing where it is not there."""
    selector = pafs.FileSelector(folder, allow_not_found=True)
    try:
        return filesystem.get_file_info(selector)
    except FileNotFoundError:
        # Arrow says so of a folder that was not there when it was opened, and is by now.
        return filesystem.get_file_info(selector)


def version_name(begun: datetime, token: str) -> str:
    """The name of a version that was begun at a moment (UTC); `token` tells it from others of that moment."""
    return f"{begun:{_STAMP}}-{token}"


def begun_at(version: str) -> datetime | None:
    """When a version was begun; None for a name that no writer gave."""
    try:
        return datetime.strptime(version.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _file_name(partition: str) -> str:
    """What the records of a partition are called. Raises `LakeError` for a name that could mean another place."""
    if partition and not _PARTITION.fullmatch(partition):
        raise LakeError(
            f"{partition!r} cannot be a partition; expected letters, digits, dots, dashes and underscores, "
            "of which a letter or digit comes first"
        )
    return partition or _WHOLE_FILE

"""Landings that were killed: which of them a new run goes on with, and which nobody needs any more.

A landing fills a version folder of the lake, which is committed once every kind of dump file has proved sound. What it
is cut from is written beside its chunks, so that a folder that nothing has committed can be told from others. One run
at a time may land a kind of dump file; Dagster's pool sees to that.

Belongs here: finding, beginning and dropping such folders. Does not: cutting (`compute.landing`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pyarrow.fs as pafs

from booksearch_assets.compute.landing import MANIFEST, Landed, verify_chunks
from booksearch_assets.tables.lake import PENDING_GRACE, Lake, PendingVersion

ORIGIN = "_origin.json"


@dataclass(frozen=True)
class Origin:
    """What a folder of chunks is cut from: the dump file's date and ETag, the checksum of its bytes, and the cut."""

    date: str
    etag: str | None
    sha256: str
    chunk_bytes: int


@dataclass(frozen=True)
class _Unfinished:
    pending: PendingVersion
    origin: Origin
    begun: datetime


def find_whole(
    lake: Lake, table: str, date: str, etag: str | None, chunk_bytes: int = 0
) -> tuple[PendingVersion, Landed] | None:
    """The landing of a dump file that has every chunk, each with its checksum, and was only not committed.

    `chunk_bytes` 0 takes chunks of any size.
    """
    for left in _unfinished(lake, table):
        origin = left.origin
        same = etag and (origin.date, origin.etag) == (date, etag) and chunk_bytes in (0, origin.chunk_bytes)
        if (
            same
            and _continuable(left)
            and _is_whole(lake, left.pending)
            and not verify_chunks(left.pending.path)
        ):
            chunks = Landed.read(left.pending.path).chunks
            return left.pending, Landed(chunks, kept=len(chunks))
    return None


def begin_landing(lake: Lake, table: str, origin: Origin) -> PendingVersion:
    """The folder that a killed landing of the same bytes, cut the same way, was filling; or else a new one."""
    for left in _unfinished(lake, table):
        if left.origin == origin and _continuable(left):
            return left.pending
    pending = lake.begin(table)
    lake.write_bytes(f"{_folder(pending)}/{ORIGIN}", json.dumps(asdict(origin)).encode())
    return pending


def drop_landing(pending: PendingVersion) -> None:
    """Delete a landing that has proved to be of no use."""
    pending.lake.filesystem.delete_dir(pending.lake.location(_folder(pending)))


def drop_abandoned(lake: Lake, table: str) -> None:
    """Delete the landings that nothing has committed and that are too old to be in the hands of a writer."""
    for left in _unfinished(lake, table):
        if datetime.now(UTC) - left.begun > PENDING_GRACE:
            drop_landing(left.pending)


def _unfinished(lake: Lake, table: str) -> Iterator[_Unfinished]:
    """The landings that nothing has committed, the last one first."""
    committed = {commit.version for commit in lake.history(table)}
    if current := lake.current(table):
        committed.add(current.version)
    versions = pafs.FileSelector(lake.location(table, "versions"), allow_not_found=True)
    names = {info.base_name for info in lake.filesystem.get_file_info(versions)} - committed
    for version in sorted(names, reverse=True):
        pending = PendingVersion(lake, table, version, lake.uri(table, "versions", version))
        place = f"{_folder(pending)}/{ORIGIN}"
        if content := lake.read_bytes(place):
            begun = lake.filesystem.get_file_info(lake.location(place)).mtime
            yield _Unfinished(pending, Origin(**json.loads(content)), begun)


def _continuable(left: _Unfinished) -> bool:
    """Whether there is time to finish before it counts as abandoned."""
    return bool(datetime.now(UTC) - left.begun < PENDING_GRACE / 2)


def _is_whole(lake: Lake, pending: PendingVersion) -> bool:
    manifest = lake.location(_folder(pending), MANIFEST)
    return bool(lake.filesystem.get_file_info(manifest).type == pafs.FileType.File)


def _folder(pending: PendingVersion) -> str:
    return f"{pending.table}/versions/{pending.version}"

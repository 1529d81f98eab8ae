"""Landing a dump: resolve, download with resume, cut into chunks, commit; from the newest dump that is sound.

A run that was killed loses the chunk in hand: the next one takes what was downloaded, files that have landed and only
were not committed, and the whole chunks of the file in hand, each by its checksum.

Belongs here: the order of these steps and the fall-back to the dump before. Does not: each step (`openlibrary.dump_site`,
`compute.download`, `compute.landing`, `compute.unfinished_landings`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from booksearch_assets.compute.download import discard, download
from booksearch_assets.compute.landing import BadDump, Landed, chunk_size_for, land
from booksearch_assets.compute.unfinished_landings import (
    Origin,
    begin_landing,
    drop_abandoned,
    drop_landing,
    find_whole,
)
from booksearch_assets.openlibrary.dump_site import LATEST, DumpFile, DumpKind, DumpSite, NoSoundDump
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake, PendingVersion

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class LandedFile:
    """One committed dump file. `reused` means that the lake held this very file already.

    `kept_chunks` of its chunks had been cut by a run that was killed, `cut_chunks` were cut now.
    """

    kind: str
    commit: Commit
    warnings: tuple[str, ...]
    seconds: float
    reused: bool
    kept_chunks: int
    cut_chunks: int


def land_dump(
    site: DumpSite,
    lake: Lake,
    kinds: Sequence[str],
    when: str,
    again: bool,
    downloads: Path,
    progress: Progress,
    chunk_bytes: int = 0,
) -> Iterator[LandedFile]:
    """Land the dump files of `kinds` and commit each as `books/raw_dump/<kind>`, whose data version is the dump date.

    `when` is "latest" or a date. A latest dump that proves damaged is passed over for the one before it, for all
    kinds together and with a warning; a dump of a named date is not. Chunks hold `chunk_bytes` of text each; 0 plans
    them from the size of the file and the cores of this machine. Raises `BadDump`, `DownloadError`,
    `DumpSiteError`, `LakeError`.
    """
    damaged: dict[str, BadDump] = {}
    while True:
        try:
            files = site.resolve_together(kinds, when, excluding=damaged)
        except NoSoundDump as error:
            if not damaged:
                raise
            first = next(iter(damaged.values()))
            raise BadDump(
                first.reason, f"{first}; and there is no older one to take instead: {error}"
            ) from first
        try:
            landings = [
                _land_one(file, lake, again, downloads, progress, chunk_bytes) for file in files.values()
            ]
        except BadDump as error:
            date = next(iter(files.values())).date
            if when != LATEST or date in damaged:
                raise
            damaged[date] = error
            continue
        passed_over = [f"the dump of {date} was passed over: {error}" for date, error in damaged.items()]
        for landing in landings:
            yield LandedFile(
                landing.kind,
                landing.commit(),
                (*passed_over, *landing.warnings),
                landing.seconds,
                landing.reused,
                landing.kept_chunks,
                landing.cut_chunks,
            )
        return


@dataclass(frozen=True)
class _Landing:
    """A landed file; `commit` commits it, once every kind has proved sound."""

    kind: str
    commit: Callable[[], Commit]
    warnings: tuple[str, ...]
    seconds: float = 0.0
    reused: bool = False
    kept_chunks: int = 0
    cut_chunks: int = 0


def _land_one(
    file: DumpFile, lake: Lake, again: bool, downloads: Path, progress: Progress, chunk_bytes: int
) -> _Landing:
    kind, table = file.kind.value, f"books/raw_dump/{file.kind.value}"
    started = time.monotonic()
    held = lake.current(table)
    same = held and file.etag and (held.data_version, held.facts["etag"]) == (file.date, file.etag)
    if held and same and not again:
        return _Landing(kind, lambda: held, file.warnings, reused=True)
    drop_abandoned(lake, table)
    pending, landed = find_whole(lake, table, file.date, file.etag, chunk_bytes) or _cut(
        file, lake, table, downloads, progress, chunk_bytes
    )
    # What an older run downloaded of this kind is of no use any more either. A file without a record is not ours.
    for record in downloads.glob(f"ol_dump_{kind}_*.txt.gz.json"):
        discard(record.with_suffix(""))
    facts = {
        "dump_date": file.date,
        "url": file.url,
        "etag": file.etag,
        "raw_bytes": landed.raw_bytes,
        "chunks": [asdict(c) for c in landed.chunks],
    }
    return _Landing(
        kind,
        lambda: pending.commit(rows=landed.lines, data_version=file.date, facts=facts),
        file.warnings,
        time.monotonic() - started,
        kept_chunks=landed.kept,
        cut_chunks=len(landed.chunks) - landed.kept,
    )


def _cut(
    file: DumpFile, lake: Lake, table: str, downloads: Path, progress: Progress, chunk_bytes: int
) -> tuple[PendingVersion, Landed]:
    """Download a file and cut it into chunks. Of a bad one nothing is kept, or the next run would take it again."""
    kind, path = file.kind.value, downloads / file.url.rsplit("/", 1)[-1]
    downloads.mkdir(parents=True, exist_ok=True)
    received = download(
        file.url,
        path,
        file.size,
        file.etag,
        on_progress=lambda p: progress(f"{kind}: bytes downloaded", p.received, p.total),
    )
    size = chunk_bytes or chunk_size_for(received.size, os.cpu_count() or 1)
    pending = begin_landing(lake, table, Origin(file.date, file.etag, received.sha256, size))
    try:
        landed = land(
            path,
            pending.path,
            expects=DumpKind(kind).problem,
            chunk_bytes=size,
            on_progress=lambda p: progress(f"{kind}: bytes landed", p.gz_read, p.gz_total),
        )
    except BadDump:
        discard(path)
        drop_landing(pending)
        raise
    return pending, landed

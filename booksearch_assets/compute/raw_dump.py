"""Landing a dump: resolve, download with resume, cut into chunks, commit; from the newest dump that is sound.

Belongs here: the order of these steps and the fall-back to the dump before. Does not: each step (`openlibrary.dump_site`,
`compute.download`, `compute.landing`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from booksearch_assets.compute.download import download
from booksearch_assets.compute.landing import BadDump, chunk_size_for, land
from booksearch_assets.openlibrary.dump_site import LATEST, DumpFile, DumpKind, DumpSite, NoSoundDump
from booksearch_assets.tables.lake import Commit, Lake

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class LandedFile:
    """One committed dump file. `reused` means that the lake held this very file already."""

    kind: str
    commit: Commit
    warnings: tuple[str, ...]
    seconds: float
    reused: bool


def land_dump(
    site: DumpSite,
    lake: Lake,
    kinds: Sequence[str],
    when: str,
    again: bool,
    downloads: Path,
    progress: Progress,
) -> Iterator[LandedFile]:
    """Land the dump files of `kinds` and commit each as `books/raw_dump/<kind>`, whose data version is the dump date.

    `when` is "latest" or a date. A latest dump that proves damaged is passed over for the one before it, for all
    kinds together and with a warning; a dump of a named date is not. Raises `BadDump`, `DownloadError`,
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
            pending = [_land_one(file, lake, again, downloads, progress) for file in files.values()]
        except BadDump as error:
            date = next(iter(files.values())).date
            if when != LATEST or date in damaged:
                raise
            damaged[date] = error
            continue
        passed_over = [f"the dump of {date} was passed over: {error}" for date, error in damaged.items()]
        for landed, commit in pending:
            yield LandedFile(
                landed.kind, commit(), (*passed_over, *landed.warnings), landed.seconds, landed.reused
            )
        return


@dataclass(frozen=True)
class _Landing:
    kind: str
    warnings: tuple[str, ...]
    seconds: float
    reused: bool


def _land_one(
    file: DumpFile, lake: Lake, again: bool, downloads: Path, progress: Progress
) -> tuple[_Landing, Callable[[], Commit]]:
    """Land one file; the returned call commits it, once every kind has proved sound."""
    kind, table = file.kind.value, f"books/raw_dump/{file.kind.value}"
    started = time.monotonic()
    held = lake.current(table)
    same = held and file.etag and (held.data_version, held.facts["etag"]) == (file.date, file.etag)
    if held and same and not again:
        return _Landing(kind, file.warnings, 0.0, True), lambda: held
    path = downloads / file.url.rsplit("/", 1)[-1]
    downloads.mkdir(parents=True, exist_ok=True)
    received = download(
        file.url,
        path,
        file.size,
        file.etag,
        on_progress=lambda p: progress(f"{kind}: bytes downloaded", p.received, p.total),
    )
    pending = lake.begin(table)
    landed = land(
        path,
        pending.path,
        expects=DumpKind(kind).problem,
        chunk_bytes=chunk_size_for(received.size, os.cpu_count() or 1),
        on_progress=lambda p: progress(f"{kind}: bytes landed", p.gz_read, p.gz_total),
    )
    path.unlink()
    facts = {
        "dump_date": file.date,
        "url": file.url,
        "etag": file.etag,
        "raw_bytes": landed.raw_bytes,
        "chunks": [asdict(c) for c in landed.chunks],
    }
    landing = _Landing(kind, file.warnings, time.monotonic() - started, False)
    return landing, lambda: pending.commit(rows=landed.lines, data_version=file.date, facts=facts)

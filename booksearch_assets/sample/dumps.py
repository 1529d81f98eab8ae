"""Dump files of the sample world, in Open Library's format: tab-separated lines in one gzip member.

Belongs here: lines, broken lines, the files and their counts, and the queries whose right answer is known.
Does not: the records (`records`), the facts (`world`). Files are streamed; their bytes depend on the world alone.

Format (openlibrary/data/dump.py): type, key, revision, last_modified, ASCII-only JSON; no header, no quoting.
covers_metadata: id, width, height, date of upload.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.records import (
    Record,
    author_record,
    edition_record,
    older_edition_record,
    redirect_record,
    work_record,
)
from booksearch_assets.sample.scenes import scene_of
from booksearch_assets.sample.world import COVERS_PER_EDITION, FIRST_COVER, CoverState, WorkState, World

# Level 6, as gzip's own default, takes twice the time for a tenth fewer bytes.
_GZIP_LEVEL = 3
_RUNS_AHEAD = 16
_KNOWN_ITEMS_PER_BATCH = 50_000


class DumpFile(Enum):
    """The four files of a dump that the sample world writes, in order of size."""

    EDITIONS = "editions"
    WORKS = "works"
    AUTHORS = "authors"
    COVERS_METADATA = "covers_metadata"

    def name_of(self, date: str) -> str:
        return f"ol_dump_{self.value}_{date}.txt.gz"


class LineKind(Enum):
    """What a line is. The last four are broken, and come in addition to the records they were made from."""

    RECORD = "a record, the only or the newest one of its key"
    OLDER_REVISION = "an older revision of a key that the file holds as well"
    REDIRECT = "a redirect"
    NOT_JSON = "five fields, the last one not JSON"
    TOO_FEW_FIELDS = "fewer than five fields"
    CUT_OFF = "ends in the middle of its JSON"
    WRONG_TYPE = "a whole record of a type that does not belong in the file"


BROKEN = (LineKind.NOT_JSON, LineKind.TOO_FEW_FIELDS, LineKind.CUT_OFF, LineKind.WRONG_TYPE)
_BROKEN_SHARE = 0.0008
_OLDER_SHARE = 0.003
T = TypeVar("T")
Lines = Iterator[tuple[LineKind, str]]
# Called with the file, the editions (or authors) done so far and how many there are in all.
Progress = Callable[[DumpFile, int, int], None]


@dataclass(frozen=True)
class DumpFiles:
    """The files of one dump and how many lines of each kind they hold."""

    folder: Path
    date: str
    counts: Mapping[DumpFile, Mapping[LineKind, int]]

    def path(self, file: DumpFile) -> Path:
        return self.folder / file.name_of(self.date)


def write_dump(
    world: World, folder: Path, date: str | None = None, progress: Progress | None = None, workers: int = 1
) -> DumpFiles:
    """Write the four files of `world`'s dump of `date` (default: the release's own date) into `folder`.

    A file appears under its name only when it is whole. With `workers` above 1, as many processes make the
    lines, and the calling script needs its `__main__` guard; the bytes are the same.
    """
    date = date or world.date
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, get_context("spawn")) if workers > 1 else nullcontext() as pool:
        counts = {file: _write(world, file, folder, date, progress, pool) for file in DumpFile}
    return DumpFiles(folder, date, counts)


def _write(
    world: World,
    file: DumpFile,
    folder: Path,
    date: str,
    progress: Progress | None,
    pool: ProcessPoolExecutor | None,
) -> Mapping[LineKind, int]:
    path = folder / file.name_of(date)
    total = world.author_count if file is DumpFile.AUTHORS else world.size
    counts: Counter[LineKind] = Counter()
    done = 0
    with (
        replacing(path) as unfinished,
        unfinished.open("wb") as raw,
        # No file name and no time in the header: the same world gives the same bytes.
        gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as out,
    ):
        for size, text, kinds in _in_order(pool, partial(_run_of_lines, world, file), world.runs(total)):
            out.write(text)
            counts.update(kinds)
            done += size
            if progress:
                progress(file, done, total)
    # The time of the dump, not of the writing: servers make their ETag from it.
    midnight = datetime.fromisoformat(f"{date}T00:00:00+00:00").timestamp()
    os.utime(path, (midnight, midnight))
    return dict(counts)


def _run_of_lines(world: World, file: DumpFile, numbers: range) -> tuple[int, bytes, Counter[LineKind]]:
    lines = [line for number in numbers for line in _LINES[file](world, number)]
    return (
        len(numbers),
        "".join(text for _, text in lines).encode("ascii"),
        Counter(kind for kind, _ in lines),
    )


def _in_order(
    pool: ProcessPoolExecutor | None, make: Callable[[range], T], runs: Iterable[range]
) -> Iterator[T]:
    """The results of `make` in the order of `runs`; a pool works a few runs ahead, which bounds memory."""
    if pool is None:
        yield from map(make, runs)
        return
    waiting: deque[Future[T]] = deque()
    for run in runs:
        waiting.append(pool.submit(make, run))
        if len(waiting) > _RUNS_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, moved to `path` when the block ends well and removed when it does not."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def claim(path: Path, identity: Mapping[str, object]) -> None:
    """Say in `path` which sample world its folder holds. Raises ValueError where it holds another one already."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps(identity, indent=1))
    found = json.loads(path.read_text())
    if found != identity:
        raise ValueError(
            f"{path.parent} holds another sample world: expected {identity}, found {found}; "
            "choose another folder, or delete this one"
        )


def _edition_lines(world: World, index: int) -> Lines:
    # An older revision stands in another bucket than the newest, as likely before it as after it.
    if index and _has_older(world, index - 1) and world.exists(index - 1):
        yield LineKind.OLDER_REVISION, _line(older_edition_record(world, world.edition(index - 1)))
    if world.exists(index):
        line = _line(edition_record(world, world.edition(index)))
        yield LineKind.RECORD, line
        yield from _broken(world, DumpFile.EDITIONS, index, line)


def _has_older(world: World, index: int) -> bool:
    return index == 500 or Draws("older", world.seed, index).chance(_OLDER_SHARE)


def _work_lines(world: World, index: int) -> Lines:
    if not world.is_first_of_work(index):
        return
    work = world.work(index)
    if work.state is WorkState.MISSING:
        return
    line = _line(work_record(world, work))
    yield LineKind.RECORD, line
    if work.state is WorkState.REDIRECT:
        yield LineKind.REDIRECT, _line(redirect_record(world, work))
    yield from _broken(world, DumpFile.WORKS, index, line)


def _author_lines(world: World, author: int) -> Lines:
    line = _line(author_record(world, author))
    yield LineKind.RECORD, line
    yield from _broken(world, DumpFile.AUTHORS, author, line)


def _cover_lines(world: World, index: int) -> Lines:
    """What covers_metadata lists: every cover ever made for the edition that a record could name."""
    if not world.exists(index):
        return
    first = FIRST_COVER + COVERS_PER_EDITION * index
    for cover_id in sorted({c for c in world.covers(index) or () if c and c >= first} | {first}):
        if world.cover_state(cover_id) is not CoverState.MISSING:
            width, height = world.cover_size(cover_id)
            yield (
                LineKind.RECORD,
                f"{cover_id}\t{width}\t{height}\t{2008 + cover_id % 17}-{1 + cover_id % 12:02}-14\n",
            )


_LINES: Mapping[DumpFile, Callable[[World, int], Lines]] = {
    DumpFile.EDITIONS: _edition_lines,
    DumpFile.WORKS: _work_lines,
    DumpFile.AUTHORS: _author_lines,
    DumpFile.COVERS_METADATA: _cover_lines,
}


def _line(record: Record) -> str:
    fields = (record["type"]["key"], record["key"], str(record["revision"]), record["last_modified"]["value"])
    return "\t".join((*fields, json.dumps(record))) + "\n"


def _broken(world: World, file: DumpFile, index: int, line: str) -> Lines:
    """The broken lines after the record of `index`, made from its line. Release 0 has each kind below 400."""
    draws = Draws("broken", world.seed, file.value, index)
    if index % 100 == 7 and index < 400:
        kind = BROKEN[index // 100]
    elif draws.chance(_BROKEN_SHARE):
        kind = draws.choice(BROKEN)
    else:
        return
    fields = line.rstrip("\n").split("\t")
    if kind is LineKind.NOT_JSON:
        fields[4] = draws.choice(("<html><body>502 Bad Gateway</body></html>", "{'title': None}", "NULL"))
        yield kind, "\t".join(fields) + "\n"
    elif kind is LineKind.TOO_FEW_FIELDS:
        yield kind, "\t".join(fields[: draws.between(1, 4)]) + "\n"
    elif kind is LineKind.CUT_OFF:
        yield kind, line[: len(line) - draws.between(2, len(fields[4]) - 1)].rstrip("\t\n") + "\n"
    else:
        key = f"/type/{draws.choice(('delete', 'page', 'list'))}"
        yield kind, line.replace(fields[0], key)


def write_known_items(world: World, path: Path) -> int:
    """Write the true caption of every wanted cover that the service can show, as Parquet; how many there are.

    Columns: cover_id int64, query string, kind string ("caption"). One row for each cover, in order of edition.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("cover_id", pa.int64()), ("query", pa.string()), ("kind", pa.string())])
    written = 0
    with replacing(path) as unfinished, pq.ParquetWriter(unfinished, schema) as writer:
        for cover_ids in _batches(_wanted_covers(world), _KNOWN_ITEMS_PER_BATCH):
            captions = [scene_of(cover_id, world.seed).caption for cover_id in cover_ids]
            kinds = ["caption"] * len(cover_ids)
            writer.write_batch(pa.record_batch([cover_ids, captions, kinds], schema=schema))
            written += len(cover_ids)
    return written


def _wanted_covers(world: World) -> Iterator[int]:
    last = 0
    for index in range(world.size):
        edition = world.edition(index) if world.exists(index) else None
        cover_id = edition.cover_id if edition and edition.wanted else None
        # Editions that show one cover are neighbours, and covers are numbered in the order of editions.
        if cover_id and cover_id > last and world.cover_state(cover_id) is CoverState.OK:
            last = cover_id
            yield cover_id


def _batches(items: Iterator[int], size: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch

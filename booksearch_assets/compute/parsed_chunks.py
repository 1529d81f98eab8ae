"""Parsed chunks: the lines of landed chunks as Parquet, one file a chunk, kept until the table made of them is committed.

Parsing is most of what a rebuild of the editions costs. A task writes the file of its chunk whole or not at all, so a
killed run loses the chunks in hand, and the next one parses those that are missing. The folder is named by all that
its rows depend on: which chunks, the years that rows are sorted by, and the code that parses.

The rows of a file are sorted by the folder of the table that they are for, a row group for each, and its footer counts
them: who makes that folder reads his row groups of every file, and nobody has to move rows to him.

Belongs here: parsing in Spark tasks, what is parsed already, dropping what nobody needs. Does not: lines and fields
(`openlibrary`), what is made of them (`compute.editions`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from booksearch_assets.compute.arrow_files import filesystem_of, open_parquet, whole_parquet
from booksearch_assets.compute.spark_tasks import run_tasks
from booksearch_assets.openlibrary.chunks import PARSINGS, DamagedChunk, Source, parse_chunk
from booksearch_assets.openlibrary.rules import rules_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OTHER_YEARS = "other"
REJECTS = "rejects"
_YEAR = "publish_year"
_SUMMARY = "booksearch"
# For one reader, who wants whole row groups of some thousand rows: dictionaries and statistics cost half of the write.
_INTERIM: dict[str, Any] = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
_DIGITS = 16


@dataclass(frozen=True)
class ParsedChunk:
    """What the file of one chunk holds: a row group for each of `groups`, which says how many rows, in that order.

    Editions are grouped by year, as text, and all those of no year asked for under OTHER_YEARS, where those of works and
    authors are too; REJECTS are a group of their own, with `reasons`. `redirects` are counted among the others.
    """

    name: str
    file: str
    groups: dict[str, int]
    reasons: dict[str, int]
    redirects: int

    @property
    def lines(self) -> int:
        return sum(self.groups.values())

    @property
    def rejects(self) -> int:
        return self.groups.get(REJECTS, 0)


@dataclass(frozen=True)
class ParsedChunks:
    """The folder of Parquet files of one source, in the order of its chunks; so many were `parsed` now, and `kept`."""

    folder: str
    chunks: tuple[ParsedChunk, ...]
    parsed: int
    kept: int

    @property
    def lines(self) -> int:
        return sum(chunk.lines for chunk in self.chunks)

    @property
    def rejects(self) -> int:
        return sum(chunk.rejects for chunk in self.chunks)

    @property
    def records(self) -> int:
        return self.lines - self.rejects

    @property
    def reasons(self) -> dict[str, int]:
        return dict(sum((Counter(chunk.reasons) for chunk in self.chunks), Counter()))

    @property
    def redirects(self) -> int:
        return sum(chunk.redirects for chunk in self.chunks)


@dataclass(frozen=True)
class _Task:
    """One chunk to parse. What it holds is only read again where it `is_parsed`."""

    uri: str
    source: Source
    first_year: int
    dump_year: int
    file: str
    is_parsed: bool


def parse_chunks(
    spark: SparkSession,
    uris: Sequence[str],
    source: Source,
    first_year: int,
    dump_year: int,
    root: str,
) -> ParsedChunks:
    """Parse the chunks at `uris` that no earlier run has parsed into a folder under `root`, each in a task of its own.

    The files are of `PARSINGS[source].schema`; years from `first_year` to `dump_year` have groups of their own. What is
    under `root` of other chunks of this source, of other years, or of another parser, is deleted. Raises `DamagedChunk`
    where a chunk is not the gzip file that was landed.
    """
    from pyspark.errors import PySparkException

    name = f"{source}-{_digest(uris, first_year, dump_year)}"
    filesystem, place = filesystem_of(root)
    _keep_only(filesystem, place, source, name)
    filesystem.create_dir(f"{place}/{name}", recursive=True)
    held = {info.base_name for info in filesystem.get_file_info(pafs.FileSelector(f"{place}/{name}"))}
    folder = f"{root}/{name}"
    files = [f"{number:05d}.parquet" for number in range(len(uris))]
    tasks = [
        _Task(uri, source, first_year, dump_year, f"{folder}/{file}", file in held)
        for uri, file in zip(uris, files, strict=True)
    ]
    try:
        answers = run_tasks(spark, tasks, _summary)
    except PySparkException as error:
        damage = re.search(rf"{DamagedChunk.__name__}: (.+)", str(error))
        if damage:
            raise DamagedChunk(damage[1]) from error
        raise
    kept = len(held.intersection(files))
    return ParsedChunks(folder, tuple(ParsedChunk(**answer) for answer in answers), len(uris) - kept, kept)


def drop_parsed(root: str) -> None:
    """Delete everything under `root`, once the table that was made of it is committed."""
    filesystem, place = filesystem_of(root)
    filesystem.delete_dir_contents(place, missing_dir_ok=True)


def _summary(task: _Task) -> dict[str, object]:
    """What the file of a chunk holds, which is made first where it is missing."""
    if not task.is_parsed:
        return _write(task)
    written = open_parquet(task.file).metadata.metadata[_SUMMARY.encode()]
    return {**json.loads(written), "file": task.file}


def _write(task: _Task) -> dict[str, object]:
    """Parse one chunk into one file, whole or not at all."""
    schema = PARSINGS[task.source].schema
    rows = pa.Table.from_batches(parse_chunk(task.uri, task.source, task.dump_year), schema)
    groups = dict(_by_group(rows, task.first_year, task.dump_year))
    reasons = {
        count["values"]: count["counts"] for count in rows["reason"].drop_null().value_counts().to_pylist()
    }
    redirects = len(rows) - rows["location"].null_count if "location" in schema.names else 0
    sizes = {name: len(members) for name, members in groups.items()}
    summary = asdict(ParsedChunk(task.uri.rpartition("/")[2], task.file, sizes, reasons, redirects))
    with whole_parquet(task.file, schema, **_INTERIM) as writer:
        for members in groups.values():
            writer.write_table(members, row_group_size=len(members))
        writer.add_key_value_metadata({_SUMMARY: json.dumps(summary)})
    return summary


def _by_group(rows: pa.Table, first_year: int, dump_year: int) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each group that has any: years in order, the others, the rejects."""
    other = dump_year - first_year + 1
    names = [*map(str, range(first_year, dump_year + 1)), OTHER_YEARS, REJECTS]
    codes = np.full(len(rows), other)
    if _YEAR in rows.column_names:
        years = pc.fill_null(rows[_YEAR], 0).to_numpy()
        wanted = (years >= first_year) & (years <= dump_year)
        codes[wanted] = years[wanted] - first_year
    codes[rows["reason"].is_valid().to_numpy()] = other + 1
    sorted_rows = rows.combine_chunks().take(np.argsort(codes, kind="stable"))
    start = 0
    for code, size in enumerate(np.bincount(codes, minlength=len(names))):
        if size:
            yield names[code], sorted_rows.slice(start, size)
        start += size


def _keep_only(filesystem: pafs.FileSystem, place: str, source: Source, name: str) -> None:
    for info in filesystem.get_file_info(pafs.FileSelector(place, allow_not_found=True)):
        if info.base_name.startswith(f"{source}-") and info.base_name != name:
            filesystem.delete_dir(info.path)


def _digest(uris: Sequence[str], first_year: int, dump_year: int) -> str:
    """Names the rows by what they depend on. A landed chunk never changes: its URI stands for its bytes."""
    depends = json.dumps([rules_version(), first_year, dump_year, list(uris)])
    return hashlib.sha256(depends.encode()).hexdigest()[:_DIGITS]

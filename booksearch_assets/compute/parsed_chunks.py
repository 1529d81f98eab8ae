"""Parsed chunks: the lines of landed chunks as Parquet, one file a chunk, kept until the table made of them is committed.

Parsing is most of what a rebuild of the editions costs. A task writes the file of its chunk whole or not at all, so a
killed run loses the chunks in hand, and the next one parses those that are missing. The folder is named by all that
its rows depend on: which chunks, the year of the dump, and the code that parses.

Belongs here: parsing on Spark, what is parsed already, dropping what nobody needs. Does not: lines and fields
(`openlibrary`), what is made of them (`compute.editions`).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from booksearch_assets.openlibrary.chunks import PARSINGS, DamagedChunk, Source, parse_chunk
from booksearch_assets.openlibrary.rules import rules_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LINES = pa.schema([("lines", pa.int64())])
_DIGITS = 16


@dataclass(frozen=True)
class ParsedChunks:
    """The folder of Parquet files of one source; `parsed` chunks of `lines` lines were parsed now, `kept` before."""

    folder: str
    parsed: int
    kept: int
    lines: int


def parse_chunks(
    spark: SparkSession, uris: Sequence[str], source: Source, dump_year: int, root: str
) -> ParsedChunks:
    """Parse the chunks at `uris` that no earlier run has parsed into a folder under `root`, each in a task of its own.

    The files are of `PARSINGS[source].schema`. What is under `root` of other chunks of this source, or of another
    parser, is deleted. Raises `DamagedChunk` where a chunk is not the gzip file that was landed.
    """
    name = f"{source}-{_digest(uris, dump_year)}"
    filesystem, place = _place(root)
    _keep_only(filesystem, place, source, name)
    filesystem.create_dir(f"{place}/{name}", recursive=True)
    held = {info.base_name for info in filesystem.get_file_info(pafs.FileSelector(f"{place}/{name}"))}
    missing = [number for number in range(len(uris)) if _file_name(number) not in held]
    folder = f"{root}/{name}"
    lines = _run(spark, _parse(missing, uris, source, dump_year, folder), len(missing)) if missing else 0
    return ParsedChunks(folder, len(missing), len(uris) - len(missing), lines)


def drop_parsed(root: str) -> None:
    """Delete everything under `root`, once the table that was made of it is committed."""
    filesystem, place = _place(root)
    filesystem.delete_dir_contents(place, missing_dir_ok=True)


def _run(
    spark: SparkSession,
    parse: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    tasks: int,
) -> int:
    """Run `parse` with one number for each task. Returns the lines that it counted."""
    from pyspark.errors import PySparkException

    from booksearch_assets.compute.spark_tables import spark_schema

    numbers = spark.range(0, tasks, 1, numPartitions=tasks)
    try:
        return sum(row["lines"] for row in numbers.mapInArrow(parse, spark_schema(_LINES)).collect())
    except PySparkException as error:
        damage = re.search(rf"{DamagedChunk.__name__}: (.+)", str(error))
        if damage:
            raise DamagedChunk(damage[1]) from error
        raise


def _parse(
    missing: Sequence[int], uris: Sequence[str], source: Source, dump_year: int, folder: str
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def parse(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            chunks = [missing[task] for task in batch.column(0).to_pylist()]
            lines = [_write(uris[chunk], source, dump_year, folder, _file_name(chunk)) for chunk in chunks]
            yield pa.RecordBatch.from_arrays([pa.array(lines, pa.int64())], schema=_LINES)

    return parse


def _write(uri: str, source: Source, dump_year: int, folder: str, name: str) -> int:
    """Parse one chunk into one file, whole or not at all. Returns its lines."""
    filesystem, place = _place(folder)
    # The dot hides it from Spark; closing a Parquet file that an error cut short would make it look like a whole one.
    unfinished = f"{place}/.{name}.{secrets.token_hex(4)}.tmp"
    lines = 0
    with pq.ParquetWriter(
        unfinished, PARSINGS[source].schema, filesystem=filesystem, compression="zstd"
    ) as writer:
        for batch in parse_chunk(uri, source, dump_year):
            writer.write_batch(batch)
            lines += batch.num_rows
    filesystem.move(unfinished, f"{place}/{name}")
    return lines


def _keep_only(filesystem: pafs.FileSystem, place: str, source: Source, name: str) -> None:
    for info in filesystem.get_file_info(pafs.FileSelector(place, allow_not_found=True)):
        if info.base_name.startswith(f"{source}-") and info.base_name != name:
            filesystem.delete_dir(info.path)


def _digest(uris: Sequence[str], dump_year: int) -> str:
    """Names the rows by what they depend on. A landed chunk never changes: its URI stands for its bytes."""
    depends = json.dumps([rules_version(), dump_year, list(uris)])
    return hashlib.sha256(depends.encode()).hexdigest()[:_DIGITS]


def _file_name(number: int) -> str:
    return f"{number:05d}.parquet"


def _place(uri: str) -> tuple[pafs.FileSystem, str]:
    return pafs.FileSystem.from_uri(uri if "://" in uri else Path(uri).absolute().as_uri())  # type: ignore[no-any-return]

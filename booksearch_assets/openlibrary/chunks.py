"""Landed chunks as Arrow batches: every line parsed once, to a row or to a reject with its raw bytes.

Runs in Spark's Python workers and in any plain process alike.

Belongs here: reading a chunk, the columns of parsed lines, batches of bounded size. Does not: fields
(`strict`, `records`), joins and duplicates (`compute.editions`), landing (`compute.landing`).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
from isal import igzip
from isal.igzip_lib import IsalError

from booksearch_assets.openlibrary import strict
from booksearch_assets.openlibrary.columns import TEXTS
from booksearch_assets.openlibrary.dates import first_four_digits, publish_year
from booksearch_assets.openlibrary.pagination import largest_number
from booksearch_assets.openlibrary.records import (
    AuthorRecord,
    EditionRecord,
    RedirectRecord,
    Rejected,
    WorkRecord,
    parse_author,
    parse_edition,
    parse_work,
)
from booksearch_assets.openlibrary.strict import UsualShape

BATCH_ROWS = 10_000
# A line may have megabytes: rows alone would not bound a batch.
BATCH_BYTES = 8 * 2**20
_READ_BYTES = 2**20

Row = tuple[Any, ...]


class Source(StrEnum):
    """The dump files that the editions table is made from."""

    EDITIONS = "editions"
    WORKS = "works"
    AUTHORS = "authors"


class DamagedChunk(Exception):
    """A landed chunk is not the gzip file that was landed."""


_LINE = [("chunk", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("raw", pa.binary())]
_RECORD = [("key", pa.string()), ("revision", pa.int32()), ("last_modified", pa.string())]


def _parsed(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*_LINE, *columns])


@dataclass(frozen=True)
class Parsing:
    """How the lines of one source are parsed.

    The first four columns of `schema` say where a line is, and, for a reject alone, why and what it was. The others
    are made by `usual`, many lines at once, of the lines that it reads, and by `row`, which knows the year of the dump
    too, of each of the rest.
    """

    schema: pa.Schema
    usual: UsualShape[Any]
    row: Callable[[bytes, int], Row | Rejected]


def _edition_row(line: bytes, dump_year: int) -> Row | Rejected:
    record = parse_edition(line)
    if not isinstance(record, EditionRecord):
        return record
    # fmt: off
    (
        key, revision, last_modified, title, subtitle, work_key, author_keys, languages, subjects, genres, date,
        number_of_pages, pagination, isbn_10, isbn_13, cover_id,
    ) = record
    return (
        key, revision, last_modified, work_key, author_keys, title, subtitle, languages, subjects, genres, date,
        publish_year(date, dump_year), first_four_digits(date), number_of_pages or largest_number(pagination),
        number_of_pages, isbn_10, isbn_13, cover_id,
    )
    # fmt: on


def _work_row(line: bytes, dump_year: int) -> Row | Rejected:
    match parse_work(line):
        case WorkRecord(key, revision, last_modified, subjects, author_keys):
            return key, revision, last_modified, None, subjects, author_keys
        case RedirectRecord(key, revision, last_modified, location):
            return key, revision, last_modified, location, [], []
        case rejected:
            return rejected


def _author_row(line: bytes, dump_year: int) -> Row | Rejected:
    match parse_author(line):
        case AuthorRecord(key, revision, last_modified, name):
            return key, revision, last_modified, None, name
        case RedirectRecord(key, revision, last_modified, location):
            return key, revision, last_modified, location, None
        case rejected:
            return rejected


PARSINGS = {
    Source.EDITIONS: Parsing(
        _parsed(
            ("edition_key", pa.string()),
            *_RECORD[1:],
            ("work_reference", pa.string()),
            ("author_keys", TEXTS),
            ("title", pa.string()),
            ("subtitle", pa.string()),
            ("languages", TEXTS),
            ("edition_subjects", TEXTS),
            ("genres", TEXTS),
            ("publish_date", pa.string()),
            ("publish_year", pa.int32()),
            ("first_four_digits", pa.int32()),
            ("pages", pa.int32()),
            ("number_of_pages", pa.int32()),
            ("isbn_10", TEXTS),
            ("isbn_13", TEXTS),
            ("cover_id", pa.int64()),
        ),
        strict.EDITIONS,
        _edition_row,
    ),
    Source.WORKS: Parsing(
        _parsed(
            *_RECORD,
            ("location", pa.string()),
            ("subjects", TEXTS),
            ("author_keys", TEXTS),
        ),
        strict.WORKS,
        _work_row,
    ),
    Source.AUTHORS: Parsing(
        _parsed(*_RECORD, ("location", pa.string()), ("name", pa.string())),
        strict.AUTHORS,
        _author_row,
    ),
}


def read_lines(uri: str) -> Iterator[bytes]:
    """The lines of a gzip chunk at a `file://` or `s3://` URI, newlines kept. Raises `DamagedChunk`."""
    read = 0
    try:
        filesystem, path = _place(uri)
        with filesystem.open_input_file(path) as file:
            if not file.size():
                raise EOFError("it is empty")
            with igzip.IGzipFile(fileobj=file) as text:
                for line in text:
                    read += 1
                    yield line
    except (EOFError, IsalError, OSError) as error:  # type: ignore[misc]  # isal's stub does not say what it is
        raise DamagedChunk(
            f"the chunk {uri} cannot be read after {read} whole lines: {error}. "
            "Expected the gzip file that was landed; land the dump again."
        ) from error


def parse_chunk(uri: str, source: Source, dump_year: int) -> Iterator[pa.RecordBatch]:
    """The parsed lines of a chunk, in order, as batches of `PARSINGS[source].schema`. Raises `DamagedChunk`."""
    name = uri.rpartition("/")[2]
    lines = enumerate(read_lines(uri), 1)
    while batch := _read_batch(name, lines, PARSINGS[source], dump_year):
        yield batch


def _read_batch(
    name: str, lines: Iterator[tuple[int, bytes]], parsing: Parsing, dump_year: int
) -> pa.RecordBatch | None:
    """The next lines of a chunk; None at its end."""
    usual, others = [], []
    numbers: list[int] = []
    size = 0
    with _without_cycle_collection():
        for number, line in islice(lines, BATCH_ROWS):
            read = parsing.usual.read(line)
            if read:
                usual.append(read)
                numbers.append(number)
            else:
                others.append(_other_row(name, number, line, parsing, dump_year))
            size += len(line)
            if size >= BATCH_BYTES:
                break
        batches = [_batch_of_rows(others, parsing.schema)] if others else []
        if usual:
            columns = parsing.usual.columns(usual, dump_year)
            batches.append(_batch_of_columns(name, numbers, columns, parsing.schema))
    if len(batches) == 2:
        return pa.concat_batches(batches).sort_by("line")
    return batches[0] if batches else None


def _other_row(name: str, number: int, line: bytes, parsing: Parsing, dump_year: int) -> Row:
    row = parsing.row(line, dump_year)
    if isinstance(row, Rejected):
        blank = (None,) * (len(parsing.schema) - len(_LINE))
        return name, number, row.reason.value, line.rstrip(b"\r\n"), *blank
    return name, number, None, None, *row


@contextmanager
def _without_cycle_collection() -> Iterator[None]:
    """Records hold no cycles; the collector would walk a batch's lists over and over, for a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _batch_of_rows(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _batch_of_columns(
    name: str, numbers: list[int], columns: dict[str, pa.Array], schema: pa.Schema
) -> pa.RecordBatch:
    nothing = pa.nulls(len(numbers))
    line = {"chunk": pa.repeat(name, len(numbers)), "line": pa.array(numbers, pa.int64())}
    return pa.RecordBatch.from_pydict(
        line | {"reason": nothing.cast(pa.string()), "raw": nothing.cast(pa.binary())} | columns,
        schema=schema,
    )


def _place(uri: str) -> tuple[pafs.FileSystem, str]:
    # Arrow would take "%" and spaces in a local path for URI escapes; the lake writes paths as they are.
    if uri.startswith("file://"):
        return pafs.LocalFileSystem(), uri.removeprefix("file://")
    filesystem, path = pafs.FileSystem.from_uri(uri)
    return filesystem, path

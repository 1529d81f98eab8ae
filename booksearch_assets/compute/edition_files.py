"""The files of the editions table and of its quarantine, written from parsed chunks by tasks that move Arrow columns.

What relates rows to rows (which are superseded, whose work and authors they name) is decided by Spark SQL among narrow
columns, and found here by chunk and line. Wide rows never become rows of the JVM, which makes, moves and writes them one at a time.

Belongs here: which rows go to which file, reading, joining by place and writing. Does not: the decisions
(`compute.editions`), how parsed chunks are made (`compute.parsed_chunks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from booksearch_assets.compute.arrow_files import filesystem_of, open_parquet, whole_parquet
from booksearch_assets.compute.parsed_chunks import REJECTS, ParsedChunk, ParsedChunks
from booksearch_assets.compute.spark_tasks import in_groups
from booksearch_assets.openlibrary.chunks import Source
from booksearch_assets.tables.books import EDITIONS, QUARANTINE
from booksearch_assets.tables.parquet import writer_settings

FILE_ROWS = 400_000
"""Rows of a file, unless its year has less: some 60 MB."""
FILE = "file"
"""The column that Spark parts its decisions by: the number of an `EditionFile`."""

PLACES = pa.schema([("chunk", pa.string()), ("line", pa.int64())])
"""Where editions stand in the dump: of those superseded, all that has to be known."""

_TEXTS = pa.list_(pa.string())
CREDITS = pa.schema([*PLACES, ("work_key", pa.string()), ("authors", _TEXTS), ("work_subjects", _TEXTS)])
"""What an edition has from its work and authors; there is no row for one that has nothing of them."""

_UNCREDITED: dict[str, Any] = {"work_key": None, "authors": [], "work_subjects": []}
_ROW_GROUP_ROWS = 131_072
_PARSED = ["line", "work_reference", *(name for name in EDITIONS.column_names if name not in _UNCREDITED)]


@dataclass(frozen=True)
class Piece:
    """One row group of a parsed file."""

    chunk: str
    file: str
    row_group: int
    rows: int


@dataclass(frozen=True)
class EditionFile:
    """A file of the editions table: which rows it is made of."""

    number: int
    year: str
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)


@dataclass(frozen=True)
class EditionFolders:
    """Where files are written, and where Spark has written what it decided, in folders `<FILE>=<number>`.

    `credits` and `superseded` are empty texts where there is nothing to look up.
    """

    output: str
    credits: str
    superseded: str


def plan_files(parsed: ParsedChunks, years: Iterable[str]) -> list[EditionFile]:
    """The files that the rows of `parsed` are parted into, year by year, chunks in their order."""
    parts = [
        (year, pieces)
        for year in years
        for pieces in in_groups(_pieces(parsed.chunks, year), lambda piece: piece.rows, FILE_ROWS)
    ]
    return [EditionFile(number, year, tuple(pieces)) for number, (year, pieces) in enumerate(parts)]


def rejects_of(parsed: ParsedChunks) -> list[Piece]:
    """The row groups of the lines that are no records."""
    return list(_pieces(parsed.chunks, REJECTS))


def write_editions(files: Sequence[EditionFile], folders: EditionFolders) -> list[dict[str, Any]]:
    """Write files of EDITIONS, each whole or not at all, none where all its rows are superseded.

    Returns for each its year, `rows`, and how many of those are `with_work` and `orphans` (which name no work).
    """
    return [_write_file(file, folders) for file in files]


def write_quarantine(uri: str, rejects: Iterable[tuple[Source, Piece]]) -> None:
    """Write a file of QUARANTINE, whole or not at all."""
    with whole_parquet(uri, QUARANTINE.schema, **writer_settings(QUARANTINE.schema)) as writer:
        for source, piece in rejects:
            rows = _read(piece, [name for name in QUARANTINE.column_names if name != "source"])
            rows = rows.add_column(0, "source", pa.repeat(source.value, len(rows)))
            writer.write_table(rows.select(QUARANTINE.column_names).cast(QUARANTINE.schema))


def _pieces(chunks: Iterable[ParsedChunk], group: str) -> Iterator[Piece]:
    for chunk in chunks:
        if group in chunk.groups:
            yield Piece(chunk.name, chunk.file, [*chunk.groups].index(group), chunk.groups[group])


def _write_file(file: EditionFile, folders: EditionFolders) -> dict[str, Any]:
    credits = _by_chunk(folders.credits, file.number, CREDITS)
    superseded = _by_chunk(folders.superseded, file.number, PLACES)
    figures = {"rows": 0, "with_work": 0, "orphans": 0}

    def editions() -> Iterator[pa.Table]:
        for piece in file.pieces:
            rows = _read(piece, _PARSED)
            if older := superseded.get(piece.chunk):
                rows = rows.filter(pc.invert(pc.is_in(rows["line"], older["line"])))
            made = _credited(rows, credits.get(piece.chunk, CREDITS.empty_table()))
            figures["rows"] += len(rows)
            figures["with_work"] += len(rows) - made["work_key"].null_count
            figures["orphans"] += rows["work_reference"].null_count
            yield made

    groups = _together(editions())
    if first := next(groups, None):
        uri = f"{folders.output}/year={file.year}/part-{file.number:05d}.parquet"
        with whole_parquet(uri, EDITIONS.schema, **writer_settings(EDITIONS.schema)) as writer:
            for group in chain([first], groups):
                writer.write_table(group)
    return {"year": file.year, **figures}


def _credited(rows: pa.Table, credits: pa.Table) -> pa.Table:
    """`rows` of one chunk as EDITIONS, with what `credits` has for their lines."""
    places = pc.fill_null(pc.index_in(rows["line"], credits["line"]), len(credits))
    columns = {name: rows[name] for name in rows.column_names}
    for name, nothing in _UNCREDITED.items():
        missing = pa.array([nothing], CREDITS.field(name).type)
        columns[name] = pa.chunked_array([*credits[name].chunks, missing]).take(places)
    return pa.table({name: columns[name] for name in EDITIONS.column_names}, EDITIONS.schema)


def _together(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Neighbours in tables of as many rows as a row group has; nothing where there are no rows."""
    members: list[pa.Table] = []
    for table in tables:
        members.append(table)
        if sum(map(len, members)) >= _ROW_GROUP_ROWS:
            yield pa.concat_tables(members)
            members = []
    if any(map(len, members)):
        yield pa.concat_tables(members)


def _by_chunk(folder: str, number: int, schema: pa.Schema) -> dict[str, pa.Table]:
    """What Spark decided of the rows of one file."""
    if not folder:
        return {}
    folder = f"{folder}/{FILE}={number}"
    filesystem, place = filesystem_of(folder)
    infos = filesystem.get_file_info(pafs.FileSelector(place, allow_not_found=True))
    files = [f"{folder}/{info.base_name}" for info in infos if info.base_name.endswith(".parquet")]
    # Spark has names of its own for the items of lists.
    read = (open_parquet(file).read(schema.names).cast(schema) for file in files)
    rows = pa.concat_tables([schema.empty_table(), *read])
    rows = rows.sort_by("chunk").combine_chunks()
    found, start = {}, 0
    for count in sorted(rows["chunk"].value_counts().to_pylist(), key=itemgetter("values")):
        found[count["values"]] = rows.slice(start, count["counts"])
        start += count["counts"]
    return found


def _read(piece: Piece, columns: Sequence[str]) -> pa.Table:
    return open_parquet(piece.file).read_row_group(piece.row_group, columns, use_threads=False)

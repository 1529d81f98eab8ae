"""Files of the editions table: which rows they are of, and what they take from Spark's decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booksearch_assets.compute import edition_files
from booksearch_assets.compute.edition_files import (
    CREDITS,
    PLACES,
    EditionFile,
    EditionFolders,
    plan_files,
    rejects_of,
    write_editions,
    write_quarantine,
)
from booksearch_assets.compute.parsed_chunks import ParsedChunk, ParsedChunks
from booksearch_assets.openlibrary.chunks import PARSINGS, Source
from booksearch_assets.tables.books import EDITIONS, QUARANTINE
from booksearch_assets_tests.compute.dumps import read

SCHEMA = PARSINGS[Source.EDITIONS].schema
LISTS = [field.name for field in SCHEMA if pa.types.is_list(field.type)]


def edition(chunk: str, line: int, **fields: Any) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(SCHEMA.names) | {name: [] for name in LISTS}
    return blank | {
        "chunk": chunk, "line": line, "edition_key": f"{chunk}-{line}", "revision": 1, "last_modified": ""
    } | fields  # fmt: skip


def parsed(folder: Path, chunks: dict[str, dict[str, list[dict[str, Any]]]]) -> ParsedChunks:
    """Parsed files, by chunk and group, as `parse_chunks` lays them out."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, groups in chunks.items():
        file = folder / f"{name}.parquet"
        with pq.ParquetWriter(file, SCHEMA) as writer:
            for rows in groups.values():
                writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
        sizes = {group: len(rows) for group, rows in groups.items()}
        found.append(ParsedChunk(name, str(file), sizes, {}, 0))
    return ParsedChunks(str(folder), tuple(found), len(found), 0)


def decided(folder: Path, number: int, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    place = folder / f"file={number}"
    place.mkdir(parents=True)
    # Two files, as two tasks of Spark may leave them.
    for part, row in enumerate(rows):
        pq.write_table(pa.Table.from_pylist([row], schema), place / f"part-{part}.parquet")


def two_chunks(folder: Path) -> ParsedChunks:
    return parsed(
        folder,
        {
            "a": {
                "2020": [edition("a", 1, work_reference="OL1W"), edition("a", 3)],
                "other": [edition("a", 2)],
            },
            "b": {"2020": [edition("b", 1), edition("b", 2, work_reference="OL2W", title="Two")]},
        },
    )


def test_rows_of_a_year_go_to_few_files_and_each_to_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = two_chunks(tmp_path)
    files = plan_files(chunks, ["2019", "2020", "other"])
    assert [(file.year, file.rows, len(file.pieces)) for file in files] == [("2020", 4, 2), ("other", 1, 1)]
    monkeypatch.setattr(edition_files, "FILE_ROWS", 3)
    files = plan_files(chunks, ["2020", "other"])
    assert [(file.number, file.year, [piece.chunk for piece in file.pieces]) for file in files] == [
        (0, "2020", ["a"]),
        (1, "2020", ["b"]),
        (2, "other", ["a"]),
    ]


def write(
    tmp_path: Path, files: list[EditionFile], credits: str = "", superseded: str = ""
) -> list[dict[str, Any]]:
    return write_editions(files, EditionFolders(str(tmp_path / "table"), credits, superseded))


@pytest.mark.parametrize("group_rows", [1, 3, 1000])
def test_a_row_has_what_was_decided_for_its_chunk_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_rows: int
) -> None:
    monkeypatch.setattr(edition_files, "_ROW_GROUP_ROWS", group_rows)
    files = plan_files(two_chunks(tmp_path / "parsed"), ["2020", "other"])
    credits = [
        {"chunk": "b", "line": 2, "work_key": "OL2W", "authors": ["B"], "work_subjects": ["S", "T"]},
        {"chunk": "a", "line": 3, "work_key": None, "authors": ["A"], "work_subjects": []},
    ]
    decided(tmp_path / "credits", 0, credits, CREDITS)
    # The same line of the other chunk stays.
    decided(tmp_path / "superseded", 0, [{"chunk": "b", "line": 1}], PLACES)
    figures = write(tmp_path, files, str(tmp_path / "credits"), str(tmp_path / "superseded"))
    assert figures == [
        {"year": "2020", "rows": 3, "with_work": 1, "orphans": 1},
        {"year": "other", "rows": 1, "with_work": 0, "orphans": 1},
    ]
    rows = {row["edition_key"]: row for row in read(EDITIONS, tmp_path / "table" / "year=2020")}
    assert {
        key: (row["work_key"], row["authors"], row["work_subjects"], row["title"])
        for key, row in rows.items()
    } == {
        "a-1": (None, [], [], None),
        "a-3": (None, ["A"], [], None),
        "b-2": ("OL2W", ["B"], ["S", "T"], "Two"),
    }


def test_a_file_whose_rows_are_all_superseded_is_not_made(tmp_path: Path) -> None:
    files = plan_files(parsed(tmp_path / "parsed", {"a": {"2020": [edition("a", 1)]}}), ["2020"])
    decided(tmp_path / "superseded", 0, [{"chunk": "a", "line": 1}], PLACES)
    [figures] = write(tmp_path, files, superseded=str(tmp_path / "superseded"))
    assert figures["rows"] == 0
    assert not (tmp_path / "table").exists()


def test_a_task_that_is_run_again_leaves_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = plan_files(two_chunks(tmp_path / "parsed"), ["2020", "other"])
    monkeypatch.setattr(edition_files, "_ROW_GROUP_ROWS", 1)

    def fail(self: pq.ParquetWriter, *_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(pq.ParquetWriter, "write_table", fail)
        with pytest.raises(OSError, match="the disk is full"):
            write(tmp_path, files)
    assert [*(tmp_path / "table").rglob("*.parquet")] == []
    for _ in range(2):
        write(tmp_path, files)
        made = [file for file in (tmp_path / "table").rglob("*.parquet") if not file.name.startswith(".")]
        assert sorted(file.parent.name for file in made) == ["year=2020", "year=other"]
        assert len(read(EDITIONS, tmp_path / "table")) == 5


def test_rejects_go_to_the_quarantine_with_their_source(tmp_path: Path) -> None:
    reject = edition("a", 7, reason="not_json", raw=b"{")
    chunks = parsed(tmp_path / "parsed", {"a": {"2020": [edition("a", 1)], "rejects": [reject]}, "b": {}})
    [piece] = rejects_of(chunks)
    file = tmp_path / "quarantine" / "part-0.parquet"
    write_quarantine(str(file), [(Source.EDITIONS, piece), (Source.WORKS, piece)])
    rows = read(QUARANTINE, file.parent)
    assert [tuple(row.values()) for row in rows] == [
        ("editions", "a", 7, "not_json", b"{"),
        ("works", "a", 7, "not_json", b"{"),
    ]

"""Chunks as batches of parsed rows: bounded, in order, and never silently short."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from booksearch_assets.openlibrary import chunks
from booksearch_assets.openlibrary.chunks import PARSINGS, DamagedChunk, Source, parse_chunk, read_lines
from booksearch_assets.openlibrary.records import Rejected
from booksearch_assets_tests.openlibrary.messy import author_line, edition_line, work_line

LINE = b'/type/edition\t/books/OL%dM\t1\t2020-01-01T00:00:00.000000\t{"title": "A"}\n'


def chunk(folder: Path, text: bytes) -> str:
    path = folder / "a chunk%20.txt.gz"
    path.write_bytes(gzip.compress(text))
    return f"file://{path}"


def test_lines_come_back_byte_for_byte(tmp_path: Path) -> None:
    text = b"one\n\n\xff\x00\r\nlast without newline"
    assert list(read_lines(chunk(tmp_path, text))) == [
        b"one\n",
        b"\n",
        b"\xff\x00\r\n",
        b"last without newline",
    ]


def test_rows_and_rejects_say_where_they_stand(tmp_path: Path) -> None:
    uri = chunk(tmp_path, LINE % 1 + b"oops\r\n" + LINE % 2)
    (batch,) = parse_chunk(uri, Source.EDITIONS, 2026)
    assert batch.schema == PARSINGS[Source.EDITIONS].schema
    rows = batch.select(["chunk", "line", "reason", "raw", "edition_key"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("a chunk%20.txt.gz", 1, None, None, "OL1M"),
        ("a chunk%20.txt.gz", 2, "too_few_fields", b"oops", None),
        ("a chunk%20.txt.gz", 3, None, None, "OL2M"),
    ]


@pytest.mark.parametrize(
    ("source", "line_of_number", "file"),
    [
        (Source.EDITIONS, edition_line, "editions.txt"),
        (Source.WORKS, work_line, "works.txt"),
        (Source.AUTHORS, author_line, "authors.txt"),
    ],
)
def test_lines_of_any_shape_take_their_place(
    source: Source, line_of_number: Callable[[int], bytes], file: str, real_data: Path, tmp_path: Path
) -> None:
    lines = (real_data / "openlibrary" / file).read_bytes().splitlines(keepends=True)
    lines += [line_of_number(number) + b"\n" for number in range(1000)]
    Random(7).shuffle(lines)
    parsing = PARSINGS[source]
    assert 0.2 < sum(parsing.usual.read(line) is not None for line in lines) / len(lines) < 0.9
    (batch,) = parse_chunk(chunk(tmp_path, b"".join(lines)), source, 2026)
    batch.validate(full=True)
    blank = (None,) * (len(parsing.schema) - 4)
    for number, (line, parsed) in enumerate(zip(lines, batch.to_pylist(), strict=True), 1):
        row = parsing.row(line, 2026)
        if isinstance(row, Rejected):
            expected = (row.reason, line.rstrip(b"\r\n"), *blank)
        else:
            expected = (None, None, *row)
        assert tuple(parsed.values()) == ("a chunk%20.txt.gz", number, *expected)


def test_batches_are_bounded_in_rows_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = b"/type/edition\t/books/OL9M\t1\tx\t" + json.dumps({"notes": "x" * 3_000_000}).encode() + b"\n"
    sizes = [b.num_rows for b in parse_chunk(chunk(tmp_path, long * 7), Source.EDITIONS, 2026)]
    assert sizes == [3, 3, 1]
    monkeypatch.setattr(chunks, "BATCH_ROWS", 10)
    sizes = [b.num_rows for b in parse_chunk(chunk(tmp_path, LINE % 1 * 25), Source.EDITIONS, 2026)]
    assert sizes == [10, 10, 5]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "not gzip", "empty", "absent"])
def test_a_damaged_chunk_is_named(tmp_path: Path, damage: str) -> None:
    uri = chunk(tmp_path, b"".join(LINE % n for n in range(50_000)))
    path = Path(uri.removeprefix("file://"))
    whole = path.read_bytes()
    match damage:
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(whole[:1000] + bytes(b ^ 0xFF for b in whole[1000:1010]) + whole[1010:])
        case "not gzip":
            path.write_bytes(LINE % 1)
        case "empty":
            path.write_bytes(b"")
        case "absent":
            path.unlink()
    with pytest.raises(
        DamagedChunk, match=r"the chunk file://.*a chunk%20\.txt\.gz cannot be read .*land the dump again"
    ):
        list(parse_chunk(uri, Source.EDITIONS, 2026))

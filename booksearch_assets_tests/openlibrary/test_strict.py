"""The usual shape is read as any shape is, or not at all."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.openlibrary.records import parse_edition, parse_work
from booksearch_assets.openlibrary.strict import read_edition, read_work
from booksearch_assets_tests.openlibrary.messy import edition_line

USUAL = {
    "title": " The\tKeeper ",
    "works": [{"key": "/works/OL5W"}],
    "authors": [{"key": "/authors/OL7A"}, {"key": "/authors/"}],
    "languages": [{"key": "/languages/eng"}],
    "subjects": ["Lighthouses  -- Fiction.", " "],
    "genres": None,
    "publish_date": " May  2019",
    "number_of_pages": 320,
    "pagination": "vi, 320 p.",
    "isbn_10": ["0-8014 2105-2"],
    "isbn_13": ["9780801421051"],
    "covers": [-1, None, 42],
    "table_of_contents": [{"title": "\ud83d\ude00 One", "level": 0.5}],
}
WORK = {
    "title": "A",
    "subjects": ["One ", ""],
    "authors": [{"type": {"key": "/type/author_role"}, "author": {"key": "/authors/OL1A"}}],
}
UNUSUAL: list[dict[str, Any]] = [
    {"title": {"type": "/type/text", "value": "A"}},
    {"title": 1984},
    {"languages": ["/languages/eng"]},
    {"works": {"key": "/works/OL1W"}},
    {"covers": [True]},
    {"covers": ["12"]},
    {"number_of_pages": "320"},
    {"isbn_10": [9780801421051]},
    {"subjects": "Fiction"},
]


def line_of(
    fields: dict[str, Any], kind: str = "edition", key: str = "/books/OL1M", revision: str = "3"
) -> bytes:
    return f"/type/{kind}\t{key}\t{revision}\t2020-01-01T00:00:00.000000\t{json.dumps(fields)}\n".encode()


def assert_agrees(line: bytes) -> bool:
    """Whether `line` was read; it is of another shape if not."""
    edition, work = read_edition(line), read_work(line)
    assert edition is None or edition == parse_edition(line)
    assert work is None or work == parse_work(line)
    return edition is not None or work is not None


def test_the_usual_shape_is_read() -> None:
    assert assert_agrees(line_of(USUAL))
    assert assert_agrees(line_of(WORK, "work", "/works/OL1W"))


@pytest.mark.parametrize("fields", UNUSUAL, ids=json.dumps)
def test_any_other_shape_is_left_to_those_who_know_it(fields: dict[str, Any]) -> None:
    assert not assert_agrees(line_of(fields))


@pytest.mark.parametrize(
    "line",
    [
        line_of(USUAL, kind="work"),
        line_of(USUAL, key="/books/"),
        line_of(USUAL, key="/books/OL 1M"),
        line_of(USUAL, revision="0"),
        line_of(USUAL, revision="x"),
        line_of(USUAL, revision="1" * 12),
        line_of(USUAL)[:-9],
        line_of({"notes": "\ud800", "title": "\ud800"}),
        line_of(USUAL).replace(b"One", b"\xc3\xa9"),
        line_of(USUAL).replace(b"0.5", b"[" * 5000 + b"]" * 5000),
        line_of(WORK | {"authors": [{"key": "/authors/OL1A", "author": {"key": "/authors/OL2A"}}]}, "work"),
        b"",
    ],
)
def test_what_is_no_usual_line_is_left_too(line: bytes) -> None:
    assert not assert_agrees(line)


@given(st.integers(0, 2**62))
def test_agrees_on_messy_lines(number: int) -> None:
    assert_agrees(edition_line(number))


@given(
    st.sampled_from([line_of(USUAL), line_of(WORK, "work", "/works/OL1W")]),
    st.lists(
        st.tuples(
            st.integers(0, 700), st.integers(0, 12), st.text(string.printable + "\x00\x1f", max_size=3)
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_agrees_on_damaged_lines(line: bytes, damages: list[tuple[int, int, str]]) -> None:
    for start, length, text in damages:
        line = line[:start] + text.encode() + line[start + length :]
    assert_agrees(line)


def test_reads_nearly_all_real_lines(real_data: Path) -> None:
    for file, usual in {"editions.txt": 1.0, "works.txt": 0.9}.items():
        lines = (real_data / "openlibrary" / file).read_bytes().splitlines(keepends=True)
        assert sum(map(assert_agrees, lines)) / len(lines) >= usual

"""The usual shape is read as any shape is, or not at all."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.openlibrary.chunks import PARSINGS, Parsing
from booksearch_assets_tests.openlibrary.messy import author_line, edition_line, work_line

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
AUTHOR = {"name": " A.  B. ", "personal_name": "C."}
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
TEXT = st.text(st.sampled_from("ab12 -/\t\u00a0\u0661"), max_size=6)
TEXTS = st.none() | TEXT
LISTS = st.none() | st.lists(TEXT)
REFERENCES = st.none() | st.lists(st.fixed_dictionaries({"key": TEXT}))
USUAL_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["title", "subtitle", "publish_date", "pagination"], TEXTS),
        **dict.fromkeys(["works", "authors", "languages"], REFERENCES),
        **dict.fromkeys(["subjects", "genres", "isbn_10", "isbn_13"], LISTS),
        "number_of_pages": st.none() | st.integers(-1, 2**31),
        "covers": st.none() | st.lists(st.none() | st.integers(-1, 2**64)),
    },
)


def line_of(
    fields: dict[str, Any], kind: str = "edition", key: str = "/books/OL1M", revision: str = "3"
) -> bytes:
    return f"/type/{kind}\t{key}\t{revision}\t2020-01-01T00:00:00.000000\t{json.dumps(fields)}\n".encode()


def assert_agrees(line: bytes) -> bool:
    """Whether `line` was read; it is of another shape if not."""
    return any(_is_read_and_agrees(line, parsing) for parsing in PARSINGS.values())


def _is_read_and_agrees(line: bytes, parsing: Parsing) -> bool:
    read = parsing.usual.read(line)
    if read is None:
        return False
    columns = {name: column.to_pylist() for name, column in parsing.usual.columns([read], 2026).items()}
    names = parsing.schema.names[-len(columns) :]
    row = parsing.row(line, 2026)
    assert columns == {name: [value] for name, value in zip(names, row, strict=True)}
    return True


def test_the_usual_shape_is_read() -> None:
    assert assert_agrees(line_of(USUAL))
    assert assert_agrees(line_of(WORK, "work", "/works/OL1W"))
    assert assert_agrees(line_of(AUTHOR, "author", "/authors/OL1A"))


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


@given(st.sampled_from([edition_line, work_line, author_line]), st.integers(0, 2**62))
def test_agrees_on_messy_lines(line_of_number: Callable[[int], bytes], number: int) -> None:
    assert_agrees(line_of_number(number))


@given(USUAL_FIELDS)
def test_reads_all_that_its_fields_may_hold(fields: dict[str, Any]) -> None:
    assert assert_agrees(line_of(fields))


@given(
    st.sampled_from(
        [
            line_of(USUAL),
            line_of(WORK, "work", "/works/OL1W"),
            line_of(AUTHOR, "author", "/authors/OL1A"),
        ]
    ),
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
    for file, usual in {"editions.txt": 1.0, "works.txt": 0.9, "authors.txt": 0.9}.items():
        lines = (real_data / "openlibrary" / file).read_bytes().splitlines(keepends=True)
        assert sum(map(assert_agrees, lines)) / len(lines) >= usual

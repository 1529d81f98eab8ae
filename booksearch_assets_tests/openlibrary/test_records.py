"""Parsing one line: every mess that dumps hold, never an exception, and agreement with the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.openlibrary.records import (
    AuthorRecord,
    EditionRecord,
    RedirectRecord,
    Rejected,
    RejectReason,
    WorkRecord,
    parse_author,
    parse_edition,
    parse_work,
)
from booksearch_assets_tests.openlibrary import oracle
from booksearch_assets_tests.openlibrary.messy import edition_line

PARSERS = {"edition": parse_edition, "work": parse_work, "author": parse_author}


def line_of(fields: Any, kind: str = "edition", key: str = "/books/OL1M", revision: str = "3") -> bytes:
    return f"/type/{kind}\t{key}\t{revision}\t2020-01-01T00:00:00.000000\t{json.dumps(fields)}\n".encode()


def edition_of(**fields: Any) -> EditionRecord:
    record = parse_edition(line_of(fields))
    assert isinstance(record, EditionRecord)
    return record


def test_parses_a_whole_edition() -> None:
    record = edition_of(
        title="The\tlighthouse \n keeper",
        works=[{"key": "/works/OL5W"}],
        authors=[{"key": "/authors/OL7A"}, {"key": "/authors/OL8A"}],
        languages=[{"key": "/languages/eng"}],
        subjects=["Lighthouses -- Fiction."],
        publish_date=" May  2019",
        number_of_pages=320,
        covers=[-1, None, 0, 42, 43],
        isbn_10=["0-8014 2105-2"],
    )
    assert record == EditionRecord(
        key="OL1M",
        revision=3,
        last_modified="2020-01-01T00:00:00.000000",
        title="The lighthouse keeper",
        subtitle=None,
        work_key="OL5W",
        author_keys=["OL7A", "OL8A"],
        languages=["eng"],
        subjects=["Lighthouses -- Fiction."],
        genres=[],
        publish_date=" May  2019",
        number_of_pages=320,
        pagination=None,
        isbn_10=["0801421052"],
        isbn_13=[],
        cover_id=42,
    )


@pytest.mark.parametrize(
    ("fields", "column", "expected"),
    [
        ({"title": {"type": "/type/text", "value": "X"}}, "title", "X"),
        ({"title": 1984}, "title", "1984"),
        ({"title": "  "}, "title", None),
        ({"title": ["X"]}, "title", None),
        ({"title": "a\ud800b"}, "title", "a\ufffdb"),
        ({"number_of_pages": "320"}, "number_of_pages", 320),
        ({"number_of_pages": 320.0}, "number_of_pages", 320),
        ({"number_of_pages": 2**31}, "number_of_pages", None),
        ({"number_of_pages": 10**40}, "number_of_pages", None),
        ({"number_of_pages": "9" * 9000}, "number_of_pages", None),
        ({"number_of_pages": -5}, "number_of_pages", None),
        ({"number_of_pages": 0}, "number_of_pages", None),
        ({"number_of_pages": True}, "number_of_pages", None),
        ({"number_of_pages": "320 p."}, "number_of_pages", None),
        ({"covers": [None]}, "cover_id", None),
        ({"covers": [-1]}, "cover_id", None),
        ({"covers": 12}, "cover_id", 12),
        ({"covers": ["12"]}, "cover_id", 12),
        ({"covers": [2**63, 5]}, "cover_id", 5),
        ({"languages": ["/languages/eng", "fre", None]}, "languages", ["eng", "fre"]),
        ({"languages": {"key": "/l/eng"}}, "languages", ["eng"]),
        ({"languages": None}, "languages", []),
        (
            {"authors": [{"author": {"key": "/authors/OL1A"}, "type": "/type/author_role"}]},
            "author_keys",
            ["OL1A"],
        ),
        ({"authors": [{"key": "/authors/OL1A"}, "/authors/OL2A", 7, {}]}, "author_keys", ["OL1A", "OL2A"]),
        ({"subjects": "Fiction"}, "subjects", ["Fiction"]),
        (
            {"subjects": [" a ", {"type": "/type/text", "value": "b"}, None, 3, ""]},
            "subjects",
            ["a", "b", "3"],
        ),
        ({"works": "/works/OL9W"}, "work_key", "OL9W"),
        ({"works": []}, "work_key", None),
        ({"isbn_13": 9780107805401}, "isbn_13", ["9780107805401"]),
    ],
)
def test_reads_the_shapes_that_records_have(fields: dict[str, Any], column: str, expected: Any) -> None:
    assert getattr(edition_of(**fields), column) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", RejectReason.TOO_FEW_FIELDS),
        (b"/type/edition\t/books/OL1M\t3\t{}", RejectReason.TOO_FEW_FIELDS),
        (b"/type/work\t/works/OL1W\t3\tx\t{}", RejectReason.WRONG_TYPE),
        (b"/type/redirect\t/books/OL1M\t3\tx\t{}", RejectReason.WRONG_TYPE),
        (b'/type/edition\t/books/OL1M\t3\tx\t{"title": "A li', RejectReason.CUT_OFF),
        (b'/type/edition\t/books/OL1M\t3\tx\t{"type": {"key": "/type/edition"}', RejectReason.CUT_OFF),
        (b"/type/edition\t/books/OL1M\t3\tx\t", RejectReason.CUT_OFF),
        (b"/type/edition\t/books/OL1M\t3\tx\tnot json", RejectReason.NOT_JSON),
        (b"/type/edition\t/books/OL1M\t3\tx\t{'title': 'A'}", RejectReason.NOT_JSON),
        (b"/type/edition\t/books/OL1M\t3\tx\t" + b"[" * 100_000 + b"]" * 100_000, RejectReason.NOT_JSON),
        (b"/type/edition\t/books/OL1M\t3\tx\t[1]", RejectReason.NOT_AN_OBJECT),
        (b'/type/edition\t/books/OL1M\t3\tx\t{"title": "\xff"}', RejectReason.NOT_UTF8),
        (b"/type/edition\t/books/OL\xff1M\t3\tx\t{}", RejectReason.NOT_UTF8),
        (b"/type/edition\t\t3\tx\t{}", RejectReason.NO_KEY),
    ],
)
def test_says_why_a_line_is_no_record(line: bytes, reason: RejectReason) -> None:
    assert parse_edition(line) == Rejected(reason)


def test_keeps_records_that_only_pythons_json_reads() -> None:
    record = parse_edition(b'/type/edition\t/books/OL1M\t3\tx\t{"weight": NaN, "title": "A"}')
    assert isinstance(record, EditionRecord) and record.title == "A"


def test_takes_key_and_revision_from_the_json_where_the_columns_have_none() -> None:
    record = parse_edition(line_of({"key": "/books/OL2M", "revision": 9}, key="", revision="x"))
    assert isinstance(record, EditionRecord) and (record.key, record.revision) == ("OL2M", 9)


def test_parses_works_redirects_and_authors() -> None:
    work = parse_work(
        line_of(
            {
                "subjects": ["Fiction"],
                "authors": [{"type": "/type/author_role", "author": {"key": "/authors/OL1A"}}],
            },
            "work",
            "/works/OL1W",
        )
    )
    assert work == WorkRecord("OL1W", 3, "2020-01-01T00:00:00.000000", ["Fiction"], ["OL1A"])
    redirect = parse_work(line_of({"location": "/works/OL2W"}, "redirect", "/works/OL1W"))
    assert redirect == RedirectRecord("OL1W", 3, "2020-01-01T00:00:00.000000", "OL2W")
    assert parse_work(line_of({}, "redirect", "/works/OL1W")) == Rejected(RejectReason.NO_LOCATION)
    author = parse_author(line_of({"name": None, "personal_name": "A. B."}, "author", "/authors/OL1A"))
    assert author == AuthorRecord("OL1A", 3, "2020-01-01T00:00:00.000000", "A. B.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "key",
            "title",
            "subtitle",
            "works",
            "authors",
            "languages",
            "subjects",
            "genres",
            "publish_date",
            "number_of_pages",
            "pagination",
            "isbn_10",
            "isbn_13",
            "covers",
            "name",
            "location",
            "revision",
        ]
    ),
    JSON,
)


@given(st.binary())
def test_no_bytes_raise(line: bytes) -> None:
    for kind, parse in PARSERS.items():
        assert parse(line) == Rejected(RejectReason.TOO_FEW_FIELDS) or line.count(b"\t") >= 4
        parse(f"/type/{kind}\t/x/OL1X\t1\tx\t".encode() + line)
        parse(f"/type/{kind}\t".encode() + line + b"\t\t\t\t{}")


@given(FIELDS, st.sampled_from(["edition", "work", "author", "redirect"]))
def test_no_json_raises_and_numbers_fit_their_columns(fields: dict[str, Any], kind: str) -> None:
    line = line_of(fields, kind)
    parse_work(line), parse_author(line)
    record = parse_edition(line)
    if isinstance(record, EditionRecord):
        assert record.number_of_pages is None or 1 <= record.number_of_pages < 2**31
        assert record.cover_id is None or 1 <= record.cover_id < 2**63
        assert 0 <= record.revision < 2**31
        for text in (
            record.title,
            record.publish_date,
            *record.subjects,
            *record.languages,
            *record.author_keys,
        ):
            (text or "").encode()


def assert_agrees(line: bytes) -> None:
    record = parse_edition(line)
    expected = oracle.editions_of([line], [], [], 2026)
    if isinstance(record, Rejected):
        assert expected.quarantine == [("editions", 1, record.reason)]
        return
    row = expected.editions[record.key]
    for ours, column in {"subjects": "edition_subjects"}.items():
        assert getattr(record, ours) == row[column]
    for column in (
        "revision",
        "last_modified",
        "title",
        "subtitle",
        "languages",
        "genres",
        "publish_date",
        "number_of_pages",
        "isbn_10",
        "isbn_13",
        "cover_id",
    ):
        assert getattr(record, column) == row[column], column


@given(st.integers(0, 2**62))
def test_agrees_with_the_oracle_on_messy_lines(number: int) -> None:
    assert_agrees(edition_line(number))


@given(FIELDS)
def test_agrees_with_the_oracle_on_any_json(fields: dict[str, Any]) -> None:
    assert_agrees(line_of(fields))


def test_agrees_with_the_oracle_on_real_lines(real_data: Path) -> None:
    lines = (real_data / "openlibrary" / "editions.txt").read_bytes().splitlines()
    assert len(lines) == 546
    for line in lines:
        assert_agrees(line)

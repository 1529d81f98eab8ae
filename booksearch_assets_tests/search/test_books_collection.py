"""From tables to rows of the collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.search.books_collection import book_rows, books_collection, topic_of
from booksearch_assets.search.rows import cut_text
from booksearch_assets.vectorstores.filters import Contains
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.search import library


def test_one_row_for_each_edition_with_a_vector() -> None:
    rows = book_rows(
        library.fiction(
            [
                {
                    "edition_key": "OL1M",
                    "work_key": "OL1W",
                    "cover_id": 11,
                    "title": "One",
                    "authors": ["É. Zola", "B"],
                },
                {"edition_key": "OL2M", "cover_id": 11, "title": None, "authors": []},
                {"edition_key": "OL3M", "cover_id": 12},
                {"edition_key": "OL4M", "cover_id": 13},
                {"edition_key": "OL5M", "cover_id": None},
            ]
        ),
        # 12 has no vector, 14 is shown by an edition of another year.
        library.covers({11: ["OL1M", "OL2M"], 12: ["OL3M"], 13: ["OL4M"], 14: ["OL9M"]}),
        library.vectors({13: "moon", 11: "ship", 14: "wolf"}),
        twins={13: 11},
    )
    spec = books_collection("books", library.DIMENSION, {"bundle_id": "b"})
    assert rows.column_names == spec.schema.names
    plain = {row["edition_key"]: row for row in rows.to_pylist()}
    assert list(plain) == ["OL1M", "OL2M", "OL4M"]
    told = {key: (row["title"], row["authors"], row["work_key"]) for key, row in plain.items()}
    assert told["OL1M"] == ("One", ["É. Zola", "B"], "OL1W")
    assert told["OL2M"] == ("", [], "")
    assert plain["OL1M"]["authors_folded"] == ["e zola", "b"]
    assert plain["OL1M"]["subjects_folded"] == ["fiction"]
    assert plain["OL1M"]["languages"] == ["eng"]
    # 13 has the picture of 11, which stands for both.
    assert [row["picture_id"] for row in plain.values()] == [11, 11, 11]
    assert [row["cover_id"] for row in plain.values()] == [11, 11, 13]
    assert plain["OL4M"]["url"] == "http://covers/13-L.jpg"
    ship, moon = library.WordEncoder().encode_texts(["ship", "moon"])
    np.testing.assert_array_equal(
        np.array([row["vector"] for row in plain.values()], np.float32), [ship, ship, moon]
    )


def test_no_editions_give_no_rows() -> None:
    rows = book_rows(library.fiction([]), library.covers({}), library.vectors({1: "x"}).slice(0, 0))
    assert rows.num_rows == 0


def test_what_is_too_long_is_cut_and_then_stored(tmp_path: Path) -> None:
    subjects = [f"{'é' * 200} {i}" for i in range(3)] + [f"subject {i}" for i in range(100)]
    books = library.fiction(
        [
            {
                "edition_key": "OL1M",
                "cover_id": 1,
                "title": "書" * 400,
                "authors": ["ж" * 600, "b"],
                "subjects": subjects,
            }
        ]
    )
    rows = book_rows(books, library.covers({1: ["OL1M"]}), library.vectors({1: "ship"}))
    [row] = rows.to_pylist()
    assert row["title"] == "書" * 341
    assert row["authors"] == ["ж" * 128, "b"]
    assert row["subjects"] == ["é" * 128, *(f"subject {i}" for i in range(63))]
    assert row["subjects_folded"] == ["e" * 200 + f" {i}" for i in range(3)] + [
        f"subject {i}" for i in range(61)
    ]
    spec = books_collection("books", library.DIMENSION, {})
    with MilvusLiteStore(tmp_path) as store:
        store.create(spec)
        store.load("books", [rows])
        assert store.seal("books") == 1
        assert store.count("books", Contains("subjects", "subject 62")) == 1
        assert store.count("books", Contains("subjects", "subject 63")) == 0


@given(st.lists(st.text()), st.integers(1, 12))
def test_cut_text_keeps_whole_characters(texts: list[str], limit: int) -> None:
    for text, cut in zip(texts, cut_text(pa.array(texts, pa.string()), limit).to_pylist(), strict=True):
        assert text.startswith(cut)
        assert len(cut.encode()) <= limit
        longer = text[: len(cut) + 1]
        assert cut == text or len(longer.encode()) > limit


@pytest.mark.parametrize("texts", [["ok", "書書"], ["書"]])
def test_cut_text_of_chunked_arrays(texts: list[str]) -> None:
    assert cut_text(pa.chunked_array([texts, texts]), 5).to_pylist() == [
        t if t != "書書" else "書" for t in texts * 2
    ]


@pytest.mark.parametrize(
    ("heading", "topic"),
    [
        ("Ships -- Fiction.", "ships"),
        ("City and town life--Fiction", "city and town life"),
        ("Fiction, fantasy, general", "fantasy"),
        ("Fiction, mystery & detective, general", "mystery & detective"),
        ("Detective and mystery stories", "detective and mystery stories"),
        ("Fiction, general", ""),
        ("Fiction", ""),
        ("Accessible book", ""),
        ("nyt:combined_print_and_e_book_fiction=2018-05-06", ""),
    ],
)
def test_topics_are_what_a_reader_would_type(heading: str, topic: str) -> None:
    assert topic_of(heading) == topic

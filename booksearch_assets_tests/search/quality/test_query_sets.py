"""Which queries are chosen, and what counts as a right answer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booksearch_assets.search.quality.query_sets import FEWEST_IMAGES, Kind, QuerySet, query_sets
from booksearch_assets.tables.books import KNOWN_ITEMS
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets_tests.search import library


def _shelf() -> ExactIndex:
    """A hundred books: six of ships, one of which says so in its title, three of owls, fifty of love."""
    details = {
        f"OL{i}M": {"title": title, "subjects": subjects}
        for i in range(100)
        for title, subjects in [
            (
                "The Ship of Salt" if i == 0 else "Winter" if i in (1, 2) else f"Book {i}",
                [
                    "Fiction",
                    *(["Ships -- Fiction"] if i < 6 else []),
                    *(["Owls"] if i < 3 else []),
                    *(["Love"] if i < 50 else []),
                ],
            )
        ]
    }
    books = [(f"OL{i}M", "", i + 1, f"word{i}", 2015) for i in range(100)]
    return library.shelf(books, **details)


def _by_kind(sets: list[QuerySet]) -> dict[Kind, QuerySet]:
    return {queries.kind: queries for queries in sets}


def test_subjects_that_few_or_many_carry_are_left_out() -> None:
    sets = _by_kind(query_sets(_shelf()))
    assert sets[Kind.SUBJECT].texts == ("ships",)
    assert sets[Kind.SUBJECT].relevant == (frozenset(range(1, 7)),)
    assert sets[Kind.SUBJECT].hidden == (frozenset(),)


def test_books_whose_title_says_the_subject_are_neither_right_nor_wrong() -> None:
    untitled = _by_kind(query_sets(_shelf()))[Kind.UNTITLED]
    assert untitled.relevant == (frozenset(range(2, 7)),)
    assert len(untitled.relevant[0]) == FEWEST_IMAGES
    assert untitled.hidden == (frozenset({1}),)


def test_a_title_of_several_books_has_all_their_covers_as_right_answers() -> None:
    titles = _by_kind(query_sets(_shelf()))[Kind.TITLE]
    assert len(titles) == 99
    assert dict(zip(titles.texts, titles.relevant, strict=True))["Winter"] == {2, 3}


def test_a_limit_takes_the_same_queries_and_a_new_book_changes_few() -> None:
    titles = [_by_kind(query_sets(_shelf(), limit=20))[Kind.TITLE] for _ in range(2)]
    assert titles[0] == titles[1]
    assert len(titles[0]) == 20
    more = [(f"OL{i}M", "", i + 1, "word", 2015) for i in range(110)]
    details = {f"OL{i}M": {"title": f"Book {i}"} for i in range(110)}
    grown = _by_kind(query_sets(library.shelf(more, **details), limit=20))[Kind.TITLE]
    assert len(set(grown.texts) & set(titles[0].texts)) >= 14


def test_among_covers_keeps_what_can_be_answered() -> None:
    sets = _by_kind(query_sets(_shelf()))
    kept = sets[Kind.TITLE].among({2, 3, 5})
    assert set(kept.texts) == {"Winter", "Book 4"}
    assert len(sets[Kind.SUBJECT].among({99})) == 0


def test_given_queries_are_those_about_books_that_are_held(tmp_path: Path) -> None:
    def write(*rows: tuple[int, str, str]) -> str:
        path = tmp_path / "known.parquet"
        columns = [{"cover_id": cover, "query": query, "kind": kind} for cover, query, kind in rows]
        pq.write_table(pa.Table.from_pylist(columns, KNOWN_ITEMS.schema), path)
        return str(path)

    captions = _by_kind(query_sets(_shelf(), write((4, "a ship", "caption"), (900, "an owl", "caption"))))
    assert captions[Kind.CAPTION].texts == ("a ship",)
    assert captions[Kind.CAPTION].relevant == (frozenset({4}),)
    with pytest.raises(ValueError, match="riddle"):
        query_sets(_shelf(), write((4, "what is it", "riddle")))


def test_an_empty_collection_can_be_asked_nothing() -> None:
    assert query_sets(library.shelf([])) == []

"""Walking through the pages of any query: what one big page would show, once each."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booksearch_assets.search.books import BookFilters, BookResult, YearRange
from booksearch_assets.search.cursor import Cursor
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.query import InvalidQuery, Query, SearchMode, StaleCursor
from booksearch_assets_tests.search import library

WORDS = ("red", "blue", "ship", "wolf", "moon", "storm")
BOOKS = 400
"""More than the first window of the semantic search, and than what is fused."""


@pytest.fixture(scope="module")
def engine() -> SearchEngine:
    """Books that share works, covers and pictures at random, with few words, so that scores are often equal."""
    chance = random.Random(3)
    covers = [chance.randrange(BOOKS) for _ in range(BOOKS)]
    picture = {cover: " ".join(chance.choices(WORDS, k=2)) for cover in covers}
    books = [
        (
            f"OL{i}M",
            chance.choice(["", f"OL{chance.randrange(BOOKS)}W"]),
            cover,
            picture[cover],
            2010 + i % 10,
        )
        for i, cover in enumerate(covers)
    ]
    titles = {key: {"title": " ".join(chance.choices(WORDS, k=3))} for key, *_ in books}
    twins = {cover: cover // 10 for cover in covers if cover % 5 == 0}
    return SearchEngine(library.shelf(books, twins=twins, **titles), library.WordEncoder())


def walk(engine: SearchEngine, query: Query, alone: bool) -> list[BookResult]:
    results: list[BookResult] = []
    cursor = None
    while True:
        asked = Query(cursor=cursor, k=query.k) if alone and cursor else replace(query, cursor=cursor)
        page = engine.search(asked)
        results += page.results
        cursor = page.next_cursor
        if cursor is None:
            return results
        assert len(page.results) == query.k


queries = st.builds(
    Query,
    text=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join),
    like=st.sampled_from([None, None, "OL7M"]),
    without=st.sampled_from([None, "moon"]),
    mode=st.sampled_from(SearchMode),
    filters=st.sampled_from([BookFilters(), BookFilters(years=YearRange(2012, 2015))]),
    k=st.integers(7, 150),
    collapse=st.booleans(),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries, alone=st.booleans())
def test_the_pages_are_one_big_page(engine: SearchEngine, query: Query, alone: bool) -> None:
    walked = walk(engine, query, alone)
    whole = engine.search(replace(query, k=1000))
    assert tuple(walked) == whole.results
    assert whole.next_cursor is None
    assert [result.rank for result in walked] == list(range(1, len(walked) + 1))
    keys = [result.edition_key for result in walked]
    assert len(set(keys)) == len(keys)
    if query.collapse:
        for of in ([r.work_key for r in walked if r.work_key], [r.cover_id for r in walked]):
            assert len(set(of)) == len(of), "two editions of one book are shown"
    if query.mode is not SearchMode.LEXICAL and query.like is None:
        # Nothing is lost: what is not shown has somebody who stands for it, and only one.
        passing = engine.facets(filters=query.filters).total
        assert sum(1 + result.more_editions for result in walked) == passing


def test_a_cursor_of_another_query(engine: SearchEngine) -> None:
    query = Query("red ship", k=5, filters=BookFilters(subject="Fiction"))
    cursor = engine.search(query).next_cursor
    for other in (
        replace(query, text="blue ship"),
        replace(query, filters=BookFilters()),
        replace(query, mode=SearchMode.SEMANTIC),
        replace(query, image=b"picture"),
        replace(query, collapse=False),
    ):
        with pytest.raises(InvalidQuery, match="the cursor is of another query"):
            engine.search(replace(other, cursor=cursor))
    assert len(engine.search(replace(query, k=9, cursor=cursor)).results) == 9


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "é", "bnVsbA", "e30", "W10", "A" * 300_000])
def test_what_is_no_cursor(engine: SearchEngine, cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="the cursor cannot be read"):
        engine.search(Query(cursor=cursor))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_cursor_that_was_changed_is_refused_or_answered(engine: SearchEngine, data: st.DataObject) -> None:
    cursor = engine.search(Query("red ship", k=5)).next_cursor
    assert cursor
    place = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:place] + data.draw(st.sampled_from("AZaz09-_=")) + cursor[place + 1 :]
    with contextlib.suppress(InvalidQuery, StaleCursor):
        engine.search(Query(cursor=changed, k=5))


def test_a_cursor_of_another_version(engine: SearchEngine) -> None:
    cursor = engine.search(Query("red ship", k=5)).next_cursor
    assert cursor
    with pytest.raises(StaleCursor, match="belongs to books_0, and books_1 is searched now.*first page"):
        engine.search(
            Query(cursor=replace(Cursor.decode(cursor, BookFilters), collection="books_0").encode())
        )


def test_a_cursor_whose_vector_is_of_another_model(engine: SearchEngine) -> None:
    cursor = engine.search(Query("red ship", k=5)).next_cursor
    assert cursor
    read = Cursor.decode(cursor, BookFilters)
    assert read.vector is not None
    for vector in (read.vector[:8], None):
        with pytest.raises(InvalidQuery, match="the cursor was changed"):
            engine.search(Query(cursor=replace(read, vector=vector).encode()))

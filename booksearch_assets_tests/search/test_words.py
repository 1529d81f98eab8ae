"""Searching words where the store ranks them itself: the same answers as from the file of words."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from booksearch_assets.search.books import BookFilters, YearRange
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.item_index import ItemIndex
from booksearch_assets.search.query import MatchedBy, Query, SearchMode
from booksearch_assets_tests.search import library
from booksearch_assets_tests.vectorstores.opensearch import open_opensearch

BOOKS = [
    ("OL1M", "OL1W", 1, "red ship storm", 2012),
    ("OL2M", "OL1W", 2, "red ship", 2016),
    ("OL3M", "", 3, "blue wolf moon", 2014),
    ("OL4M", "", 4, "blue ship moon", 2018),
    ("OL5M", "", 5, "black wolf", 2020),
]
DETAILS = {
    "OL1M": {"title": "The Lighthouse", "authors": ["Virginia Woolf"]},
    "OL2M": {"title": "To the Lighthouse", "authors": ["Virginia Woolf"]},
    "OL3M": {"title": "Lighthouse", "authors": ["Chloé Morrison"]},
    "OL4M": {"title": "Wolves", "subjects": ["Lighthouse keepers"]},
    "OL5M": {"title": "Plain"},
}


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[SearchEngine, SearchEngine]]:
    """Over the same books: on OpenSearch, and on the index that has no words of its own."""
    shelf = library.shelf(BOOKS, name=f"books_{secrets.token_hex(4)}", **DETAILS)
    with open_opensearch() as store:
        store.create(shelf.spec)
        store.load(shelf.spec.name, shelf.scan(shelf.spec.schema.names))
        store.seal(shelf.spec.name)
        encoder = library.WordEncoder()
        yield SearchEngine(store.index(shelf.spec.name), encoder), SearchEngine(shelf, encoder)
        store.drop(shelf.spec.name)


@pytest.mark.parametrize(
    "query",
    [
        Query("lighthouse", mode=SearchMode.LEXICAL),
        Query("lighthouse", mode=SearchMode.LEXICAL, collapse=False),
        Query("LIGHTHOUSE woolf", mode=SearchMode.LEXICAL, collapse=False),
        Query("chloe morrison", mode=SearchMode.LEXICAL),
        Query("lighthouse", without="woolf", mode=SearchMode.LEXICAL),
        Query("lighthouse", filters=BookFilters(years=YearRange(2014, 2018)), mode=SearchMode.LEXICAL),
        Query("nowhere", mode=SearchMode.LEXICAL),
        Query("ship wolf", collapse=False),
        Query("plain", collapse=False),
    ],
    ids=lambda query: f"{query.mode} {query.text} {query.without or ''}",
)
def test_both_ways_find_the_same_books(engines: tuple[SearchEngine, SearchEngine], query: Query) -> None:
    native, plain = (engine.search(query).results for engine in engines)
    assert {result.edition_key for result in native} == {result.edition_key for result in plain}
    assert [result.edition_key for result in native][:1] == [result.edition_key for result in plain][:1]
    assert {r.edition_key: r.matched_by for r in native} == {r.edition_key: r.matched_by for r in plain}


def test_the_words_are_the_stores_own(
    engines: tuple[SearchEngine, SearchEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the file of words was asked")

    monkeypatch.setattr(ItemIndex, "find", never)
    native, plain = engines
    found = native.search(Query("virginia woolf", collapse=False)).results
    assert {r.edition_key for r in found if r.matched_by is not MatchedBy.SEMANTIC} == {"OL1M", "OL2M"}
    with pytest.raises(AssertionError, match="file of words"):
        plain.search(Query("virginia woolf"))

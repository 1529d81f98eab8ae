"""Finding words, counting, and the copies of one item."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booksearch_assets.search.books import BookFilters
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.folding import folded
from booksearch_assets.search.item_index import Candidate, ItemIndex
from booksearch_assets.search.query import MatchedBy, Query, SearchMode
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets_tests.search import library

TITLES = {
    "OL1M": "The Lighthouse",
    "OL2M": "L’Étranger",
    "OL3M": 'She said "NEAR the sea" (a novel)',
    "OL4M": "Sea wolves",
    "OL5M": "To the lighthouse",
    "OL6M": "It",
    "OL7M": "...",
    "OL8M": "NOT AND OR",
}
SUBJECTS = {"OL4M": ["Lighthouse keepers"], "OL6M": ["Sea stories", "sea Stories"]}
AUTHORS = {"OL1M": ["Emily St. John"], "OL4M": ["Gabriel García Márquez"]}
LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")


@pytest.fixture(scope="module")
def index() -> ExactIndex:
    books = [(key, "", number, "ship", 2015) for number, key in enumerate(TITLES)]
    others = [(f"OL{n}M", "", n, "moon", 2020) for n in range(100, 140)]
    details = {
        key: {
            "title": title,
            "subjects": SUBJECTS.get(key, ["Fiction"]),
            "authors": AUTHORS.get(key, ["Nobody"]),
        }
        for key, title in TITLES.items()
    }
    plain = {key: {"title": "Common ground"} for key, *_ in others}
    return library.shelf(books + others, **details, **plain)


@pytest.fixture(scope="module")
def words(index: ExactIndex) -> ItemIndex:
    return ItemIndex.temporary(index)


def _found(words: ItemIndex, text: str, without: str = "") -> list[str]:
    return [item.key for item in words.find(text, without, BookFilters(), 100)]


def test_titles_count_more_than_subjects(words: ItemIndex) -> None:
    assert _found(words, "lighthouse")[2:] == ["OL4M"]
    assert _found(words, "to the LIGHTHOUSE!") == ["OL5M"]
    assert _found(words, "garcia marquez wolves") == ["OL4M"]
    assert sorted(_found(words, "lighthouse", without="keepers")) == ["OL1M", "OL5M"]


@pytest.mark.parametrize(
    ("text", "key"),
    [("letranger", "OL2M"), ("L'ETRANGER", "OL2M"), ("l‘étranger", "OL2M"), ("it", "OL6M"), ("...", "OL7M")],
)
def test_an_exact_title_whatever_its_letters(words: ItemIndex, text: str, key: str) -> None:
    assert [item.key for item in words.titled(text, BookFilters(), 5)] == [key]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('"near', ["OL3M"]),
        ("NEAR(sea, novel)", ["OL3M"]),
        ("title:sea", []),
        ("sea*", ["OL4M", "OL6M", "OL3M"]),
        ("NOT", ["OL8M"]),
        ("sea OR wolves", []),
        ("' OR 1=1 --", []),
        ("", []),
    ],
)
def test_operators_are_words(words: ItemIndex, text: str, keys: list[str]) -> None:
    assert sorted(_found(words, text)) == sorted(keys)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(LETTERS), without=st.text(LETTERS, max_size=5), author=st.text(LETTERS))
def test_any_text_is_data(words: ItemIndex, text: str, without: str, author: str) -> None:
    words.find(text, without, BookFilters(author=author if author.strip() else None), 10)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_common_words_are_left_out_where_others_tell_more(words: ItemIndex) -> None:
    assert _found(words, "lighthouse ground") == _found(words, "lighthouse")
    assert len(_found(words, "common ground")) == 40
    assert words.find("ground", "", BookFilters(), 100, telling_only=True) == []


def test_hybrid_puts_an_exact_title_first(index: ExactIndex, words: ItemIndex) -> None:
    engine = SearchEngine(index, library.WordEncoder(), words)
    results = engine.search(Query("the lighthouse", k=48)).results
    assert results[0].edition_key == "OL1M"
    assert results[0].matched_by is MatchedBy.BOTH
    assert "OL5M" in {r.edition_key for r in results[1:3]}
    assert all(r.score is not None for r in results)
    # Forty books look like a moon, and one is titled It.
    for mode in (SearchMode.HYBRID, SearchMode.LEXICAL):
        assert engine.search(Query("it", k=1, mode=mode)).results[0].edition_key == "OL6M"
        assert engine.search(Query("The Lighthouse!", k=1, mode=mode)).results[0].edition_key == "OL1M"
    semantic = engine.search(Query("moon", mode=SearchMode.SEMANTIC, k=40)).results
    assert {r.year for r in semantic} == {2020}
    assert all(r.matched_by is MatchedBy.SEMANTIC for r in semantic)


def test_two_spellings_of_a_subject_count_once(words: ItemIndex) -> None:
    counts = {c.value: c.count for c in words.facets(BookFilters(), 10)["subjects"]}
    assert counts == {"Fiction": 46, "Lighthouse keepers": 1, "sea Stories": 1}


def test_the_file_is_made_once_and_read_by_many(index: ExactIndex, tmp_path: Path) -> None:
    opened = ItemIndex.open(index, tmp_path)
    [file] = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    again = ItemIndex.open(index, tmp_path)
    assert file.stat().st_mtime_ns == before
    found: list[list[Candidate]] = []

    def ask() -> None:
        found.append(again.find("lighthouse", "", BookFilters(), 5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [opened.find("lighthouse", "", BookFilters(), 5)] * 8
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        again._connection.execute("DELETE FROM items")

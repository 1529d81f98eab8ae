"""What may be asked."""

from __future__ import annotations

from typing import Any

import pytest

from booksearch_assets.search.books import BookFilters, PageRange, YearRange
from booksearch_assets.search.query import InvalidQuery, Query, SearchMode, Template


@pytest.mark.parametrize(
    ("text", "years", "shown"),
    [
        ("2015..2020", (2015, 2020), "2015..2020"),
        ("2015", (2015, 2015), "2015"),
        (" 2015 .. 2015 ", (2015, 2015), "2015"),
        ("2015..", (2015, None), "2015.."),
        ("..2020", (None, 2020), "..2020"),
    ],
)
def test_years_that_can_be_read(text: str, years: tuple[int | None, int | None], shown: str) -> None:
    assert YearRange.parse(text) == YearRange(*years)
    assert str(YearRange.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "..", "2015-2020", "2015 2020", "2015...2020", "MMXV", "-5"])
def test_years_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidQuery, match=r"expected 2015\.\.2020, 2015\.\., \.\.2020 or 2015"):
        YearRange.parse(text)


def test_reversed_spans() -> None:
    with pytest.raises(InvalidQuery, match=r"years 2020\.\.2015 are reversed; write 2015\.\.2020"):
        YearRange.parse("2020..2015")
    with pytest.raises(InvalidQuery, match="pages have no bounds"):
        PageRange()


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_an_empty_query(text: str | None) -> None:
    with pytest.raises(InvalidQuery, match="empty; give a text, a picture"):
        Query(text=text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 0}, "1 to 1000"),
        ({"k": 1001}, "1 to 1000"),
        ({"text_weight": float("nan")}, "text_weight is nan"),
        ({"image_weight": -1.0}, "image_weight is -1"),
        ({"text": "x" * 2001}, "text has 2001 characters; give 2000"),
        ({"without": "\0"}, "null character"),
        ({"text": "\ud800"}, "surrogate"),
        ({"mode": "psychic"}, "mode 'psychic': expected one of semantic, lexical, hybrid"),
        ({"template": "poem"}, "template 'poem': expected one of none, cover"),
        ({"text": None, "like": "OL1M", "mode": "lexical"}, "lexical search compares words"),
    ],
)
def test_values_out_of_bounds(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidQuery, match=message):
        Query(**({"text": "ship"} | wrong))


def test_empty_filters() -> None:
    assert not BookFilters()
    assert BookFilters(author="x")
    with pytest.raises(InvalidQuery, match="the subject to filter by is empty"):
        BookFilters(subject=" ")


def test_defaults() -> None:
    assert Query("ship").effective_mode is SearchMode.HYBRID
    assert Query("ship", like="OL1M").effective_mode is SearchMode.SEMANTIC
    assert Query("ship", image=b"x").effective_mode is SearchMode.SEMANTIC
    assert Query("ship", template="cover").template is Template.COVER  # type: ignore[arg-type]

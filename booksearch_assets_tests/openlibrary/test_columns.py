"""Whole columns say of each text what is said of it alone."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.openlibrary.columns import (
    OTHER_SPACE,
    first_of_each,
    folded,
    isbns,
    lists,
    numbers_in,
    stripped,
)

# White space of every kind, what is none though it looks so, and digits and letters that are not ASCII.
TEXT = st.text(st.sampled_from("ab1-/\u00e9\u0661\u00b2\u200b \t\n\x1c\x85\u00a0\u2003\u3000"), max_size=8)


def column(texts: list[str | None]) -> pa.StringArray:
    return pa.array(texts, pa.string())


def test_white_space_is_what_python_takes_for_it() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    found = pa.array(characters).filter(pc.match_substring_regex(pa.array(characters), OTHER_SPACE))
    assert found.to_pylist() == [each for each in characters if each.isspace() and each != " "]


@given(st.lists(st.none() | TEXT))
def test_texts_are_folded_stripped_and_bared(texts: list[str | None]) -> None:
    def each(change: Callable[[str], str]) -> list[str | None]:
        return [change(text) or None if text else None for text in texts]

    assert folded(column(texts)).to_pylist() == each(lambda text: " ".join(text.split()))
    assert stripped(column(texts)).to_pylist() == each(str.strip)
    assert isbns(column(texts)).to_pylist() == each(lambda text: "".join(text.split()).replace("-", ""))


@given(st.lists(st.none() | st.lists(TEXT, max_size=4)))
def test_lists_keep_what_is_left_of_their_texts(values: list[list[str] | None]) -> None:
    found = lists(values, folded)
    found.validate(full=True)
    expected = [[" ".join(text.split()) for text in texts or [] if text.split()] for texts in values]
    assert found.to_pylist() == expected
    assert first_of_each(found).to_pylist() == [texts[0] if texts else None for texts in expected]


@given(st.lists(st.none() | st.sampled_from(["1", "22", ""])))
def test_a_number_is_asked_for_once_for_each_text(texts: list[str | None]) -> None:
    asked: list[str | None] = []

    def read(text: str | None) -> int | None:
        asked.append(text)
        return int(text) if text else None

    assert numbers_in(column(texts), read).to_pylist() == [int(text) if text else None for text in texts]
    assert sorted(map(str, asked)) == sorted({text for text in texts if text is not None})

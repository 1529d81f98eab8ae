"""Numbers of pages in MARC paginations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.openlibrary.pagination import largest_number
from booksearch_assets_tests.openlibrary import oracle


@pytest.mark.parametrize(
    ("pagination", "pages"),
    [
        ("vi, 320 p.", 320),
        ("438, [2] p. ;", 438),
        ("xxxii, 448 p., [6] leaves of plates :", 448),
        ("391p.", 391),
        ("1 v. (unpaged) :", 1),
        ("p. cm.", None),
        ("0 p.", None),
        ("000320", 320),
        ("49999", 49_999),
        ("50000", None),
        ("1234567, 12 p.", 12),
        ("9" * 9000, None),
        ("\u0663\u0662\u0660", None),
        ("", None),
        (None, None),
    ],
)
def test_largest_number(pagination: str | None, pages: int | None) -> None:
    assert largest_number(pagination) == pages


@given(st.text(st.sampled_from("0123456789 px[],"), max_size=20))
def test_agrees_with_the_oracle(pagination: str) -> None:
    assert largest_number(pagination) == oracle.pages_in(pagination)

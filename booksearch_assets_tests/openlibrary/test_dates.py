"""Years in free text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.openlibrary.dates import first_four_digits, publish_year
from booksearch_assets_tests.openlibrary import oracle


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2019", 2019),
        ("c2019", 2019),
        ("[2019?]", 2019),
        ("20190412", 2019),
        ("2019-04-12", 2019),
        ("Printed 1234, 2019", 2019),
        ("20 dezembro 2021", 2021),
        ("2019-2021", 2019),
        ("5780 [2020]", 2020),
        ("2008 reimpresion", 2008),
        ("1400", 1400),
        ("1399", None),
        ("195X", None),
        ("19--", None),
        ("9999", None),
        ("2049", None),
        ("2027", None),
        ("12042019", None),
        ("20191350", None),
        ("201904", None),
        ("12019", None),
        ("\u0662\u0660\u0661\u0669", None),
        ("xxxx", None),
        ("", None),
        (None, None),
    ],
)
def test_publish_year(text: str | None, year: int | None) -> None:
    assert publish_year(text, latest=2026) == year


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("Printed 1234, 2019", 1234),
        ("12042019", 1204),
        ("9999", 9999),
        ("x0042", 42),
        ("195X", None),
        ("", None),
        (None, None),
    ],
)
def test_first_four_digits(text: str | None, digits: int | None) -> None:
    assert first_four_digits(text) == digits


@given(st.text(st.sampled_from("0123456789 -xc[]\u0662"), max_size=20), st.integers(1400, 2100))
def test_agrees_with_the_oracle(text: str, latest: int) -> None:
    assert publish_year(text, latest) == oracle.year_published(text, latest)
    assert first_four_digits(text) == oracle.first_four(text)

"""Which language of a listing is shown."""

from __future__ import annotations

import pytest

from booksearch_assets.abo.languages import DEFAULT_LANGUAGES, check_languages, texts_in
from booksearch_assets.abo.listings import LocalText

NAMES = [
    LocalText("de_DE", "Stuhl"),
    LocalText("en_GB", "Chair, grey"),
    LocalText("en_US", "Chair, gray"),
    LocalText("en_US", "Chair"),
]


@pytest.mark.parametrize(
    ("patterns", "shown"),
    [
        (("en_US", "en"), ["Chair, gray", "Chair"]),
        (("fr_FR", "en"), ["Chair, grey", "Chair, gray", "Chair"]),
        (("fr_FR", "de"), ["Stuhl"]),
        (("fr_FR",), []),
        (("fr_FR", "*"), ["Stuhl", "Chair, grey", "Chair, gray", "Chair"]),
    ],
)
def test_the_first_language_of_the_choice_that_there_is(patterns: tuple[str, ...], shown: list[str]) -> None:
    assert texts_in(NAMES, patterns) == shown


def test_english_of_another_country_stands_in_by_default() -> None:
    assert texts_in(NAMES[:2], DEFAULT_LANGUAGES) == ["Chair, grey"]


def test_a_language_is_no_prefix_of_another() -> None:
    assert texts_in([LocalText("eng_US", "Chair")], ("en",)) == []


@pytest.mark.parametrize("patterns", [(), ("english",), ("en_us",), ("en-US",), ("",)])
def test_what_is_no_choice_is_refused(patterns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="en_US"):
        check_languages(patterns)

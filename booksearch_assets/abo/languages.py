"""Which of a listing's languages is shown.

A choice is a list of patterns in order of preference: a tag (`en_US`), a language in any country (`en`), or `*` for
whatever there is. The first pattern that any text fits decides, and all texts that fit it are given.

Belongs here: that rule. Does not: where the choice is configured (`settings`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from booksearch_assets.abo.listings import LocalText

DEFAULT_LANGUAGES = ("en_US", "en")
"""American English, or else English of another country: what the listings of one shop are mostly in."""

_PATTERN = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?|\*")


def check_languages(patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns as given. Raises ValueError for an empty choice and for what is no pattern."""
    wrong = [pattern for pattern in patterns if not _PATTERN.fullmatch(pattern)]
    if wrong or not patterns:
        found = ", ".join(map(repr, wrong)) or "nothing"
        raise ValueError(f"the languages of products are {found}; expected tags such as en_US, en or *")
    return tuple(patterns)


def texts_in(texts: Iterable[LocalText], patterns: Sequence[str]) -> list[str]:
    """The texts in the first language of the choice that there are any in; empty where none fits."""
    texts = list(texts)
    for pattern in patterns:
        if fitting := [text.value for text in texts if _fits(text.language_tag, pattern)]:
            return list(dict.fromkeys(fitting))
    return []


def _fits(tag: str, pattern: str) -> bool:
    return pattern == "*" or tag == pattern or ("_" not in pattern and tag.partition("_")[0] == pattern)

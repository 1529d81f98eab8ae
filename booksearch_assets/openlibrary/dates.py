"""Years in Open Library's free-text publication dates.

Belongs here: reading a year out of `publish_date`. Does not: which years a filter wants (`profiles`).
"""

from __future__ import annotations

import re
from functools import lru_cache

# Printing with movable type: nothing in the catalogue was published before, while page counts and BCE dates are lower.
FIRST_PLAUSIBLE_YEAR = 1400

# `[0-9]`, since `\d` matches digits of every script in Python and of ASCII alone in Java.
_YEAR = re.compile(r"(?<![0-9])([0-9]{4})(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]))?(?![0-9])")
_FOUR_DIGITS = re.compile(r"[0-9]{4}")
# Dates repeat: a dump has one distinct date for every eight editions (194,008 in 1.5 million), and most editions share few.
_CACHED = 2**15


@lru_cache(_CACHED)
def publish_year(text: str | None, latest: int) -> int | None:
    """The year of publication in `text`: its first four-digit group between 1400 and `latest`.

    A group touches no other digit, save that YYYYMMDD counts as a year with its day: `c2019`, `[2019?]` and
    `20190412` are 2019, `195X` and `201` are none, `Printed 1234, 2019` is 2019. `latest` is the year of the dump: a
    later one is bad data, as it is to Open Library's own import.
    """
    if text:
        for match in _YEAR.finditer(text):
            year = int(match[1])
            if FIRST_PLAUSIBLE_YEAR <= year <= latest:
                return year
    return None


@lru_cache(_CACHED)
def first_four_digits(text: str | None) -> int | None:
    """The first run of four digits in `text`, whatever stands around it: how the article's prototype read a year."""
    match = _FOUR_DIGITS.search(text) if text else None
    return int(match[0]) if match else None

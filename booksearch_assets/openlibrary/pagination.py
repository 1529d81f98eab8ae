"""Page counts in MARC paginations such as `vi, 320 p.`.

Belongs here: reading a number of pages out of `pagination`. Does not: the field `number_of_pages` (`records`).
"""

from __future__ import annotations

import re
from functools import lru_cache

# Open Library's MARC import takes the largest number below this; larger ones are catalogue numbers and years run together.
PAGES_BELOW = 50_000

_NUMBER = re.compile(r"(?<![0-9])0*([1-9][0-9]{0,4})(?![0-9])")
# The same few thousand sizes of books come over and over.
_CACHED = 2**15


@lru_cache(_CACHED)
def largest_number(pagination: str | None) -> int | None:
    """The largest whole number from 1 to 49,999 in `pagination`; None where there is none (`1 v. (unpaged)` has 1)."""
    numbers = (int(digits) for digits in _NUMBER.findall(pagination or ""))
    return max((number for number in numbers if number < PAGES_BELOW), default=None)

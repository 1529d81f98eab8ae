"""Imprints of the sample world: publication dates and page counts as catalogues write them.

Belongs here: the free-text forms seen in Open Library's records, and what each one truly says. Does not: the rules
that read them back (`openlibrary`), the rest of an edition (`world`).
"""

from __future__ import annotations

from typing import NamedTuple

from booksearch_assets.sample.draws import Draws


class Publication(NamedTuple):
    """A date as written (None: no field) and the year that it tells. `doubtful`: readers may differ about it."""

    text: str | None
    year: int | None
    doubtful: bool


class Extent(NamedTuple):
    """The two page fields as written (None: no field) and the pages that they tell."""

    number_of_pages: int | str | None
    pagination: str | None
    pages: int | None
    doubtful: bool


def publication_date(draws: Draws, now: int, recent_share: float) -> Publication:
    """A date, of the ten years up to `now` for `recent_share` of those that have a year.

    No date is of the year `now` - 10: whether it is recent is a matter of taste, which filters settle themselves.
    """
    if draws.chance(_NO_YEAR_SHARE):
        return Publication(draws.choice(_NO_YEAR), None, False)
    recent = draws.chance(recent_share)
    year = now - draws.below(10) if recent else now - 11 - min(draws.below(100), draws.below(100))
    doubtful, pattern = draws.weighted(_RECENT if recent else _OLD)
    month, day = draws.below(12), draws.between(1, 28)
    text = pattern.format(y=year, month=_MONTHS[month], mon=_MONTHS[month][:3], m=month + 1, d=day)
    return Publication(text, year, doubtful)


def extent(draws: Draws, long_share: float) -> Extent:
    """A page count, above 100 for `long_share` of the editions."""
    if not draws.chance(long_share):
        return _short_extent(draws)
    pages = draws.between(101, 420) + draws.below(200)
    pagination = draws.choice(_PAGINATIONS).format(pages)
    number, written, doubtful = draws.weighted(
        (
            (0.64, (pages, None, False)),
            (0.18, (pages, pagination, False)),
            (0.15, (None, pagination, False)),
            (0.02, (str(pages), None, True)),
            (0.01, (0, pagination, True)),
        )
    )
    return Extent(number, written, pages, doubtful)


def _short_extent(draws: Draws) -> Extent:
    if draws.chance(0.4):
        number, written = draws.choice(_NO_PAGES)
        return Extent(number, written, None, False)
    pages = 100 if draws.chance(0.1) else draws.between(4, 99)
    number, written = draws.choice(((pages, None), (pages, f"{pages} p. :"), (None, f"iv, {pages} p. ;")))
    return Extent(number, written, pages, False)


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip

# Weight, (doubtful, pattern). Doubtful: the year is no word of its own, or not the first year that is written.
_RECENT = (
    (0.42, (False, "{y}")),
    (0.15, (False, "{month} {y}")),
    (0.2, (False, "{month} {d}, {y}")),
    (0.09, (False, "{mon} {d:02}, {y}")),
    (0.06, (False, "{y}-{m:02}-{d:02}")),
    (0.02, (False, "{d} {month} {y}")),
    (0.012, (False, "{d} dezembro {y}")),
    (0.012, (False, "[{y}?]")),
    (0.011, (False, "{y} reimpresion")),
    (0.009, (False, "{y}?")),
    (0.008, (True, "c{y}")),
    (0.004, (True, "{y}{m:02}{d:02}")),
    (0.004, (True, "Printed 1234, {y}")),
)
_OLD = (
    (0.48, (False, "{y}")),
    (0.12, (False, "{month} {y}")),
    (0.12, (False, "{month} {d}, {y}")),
    (0.1, (False, "December 31, {y}")),
    (0.06, (True, "c{y}")),
    (0.04, (False, "{y}?")),
    (0.04, (False, "[{y}]")),
    (0.02, (False, "{y}, c1901")),
    (0.02, (True, "1888-{y}")),
)
_NO_YEAR_SHARE = 0.03
_NO_YEAR = (None, None, None, None, "195X", "19--?", "[n.d.]", "n.d.", "xxxx", "9999", "2049", "8858", "")
_PAGINATIONS = (
    "vi, {} p.", "{} p. ;", "{} p. :", "xii, {} p. :", "{} p., 16 leaves of plates ;", "2 v. ({} p.) ;", "{}, [3] p. ;",
)  # fmt: skip
_NO_PAGES = ((None, None), (0, None), (None, "1 v. (unpaged) :"), (None, "p. cm."))

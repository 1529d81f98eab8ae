"""A listing file of the ABO release, parsed: every listing once, and what is none with its reason.

Belongs here: from lines to the tables RAW_LISTINGS and LISTINGS_QUARANTINE. Does not: what a listing is (`abo.listings`),
getting the file (`compute.release_files`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from isal import igzip

from booksearch_assets.abo.listings import Listing, Rejected, parse_listing
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.products import LISTINGS_QUARANTINE, RAW_LISTINGS

REPEATED = "repeated"
"""The reason of a listing whose item and shop an earlier line of the file has."""

_TEXTS = ("names", "brands", "colours", "materials", "styles", "keywords", "bullet_points")


class BadListingFile(ValueError):
    """The file is no gzip, or is cut short."""


def parse_listing_file(path: Path) -> tuple[pa.Table, pa.Table, Counts]:
    """The listings of a file, its quarantined lines, and the counts of both. Raises `BadListingFile`.

    Blank lines are no rows: the release's files end with one.
    """
    listings: list[dict[str, Any]] = []
    quarantined: list[dict[str, Any]] = []
    reasons: dict[str, int] = {}
    seen: set[str] = set()
    for number, line in _lines(path):
        found = parse_listing(line)
        if isinstance(found, Listing) and found.product_key not in seen:
            seen.add(found.product_key)
            listings.append(_row(found, number))
            continue
        reason = str(found.reason) if isinstance(found, Rejected) else REPEATED
        reasons[reason] = reasons.get(reason, 0) + 1
        quarantined.append({"line": number, "reason": reason, "raw": line})
    return (
        pa.Table.from_pylist(listings, RAW_LISTINGS.schema),
        pa.Table.from_pylist(quarantined, LISTINGS_QUARANTINE.schema),
        Counts(len(listings) + len(quarantined), len(listings), reasons),
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with igzip.open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line := line.strip():
                    yield number, line
    except (OSError, EOFError) as error:
        raise BadListingFile(
            f"{path} is no whole gzip file ({error}); expected listings/metadata/listings_<0..f>.json.gz as published"
        ) from error


def _row(listing: Listing, number: int) -> dict[str, Any]:
    fields = listing._asdict()
    texts = {name: [text._asdict() for text in fields[name]] for name in _TEXTS}
    return fields | texts | {"product_key": listing.product_key, "line": number}

"""The covers service: its addresses, how it says that there is no cover, and which hosts it sends readers to.

Belongs here: pure rules (`coverstore/code.py` and `config.py` of Open Library). Does not: asking (`compute.fetch`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

# Archived covers lie at archive.org, which sends readers on to the machine that holds them.
COVER_HOSTS = ("covers.openlibrary.org", "archive.org", "*.us.archive.org")

_OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex"})
_VALUED_DIRECTIVES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_OUR_TOKEN = "booksearch_assets"


class CoverSize(StrEnum):
    """Bounding boxes of the service (openlibrary/coverstore/config.py), aspect kept."""

    SMALL = "S"
    """116 x 58 px."""
    MEDIUM = "M"
    """180 x 360 px: narrower than the 224 px that CLIP wants."""
    LARGE = "L"
    """500 x 500 px."""


def cover_url(base_url: str, cover_id: int | str, size: CoverSize = CoverSize.LARGE) -> str:
    """The URL of a cover by its id, which answers 404 and not a blank picture where there is none.

    Raises `ValueError` for the ids, from 0 down, by which records say that they have no cover.
    """
    if isinstance(cover_id, int) and cover_id <= 0:
        raise ValueError(f"expected a cover id above 0, got {cover_id}; leave out records that have no cover")
    return f"{base_url.rstrip('/')}/b/id/{cover_id}-{size}.jpg?default=false"


def is_blank(width: int, height: int) -> bool:
    """Whether a picture of this size is the one pixel that the service sends, with status 200, for a missing cover."""
    return width <= 1 and height <= 1


def opts_out(robots_tags: Iterable[str]) -> bool:
    """Whether X-Robots-Tag headers ask that the picture is not used for indexing or AI.

    A directive may name the one crawler that it is for (`googlebot: noindex`); those of others do not count.
    """
    for tag in robots_tags:
        agent, named, directives = tag.lower().partition(":")
        if not named or "," in agent or agent.strip() in _VALUED_DIRECTIVES:
            directives = tag.lower()
        elif agent.strip() != _OUR_TOKEN:
            continue
        if _OPT_OUTS & {directive.strip() for directive in directives.split(",")}:
            return True
    return False

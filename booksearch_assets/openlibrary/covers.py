"""The covers service: its addresses, how it says that there is no cover, and which hosts it sends readers to.

Belongs here: pure rules (`coverstore/code.py` of Open Library). Does not: asking (`compute.fetch`).
"""

from __future__ import annotations

from collections.abc import Iterable

COVERS = "https://covers.openlibrary.org"

# Archived covers lie at archive.org, which sends readers on to the machine that holds them.
COVER_HOSTS = ("covers.openlibrary.org", "archive.org", "*.us.archive.org")

_OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex"})
_VALUED_DIRECTIVES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_OUR_TOKEN = "booksearch_assets"


def cover_url(base: str, cover_id: int, size: str = "L") -> str:
    """The address of a cover by its id: S, M or L, where L is at most 500 x 500 px.

    `default=false` makes the service answer 404 for a missing cover, instead of a blank picture.
    """
    if size not in ("S", "M", "L") or cover_id <= 0:
        raise ValueError(f"expected a cover id above 0 and a size of S, M or L, got {cover_id} and {size!r}")
    return f"{base.rstrip('/')}/b/id/{cover_id}-{size}.jpg?default=false"


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

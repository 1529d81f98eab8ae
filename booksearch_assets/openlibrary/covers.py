"""The covers service: where a cover is.

Belongs here: URLs of covers. Does not: fetching them (`compute.fetch`).
"""

from __future__ import annotations

from enum import StrEnum


class CoverSize(StrEnum):
    """Bounding boxes of the service (openlibrary/coverstore/config.py), aspect kept."""

    SMALL = "S"
    """116 x 58 px."""
    MEDIUM = "M"
    """180 x 360 px: narrower than the 224 px that CLIP wants."""
    LARGE = "L"
    """500 x 500 px."""


def cover_url(base_url: str, cover_id: int | str, size: CoverSize = CoverSize.LARGE) -> str:
    """The URL of a cover by its id, which answers 404 and not a blank picture where there is none."""
    return f"{base_url.rstrip('/')}/b/id/{cover_id}-{size}.jpg?default=false"

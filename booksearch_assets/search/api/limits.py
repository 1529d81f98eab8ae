"""How much one request may ask for, and who may ask.

Belongs here: figures, and where they come from. Does not: enforcing them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_PAGE = 100
"""Results of one answer: fewer than the engine gives, since anybody may ask for them."""

MAX_NAME = 300
"""Characters of a name to filter by."""

MAX_CURSOR = 40_000
"""Characters: a cursor holds the vector and the texts of its query."""

MAX_URL = 2_000
MAX_IMAGE_ID = 2**53


@dataclass(frozen=True)
class Limits:
    """What one request costs at most. Sizes are in bytes, times in seconds."""

    image_bytes: int = 10_000_000
    image_pixels: int = 50_000_000
    fetch_seconds: float = 10.0
    fetch_redirects: int = 3
    body_seconds: float = 30.0
    search_seconds: float = 30.0
    threads: int = 16
    """Searches at a time: enough that their texts are encoded in batches."""
    waiting: int = 200
    """Searches that wait for a thread; more are refused at once."""

    @property
    def body_bytes(self) -> int:
        """A picture, and the form around it."""
        return self.image_bytes + 100_000


@dataclass(frozen=True)
class ApiSettings:
    """`tokens` empty: anybody may ask. `requests_per_minute` None: as often as they like.

    `contact` is told to hosts whose pictures are fetched.
    """

    tokens: tuple[str, ...] = field(default=(), repr=False)
    requests_per_minute: int | None = None
    contact: str = ""
    limits: Limits = Limits()

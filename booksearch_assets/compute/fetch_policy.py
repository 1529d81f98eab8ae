"""How politely and how patiently pictures are fetched, and the names of what can become of one.

Belongs here: the closed set of outcomes and the settings of a fetch. Does not: asking (`compute.fetch_client`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from booksearch_assets.openlibrary.covers import COVER_HOSTS


class FetchStatus(Enum):
    """What became of one picture. `REFUSED`: it is forbidden to us, by the host, its headers or our host list."""

    OK = "ok"
    MISSING = "missing"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    NETWORK_ERROR = "network_error"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    REFUSED = "refused"


RETRYABLE = frozenset({FetchStatus.THROTTLED, FetchStatus.SERVER_ERROR, FetchStatus.NETWORK_ERROR})


class FetchStopped(Exception):
    """The fetch ended early, since going on would mark covers as failed that only the service failed on.

    What was finished is in the cache; the message says what the service did and when to run again.
    """


@dataclass(frozen=True)
class FetchPolicy:
    """Settings of one fetch. Times are in seconds.

    The covers service answers 429 above 400 requests a minute from one address, so no second fetch should run
    beside this one. Besides `allowed_hosts` (patterns), the hosts of the wanted URLs themselves may be asked.
    """

    requests_per_minute: float = 300
    burst: int = 10
    concurrency: int = 16
    timeout: float = 30.0
    max_attempts: int = 4
    backoff_base: float = 1.0
    backoff_cap: float = 60.0
    longest_pause: float = 600.0
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    give_up_after: int = 50
    contact: str = ""
    allowed_hosts: tuple[str, ...] = COVER_HOSTS

    def __post_init__(self) -> None:
        for name in (
            "requests_per_minute",
            "burst",
            "concurrency",
            "timeout",
            "max_attempts",
            "give_up_after",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    @property
    def user_agent(self) -> str:
        return f"booksearch_assets (+{self.contact})" if self.contact else "booksearch_assets"

    def allows(self, host: str) -> bool:
        return any(fnmatchcase(host.lower(), pattern) for pattern in self.allowed_hosts)

    def require_contact(self, hosts: set[str]) -> None:
        """Raises `ValueError` where a real service would be asked with no way to reach who asks."""
        real = sorted(host for host in hosts if not is_loopback(host))
        if real and not ("@" in self.contact or "://" in self.contact):
            raise ValueError(
                f"expected a contact (an e-mail address or a page) before asking {', '.join(real[:3])}, "
                f"got {self.contact!r}; set BOOKSEARCH_CONTACT"
            )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"

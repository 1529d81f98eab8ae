"""Who may ask, and how often.

Belongs here: bearer tokens, and the rate of each client. Does not: limits of one request (`limits`, `guards`).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from booksearch_assets.search.api.problems import ProblemKind, problem_response

_OPEN_COST = {"/healthz": 0.0, "/readyz": 0.0}
_CATALOGUE = "/v1/catalogue"
_PICTURE_COST = 0.05
_MOST_CLIENTS = 10_000


class Tokens:
    """The tokens that are let in; only their digests are kept."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def holder(self, authorization: str | None) -> str | None:
        """A name for whoever sent this Authorization header (RFC 6750), or None without a valid token.

        Takes as long for a token that is nearly right as for one that is not, and for each of the tokens.
        """
        scheme, _, token = (authorization or "").partition(" ")
        digest = _digest(token.strip())
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            return None
        return f"token {matches.index(True) + 1}"


class RateLimit:
    """A bucket for each client that holds a minute's requests and fills steadily. Safe for many threads.

    Keeps the ten thousand clients that asked last.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._per_second, self._clock = float(per_minute), per_minute / 60, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str, cost: float = 1.0) -> float:
        """0 where the client may go on, else the seconds until it may."""
        now = self._clock()
        with self._lock:
            left, at = self._buckets.pop(client, (self._most, now))
            left = min(self._most, left + (now - at) * self._per_second)
            granted = left >= cost
            self._buckets[client] = (left - cost if granted else left, now)
            if len(self._buckets) > _MOST_CLIENTS:
                self._buckets.popitem(last=False)
        return 0.0 if granted else (cost - left) / self._per_second


class AccessGuard:
    """Answers 401 and 429 before anything else looks at a request.

    The page, what it is told of the catalogue, and the pictures below `pictures` need no token: a browser sends none
    for them. What the page finds comes from the rest of /v1, which does. Requests without a valid token count for their address, those with one for the token.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, rate: RateLimit | None, pictures: str) -> None:
        self._app, self._tokens, self._rate = app, tokens, rate
        self._pictures = f"{pictures}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN_COST:
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        holder = self._tokens.holder(Headers(scope=scope).get("authorization")) if self._tokens else None
        client = holder or client_address(scope)
        scope["booksearch.client"] = client
        wait = self._rate.take(client, self._cost(path)) if self._rate else 0.0
        if wait:
            seconds = math.ceil(wait)
            answer = problem_response(
                ProblemKind.TOO_MANY,
                f"the rate of this client is used up; ask again in {seconds} s",
                {"Retry-After": str(seconds)},
            )
            await answer(scope, receive, send)
        elif self._tokens and holder is None and self._needs_token(path):
            answer = problem_response(
                ProblemKind.UNAUTHORIZED,
                "send a token that this service knows, as Authorization: Bearer TOKEN",
                {"WWW-Authenticate": 'Bearer realm="booksearch"'},
            )
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _needs_token(self, path: str) -> bool:
        return path == "/metrics" or self._is_asked(path)

    def _cost(self, path: str) -> float:
        """A page of results shows dozens of pictures."""
        return 1.0 if self._is_asked(path) else _PICTURE_COST

    def _is_asked(self, path: str) -> bool:
        return path.startswith("/v1/") and not path.startswith(self._pictures) and path != _CATALOGUE


def client_address(scope: Scope) -> str:
    """The address that a request came from; of IPv6 the network, since one client has a whole /64."""
    host = (scope.get("client") or ("unknown",))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()

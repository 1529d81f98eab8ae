"""Fetching one picture: the request, its redirects, its limits, and what the answer means.

Belongs here: one URL to one outcome. Does not: which pictures, how often, where to (`compute.fetch`).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Self
from urllib.request import getproxies

import aiohttp
from PIL import Image
from yarl import URL

from booksearch_assets.compute.fetch_files import is_file, read_file
from booksearch_assets.compute.fetch_policy import FetchPolicy, FetchStatus, is_loopback
from booksearch_assets.compute.rate_limit import HostLimiter, retry_after_seconds
from booksearch_assets.openlibrary.covers import is_blank, opts_out

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_SMALL_BODY = 1 << 16


@dataclass(frozen=True)
class Answer:
    """The outcome of one attempt; what is known of the picture depends on how far it came.

    Sizes are in px; `seconds` leaves out the waiting for the host's turn.
    """

    status: FetchStatus
    host: str
    http_status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    content_type: str | None = None
    etag: str | None = None
    content: bytes | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float = 0.0


class FetchClient:
    """Asks for pictures over kept-alive connections; `requests` and `received` (bytes) count what went over the wire.

    For one event loop; an asynchronous context manager.
    """

    def __init__(
        self, policy: FetchPolicy, hosts: frozenset[str], limiter: HostLimiter, decoders: Executor
    ) -> None:
        self.policy, self.limiter = policy, limiter
        self.requests = self.received = 0
        self._hosts, self._decoders = hosts, decoders

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.policy.concurrency),
            timeout=aiohttp.ClientTimeout(total=self.policy.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            # The original bytes are kept, so nothing may be encoded on the way.
            headers={
                "User-Agent": self.policy.user_agent,
                "Accept": "image/*",
                "Accept-Encoding": "identity",
            },
            # aiohttp looks for proxies again at each request, which costs more than the request.
            trust_env=bool(getproxies()),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, url: str) -> Answer:
        """One attempt at a picture, its redirects followed. Never raises for what a server or a picture does."""
        waits: list[float] = []
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        if is_file(url):
            answer = await loop.run_in_executor(self._decoders, self._taken, url)
        else:
            answer = await self._attempt(url, waits)
        if answer.content is not None:
            answer = await loop.run_in_executor(self._decoders, _inspected, answer, self.policy.max_pixels)
        return replace(answer, seconds=time.monotonic() - began - sum(waits))

    def _taken(self, place: str) -> Answer:
        """The outcome for a picture that is a file of this machine or an object of S3, where nobody need be asked."""
        self.requests += 1
        try:
            content = read_file(place, self.policy.max_bytes)
        except FileNotFoundError as error:
            return Answer(FetchStatus.MISSING, "", error=str(error))
        except PermissionError as error:
            return Answer(FetchStatus.REFUSED, "", error=str(error))
        except OSError as error:
            return Answer(FetchStatus.NETWORK_ERROR, "", error=f"{type(error).__name__}: {error}")
        if len(content) > self.policy.max_bytes:
            return Answer(FetchStatus.TOO_LARGE, "", error=f"more than {self.policy.max_bytes:,} bytes")
        self.received += len(content)
        return Answer(FetchStatus.OK, "", content=content)

    async def _attempt(self, url: str, waits: list[float]) -> Answer:
        host = ""
        try:
            target = _address(url)
            for _ in range(_MAX_REDIRECTS + 1):
                host = target.host or ""
                if not self.may_ask(target):
                    return Answer(FetchStatus.REFUSED, host, error=f"{target} is not at an allowed host")
                asked = time.monotonic()
                await self.limiter[host].acquire()
                waits.append(time.monotonic() - asked)
                self.requests += 1
                async with self._session.get(target, allow_redirects=False) as response:
                    location = response.headers.get("Location")
                    if response.status not in _REDIRECTS or not location:
                        return await self._read(response, host)
                    target = target.join(_address(location))
            return Answer(FetchStatus.SERVER_ERROR, host, error=f"more than {_MAX_REDIRECTS} redirects")
        except TimeoutError:
            return Answer(
                FetchStatus.NETWORK_ERROR, host, error=f"no whole answer in {self.policy.timeout:g} s"
            )
        except (aiohttp.ClientError, OSError) as error:
            return Answer(FetchStatus.NETWORK_ERROR, host, error=f"{type(error).__name__}: {error}")
        except ValueError as error:
            return Answer(FetchStatus.REFUSED, host, error=f"not an address: {error}")

    def may_ask(self, target: URL) -> bool:
        """Whether an address is at a host of the wanted URLs, or at one that they may send us on to."""
        host = target.host or ""
        if target.scheme not in ("http", "https"):
            return False
        # A local stand-in for the services redirects between the names of this machine; a real one has no business there.
        local = is_loopback(host) and any(is_loopback(wanted) for wanted in self._hosts)
        return host in self._hosts or local or self.policy.allows(host)

    async def _read(self, response: aiohttp.ClientResponse, host: str) -> Answer:
        headers = response.headers
        answer = Answer(
            FetchStatus.OK,
            host,
            response.status,
            retry_after=retry_after_seconds(headers.get("Retry-After")),
            content_type=headers.get("Content-Type"),
            etag=headers.get("ETag"),
        )
        length = response.content_length
        if response.status != 200:
            # An unread body would cost the connection.
            if length is not None and length <= _SMALL_BODY:
                await response.read()
            return replace(answer, status=_meaning(response.status), error=f"HTTP {response.status}")
        if opts_out(headers.getall("X-Robots-Tag", ())):
            tags = ", ".join(headers.getall("X-Robots-Tag"))
            return replace(answer, status=FetchStatus.REFUSED, error=f"X-Robots-Tag: {tags}")
        body = bytearray()
        if length is None or length <= self.policy.max_bytes:
            async for block in response.content.iter_any():
                body += block
                self.received += len(block)
                if len(body) > self.policy.max_bytes:
                    break
            else:
                return replace(answer, content=bytes(body))
        return replace(
            answer, status=FetchStatus.TOO_LARGE, error=f"more than {self.policy.max_bytes:,} bytes"
        )


def _address(text: str) -> URL:
    """The address as it was written: archive.org's redirects name files whose quoted slashes must stay quoted."""
    return URL(text, encoded=text.isascii() and " " not in text)


def _meaning(http_status: int) -> FetchStatus:
    """What an answer other than 200 says. Open Library's covers answered 403 above their limit before they said 429."""
    if http_status in (404, 410):
        return FetchStatus.MISSING
    if http_status in (403, 429):
        return FetchStatus.THROTTLED
    return FetchStatus.REFUSED if 400 <= http_status < 500 else FetchStatus.SERVER_ERROR


def _inspected(answer: Answer, max_pixels: int) -> Answer:
    """The answer with the facts of its picture, decoded to its last byte; without content unless it is one."""
    content = answer.content or b""
    try:
        with Image.open(BytesIO(content)) as image:
            width, height = image.size
            if width * height > max_pixels:
                return replace(
                    answer, status=FetchStatus.TOO_LARGE, content=None, error=f"{width} x {height} px"
                )
            # An eighth of the size: every byte is read, at a fraction of the work.
            image.draft(None, (1, 1))
            image.load()
    except Image.DecompressionBombError as error:
        return replace(answer, status=FetchStatus.TOO_LARGE, content=None, error=str(error))
    # Pillow's readers raise whatever a damaged file makes of them: SyntaxError, struct.error, ...
    except Exception as error:  # noqa: BLE001
        told = f"{len(content)} bytes, {answer.content_type}: {error}"
        return replace(answer, status=FetchStatus.UNDECODABLE, content=None, error=told)
    if is_blank(width, height):
        return replace(answer, status=FetchStatus.MISSING, content=None, error="a blank picture")
    return replace(answer, sha256=hashlib.sha256(content).hexdigest(), width=width, height=height)

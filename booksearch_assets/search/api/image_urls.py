"""Fetching a picture from an address that a stranger gave, without becoming a way into the network behind us.

Every connection goes through `PublicNetwork`, redirects as well: it looks a name up once, refuses unless all of its
addresses are public, and connects to one of those very addresses, so that a second answer of the name server changes
nothing. Name and certificate are still checked against the name in the address.

Belongs here: which addresses are public, and fetching within limits. Does not: decoding.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore
import httpx

from booksearch_assets.search.api.limits import Limits

IPAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name. Raises OSError where it has none."""

_REDIRECTS = (301, 302, 303, 307, 308)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_6TO4 = IPv6Network("2002::/16")


class UnusableImageUrl(ValueError):
    """No picture comes from this address; the message says why, and nothing about the network behind us."""


def is_public(address: IPAddress) -> bool:
    """Whether the address belongs to the internet at large (IANA special-purpose address registries).

    Of IPv6 only global unicast, and none of the forms that carry an IPv4 address inside, which would have to be judged
    a second time: mapped and NAT64 addresses are outside 2000::/3, Teredo is not global, 6to4 is excluded.
    """
    if isinstance(address, IPv6Address):
        return address in _GLOBAL_UNICAST and address.is_global and address not in _6TO4
    return address.is_global and not address.is_multicast and not address.is_reserved


async def resolve_name(host: str, port: int) -> list[str]:
    """The addresses that this machine would connect to."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only."""

    def __init__(self, resolve: Resolve, is_allowed: Callable[[IPAddress], bool]) -> None:
        self._resolve, self._is_allowed = resolve, is_allowed
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        if not all(self._is_allowed(address) for address in addresses):
            raise UnusableImageUrl(f"{host} is not on the public internet")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise UnusableImageUrl(f"{host} does not answer")

    async def _addresses(self, host: str, port: int) -> list[IPAddress]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        try:
            return [ip_address(text) for text in await self._resolve(host, port)]
        except (OSError, ValueError):
            # A name that is too long to be looked up is a UnicodeError, which is a ValueError.
            raise UnusableImageUrl(f"{host[:100]} is not a name that can be looked up") from None

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise UnusableImageUrl("an address of a file is no address of a picture")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class ImageUrls:
    """Fetches pictures. `resolve`, `is_allowed` and `tls` are for networks that are not the internet, as in tests."""

    def __init__(
        self,
        limits: Limits,
        contact: str = "",
        resolve: Resolve = resolve_name,
        is_allowed: Callable[[IPAddress], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits
        self._agent = f"booksearch ({contact})" if contact else "booksearch"
        self._network = PublicNetwork(resolve, is_allowed)
        self._tls = tls or ssl.create_default_context()

    async def fetch(self, url: str) -> bytes:
        """The bytes that `url` answers with, after redirects. Raises `UnusableImageUrl`."""
        # A pool of its own for each: connections are not shared between what strangers ask for.
        pool = httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=self._network)
        try:
            async with asyncio.timeout(self._limits.fetch_seconds), pool:
                return await self._followed(pool, _parsed(url))
        except TimeoutError:
            raise UnusableImageUrl(f"no picture came within {self._limits.fetch_seconds:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise UnusableImageUrl(f"the connection failed: {type(error).__name__}") from error

    async def _followed(self, pool: httpcore.AsyncConnectionPool, url: httpx.URL) -> bytes:
        for _ in range(self._limits.fetch_redirects + 1):
            answer = await self._answer(pool, url)
            if isinstance(answer, bytes):
                return answer
            url = _parsed(str(url.join(answer)))
        raise UnusableImageUrl(f"the address redirects more than {self._limits.fetch_redirects} times")

    async def _answer(self, pool: httpcore.AsyncConnectionPool, url: httpx.URL) -> bytes | httpx.URL:
        """The body, or where to go on."""
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/"
        )
        headers = [
            ("Host", url.netloc.decode("ascii")),
            ("User-Agent", self._agent),
            ("Accept", "image/*"),
            # A compressed answer may be a thousand times larger than its bytes.
            ("Accept-Encoding", "identity"),
        ]
        async with pool.stream("GET", target, headers=headers) as response:
            fields = httpx.Headers(response.headers)
            if response.status in _REDIRECTS and "location" in fields:
                return _redirect(fields["location"])
            if response.status != 200:
                raise UnusableImageUrl(f"the address answered with status {response.status}, not 200")
            if fields.get("content-encoding", "identity") != "identity":
                raise UnusableImageUrl("the address answered with a compressed body, which was not asked for")
            return await self._body(response, fields)

    async def _body(self, response: httpcore.Response, fields: httpx.Headers) -> bytes:
        most = self._limits.image_bytes
        told = fields.get("content-length", "0")
        body = bytearray()
        if not told.isdecimal() or int(told) <= most:
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > most:
                    break
            else:
                return bytes(body)
        raise UnusableImageUrl(f"the picture is larger than {most:,} bytes")


def _redirect(location: str) -> httpx.URL:
    try:
        return httpx.URL(location)
    except httpx.InvalidURL:
        raise UnusableImageUrl("the address redirects to what is no address") from None


def _parsed(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
        url.netloc.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise UnusableImageUrl("this is no address; expected one as https://example.org/cover.jpg") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise UnusableImageUrl("the address must begin with http:// or https:// and a host")
    if url.userinfo:
        raise UnusableImageUrl("an address with a user name or password is not fetched")
    return url

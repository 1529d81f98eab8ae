"""The covers service of the sample world: what it answers for a cover, and how it fails.

Belongs here: sizes, redirects, missing and damaged covers, the rate limit, caching. Does not: pictures (`painter`),
which cover is in what state (`world`), sockets and other addresses (`server`).

Modelled on Open Library's coverstore (openlibrary/coverstore/code.py and config.py, docker/covers_nginx.conf).
"""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from aiohttp import web
from PIL import Image

from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.dumps import replacing
from booksearch_assets.sample.painter import paint
from booksearch_assets.sample.scenes import scene_of
from booksearch_assets.sample.world import CoverState, World

# How the covers service says "missing" to a client that does not ask for a 404: a transparent GIF of 1 x 1.
BLANK_GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
_HUNDRED_YEARS = 100 * 365 * 24 * 3600
_PAINTED_HEIGHT = 500
_JPEG_QUALITY = 90


class CoverSize(Enum):
    """The sizes on offer, each the box (width, height) in px that the cover is fitted into; no box: the original."""

    S = (116, 58)
    M = (180, 360)
    L = (500, 500)
    ORIGINAL = (10_000, 10_000)

    @property
    def suffix(self) -> str:
        return "" if self is CoverSize.ORIGINAL else f"-{self.name}"


@dataclass(frozen=True)
class CoverOptions:
    """How the covers service behaves. Shares are of cover ids, and always hit the same ids of a world.

    The rate is far above Open Library's 400 a minute, so that a demo is no exercise in patience.
    """

    requests_per_minute: float = 30_000
    burst: int = 2_000
    redirect_share: float = 0.1  # archived: answered from another host
    failing_share: float = 0.01  # 500 at the first attempt
    slow_share: float = 0.005
    slow_seconds: float = 0.5  # between the halves of a slow body
    painters: int = 2
    covers_in_memory: int = 256
    folder: Path | None = None  # painted covers are kept here, if set


@dataclass
class TokenBucket:
    """A rate limit as nginx keeps it: `burst` requests at once, then `per_minute`."""

    per_minute: float
    burst: int
    _tokens: float = field(init=False)
    _at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def wait(self, now: float) -> float:
        """Take a token: 0.0 where there was one, else the seconds until there will be."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_minute / 60)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) * 60 / self.per_minute


class CoverService:
    """Answers requests for covers. One instance belongs to one event loop."""

    def __init__(self, world: World, options: CoverOptions) -> None:
        self._world = world
        self._options = options
        self._bucket = TokenBucket(options.requests_per_minute, options.burst)
        self._failed: set[int] = set()
        self._memory: OrderedDict[tuple[int, CoverSize], bytes] = OrderedDict()
        self._painters = ThreadPoolExecutor(options.painters, "painter")

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(r"/b/id/{cover_id:\d+}{size:(-[SML])?}.jpg", self._live, name="cover"),
            web.get(r"/download/{zip:[sml_]{0,2}covers_\d+/[^/]+\.zip}/{cover_id:\d+}{size:(-[SML])?}.jpg", self._archived, name="archived-cover"),
        ]  # fmt: skip

    def close(self) -> None:
        self._painters.shutdown(cancel_futures=True)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        wait = self._bucket.wait(time.monotonic())
        if wait:
            retry_after = {"Retry-After": str(math.ceil(wait))}
            return web.json_response({"error": "Too many requests"}, status=429, headers=retry_after)
        cover_id, size = _asked(request)
        if self._is_among(self._options.failing_share, "failing", cover_id) and cover_id not in self._failed:
            self._failed.add(cover_id)
            return web.Response(status=500, text="Internal Server Error")
        if not cover_id or not self._world.cover_exists(cover_id):
            if request.query.get("default", "true").lower() == "false":
                return web.Response(status=404, text="")
            return web.Response(body=BLANK_GIF, content_type="image/gif")
        if self._is_among(self._options.redirect_share, "archived", cover_id):
            return web.Response(
                status=302, headers={"Location": other_host(request) + archive_path(cover_id, size)}
            )
        return await self._picture(request, cover_id, size)

    async def _archived(self, request: web.Request) -> web.StreamResponse:
        return await self._picture(request, *_asked(request))

    async def _picture(self, request: web.Request, cover_id: int, size: CoverSize) -> web.StreamResponse:
        etag = f'"{cover_id}-{size.suffix.removeprefix("-").lower()}"'
        headers = {"ETag": etag, "Cache-Control": f"public, max-age={_HUNDRED_YEARS}"}
        if etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        body = await self._body(cover_id, size)
        if not self._is_among(self._options.slow_share, "slow", cover_id):
            return web.Response(body=body, content_type="image/jpeg", headers=headers)
        response = web.StreamResponse(headers=headers | {"Content-Type": "image/jpeg"})
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        await asyncio.sleep(self._options.slow_seconds)
        await response.write(body[len(body) // 2 :])
        return response

    async def _body(self, cover_id: int, size: CoverSize) -> bytes:
        key = cover_id, size
        if key not in self._memory:
            loop = asyncio.get_running_loop()
            painted = await loop.run_in_executor(self._painters, self._kept, cover_id, size)
            self._memory[key] = painted
            if len(self._memory) > self._options.covers_in_memory:
                self._memory.popitem(last=False)
            return painted
        self._memory.move_to_end(key)
        return self._memory[key]

    def _kept(self, cover_id: int, size: CoverSize) -> bytes:
        if not self._options.folder:
            return cover_bytes(self._world, cover_id, size)
        path = self._options.folder / f"{cover_id // 10_000}" / f"{cover_id}{size.suffix}.jpg"
        if path.exists():
            return path.read_bytes()
        body = cover_bytes(self._world, cover_id, size)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            unfinished.write_bytes(body)
        return body

    def _is_among(self, share: float, purpose: str, cover_id: int) -> bool:
        return Draws(purpose, self._world.seed, cover_id).chance(share)


def cover_bytes(world: World, cover_id: int, size: CoverSize) -> bytes:
    """The JPEG file of a cover in a size: fitted into the box, never enlarged; damaged where the world says so."""
    width, height = world.cover_size(cover_id)
    scale = min(1.0, size.value[0] / width, size.value[1] / height)
    title, author = world.title_of_cover(cover_id)
    scene = scene_of(cover_id, world.seed)
    # Smaller ones are scaled down from there: the scene stays the same, the lettering is what it is on a thumbnail.
    picture = paint(scene, title, author, max(_PAINTED_HEIGHT, round(height * scale)))
    wanted = max(1, round(width * scale)), max(1, round(height * scale))
    if picture.size != wanted:
        picture = picture.resize(wanted, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    body = file.getvalue()
    return body[: len(body) // 2] if world.cover_state(cover_id) is CoverState.DAMAGED else body


def archive_path(cover_id: int, size: CoverSize) -> str:
    """Where archive.org keeps a cover (openlibrary/coverstore/archive.py): a member of a zip of ten thousand."""
    prefix = f"{size.suffix.removeprefix('-').lower()}_covers" if size.suffix else "covers"
    item = f"{prefix}_{cover_id // 1_000_000:04}"
    return f"/download/{item}/{item}_{cover_id % 1_000_000 // 10_000:02}.zip/{cover_id:010}{size.suffix}.jpg"


def other_host(request: web.Request) -> str:
    """The scheme and host of this server under its other name, since redirects leave the host that was asked."""
    name = "localhost" if request.url.host == "127.0.0.1" else "127.0.0.1"
    return f"http://{name}:{request.url.port}"


def _asked(request: web.Request) -> tuple[int, CoverSize]:
    suffix = request.match_info["size"].removeprefix("-")
    return int(request.match_info["cover_id"]), CoverSize[suffix] if suffix else CoverSize.ORIGINAL

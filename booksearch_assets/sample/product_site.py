"""The ABO release of the sample world on the web: its files, and photos painted when they are asked for.

Belongs here: addresses under `/abo`, caching, and how a bucket that is asked too fast refuses. Does not: what the files
hold (`product_release`), sockets (`server`).

Modelled on an S3 bucket that anyone may read and list: 404 with an XML error for what it lacks, 503 SlowDown beyond its rate.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from booksearch_assets.abo.images import ImageSize
from booksearch_assets.sample.cover_service import TokenBucket
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.product_release import photo_bytes
from booksearch_assets.sample.products import ProductWorld

ROOT = "/abo"
"""Where the release begins on the sample server."""

_PAINTERS = 2


@dataclass(frozen=True)
class ProductOptions:
    """How the bucket behaves. The share is of photos, and always hits the same ones of a world."""

    requests_per_minute: float = 60_000
    burst: int = 4_000
    failing_share: float = 0.01  # 500 at the first attempt


@dataclass(frozen=True)
class ServedProducts:
    """A world of products, the folder of its metadata, and how its bucket behaves."""

    world: ProductWorld
    folder: Path
    options: ProductOptions = field(default_factory=ProductOptions)


class ProductSite:
    """Serves the release of a world. One instance belongs to one event loop."""

    def __init__(self, products: ServedProducts) -> None:
        self._world = products.world
        self._folder = products.folder
        self._options = products.options
        self._bucket = TokenBucket(self._options.requests_per_minute, self._options.burst)
        self._failed: set[int] = set()
        self._painters = ThreadPoolExecutor(_PAINTERS, "product-painter")

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(rf"{ROOT}/{{path:(listings|images)/metadata/[\w.]+}}", self._metadata, name="product-metadata"),
            web.get(rf"{ROOT}/images/{{size:small|original}}/{{path:[0-9a-f]{{2}}/[0-9a-f]{{8}}\.jpg}}", self._photo, name="product-photo"),
        ]  # fmt: skip

    def close(self) -> None:
        self._painters.shutdown(cancel_futures=True)

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        path = self._folder / request.match_info["path"]
        if not path.is_file():
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return web.FileResponse(path, headers={"Content-Type": "application/x-gzip"})

    async def _photo(self, request: web.Request) -> web.StreamResponse:
        if self._bucket.wait(time.monotonic()):
            return _error(503, "SlowDown", "Please reduce your request rate.")
        photo = self._world.photo_at(request.match_info["path"])
        if photo is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        failing = Draws("failing photo", self._world.seed, photo).chance(self._options.failing_share)
        if failing and photo not in self._failed:
            self._failed.add(photo)
            return _error(500, "InternalError", "We encountered an internal error. Please try again.")
        size = ImageSize(request.match_info["size"])
        headers = {"ETag": f'"{self._world.seed}-{photo}-{size}"'}
        if headers["ETag"] in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._painters, photo_bytes, self._world, photo, size)
        return web.Response(body=body, content_type="image/jpeg", headers=headers)


def _error(status: int, code: str, message: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")

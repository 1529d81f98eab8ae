"""The sample server: covers, dumps and products of the sample world on one local port.

Belongs here: the socket, the thread or process it runs in, and the counts of what was asked. Does not: the answers
(`cover_service`, `dump_site`, `product_site`).
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from aiohttp import web

from booksearch_assets.sample.cover_service import CoverOptions, CoverService
from booksearch_assets.sample.dump_site import DumpOptions, DumpSite, prepare_dumps
from booksearch_assets.sample.dumps import Progress
from booksearch_assets.sample.product_release import write_metadata
from booksearch_assets.sample.product_site import ProductSite, ServedProducts
from booksearch_assets.sample.world import World

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 30


@dataclass(frozen=True)
class ServerOptions:
    """What the server does: how covers and dumps behave, which releases of the world it has, which products if any."""

    covers: CoverOptions = field(default_factory=CoverOptions)
    dumps: DumpOptions = field(default_factory=DumpOptions)
    releases: tuple[int, ...] = (0,)
    products: ServedProducts | None = None


@dataclass
class ServerStats:
    """Answers so far by (kind, status), and the most requests for covers that came in one second of the clock.

    Kinds: cover, archived-cover, dump-link, dump-list, dump, product-metadata, product-photo, unknown.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    most_covers_in_a_second: int = 0
    _second: int = 0
    _covers_in_second: int = 0

    def count(self, kind: str) -> int:
        """All answers of one kind."""
        return sum(number for (of_kind, _), number in self.answers.items() if of_kind == kind)

    def note_cover(self, now: float) -> None:
        if int(now) != self._second:
            self._second, self._covers_in_second = int(now), 0
        self._covers_in_second += 1
        self.most_covers_in_a_second = max(self.most_covers_in_a_second, self._covers_in_second)


class SampleServer:
    """A server of `world` in a thread of its own, on loopback: `with SampleServer(world, folder) as server: ...`.

    Without a world it has the products of the options alone. Dumps that `folder` does
    not hold yet, and the listings of products, are written on entering. `port` 0 takes a free one; `url` says which.
    """

    def __init__(
        self, world: World | None, folder: Path, port: int = 0, options: ServerOptions | None = None
    ) -> None:
        self.stats = ServerStats()
        self._world = world
        self._folder = folder
        self._port = port
        self._options = options or ServerOptions()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="sample-server", daemon=True)

    @property
    def url(self) -> str:
        """The address of the server, without a slash at the end."""
        return f"http://{_LOOPBACK}:{self._port}"

    def __enter__(self) -> SampleServer:
        _prepare(self._world, self._folder, self._options)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise TimeoutError(f"the sample server did not start within {_START_SECONDS} s")
        if self._error:
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._error and not error:
            raise self._error

    def _serve(self) -> None:
        def ready(port: int) -> None:
            self._port = port
            self._ready.set()

        try:
            run = _run(
                self._world, self._folder, self._port, self._options, self.stats, self._stopping, ready
            )
            self._loop.run_until_complete(run)
        except Exception as error:  # noqa: BLE001 - raised again where the server was entered or left
            self._error = error
            self._ready.set()
        finally:
            self._loop.close()


def serve(
    world: World,
    folder: Path,
    port: int = 0,
    options: ServerOptions | None = None,
    announce: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> None:
    """Serve `world` until SIGTERM or SIGINT. `announce` is called with the address once it answers.

    Raises:
        OSError: where the port is taken.
        ValueError: where `folder` holds another world.
    """
    options = options or ServerOptions()
    _prepare(world, folder, options, progress)

    async def run() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await _run(
            world,
            folder,
            port,
            options,
            ServerStats(),
            stopping,
            lambda taken: announce(f"http://{_LOOPBACK}:{taken}"),
        )

    asyncio.run(run())


def _prepare(
    world: World | None, folder: Path, options: ServerOptions, progress: Progress | None = None
) -> None:
    if world:
        prepare_dumps(world, folder, options.releases, progress)
    if options.products:
        write_metadata(options.products.world, options.products.folder)


async def _run(
    world: World | None,
    folder: Path,
    port: int,
    options: ServerOptions,
    stats: ServerStats,
    stopping: asyncio.Event,
    ready: Callable[[int], None],
) -> None:
    """Answer on `port` until `stopping` is set; `ready` is told the port."""
    application = web.Application()
    _count_in(stats, application)
    painters: list[CoverService | ProductSite] = []
    if world:
        painters.append(CoverService(world, options.covers))
        application.add_routes(DumpSite(folder, options.dumps).routes())
    if options.products:
        painters.append(ProductSite(options.products))
    for painter in painters:
        application.add_routes(painter.routes())
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, _LOOPBACK, port)
        await site.start()
        ready(runner.addresses[0][1])
        await stopping.wait()
    finally:
        await runner.cleanup()
        for painter in painters:
            painter.close()


def _count_in(stats: ServerStats, application: web.Application) -> None:
    """Count requests as they come and answers before they leave, so that a client finds its own counted."""

    @web.middleware
    async def note_request(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if _kind(request) == "cover":
            stats.note_cover(time.monotonic())
        return await handler(request)

    async def note_answer(request: web.Request, response: web.StreamResponse) -> None:
        stats.answers[_kind(request), response.status] += 1

    application.middlewares.append(note_request)
    application.on_response_prepare.append(note_answer)


def _kind(request: web.Request) -> str:
    return request.match_info.route.name or "unknown"

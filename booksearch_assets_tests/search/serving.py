"""A search service that really listens, in this process.

Belongs here: starting and stopping one over a published collection. Does not: what it answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from booksearch_assets.search.api.app import build_app
from booksearch_assets.search.api.limits import ApiSettings
from booksearch_assets.search.live import LiveSearch
from booksearch_assets.search.pictures import Pictures
from booksearch_assets.settings import Settings
from booksearch_assets.tables.books import COVERS


@contextmanager
def serving(live: LiveSearch, settings: Settings, api: ApiSettings | None = None) -> Iterator[str]:
    """The address of a service over `live` and the covers of `settings`, for the time of the block."""
    covers = Pictures(COVERS.bytes_cache(settings.lake, settings.source), settings.home / "thumbnails")
    app = build_app(live, covers, tuple, api or ApiSettings())
    server = uvicorn.Server(uvicorn.Config(app, port=0, access_log=False, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the service did not start"
            time.sleep(0.02)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}/"
    finally:
        server.should_exit = True
        thread.join(30)

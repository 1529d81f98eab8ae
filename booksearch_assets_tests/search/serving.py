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
from booksearch_assets.search.api.searching import Searching
from booksearch_assets.search.books_collection import BOOKS
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.pictures import Pictures
from booksearch_assets.settings import Settings


@contextmanager
def serving(
    live: Searching,
    settings: Settings,
    api: ApiSettings | None = None,
    catalogue: SearchedCatalogue = BOOKS,
) -> Iterator[str]:
    """The address of a service over `live` and the pictures of `settings`, for the time of the block."""
    cache = catalogue.pictures.bytes_cache(settings.lake, settings.source_of(catalogue.name))
    pictures = Pictures(cache, settings.home / "thumbnails")
    app = build_app(live, pictures, tuple, api or ApiSettings(), catalogue=catalogue)
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

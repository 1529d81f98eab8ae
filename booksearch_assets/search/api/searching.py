"""What the API asks of the search behind it, and a search that is opened when it can be.

Belongs here: the interface, and waiting for the first publication. Does not: searching (`search.live`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from booksearch_assets.search.query import Filters, Query, SearchResults
from booksearch_assets.vectorstores.errors import StoreUnavailable

_log = logging.getLogger(__name__)


class Searching(Protocol):
    """What `search.live.LiveSearch` does. Safe for many threads."""

    @property
    def collection(self) -> str:
        """The version that serves. Raises `VectorStoreError` while there is none."""

    @property
    def held_up(self) -> str | None:
        """Why a newer version is published and not served, or None."""

    def search(self, query: Query) -> SearchResults[Any]: ...

    def item(self, key: str) -> Any: ...

    def facets(self, query: Query | None = None, filters: Filters | None = None, top: int = 10) -> Any: ...


class OpenedLater:
    """A search that `open` opens at the first use, and tries again `retry_seconds` after it could not.

    So a service may be started before anything is published. Until then every call raises `StoreUnavailable`.
    """

    def __init__(self, open: Callable[[], Searching], retry_seconds: float = 5.0) -> None:
        self._open, self._retry_seconds = open, retry_seconds
        self._lock = threading.Lock()
        self._opened: Searching | None = None
        self._next_try = 0.0
        self._reason = ""

    @property
    def collection(self) -> str:
        return self._search().collection

    @property
    def held_up(self) -> str | None:
        return self._search().held_up

    def search(self, query: Query) -> SearchResults[Any]:
        return self._search().search(query)

    def item(self, key: str) -> Any:
        return self._search().item(key)

    def facets(self, query: Query | None = None, filters: Filters | None = None, top: int = 10) -> Any:
        return self._search().facets(query, filters, top)

    def _search(self) -> Searching:
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    self._opened = self._tried()
        return self._opened

    def _tried(self) -> Searching:
        if time.monotonic() >= self._next_try:
            try:
                return self._open()
            except Exception as error:  # noqa: BLE001 - a damaged model or store: it is told, and tried again
                if str(error) != self._reason:
                    _log.warning("cannot serve yet: %s", error)
                self._reason = str(error)
                self._next_try = time.monotonic() + self._retry_seconds
        raise StoreUnavailable(self._reason)

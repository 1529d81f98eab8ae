"""Searching for as long as one likes what is published at the moment.

`SearchEngine` asks one collection for ever; `LiveSearch` follows the alias, for services that outlive many rebuilds.

Belongs here: when to change over, and what happens to queries meanwhile. Does not: answering one (`engine`), deciding
what is published (`versions`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from booksearch_assets.search.engine import ModelMismatch, Query, QueryEncoder, SearchEngine, SearchResults
from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.errors import CollectionNotFound, CollectionNotSealed, VectorStoreError

_log = logging.getLogger(__name__)

EncoderFor = Callable[[str], QueryEncoder]
"""The encoder of a bundle id. Raises `ModelMismatch` while there is none."""


@dataclass(frozen=True)
class _Serving:
    collection: str
    engine: SearchEngine


class LiveSearch:
    """Answers each query from the version that is live when it begins. Safe for many threads.

    A query is answered wholly by one version, which `SearchResults.collection` names: queries that are under way when
    the alias moves finish on the version that they began with, later ones wait until the new one is open. Where the new
    one cannot be opened, the old one goes on serving and `held_up` says why: above all a collection of another model,
    for which `encoder_for` has no encoder yet. A version that retention drops under a query costs one more look at the
    alias, and no error.

    The alias is looked at once in `recheck_seconds`; 0 is before every query, which is right for Milvus Lite, where it
    means reading a small file. What held up a change is tried again after `retry_seconds`.

    Raises what `search` raises where nothing is published, or the first version cannot be opened.
    """

    def __init__(
        self,
        store: VectorStore,
        alias: str,
        encoder_for: EncoderFor,
        recheck_seconds: float = 0.0,
        retry_seconds: float = 5.0,
    ) -> None:
        self._store, self._alias, self._encoder_for = store, alias, encoder_for
        self._recheck_seconds, self._retry_seconds = recheck_seconds, retry_seconds
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._held_up: str | None = None
        self._serving = self._opened()

    @property
    def collection(self) -> str:
        """The version that served last."""
        return self._serving.collection

    @property
    def held_up(self) -> str | None:
        """Why a newer version is published and not served, or None."""
        return self._held_up

    def search(self, query: Query) -> SearchResults:
        """The best books of the live version.

        Raises `InvalidQuery`, and a `VectorStoreError` or `ModelMismatch` where neither the live version nor the one
        before it can answer.
        """
        serving = self._current()
        while True:
            try:
                return serving.engine.search(query)
            except CollectionNotFound:
                # Dropped under this query. Only another version can help: without one, this is the answer.
                again = self._after(serving)
                if again.collection == serving.collection:
                    raise
                serving = again

    def _current(self) -> _Serving:
        with self._lock:
            if time.monotonic() >= self._next_look:
                self._look()
            return self._serving

    def _look(self) -> None:
        """Change over to the live version if there is another one, or stay and say why not."""
        self._next_look = time.monotonic() + self._recheck_seconds
        try:
            if self._store.published(self._alias) != self._serving.collection:
                self._serving = self._opened()
                _log.info("serving %s now", self._serving.collection)
            self._held_up = None
        except (VectorStoreError, ModelMismatch) as error:
            self._next_look = time.monotonic() + self._retry_seconds
            if str(error) != self._held_up:
                _log.warning("%s goes on serving: %s", self._serving.collection, error)
            self._held_up = str(error)

    def _after(self, gone: _Serving) -> _Serving:
        """The live version, looked up now, unless another query has changed over already."""
        with self._lock:
            if self._serving is gone:
                self._serving = self._opened()
                self._held_up = None
            return self._serving

    def _opened(self) -> _Serving:
        name = self._store.published(self._alias)
        while True:
            if name is None:
                raise CollectionNotFound(
                    f"nothing is published as {self._alias!r}; materialise the search asset first"
                )
            try:
                index = self._store.index(name)
                made_by = index.spec.properties.get("bundle_id", "")
                return _Serving(name, SearchEngine(index, self._encoder_for(made_by)))
            except (CollectionNotFound, CollectionNotSealed):
                # Replaced and dropped since we looked.
                before, name = name, self._store.published(self._alias)
                if name == before:
                    raise
